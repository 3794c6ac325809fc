"""From a question to an answered one: search, read, cut the answer out of the text.

All of it is in the graph; evaluation, prediction and the exported model run the
same functions. Any bytes are a question: those that are no UTF-8 are passed over, and of
what is too long the beginning is read. Many questions are answered some at a time, so that
memory does not grow with their number. Shape letters: B batch, K passages, R read blocks,
T tokens, W span widths.
"""

from typing import Any, Callable, NamedTuple

import tensorflow as tf

from realm_tf.corpus.passages import Passages, Table
from realm_tf.corpus.store import Corpus
from realm_tf.index.interface import RowIndex
from realm_tf.models.realm import Realm
from realm_tf.text.inputs import pack_single

# What is in memory at a time, at most.
_QUESTIONS = 512  # embedded and searched
_PAIRS = 256  # of a question and a block, read
_ROWS = 1 << 20  # found

_BYTES_PER_PIECE = 64  # that are tokenised of a question, for each piece that can be read


class Answers(NamedTuple):
  """The best answer to each question and where it stands."""
  answer: tf.Tensor  # [B] string, whole words cut from the passage
  score: tf.Tensor  # [B] float32: reader logit + retriever score; finite
  row: tf.Tensor  # [B] int32: block id
  passage_id: tf.Tensor  # [B] string: id of the document
  title: tf.Tensor  # [B] string
  passage: tf.Tensor  # [B] string
  start: tf.Tensor  # [B] int32: characters (Unicode code points) into `passage`
  end: tf.Tensor  # [B] int32: exclusive
  start_byte: tf.Tensor  # [B] int32: the same in bytes of UTF-8
  end_byte: tf.Tensor  # [B] int32


class Passage(NamedTuple):
  """What the index returned, best first."""
  row: tf.Tensor  # [B, K] int32
  score: tf.Tensor  # [B, K] float32
  passage_id: tf.Tensor  # [B, K] string
  title: tf.Tensor  # [B, K] string
  passage: tf.Tensor  # [B, K] string


class _Found(NamedTuple):
  """What a search returned, best first."""
  score: tf.Tensor  # [B, K] float32
  row: tf.Tensor  # [B, K] int32


class _Spans(NamedTuple):
  """The best span of each question."""
  score: tf.Tensor  # [B] float32
  row: tf.Tensor  # [B] int32
  first: tf.Tensor  # [B] int32, piece of the body
  last: tf.Tensor  # [B] int32, inclusive


_FOUND = _Found(tf.TensorSpec([None, None]), tf.TensorSpec([None, None], tf.int32))
_SPANS = _Spans(tf.TensorSpec([None]), *[tf.TensorSpec([None], tf.int32)] * 3)


