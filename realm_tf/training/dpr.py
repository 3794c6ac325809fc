"""Supervised training of both towers (Karpukhin et al. 2020, DPR, arXiv 2004.04906).

Each question learns to find its positive block among those of the batch and among hard
negatives: blocks that the index returns for it though no answer stands in them. The index is
made anew now and then, and what it returns is mined again, since yesterday's mistakes are
learnt already (Xiong et al. 2021, ANCE, arXiv 2007.00808).

Shape letters: B batch, H hard negatives, D projection, Q questions, K found blocks.
"""

import pathlib
from typing import Any, NamedTuple, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.datasets.matching import Occurrences, find_occurrences
from realm_tf.datasets.questions import Question
from realm_tf.distribute import shares
from realm_tf.distribute.strategy import is_tpu
from realm_tf.errors import UserError
from realm_tf.examples import order
from realm_tf.examples.mined import draw, gold_rows, mine
from realm_tf.examples.qa import AnswerPlaces, QABatch, qa_batches
from realm_tf.files import new_file
from realm_tf.index.embed import CorpusEmbedder, collect
from realm_tf.index.interface import RowIndex
from realm_tf.models import losses
from realm_tf.models.realm import Realm
from realm_tf.progress import progress
from realm_tf.text.inputs import Packed, pack_single
from realm_tf.training import contrastive
from realm_tf.training.loop import Loop
from realm_tf.training.optimizer import make_optimizer
from realm_tf.training.padded import by_candidate, flat

_FOUND = 128  # questions embedded and searched at a time


class DPRBatch(NamedTuple):
  number: tf.Tensor  # [B] int32: which question
  question: Packed  # [B, T]
  documents: Packed  # [B, 1 + H, T]: the positive first
  rows: tf.Tensor  # [B, 1 + H] int32


class _Stopped(Exception):
  """The corpus need not be embedded to its end: the run was asked to stop."""


