"""A step of pre-training: candidates are found, then retriever and encoder learn.

The stale index only chooses the K candidates that the sum is over; `loss_fn` scores and reads
them by the weights as they are (Guu et al. 2020, section 3.3).

Shape letters: B batch, K candidates, M masks.
"""

import dataclasses
import time
from typing import Any, Callable, NamedTuple

import numpy as np
import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.distribute import shares
from realm_tf.distribute.processes import num_processes, process_index
from realm_tf.distribute.shares import Metrics
from realm_tf.distribute.strategy import is_tpu
from realm_tf.errors import UserError
from realm_tf.examples.pretraining import PretrainingBatch
from realm_tf.index.interface import RowIndex
from realm_tf.models import dropout, losses
from realm_tf.models.realm import Realm
from realm_tf.models.scores import Reads, Scores, score_reads
from realm_tf.registry import LOSSES
from realm_tf.training import padded
from realm_tf.training.candidates import configured_candidates
from realm_tf.training.likelihood import (
  configured_read,
  configured_relevance,
  continuation,
  encoder_parts,
)
from realm_tf.training.optimizer import AdamW, make_optimizer
from realm_tf.training.watching import Retrieved, retrieved_metrics

# Sentences, and what else is known of each -> what is to be read of their candidates.
LookUp = Callable[[PretrainingBatch, Any], Reads]


class Optimizers(NamedTuple):
  """Two, so that each part of the model is clipped by its own norm."""
  retriever: AdamW
  encoder: AdamW


def loss_fn(config: RealmConfig, model: Realm, reads: Reads, masks: tf.Tensor,
            fixed_lengths: bool = False) -> tuple[tf.Tensor, Scores]:
  """-log p(y|x) over the candidates, all by the weights as they are.

  Args:
    config: of the run; its `pretrain` says what the loss, p(y|z,x) and p(z|x) are.
    model: retriever and encoder.
    reads: B masked sentences, and what is to be read of their K candidates.
    masks: see `losses.mean_marginal`.
    fixed_lengths: whether no shape may depend on the data.

  Returns:
    The mean loss; the scores whose softmax is p(z|x) [B, K] and log p(y_j|z,x) [B, K, M].
  """
  read = configured_read(config, model.encoder, padded=fixed_lengths)
  scored = score_reads(model.retriever, model.encoder, reads, fixed_lengths, read)
  scored = scored._replace(relevance=configured_relevance(config, scored.relevance))
  loss = LOSSES[config.pretrain.loss]
  return losses.mean_marginal(loss, *scored, reads.weights, masks), scored


def update(config: RealmConfig, model: Realm, optimizers: Optimizers, look_up: LookUp,
           examples: tuple[PretrainingBatch, Any], size: int, fixed_lengths: bool = False,
           frozen: bool = False) -> tuple[Metrics, tf.Tensor]:
  """A step of learning on a replica, from its `size` examples of the batch.

  Args:
    config: of the run.
    model: trained in place.
    optimizers: of its two parts.
    look_up: makes what is to be read of some of the examples.
    examples: masked sentences, and what `look_up` needs to know of each besides.
    size: how many.
    fixed_lengths: see `loss_fn`.
    frozen: whether the retriever stays as it is, and its optimizer with it.

  Returns:
    Metrics, and the scores of `loss_fn` [size, K].
  """
  pretrain = config.pretrain
  parts = {"retriever": {} if frozen else {
      tower.name: tower.trainable_variables for tower in model.retriever.towers},
           "encoder": encoder_parts(config, model)}
  masks = mean_masks(examples[0], pretrain.accumulate)

  def gradients_of_part(part: tuple[PretrainingBatch, Any]):
    reads = look_up(*part)
    with tf.GradientTape() as tape, dropout.drawn(config.seed, optimizers.encoder.iterations):
      value, scored = loss_fn(config, model, reads, masks, fixed_lengths)
    metrics = {"loss": value} | losses.marginal_metrics(*scored, reads.weights, masks)
    metrics |= retrieved_metrics(reads, scored, continuation(model.encoder),
                                 pretrain.masker != "random_token")
    return (tape.gradient(value, parts), metrics), scored.relevance

  (gradients, metrics), relevance = shares.over_parts(
      gradients_of_part, examples, size, pretrain.accumulate)
  for name, variables in parts.items():
    if variables:
      optimizer = getattr(optimizers, name)
      metrics |= _norms(name, *optimizer.apply_by_part(gradients[name], variables))
  return metrics, relevance


