"""Fine-tuning for open-domain QA (ORQA, section 6), document tower and index frozen.

    L = L_retriever + L_reader

L_retriever ("early update") is the marginal loss over a wide beam of blocks, of
which those are correct that hold an answer; L_reader that over all spans of the
read blocks, reader logit + retriever logit, in one softmax. Shape letters: B batch,
W beam, R read blocks, T tokens, S spans.
"""

import pathlib
from typing import Sequence

import numpy as np
import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.matching import find_occurrences
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.examples.qa import AnswerPlaces, GoldSpans, QABatch, qa_batches
from realm_tf.index.interface import RowIndex
from realm_tf.models import losses
from realm_tf.models.realm import Realm
from realm_tf.text.inputs import Packed, pack_single
from realm_tf.training import replicas
from realm_tf.training.loop import Loop
from realm_tf.training.optimizer import make_optimizer


def read(model: Realm, passages: Passages, questions: tf.RaggedTensor, rows: tf.Tensor,
         max_length: int) -> tuple[Packed, tf.Tensor]:
  """Scores the spans of each question's blocks: [B, R] rows -> [B * R, T, width]."""
  packed = passages.after(questions, rows, max_length)
  return packed, model.encoder.span_logits(packed)


def correct_spans(gold: GoldSpans, second_start: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
  """Marks the gold spans among all spans.

  Args:
    gold: [B, R, G] pieces of the bodies.
    second_start: [B * R] where the body begins in the packed row.
    shape: of the span logits, [B * R, T, width].

  Returns:
    [B * R, T, width] bool. A gold span that was cut off, or is wider than `width`,
    is left out.
  """
  rows, length, width = tf.unstack(shape)
  starts = tf.reshape(gold.starts, [rows, -1])
  spread = tf.reshape(gold.ends, [rows, -1]) - starts
  starts_at = starts + second_start[:, None]
  usable = (starts >= 0) & (starts_at < length) & (spread < width)
  row = tf.broadcast_to(tf.range(rows)[:, None], tf.shape(starts))
  places = tf.boolean_mask(tf.stack([row, starts_at, spread], -1), usable)
  marks = tf.scatter_nd(places, tf.ones([tf.shape(places)[0]], tf.int32), shape)
  return marks > 0


def _share(flags: tf.Tensor) -> tf.Tensor:
  return tf.reduce_mean(tf.cast(flags, tf.float32))


def train_finetune(config: RealmConfig, corpus: Corpus, passages: Passages, model: Realm,
                   index: RowIndex, questions: Sequence[str],
                   answers: Sequence[Sequence[str]], folder: pathlib.Path,
                   regex: Sequence[bool] | None = None) -> Loop:
  """Trains query tower and encoder in place; `index` holds the document tower's work.

  `regex` says of each question whether its answers are patterns, as in CuratedTREC.
  Towers that were shared part here: the document tower stays as the index knows it.
  """
  finetune = config.finetune
  strategy = model.strategy
  with strategy.scope():
    model.retriever.part_towers()
  occurrences = find_occurrences(answers, corpus, corpus.tokenizer, regex)
  places = AnswerPlaces(occurrences, corpus.num_blocks)
  usable = np.flatnonzero(np.diff(occurrences.splits))
  beam = min(finetune.beam_size, corpus.num_blocks)
  read_blocks = min(finetune.read_blocks, beam)
  variables = [*model.retriever.query_tower.trainable_variables,
               *model.encoder.bert.trainable_variables,
               *model.encoder.span_head.trainable_variables]
  with strategy.scope():
    optimizer = make_optimizer(finetune, [model.retriever.query_tower.bert,
                                          model.encoder.bert])
  loop = Loop("finetune", folder, finetune.steps, {"model": model, "optimizer": optimizer},
              config.checkpoint_every, keep=config.keep_checkpoints,
              best=config.best_metric, strategy=strategy)
  batches = qa_batches(
      questions, usable, corpus.tokenizer, batch_size=finetune.batch_size,
      seed=config.seed, first_step=loop.first_step, last_step=finetune.steps)

  share = finetune.batch_size // strategy.num_replicas_in_sync

  def embed(questions: tf.RaggedTensor) -> tf.Tensor:
    return model.retriever.embed_queries(
        pack_single(questions, config.retriever.query_length, corpus.tokenizer))  # [B, D]

  def of_part(found: tuple[QABatch, tf.Tensor, tf.Tensor]):
    batch, rows, vectors = found  # [B, W] blocks of the beam, [B, W, D] their vectors
    with tf.GradientTape() as tape:
      scores = tf.einsum("bd,bwd->bw", embed(batch.question), vectors)
      holds = places.stand_in(batch.number, rows)
      retriever_loss = losses.marginal_loss(scores, holds)  # [B]
      top = rows[:, :read_blocks]
      read_rows, logits = read(model, passages, batch.question, top,
                               finetune.reader_length)
      gold = places.spans(batch.number, top, finetune.max_spans)
      correct = correct_spans(gold, read_rows.second_start, tf.shape(logits))
      size = tf.shape(rows)[0]
      logits = (tf.reshape(logits, [size, read_blocks, -1])
                + scores[:, :read_blocks, None])  # [B, R, S]
      logits = tf.reshape(logits, [size, -1])
      correct = tf.reshape(correct, [size, -1])
      reader_loss = losses.marginal_loss(logits, correct)  # [B]
      loss = tf.reduce_mean(retriever_loss + reader_loss)
    best = tf.argmax(logits, 1)
    hits = tf.gather(correct, best, batch_dims=1)
    return tape.gradient(loss, variables), {
        "loss": loss, "retriever_loss": tf.reduce_mean(retriever_loss),
        "reader_loss": tf.reduce_mean(reader_loss),
        "beam_has_answer": _share(tf.reduce_any(holds, 1)),
        "read_has_answer": _share(tf.reduce_any(holds[:, :read_blocks], 1)),
        "exact_span": _share(hits)}

  def learn(found: tuple[QABatch, tf.Tensor, tf.Tensor]) -> replicas.Metrics:
    gradients, metrics = replicas.mean_over_parts(of_part, found, share,
                                                  finetune.accumulate)
    return metrics | {"gradient_norm": optimizer.apply(gradients, variables)}

  @tf.function(input_signature=[batches.element_spec])
  def step(batch: QABatch) -> replicas.Metrics:
    queries = replicas.map_shares(strategy, lambda share: embed(share.question), batch)
    _, rows = index.search(queries, beam)
    return replicas.run_on_shares(strategy, learn, (batch, rows, index.gather(rows)),
                                  finetune.batch_size)

  replicas.check_shares(strategy, finetune.batch_size, finetune.accumulate)
  loop.run(batches, step)
  return loop
