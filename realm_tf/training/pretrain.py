"""REALM pre-training (Guu et al. 2020, sections 3.2 to 3.4).

Retriever and encoder learn together from masked salient spans, while the index is kept
fresh. Shape letters: B batch, K candidates, M masks, T tokens, D projection.
"""

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
from realm_tf.index.freshness import ALONE
from realm_tf.index.interface import RowIndex
from realm_tf.index.monitor import SwapMonitor
from realm_tf.index.pace import Pace
from realm_tf.index.refresh import NoRefresh, Refresher
from realm_tf.models import losses
from realm_tf.models.realm import Realm
from realm_tf.training import replicas
from realm_tf.training.candidates import choose, mask_log_probs, relevance
from realm_tf.training.log import Log
from realm_tf.training.loop import Loop
from realm_tf.training.optimizer import AdamW, make_optimizer
from realm_tf.training.retrieved import retrieved_examples

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
      "swap": monitor.swap, "stopping": stopping,
      "together": replicas.Together(model.strategy) if index.share else ALONE}
  first, end = index.share or (0, corpus.num_blocks)
  if pretrain.refresh == "job":
    return Follower(index, root, corpus.rows_by_hash, corpus.stored_rows[first:end], **law)

  def snapshot() -> None:
    embedder.snapshot(model.retriever.document_tower)
    index.measure_with(monitor.queries())

  def embed(check: Callable[[int], None]) -> np.ndarray:
    return collect(embedder.batches(first, end), end - first, check, first)

  return Refresher(index, snapshot, embed, refresh_every=pretrain.refresh_every,
                   wait=pretrain.refresh == "sync", pace=Pace(pretrain.refresh_share),
                   **law)


def _sample_queries(model: Realm, batches: tf.data.Dataset, count: int
                    ) -> Callable[[], np.ndarray]:
  """Embeds always the same masked sentences by the query tower as it is: [Q, D]."""
  queries, size = [], 0
  for batch in batches:
    if size >= count:
      break
    queries.append(batch.query)
    size += len(batch.query.ids)

  def embed() -> np.ndarray:
    return np.concatenate([model.retriever.embed_queries(q).numpy() for q in queries])[:count]

  return embed


def _step(config: RealmConfig, model: Realm, index: RowIndex, passages: Passages,
          by_retriever: AdamW, by_encoder: AdamW
          ) -> Callable[[PretrainingBatch], replicas.Metrics]:
  """One step of a replica's share of a batch."""
  pretrain = config.pretrain
  share = pretrain.batch_size // model.strategy.num_replicas_in_sync
  retriever_variables = model.retriever.trainable_variables
  encoder_variables = [*model.encoder.bert.trainable_variables,
                       *model.encoder.masked_lm.trainable_variables]

  def step(batch: PretrainingBatch) -> replicas.Metrics:
    masks = mean_masks(batch, pretrain.accumulate)

    def of_part(part: PretrainingBatch):
      with tf.GradientTape() as tape:
        queries = model.retriever.embed_queries(part.query)  # [B, D]
        rows = choose(pretrain, model, index, passages, queries, part.banned)
        scores = relevance(model, passages, queries, rows)  # [B, K]
        log_probs = mask_log_probs(model, passages, part, rows)  # [B, K, M]
        loss = marginal(config, scores, log_probs, part.weights, masks)
      gradients = tape.gradient(loss, [retriever_variables, encoder_variables])
      return gradients, _metrics(loss, scores, log_probs, part.weights, masks)

    (of_retriever, of_encoder), metrics = replicas.mean_over_parts(
        of_part, batch, share, pretrain.accumulate)
    return metrics | {
        "retriever_gradient_norm": by_retriever.apply(of_retriever, retriever_variables),
        "encoder_gradient_norm": by_encoder.apply(of_encoder, encoder_variables)}

  return step


def _shower(config: RealmConfig, model: Realm, index: RowIndex, passages: Passages,
            corpus: Corpus, batches: tf.data.Dataset, log: Log) -> Callable[[int], None]:
  """Writes now and then what is retrieved for always the same masked sentences."""
  shown = next(iter(batches))

  @tf.function(input_signature=[batches.element_spec])
  def inspect(batch: PretrainingBatch):
    """Candidates [B, K] with p(z|x) and p(z|x,y)."""
    queries = model.retriever.embed_queries(batch.query)
    rows = choose(config.pretrain, model, index, passages, queries, batch.banned)
    prior = losses.log_prior(relevance(model, passages, queries, rows))
    answer = tf.einsum("bkm,bm->bk", mask_log_probs(model, passages, batch, rows),
                       batch.weights)
    return rows, tf.exp(prior), tf.nn.softmax(prior + answer)

  def show(number: int) -> None:
    if len(log.rows) % _RECORDS_PER_SHOW == 0:
      found = (value.numpy() for value in inspect(shown))
      log.text("retrieved", retrieved_examples(corpus, shown, *found), number)

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
  tracked = {"model": model, "retriever_optimizer": by_retriever,
             "encoder_optimizer": by_encoder}
  if not index.share:  # of a share the law makes a new one, when a run goes on
    tracked["index"] = index
  loop = Loop("pretrain", folder, pretrain.steps, tracked, checkpoint_every,
              keep=config.keep_checkpoints, best=config.best_metric, strategy=strategy)
  if loop.first_step:
    index.restored()
  batches = pretraining_batches(
      corpus, banned, batch_size=pretrain.batch_size, query_length=pretrain.query_length,
      max_masks=pretrain.max_masks, support=pretrain.span_blocks,
      seed=config.seed, first_step=loop.first_step, last_step=pretrain.steps)
  monitor = SwapMonitor(index, _sample_queries(model, batches, pretrain.index_sample),
                        min(pretrain.candidates - 1, corpus.num_blocks))
  embedder = CorpusEmbedder(passages, model.make_tower, config.retriever.document_length,
                            config.embed_batch_tokens)
  refresher = make_refresher(config, index, model, corpus, embedder, folder / "index",
                             monitor, loop.stopping)

  def before_step(number: int) -> dict[str, float]:
    if refresher.update(number):
      logging.info("index of step %d in use at step %d%s", refresher.index_step, number,
                   "".join(f", {name} {value:.3f}"
                           for name, value in monitor.metrics.items()))
    return refresher.metrics(number) | monitor.metrics

  step = replicas.replicated(
      strategy, _step(config, model, index, passages, by_retriever, by_encoder),
      batches.element_spec, pretrain.batch_size, pretrain.accumulate)
  try:
    if isinstance(refresher, Refresher):
      refresher.start(loop.first_step, int(index.step))
    loop.run(batches, step, before_step=before_step,
             on_record=_shower(config, model, index, passages, corpus, batches, loop.log))
  finally:
    refresher.close()
  return loop, refresher
