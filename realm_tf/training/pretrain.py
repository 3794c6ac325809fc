"""REALM pre-training (Guu et al. 2020, sections 3.2 to 3.4).

    p(y|x) = sum over z of p(y|z,x) p(z|x),   p(z|x) = softmax of f(x, z)

Retriever and encoder learn together from masked salient spans, while the index is kept
fresh. The stale index only chooses the K candidates that the sum is over; `loss_fn` scores
and reads them by the weights as they are.

Shape letters: B batch, K candidates, M masks, N blocks, E banned rows.
"""

import pathlib
import time
from typing import Any, Callable, NamedTuple, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.distribute import shares
from realm_tf.distribute.processes import num_processes, process_index
from realm_tf.distribute.shares import Metrics
from realm_tf.distribute.strategy import is_tpu
from realm_tf.errors import UserError
from realm_tf.examples.pretraining import PretrainingBatch, pretraining_batches
from realm_tf.index.embed import CorpusEmbedder
from realm_tf.index.interface import RowIndex
from realm_tf.models import dropout, losses
from realm_tf.models.losses import MarginalLoss
from realm_tf.models.realm import Realm
from realm_tf.models.scores import Reads, Scores, score_reads
from realm_tf.refresh.make import Refresh, make_refresher
from realm_tf.refresh.monitor import SwapMonitor
from realm_tf.refresh.refresher import Refresher
from realm_tf.registry import LOSSES
from realm_tf.training import padded, schedule
from realm_tf.training.candidates import configured_candidates
from realm_tf.training.held_out_sentences import Sample, embed_sample, held_out_sentences
from realm_tf.training.loop import BeforeStep, Loop, OnStep
from realm_tf.training.optimizer import AdamW, make_optimizer
from realm_tf.training.retrieved import show_retrieved

# Sentences, and what else is known of each -> what is to be read of their candidates.
LookUp = Callable[[PretrainingBatch, Any], Reads]


class Optimizers(NamedTuple):
  """Two, so that each part of the model is clipped by its own norm."""
  retriever: AdamW
  encoder: AdamW


def loss_fn(model: Realm, reads: Reads, loss: MarginalLoss, masks: tf.Tensor,
            fixed_lengths: bool = False) -> tuple[tf.Tensor, Scores]:
  """-log p(y|x) over the candidates, all by the weights as they are.

  Args:
    model: retriever and encoder.
    reads: B masked sentences, and what is to be read of their K candidates.
    loss: `joint` (the paper), `per_mask` (its published code), or another.
    masks: see `losses.mean_marginal`.
    fixed_lengths: whether no shape may depend on the data.

  Returns:
    The mean loss; f(x, z) [B, K] and log p(y_j|z,x) [B, K, M].
  """
  scored = score_reads(model.retriever, model.encoder, reads, padded=fixed_lengths)
  return losses.mean_marginal(loss, *scored, reads.weights, masks), scored


def update(model: Realm, optimizers: Optimizers, loss: MarginalLoss, look_up: LookUp,
           examples: tuple[PretrainingBatch, Any], size: int, accumulate: int,
           fixed_lengths: bool = False, seed: int = 0) -> tuple[Metrics, tf.Tensor]:
  """A step of learning on a replica, from its `size` examples of the batch.

  Args:
    model: trained in place.
    optimizers: of its two parts.
    loss: see `loss_fn`.
    look_up: makes what is to be read of some of the examples.
    examples: masked sentences, and what `look_up` needs to know of each besides.
    size: how many.
    accumulate: in how many parts they are learnt from.
    fixed_lengths: see `loss_fn`.
    seed: of the run's dropout.

  Returns:
    Metrics, and f(x, z) [size, K].
  """
  towers = {tower.name: tower.trainable_variables for tower in model.retriever.towers}
  encoder = {"bert": model.encoder.bert.trainable_variables,
             "masked_lm": model.encoder.masked_lm.trainable_variables}
  masks = mean_masks(examples[0], accumulate)

  def of_part(part: tuple[PretrainingBatch, Any]):
    reads = look_up(*part)
    with tf.GradientTape() as tape, dropout.drawn(seed, optimizers.encoder.iterations):
      value, scored = loss_fn(model, reads, loss, masks, fixed_lengths)
    gradients = tape.gradient(value, (towers, encoder))
    metrics = {"loss": value} | losses.marginal_metrics(*scored, reads.weights, masks)
    return (gradients, metrics), scored.relevance

  (gradients, metrics), relevance = shares.over_parts(of_part, examples, size, accumulate)
  for name, variables, gradient, optimizer in zip(
      Optimizers._fields, (towers, encoder), gradients, optimizers):
    metrics |= _norms(name, *optimizer.apply_by_part(gradient, variables))
  return metrics, relevance


