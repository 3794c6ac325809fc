"""The best blocks once more, their words compared exactly and not by codes.

The lexical part of a score has an error from the codes of other words (`models.lexical`). Of
some blocks that were found the word pieces themselves are at hand, and so BM25 as it is.
Shape letters: B batch, T tokens of a question, K found blocks, D dimensions.
"""

import tensorflow as tf

from realm_tf.corpus.passages import Passages
from realm_tf.evaluation.answer_spans import RetrievedBlocks
from realm_tf.evaluation.in_parts import in_parts
from realm_tf.index.interface import RowIndex
from realm_tf.models.retriever import Retriever
from realm_tf.text.inputs import Packed

_PAIRS = 2048  # of a question and a block, at a time


def by_exact_words(retriever: Retriever, passages: Passages, index: RowIndex,
                   questions: Packed, vectors: tf.Tensor, found: RetrievedBlocks, most: int
                   ) -> RetrievedBlocks:
  """Found blocks in a better order, by the learnt score and exact words.

  Args:
    retriever: with lexical dimensions.
    passages, index: what was searched.
    questions: [B, T].
    vectors: of the questions, [B, D].
    found: [B, K], best first.
    most: so many of these are compared. Others come after them, with no higher scores.
  """
  asked, held = retriever.query_tower.lexical, retriever.document_tower.lexical
  if not asked or not held:
    raise ValueError("the retriever has no lexical dimensions")
  first = RetrievedBlocks(*(value[:, :most] for value in found))
  count = tf.shape(first.row)[1]

  def matched(ids: tf.Tensor, weights: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    return held.matched(ids, weights, passages.documents(rows, retriever.document_length))

  pairs = [tf.repeat(values, count, 0) for values in (
      questions.ids, asked.weigh(questions))] + [tf.reshape(first.row, [-1])]
  exact = tf.reshape(in_parts(matched, pairs, _PAIRS, tf.TensorSpec([None])),
                     tf.shape(first.row))
  coded = tf.einsum("bl,bkl->bk", vectors[:, -asked.size:],
                    index.gather(first.row)[..., -held.size:])
  score, places = tf.math.top_k(first.score - coded + exact, count)
  rest = tf.minimum(found.score[:, most:], score[:, -1:])
  return RetrievedBlocks(
      tf.concat([score, rest], 1),
      tf.concat([tf.gather(first.row, places, batch_dims=1), found.row[:, most:]], 1))
