"""A template as it is called: its name and its arguments, already text."""

import dataclasses
import re


class Unrendered(Exception):
  """This template has no text, or not with these arguments."""


@dataclasses.dataclass(frozen=True)
class Call:
  """Attributes:
    name: in small letters, spaces single.
    positional: by place, from 0.
    named: by name, in small letters.
    page: title of the page.
    ordered: all, as they stand; the name of one by place is None.
  """
  name: str
  positional: list[str]
  named: dict[str, str]
  page: str = ""
  ordered: list[tuple[str | None, str]] = dataclasses.field(default_factory=list)

  def at(self, place: int, default: str = "") -> str:
    """A positional argument; `default` where it is missing or blank."""
    return self.positional[place] if len(self.positional) > place and (
        self.positional[place]) else default

  def need(self, place: int) -> str:
    """The same, which must be there."""
    if not self.at(place):
      raise Unrendered
    return self.at(place)

  def get(self, *names: str) -> str:
    """The first named argument that is there and not blank."""
    return next((self.named[name] for name in names if self.named.get(name)), "")

  def says_yes(self, *names: str) -> bool:
    return bool(re.match("y|on|1|true", self.get(*names).casefold()))

  @property
  def given(self) -> list[str]:
    """The positional arguments that are not blank."""
    return [argument for argument in self.positional if argument]
