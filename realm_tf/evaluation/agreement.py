"""The answer that agrees with other likely answers: minimum Bayes risk decoding.

A reader that is sure of the place is often unsure where the answer ends: "Barack Obama",
"Obama" and "President Obama" share what one answer deserves, and a wrong one may get more
than each. So the answer is not the most probable string but the one that is worth most on
average, if a string b is right as often as its probability p(b) says (Kumar and Byrne 2004,
with a gain in place of a loss):

    argmax over a of  sum over b of p(b) ([a = b] + F1(a, b)) / 2

What is gained is the mean of the two figures by which answers are measured. F1 alone, that of
the words of both, gains more F1 and loses exact matches; exact match alone is the most
probable string (docs/answers.md). Shape letters: Q questions, S strings, C compared ones, V
words.
"""

import tensorflow as tf

COMPARED = 30  # strings of a question, the most probable ones: others weigh nothing


def most_agreeing(forms: tf.Tensor, probability: tf.Tensor) -> tf.Tensor:
  """Which of each question's strings is the answer.

  Args:
    forms: [Q, S] string: in the form in which answers are compared, no two the same.
    probability: [Q, S] float32; below 0 where there is no string.

  Returns:
    [Q] int32, in [0, S): of those that are worth the same the most probable one, and of
    these the first.
  """
  p, place = tf.math.top_k(probability, tf.minimum(COMPARED, tf.shape(forms)[1]))  # [Q, C]
  f1 = _f1(_word_counts(tf.gather(forms, place, batch_dims=1)))
  worth = p + tf.linalg.matvec(f1, tf.maximum(p, 0.0))
  best = tf.argmax(tf.where(p < 0, -1.0, worth), 1, tf.int32)
  return tf.gather(place, best, batch_dims=1)


def _word_counts(forms: tf.Tensor) -> tf.Tensor:
  """How often a string has each word of its question's: [Q, C] string -> [Q, C, V] int32."""
  shape = tf.shape(forms)
  words = tf.strings.split(tf.reshape(forms, [-1]))  # [Q * C, (words)]
  string = tf.cast(words.value_rowids(), tf.int32)  # [N], of all words
  question = string // shape[1]
  _, word = tf.unique(words.flat_values)
  # Numbered as they come, so that those of a question follow each other.
  _, number = tf.unique(tf.cast(question, tf.int64) * tf.size(word, tf.int64)
                        + tf.cast(word, tf.int64))
  number -= tf.gather(tf.math.unsorted_segment_min(number, question, shape[0]), question)
  most = tf.reduce_max(tf.concat([number, [-1]], 0)) + 1
  return tf.scatter_nd(tf.stack([question, string % shape[1], number], 1),
                       tf.ones_like(number), tf.concat([shape, [most]], 0))


def _f1(counts: tf.Tensor) -> tf.Tensor:
  """Of all pairs of strings of a question: [Q, C, V] int32 -> [Q, C, C] float32."""
  def step(times, common):
    has = tf.cast(counts >= times, tf.float32)  # a word that both have twice is common twice
    return times + 1, common + tf.matmul(has, has, transpose_b=True)

  most = tf.reduce_max(tf.concat([tf.reshape(counts, [-1]), [0]], 0))
  shape = tf.shape(counts)
  _, common = tf.while_loop(lambda times, _: times <= most, step,
                            (1, tf.zeros(tf.stack([shape[0], shape[1], shape[1]]))))
  size = tf.cast(tf.reduce_sum(counts, 2), tf.float32)
  return tf.math.divide_no_nan(2 * common, size[:, :, None] + size[:, None, :])
