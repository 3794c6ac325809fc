"""REALM pre-training (Guu et al. 2020, sections 3.2 to 3.4).

Retriever and encoder learn together from masked salient spans, while the index is kept
fresh. Shape letters: B batch, K candidates, M masks, T tokens, D projection.
"""

import functools
import pathlib
from typing import Any, Callable

import numpy as np
import tensorflow as tf
from absl import logging

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.examples.pretraining import PretrainingBatch, pretraining_batches
from realm_tf.index.embed import CorpusEmbedder, collect
from realm_tf.index.follow import Follower
from realm_tf.index.interface import RowIndex
from realm_tf.index.monitor import SwapMonitor
from realm_tf.index.refresh import NoRefresh, Refresher
from realm_tf.models import losses
from realm_tf.models.realm import Realm
from realm_tf.training import replicas
from realm_tf.training.candidates import choose, mask_log_probs, relevance
from realm_tf.training.log import Log
from realm_tf.training.loop import Loop
from realm_tf.training.optimizer import AdamW, make_optimizer
from realm_tf.training.retrieved import as_markdown, retrieved_examples
from realm_tf.training.sample import (
    Sample,
    diagnose_by_step,
    embed_sample,
    held_out_sentences,
)

_RECORDS_PER_SHOW = 10  # of the curves; each show costs about a step


def mean_masks(batch: PretrainingBatch, parts: int = 1) -> tf.Tensor:
  """Masks in a part of a replica's batch, averaged over all parts of all replicas."""
  return replicas.all_mean(tf.reduce_sum(batch.weights)) / parts


def marginal(config: RealmConfig, scores: tf.Tensor, log_probs: tf.Tensor,
             weights: tf.Tensor, masks: tf.Tensor | None = None) -> tf.Tensor:
  """The mean loss of a batch in the form that the config names.

  Of a part of a batch where `masks` is its `mean_masks`: the mean over all parts is
  then the loss of the whole batch.
  """
  if config.pretrain.loss == "joint":
    return tf.reduce_mean(losses.joint_loss(scores, log_probs, weights))
  masks = tf.reduce_sum(weights) if masks is None else masks
  return tf.reduce_sum(losses.per_mask_loss(scores, log_probs, weights)) / masks


def _metrics(loss: tf.Tensor, scores: tf.Tensor, log_probs: tf.Tensor,
             weights: tf.Tensor, masks: tf.Tensor) -> replicas.Metrics:
  prior = tf.nn.softmax(scores)  # [B, K]
  utility = losses.retrieval_utility(log_probs, weights)  # [B, K - 1]
  share = prior[:, 1:] / tf.reduce_sum(prior[:, 1:], 1, keepdims=True)
  entropy = -tf.reduce_sum(prior * tf.math.log(prior + 1e-20), 1)
  return {
      "loss": loss,
      "retrieval_utility": tf.reduce_mean(tf.reduce_sum(share * utility, 1)),
      "best_retrieval_utility": tf.reduce_mean(tf.reduce_max(utility, 1)),
      "null_probability": tf.reduce_mean(prior[:, 0]),
      "prior_entropy": tf.reduce_mean(entropy),
      "mask_log_prob_null": tf.reduce_sum(log_probs[:, 0] * weights) / masks,
  }


def make_refresher(config: RealmConfig, index: RowIndex, model: Realm, corpus: Corpus,
                   embedder: CorpusEmbedder, root: pathlib.Path, monitor: SwapMonitor,
                   stopping: Callable[[], bool]) -> Refresher | Follower | NoRefresh:
  """What keeps the index fresh, in the way that `config.pretrain.refresh` names."""
  pretrain = config.pretrain
  if pretrain.refresh in ("frozen", "rerank"):
    return NoRefresh(int(index.step))
  law: dict[str, Any] = {
      "max_staleness": pretrain.max_staleness, "on_stale": pretrain.on_stale,
      "swap": monitor.swap, "stopping": stopping}
  if pretrain.refresh == "job":
    return Follower(index, root, corpus.rows_by_hash, corpus.stored_rows, **law)

  def snapshot() -> None:
    embedder.snapshot(model.retriever.document_tower)
    index.measure_with(monitor.queries())

  return Refresher(
      index, snapshot, lambda check: collect(embedder.batches(), embedder.num_rows, check),
      refresh_every=pretrain.refresh_every, wait=pretrain.refresh == "sync", **law)


def _norms(name: str, norm: tf.Tensor, of_parts: dict[str, tf.Tensor]) -> replicas.Metrics:
  name = f"{name}_gradient_norm"
  parts = {f"{name}@{part}": value for part, value in of_parts.items()}
  return {name: norm, **(parts if len(parts) > 1 else {})}


