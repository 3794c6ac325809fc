"""Salient spans: the names, dates and figures worth masking in REALM pre-training.

The paper tags named entities with a BERT trained on CoNLL-2003, which was never
released, and dates with a regular expression. `RuleTagger` needs no model;
`spacy_tagger` has spaCy's, where that is installed; one like the paper's is trained by
`realm tagger train`.
"""

import abc
import bisect
import functools
import pathlib
import re
from typing import Iterable, Iterator, Protocol, Sequence

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.registry import TAGGER_FOLDERS, TAGGERS
from realm_tf.text.figures import Figure, figures

CharacterSpan = tuple[int, int]


class SpanTagger(Protocol):
  """Finds salient spans."""

  def __call__(self, texts: Sequence[str], sentences: Sequence[Sequence[CharacterSpan]]
               ) -> list[list[CharacterSpan]]:
    """For each text its spans `[start, end)` in characters, sorted and disjoint.

    `sentences` are those of each text, as `split_sentences` finds them.
    """


class NamesAndFigures(abc.ABC):
  """A `SpanTagger`: names as a subclass finds them; dates and numbers by expression."""

  def __call__(self, texts: Sequence[str], sentences: Sequence[Sequence[CharacterSpan]],
               numbers: bool = True) -> list[list[CharacterSpan]]:
    """See `SpanTagger`; dates are found in any case, without `numbers` no other figures."""
    all_figures = [figures(text) for text in texts]
    return [disjoint([(figure.start, figure.end) for figure in own
                      if numbers or not figure.is_number], names)
            for own, names in zip(all_figures, self.names(texts, sentences, all_figures),
                                  strict=True)]

  @abc.abstractmethod
  def names(self, texts: Sequence[str], sentences: Sequence[Sequence[CharacterSpan]],
            taken: Sequence[Sequence[Figure]]) -> Iterable[list[CharacterSpan]]:
    """For each text the spans of its names; one that overlaps what counts of `taken` is
    dropped."""


class _OtherNames(NamesAndFigures):
  """What another tagger finds, in the place of names."""

  def __init__(self, other: SpanTagger):
    self._other = other

  def names(self, texts: Sequence[str], sentences: Sequence[Sequence[CharacterSpan]],
            taken: Sequence[Sequence[Figure]]) -> Iterable[list[CharacterSpan]]:
    """See `NamesAndFigures`."""
    del taken
    return self._other(texts, sentences)


_JOINT = "[’'&./-]"  # within a word
# What goes on with a word, less a possessive's end.
_PARTS = rf"(?:(?!['’]s(?!{_JOINT}?[^\W_])){_JOINT}[^\W_]+)*"
_OPENERS = frozenset("\"'“‘«([¿¡")
_CONNECTORS = frozenset(
    "of the for de la le las los del della di da do dos du des van von der den ter ten "
    "zu al el bin ibn".split())
# Between two words of one name: a space, the full stop of an initial, an ampersand. Most
# words that follow are small, and so end the name.
_JOINED = re.compile(r"(?:[^\S\n]|\.[^\S\n]|[^\S\n]&[^\S\n])"
                     rf"(?:(?![a-z])|(?=(?:{'|'.join(_CONNECTORS)})(?![^\W_])))"
                     rf"([^\W_]+{_PARTS})")
_ABBREVIATED = re.compile(
    r"[A-Z]|St|Bros|Mt|Ft|Dr|Mr|Mrs|Ms|Jr|Sr|Prof|Lt|Col|Gen|Sgt|Capt")
# Capitalised at the start of a sentence, they are not (part of) a name.
_COMMON = frozenset("""
  a about above according across additionally after again against all almost along
  already also although among an and another any anyone are around as at back based
  because been before being below between both but by called can common commonly
  compared consequently considered contrary could currently depending despite did do
  does due during each early either especially established eventually every examples
  except few finally first following for formerly found founded four from further
  furthermore generally given had has have having he hence her here hers herself high
  him himself his historically how however i if important in including initially
  instead into is it its itself just known last late later least less let like likewise
  little long made mainly major many may me meanwhile modern more moreover most mostly
  much must my nearly neither nevertheless new next no nobody none nor not nothing now
  of often old on once one only onto or originally other others otherwise our out over
  overall part people per perhaps presently previously primarily prior rather recent
  recently regarding related same second see seen several she should similar similarly
  since six small so some someone something sometimes soon still subsequently such ten
  than that the their them then there thereafter therefore these they third this those
  though three through throughout thus to today together too traditionally two typical
  typically under unlike until up upon us used using usually various very was we well
  were what whatever when whenever where whereas whether which while who whom whose why
  widely will with within without would yet you your
""".split())


# Where a word begins and ends, the word, and whether it is the first of its sentence: there
# any word has a capital.
_Word = tuple[int, int, str, bool]


@functools.cache
def _capitalised() -> re.Pattern[str]:
  """Words that begin with a capital, or beyond U+FFFF; found by it, since most do not.

  What begins there is a word if neither a letter nor a letter and a joint is before it.
  Beyond U+FFFF capitals are so many ranges that to look for each would take long.
  """
  capitals = "".join(char for char in map(chr, range(0x10000)) if char.isupper())
  return re.compile(rf"[{capitals}\U00010000-\U0010ffff](?<=[^\W_])(?<![^\W_].)"
                    rf"(?<![^\W_]{_JOINT}.)[^\W_]*{_PARTS}")


