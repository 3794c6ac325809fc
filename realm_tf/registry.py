"""What a config chooses by name, and how to add to it: see docs/extending.md.

    from realm_tf.registry import LOSSES
    LOSSES.register("mine", my_loss)  # then config.pretrain.loss="mine"

What comes with the package is named by module and attribute, and imported when it is used:
so a config is checked against the names without TensorFlow.
"""

import importlib
from typing import Any, Iterator


class Registry:
  """Values by name."""

  def __init__(self, kind: str, builtin: dict[str, str]):
    """Args:
      kind: what the values are, for people.
      builtin: by name, "module:attribute".
    """
    self._kind = kind
    self._values: dict[str, Any] = dict(builtin)

  def register(self, name: str, value: Any = None) -> Any:
    """Adds a value, or what is decorated: `@MASKERS.register("name")`.

    Raises:
      ValueError: there is another one of that name.
    """
    if value is None:
      return lambda decorated: self.register(name, decorated)
    if self._values.setdefault(name, value) is not value:
      raise ValueError(f"there is a {self._kind} named '{name}' already")
    return value

  def __getitem__(self, name: str) -> Any:
    value = self._values[name]
    if isinstance(value, str):
      module, _, attribute = value.partition(":")
      value = self._values[name] = getattr(importlib.import_module(module), attribute)
    return value

  def __iter__(self) -> Iterator[str]:
    return iter(self._values)

  def __contains__(self, name: str) -> bool:
    return name in self._values


# `realm_tf.corpus.readers.Format`s; "auto" asks the others in this order.
READERS = Registry("document format", {
    "auto": "realm_tf.corpus.readers:AUTO", "csv": "realm_tf.corpus.readers.table:CSV",
    "tsv": "realm_tf.corpus.readers.dpr_passages:TSV",
    "jsonl": "realm_tf.corpus.readers.json_lines:JSONL",
    "wikipedia_leads": "realm_tf.corpus.readers.leads:LEADS",
    "wikiextractor": "realm_tf.corpus.readers.wikiextractor:WIKIEXTRACTOR",
    "mediawiki": "realm_tf.corpus.readers.mediawiki:MEDIAWIKI",
    "folder": "realm_tf.corpus.readers.file_folder:FOLDER"})

# Makes a `realm_tf.text.salient_spans.SpanTagger`; dates and numbers are found without it.
TAGGERS = Registry("tagger", {"rules": "realm_tf.text.salient_spans:RuleTagger",
                              "spacy": "realm_tf.text.spacy_tagger:SpacyTagger"})

# The same of a folder, by the file that is in such folders and in no other.
TAGGER_FOLDERS = Registry("tagger in a folder", {
    "tagger.json": "realm_tf.models.tagger:NameTagger"})

# (f(x, z) [B, K], log p(y_j|z,x) [B, K, M], weights [B, M]) -> the losses [B].
LOSSES = Registry("loss", {"joint": "realm_tf.models.losses:joint_loss",
                           "per_mask": "realm_tf.models.losses:per_mask_loss"})

# Makes a `realm_tf.examples.maskers.Masker` of a corpus.
MASKERS = Registry("masker", {
    "salient": "realm_tf.examples.maskers:SalientSpans",
    "related": "realm_tf.examples.maskers:RelatedSpans",
    "random_span": "realm_tf.examples.maskers:RandomSpans",
    "random_token": "realm_tf.examples.maskers:RandomTokens"})

# Makes batches of texts and the documents that they should find, as
# `realm_tf.examples.ict_pairs.ict_batches` does.
WARM_STARTS = Registry("warm-start objective", {
    "ict": "realm_tf.examples.ict_pairs:ict_batches",
    "recurring_spans": "realm_tf.examples.spider:recurring_span_batches"})


# Subclasses of `realm_tf.index.interface.RowIndex`.
INDEXES = Registry("index kind", {"exact": "realm_tf.index.exact:ExactIndex",
                                  "scann": "realm_tf.index.scann:ScannIndex",
                                  "sharded": "realm_tf.index.sharded:ShardedIndex"})

# (prediction, answers, whether these are patterns) -> how right it is, from 0 to 1.
METRICS = Registry("metric", {
    "exact_match": "realm_tf.evaluation.metrics:exact_match",
    "exact_match_by_words": "realm_tf.evaluation.metrics:same_words",
    "f1": "realm_tf.evaluation.metrics:f1"})