def _norms(name: str, norm: tf.Tensor, part_norms: dict[str, tf.Tensor]) -> Metrics:
  """The norm of the gradient of a model, and those of its parts where it has several."""
  name = f"{name}_gradient_norm"
  parts = {f"{name}@{part}": value for part, value in part_norms.items()}
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
               optimizers: Optimizers, spec: Any, retrieved: Retrieved, first_step: int):
    """`spec` is that of a batch; `retrieved` what queries before `first_step` got."""
    pretrain, strategy = config.pretrain, model.strategy
    shape = [pretrain.batch_size, pretrain.candidates]
    size = shares.share_size(strategy, pretrain.batch_size, pretrain.accumulate)
    is_fixed = has_fixed_lengths(config, strategy)

    def retrieve(batch: PretrainingBatch) -> tf.Tensor:
      queries = shares.map_shares(strategy, model.retriever.embed_queries, batch.query)
      rows = configured_candidates(config, model, index, passages, queries, batch.banned)
      return tf.ensure_shape(rows, shape)

    def look_up(batch: PretrainingBatch, candidates: Any) -> Reads:
      if is_fixed:
        return padded.reads(batch, candidates, passages.special)
      return model.reads(passages, batch, candidates, pretrain.encoder_length,
                         pretrain.window)

    def training(frozen: bool) -> Callable[[PretrainingBatch, tf.Tensor], Any]:
      def on_replica(examples: tuple[PretrainingBatch, Any]) -> Metrics:
        metrics, relevance = update(config, model, optimizers, look_up, examples, size,
                                    is_fixed, frozen)
        return metrics | {"scores": relevance}

      def train(batch: PretrainingBatch, rows: tf.Tensor) -> tuple[Metrics, tf.Tensor]:
        candidates = padded.pack(config, passages, batch, rows) if is_fixed else rows
        outputs = shares.run_on_shares(strategy, on_replica, (batch, candidates), shape[0])
        return outputs, outputs.pop("scores")

      return tf.function(train, input_signature=[spec, tf.TensorSpec(shape, tf.int32)])

    self._retrieve = tf.function(retrieve, input_signature=[spec])
    self._train, self._train_encoder = training(frozen=False), training(frozen=True)
    self._step, self._frozen_steps = first_step, pretrain.freeze_retriever_steps
    per_process = shape[0] // num_processes(strategy)
    self._examples = np.arange(per_process) + per_process * process_index(strategy)
    self._rows = self._scores = tf.zeros(shape)
    self._retrieved = retrieved

  def __call__(self, batch: PretrainingBatch) -> Metrics:
    """Scalars; `retrieval_wait_seconds` is how long finding the candidates took."""
    begun = time.monotonic()
    self._rows = self._retrieve(batch)
    rows = self._rows.numpy()  # where a device retrieves, this waits for it
    waited = time.monotonic() - begun
    train = self._train_encoder if self._step < self._frozen_steps else self._train
    metrics, self._scores = train(batch, self._rows)
    self._step += 1
    return metrics | self._retrieved.add(rows) | {"retrieval_wait_seconds": waited}

  def last_inputs(self) -> dict[str, np.ndarray]:
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
  """For retriever and encoder, in the scope of the model's strategy.

  The retriever's schedule is over the steps in which it learns.
  """
  pretrain, retriever, encoder = config.pretrain, model.retriever, model.encoder
  learning = dataclasses.replace(
      pretrain, steps=max(0, pretrain.steps - pretrain.freeze_retriever_steps))
  with model.strategy.scope():
    return Optimizers(
        make_optimizer(learning, [tower.bert for tower in retriever.towers],
                       pretrain.retriever_rate, pretrain.retriever_warmup_steps).build(
                           retriever.trainable_variables),
        make_optimizer(pretrain, [encoder.bert]).build(
            [variable for part in encoder_parts(config, model).values()
             for variable in part]))
