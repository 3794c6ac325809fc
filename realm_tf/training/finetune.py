"""Fine-tuning for open-domain QA (ORQA, section 6), the index frozen.

A retriever that `dpr` trained on the same questions has learnt what they teach; more of it
makes it worse on others. `finetune.retriever_rate` slows the query tower down, or leaves it.

The document tower stays as it is, too, unless the first `finetune.fresh_blocks` of each beam
are embedded by it anew, with a gradient: REALM leaves it and the index as they are, and says
in a footnote that to refresh them may help (Guu et al. 2020, section 3.3). The index here is
that of the start, and grows stale; but it only chooses blocks, and those that matter most are
scored by the towers as they are.

The losses are those of `models.open_qa`. Shape letters: B batch, W beam, R read blocks, F
fresh ones, T tokens, S spans.
"""

import pathlib
from typing import Any, Callable, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from realm_tf.config import FinetuneConfig, RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.datasets.matching import Occurrences, stored_occurrences
from realm_tf.datasets.questions import Question
from realm_tf.distribute import shares
from realm_tf.distribute.processes import process_group
from realm_tf.distribute.strategy import is_tpu
from realm_tf.errors import UserError
from realm_tf.examples import order
from realm_tf.examples.mined import gold_rows
from realm_tf.examples.qa import AnswerPlaces, QABatch, learnable, qa_batches
from realm_tf.index.interface import RowIndex
from realm_tf.models import dropout, open_qa, scores
from realm_tf.models.open_qa import Beam, Fresh
from realm_tf.models.realm import Realm
from realm_tf.models.retriever import Retriever
from realm_tf.models.tower import Tower
from realm_tf.text.inputs import Packed, pack_single
from realm_tf.training import beams, schedule
from realm_tf.training.judging import Judge
from realm_tf.training.loop import Loop
from realm_tf.training.optimizer import AdamW, make_optimizer
from realm_tf.training.padded import by_candidate, each_by_itself, flat
from realm_tf.training.soup import Trained, order_seed, train_soup
from realm_tf.training.stage_loop import stage_loop


def train_finetune(config: RealmConfig, corpus: Corpus, passages: Passages, model: Realm,
                   index: RowIndex, questions: Sequence[Question], folder: pathlib.Path,
                   judge: Judge | None = None) -> Trained:
  """Trains the encoder and, as the config says, towers in place.

  Towers that were shared are untied where one of them learns otherwise than the other. How
  many questions the reader can learn from is logged.

  Args:
    config: of the run.
    corpus, passages: where the answers are.
    model: whose encoder and towers are trained.
    index: made by the document tower.
    questions: with answers and, where they name one, a gold passage.
    folder: for checkpoints and curves.
    judge: the model ends as the one that it measured as the best, the start counted; None:
      as that of the last step.

  Raises:
    UserError: it can learn from none.
  """
  strategy = model.strategy
  texts = [question.question for question in questions]
  occurrences = stored_occurrences(
      [question.answers for question in questions], corpus, corpus.tokenizer,
      [question.regex for question in questions])
  _count_learnable(config, corpus, texts, occurrences)
  with strategy.scope():
    towers = _learning_towers(model.retriever, config.finetune)
  places = AnswerPlaces.of(occurrences, corpus.num_blocks)
  usable = np.flatnonzero(np.diff(occurrences.splits))
  config = schedule.fitted(config, "finetune", len(usable))
  finetune = config.finetune
  with strategy.scope():
    variables = _trained(model, towers)
    optimizer = make_optimizer(
        finetune, [*(tower.bert for tower, _ in towers), model.encoder.bert],
        variable_rates=[(variable, rate) for tower, rate in towers
                        for variable in tower.trainable_variables]).build(variables)
  gold = gold_rows([question.gold_passage for question in questions], occurrences, corpus)

  def batches(number: int, first_step: int) -> tf.data.Dataset:
    return qa_batches(
        texts, usable, corpus.tokenizer, batch_size=finetune.batch_size,
        seed=order_seed(config.seed, number), first_step=first_step,
        last_step=finetune.steps)

  step = tf.function(
      _step(config, model, passages, index, places, beams.gold_blocks(gold), optimizer,
            variables),
      input_signature=[batches(0, 0).element_spec])

  def train(number: int, folder: pathlib.Path, judge: Judge | None) -> Loop:
    loop = stage_loop(config, "finetune", folder, {"model": model, "optimizer": optimizer},
                      strategy, judge)
    loop.run(batches(number, loop.first_step), step)
    return loop

  return train_soup(finetune.soup, folder, variables, optimizer, train, judge,
                    process_group(strategy))


def _count_learnable(config: RealmConfig, corpus: Corpus, questions: Sequence[str],
                     occurrences: Occurrences) -> None:
  """Says how many questions the reader can learn from, and why not from the others.

  Raises:
    UserError: from none.
  """
  finetune, width = config.finetune, config.encoder.max_span_width
  tokens = corpus.tokenizer.tokenize(tf.constant(list(questions), tf.string))
  counts = learnable(
      occurrences, tokens.row_lengths().numpy(), corpus.body_ids.lengths,
      max_span_width=width, reader_length=finetune.reader_length,
      max_spans=finetune.max_spans)
  lacking = ", ".join(f"{count} {reason}" for count, reason in (
      (counts.nowhere, "without an answer that stands in the corpus"),
      (counts.too_wide, f"whose answers are wider than encoder.max_span_width={width}"),
      (counts.cut_off, "whose answers are cut off by finetune.reader_length="
                       f"{finetune.reader_length}"),
      (counts.too_late, "whose answers are not among the first finetune.max_spans="
                        f"{finetune.max_spans} of a block")) if count)
  if not len(occurrences.rows):
    raise UserError("fine-tuning: no question has an answer that stands in the corpus; "
                    "check config.finetune.questions against config.corpus.source")
  if not counts.learnable:
    raise UserError(f"fine-tuning: the reader can learn from none of {counts.questions} "
                    f"questions: {lacking}; raise these limits, or give shorter answers")
  logging.info("finetune: the reader can learn from %d of %d questions%s", counts.learnable,
               counts.questions, f", and not from {lacking}" if lacking else "")


