"""The span head learns to answer from documents alone, by cloze questions.

Each question (`examples.cloze_questions`) is read with a block that holds its span (that
which it is about, where it has the form of a question), and with the best others that the
retriever finds: these look as if they held it. The loss is that of
the reader in fine-tuning, one softmax over the spans of all blocks read (ORQA, section 6;
Clark & Gardner 2018), but of the reader's logits alone. A block that holds the span is read
whether the retriever found it or not, so its score would say nothing of the answer; and so
the head learns to tell by itself which block to believe.

The retriever is not touched. Shape letters: B batch, W beam, R read blocks, S spans, E banned
rows.
"""

import pathlib
from typing import Any, Callable, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.counted import counted
from realm_tf.distribute import shares
from realm_tf.distribute.strategy import is_tpu
from realm_tf.errors import UserError
from realm_tf.examples import order
from realm_tf.examples.cloze_questions import (
  ClozeBatch,
  cloze_batches,
  find_clozes,
  reader_length,
)
from realm_tf.examples.qa import AnswerPlaces
from realm_tf.index.interface import RowIndex
from realm_tf.models import dropout, losses, open_qa
from realm_tf.models.realm import Realm
from realm_tf.text.inputs import Packed, pack_single
from realm_tf.training import schedule
from realm_tf.training.loop import Loop
from realm_tf.training.optimizer import AdamW, make_optimizer
from realm_tf.training.padded import by_candidate, flat
from realm_tf.training.stage_loop import stage_loop


def train_cloze(config: RealmConfig, corpus: Corpus, passages: Passages, model: Realm,
                index: RowIndex, banned: np.ndarray | None, folder: pathlib.Path) -> Loop:
  """Trains the encoder and its span head in place.

  Args:
    config: of the run.
    corpus: where questions come from, and what is read.
    passages: the same corpus in the graph.
    model: whose encoder is trained.
    index: made by the model's document tower, which stays as it is.
    banned: [N, E] int32, by block, the rows that are not read for a question of it; None
      where questions are about their own block.
    folder: for checkpoints and curves.

  Raises:
    UserError: there is nothing to ask for.
  """
  if _searched(passages, banned) < 1:
    raise UserError(f"cloze questions: of {counted(passages.num_blocks, 'block')} none is "
                    "left that a question may be read with: those like its own are banned; "
                    "give more documents, or set --config.cloze.steps=0")
  clozes = find_clozes(config, corpus)
  config = schedule.fitted(config, "cloze", len(clozes.low))
  cloze, strategy = config.cloze, model.strategy
  logging.info("cloze: %d questions, of %d spans", len(clozes.low),
               1 + clozes.spans.name.max())
  variables = [*model.encoder.bert.trainable_variables,
               *model.encoder.span_head.trainable_variables]
  with strategy.scope():
    optimizer = make_optimizer(cloze, [model.encoder.bert]).build(variables)
  loop = stage_loop(config, "cloze", folder, {"model": model, "optimizer": optimizer},
                    strategy)
  batches = cloze_batches(config, corpus, clozes, loop.first_step)
  step = _step(config, model, passages, index, clozes.places, banned, optimizer, variables)
  loop.run(batches, tf.function(step, input_signature=[batches.element_spec]))
  return loop


