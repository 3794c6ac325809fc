"""From a question to an answered one: search, read, cut the answer out of the text.

All of it is in the graph; evaluation, prediction and the exported model run the
same functions. Any bytes are a question: those that are no UTF-8 are passed over, and of
what is too long the beginning is read. `answer_spans` has the scores of what was read,
`merging` makes answers of them, `calibration` says how sure they are. Shape letters: B batch,
K passages, R read blocks, A answers, S spans, N blocks.
"""

from typing import NamedTuple

import tensorflow as tf

from realm_tf.corpus.passages import Passages, Table
from realm_tf.corpus.store import Corpus
from realm_tf.evaluation import answer_spans
from realm_tf.evaluation.answer_spans import Evidence, RetrievedBlocks
from realm_tf.evaluation.calibration import UNCALIBRATED, Calibration
from realm_tf.evaluation.in_parts import in_parts
from realm_tf.evaluation.merging import Chosen, choose_answers
from realm_tf.index.interface import RowIndex
from realm_tf.models.realm import Realm
from realm_tf.text.inputs import pack_single

# What is in memory at a time, at most.
_QUESTIONS = 512  # embedded and searched
_PAIRS = 256  # of a question and a block, read
_ROWS = 1 << 20  # found

MOST_ANSWERS = 100  # to a question
_SPANS = 128  # of a question, the best, which are made into answers
_BYTES_PER_PIECE = 64  # that are tokenised of a question, for each piece that can be read


class Answers(NamedTuple):
  """An answer to each question and where it stands: [B] each, or A of them: [B, A].

  Where a question has fewer than A answers, the others are empty, of probability 0.
  """
  answer: tf.Tensor  # string, whole words cut from the passage
  score: tf.Tensor  # float32: reader logit + weight * retriever score; finite
  row: tf.Tensor  # int32: block id; -1 where there is no answer
  passage_id: tf.Tensor  # string: id of the document
  title: tf.Tensor  # string
  passage: tf.Tensor  # string
  start: tf.Tensor  # int32: characters (Unicode code points) into `passage`
  end: tf.Tensor  # int32: exclusive
  start_byte: tf.Tensor  # int32: the same in bytes of UTF-8
  end_byte: tf.Tensor  # int32
  probability: tf.Tensor  # float32: that this is the answer, all of its places added


class Passage(NamedTuple):
  """What the index returned, best first."""
  row: tf.Tensor  # [B, K] int32
  score: tf.Tensor  # [B, K] float32
  passage_id: tf.Tensor  # [B, K] string
  title: tf.Tensor  # [B, K] string
  passage: tf.Tensor  # [B, K] string


_FOUND = RetrievedBlocks(tf.TensorSpec([None, None]), tf.TensorSpec([None, None], tf.int32))
_CHOSEN = Chosen(*[tf.TensorSpec([None, None])] * 2,
                 *[tf.TensorSpec([None, None], tf.int32)] * 3)


