"""Where an answer may not begin, end or go on: inside a number, and over cells or items.

A reader that was trained on prose sees a table as one line of words, and may begin an answer
in one row and end it in the next. Our readers put " | " between the cells of a row, a line
feed between rows and an empty line between paragraphs. A line feed alone is no border, since
plain text may be wrapped: it is one where a line that it parts has cells, or where an item
or a field begins behind it (`field_lines`). "18" is no answer where "18:30" stands, nor "4"
where "4,310" does, "1402" of P-1402, or "10 km" of 10 km/h: word pieces part them, people do
not. Nor has an answer one bracket of two.
"""

import tensorflow as tf

from realm_tf.evaluation.answer_spans import Spans
from realm_tf.text.field_lines import BEGINS

_CELL = r" \| "
_HALF = r"[^()]*\).*|.*\([^()]*"  # one bracket of two: "Ana Li (director"
# Or it has the edge of a cell.
_OVER = rf"(?s)\|.*|.*\||.*({_CELL}|\n[ \t]*\n).*|{_HALF}"
_PARTED = rf"(?s).*({_CELL}|\n{BEGINS}).*"  # lines, which a line feed parts
# Three characters of which the middle one parts nothing: 18:30, P-1402, km/h.
_GOES_ON = "[0-9][.,:][0-9]|[A-Z]-[0-9]|[a-z]/[a-z]"


def broken(texts: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
  """Which spans break a border.

  Args:
    texts: string of any shape, in which the spans are.
    start, end: int32 of that shape, bytes of them; the end exclusive.

  Returns:
    bool of that shape.
  """
  shape = tf.shape(texts)
  texts, start, end = (tf.reshape(value, [-1]) for value in (texts, start, end))
  return tf.reshape(_over_cells(texts, start, end) | _within(texts, start)
                    | _within(texts, end), shape)


def _within(texts: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
  """Whether a number, a code or a unit goes on over the places `at` of texts: all [M]."""
  def goes_on(first: tf.Tensor) -> tf.Tensor:
    least = tf.maximum(first, 0)
    return tf.strings.regex_full_match(
        tf.strings.substr(texts, least, first + 3 - least), _GOES_ON)

  return goes_on(at - 2) | goes_on(at - 1)


def _over_cells(texts: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
  """Whether spans reach over a cell, a row, an item, a field or a paragraph: all [M]."""
  spans = tf.strings.substr(texts, start, end - start)
  over = tf.strings.regex_full_match(spans, _OVER)
  lines = tf.where(~over & tf.strings.regex_full_match(spans, r"(?s).*\n.*"))[:, 0]
  whole = _whole_lines(*(tf.gather(value, lines) for value in (texts, start, end)))
  parted = tf.strings.regex_full_match(whole, _PARTED)
  return tf.tensor_scatter_nd_update(over, lines[:, None], parted)


def _whole_lines(texts: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
  """Spans widened to where their lines begin and end: all [M]."""
  before = tf.strings.substr(texts, tf.zeros_like(start), start)
  after = tf.strings.substr(texts, end, tf.strings.length(texts) - end)
  return tf.strings.join([
      tf.strings.regex_replace(before, r"(?s)^.*\n", ""),
      tf.strings.substr(texts, start, end - start),
      tf.strings.regex_replace(after, r"(?s)\n.*$", "")])


def without(spans: Spans, texts: tf.Tensor, breaks: tf.Tensor) -> tuple[Spans, tf.Tensor]:
  """Spans and their texts [Q, S] less those that `breaks` [Q, S] says.

  These come last and are none then. A question that has no others keeps all.
  """
  score = less(spans.score, breaks)
  gone = tf.math.is_finite(spans.score) & ~tf.math.is_finite(score)
  order = tf.argsort(tf.cast(gone, tf.int32), 1, stable=True)
  fields = (score, tf.where(gone, 0.0, spans.share), *spans[2:], texts)
  *kept, texts = (tf.gather(value, order, batch_dims=1) for value in fields)
  return Spans(*kept), texts


def less(scores: tf.Tensor, breaks: tf.Tensor) -> tf.Tensor:
  """Scores [Q, ..] of spans; minus infinity, which is none, where `breaks` [Q, S] says so.

  A question that has no others keeps all.
  """
  flat = tf.reshape(scores, tf.shape(breaks))
  exists = tf.math.is_finite(flat)
  others = tf.reduce_any(exists & ~breaks, 1, keepdims=True)
  return tf.reshape(tf.where(breaks & others, -float("inf"), flat), tf.shape(scores))