def _norms(name: str, norm: tf.Tensor, of_parts: dict[str, tf.Tensor]) -> Metrics:
  """The norm of the gradient of a model, and those of its parts where it has several."""
  name = f"{name}_gradient_norm"
  parts = {f"{name}@{part}": value for part, value in of_parts.items()}
  return {name: norm, **(parts if len(parts) > 1 else {})}


def mean_masks(batch: PretrainingBatch, parts: int = 1) -> tf.Tensor:
  """Masks in a part of a replica's batch, averaged over all parts of all replicas."""
  return shares.all_mean(tf.reduce_sum(batch.weights)) / parts


class PretrainStep:
  """A step of the whole batch: the index finds candidates, then the model learns.

  Queries are embedded on the replicas, without a gradient; the search is outside of them,
  once per process and for the whole batch.
  """

  def __init__(self, config: RealmConfig, model: Realm, index: RowIndex, passages: Passages,
               optimizers: Optimizers, spec: Any):
    """`spec` is that of a batch."""
    pretrain, strategy = config.pretrain, model.strategy
    shares.check_shares(strategy, pretrain.batch_size, pretrain.accumulate)
    shape = [pretrain.batch_size, pretrain.candidates]
    size = pretrain.batch_size // strategy.num_replicas_in_sync
    is_fixed = has_fixed_lengths(config, strategy)

    def retrieve(batch: PretrainingBatch) -> tf.Tensor:
      queries = shares.map_shares(strategy, model.retriever.embed_queries, batch.query)
      rows = configured_candidates(config, model, index, passages, queries, batch.banned)
      return tf.ensure_shape(rows, shape)

    def look_up(batch: PretrainingBatch, given: Any) -> Reads:
      if is_fixed:
        return padded.reads(batch, given, passages.special)
      return model.reads(passages, batch, given, pretrain.encoder_length)

    def on_replica(examples: tuple[PretrainingBatch, Any]) -> Metrics:
      metrics, relevance = update(model, optimizers, LOSSES[pretrain.loss], look_up, examples,
                                  size, pretrain.accumulate, is_fixed, config.seed)
      return metrics | {"scores": relevance}

    def train(batch: PretrainingBatch, rows: tf.Tensor) -> tuple[Metrics, tf.Tensor]:
      given = padded.pack(config, passages, batch, rows) if is_fixed else rows
      outputs = shares.run_on_shares(strategy, on_replica, (batch, given), shape[0])
      return outputs, outputs.pop("scores")

    self._retrieve = tf.function(retrieve, input_signature=[spec])
    self._train = tf.function(train, input_signature=[spec, tf.TensorSpec(shape, tf.int32)])
    own = shape[0] // num_processes(strategy)
    self._examples = np.arange(own) + own * process_index(strategy)
    self._rows = self._scores = tf.zeros(shape)

  def __call__(self, batch: PretrainingBatch) -> Metrics:
    """Scalars; `retrieval_wait_seconds` is how long finding the candidates took."""
    begun = time.monotonic()
    self._rows = self._retrieve(batch)
    self._rows.numpy()  # where a device retrieves, this waits for it
    waited = time.monotonic() - begun
    metrics, self._scores = self._train(batch, self._rows)
    return metrics | {"retrieval_wait_seconds": waited}

  def seen(self) -> dict[str, np.ndarray]:
    """What the last step saw besides its batch, b examples of this process's replicas.

    `candidates.rows` [b, K], `.scores` [b, K], `.examples` [b]: which of the batch.
    """
    return {"candidates.rows": self._rows.numpy()[self._examples],
            "candidates.scores": self._scores.numpy(),
            "candidates.examples": self._examples}


def has_fixed_lengths(config: RealmConfig, strategy: tf.distribute.Strategy) -> bool:
  """Whether no shape may depend on the data.

  Raises:
    UserError: the config wants what cannot be had so.
  """
  needed = config.fixed_lengths or is_tpu(strategy)
  if needed and config.refresh.mode == "rerank":
    raise UserError("config.refresh.mode: 'rerank' embeds as many blocks as differ, and "
                    "so cannot be had at fixed lengths (fixed_lengths, --strategy=tpu)")
  return needed