def train_dpr(config: RealmConfig, corpus: Corpus, passages: Passages, model: Realm,
              index: RowIndex, embedder: CorpusEmbedder, questions: Sequence[Question],
              folder: pathlib.Path) -> Loop:
  """Trains both towers in place.

  Args:
    config: of the run.
    corpus, passages: where the answers are.
    model: whose retriever is trained.
    index: of the document tower as it is; it is made anew when negatives are mined again.
    embedder: of the same tower.
    questions: with answers and, where they name one, a gold passage.
    folder: for checkpoints, curves and what was mined.

  Raises:
    UserError: no question has a block that answers it.
  """
  dpr, retriever, strategy = config.dpr, model.retriever, model.strategy
  occurrences = find_occurrences([q.answers for q in questions], corpus, corpus.tokenizer,
                                 [q.regex for q in questions])
  gold = gold_rows([q.gold_passage for q in questions], occurrences, corpus)
  usable = np.flatnonzero((np.diff(occurrences.splits) > 0) | np.array(
      [len(rows) > 0 for rows in gold]))
  if not len(usable):
    raise UserError("dpr: no question has an answer that stands in the corpus, or a gold "
                    "passage; check config.finetune.questions against config.corpus.source")
  variables = retriever.trainable_variables
  with strategy.scope():
    optimizer = make_optimizer(dpr, [tower.bert for tower in retriever.towers]).build(
        variables)
  loop = Loop("dpr", folder, dpr.steps, {"retriever": retriever, "optimizer": optimizer},
              config.checkpoint_every, keep=config.keep_checkpoints,
              best=config.best_metric, strategy=strategy)
  miner = _Miner(config, corpus, model, index, embedder, questions, occurrences, gold, folder,
                 loop)
  numbers = loop.first_step, dpr.steps
  batches = tf.data.Dataset.zip((
      qa_batches([q.question for q in questions], usable, corpus.tokenizer,
                 batch_size=dpr.batch_size, seed=config.seed, first_step=numbers[0],
                 last_step=numbers[1]),
      tf.data.Dataset.range(*numbers)))
  places = AnswerPlaces.of(occurrences, corpus.num_blocks)
  shares.check_shares(strategy, dpr.batch_size, dpr.accumulate)

  def learn(batch: DPRBatch) -> shares.Metrics:
    gradients, metrics = contrastive.gradients(
        lambda part: _embed(retriever, part), lambda vectors, batch: _loss(
            places, vectors, batch), batch, variables,
        dpr.batch_size // strategy.num_replicas_in_sync, dpr.accumulate)
    return metrics | {"gradient_norm": optimizer.apply(gradients, variables)}

  @tf.function(input_signature=[batches.element_spec])
  def step(numbered: tuple[QABatch, tf.Tensor]) -> shares.Metrics:
    packed = _pack(config, passages, miner, *numbered, is_tpu(strategy))
    return shares.run_on_shares(strategy, learn, packed, dpr.batch_size)

  loop.run(batches, step, before_step=[miner])
  return loop


def _pack(config: RealmConfig, passages: Passages, miner: "_Miner", batch: QABatch,
          step: tf.Tensor, fixed: bool) -> DPRBatch:
  """Looks up the blocks of a whole batch, on the host."""
  dpr, multiple = config.dpr, 0 if config.fixed_lengths or fixed else 8
  question = pack_single(batch.question, config.retriever.query_length, passages.special,
                         multiple)
  rows = tf.gather(miner.positives, batch.number)[:, None]
  if dpr.hard_negatives:
    rows = tf.concat([rows, draw(tf.gather(miner.negatives, batch.number),
                                 dpr.hard_negatives, passages.num_blocks, config.seed,
                                 step)], 1)
  rows = tf.ensure_shape(rows, [dpr.batch_size, 1 + dpr.hard_negatives])
  documents = passages.documents(tf.reshape(rows, [-1]), config.retriever.document_length,
                                 multiple)
  number, question = order.fix_batch_size((batch.number, question), dpr.batch_size)
  return DPRBatch(number, question, by_candidate(documents, rows), rows)


def _embed(retriever: Any, batch: DPRBatch) -> contrastive.Vectors:
  """[B, D], [B, 1 + H, D]"""
  queries, documents = retriever((batch.question, flat(batch.documents)))
  return queries, tf.reshape(documents, [*batch.rows.shape, documents.shape[-1]])


def _loss(places: AnswerPlaces, vectors: contrastive.Vectors, batch: DPRBatch
          ) -> tuple[tf.Tensor, shares.Metrics]:
  """Over the blocks of all replicas; those that answer a question too are not its own
  negatives."""
  queries, documents = vectors
  # The positives of all first, so that those of this replica stand in its questions' order.
  documents, rows = (tf.concat([tf.reshape(shares.own_first(part), [-1, *shape])
                                for part in (values[:, :1], values[:, 1:])], 0)
                     for values, shape in ((documents, documents.shape[2:]),
                                           (batch.rows, [])))
  size = tf.shape(queries)[0]
  right = places.stand_in(batch.number, tf.repeat(rows[None], size, 0))
  right |= rows[None] == batch.rows[:, :1]
  scores = tf.matmul(queries, documents, transpose_b=True)
  loss = tf.reduce_mean(losses.contrastive_loss(scores, right))
  return loss, {"loss": loss, "in_batch_accuracy": losses.in_batch_accuracy(
      queries, documents)}


class _Miner:
  """Before a step where it is time: embeds the corpus, and takes what is found for questions.

  What was mined is kept in the folder, so that a run that was stopped goes on with it.
  """

  def __init__(self, config: RealmConfig, corpus: Corpus, model: Realm, index: RowIndex,
               embedder: CorpusEmbedder, questions: Sequence[Question],
               occurrences: Occurrences, gold: Sequence[np.ndarray], folder: pathlib.Path,
               loop: Loop):
    self._config, self._model, self._index, self._embedder = config, model, index, embedder
    self._occurrences, self._gold, self._folder = occurrences, gold, folder
    self._loop, self._mined_at = loop, -1
    self._tokens = corpus.tokenizer.tokenize([q.question for q in questions])
    self._special, self._num_blocks = corpus.tokenizer, corpus.num_blocks
    first, last = config.dpr.negative_ranks
    width = max(1, min(last, corpus.num_blocks) - first)
    with tf.device("CPU"):
      self.positives, self.negatives = (
          tf.Variable(tf.fill(shape, -1), trainable=False)
          for shape in ([len(questions)], [len(questions), width]))
    self._search = tf.function(self._best, input_signature=[
        tf.RaggedTensorSpec([None, None], tf.int32)])

  def __call__(self, step: int) -> dict[str, float]:
    every = self._config.dpr.mine_every
    due = step - step % every if every else 0
    if due == self._mined_at:
      return {}
    path = self._folder / "mined" / f"step-{due}.npz"
    if not path.exists():
      try:
        self._mine(step, path)
      except _Stopped:
        return {}
    with np.load(path, allow_pickle=False) as mined:
      self.positives.assign(mined["positives"])
      self.negatives.assign(mined["negatives"])
    self._mined_at = due
    return {}

  def _mine(self, step: int, path: pathlib.Path) -> None:
    if step:
      with progress(self._num_blocks, "embed", "block") as bar:
        def on_rows(count: int) -> None:
          if self._loop.stopping():
            raise _Stopped
          bar.update(count)

        self._embedder.snapshot(self._model.retriever.document_tower)
        table = collect(self._embedder.batches(), self._num_blocks, on_rows)
      self._index.assign(self._index.prepare(table), step)
    mined = mine(self._found(), self._occurrences, self._gold,
                 self._config.dpr.negative_ranks)
    logging.info("dpr: mined at step %d: %.1f negatives a question", step,
                 (mined.negatives >= 0).sum(1).mean())
    path.parent.mkdir(exist_ok=True)
    with new_file(path) as file:
      np.savez(file, **mined._asdict())

  def _found(self) -> np.ndarray:
    """[Q, K] int32: what the index returns for each question."""
    return np.concatenate([
        self._search(self._tokens[first:first + _FOUND]).numpy()
        for first in range(0, self._tokens.nrows(), _FOUND)])

  def _best(self, tokens: tf.RaggedTensor) -> tf.Tensor:
    packed = pack_single(tokens, self._config.retriever.query_length, self._special)
    count = min(self._config.dpr.negative_ranks[1], self._num_blocks)
    return self._index.search(self._model.retriever.embed_queries(packed), count)[1]
