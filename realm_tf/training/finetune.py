"""Fine-tuning for open-domain QA (ORQA, section 6), document tower and index frozen.

The losses are those of `models.open_qa`. Shape letters: B batch, W beam, R read blocks, T
tokens, S spans.
"""

import pathlib
from typing import Any, Callable, Sequence

import numpy as np
import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.matching import find_occurrences
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.examples import order
from realm_tf.examples.qa import AnswerPlaces, QABatch, qa_batches
from realm_tf.index.interface import RowIndex
from realm_tf.models import open_qa
from realm_tf.models.open_qa import Beam
from realm_tf.models.realm import Realm
from realm_tf.text.inputs import Packed, pack_single
from realm_tf.training import fixed, replicas
from realm_tf.training.loop import Loop
from realm_tf.training.optimizer import AdamW, make_optimizer


def train_finetune(config: RealmConfig, corpus: Corpus, passages: Passages, model: Realm,
                   index: RowIndex, questions: Sequence[str],
                   answers: Sequence[Sequence[str]], folder: pathlib.Path,
                   regex: Sequence[bool] | None = None) -> Loop:
  """Trains query tower and encoder in place; `index` holds the document tower's work.

  `regex` says of each question whether its answers are patterns, as in CuratedTREC.
  Towers that were shared are untied: the document tower stays as the index knows it.
  """
  finetune = config.finetune
  strategy = model.strategy
  with strategy.scope():
    model.retriever.untie_towers()
  occurrences = find_occurrences(answers, corpus, corpus.tokenizer, regex)
  places = AnswerPlaces.of(occurrences, corpus.num_blocks)
  usable = np.flatnonzero(np.diff(occurrences.splits))
  with strategy.scope():
    optimizer = make_optimizer(finetune, [
        model.retriever.query_tower.bert, model.encoder.bert]).build(_trained(model))
  loop = Loop("finetune", folder, finetune.steps, {"model": model, "optimizer": optimizer},
              config.checkpoint_every, keep=config.keep_checkpoints,
              best=config.best_metric, strategy=strategy)
  batches = qa_batches(
      questions, usable, corpus.tokenizer, batch_size=finetune.batch_size,
      seed=config.seed, first_step=loop.first_step, last_step=finetune.steps)
  replicas.check_shares(strategy, finetune.batch_size, finetune.accumulate)
  step = _step(config, model, passages, index, places, optimizer)
  loop.run(batches, tf.function(step, input_signature=[batches.element_spec]))
  return loop


def _trained(model: Realm) -> list[tf.Variable]:
  return [*model.retriever.query_tower.trainable_variables,
          *model.encoder.bert.trainable_variables,
          *model.encoder.span_head.trainable_variables]


def _step(config: RealmConfig, model: Realm, passages: Passages, index: RowIndex,
          places: AnswerPlaces, optimizer: AdamW) -> Callable[[QABatch], replicas.Metrics]:
  """The step of a whole batch: finds the beam, then learns from it on the replicas."""
  finetune = config.finetune
  beam_size = min(finetune.beam_size, passages.num_blocks)
  read_blocks = min(finetune.read_blocks, beam_size)
  variables = _trained(model)
  fixed_lengths = config.fixed_lengths or replicas.is_tpu(model.strategy)
  multiple = 0 if fixed_lengths else 8
  share = finetune.batch_size // model.strategy.num_replicas_in_sync

  def look_up(batch: QABatch, question: Packed, rows: tf.Tensor, vectors: tf.Tensor) -> Beam:
    holds, pairs, correct = open_qa.look_up(
        passages, places, batch.number, batch.question, rows, read_blocks=read_blocks,
        length=finetune.reader_length, width=config.encoder.max_span_width,
        max_spans=finetune.max_spans, multiple=multiple)
    return Beam(question, vectors, holds, pairs, correct)

  def of_part(given: Any):
    beam = (given._replace(pairs=fixed.flat(given.pairs)) if fixed_lengths
            else look_up(*given))
    with tf.GradientTape() as tape:
      loss, metrics = _loss(model, beam, read_blocks)
    return tape.gradient(loss, variables), metrics

  def learn(given: Any) -> replicas.Metrics:
    gradients, metrics = replicas.mean_over_parts(of_part, given, share,
                                                  finetune.accumulate)
    return metrics | {"gradient_norm": optimizer.apply(gradients, variables)}

  def step(batch: QABatch) -> replicas.Metrics:
    question = pack_single(batch.question, config.retriever.query_length, passages.special,
                           multiple)
    question = order.fix_batch_size(question, finetune.batch_size)
    queries = replicas.map_shares(model.strategy, model.retriever.embed_queries, question)
    rows = tf.ensure_shape(index.search(queries, beam_size)[1],
                           [finetune.batch_size, beam_size])
    given: Any = (batch, question, rows, index.gather(rows))
    if fixed_lengths:  # the host packs, of the whole batch
      looked_up = look_up(*given)
      given = looked_up._replace(
          pairs=fixed.by_candidate(looked_up.pairs, rows[:, :read_blocks]),
          correct=tf.ensure_shape(looked_up.correct, [
              finetune.batch_size,
              read_blocks * finetune.reader_length * config.encoder.max_span_width]))
    return replicas.run_on_shares(model.strategy, learn, given, finetune.batch_size)

  return step


def _loss(model: Realm, beam: Beam, read_blocks: int
          ) -> tuple[tf.Tensor, replicas.Metrics]:
  """L_retriever + L_reader, and what to log."""
  scores = open_qa.score(model.retriever, model.encoder, beam, read_blocks)
  of_retriever, of_reader = open_qa.both_losses(beam, scores)
  loss = tf.reduce_mean(of_retriever + of_reader)
  return loss, {
      "loss": loss, "retriever_loss": tf.reduce_mean(of_retriever),
      "reader_loss": tf.reduce_mean(of_reader),
      **open_qa.metrics(beam, scores, read_blocks)}
