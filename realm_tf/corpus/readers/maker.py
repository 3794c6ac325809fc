"""What readers make: documents, each id once; and what a format is."""

import dataclasses
import pathlib
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple

from realm_tf import jsonl
from realm_tf.corpus.readers.reading_report import BLANK, ReadingReport
from realm_tf.corpus.readers.seen_ids import Place, Repeated, SeenIds
from realm_tf.errors import UserError
from realm_tf.files import PathLike

# Of one document. A longer text is no document, and its tokens would not fit in memory.
MOST_CHARACTERS = 1 << 25
_MOST_OF_TITLE = 1 << 16  # and of an id: each block of the document has them

Lines = Iterable[tuple[int, str]]


@dataclasses.dataclass(frozen=True)
class Document:
  """One document; `id` is unique in its corpus, `text` is never blank."""
  id: str
  title: str
  text: str


class Maker:
  """Makes documents of fields: each id once; what has no text is passed over, and counted."""

  def __init__(self, path: PathLike, strict: bool, report: ReadingReport | None = None,
               within: PathLike | None = None, scratch: PathLike | None = None):
    """Args:
      path: of what is read.
      strict: refuse what else would be skipped.
      report: takes what is left out, and why.
      within: a folder that `path` lies in; ids that are paths are relative to it.
      scratch: a folder on a disk with room for all ids, see `SeenIds`.
    """
    self.path, self._strict, self.within = path, strict, within
    self.report = report or ReadingReport()
    self._seen = SeenIds(scratch)
    self.num_made = 0

  def make(self, place: Place, fields: Mapping[str, Any], text: str = "text"
           ) -> Iterator[Document]:
    """Yields the document, if its text is not blank.

    Args:
      place: number of the line, name of the entry, or path, where it stands.
      fields: of the document.
      text: the name of the field that holds the text.
    """
    where = self.where(place)
    name = jsonl.id_field(fields, where)
    if repeated := self._seen.add(name, place):
      raise self._twice(repeated)
    title = "" if fields.get("title") is None else jsonl.text_field(fields, "title", where)
    body = jsonl.text_field(fields, text, where)
    if jsonl.is_blank(body):
      self.skip(place, BLANK, f"field '{text}' is empty or blank; expected some text", name)
    elif max(len(title), len(name)) > _MOST_OF_TITLE:
      self.skip(place, f"title or id is longer than {_MOST_OF_TITLE} characters")
    elif len(body) > MOST_CHARACTERS:
      self.skip(place, f"text is longer than {MOST_CHARACTERS} characters", name=name)
    else:
      self.num_made += 1
      yield Document(name, title, body)

  def skip(self, place: Place, reason: str, detail: str = "", name: str = "") -> None:
    """Notes that a document cannot be read; refuses it where `strict`.

    Args:
      place: as in `make`.
      reason: by which such documents are counted.
      detail: of this one.
      name: its id, if it has one.

    Raises:
      UserError: `strict`.
    """
    if self._strict:
      message = detail if reason == BLANK else f"{reason} ({detail})" if detail else reason
      raise UserError(f"{self.where(place)}: {message}")
    named = name if name and isinstance(place, int) else str(place)
    self.report.skip(reason, named, self._of(place, name), detail)

  def leave_out(self, place: Place, reason: str, detail: str = "") -> None:
    """Notes that something is no document, by a rule of its format: never an error."""
    self.report.leave_out(reason, str(place), detail)

  def finish(self) -> None:
    """Says how many were left out; refuses an id that is there twice, or an empty corpus."""
    if repeated := self._seen.repeated():
      raise self._twice(repeated)
    self.report.log(self.path, self.num_made)
    if self.num_made:
      return
    reasons = "; ".join(self.report.reasons())
    raise UserError(f"{self.path}: an empty corpus{': ' if reasons else ''}{reasons}; "
                    "expected at least one document with text")

  def _twice(self, repeated: Repeated) -> UserError:
    return UserError(
        f"{self.where(repeated.place)}: field 'id': {jsonl.quoted(repeated.name)} is there "
        f"already, in {self.where(repeated.first)}; expected each id once")

  def where(self, place: Place) -> str:
    """Where a document stands, for errors."""
    if isinstance(place, pathlib.PurePath):
      root = pathlib.Path(self.path)
      path = str((root if root.is_dir() else root.parent) / place)
      return path if path.isprintable() else repr(path)
    return (f"{self.path}:{place}" if isinstance(place, int)
            else f"{self.path}: entry {jsonl.quoted(place)}")

  @staticmethod
  def _of(place: Place, name: str) -> str:
    """How the report names a document."""
    if isinstance(place, pathlib.PurePath):
      return jsonl.quoted(str(place))
    where = f"line {place}" if isinstance(place, int) else f"entry {jsonl.quoted(place)}"
    return f"{jsonl.quoted(name)} ({where})" if name else where


class Format(NamedTuple):
  """How documents of one format are read.

  Attributes:
    parse: yields what `Maker.make` makes of the numbered lines of a file. Lines are read
      when they are asked for: what is no text opens `Maker.path` itself.
    sniff: whether a file of that name whose first line, of those that are not blank, is
      this one is of the format.
    sniff_path: whether a folder, or a file that is not read by lines, is of the format.
  """
  parse: Callable[[Lines, Maker], Iterator[Document]]
  sniff: Callable[[pathlib.Path, str], bool] = lambda path, first: False
  sniff_path: Callable[[pathlib.Path], bool] = lambda path: False
