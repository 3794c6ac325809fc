"""From a question to an answered one: search, read, cut the answer out of the text.

All of it is in the graph; evaluation, prediction and the exported model run the same
functions. Any bytes are a question: what is no UTF-8 is passed over, of what is too long the
beginning is read. `answer_spans` has the scores of what was read, `borders` says what
is no answer, `merging` makes answers of the others, `calibration` says how sure they are.
Letters: B batch, K passages, R read blocks, A answers, S spans, N blocks.
"""

from typing import NamedTuple

import tensorflow as tf

from realm_tf.corpus.mapped import string_tensor
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.tables import Table
from realm_tf.evaluation import answer_spans, borders
from realm_tf.evaluation.answer_spans import Evidence, RetrievedBlocks
from realm_tf.evaluation.calibration import UNCALIBRATED, Calibration
from realm_tf.evaluation.exact_words import by_exact_words
from realm_tf.evaluation.in_parts import in_parts
from realm_tf.evaluation.merging import Chosen, choose_answers, first_of_each, rescaled
from realm_tf.evaluation.per_question import checked_numbers
from realm_tf.index.interface import RowIndex
from realm_tf.models.realm import Realm
from realm_tf.ops.lookup import look_up
from realm_tf.text.inputs import Packed, pack_pair, pack_single

# What is in memory at a time, at most.
_QUESTIONS = 512  # embedded and searched
_PAIRS = 256  # of a question and a block, read
_ROWS = 1 << 20  # found
_DOCUMENTS = 64  # embedded

MOST_ANSWERS = 100  # to a question
MOST_READ = 100  # blocks for a question, if the request says how many
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
  probability: tf.Tensor  # float32: that this is right, by all of its places


class Passage(NamedTuple):
  """What the index returned, best first.

  Where a question wanted fewer than K, the others are empty.
  """
  row: tf.Tensor  # [B, K] int32; -1 where there is none
  score: tf.Tensor  # [B, K] float32; finite
  passage_id: tf.Tensor  # [B, K] string
  title: tf.Tensor  # [B, K] string
  passage: tf.Tensor  # [B, K] string


_FOUND = RetrievedBlocks(tf.TensorSpec([None, None]), tf.TensorSpec([None, None], tf.int32))
_CHOSEN = Chosen(*[tf.TensorSpec([None, None])] * 2,
                 *[tf.TensorSpec([None, None], tf.int32)] * 3)


