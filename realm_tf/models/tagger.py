"""A tagger of names: a BERT that says of each word which entity it begins or goes on with.

As Devlin et al. 2019 (section 5.3) tag CoNLL-2003: one linear layer over the first piece of
each word. REALM's authors trained such a tagger and never released it. In a folder it is
`tagger.json`, `model.safetensors`, `vocab.txt`; `realm tagger train` writes it.

Shape letters: B batch, T tokens, L labels, H hidden, W words.
"""

import dataclasses
import itertools
import pathlib
from typing import Iterator, NamedTuple, Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from realm_tf import files
from realm_tf.datasets.conll import EntitySpan, entities
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.folders import FolderKind
from realm_tf.models.bert import Bert, BertConfig
from realm_tf.models.dense import dense, initializer
from realm_tf.models.weights import bert_names, dense_names, load_weights, save_names
from realm_tf.text.batching import length_batches
from realm_tf.text.figures import Figure
from realm_tf.text.inputs import Packed, pack_single, packed_spec
from realm_tf.text.salient_spans import CharacterSpan, NamesAndFigures
from realm_tf.text.tokenizer import Tokenizer

_MANIFEST, _WEIGHTS, _VOCABULARY = "tagger.json", "model.safetensors", "vocab.txt"
TAGGER = FolderKind("a tagger", _MANIFEST, lambda manifest: list(manifest["sha256"]))
_SPECIAL = 2  # [CLS] and [SEP]
_BATCH_TOKENS = 4096
_TEXTS = 256  # that are tagged at a time


class Window(NamedTuple):
  """A piece of a sentence that the BERT reads at once."""
  ids: np.ndarray    # [T] int32
  words: np.ndarray  # [W] int: pieces that begin a word


class BertTagger(tf_keras.Model):
  """A label for each word, that is for what a piece begins with.

  Where a sentence is longer than the BERT reads at once, it is read in parts.

  Args:
    bert: its sizes.
    labels: "O", and "B-" and "I-" with each type.
    tokenizer: the one that the BERT was trained with.
    length: word pieces that are read at once, special ones counted.
    rate: of dropout in training.
  """

  def __init__(self, bert: BertConfig, labels: Sequence[str], tokenizer: Tokenizer,
               length: int = 128, rate: float = 0.0):
    super().__init__(name="tagger")
    self.bert = Bert(bert, rate=rate, name="bert")
    self.classifier = dense(bert.hidden_size, len(labels), "classifier",
                            kernel_initializer=initializer())
    self.length = self.bert.length(length, length, "length")
    # Wrapped: Keras would track, and so copy, a list; the tokenizer is no part of it.
    self.labels = tuple(labels)
    self._reads = (tokenizer, tokenizer.continuation)
    self._best = tf.function(lambda packed: tf.argmax(self(packed), -1, tf.int32),
                             input_signature=[packed_spec()])
    self.built = True

  def call(self, packed: Packed, training: bool | None = None) -> tf.Tensor:
    """[B, T] -> [B, T, L]: the logits of each piece's labels."""
    return self.classifier(
        self.bert(packed.ids, packed.padding_mask, packed.segments, training=training))

  @property
  def tokenizer(self) -> Tokenizer:
    return self._reads[0]

  def pack(self, ids: tf.RaggedTensor) -> Packed:
    """[B, (T)] int32 -> `[CLS] x [SEP]`."""
    return pack_single(ids, self.length, self.tokenizer)

  def word_starts(self, ids: np.ndarray) -> np.ndarray:
    """[T] pieces -> [W]: those that begin a word."""
    return np.flatnonzero(~self._reads[1][ids])

  def windows(self, ids: np.ndarray) -> Iterator[Window]:
    """Cuts the pieces of a sentence [T] between words; a word that is longer is cut off."""
    room = self.length - _SPECIAL
    words = self.word_starts(ids)
    ends = [*words[1:].tolist(), len(ids)]
    first = 0
    while first < len(words):
      start = words[first]
      end = max(first + 1, int(np.searchsorted(ends, start + room, side="right")))
      yield Window(ids[start:ends[end - 1]][:room], words[first:end] - start)
      first = end

  def tag(self, sentences: Sequence[np.ndarray]) -> list[list[str]]:
    """The pieces of sentences, [T] integers each -> for each of its W words (what a piece
    begins with) its label."""
    windows = [list(self.windows(ids)) for ids in sentences]
    flat = list(itertools.chain.from_iterable(windows))
    found: list[np.ndarray] = [np.zeros(0, np.int32)] * len(flat)
    for rows in length_batches(np.array([len(window.ids) for window in flat], np.int64),
                               _BATCH_TOKENS):
      packed = self.pack(tf.ragged.constant([flat[row].ids for row in rows], tf.int32))
      for row, best in zip(rows, self._best(packed).numpy()):
        found[row] = best[1 + flat[row].words]
    at = iter(found)
    return [[self.labels[label] for _ in own for label in next(at)] for own in windows]

  def entities(self, sentences: Sequence[Sequence[str]]) -> list[list[EntitySpan]]:
    """Of sentences in words, as those of `read_conll`; a word is as its first part is."""
    tokenizer = self.tokenizer
    flat = tokenizer.tokenize([word for words in sentences for word in words])
    pieces = iter(np.split(flat.values.numpy(), flat.row_splits.numpy()[1:-1]))
    parts = [[next(pieces) for _ in words] for words in sentences]
    empty = [np.zeros(0, np.int32)]
    tagged = self.tag([np.concatenate(words or empty) for words in parts])
    found = []
    for words, labels in zip(parts, tagged, strict=True):
      counts = [len(self.word_starts(ids)) for ids in words]
      firsts = np.cumsum([0, *counts])
      found.append(entities([labels[first] if count else "O"
                             for first, count in zip(firsts, counts)]))
    return found

  # How it is saved.

  def save_to(self, folder: pathlib.Path, **facts: object) -> None:
    """Writes it into a folder, with `facts` in its `tagger.json`."""
    save_names(folder / _WEIGHTS, self._names_of_weights())
    with files.new_file(folder / _VOCABULARY) as file:
      file.writelines(f"{token}\n".encode() for token in self.tokenizer.vocabulary)
    files.write_manifest(folder / _MANIFEST, {
        "bert": dataclasses.asdict(self.bert.config), "labels": list(self.labels),
        "length": self.length, "lower_case": self.tokenizer.lower_case, **facts,
        "sha256": {name: files.sha256(folder / name) for name in (_WEIGHTS, _VOCABULARY)}})

  @classmethod
  def from_folder(cls, folder: PathLike) -> "BertTagger":
    """The tagger in a folder.

    Raises:
      UserError: a file is missing, damaged, or not that of a tagger.
    """
    folder = pathlib.Path(folder)
    manifest = files.read_manifest(folder / _MANIFEST)
    for name, digest in manifest["sha256"].items():
      if not (folder / name).is_file() or files.sha256(folder / name) != digest:
        raise UserError(f"{folder / name}: damaged or missing: its SHA-256 is not the one in "
                        f"{_MANIFEST}; train the tagger again")
    tokenizer = Tokenizer.from_file(folder / _VOCABULARY, manifest["lower_case"])
    model = cls(BertConfig(**manifest["bert"]), manifest["labels"], tokenizer,
                manifest["length"])
    load_weights(folder / _WEIGHTS, model._names_of_weights())
    return model

  def _names_of_weights(self):
    return bert_names(self.bert, "bert.") | dense_names(self.classifier, "classifier")


