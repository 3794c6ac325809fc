"""Supervised training of both towers (Karpukhin et al. 2020, DPR, arXiv 2004.04906).

Each question learns to find its positive block among those of the batch and among hard
negatives: blocks that the index returns for it though no answer stands in them. The index is
made anew now and then, and what it returns is mined again, since yesterday's mistakes are
learnt already (Xiong et al. 2021, ANCE, arXiv 2007.00808).

Shape letters: B batch, C hard negatives, D projection, Q questions, K found blocks.
"""

import pathlib
from typing import Any, NamedTuple, Sequence

import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.datasets.questions import Question
from realm_tf.distribute import shares
from realm_tf.distribute.strategy import is_tpu
from realm_tf.errors import UserError
from realm_tf.examples import order
from realm_tf.examples.mined import draw
from realm_tf.examples.qa import AnswerPlaces, QABatch, qa_batches
from realm_tf.models import dropout, losses
from realm_tf.models.realm import Realm
from realm_tf.text.inputs import Packed, pack_single
from realm_tf.training import contrastive, schedule
from realm_tf.training.denoising import Denoiser
from realm_tf.training.loop import Loop
from realm_tf.training.mining import (
  CorpusSearch,
  Embed,
  LabelledQuestions,
  MinedTables,
  make_retrieval_judge,
)
from realm_tf.training.optimizer import make_optimizer
from realm_tf.training.padded import by_candidate, flat
from realm_tf.training.stage_loop import stage_loop


class DPRBatch(NamedTuple):
  number: tf.Tensor  # [B] int32: which question
  question: Packed  # [B, T]
  documents: Packed  # [B, 1 + C, T]: the positive first
  rows: tf.Tensor  # [B, 1 + C] int32


def train_dpr(config: RealmConfig, corpus: Corpus, passages: Passages, model: Realm,
              embed: Embed, questions: Sequence[Question], dev: Sequence[Question],
              folder: pathlib.Path) -> Loop:
  """Trains both towers in place; with dev questions they end as the best of all steps.

  Args:
    config: of the run.
    corpus, passages: where the answers are.
    model: whose retriever is trained; with `dpr.denoise` its reader must be trained already.
    embed: gives the corpus as the document tower is.
    questions: with answers and, where they name one, a gold passage.
    dev: questions by which the best model is chosen; there may be none.
    folder: for checkpoints, curves and what was mined.

  Raises:
    UserError: no question has a block that answers it.
  """
  retriever, strategy = model.retriever, model.strategy
  search = CorpusSearch(model, corpus, embed)
  labelled = LabelledQuestions.of(questions, corpus)
  if not len(labelled.usable):
    raise UserError("dpr: no question has an answer that stands in the corpus, or a gold "
                    "passage; check config.finetune.questions against config.corpus.source")
  config = schedule.fitted(config, "dpr", len(labelled.usable))
  dpr = config.dpr
  variables = retriever.trainable_variables
  share = shares.share_size(strategy, dpr.batch_size, dpr.accumulate)
  with strategy.scope():
    optimizer = make_optimizer(dpr, [tower.bert for tower in retriever.towers]).build(
        variables)
  loop = stage_loop(config, "dpr", folder,
                    {"retriever": retriever, "optimizer": optimizer}, strategy,
                    make_retrieval_judge(config, search, LabelledQuestions.of(dev, corpus)))
  search.stopping = loop.stopping
  mined = MinedTables(
      config, search, labelled, folder / "mined",
      Denoiser(model.encoder, passages, dpr.denoise) if dpr.denoise else None)
  numbers = loop.first_step, dpr.steps
  batches = tf.data.Dataset.zip((
      qa_batches(labelled.texts, labelled.usable, corpus.tokenizer, batch_size=dpr.batch_size,
                 seed=config.seed, first_step=numbers[0], last_step=numbers[1]),
      tf.data.Dataset.range(*numbers)))
  places = AnswerPlaces.of(labelled.occurrences, corpus.num_blocks)

  def embed_batch(batch: DPRBatch) -> contrastive.Vectors:
    with dropout.drawn(config.seed, optimizer.iterations):
      return _embed(retriever, batch)

  def learn(batch: DPRBatch) -> shares.Metrics:
    gradients, metrics = contrastive.gradients(
        embed_batch, lambda vectors, batch: _loss(places, vectors, batch), batch, variables,
        share, dpr.accumulate)
    return metrics | {"gradient_norm": optimizer.apply(gradients, variables)}

  @tf.function(input_signature=[batches.element_spec])
  def step(numbered: tuple[QABatch, tf.Tensor]) -> shares.Metrics:
    packed = _pack(config, passages, mined, *numbered, is_tpu(strategy))
    return shares.run_on_shares(strategy, learn, packed, dpr.batch_size)

  loop.run(batches, step, before_step=[mined])
  return loop


def _pack(config: RealmConfig, passages: Passages, mined: MinedTables, batch: QABatch,
          step: tf.Tensor, fixed: bool) -> DPRBatch:
  """Looks up the blocks of a whole batch, on the host."""
  dpr, multiple = config.dpr, 0 if config.fixed_lengths or fixed else 8
  question = pack_single(batch.question, config.retriever.query_length, passages.special,
                         multiple)
  rows = tf.gather(mined.positives, batch.number)[:, None]
  if dpr.hard_negatives:
    rows = tf.concat([rows, draw(tf.gather(mined.negatives, batch.number),
                                 dpr.hard_negatives, passages.num_blocks, config.seed,
                                 step)], 1)
  rows = tf.ensure_shape(rows, [dpr.batch_size, 1 + dpr.hard_negatives])
  documents = passages.documents(tf.reshape(rows, [-1]), config.retriever.document_length,
                                 multiple)
  number, question = order.fix_batch_size((batch.number, question), dpr.batch_size)
  return DPRBatch(number, question, by_candidate(documents, rows), rows)


def _embed(retriever: Any, batch: DPRBatch) -> contrastive.Vectors:
  """[B, D], [B, 1 + C, D]"""
  queries, documents = retriever((batch.question, flat(batch.documents)))
  return queries, tf.reshape(documents, [*batch.rows.shape, documents.shape[-1]])


def _loss(places: AnswerPlaces, vectors: contrastive.Vectors, batch: DPRBatch
          ) -> tuple[tf.Tensor, shares.Metrics]:
  """The loss over the blocks of all replicas; blocks that also answer a question are not
  its negatives."""
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
