"""What the towers find for questions while they are trained: to learn from, and to judge by.

Shape letters: Q questions, K found blocks, N blocks, D projection, Z mined negatives.
"""

import pathlib
from typing import Callable, NamedTuple, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from realm_tf.config import RealmConfig
from realm_tf.corpus.store import Corpus
from realm_tf.datasets.matching import Occurrences, stored_occurrences
from realm_tf.datasets.questions import Question
from realm_tf.examples.mined import gold_rows, mine
from realm_tf.files import new_file
from realm_tf.index.exact import ExactIndex
from realm_tf.models.realm import Realm
from realm_tf.text.inputs import pack_single
from realm_tf.training.denoising import Denoiser
from realm_tf.training.judging import Judge
from realm_tf.training.stopping import TrainingStopped

# The corpus by the document tower as it is, [N, D] of the dtype of `config.embedding_dtype`;
# is told how many blocks are done, and may be stopped by what that raises.
Embed = Callable[[Callable[[int], None]], np.ndarray]

_AT_A_TIME = 128  # questions that are embedded and searched
_DEPTH = 20  # to which dev questions are judged
_DEV_RECALLS = (1, 5, 20)
_UPDATE = 3.0  # what a training step costs, as a multiple of embedding its texts


class LabelledQuestions(NamedTuple):
  """Questions with the blocks that answer them."""
  texts: list[str]  # Q
  occurrences: Occurrences
  gold: list[np.ndarray]  # by question, see `gold_rows`

  @classmethod
  def of(cls, questions: Sequence[Question], corpus: Corpus) -> "LabelledQuestions":
    occurrences = stored_occurrences([q.answers for q in questions], corpus,
                                     corpus.tokenizer, [q.regex for q in questions])
    return cls([q.question for q in questions], occurrences,
               gold_rows([q.gold_passage for q in questions], occurrences, corpus))

  def right(self, number: int) -> np.ndarray:
    """The gold blocks of a question, or else all in which an answer stands, which may be
    there several times: int32, any number of them."""
    splits = self.occurrences.splits
    return (self.gold[number] if len(self.gold[number])
            else self.occurrences.rows[splits[number]:splits[number + 1]])

  @property
  def usable(self) -> np.ndarray:
    """Numbers of the questions that some block answers: at most Q, int64, ascending."""
    return np.flatnonzero([len(self.right(i)) > 0 for i in range(len(self.texts))])


class CorpusSearch:
  """The corpus as the document tower is at a step, searched for questions.

  Attributes:
    stopping: whether nobody should wait for the corpus to be embedded.
  """

  def __init__(self, model: Realm, corpus: Corpus, embed: Embed):
    self._retriever, self._embed, self._step = model.retriever, embed, -1
    self.tokenizer, self.num_blocks = corpus.tokenizer, corpus.num_blocks
    self._index = ExactIndex()
    self._best_rows = tf.function(self._best, input_signature=[
        tf.RaggedTensorSpec([None, None], tf.int32), tf.TensorSpec([], tf.int32)])
    self.stopping: Callable[[], bool] = lambda: False

  def find(self, texts: Sequence[str], count: int, step: int) -> np.ndarray:
    """[Q, K] int32: the best blocks of each question, by the towers after so many steps.

    Raises:
      TrainingStopped: the loop is stopping.
    """
    if step != self._step:
      self._index.assign(self._index.prepare(self._embed(self._on_rows)), step)
      self._step = step
    tokens = self.tokenizer.tokenize(list(texts))
    count = min(count, self.num_blocks)
    return np.concatenate([
        self._best_rows(tokens[first:first + _AT_A_TIME], count).numpy()
        for first in range(0, len(texts), _AT_A_TIME)])

  def _on_rows(self, count: int) -> None:
    del count
    if self.stopping():
      raise TrainingStopped

  def _best(self, tokens: tf.RaggedTensor, count: tf.Tensor) -> tf.Tensor:
    packed = pack_single(tokens, self._retriever.query_length, self.tokenizer)
    return self._index.search(self._retriever.embed_queries(packed), count)[1]


class MinedTables:
  """Positives and hard negatives of all questions, which steps look up.

  Called before each step, it mines again where it is time. What was mined is kept, so that a
  stage that was stopped goes on with it.

  Attributes:
    positives: [Q] int32 variable; see `examples.mined.Mined`.
    negatives: [Q, Z] int32 variable.
  """

  def __init__(self, config: RealmConfig, search: CorpusSearch, questions: LabelledQuestions,
               folder: pathlib.Path, denoiser: Denoiser | None = None):
    """Args:
      config: of the run.
      search: by which negatives are found.
      questions: that are trained on.
      folder: for what was mined.
      denoiser: takes out false negatives; None: those in which no known answer stands stay.
    """
    self._config, self._search, self._questions = config, search, questions
    self._denoiser = denoiser
    self._folder, self._mined_at = folder, -1
    first, last = config.dpr.negative_ranks
    width = max(1, min(last, search.num_blocks) - first)
    with tf.device("CPU"):
      self.positives, self.negatives = (
          tf.Variable(tf.fill(shape, -1), trainable=False)
          for shape in ([len(questions.texts)], [len(questions.texts), width]))

  def __call__(self, step: int) -> dict[str, float]:
    period = self._config.dpr.mine_every
    due = step - step % period if period else 0
    if due != self._mined_at:
      path = self._folder / f"step-{due}.npz"
      if not path.exists():
        self._mine(step, path)
      with np.load(path, allow_pickle=False) as mined:
        self.positives.assign(mined["positives"])
        self.negatives.assign(mined["negatives"])
      self._mined_at = due
    return {}

  def _mine(self, step: int, path: pathlib.Path) -> None:
    ranks = self._config.dpr.negative_ranks
    retrieved = self._search.find(self._questions.texts, ranks[1], step)
    mined = mine(retrieved, self._questions.occurrences, self._questions.gold, ranks)
    if self._denoiser:
      mined, removed, read = self._denoiser(self._questions.texts, mined)
      logging.info("dpr: step %d: %d of %d mined blocks are no negatives: the reader finds "
                   "an answer there (dpr.denoise=%g)", step, removed, read,
                   self._config.dpr.denoise)
    logging.info("dpr: step %d: %.1f hard negatives mined for each question", step,
                 (mined.negatives >= 0).sum(1).mean())
    path.parent.mkdir(exist_ok=True)
    with new_file(path) as file:
      np.savez(file, **mined._asdict())


def make_retrieval_judge(config: RealmConfig, search: CorpusSearch, dev: LabelledQuestions
                         ) -> Judge | None:
  """Measures where the right blocks of dev questions are found: recall at 1, 5 and 20, and
  the mean reciprocal rank, by which the best model is chosen. None without such questions.
  """
  numbers = dev.usable
  if not len(numbers):
    return None

  def measure(step: int) -> dict[str, float]:
    retrieved = search.find([dev.texts[i] for i in numbers], _DEPTH, step)
    hits = [np.isin(rows, dev.right(i)) for i, rows in zip(numbers, retrieved)]
    ranks = np.array([hit.argmax() if hit.any() else np.inf for hit in hits])
    return {"dev_mrr": float((1 / (1 + ranks)).mean()),
            **{f"dev_recall@{k}": float((ranks < k).mean()) for k in _DEV_RECALLS}}

  dpr = config.dpr
  cost = search.num_blocks / (_UPDATE * dpr.batch_size * (1 + dpr.hard_negatives))
  return Judge(measure, "dev_mrr", config.dev.every or dpr.mine_every, config.dev.patience,
               cost)