def _some_at_a_time(function: Callable[[tf.Tensor], Any], questions: tf.Tensor, most,
                    result: Any) -> Any:
  """`function` of at most so many questions at a time, its results end to end.

  Args:
    function: [P] string -> tensors [P, ...]. The parts are equal (collectives want the
      same shapes each time), and none is empty: they are filled up with empty questions.
    questions: [B] string.
    most: scalar int32 of at least 1, the limit of P.
    result: the specs of what `function` returns, their first dimension unknown.
  """
  size = tf.size(questions)
  count = tf.maximum(-(-size // most), 1)
  part = tf.maximum(-(-size // count), 1)
  questions = tf.concat([questions, tf.fill([count * part - size], "")], 0)

  def step(i: tf.Tensor, arrays: Any) -> tuple[tf.Tensor, Any]:
    values = function(questions[i * part:(i + 1) * part])
    return i + 1, tf.nest.map_structure(
        lambda array, value: array.write(i, value), arrays, values)

  arrays = tf.nest.map_structure(lambda spec: tf.TensorArray(
      spec.dtype, count, infer_shape=False, element_shape=spec.shape), result)
  _, arrays = tf.while_loop(lambda i, _: i < count, step, (0, arrays), parallel_iterations=1)
  return tf.nest.map_structure(lambda array: array.concat()[:size], arrays)


def _spans_to(ends: tf.Tensor, width: int) -> tf.Tensor:
  """Whether the span from t to t + w ends at one of `ends`: [R, T] -> [R, T, W] bool."""
  length = tf.shape(ends)[1]
  ends = tf.pad(ends, [[0, 0], [0, width]])
  return tf.stack([ends[:, w:w + length] for w in range(width)], 2)


class QuestionAnswerer(tf.Module):
  """Tokenizer, retriever, index, reader and texts, as one exportable module."""

  def __init__(self, model: Realm, corpus: Corpus, passages: Passages, index: RowIndex,
               read_blocks: int):
    super().__init__(name="question_answerer")
    self.model, self.index, self._passages = model, index, passages
    self._tokenizer = corpus.tokenizer
    self.num_blocks = corpus.num_blocks
    self.read_blocks = min(read_blocks, corpus.num_blocks)
    with tf.device("CPU"):
      self._ids, self._titles, self._texts = (
          tf.Variable(values, trainable=False, dtype=tf.string, name=name)
          for values, name in ((corpus.document_ids, "ids"), (corpus.titles, "titles"),
                               (corpus.texts, "texts")))
    self._starts = Table(corpus.body_starts, "starts")
    self._ends = Table(corpus.body_ends, "ends")

  def embed(self, questions: tf.Tensor) -> tf.Tensor:
    """[B] string -> [B, D] float32."""
    return _some_at_a_time(
        lambda part: self._embed(self._tokenize(part)), questions, _QUESTIONS,
        tf.TensorSpec([None, self.model.retriever.projection_size]))

  def retrieve(self, questions: tf.Tensor, k: tf.Tensor) -> Passage:
    """[B] string, k scalar int32 -> the best K passages.

    Raises:
      tf.errors.InvalidArgumentError: k is negative, or more than the N blocks.
    """
    k, most = tf.convert_to_tensor(k), self.num_blocks
    with tf.control_dependencies([tf.debugging.Assert((k >= 0) & (k <= most), [
        f"k must be from 0 to {most}, the number of blocks, but is", k])]):
      questions, k = tf.identity(questions), tf.identity(k)  # nothing is done before
    return self._passage(_some_at_a_time(
        lambda part: self._search(self._tokenize(part), k), questions,
        tf.clip_by_value(_ROWS // tf.maximum(k, 1), 1, _QUESTIONS), _FOUND))

  def answer(self, questions: tf.Tensor) -> Answers:
    """[B] string -> the best span of the `read_blocks` best passages."""
    def best(part: tf.Tensor) -> _Spans:
      tokens = self._tokenize(part)
      return self._read(tokens, self._search(tokens, self.read_blocks))

    return self._cut(_some_at_a_time(best, questions, self._most(self.read_blocks), _SPANS))

  def answer_and_retrieve(self, questions: tf.Tensor, k: int) -> tuple[Answers, Passage]:
    """`answer` and `retrieve` in one search; k is from `read_blocks` to N."""
    def both(part: tf.Tensor) -> tuple[_Spans, _Found]:
      tokens = self._tokenize(part)
      found = self._search(tokens, k)
      to_read = _Found(*(value[:, :self.read_blocks] for value in found))
      return self._read(tokens, to_read), found

    spans, found = _some_at_a_time(both, questions, self._most(k), (_SPANS, _FOUND))
    return self._cut(spans), self._passage(found)

  def _most(self, k: int) -> int:
    """How many questions are answered at a time."""
    return max(1, min(_PAIRS // self.read_blocks, _ROWS // k))

  def _tokenize(self, questions: tf.Tensor) -> tf.RaggedTensor:
    """[P] string -> [P, (T)] int32: as much of each as can be read."""
    longest = max(self.model.encoder.max_length, self.model.retriever.query_length)
    return self._tokenizer.tokenize(
        tf.strings.substr(questions, 0, longest * _BYTES_PER_PIECE))

  def _embed(self, tokens: tf.RaggedTensor) -> tf.Tensor:
    return self.model.retriever.embed_queries(
        pack_single(tokens, self.model.retriever.query_length, self._tokenizer))

  def _search(self, tokens: tf.RaggedTensor, k: tf.Tensor | int) -> _Found:
    return _Found(*self.index.search(self._embed(tokens), k))

  def _passage(self, found: _Found) -> Passage:
    return Passage(found.row, found.score, *(
        tf.gather(values, found.row) for values in (self._ids, self._titles, self._texts)))

  def _read(self, tokens: tf.RaggedTensor, found: _Found) -> _Spans:
    """The best span of blocks [P, R] by reader logit + retriever score.

    Of those of whole words; where there are none of so few pieces, of all, widened.
    """
    rows = tf.reshape(found.row, [-1])
    packed = self._passages.after(tokens, found.row, self.model.encoder.max_length)
    logits = self.model.encoder.span_logits(packed)  # [P * R, T, W]
    begins, ends = self._passages.word_edges(packed, rows)
    whole = begins[:, :, None] & _spans_to(ends, logits.shape[2])
    length, width = tf.shape(logits)[1], tf.shape(logits)[2]
    size = tf.shape(found.row)[0]

    def flat(logits: tf.Tensor) -> tf.Tensor:
      scores = (tf.reshape(logits, [size, self.read_blocks, length * width])
                + found.score[:, :, None])
      return tf.reshape(scores, [size, self.read_blocks * length * width])

    scores = flat(tf.where(whole, logits, -float("inf")))
    scores = tf.where(tf.reduce_any(tf.math.is_finite(scores), 1, keepdims=True), scores,
                      flat(logits))
    best = tf.argmax(scores, 1, tf.int32)
    block = best // (length * width)
    first = best % (length * width) // width - tf.gather(
        packed.second_start, tf.range(size) * self.read_blocks + block)
    row = tf.gather(found.row, block, batch_dims=1)
    return _Spans(tf.reduce_max(scores, 1), row,
                  *self._passages.whole_words(row, first, first + best % width))

  def _cut(self, spans: _Spans) -> Answers:
    """Cuts the spans out of the original texts; out of an empty block nothing."""
    row, nothing = spans.row, spans.last < spans.first
    start, end = (tf.where(nothing, 0, offsets.at(row, piece)) for offsets, piece in (
        (self._starts, spans.first), (self._ends, spans.last)))
    text = tf.gather(self._texts, row)
    start_character, end_character = (
        tf.strings.length(tf.strings.substr(text, tf.zeros_like(at), at), unit="UTF8_CHAR")
        for at in (start, end))
    return Answers(
        tf.strings.substr(text, start, end - start),
        tf.maximum(spans.score, tf.float32.min),  # no infinity: JSON has none
        row, tf.gather(self._ids, row), tf.gather(self._titles, row), text,
        start_character, end_character, start, end)
