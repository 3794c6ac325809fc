"""Questions made of the words around a span: noisy clozes (Lewis et al. 2019).

"Unsupervised Question Answering by Cloze Translation", arXiv 1906.04980, section 2.3.2: a
question word that fits the kind of answer, then the words around it, some of which are
dropped and the others displaced a little. So a reader cannot go by what stands literally
before and after, and the form is that of questions as people ask them. Shape letters: B
batch, T tokens, W words.
"""

import tensorflow as tf

from realm_tf.examples.askable_spans import Kind
from realm_tf.text.tokenizer import Tokenizer

_DROPPED = 0.1  # of the words
_DROPPED_OTHERS = 0.7  # of punctuation
_DISPLACED = 2.0  # places, less than; the paper's is 3
_MARKED = 0.6  # of the questions end with a question mark
_CHOICES = 10  # question words of each kind, as often as they shall come
_WORDS = {
    Kind.NAME: ("who",) * 4 + ("what",) * 2 + ("which",) * 2 + ("where",) * 2,
    Kind.DATE: ("when",) * 7 + ("in what year",) * 2 + ("what year",),
    Kind.NUMBER: ("how many",) * 7 + ("how much", "how long", "what"),
    Kind.PHRASE: ("what",) * 8 + ("which", "how")}


class QuestionMaker:
  """Makes questions, in the graph."""

  def __init__(self, tokenizer: Tokenizer):
    self._continuation = tf.constant(tokenizer.continuation)
    self._dropped = tf.constant([
        _DROPPED if any(map(str.isalnum, piece)) else _DROPPED_OTHERS
        for piece in tokenizer.vocabulary])
    self._words = tokenizer.tokenize([word for kind in Kind for word in _WORDS[kind]])
    self._marks = tokenizer.tokenize(["", "?"])

  def __call__(self, before: tf.RaggedTensor, after: tf.RaggedTensor, kind: tf.Tensor,
               seed: tf.Tensor) -> tf.RaggedTensor:
    """A question for each span.

    Args:
      before, after: [B, (T)] int32, the words around it.
      kind: [B] int32, a `Kind`.
      seed: [2] int, of what is drawn.

    Returns:
      [B, (T)] int32.
    """
    words = self._displaced(tf.concat([before, after], 1), seed)
    size = tf.shape(kind)[0]
    drawn = tf.random.stateless_uniform([2, size], seed + [0, 1])
    asked = tf.gather(self._words, kind * _CHOICES + tf.cast(drawn[0] * _CHOICES, tf.int32))
    marked = tf.gather(self._marks, tf.cast(drawn[1] < _MARKED, tf.int32))
    return tf.concat([asked, words, marked], 1)

  def _displaced(self, pieces: tf.RaggedTensor, seed: tf.Tensor) -> tf.RaggedTensor:
    """Without some of the words, the others near to where they were."""
    row = pieces.value_rowids()
    begins = ~tf.gather(self._continuation, pieces.values)
    word = tf.cumsum(tf.cast(begins, tf.int32))
    begun = tf.concat([[0], word], 0)  # before each piece
    first = tf.gather(begun, tf.cast(pieces.row_starts(), tf.int32))
    local = word - tf.gather(first, row)  # from 1; 0 where a row begins inside a word
    drawn = tf.random.stateless_uniform([2, begun[-1] + 1], seed)
    kept = tf.gather(drawn[0], word) >= tf.gather(self._dropped, pieces.values)
    place = tf.cast(local, tf.float32) + _DISPLACED * tf.gather(drawn[1], word)
    # Stable by row, then by place; pieces of a word have the same place and stay together.
    order = tf.argsort(place, stable=True)
    order = tf.gather(order, tf.argsort(tf.gather(row, order), stable=True))
    displaced = tf.gather(pieces.values, order)
    return tf.ragged.boolean_mask(pieces.with_values(displaced),
                                  pieces.with_values(tf.gather(kept, order)))