class NameTagger(NamesAndFigures):
  """Names by a `BertTagger`, dates and numbers by expression; a `SpanTagger`."""

  def __init__(self, folder: PathLike):
    """Opens the tagger in a folder; errors as of `BertTagger.from_folder`."""
    self._model = BertTagger.from_folder(folder)

  def names(self, texts: Sequence[str], sentences: Sequence[Sequence[CharacterSpan]],
            taken: Sequence[Sequence[Figure]]) -> Iterator[list[CharacterSpan]]:
    """See `NamesAndFigures`."""
    del taken
    for first in range(0, len(texts), _TEXTS):
      batch = texts[first:first + _TEXTS]
      places = [(text, *span) for text, spans in enumerate(sentences[first:first + _TEXTS])
                for span in spans]
      found = self._names([batch[text][start:end] for text, start, end in places])
      names: list[list[CharacterSpan]] = [[] for _ in batch]
      for (text, offset, _), spans in zip(places, found, strict=True):
        names[text] += [(offset + start, offset + end) for start, end in spans]
      yield from names

  def _names(self, sentences: Sequence[str]) -> list[list[CharacterSpan]]:
    """Where names stand in each sentence, in characters."""
    encoded = [sentence.encode("utf-8") for sentence in sentences]
    ids, starts, ends = self._model.tokenizer.tokenize_with_offsets(encoded)
    pieces, starts, ends = (part.numpy() for part in (ids.values, starts.values, ends.values))
    splits = ids.row_splits.numpy()
    rows = [slice(first, end) for first, end in zip(splits[:-1], splits[1:])]
    found = []
    for text, row, labels in zip(encoded, rows,
                                 self._model.tag([pieces[row] for row in rows])):
      words = np.append(self._model.word_starts(pieces[row]), row.stop - row.start)
      found.append([
          (len(text[:starts[row][words[first]]].decode("utf-8", "ignore")),
           len(text[:ends[row][words[end] - 1]].decode("utf-8", "ignore")))
          for first, end, _ in entities(labels)])
    return found