class QuestionAnswerer(tf.Module):
  """Tokenizer, retriever, index, reader and texts, as one exportable module."""

  def __init__(self, model: Realm, corpus: Corpus, passages: Passages, index: RowIndex,
               read_blocks: int, calibration: Calibration = UNCALIBRATED):
    """Reads the `read_blocks` best blocks; `calibration.PUBLISHED` answers as ORQA does."""
    super().__init__(name="question_answerer")
    self.model, self.index, self._passages = model, index, passages
    self.corpus, self.calibration = corpus, calibration
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
    return in_parts(
        lambda part: self._embed(self._tokenize(part)), [questions], _QUESTIONS,
        tf.TensorSpec([None, self.model.retriever.projection_size]))

  def retrieve(self, questions: tf.Tensor, k: tf.Tensor) -> Passage:
    """[B] string, k scalar int32 -> the best K passages.

    Raises:
      tf.errors.InvalidArgumentError: k is negative, or more than the N blocks.
    """
    questions, k = _checked(questions, k, "k", 0, self.num_blocks, ", the number of blocks")
    return self._passage(in_parts(
        lambda part: self._search(self._tokenize(part), k), [questions],
        tf.clip_by_value(_ROWS // tf.maximum(k, 1), 1, _QUESTIONS), _FOUND))

  def answer(self, questions: tf.Tensor, top_n: tf.Tensor | int | None = None,
             banned: tf.Tensor | None = None) -> Answers:
    """The most probable answers of the `read_blocks` best passages.

    Args:
      questions: [B] string.
      top_n: A, scalar int32: so many answers to each, [B, A]; None: one, [B].
      banned: [B, E] int32: blocks that are passed over for each question; -1 for none.

    Raises:
      tf.errors.InvalidArgumentError: `top_n` is not from 1 to `MOST_ANSWERS`.
    """
    answers, _ = self._answered(questions, top_n, banned, self.read_blocks)
    return answers

  def answer_and_retrieve(self, questions: tf.Tensor, k: int,
                          top_n: tf.Tensor | int | None = None,
                          banned: tf.Tensor | None = None) -> tuple[Answers, Passage]:
    """`answer` and `retrieve` in one search; k is from `read_blocks` to N."""
    answers, retrieved = self._answered(questions, top_n, banned, k)
    return answers, self._passage(retrieved)

  def evidence(self, questions: tf.Tensor, most: int, temperatures: tf.Tensor
               ) -> tuple[Evidence, tf.Tensor]:
    """What other calibrations would answer: see `answer_spans.evidence`; the spans' texts."""
    tokens = self._tokenize(questions)
    spans = answer_spans.evidence(self._read(tokens, self._search(tokens, self.read_blocks)),
                           self._passages, most, temperatures)
    return spans, self._texts_of(spans.row, spans.first, spans.last)

  def _answered(self, questions: tf.Tensor, top_n: tf.Tensor | int | None,
                banned: tf.Tensor | None, k: int) -> tuple[Answers, RetrievedBlocks]:
    questions, count = _checked(questions, 1 if top_n is None else top_n, "top_n", 1,
                                MOST_ANSWERS)

    def both(part: tf.Tensor, *bans: tf.Tensor) -> tuple[Chosen, RetrievedBlocks]:
      tokens = self._tokenize(part)
      retrieved = self._search(tokens, k, *bans)
      to_read = RetrievedBlocks(*(value[:, :self.read_blocks] for value in retrieved))
      return self._choose(self._read(tokens, to_read), count), retrieved

    inputs = [questions] if banned is None else [questions, banned]
    most = max(1, min(_PAIRS // self.read_blocks, _ROWS // k))
    chosen, retrieved = in_parts(both, inputs, most, (_CHOSEN, _FOUND))
    if top_n is None:
      chosen = Chosen(*(value[:, 0] for value in chosen))
    return self._cut(chosen), retrieved

  def _tokenize(self, questions: tf.Tensor) -> tf.RaggedTensor:
    """[P] string -> [P, (T)] int32: as much of each as can be read."""
    longest = max(self.model.encoder.max_length, self.model.retriever.query_length)
    return self._tokenizer.tokenize(
        tf.strings.substr(questions, 0, longest * _BYTES_PER_PIECE))

  def _embed(self, tokens: tf.RaggedTensor) -> tf.Tensor:
    return self.model.retriever.embed_queries(
        pack_single(tokens, self.model.retriever.query_length, self._tokenizer))

  def _search(self, tokens: tf.RaggedTensor, k: tf.Tensor | int,
              banned: tf.Tensor | None = None) -> RetrievedBlocks:
    return RetrievedBlocks(*self.index.search(self._embed(tokens), k, banned))

  def _passage(self, retrieved: RetrievedBlocks) -> Passage:
    return Passage(retrieved.row, retrieved.score, *(
        tf.gather(values, retrieved.row)
        for values in (self._ids, self._titles, self._texts)))

  def _read(self, tokens: tf.RaggedTensor, retrieved: RetrievedBlocks) -> answer_spans.Read:
    return answer_spans.read_blocks_of(self.model.encoder, self._passages, tokens, retrieved)

  def _choose(self, read: answer_spans.Read, count: tf.Tensor) -> Chosen:
    """The `count` most probable answers, by the calibration."""
    rule = self.calibration
    best = answer_spans.best(read, self._passages, _SPANS, rule.retriever_weight,
                             rule.temperature)
    return choose_answers(best, self._texts_of(best.row, best.first, best.last), count,
                          rule.merged)

  def _bytes(self, row: tf.Tensor, first: tf.Tensor, last: tf.Tensor
             ) -> tuple[tf.Tensor, tf.Tensor]:
    """Where spans begin and end in the texts of their blocks; out of nothing nothing."""
    return (tf.where(last < first, 0, self._starts.at(row, first)),
            tf.where(last < first, 0, self._ends.at(row, last)))

  def _texts_of(self, row: tf.Tensor, first: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
    """The words of spans, of any shape."""
    start, end = self._bytes(row, first, last)
    return tf.strings.substr(tf.gather(self._texts, row), start, end - start)

  def _cut(self, chosen: Chosen) -> Answers:
    """Cuts the answers out of the original texts."""
    exists, row = chosen.row >= 0, tf.maximum(chosen.row, 0)
    start, end = self._bytes(row, chosen.first, chosen.last)
    identifier, title, text = (tf.where(exists, tf.gather(values, row), "")
                               for values in (self._ids, self._titles, self._texts))
    start_character, end_character = (
        tf.strings.length(tf.strings.substr(text, tf.zeros_like(at), at), unit="UTF8_CHAR")
        for at in (start, end))
    return Answers(
        tf.strings.substr(text, start, end - start),
        tf.maximum(chosen.score, tf.float32.min),  # no infinity: JSON has none
        chosen.row, identifier, title, text, start_character, end_character, start, end,
        chosen.probability)


def _checked(questions: tf.Tensor, value: tf.Tensor | int, name: str, least: int, most: int,
             reason: str = "") -> tuple[tf.Tensor, tf.Tensor]:
  """Both, once the value is known to be within its limits: nothing is done before."""
  value = tf.convert_to_tensor(value)
  with tf.control_dependencies([tf.debugging.Assert((value >= least) & (value <= most), [
      f"{name} must be from {least} to {most}{reason}, but is", value])]):
    return tf.identity(questions), tf.identity(value)
