"""Embeds the corpus: every block through the document tower, longest first.

Blocks of like length share a batch of a fixed number of word pieces, so little is
padded. Shape letters: N blocks, D projection.
"""

from typing import Callable, Iterator

import numpy as np
import tensorflow as tf

from realm_tf.corpus.passages import Passages
from realm_tf.models.retriever import Tower


def length_batches(lengths: np.ndarray, batch_tokens: int) -> Iterator[np.ndarray]:
  """Splits rows into batches of like lengths, of about `batch_tokens` word pieces."""
  order = np.argsort(-lengths, kind="stable").astype(np.int32)
  first = 0
  while first < len(order):
    size = max(1, int(batch_tokens // max(1, lengths[order[first]])))
    yield order[first:first + size]
    first += size


class CorpusEmbedder:
  """Embeds all blocks by its own copy of a document tower.

  `snapshot` copies the weights of the live tower; `batches` may then run on another
  thread while the live one trains.
  """

  def __init__(self, passages: Passages, make_tower: Callable[[], Tower],
               document_length: int, batch_tokens: int):
    self._passages = passages
    self._tower = make_tower()
    self._batch_tokens = batch_tokens
    self._lengths = np.minimum(passages.document_lengths, document_length)
    signature = [tf.TensorSpec([None], tf.int32)]

    @tf.function(input_signature=signature)
    def embed(rows: tf.Tensor) -> tf.Tensor:
      return self._tower(passages.documents(rows, document_length))

    self._embed = embed
    embed(tf.constant([passages.null_row]))  # makes the variables

  def snapshot(self, tower: Tower) -> None:
    for copy, live in zip(self._tower.variables, tower.variables, strict=True):
      copy.assign(live)

  def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields rows [b] int32 and their embeddings [b, D] float32."""
    for rows in length_batches(self._lengths, self._batch_tokens):
      yield rows, self._embed(tf.constant(rows)).numpy()

  @property
  def num_rows(self) -> int:
    return self._passages.num_blocks


class NotFinite(ValueError):
  """The document tower gave a NaN or an infinity: training has diverged."""


def collect(batches: Iterator[tuple[np.ndarray, np.ndarray]], num_rows: int,
            on_rows: Callable[[int], None] = lambda count: None) -> np.ndarray:
  """Puts the batches in the order of their rows: [N, D] float32.

  Args:
    batches: see `CorpusEmbedder.batches`; every row once.
    num_rows: N.
    on_rows: is told how many rows each batch had; may raise to stop the work.
  """
  table: np.ndarray | None = None
  for rows, embeddings in batches:
    if not np.isfinite(embeddings).all():
      raise NotFinite(f"the embedding of block {rows[0]} is not finite: the document "
                      "tower has diverged; lower the learning rate")
    if table is None:
      table = np.empty([num_rows, embeddings.shape[1]], np.float32)
    table[rows] = embeddings
    on_rows(len(rows))
  if table is None:
    raise ValueError("there is nothing to embed")
  return table
