"""Named entities in the format of the CoNLL shared tasks (Tjong Kim Sang & De Meulder 2003).

    EU NNP B-NP B-ORG
    rejects VBZ B-VP O
    German JJ B-NP B-MISC

    Peter NNP B-NP B-PER

One word a line, with columns between spaces or tabs, of which the first is the word and the
last its tag; a blank line ends a sentence.
"""

from typing import Iterator, NamedTuple, Sequence

from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.lines import read_lines

_EXPECTED = ("CoNLL's format: a word and its tag on each line, a blank line after each "
             "sentence")
_DOCUMENT = "-DOCSTART-"
# How a word stands to its entity. I, B: IOB and BIO; E, S of BIOES and L, U of BILOU are
# read too.
_PREFIXES = "BIESLU"
_BEGINS, _ENDS = "BSU", "ESLU"


class EntitySpan(NamedTuple):
  """Words `[start, end)` of a sentence that name something of a type."""
  start: int
  end: int
  type: str


class TaggedSentence(NamedTuple):
  """Words, and the entities among them: sorted, disjoint."""
  words: list[str]
  entities: list[EntitySpan]


def read_conll(path: PathLike) -> list[TaggedSentence]:
  """The sentences of a file; lines of `-DOCSTART-` and comments ("# ...") are passed over.

  Both tag schemes of the shared tasks are read, as well as mixtures of them: in IOB an
  entity begins with B only where one of the same type stands before it, in BIO always.

  Args:
    path: of the file, plain or compressed; see `lines.read_lines`.

  Raises:
    UserError: names file and line: no tag, another number of columns than before, or what
      is no tag; or the file has no sentence.
  """
  sentences = list(_sentences(path))
  if not sentences:
    raise UserError(f"{path}: no sentence; expected {_EXPECTED}")
  return sentences


def _sentences(path: PathLike) -> Iterator[TaggedSentence]:
  words: list[str] = []
  tags: list[str] = []
  columns = 0
  for number, line in read_lines(path, _EXPECTED):
    text = line.lstrip("\ufeff").strip(" \t\r\n")
    if not text or text.startswith(_DOCUMENT):
      if words:
        yield TaggedSentence(words, entities(tags))
      words, tags = [], []
      continue
    fields = text.split("\t") if "\t" in text else text.split(" ")
    fields = [field for field in map(str.strip, fields) if field]
    if text.startswith("# ") and not _is_tag(fields[-1]):
      continue
    where = f"{path}:{number}"
    if len(fields) < 2:
      raise UserError(f"{where}: '{text[:60]}': one column; expected a word and its tag")
    if columns and len(fields) != columns:
      raise UserError(f"{where}: {len(fields)} columns, but {columns} in the lines before")
    if not _is_tag(fields[-1]):
      raise UserError(f"{where}: tag '{fields[-1][:60]}': expected O, or B or I, a hyphen "
                      "and a type, such as B-PER")
    columns = len(fields)
    words.append(fields[0])
    tags.append(fields[-1])
  if words:
    yield TaggedSentence(words, entities(tags))


def _is_tag(tag: str) -> bool:
  return tag == "O" or tag[0] in _PREFIXES and tag[1:2] == "-" and len(tag) > 2


def entities(tags: Sequence[str]) -> list[EntitySpan]:
  """The entities that tags say, as `conlleval` reads them.

  An entity goes on as long as the tag is I, E or L of its type and nothing has ended it.
  """
  spans: list[EntitySpan] = []
  start, kind, ended = 0, "", True  # of the entity that the word before is in, if any
  for place, tag in enumerate([*tags, "O"]):
    goes_on = (tag != "O" and tag[0] not in _BEGINS and tag[2:] == kind and not ended)
    if kind and not goes_on:
      spans.append(EntitySpan(start, place, kind))
    if not goes_on:
      start, kind = place, tag[2:]
    ended = tag[0] in _ENDS
  return spans


def bio_tags(spans: Sequence[EntitySpan], size: int) -> list[str]:
  """The tags of `size` words, in the BIO scheme."""
  tags = ["O"] * size
  for start, end, kind in spans:
    tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
  return tags
