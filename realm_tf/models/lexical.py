"""The words of a text in its vector, so that one inner product knows what BM25 knows.

A dense retriever misses names and rare words that BM25 finds, and each finds what the other
does not (Chen et al. 2021, SPAR, arXiv 2110.06918; Gao et al. 2021, CLEAR, arXiv 2004.13969).
Here a tower's vector ends in some dimensions more, the sum of a code for each of its word
pieces: random signs, nearly orthogonal to those of all others (Johnson and Lindenstrauss
1984; Lin and Lin 2023, arXiv 2206.09912, densify by slices instead). So the inner product of
two texts is about that of their vectors of words, as BM25 weighs these, with an error that
falls as 1 / sqrt(dimensions). Nothing of it is learnt.

Shape letters: B batch, T tokens, L lexical dimensions, V vocabulary.
"""

import numpy as np
import tensorflow as tf
import tf_keras

from realm_tf.corpus.word_statistics import WordStatistics
from realm_tf.text.inputs import Packed

_SATURATION, _LENGTH_SHARE = 1.5, 0.75  # BM25's k1 and b
_BITS = 32
# The constants of SplitMix64 (Steele, Lea and Flood 2014), as signed numbers.
_GOLDEN, _FIRST, _SECOND = (value - 2 ** 64 for value in (
    0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


class Lexical(tf_keras.layers.Layer):
  """Packed text to the sum of its words' codes: [B, T] -> [B, L] float32.

  A word piece w weighs sqrt(weight * idf(w)) * tf / (tf + k1 * (1 - b + b * length / mean)),
  on both sides, where tf is how often the text has it; the idf is Lucene's. What no block of
  the corpus of `adapt` holds weighs nothing, and before `adapt` nothing does.

  Args:
    vocab_size: V.
    size: L.
    weight: of BM25 within the scores; a question's own saturation takes a third of it.
  """

  def __init__(self, vocab_size: int, size: int, weight: float, **kwargs):
    super().__init__(trainable=False, **kwargs)
    self.size, self.weight = size, weight
    with tf.name_scope(self.name):
      self.word_weights = tf.Variable(tf.zeros([vocab_size]), trainable=False,
                                      name="word_weights")
      self.mean_length = tf.Variable([1.0], trainable=False, name="mean_length")
    self.built = True

  def adapt(self, statistics: WordStatistics) -> None:
    """Weighs words by how rare they are in a corpus."""
    holding, total = statistics.holding, statistics.num_blocks
    idf = np.where(holding > 0, np.log1p((total - holding + 0.5) / (holding + 0.5)), 0.0)
    self.word_weights.assign(np.sqrt(self.weight * idf).astype(np.float32))
    self.mean_length.assign([max(statistics.mean_length, 1.0)])

  def call(self, packed: Packed) -> tf.Tensor:
    weights = self.weigh(packed)
    ones = tf.cast(code_bits(packed.ids, self.size), tf.float32)  # [B, T, L]
    signed = 2 * tf.einsum("bt,btl->bl", weights, ones) - tf.reduce_sum(
        weights, 1, keepdims=True)
    return tf.ensure_shape(signed / self.size ** 0.5, [None, self.size])

  def weigh(self, packed: Packed) -> tf.Tensor:
    """[B, T] float32: each occurrence of a word has its share of what all have together."""
    counts, saturation = self._counted(packed.ids, packed)
    return (tf.gather(self.word_weights, packed.ids)
            * tf.cast(packed.padding_mask, tf.float32) / (counts + saturation))

  def matched(self, ids: tf.Tensor, weights: tf.Tensor, others: Packed) -> tf.Tensor:
    """What products of codes are about: those of the vectors of words, [B] float32.

    Args:
      ids, weights: [B, T]: of texts, see `weigh`.
      others: [B, T'], a text for each.
    """
    counts, saturation = self._counted(ids, others)
    return tf.reduce_sum(weights * tf.gather(self.word_weights, ids) * counts
                         / (counts + saturation), 1)

  def _counted(self, ids: tf.Tensor, texts: Packed) -> tuple[tf.Tensor, tf.Tensor]:
    """How often texts have words [B, T], and with how often BM25 is half satisfied [B, 1]."""
    present = tf.cast(texts.padding_mask, tf.float32)
    equal = tf.cast(ids[:, :, None] == texts.ids[:, None], tf.float32)
    length = tf.reduce_sum(present, 1, keepdims=True)
    return tf.einsum("btu,bu->bt", equal, present), _SATURATION * (
        1 - _LENGTH_SHARE + _LENGTH_SHARE * length / self.mean_length)


def code_bits(ids: tf.Tensor, size: int) -> tf.Tensor:
  """Of each id as many random bits, always the same: [...] int32 -> [..., size] int32.

  They are the upper halves of SplitMix64's outputs, `ceil(size / 32)` for each id.
  """
  groups = -(-size // _BITS)
  numbers = tf.cast(ids, tf.int64)[..., None] * groups + tf.range(groups, dtype=tf.int64)
  mixed = (numbers + 1) * _GOLDEN
  mixed = _xor_shifted(mixed, 30) * _FIRST
  mixed = _xor_shifted(mixed, 27) * _SECOND
  words = tf.cast(tf.bitwise.right_shift(_xor_shifted(mixed, 31), tf.constant(32, tf.int64)),
                  tf.int32)
  bits = tf.bitwise.bitwise_and(
      tf.bitwise.right_shift(words[..., None], tf.range(_BITS)), 1)
  return tf.reshape(bits, tf.concat([tf.shape(ids), [groups * _BITS]], 0))[..., :size]


def _xor_shifted(values: tf.Tensor, count: int) -> tf.Tensor:
  """x ^ (x >> count) of numbers taken as unsigned."""
  shifted = tf.bitwise.right_shift(values, tf.constant(count, tf.int64))
  return tf.bitwise.bitwise_xor(values, tf.bitwise.bitwise_and(
      shifted, tf.constant(2 ** (64 - count) - 1, tf.int64)))
