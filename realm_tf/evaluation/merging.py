"""From spans to answers: equal texts are one answer, and near-copies are left out.

An answer's probability is the sum of the shares of its places, in whatever blocks; texts are
equal if their normal forms are (SQuAD; `realm_tf.text.answers`). A text that overlaps, at its
best place, an answer that is in the list already ("in Paris" beside "Paris") is a near-copy:
it keeps its probability, and is not listed. The first of the list, the answer, is the most
probable text, or that of `agreement`; the others follow by falling probability. Shape
letters: Q questions, S spans, A answers.
"""

import string
from typing import NamedTuple

import tensorflow as tf
import tensorflow_text as tf_text

from realm_tf.evaluation.agreement import most_agreeing
from realm_tf.evaluation.answer_spans import Spans
from realm_tf.evaluation.confidence import SURE

# As Python has them: punctuation of ASCII, white space, and what `\w` is.
_PUNCTUATION = "[" + "".join(f"\\x{ord(char):02x}" for char in string.punctuation) + "]+"
_SPACES = r"[\s\v\x1c-\x1f\x{85}\pZ]+"
_ARTICLE = r"(^|[^\pL\pN])(?:an?|the)($|[^\pL\pN])"


class Chosen(NamedTuple):
  """Answers to each question: the one that is given, and others, most probable first."""
  score: tf.Tensor  # [Q, A] float32: of the best place; minus infinity where there is none
  probability: tf.Tensor  # [Q, A] float32; 0 where there are no more
  row: tf.Tensor  # [Q, A] int32, of the best place; -1 where there are no more
  first: tf.Tensor  # [Q, A] int32
  last: tf.Tensor  # [Q, A] int32, inclusive


def normal_form(texts: tf.Tensor) -> tf.Tensor:
  """`text.answers.normalize` in the graph; a text of which nothing is left stays as it is.

  Lower case is ICU's instead of Python's, which differ in a few letters.

  Args:
    texts: string of any shape, in UTF-8.

  Returns:
    Strings of that shape.
  """
  flat = tf.reshape(texts, [-1])
  bare = tf.strings.lower(tf_text.normalize_utf8(flat, "NFD"), encoding="utf-8")
  bare = tf.strings.regex_replace(bare, _PUNCTUATION, "")
  # Apart, since a match takes the characters around it: "a the" would keep its second.
  bare = tf.strings.regex_replace(bare, _SPACES, "  ")
  for _ in range(2):  # and two articles may share the one character between them
    bare = tf.strings.regex_replace(bare, _ARTICLE, r"\1 \2")
  bare = tf.strings.strip(tf.strings.regex_replace(bare, _SPACES, " "))
  return tf.reshape(tf.where(bare == "", flat, bare), tf.shape(texts))


def choose_answers(spans: Spans, texts: tf.Tensor, count: tf.Tensor | int, merged: bool,
                   agreement: bool = False) -> Chosen:
  """The answer, and the most probable ones that are no near-copies of those before them.

  Args:
    spans: of each question, best first.
    texts: [Q, S] string, their words.
    count: scalar int32 of at least 1, A.
    merged: whether the probability of an answer is the sum over its places; else it is
      that of its best place alone, and the first answer is the best span, as published.
    agreement: whether the first answer is that of `agreement.most_agreeing`; else it is
      the most probable one.
  """
  exists = tf.math.is_finite(spans.score)
  forms = normal_form(texts)
  _, key = tf.unique(tf.reshape(forms, [-1]))
  key = tf.reshape(key, tf.shape(texts))
  same = (key[:, :, None] == key[:, None, :]) & exists[:, None, :]  # [Q, S, S]
  place = tf.range(tf.shape(texts)[1])
  before = place[:, None] < place[None, :]  # [S, S]
  leads = exists & ~tf.reduce_any(same & before & exists[:, :, None], 1)
  probability = (tf.reduce_sum(tf.where(same, spans.share[:, None, :], 0.0), 2) if merged
                 else spans.share)
  overlap = ((spans.row[:, :, None] == spans.row[:, None, :])
             & (spans.first[:, :, None] <= spans.last[:, None, :])
             & (spans.first[:, None, :] <= spans.last[:, :, None]))
  order = probability
  if agreement:
    first = most_agreeing(forms, tf.where(leads, probability, -1.0))
    order = tf.where(place == first[:, None], 2.0, probability)  # above any probability
  chosen, left = _greedily(leads, order, same, overlap, count)
  score, share, row, first, last = (tf.gather(value, chosen, batch_dims=1) for value in (
      spans.score, probability, spans.row, spans.first, spans.last))
  none = ~left & (tf.range(count) > 0)  # the first has its block, if nothing else
  return Chosen(tf.where(left, score, -float("inf")), tf.where(left, share, 0.0),
                tf.where(none, -1, row), tf.where(none, 0, first), tf.where(none, -1, last))


def rescaled(chosen: Chosen, slope: float, offset: float) -> Chosen:
  """With probabilities sigmoid(slope * logit(p) + offset); what is no answer keeps its 0."""
  p = tf.clip_by_value(chosen.probability, 1 - SURE, SURE)
  logits = tf.math.log(p) - tf.math.log1p(-p)
  return chosen._replace(probability=tf.where(
      chosen.probability > 0, tf.sigmoid(slope * logits + offset), 0.0))


def first_of_each(chosen: Chosen, counts: tf.Tensor) -> Chosen:
  """Of the A answers to each question the first `counts` [P] int32; the others are none."""
  is_wanted = tf.range(tf.shape(chosen.row)[1])[None] < counts[:, None]
  nothing = Chosen(-float("inf"), 0.0, -1, 0, -1)
  return Chosen(*(tf.where(is_wanted, value, none)
                  for value, none in zip(chosen, nothing, strict=True)))


def _greedily(leads: tf.Tensor, order: tf.Tensor, same: tf.Tensor, overlap: tf.Tensor,
              count: tf.Tensor | int) -> tuple[tf.Tensor, tf.Tensor]:
  """The text of highest order, again and again, that is no near-copy of those before.

  Args:
    leads: [Q, S] bool: the best place of each text.
    order: [Q, S] float32, above -1.
    same, overlap: [Q, S, S] bool.
    count: A.

  Returns:
    [Q, A] int32, its place among the S; [Q, A] bool, whether there was one left.
  """
  def step(i, left, chosen, any_left):
    best = tf.argmax(tf.where(left, order, -1.0), 1, tf.int32)  # [Q]
    places = tf.gather(same, best, batch_dims=1)  # [Q, S]
    near = tf.reduce_any(places[:, :, None] & overlap, 1)
    return (i + 1, left & ~near & ~places, chosen.write(i, best),
            any_left.write(i, tf.reduce_any(left, 1)))

  arrays = [tf.TensorArray(dtype, count, element_shape=[None])
            for dtype in (tf.int32, tf.bool)]
  *_, chosen, any_left = tf.while_loop(lambda i, *_: i < count, step, (0, leads, *arrays))
  return tf.transpose(chosen.stack()), tf.transpose(any_left.stack())