class QuestionAnswerer(tf.Module):
  """Tokenizer, retriever, index, reader and texts, as one exportable module."""

  def __init__(self, model: Realm, corpus: Corpus, passages: Passages, index: RowIndex,
               read_blocks: int, calibration: Calibration = UNCALIBRATED,
               exact_words: int = 0):
    """Makes one of a model and what it searches.

    Args:
      model: retriever and reader.
      corpus, passages, index: of one corpus.
      read_blocks: so many of the best blocks are read.
      calibration: `calibration.PUBLISHED` answers as ORQA does.
      exact_words: so many of the blocks that are found have their words compared exactly,
        where the retriever has lexical dimensions; 0: none.
    """
    super().__init__(name="question_answerer")
    self.model, self.index, self.passages = model, index, passages
    self.corpus, self.calibration = corpus, calibration
    self._exact_words = exact_words if model.retriever.lexical_size else 0
    self._tokenizer, self.num_blocks = corpus.tokenizer, corpus.num_blocks
    self.read_blocks = min(read_blocks, corpus.num_blocks)
    with tf.device("CPU"):
      self._ids, self._titles, self._texts = (
          tf.Variable(string_tensor(values), trainable=False, name=name)
          for values, name in ((corpus.document_ids, "ids"), (corpus.titles, "titles"),
                               (corpus.texts, "texts")))
    self._starts, self._ends = map(Table, (corpus.body_starts, corpus.body_ends))

  def embed(self, questions: tf.Tensor) -> tf.Tensor:
    """[B] string -> [B, D] float32."""
    return in_parts(
        lambda part: self._embed(self._tokenize(part)), [questions], _QUESTIONS,
        tf.TensorSpec([None, self.model.retriever.vector_size]))

  def embed_documents(self, titles: tf.Tensor, texts: tf.Tensor) -> tf.Tensor:
    """[B] string both -> [B, D] float32, as blocks of the corpus are embedded."""
    return in_parts(self._embed_documents, [titles, texts], _DOCUMENTS,
                    tf.TensorSpec([None, self.model.retriever.vector_size]))

  def retrieve(self, questions: tf.Tensor, k: tf.Tensor | int) -> Passage:
    """[B] string -> the best passages, [B, K].

    Args:
      questions: [B] string.
      k: int32, one number for all or one for each question, [], [1] or [B]; K is the
        largest.

    Raises:
      tf.errors.InvalidArgumentError: k is negative, or more than the N blocks.
    """
    questions, counts, most = checked_numbers(questions, k, "k", 0, self.num_blocks,
                                              ", the number of blocks")
    retrieved = in_parts(
        lambda part: self._search(self._tokenize(part), most), [questions],
        tf.clip_by_value(_ROWS // tf.maximum(most, 1), 1, _QUESTIONS), _FOUND)
    is_wanted = tf.range(most)[None] < counts[:, None]
    return self._passage(RetrievedBlocks(tf.where(is_wanted, retrieved.score, tf.float32.min),
                                         tf.where(is_wanted, retrieved.row, -1)))

  def answer(self, questions: tf.Tensor, top_n: tf.Tensor | int | None = None,
             banned: tf.Tensor | None = None,
             read_blocks: tf.Tensor | int | None = None) -> Answers:
    """The answers of the best passages: the one to give first, then the most probable ones.

    Args:
      questions: [B] string.
      top_n: int32: so many answers to each, one number for all or one for each question,
        [], [1] or [B]; A is the largest, [B, A]; None: one, [B].
      banned: [B, E] int32: blocks that are passed over for each question; -1 for none.
      read_blocks: how many are read, as `top_n`; all, where there are not so many. By
        default as many as the answerer was made for.

    Raises:
      tf.errors.InvalidArgumentError: `top_n` is not from 1 to `MOST_ANSWERS`, or
        `read_blocks` from 1 to `most_read`.
    """
    answers, _ = self._answered(questions, top_n, banned, read_blocks)
    return answers

  @property
  def most_read(self) -> int:
    """The largest `read_blocks` that a request may have."""
    return max(MOST_READ, self.read_blocks)

  def answer_and_retrieve(self, questions: tf.Tensor, k: int,
                          top_n: tf.Tensor | int | None = None,
                          banned: tf.Tensor | None = None) -> tuple[Answers, Passage]:
    """`answer` and `retrieve` in one search; k is from `read_blocks` to N."""
    answers, retrieved = self._answered(questions, top_n, banned, k=k)
    return answers, self._passage(retrieved)

  def evidence(self, questions: tf.Tensor, most: int, temperatures: tf.Tensor
               ) -> tuple[Evidence, tf.Tensor]:
    """What other calibrations would answer: see `answer_spans.evidence`; the spans' texts."""
    tokens = self._tokenize(questions)
    spans = answer_spans.evidence(self._read(tokens, self._search(tokens, self.read_blocks)),
                                  self.passages, most, temperatures)
    texts, crosses = self._texts_of(spans)
    return spans._replace(logit=borders.less(spans.logit, crosses)), texts

  def _answered(self, questions: tf.Tensor, top_n: tf.Tensor | int | None,
                banned: tf.Tensor | None, read_blocks: tf.Tensor | int | None = None,
                k: int | None = None) -> tuple[Answers, RetrievedBlocks]:
    questions, counts, count = checked_numbers(
        questions, 1 if top_n is None else top_n, "top_n", 1, MOST_ANSWERS)
    questions, reads, read = checked_numbers(
        questions, self.read_blocks if read_blocks is None else read_blocks, "read_blocks", 1,
        self.most_read)
    # A number of Python's, where it can be: shapes are known then.
    read = self.read_blocks if read_blocks is None else tf.minimum(read, self.num_blocks)
    searched = read if k is None else k

    def answer_part(part: tf.Tensor, counts: tf.Tensor, reads: tf.Tensor, *bans: tf.Tensor
                    ) -> tuple[Chosen, RetrievedBlocks]:
      tokens = self._tokenize(part)
      retrieved = self._search(tokens, searched, *bans)
      to_read = RetrievedBlocks(*(value[:, :read] for value in retrieved))
      chosen = self._choose(self._read(tokens, to_read, reads), count)
      return first_of_each(chosen, counts), retrieved

    inputs = [questions, counts, reads] + ([] if banned is None else [banned])
    most = tf.maximum(tf.minimum(_PAIRS // read, _ROWS // searched), 1)
    chosen, retrieved = in_parts(answer_part, inputs, most, (_CHOSEN, _FOUND))
    if top_n is None:
      chosen = Chosen(*(value[:, 0] for value in chosen))
    return self._cut(chosen), retrieved

  def _tokenize(self, questions: tf.Tensor) -> tf.RaggedTensor:
    """[P] string -> [P, (T)] int32: as much of each as can be read."""
    return self._pieces(questions, max(self.model.encoder.max_length,
                                       self.model.retriever.query_length))

  def _pieces(self, texts: tf.Tensor, longest: int) -> tf.RaggedTensor:
    """[P] string -> [P, (T)] int32; at least the first `longest` pieces of each text."""
    return self._tokenizer.tokenize(
        tf.strings.substr(texts, 0, longest * _BYTES_PER_PIECE))

  def _embed_documents(self, titles: tf.Tensor, texts: tf.Tensor) -> tf.Tensor:
    length = self.model.retriever.document_length
    return self.model.retriever.embed_documents(pack_pair(
        self._pieces(titles, length), self._pieces(texts, length), length, self._tokenizer))

  def _pack(self, tokens: tf.RaggedTensor) -> Packed:
    return pack_single(tokens, self.model.retriever.query_length, self._tokenizer)

  def _embed(self, tokens: tf.RaggedTensor) -> tf.Tensor:
    return self.model.retriever.embed_queries(self._pack(tokens))

  def _search(self, tokens: tf.RaggedTensor, k: tf.Tensor | int,
              banned: tf.Tensor | None = None) -> RetrievedBlocks:
    packed = self._pack(tokens)
    vectors = self.model.retriever.embed_queries(packed)
    if not self._exact_words:
      return RetrievedBlocks(*self.index.search(vectors, k, banned))
    left = self.num_blocks - (0 if banned is None else tf.shape(banned)[1])
    searched = tf.maximum(k, tf.minimum(self._exact_words, left))
    found = by_exact_words(
        self.model.retriever, self.passages, self.index, packed, vectors,
        RetrievedBlocks(*self.index.search(vectors, searched, banned)), self._exact_words)
    return RetrievedBlocks(*(value[:, :k] for value in found))

  def _passage(self, retrieved: RetrievedBlocks) -> Passage:
    return Passage(retrieved.row, retrieved.score, *self._block(retrieved.row))

  def _block(self, row: tf.Tensor) -> list[tf.Tensor]:
    """Document id, title and text of rows of any shape; empty where a row is -1."""
    return [tf.where(row >= 0, look_up(values, tf.maximum(row, 0)), "")
            for values in (self._ids, self._titles, self._texts)]

  def _read(self, tokens: tf.RaggedTensor, retrieved: RetrievedBlocks,
            reads: tf.Tensor | None = None) -> answer_spans.ReadSpans:
    return answer_spans.read_blocks_of(self.model.encoder, self.passages, tokens, retrieved,
                                       reads)

  def _choose(self, read: answer_spans.ReadSpans, count: tf.Tensor) -> Chosen:
    """`count` answers, by the calibration."""
    rule = self.calibration
    best = answer_spans.best(read, self.passages, _SPANS, rule.retriever_weight,
                             rule.temperature)
    best, texts = borders.without(best, *self._texts_of(best))
    chosen = choose_answers(best, texts, count, rule.merged, rule.agreement)
    return rescaled(chosen, rule.slope, rule.offset) if rule.rescales else chosen

  def _bytes(self, row: tf.Tensor, first: tf.Tensor, last: tf.Tensor
             ) -> tuple[tf.Tensor, tf.Tensor]:
    """Where spans begin and end in the texts of their blocks; 0, 0 where a span is empty."""
    return (tf.where(last < first, 0, self._starts.at(row, first)),
            tf.where(last < first, 0, self._ends.at(row, last)))

  def _texts_of(self, spans: answer_spans.Spans | Evidence) -> tuple[tf.Tensor, tf.Tensor]:
    """The words of spans [Q, S], and which of them are no answers: see `borders`."""
    start, end = self._bytes(spans.row, spans.first, spans.last)
    texts = look_up(self._texts, spans.row)
    return (tf.strings.substr(texts, start, end - start),
            borders.broken(texts, start, end))

  def _cut(self, chosen: Chosen) -> Answers:
    """Cuts the answers out of the original texts."""
    start, end = self._bytes(tf.maximum(chosen.row, 0), chosen.first, chosen.last)
    identifier, title, text = self._block(chosen.row)
    start_character, end_character = (
        tf.strings.length(tf.strings.substr(text, tf.zeros_like(at), at), unit="UTF8_CHAR")
        for at in (start, end))
    return Answers(
        tf.strings.substr(text, start, end - start),
        tf.maximum(chosen.score, tf.float32.min),  # no infinity: JSON has none
        chosen.row, identifier, title, text, start_character, end_character, start, end,
        chosen.probability)
