"""What a pre-training step reads: documents for the retriever, pairs for the encoder.

One structure and one forward pass, packed in two ways. `pack` follows the data: a document
that several queries retrieved is embedded once, and rows are as long as the longest. With
`pack_padded` no shape depends on the data, which is what XLA needs: the host packs a whole
batch to the lengths of the config, the replicas take their examples of it, and
`unpadded_reads` gives them the same structure. There a document that several queries
retrieved is embedded for each, and padding costs what words do.

Shape letters: B batch, K candidates, U documents, M masks, T tokens, D projection, V
vocabulary.
"""

from typing import Callable, NamedTuple, Sequence

import tensorflow as tf

from realm_tf.corpus.passages import Passages
from realm_tf.examples.pretraining import PretrainingBatch
from realm_tf.models.realm import Realm
from realm_tf.text.inputs import Packed, SpecialIds


class Reads(NamedTuple):
  """The inputs of the document tower and of the encoder for K candidates of each query."""
  documents: Packed  # [U, T]: `[CLS] title [SEP] body [SEP]`
  place: tf.Tensor  # [B, K] int32: which of the U documents each candidate is
  # `[CLS] x [SEP] body [SEP]`, of consecutive candidates in each: [B * k, T], K in all.
  pairs: tuple[Packed, ...]


class PaddedReads(NamedTuple):
  """`Reads` with an example per row and fixed lengths, as replicas share them out."""
  documents: Packed  # [B, K - 1, T]: of the null document nothing is to be packed
  null_pairs: Packed  # [B, 1, T]: short, since the null document is empty
  pairs: Packed  # [B, K - 1, T]


def distinct_documents(model: Realm, passages: Passages, rows: tf.Tensor
                       ) -> tuple[Packed, tf.Tensor]:
  """The blocks that are among [B, K] rows, each once, and which of them each row is."""
  unique, place = tf.unique(tf.reshape(rows, [-1]))
  packed = passages.documents(unique, model.config.retriever.document_length)
  return packed, tf.reshape(place, tf.shape(rows))


def pack_pairs(model: Realm, passages: Passages, batch: PretrainingBatch, rows: tf.Tensor
               ) -> tuple[Packed, ...]:
  """The encoder's inputs for [B, K] rows; see `Reads.pairs`.

  Candidate 0 is the null document: where padding costs something, those pairs are packed by
  themselves, since they are short.
  """
  parts = [rows] if model.encoder.bert.packs else [rows[:, :1], rows[:, 1:]]
  length = model.config.pretrain.encoder_length
  return tuple(passages.after(masked_sentences(batch), part, length, whole_questions=True)
               for part in parts)


def pack(model: Realm, passages: Passages, batch: PretrainingBatch, rows: tf.Tensor) -> Reads:
  """Looks up and packs at lengths that follow the data; rows [B, K], column 0 null."""
  return Reads(*distinct_documents(model, passages, rows),
               pack_pairs(model, passages, batch, rows))


def pack_padded(model: Realm, passages: Passages, batch: PretrainingBatch, rows: tf.Tensor
                ) -> PaddedReads:
  """Looks up and packs on the host, at the lengths of the config; rows as in `pack`."""
  config, found = model.config, rows[:, 1:]
  questions, length = masked_sentences(batch), config.pretrain.encoder_length
  # `[CLS] x [SEP] [SEP]` is one longer than the query.
  shortest = min(length, config.pretrain.query_length + 1)
  documents = passages.documents(tf.reshape(found, [-1]), config.retriever.document_length,
                                 multiple=0)

  def pairs(rows: tf.Tensor, length: int) -> Packed:
    return by_candidate(passages.after(questions, rows, length, multiple=0,
                                       whole_questions=True), rows)

  return PaddedReads(by_candidate(documents, found), pairs(rows[:, :1], shortest),
                     pairs(found, length))


def unpadded_reads(padded: PaddedReads, special: SpecialIds) -> Reads:
  """The same as `Reads`, on a replica: the null document is the last of the U."""
  documents = flat(padded.documents)
  size, others, length = padded.documents.ids.shape
  null = tf.constant([[special.cls_id, special.sep_id, special.sep_id]
                      + [special.pad_id] * (length - 3)])
  place = tf.range(length)[None]
  null = Packed(null, place < 3, tf.cast(place == 2, tf.int32), tf.constant([2]))
  documents = tf.nest.map_structure(lambda *rows: tf.concat(rows, 0), documents, null)
  place = tf.concat([tf.fill([size, 1], size * others),
                     tf.reshape(tf.range(size * others), [size, others])], 1)
  return Reads(documents, place, (flat(padded.null_pairs), flat(padded.pairs)))


def relevance(queries: tf.Tensor, documents: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
  """f(x, z) of each candidate: queries [B, D], documents [U, D], place [B, K] -> [B, K]."""
  return tf.einsum("bd,bkd->bk", queries, tf.gather(documents, place))


def mask_log_probs(model: Realm, batch: PretrainingBatch, pairs: Sequence[Packed],
                   padded: bool = False) -> tf.Tensor:
  """log p(y_j | z, x) of each mask with each candidate: [B, K, M].

  With `padded`, logits are made on padding too, so that no shape depends on the data.
  """
  read = (model.encoder.mask_log_probs_padded if padded else model.encoder.mask_log_probs)
  return _by_pair(read, batch, pairs, (batch.positions, batch.labels, batch.weights))


def mask_distributions(model: Realm, batch: PretrainingBatch, pairs: Sequence[Packed]
                       ) -> tf.Tensor:
  """log p(. | z, x) at each mask with each candidate: [B, K, M, V]."""
  return _by_pair(model.encoder.mask_distributions, batch, pairs,
                  (batch.positions, batch.weights))


def _by_pair(read: Callable[..., tf.Tensor], batch: PretrainingBatch,
             pairs: Sequence[Packed], fields: Sequence[tf.Tensor]) -> tf.Tensor:
  """Reads each part of the pairs with the fields [B, M] of its sentences: [B, K, ...]."""
  parts = []
  for packed in pairs:
    size, rows = _rows(batch.weights), _rows(packed.ids)
    count = rows // size
    found = read(packed, *(tf.repeat(field, count, axis=0) for field in fields))
    parts.append(tf.reshape(found, tf.concat([[size, count], tf.shape(found)[1:]], 0)))
  return tf.concat(parts, 1)


def _rows(values: tf.Tensor) -> int | tf.Tensor:
  """How many there are; a number where the graph knows it, as XLA needs it."""
  return tf.shape(values)[0] if values.shape[0] is None else values.shape[0]


def masked_sentences(batch: PretrainingBatch) -> tf.RaggedTensor:
  """[B, (T)]: the masked sentences without special tokens."""
  lengths = tf.reduce_sum(tf.cast(batch.query.mask, tf.int32), 1) - 2
  return tf.RaggedTensor.from_tensor(batch.query.ids[:, 1:], lengths)


def by_candidate(packed: Packed, rows: tf.Tensor) -> Packed:
  """[B * K, ...] -> [B, K, ...], rows being [B, K]."""
  return tf.nest.map_structure(lambda t: tf.reshape(t, [*rows.shape, *t.shape[1:]]), packed)


def flat(packed: Packed) -> Packed:
  """[B, K, ...] -> [B * K, ...]"""
  return tf.nest.map_structure(
      lambda t: tf.reshape(t, [t.shape[0] * t.shape[1], *t.shape[2:]]), packed)
