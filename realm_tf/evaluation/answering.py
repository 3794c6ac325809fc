"""From a question to an answered one: search, read, cut the answer out of the text.

All of it is in the graph; evaluation, prediction and the exported model run the
same functions. Shape letters: B batch, K passages, R read blocks, T tokens.
"""

from typing import NamedTuple

import tensorflow as tf

from realm_tf.corpus.passages import Passages, Table
from realm_tf.corpus.store import Corpus
from realm_tf.index.interface import RowIndex
from realm_tf.models.realm import Realm
from realm_tf.text.inputs import pack_single


class Answers(NamedTuple):
  """The best answer to each question and where it stands."""
  answer: tf.Tensor  # [B] string, cut from the passage
  score: tf.Tensor  # [B] float32: reader logit + retriever score
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


class QuestionAnswerer(tf.Module):
  """Tokenizer, retriever, index, reader and texts, as one exportable module."""

  def __init__(self, model: Realm, corpus: Corpus, passages: Passages, index: RowIndex,
               read_blocks: int):
    super().__init__(name="question_answerer")
    self.model, self.index, self._passages = model, index, passages
    self._tokenizer = corpus.tokenizer
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
    return self._embed(self._tokenizer.tokenize(questions))

  def retrieve(self, questions: tf.Tensor, k: tf.Tensor) -> Passage:
    """[B] string, k scalar int32 (at most N) -> the best K passages."""
    return self._passage(*self.index.search(self.embed(questions), k))

  def answer(self, questions: tf.Tensor) -> Answers:
    """[B] string -> the best span of the `read_blocks` best passages."""
    tokens = self._tokenizer.tokenize(questions)
    return self._read(tokens, *self.index.search(self._embed(tokens), self.read_blocks))

  def answer_and_retrieve(self, questions: tf.Tensor, k: int) -> tuple[Answers, Passage]:
    """`answer` and `retrieve` in one search; k is at least `read_blocks`."""
    tokens = self._tokenizer.tokenize(questions)
    scores, rows = self.index.search(self._embed(tokens), k)
    return (self._read(tokens, scores[:, :self.read_blocks], rows[:, :self.read_blocks]),
            self._passage(scores, rows))

  def _passage(self, scores: tf.Tensor, rows: tf.Tensor) -> Passage:
    return Passage(rows, scores, tf.gather(self._ids, rows), tf.gather(self._titles, rows),
                   tf.gather(self._texts, rows))

  def _read(self, tokens: tf.RaggedTensor, scores: tf.Tensor, rows: tf.Tensor) -> Answers:
    """The best span of blocks [B, R] by reader logit + retriever score."""
    packed = self._passages.after(tokens, rows, self.model.encoder.max_length)
    logits = self.model.encoder.span_logits(packed)  # [B * R, T, W]
    length, width = tf.shape(logits)[1], tf.shape(logits)[2]
    size = tf.shape(rows)[0]
    logits = tf.reshape(logits, [size, self.read_blocks, -1]) + scores[:, :, None]
    best = tf.argmax(tf.reshape(logits, [size, -1]), 1, tf.int32)
    block = best // (length * width)
    first = best % (length * width) // width
    chosen = tf.range(size) * self.read_blocks + block
    piece = first - tf.gather(packed.second_start, chosen)
    row = tf.gather(rows, block, batch_dims=1)
    return self._cut(row, piece, piece + best % width,
                     tf.reduce_max(tf.reshape(logits, [size, -1]), 1))

  def _embed(self, tokens: tf.RaggedTensor) -> tf.Tensor:
    return self.model.retriever.embed_queries(
        pack_single(tokens, self.model.retriever.query_length, self._tokenizer))

  def _cut(self, row: tf.Tensor, first: tf.Tensor, last: tf.Tensor, score: tf.Tensor
           ) -> Answers:
    """Cuts pieces `first` to `last` of each block out of its original text."""
    start, end = self._starts.at(row, first), self._ends.at(row, last)
    text = tf.gather(self._texts, row)
    start_character, end_character = (
        tf.strings.length(tf.strings.substr(text, tf.zeros_like(at), at), unit="UTF8_CHAR")
        for at in (start, end))
    return Answers(tf.strings.substr(text, start, end - start), score, row,
                   tf.gather(self._ids, row), tf.gather(self._titles, row), text,
                   start_character, end_character, start, end)