def _initials(text: str, sentences: Sequence[CharacterSpan]) -> Iterator[int]:
  """Where the first words of sentences may begin: behind opening quotes or brackets too."""
  for start, _ in sentences:
    yield start
    while text[start:start + 1] in _OPENERS:
      start += 1
      yield start


class _Text:
  """A text, and the words of it that may begin a name."""

  def __init__(self, text: str, sentences: Sequence[CharacterSpan],
               taken: Sequence[Figure]):
    self._text = text
    self._starts, self._ends = [one.start for one in taken], [one.end for one in taken]
    self._initials = set(_initials(text, sentences))
    self.capitalised: list[_Word] = []
    for match in _capitalised().finditer(text):
      (start, end), word = match.span(), match.group()
      if word != "I" and word[0].isupper() and self._is_free(start, end):
        self.capitalised.append((start, end, word, start in self._initials))
    self.seen = {word for _, _, word, initial in self.capitalised if not initial}

  def _is_free(self, start: int, end: int) -> bool:
    """Whether no date or figure is in it, all of which are sorted and disjoint."""
    place = bisect.bisect_right(self._ends, start)
    return place == len(self._ends) or end <= self._starts[place]

  def _next(self, start: int, end: int) -> CharacterSpan | None:
    """The word that is joined to another one, if there is one."""
    match = _JOINED.match(self._text, end)
    if not match or (self._text[end] == "."
                     and not _ABBREVIATED.fullmatch(self._text, start, end)):
      return None
    return match.span(1) if self._is_free(*match.span(1)) else None

  def end_of_name(self, start: int, end: int) -> int:
    """Where the name ends that begins with the word [start, end)."""
    last: CharacterSpan = start, end
    while True:
      connectors, word = 0, self._next(*last)
      while word and connectors < 3 and self._text[word[0]:word[1]] in _CONNECTORS:
        connectors, word = connectors + 1, self._next(*word)
      if not word:
        return last[1]
      text = self._text[word[0]:word[1]]
      number = not connectors and text.isdigit()  # "Apollo 11"
      capital = text[0].isupper() and text != "I"
      if not (capital or number) or word[0] in self._initials:
        return last[1]
      last = word


def _names(text: _Text) -> Iterator[CharacterSpan]:
  done = 0
  for start, end, word, initial in text.capitalised:
    if start < done:
      continue
    common = word.lower() in _COMMON
    if initial and common:
      continue
    done = text.end_of_name(start, end)
    if done > end or not (initial and word not in text.seen and not _is_acronym(word)
                          or len(word) == 1 or common):
      yield start, done


def _is_acronym(word: str) -> bool:
  return len(word) > 1 and word.isupper()


class RuleTagger(NamesAndFigures):
  """Capitalised sequences, dates and figures; for English, and needs no model.

  The first word of a sentence counts as a name only if it begins a longer name, is an
  acronym, or is capitalised in mid-sentence somewhere else in the text.
  """

  def names(self, texts: Sequence[str], sentences: Sequence[Sequence[CharacterSpan]],
            taken: Sequence[Sequence[Figure]]) -> Iterable[list[CharacterSpan]]:
    """See `NamesAndFigures`; none has a part of a figure, whether it counts or not."""
    return (list(_names(_Text(*text))) for text in zip(texts, sentences, taken))


def disjoint(spans: list[CharacterSpan], others: list[CharacterSpan]) -> list[CharacterSpan]:
  """`spans` and those of `others` that overlap none of them, sorted."""
  busy = sorted(spans)
  result, at = list(spans), 0
  for start, end in sorted(others):
    while at < len(busy) and busy[at][1] <= start:
      at += 1
    if start < end and (at == len(busy) or end <= busy[at][0]):
      result.append((start, end))
  return sorted(result)


def tagger(name: str, numbers: bool = True) -> SpanTagger:
  """The tagger of that name ("rules", "spacy" or another that is registered), or of a folder.

  Dates are found by expression, whatever it is; and numbers, if they are wanted.

  Raises:
    UserError: no such tagger, or what it needs is not installed, or damaged.
  """
  found = TAGGERS[name]() if name in TAGGERS else _of_folder(name)
  own = found if isinstance(found, NamesAndFigures) else _OtherNames(found)
  return functools.partial(own, numbers=numbers)


def _of_folder(name: str) -> SpanTagger:
  marker = _marker(name)
  if marker is None:
    raise UserError(f"tagger '{name}' is not known; expected one of "
                    f"{', '.join(sorted(TAGGERS))}, or a folder that `realm tagger train` "
                    "wrote")
  return TAGGER_FOLDERS[marker.name](name)


def tagger_version(name: str) -> str:
  """The name of a tagger; of one in a folder a hash, which changes with what is in it."""
  marker = None if name in TAGGERS else _marker(name)
  return files.sha256(marker) if marker else name


def _marker(folder: str) -> pathlib.Path | None:
  """The file by which a tagger's folder is recognised."""
  paths = [pathlib.Path(folder, name) for name in TAGGER_FOLDERS]
  return next((path for path in paths if path.is_file()), None)