def make_optimizers(config: RealmConfig, model: Realm) -> Optimizers:
  """For retriever and encoder, in the scope of the model's strategy."""
  pretrain, retriever, encoder = config.pretrain, model.retriever, model.encoder
  with model.strategy.scope():
    return Optimizers(
        make_optimizer(pretrain, [tower.bert for tower in retriever.towers],
                       pretrain.retriever_rate, pretrain.retriever_warmup_steps).build(
                           retriever.trainable_variables),
        make_optimizer(pretrain, [encoder.bert]).build(
            [*encoder.bert.trainable_variables, *encoder.masked_lm.trainable_variables]))


def train_pretrain(config: RealmConfig, corpus: Corpus, passages: Passages, model: Realm,
                   index: RowIndex, banned: np.ndarray, folder: pathlib.Path,
                   before_step: Sequence[BeforeStep] = (), on_step: Sequence[OnStep] = (),
                   sentences: Corpus | None = None) -> tuple[Loop, Refresh]:
  """Trains retriever and encoder in place.

  Args:
    config: of the run.
    corpus: what is retrieved.
    passages: the same corpus in the graph.
    model: trained in place.
    index: made by this model's document tower; refreshed in place.
    banned: [N, E] int32, see `pretraining_batches`.
    folder: for checkpoints and curves; a refresh job's versions are in its `index`.
    before_step, on_step: see `Loop.run`.
    sentences: where the sentences come from, if not of `corpus`, its `knowledge`.
  """
  sentences = sentences or corpus
  config = schedule.fitted_to_sentences(config, "pretrain", sentences)
  pretrain, strategy = config.pretrain, model.strategy
  fixed_lengths = has_fixed_lengths(config, strategy)
  optimizers = make_optimizers(config, model)
  tracked = {"model": model, "retriever_optimizer": optimizers.retriever,
             "encoder_optimizer": optimizers.encoder}
  if not index.share:  # sharded tables are not checkpointed: they are embedded on resume
    tracked["index"] = index
  # A refresh job embeds what it finds in checkpoints.
  every = config.refresh.every if config.refresh.mode == "job" else config.checkpoint_every
  loop = Loop("pretrain", folder, pretrain.steps, tracked, every,
              keep=config.keep_checkpoints, best=config.best_metric, strategy=strategy)
  if loop.first_step:
    index.restored()
  batches = pretraining_batches(
      sentences, banned, batch_size=pretrain.batch_size, query_length=pretrain.query_length,
      max_masks=pretrain.max_masks, support=pretrain.span_blocks, seed=config.seed,
      first_step=loop.first_step, last_step=pretrain.steps, fixed_lengths=fixed_lengths,
      masker=pretrain.masker)
  sample = held_out_sentences(config, sentences, banned, config.refresh.sample)
  refresher, refresh = _refresher(config, corpus, passages, model, index, sample, folder,
                                  loop)
  show = show_retrieved(config, model, index, passages, corpus, sample, loop.log)
  step = PretrainStep(config, model, index, passages, optimizers, batches.element_spec)
  try:
    if isinstance(refresher, Refresher):
      refresher.start(loop.first_step, int(index.step))
    if not loop.first_step:
      show(0)
    loop.run(batches, step, before_step=[refresh, *before_step], on_step=on_step,
             on_record=show, seen=step.seen)
  finally:
    refresher.close()
  return loop, refresher


def _refresher(config: RealmConfig, corpus: Corpus, passages: Passages, model: Realm,
               index: RowIndex, sample: Sample, folder: pathlib.Path, loop: Loop
               ) -> tuple[Refresh, BeforeStep]:
  """What keeps the index fresh, and what is to be done for it before each step."""
  count = config.refresh.sample
  embedder = CorpusEmbedder(passages, model.make_tower, config.retriever.document_length,
                            config.embed_batch_tokens)
  monitor = SwapMonitor(index, embed_sample(model, sample, count),
                        min(config.pretrain.candidates - 1, corpus.num_blocks))
  refresher = make_refresher(config, index, model, corpus, embedder, folder / "index",
                             monitor, loop.stopping)

  def refresh(step: int) -> dict[str, float]:
    if refresher.update(step):
      logging.info("index of step %d in use at step %d%s", refresher.index_step, step,
                   "".join(f", {name} {value:.3f}"
                           for name, value in monitor.metrics.items()))
    return refresher.metrics(step) | monitor.metrics

  return refresher, refresh