def _step(config: RealmConfig, model: Realm, index: RowIndex, passages: Passages,
          by_retriever: AdamW, by_encoder: AdamW
          ) -> Callable[[PretrainingBatch], replicas.Metrics]:
  """One step of a replica's share of a batch."""
  pretrain = config.pretrain
  share = pretrain.batch_size // model.strategy.num_replicas_in_sync
  of_towers = {tower.name: tower.trainable_variables for tower in model.retriever.towers}
  of_encoder_parts = {"bert": model.encoder.bert.trainable_variables,
                      "masked_lm": model.encoder.masked_lm.trainable_variables}

  def step(batch: PretrainingBatch) -> replicas.Metrics:
    masks = mean_masks(batch, pretrain.accumulate)

    def of_part(part: PretrainingBatch):
      with tf.GradientTape() as tape:
        queries = model.retriever.embed_queries(part.query)  # [B, D]
        rows = choose(pretrain, model, index, passages, queries, part.banned)
        scores = relevance(model, passages, queries, rows)  # [B, K]
        log_probs = mask_log_probs(model, passages, part, rows)  # [B, K, M]
        loss = marginal(config, scores, log_probs, part.weights, masks)
      gradients = tape.gradient(loss, [of_towers, of_encoder_parts])
      return gradients, _metrics(loss, scores, log_probs, part.weights, masks)

    (of_retriever, of_encoder), metrics = replicas.mean_over_parts(
        of_part, batch, share, pretrain.accumulate)
    return (metrics
            | _norms("retriever", *by_retriever.apply_by_part(of_retriever, of_towers))
            | _norms("encoder", *by_encoder.apply_by_part(of_encoder, of_encoder_parts)))

  return step


def _shower(config: RealmConfig, model: Realm, index: RowIndex, passages: Passages,
            corpus: Corpus, sample: Sample, log: Log) -> Callable[[int], None]:
  """Writes now and then what is retrieved for always the same masked sentences."""
  shown = sample.batches[0]

  @tf.function(input_signature=[sample.spec])
  def inspect(batch: PretrainingBatch):
    """Candidates [B, K] with p(z|x) and p(z|x,y)."""
    queries = model.retriever.embed_queries(batch.query)
    rows = choose(config.pretrain, model, index, passages, queries, batch.banned)
    prior = losses.log_prior(relevance(model, passages, queries, rows))
    answer = tf.einsum("bkm,bm->bk", mask_log_probs(model, passages, batch, rows),
                       batch.weights)
    return rows, tf.exp(prior), tf.nn.softmax(prior + answer)

  def show(number: int) -> None:
    if len(log.rows) % _RECORDS_PER_SHOW == 0 or number == config.pretrain.steps:
      found = (value.numpy() for value in inspect(shown))
      examples = retrieved_examples(corpus, shown, *found)
      log.text("retrieved", as_markdown(examples), number)
      log.example({"sentences": examples}, number)

  return show


def train_pretrain(config: RealmConfig, corpus: Corpus, passages: Passages, model: Realm,
                   index: RowIndex, banned: np.ndarray, folder: pathlib.Path
                   ) -> tuple[Loop, Refresher | Follower | NoRefresh]:
  """Trains retriever and encoder in place.

  Args:
    config: of the run.
    corpus: where sentences come from, and what is retrieved.
    passages: the same corpus in the graph.
    model: trained in place.
    index: made by this model's document tower; refreshed in place.
    banned: [N, R] int32, see `pretraining_batches`.
    folder: for checkpoints and curves; a refresh job's versions are in its `index`.
  """
  pretrain, strategy = config.pretrain, model.strategy
  with strategy.scope():  # two optimizers, so that each part is clipped by its own norm
    by_retriever = make_optimizer(
        pretrain, [tower.bert for tower in model.retriever.towers],
        pretrain.retriever_rate, pretrain.retriever_warmup_steps)
    by_encoder = make_optimizer(pretrain, [model.encoder.bert])
  # A refresh job embeds what it finds in checkpoints.
  checkpoint_every = (pretrain.refresh_every if pretrain.refresh == "job"
                      else config.checkpoint_every)
  loop = Loop("pretrain", folder, pretrain.steps,
              {"model": model, "retriever_optimizer": by_retriever,
               "encoder_optimizer": by_encoder, "index": index},
              checkpoint_every, keep=config.keep_checkpoints,
              best=config.best_metric, strategy=strategy)
  if loop.first_step:
    index.restored()
  batches = pretraining_batches(
      corpus, banned, batch_size=pretrain.batch_size, query_length=pretrain.query_length,
      max_masks=pretrain.max_masks, support=pretrain.span_blocks,
      seed=config.seed, first_step=loop.first_step, last_step=pretrain.steps)
  sample = held_out_sentences(config, corpus, banned, max(
      pretrain.index_sample, config.diagnosis.sentences if config.diagnosis.every else 1))
  monitor = SwapMonitor(index, embed_sample(model, sample, pretrain.index_sample),
                        min(pretrain.candidates - 1, corpus.num_blocks))
  embedder = CorpusEmbedder(passages, model.make_tower, config.retriever.document_length,
                            config.embed_batch_tokens)
  refresher = make_refresher(config, index, model, corpus, embedder, folder / "index",
                             monitor, loop.stopping)

  diagnose = diagnose_by_step(config, model, index, passages, sample,
                             functools.partial(marginal, config))
  show = _shower(config, model, index, passages, corpus, sample, loop.log)

  def before_step(number: int) -> dict[str, float]:
    if refresher.update(number):
      logging.info("index of step %d in use at step %d%s", refresher.index_step, number,
                   "".join(f", {name} {value:.3f}"
                           for name, value in monitor.metrics.items()))
    return refresher.metrics(number) | monitor.metrics | diagnose(number)

  step = replicas.replicated(
      strategy, _step(config, model, index, passages, by_retriever, by_encoder),
      batches.element_spec, pretrain.batch_size, pretrain.accumulate)
  try:
    if isinstance(refresher, Refresher):
      refresher.start(loop.first_step, int(index.step))
    if not loop.first_step:
      show(0)
    loop.run(batches, step, before_step=before_step, on_record=show)
  finally:
    refresher.close()
  return loop, refresher
