"""What a REALM makes of masked sentences and their candidates: f(x, z), log p(y|z, x).

Guu et al. 2020, section 3.1. Shape letters: B batch, K candidates, M masks, T tokens, U
different blocks among the candidates, V vocabulary, D projection.
"""

import math
from typing import Callable, NamedTuple, Protocol, Sequence

import tensorflow as tf

from realm_tf.corpus.passages import Passages
from realm_tf.examples.pretraining import PretrainingBatch
from realm_tf.models.reader import Reader
from realm_tf.models.retriever import Retriever
from realm_tf.text.inputs import Packed, packed_spec

# Pairs [P, T] with positions, labels and weights [P, M] of their masks -> log probabilities
# [P, M], 0 on padding.
Read = Callable[[Packed, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


_NO_SHARE = -1e9  # a score; minus infinity would make gradients NaN


class Index(Protocol):
  """As much of an index as a step uses; see `index.interface.RowIndex`."""

  def search(self, queries: tf.Tensor, k: int, banned: tf.Tensor | None = None
             ) -> tuple[tf.Tensor, tf.Tensor]: ...

  def gather(self, rows: tf.Tensor) -> tf.Tensor: ...


class Reads(NamedTuple):
  """What is read of a batch of masked sentences with its candidates."""
  query: Packed  # [B, T]: for the query tower
  documents: Packed  # [U, T]: each block once, for the document tower
  place: tf.Tensor  # [B, K] int32: which of them each candidate is
  pairs: tuple[Packed, ...]  # [B * k, T] each, of all K candidates: for the encoder
  positions: tf.Tensor  # [B, M] int32: of the masks, in query and pair alike
  labels: tf.Tensor  # [B, M] int32
  weights: tf.Tensor  # [B, M] float32: 0 on padding


READS = Reads(
    packed_spec("query_"), packed_spec("document_"),
    tf.TensorSpec([None, None], tf.int32, "place"), (packed_spec("pair_"),),
    tf.TensorSpec([None, None], tf.int32, "positions"),
    tf.TensorSpec([None, None], tf.int32, "labels"),
    tf.TensorSpec([None, None], tf.float32, "weights"))


class Scores(NamedTuple):
  """What the marginal loss is made of."""
  relevance: tf.Tensor  # [B, K] float32: f(x, z)
  log_probs: tf.Tensor  # [B, K, M] float32: log p(y_j|z, x); 0 on padding


def pack_reads(retriever: Retriever, encoder: Reader, passages: Passages,
               batch: PretrainingBatch, rows: tf.Tensor, length: int, window: int = 0
               ) -> Reads:
  """Packs what is read of a batch.

  Args:
    retriever, encoder: which will read it.
    passages: the corpus.
    batch: B masked sentences.
    rows: [B, K] int32, their candidates, the first being the null document.
    length: of a packed pair, word pieces.
    window: of each block, see `Passages.after`.
  """
  documents, place = distinct(retriever, passages, rows)
  pairs = tuple(_pairs(passages, batch, part, length, window)
                for part in _groups(encoder, rows))
  return Reads(batch.query, documents, place, pairs, batch.positions, batch.labels,
               batch.weights)


def score_reads(retriever: Retriever, encoder: Reader, reads: Reads, padded: bool = False,
                read: Read | None = None) -> Scores:
  """By the weights as they are; it is a function of these and of `reads` alone.

  With `padded`, logits are made on padding too, so that no shape depends on the data. `read`
  makes log p(y_j|z, x) of pairs; by default the encoder's masked words do.
  """
  queries, documents = retriever((reads.query, reads.documents))
  read = read or (encoder.mask_log_probs_padded if padded else encoder.mask_log_probs)
  return Scores(_products(queries, documents, reads.place), tf.concat([
      read_by_candidate(read, pairs,
                    (reads.positions, reads.labels, reads.weights))
      for pairs in reads.pairs], 1))


def top_candidates(index: Index, passages: Passages, queries: tf.Tensor, banned: tf.Tensor,
                   count: int) -> tf.Tensor:
  """The null document, then the top `count` - 1 of the index: [B, K] rows."""
  _, rows = index.search(queries, count - 1, banned)
  return with_null(passages, rows)


def with_null(passages: Passages, rows: tf.Tensor) -> tf.Tensor:
  """The null document before [B, K - 1] rows."""
  null = tf.fill([tf.shape(rows)[0], 1], passages.null_row)
  return tf.concat([null, rows], 1)


def relevance(retriever: Retriever, passages: Passages, queries: tf.Tensor, rows: tf.Tensor
              ) -> tf.Tensor:
  """f(x, z) by the fresh document tower: [B, D], [B, K] rows -> [B, K].

  A block that several queries retrieved is embedded once.
  """
  documents, place = distinct(retriever, passages, rows)
  return _products(queries, retriever.embed_documents(documents), place)


def mask_log_probs(encoder: Reader, passages: Passages, batch: PretrainingBatch,
                   rows: tf.Tensor, length: int, window: int = 0, read: Read | None = None
                   ) -> tf.Tensor:
  """log p(y_j | z, x) of each mask with each candidate: [B, K] rows -> [B, K, M].

  `window` and `read` as in `pack_reads` and `score_reads`.
  """
  return tf.concat([
      read_by_candidate(read or encoder.mask_log_probs,
                    _pairs(passages, batch, part, length, window),
                    (batch.positions, batch.labels, batch.weights))
      for part in _groups(encoder, rows)], 1)


def mask_distributions(encoder: Reader, passages: Passages, batch: PretrainingBatch,
                       rows: tf.Tensor, length: int, window: int = 0) -> tf.Tensor:
  """log p(. | z, x) at each mask with each candidate: [B, K] rows -> [B, K, M, V]."""
  return tf.concat([
      read_by_candidate(encoder.mask_distributions,
                    _pairs(passages, batch, part, length, window),
                    (batch.positions, batch.weights))
      for part in _groups(encoder, rows)], 1)


def without_special_tokens(query: Packed) -> tf.RaggedTensor:
  """[B, T] -> [B, (T)]: the sentences without special tokens."""
  lengths = tf.reduce_sum(tf.cast(query.padding_mask, tf.int32), 1) - 2
  return tf.RaggedTensor.from_tensor(query.ids[:, 1:], lengths)


def distinct(retriever: Retriever, passages: Passages, rows: tf.Tensor
             ) -> tuple[Packed, tf.Tensor]:
  """The blocks that are among [B, K] rows, each once, packed for the document tower: [U, T];
  and which of them each row is: [B, K] int32."""
  unique, place = tf.unique(tf.reshape(rows, [-1]))
  packed = passages.documents(unique, retriever.document_length)
  return packed, tf.reshape(place, tf.shape(rows))


def _products(queries: tf.Tensor, documents: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
  return tf.einsum("bd,bkd->bk", queries, tf.gather(documents, place))


def _groups(encoder: Reader, rows: tf.Tensor) -> list[tf.Tensor]:
  """The candidates that are padded alike: where rows are padded, the null document, which
  is the first, is read by itself, since those pairs are short."""
  if encoder.bert.packs or rows.shape[1] == 1:
    return [rows]
  return [rows[:, :1], rows[:, 1:]]


def with_null_share(relevance: tf.Tensor, share: float) -> tf.Tensor:
  """Scores [B, K] by whose softmax the null document, the first, has just this share.

  The others divide the rest as before. So the null document competes from the first step on,
  however far its vector is from all queries: where what was retrieved misleads, the posterior
  goes to it, and the retriever learns nothing of the rest instead of noise. Not in the paper,
  where its share is by its score.
  """
  others = tf.reduce_logsumexp(relevance[:, 1:], 1, keepdims=True)
  return tf.concat([others + math.log(share / (1 - share)), relevance[:, 1:]], 1)


def without_null(relevance: tf.Tensor) -> tf.Tensor:
  """Scores [B, K] by whose softmax the null document, the first, has no share."""
  lowest = tf.fill([tf.shape(relevance)[0], 1], _NO_SHARE)
  return tf.concat([lowest, relevance[:, 1:]], 1)


def _pairs(passages: Passages, batch: PretrainingBatch, rows: tf.Tensor, length: int,
           window: int) -> Packed:
  return passages.after(without_special_tokens(batch.sentence), rows, length,
                        whole_questions=True, window=window)


def read_by_candidate(read: Callable[..., tf.Tensor], pairs: Packed,
                      fields: Sequence[tf.Tensor]) -> tf.Tensor:
  """Reads B * k pairs with the fields [B, M] of the batch for each: [B, k, ...]."""
  size, rows = _rows(fields[0]), _rows(pairs.ids)
  count = rows // size
  flat = read(pairs, *(tf.repeat(field, count, axis=0) for field in fields))
  return tf.reshape(flat, tf.concat([[size, count], tf.shape(flat)[1:]], 0))


def _rows(values: tf.Tensor) -> int | tf.Tensor:
  """How many there are; a number where the graph knows it, as XLA needs it."""
  return tf.shape(values)[0] if values.shape[0] is None else values.shape[0]
