"""What a field of a config may hold, as data: type, range or choices, meaning.

The same data checks values, makes the flags of the command line, and is what documentation
of the settings can be made of.
"""

import ast
import dataclasses
import functools
import numbers
import typing
from typing import Any, NamedTuple

from realm_tf.errors import UserError
from realm_tf.registry import Registry


class Range(NamedTuple):
  """From the least to the most that a number may be; neither NaN nor infinity is in it."""
  least: float
  most: float

  def holds(self, value: Any) -> bool:
    return self.least <= value <= self.most

  def __str__(self) -> str:
    return "from {} to {}".format(*(
        f"{end:,}" if isinstance(end, int) else f"{end:g}" for end in self))


class OneOf(NamedTuple):
  """The words that a field may hold: given ones, or the names in a registry."""
  words: tuple[str, ...] | Registry

  def holds(self, value: Any) -> bool:
    return value in self.words

  def __str__(self) -> str:
    return "one of " + ", ".join(word or "''" for word in self.words)


class Text(NamedTuple):
  """Any text in UTF-8; if it is a `path`, any that a file can have."""
  path: bool = False

  def holds(self, value: Any) -> bool:
    # What of a path is no UTF-8 is kept by Python in surrogates, and can be stored so.
    value.encode("utf-8", "surrogateescape" if self.path else "strict")
    return "\0" not in value

  def __str__(self) -> str:
    return "a path" if self.path else "text"


class NameOrPath(NamedTuple):
  """A name in a registry, or a path."""
  names: Registry

  def holds(self, value: Any) -> bool:
    return bool(value) and PATH.holds(value)

  def __str__(self) -> str:
    return f"one of {', '.join(self.names)}, or a path"


Allowed = Range | OneOf | Text | NameOrPath
TEXT, PATH = Text(), Text(path=True)
SHARE = Range(0.0, 1.0)
MANY = 1_000_000_000  # more than anybody has of anything that is counted here


def at_least(least: float, most: float = MANY) -> Range:
  return Range(least, most)


def positive(most: float) -> Range:
  """Above 0, and not so little that it would be 0 in float32."""
  return Range(1e-12, most)


def one_of(*words: str) -> OneOf:
  return OneOf(words)


def named_in(registry: Registry) -> OneOf:
  return OneOf(registry)


def named_or_path(registry: Registry) -> NameOrPath:
  return NameOrPath(registry)


@dataclasses.dataclass(frozen=True)
class Setting:
  """One field of a config.

  Attributes:
    kind: int, float, bool, str, or a tuple of one of them: tuple[int, ...] has any number of
      items, tuple[int, int] two.
    default: what it is where a config does not say.
    meaning: in one sentence.
    allowed: the value, or each item of a tuple; None if it is a bool.
    items: how many a tuple may have.
  """
  kind: Any
  default: Any
  meaning: str
  allowed: Allowed | None
  items: Range

  @property
  def expected(self) -> str:
    """What it may be, in words."""
    allowed = "true or false" if self.allowed is None else str(self.allowed)
    if self.item is self.kind:
      return f"{_NAMES[self.item]}{allowed}"
    least, most = self.items
    count = f"{most} " if least == most else f"{least} or more " if least else ""
    return f"{count}{_LISTS[self.item].format(allowed)}"

  def leads_to(self, value: Any) -> bool:
    """Whether this value of it is a path."""
    if isinstance(self.allowed, NameOrPath):
      return value not in self.allowed.names
    return self.allowed is PATH and bool(value)

  @property
  def item(self) -> Any:
    """The type of the value, or of a tuple's items."""
    return (typing.get_args(self.kind) or (self.kind,))[0]

  def checked(self, value: Any, path: str) -> Any:
    """The value in the type of the field.

    Whole numbers may stand for numbers, lists for tuples, and the types of other libraries,
    such as NumPy, for Python's; nothing else is taken for what it is not.

    Raises:
      UserError: it is of another type or out of range; the error begins with `path`.
    """
    try:
      return self._converted(value)
    except (TypeError, ValueError, OverflowError):
      raise UserError(f"{path}: expected {self.expected}, got {shown(value)}") from None

  def parsed(self, text: str, path: str) -> Any:
    """As `checked`, of a value that is written as text, as in a flag."""
    value: Any = text
    try:
      if self.item is not self.kind:
        value = ast.literal_eval(text)
      elif self.kind is not str:
        value = self.kind(text)
    except (TypeError, ValueError, SyntaxError, MemoryError, RecursionError):
      pass  # it stays text, which is told what is expected
    return self.checked(value, path)

  def _converted(self, value: Any) -> Any:
    if self.item is self.kind:
      return self._converted_item(value)
    if not isinstance(value, (tuple, list)) or not self.items.holds(len(value)):
      raise TypeError
    return tuple(self._converted_item(item) for item in value)

  def _converted_item(self, value: Any) -> Any:
    # To Python True is an int, which a setting must not take it for.
    if not isinstance(value, _ABSTRACT[self.item]) or (
        isinstance(value, bool) and self.item is not bool):
      raise TypeError
    value = self.item(value)
    if self.item is float:
      value += 0.0  # -0.0 becomes 0.0: one number, one way to write it
    if self.allowed is not None and not self.allowed.holds(value):
      raise ValueError
    return value


