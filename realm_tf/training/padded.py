"""`scores.Reads` whose shapes do not depend on the data, which is what XLA needs.

The host packs a whole batch to the lengths of the config (`pack`), the replicas take their
examples of it, and `reads` gives them the same structure that `scores.pack_reads` makes of
data of any length: one forward pass, two packers. Here a document that several queries
retrieved is embedded for each, and padding costs what words do.

Shape letters: B batch, K candidates, T tokens, U documents.
"""

from typing import NamedTuple

import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.examples.pretraining import PretrainingBatch
from realm_tf.models.scores import Reads, without_special_tokens
from realm_tf.text.inputs import Packed, SpecialIds


class PaddedReads(NamedTuple):
  """What is read of each example's candidates, an example per row."""
  documents: Packed  # [B, K - 1, T]: of the null document nothing is to be packed
  null_pairs: Packed  # [B, 1, T]: short, since the null document is empty
  pairs: Packed  # [B, K - 1, T]


def pack(config: RealmConfig, passages: Passages, batch: PretrainingBatch, rows: tf.Tensor
         ) -> PaddedReads:
  """Looks up and packs on the host; rows [B, K], column 0 the null document."""
  others, questions = rows[:, 1:], without_special_tokens(batch.sentence)
  length = config.pretrain.encoder_length
  # `[CLS] x [SEP] [SEP]` is one longer than the query.
  shortest = min(length, config.pretrain.query_length + 1)
  documents = passages.documents(tf.reshape(others, [-1]), config.retriever.document_length,
                                 multiple=0)

  def pairs(rows: tf.Tensor, length: int) -> Packed:
    return by_candidate(passages.after(questions, rows, length, multiple=0,
                                       whole_questions=True,
                                       window=config.pretrain.window), rows)

  return PaddedReads(by_candidate(documents, others), pairs(rows[:, :1], shortest),
                     pairs(others, length))


def reads(batch: PretrainingBatch, padded: PaddedReads, special: SpecialIds) -> Reads:
  """What a replica reads of its examples; the null document is the last of the U."""
  size, others, length = padded.documents.ids.shape
  ids = [special.cls_id, special.sep_id, special.sep_id] + [special.pad_id] * (length - 3)
  at = tf.range(length)[None]
  null = Packed(tf.constant([ids]), at < 3, tf.cast(at == 2, tf.int32), tf.constant([2]))
  documents = tf.nest.map_structure(lambda *rows: tf.concat(rows, 0),
                                    flat(padded.documents), null)
  place = tf.concat([tf.fill([size, 1], size * others),
                     tf.reshape(tf.range(size * others), [size, others])], 1)
  return Reads(batch.query, documents, place, (flat(padded.null_pairs), flat(padded.pairs)),
               batch.positions, batch.labels, batch.weights)


def by_candidate(packed: Packed, rows: tf.Tensor) -> Packed:
  """[B * K, ...] -> [B, K, ...], rows being [B, K]."""
  return tf.nest.map_structure(
      lambda t: tf.reshape(t, [*rows.shape, *_lengths(t.shape[1:])]), packed)


def flat(packed: Packed) -> Packed:
  """[B, K, ...] -> [B * K, ...]"""
  return tf.nest.map_structure(
      lambda t: tf.reshape(t, [t.shape[0] * t.shape[1], *_lengths(t.shape[2:])]), packed)


def each_by_itself(packed: Packed) -> tuple[Packed, tf.Tensor]:
  """[B, K, ...] -> [B * K, ...], and which of these each is: [B, K] int32.

  As `scores.distinct`, but what several queries have in common is there for each.
  """
  size, count = packed.ids.shape[:2]
  return flat(packed), tf.reshape(tf.range(size * count), [size, count])


def _lengths(shape: tf.TensorShape) -> list[int]:
  """The lengths for `tf.reshape`; one of them may be unknown until the step runs."""
  return [-1 if length is None else length for length in shape]
