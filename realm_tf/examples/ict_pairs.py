"""Inverse Cloze Task examples (ORQA, section 5): a sentence and its block.

Shape letters: B batch, T tokens.
"""

from typing import NamedTuple

import tensorflow as tf

from realm_tf.config import ICTConfig
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.tables import Table, at, columns
from realm_tf.errors import UserError
from realm_tf.examples import order
from realm_tf.examples.corpus_sentences import findable_sentences
from realm_tf.text.inputs import Packed, joined, pack_pair, pack_single


class ICTBatch(NamedTuple):
  queries: Packed  # [B, T]: the sentence
  documents: Packed  # [B, T]: its block, mostly without the sentence
  rows: tf.Tensor  # [B] int32: block ids, to keep a block from being its own negative
  # More documents that no query should find, and their block ids; ICT has none.
  negatives: Packed | tuple[()] = ()  # [B, T]
  negative_rows: tf.Tensor | tuple[()] = ()  # [B] int32

  @property
  def all_documents(self) -> Packed:
    """[B', T]: those of the queries first."""
    return joined(self.documents, self.negatives) if self.negatives else self.documents

  @property
  def all_rows(self) -> tf.Tensor:
    """[B'] int32, theirs."""
    return tf.concat([self.rows, self.negative_rows], 0) if self.negatives else self.rows


def num_ict_examples(corpus: Corpus) -> int:
  """How many sentences there are to learn from."""
  return len(findable_sentences(corpus).row)


def cut(rows: tf.RaggedTensor, start: tf.Tensor, end: tf.Tensor,
        keep_inside: bool) -> tf.RaggedTensor:
  """Keeps what lies inside [start, end) of each row, or what lies outside of it."""
  place = tf.ragged.range(rows.row_lengths())
  owner = place.value_rowids()
  inside = ((place.values >= tf.gather(tf.cast(start, tf.int64), owner))
            & (place.values < tf.gather(tf.cast(end, tf.int64), owner)))
  return tf.ragged.boolean_mask(rows, rows.with_values(inside == keep_inside))


def ict_batches(corpus: Corpus, *, batch_size: int, removal_rate: float,
                query_length: int, document_length: int, seed: int, first_step: int,
                last_step: int, fixed_lengths: bool = False,
                settings: ICTConfig | None = None) -> tf.data.Dataset:
  """Yields an `ICTBatch` per step; the same (seed, step) gives the same batch.

  The sentence is removed from its block with probability `removal_rate`, else it
  stays, so that the retriever learns both to understand and to match words. With
  `fixed_lengths` all batches have the same T, the lengths given. The `settings` of a run's
  `ict` section are for objectives that need more of them.
  """
  del settings
  sentences = findable_sentences(corpus)
  if not len(sentences.row):
    raise UserError("ICT: no block of the corpus has two sentences; "
                    "give longer documents or set --config.ict.steps=0")
  table = columns(sentences)
  titles, bodies = Table(corpus.title_ids), Table(corpus.body_ids)
  special, multiple = corpus.tokenizer, 0 if fixed_lengths else 8

  def batch(step: tf.Tensor, chosen: tf.Tensor) -> ICTBatch:
    row, start, end = at(table, chosen)
    body = bodies.gather(row)
    query = pack_single(cut(body, start, end, keep_inside=True), query_length, special,
                        multiple)
    removed = order.uniform(step, seed, batch_size) < removal_rate
    context = cut(body, start, tf.where(removed, end, start), keep_inside=False)
    document = pack_pair(titles.gather(row), context, document_length, special, multiple)
    return order.fix_batch_size(ICTBatch(query, document, row), batch_size)

  return order.shuffled_batches(
      len(sentences.row), batch_size, seed, first_step, last_step
  ).map(batch, num_parallel_calls=2, deterministic=True).prefetch(4)