def _learning_towers(retriever: Retriever, finetune: FinetuneConfig
                     ) -> list[tuple[Tower, float]]:
  """Those that learn, with their shares of the learning rate; unties them where these
  differ. Towers that are shared stay so where both learn alike, or neither does."""
  document_rate = finetune.document_rate if finetune.fresh_blocks else 0.0
  if finetune.retriever_rate != document_rate:
    retriever.untie_towers()
  rates = finetune.retriever_rate, document_rate
  return [(tower, rate) for tower, rate in zip(retriever.towers, rates) if rate]


def _trained(model: Realm, towers: Sequence[tuple[Tower, float]]) -> list[tf.Variable]:
  return [*(variable for tower, _ in towers for variable in tower.trainable_variables),
          *model.encoder.bert.trainable_variables,
          *model.encoder.span_head.trainable_variables]


def _step(config: RealmConfig, model: Realm, passages: Passages, index: RowIndex,
          places: AnswerPlaces, gold: tf.Tensor, optimizer: AdamW,
          variables: Sequence[tf.Variable]) -> Callable[[QABatch], shares.Metrics]:
  """The step of a whole batch: finds the beam, then learns from it on the replicas."""
  finetune = config.finetune
  beam_size = min(finetune.beam_size, passages.num_blocks)
  read_blocks = min(finetune.read_blocks, beam_size)
  fresh_blocks = min(finetune.fresh_blocks, beam_size)
  fixed_lengths = config.fixed_lengths or is_tpu(model.strategy)
  multiple = 0 if fixed_lengths else 8
  share = shares.share_size(model.strategy, finetune.batch_size, finetune.accumulate)

  def look_up(batch: QABatch, question: Packed, rows: tf.Tensor, vectors: tf.Tensor) -> Beam:
    holds, pairs, correct = open_qa.pack_beam(
        passages, places, batch.number, batch.question, rows, read_blocks=read_blocks,
        length=finetune.reader_length, width=config.encoder.max_span_width,
        max_spans=finetune.max_spans, multiple=multiple)
    fresh = (Fresh(*scores.distinct(model.retriever, passages, rows[:, :fresh_blocks]))
             if fresh_blocks and not fixed_lengths else ())
    return Beam(question, vectors, holds, pairs, correct, fresh)

  def unpacked(beam: Any) -> Beam:
    return beam._replace(pairs=flat(beam.pairs), fresh=(
        Fresh(*each_by_itself(beam.fresh)) if fresh_blocks else ()))

  def gradients_of_part(examples: Any):
    beam = unpacked(examples) if fixed_lengths else look_up(*examples)
    with tf.GradientTape() as tape, dropout.drawn(config.seed, optimizer.iterations):
      loss, metrics = _loss(model, beam, read_blocks, finetune.distill)
    return tape.gradient(loss, variables), metrics

  def learn(examples: Any) -> shares.Metrics:
    gradients, metrics = shares.mean_over_parts(gradients_of_part, examples, share,
                                                finetune.accumulate)
    return metrics | {"gradient_norm": optimizer.apply(gradients, variables)}

  def step(batch: QABatch) -> shares.Metrics:
    question = pack_single(batch.question, config.retriever.query_length, passages.special,
                           multiple)
    question = order.fix_batch_size(question, finetune.batch_size)
    queries = shares.map_shares(model.strategy, model.retriever.embed_queries, question)
    rows = index.search(queries, beam_size)[1]
    if finetune.read_answer:
      rows = beams.bring_answer(rows, places.stand_in(batch.number, rows),
                                tf.gather(gold, batch.number), read_blocks)
    rows = tf.ensure_shape(rows, [finetune.batch_size, beam_size])
    examples: Any = (batch, question, rows, index.gather(rows))
    if fixed_lengths:  # the host packs, of the whole batch
      looked_up: Any = look_up(*examples)
      fresh = rows[:, :fresh_blocks]
      examples = looked_up._replace(
          pairs=by_candidate(looked_up.pairs, rows[:, :read_blocks]),
          fresh=by_candidate(passages.documents(
              tf.reshape(fresh, [-1]), config.retriever.document_length, multiple),
              fresh) if fresh_blocks else (),
          correct=tf.ensure_shape(looked_up.correct, [
              finetune.batch_size,
              read_blocks * finetune.reader_length * config.encoder.max_span_width]))
    return shares.run_on_shares(model.strategy, learn, examples, finetune.batch_size)

  return step


def _loss(model: Realm, beam: Beam, read_blocks: int, distill: float
          ) -> tuple[tf.Tensor, shares.Metrics]:
  """L_retriever + L_reader, and so much of the distillation; and what to log."""
  scored = open_qa.score_beam(model.retriever, model.encoder, beam, read_blocks)
  retriever_losses, reader_losses = open_qa.both_losses(beam, scored)
  loss, metrics = tf.reduce_mean(retriever_losses + reader_losses), dict[str, tf.Tensor]()
  if distill:
    metrics["distill_loss"] = tf.reduce_mean(
        open_qa.distillation(beam, scored, read_blocks))
    loss += distill * metrics["distill_loss"]
  return loss, {
      "loss": loss, "retriever_loss": tf.reduce_mean(retriever_losses),
      "reader_loss": tf.reduce_mean(reader_losses), **metrics,
      **open_qa.beam_metrics(beam, scored, read_blocks)}