def _step(config: RealmConfig, model: Realm, passages: Passages, index: RowIndex,
          places: AnswerPlaces, banned: np.ndarray | None, optimizer: AdamW,
          variables: Sequence[tf.Variable]) -> Callable[[ClozeBatch], shares.Metrics]:
  """The step of a whole batch: finds what to read, then learns from it on the replicas."""
  cloze, strategy, length = config.cloze, model.strategy, reader_length(config)
  share = shares.share_size(strategy, cloze.batch_size, cloze.accumulate)
  fixed_lengths = config.fixed_lengths or is_tpu(strategy)
  multiple = 0 if fixed_lengths else 8
  searched = _searched(passages, banned)
  read_blocks = min(cloze.read_blocks, searched)
  beam_size = min(max(cloze.beam_size, read_blocks), searched)
  ban_table = None if banned is None else tf.constant(banned, tf.int32)

  def look_up(batch: ClozeBatch, rows: tf.Tensor) -> tuple[Packed, tf.Tensor]:
    return open_qa.pack_beam(
        passages, places, batch.name, batch.question, rows, read_blocks=read_blocks,
        length=length, width=config.encoder.max_span_width, max_spans=cloze.max_spans,
        multiple=multiple)[1:]

  def gradients_of_part(examples: tuple[Any, tf.Tensor]):
    pairs, correct = ((flat(examples[0]), examples[1]) if fixed_lengths
                      else look_up(*examples))
    with tf.GradientTape() as tape, dropout.drawn(config.seed, optimizer.iterations):
      logits = tf.reshape(model.encoder.span_logits(pairs), tf.shape(correct))  # [B, R * S]
      loss = tf.reduce_mean(losses.marginal_loss(logits, correct))
    right = tf.gather(correct, tf.argmax(logits, 1), batch_dims=1)
    return tape.gradient(loss, variables), {"loss": loss, "exact_span": losses.share(right)}

  def learn(examples: tuple[Any, tf.Tensor]) -> shares.Metrics:
    gradients, metrics = shares.mean_over_parts(gradients_of_part, examples, share,
                                                cloze.accumulate)
    return metrics | {"gradient_norm": optimizer.apply(gradients, variables)}

  def step(batch: ClozeBatch) -> shares.Metrics:
    question = order.fix_batch_size(pack_single(
        batch.question, config.retriever.query_length, passages.special, multiple),
        cloze.batch_size)
    queries = shares.map_shares(strategy, model.retriever.embed_queries, question)
    not_read = None if ban_table is None else tf.gather(ban_table, batch.row)
    _, retrieved = index.search(queries, beam_size, not_read)
    rows, held = choose_blocks(places, batch, not_read, retrieved, read_blocks)
    rows = tf.ensure_shape(rows, [cloze.batch_size, read_blocks])
    examples: tuple[Any, tf.Tensor] = batch, rows
    if fixed_lengths:  # the host packs, of the whole batch
      pairs, correct = look_up(batch, rows)
      examples = by_candidate(pairs, rows), tf.ensure_shape(correct, [
          cloze.batch_size, read_blocks * length * config.encoder.max_span_width])
    return {"beam_has_span": losses.share(held)} | shares.run_on_shares(
        strategy, learn, examples, cloze.batch_size)

  return step


def _searched(passages: Passages, banned: np.ndarray | None) -> int:
  """How many blocks are left to a question at least."""
  return passages.num_blocks - (0 if banned is None else banned.shape[1])


def choose_blocks(places: AnswerPlaces, batch: ClozeBatch, banned: tf.Tensor | None,
                  retrieved: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
  """The blocks that are read: one that holds the span, then the best others.

  The first is the best of the beam that holds it: of all that do, the one that has most
  to do with the sentence. Where none does it is the supporting block; and where that is
  banned, as a near duplicate, the best of the beam: then there is nothing to learn.

  Args:
    places: of all spans.
    batch: of B questions.
    banned: [B, E] int32, or None.
    retrieved: [B, W] int32, best first.
    count: of blocks to read, at most W.

  Returns:
    [B, count] int32, and [B] bool, whether the beam has a block that holds the span.
  """
  holds = places.stand_in(batch.name, retrieved)  # [B, W]
  held = tf.reduce_any(holds, 1)
  first = batch.support
  if banned is not None:
    from_beam = held | tf.reduce_any(banned == batch.support[:, None], 1)
    first = tf.where(from_beam, tf.gather(retrieved, tf.argmax(holds, 1), batch_dims=1),
                     batch.support)
  # Nothing is read twice.
  others = tf.argsort(tf.cast(retrieved == first[:, None], tf.int32), stable=True)
  others = tf.gather(retrieved, others[:, :count - 1], batch_dims=1)
  return tf.concat([first[:, None], others], 1), held