_ABSTRACT: dict[Any, type] = {int: numbers.Integral, float: numbers.Real, bool: bool,
                              str: str}
_NAMES: dict[Any, str] = {int: "a whole number ", float: "a number ", bool: "", str: ""}
_LISTS: dict[Any, str] = {int: "whole numbers {} in brackets, such as (5, 20)",
                          str: "{} in quotes and brackets, such as ('one', 'another')"}


def shown(value: Any, most: int = 60) -> str:
  """A value in an error, whatever it is: one short line."""
  try:
    text = repr(value)
  except Exception:  # such as an int of more digits than Python prints
    text = f"a value of type {type(value).__name__}"
  text = " ".join(text.split())
  return text if len(text) <= most else f"{text[:most]}..."


def setting(default: Any, allowed: Allowed | None, meaning: str,
            items: Range = Range(0, 1000)) -> Any:  # noqa: B008
  """A field of a `Section`; see `Setting`."""
  return dataclasses.field(
      default=default, metadata={"allowed": allowed, "meaning": meaning, "items": items})


class Section:
  """A dataclass of settings, which are checked when it is made."""

  def __post_init__(self):
    for name, rule in settings_of(type(self)).items():
      value = rule.checked(getattr(self, name), f"{type(self).__name__}.{name}")
      object.__setattr__(self, name, value)
    for name, section in sections_of(type(self)).items():
      if not isinstance(getattr(self, name), section):
        raise UserError(f"{type(self).__name__}.{name}: expected {section.__name__}(...), "
                        f"got {shown(getattr(self, name))}")


@functools.cache
def settings_of(section: type) -> dict[str, Setting]:
  """The fields of a section that hold values, by name."""
  return {name: Setting(kind, field.default, items=_items(kind, field), **{
      key: field.metadata[key] for key in ("allowed", "meaning")})
          for name, (kind, field) in _fields(section).items() if field.metadata}


@functools.cache
def sections_of(section: type) -> dict[str, type]:
  """The fields of a section that hold sections, by name."""
  return {name: kind for name, (kind, field) in _fields(section).items()
          if not field.metadata}


def _fields(section: type) -> dict[str, tuple[Any, dataclasses.Field]]:
  kinds = typing.get_type_hints(section)
  return {field.name: (kinds[field.name], field)
          for field in dataclasses.fields(section)}  # type: ignore[arg-type]


def _items(kind: Any, field: dataclasses.Field) -> Range:
  fixed = [item for item in typing.get_args(kind) if item is not Ellipsis]
  return Range(len(fixed), len(fixed)) if len(fixed) > 1 else field.metadata["items"]
