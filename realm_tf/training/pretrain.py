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
from realm_tf.errors import UserError
from realm_tf.examples.pretraining import PretrainingBatch, pretraining_batches
from realm_tf.index.embed import CorpusEmbedder, collect
from realm_tf.index.follow import Follower
from realm_tf.index.freshness import ALONE
from realm_tf.index.hot import HotRows
from realm_tf.index.interface import RowIndex
from realm_tf.index.monitor import SwapMonitor
from realm_tf.index.pace import Pace
from realm_tf.index.refresh import NoRefresh, Refresher
from realm_tf.models import losses
from realm_tf.models.realm import Realm
from realm_tf.models.scores import mask_log_probs, relevance
from realm_tf.training import fixed, overlap, replicas
from realm_tf.training.candidates import choose
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
from realm_tf.training.seen import SeenCandidates, in_place

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
  return losses.mean_marginal(losses.MARGINAL[config.pretrain.loss], scores, log_probs,
                              weights, masks)


def make_refresher(config: RealmConfig, index: RowIndex, model: Realm, corpus: Corpus,
                   embedder: CorpusEmbedder, root: pathlib.Path, monitor: SwapMonitor,
                   stopping: Callable[[], bool], hot: HotRows | None = None
                   ) -> Refresher | Follower | NoRefresh:
  """What keeps the index fresh, in the way that `config.pretrain.refresh` names."""
  pretrain = config.pretrain
  if pretrain.refresh in ("frozen", "rerank"):
    return NoRefresh(int(index.step))
  law: dict[str, Any] = {
      "max_staleness": pretrain.max_staleness, "on_stale": pretrain.on_stale,
      "swap": monitor.swap, "stopping": stopping,
      "together": replicas.together(model.strategy) if index.share else ALONE}
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
                   hot=hot, **law)


def make_hot_rows(config: RealmConfig, index: RowIndex, corpus: Corpus,
                  embedder: CorpusEmbedder) -> HotRows | None:
  """What is embedded first, if `config.pretrain.refresh_first` says that some rows are."""
  first = index.share[0] if index.share else 0

  def embed_into(rows: np.ndarray, table: np.ndarray, check: Callable[[int], None]) -> None:
    if len(rows):
      collect(embedder.some(rows), len(rows), check, first, table)

  share = config.pretrain.refresh_first
  return HotRows(index, corpus.num_blocks, share, embed_into) if share else None


def _norms(name: str, norm: tf.Tensor, of_parts: dict[str, tf.Tensor]) -> replicas.Metrics:
  name = f"{name}_gradient_norm"
  parts = {f"{name}@{part}": value for part, value in of_parts.items()}
  return {name: norm, **(parts if len(parts) > 1 else {})}


def chooser(config: RealmConfig, model: Realm, index: RowIndex, passages: Passages,
            hot: HotRows | None = None) -> Callable[[PretrainingBatch], tf.Tensor]:
  """The first half of a step: a whole batch -> its candidates, [B, K] rows.

  Queries are embedded on the replicas, without a gradient; the search is on the host.
  `hot` is told of what was retrieved.
  """
  pretrain = config.pretrain

  def choose_rows(batch: PretrainingBatch) -> tf.Tensor:
    queries = replicas.map_shares(model.strategy, model.retriever.embed_queries,
                                  batch.query)  # [B, D]
    rows = choose(pretrain, model, index, passages, queries, batch.banned)
    if hot:
      hot.note(rows[:, 1:])  # the null document is not retrieved
    return tf.ensure_shape(rows, [pretrain.batch_size, pretrain.candidates])

  return choose_rows


def learner(config: RealmConfig, model: Realm, passages: Passages, by_retriever: AdamW,
            by_encoder: AdamW, fixed_lengths: bool, seen: SeenCandidates
            ) -> Callable[[PretrainingBatch, tf.Tensor], replicas.Metrics]:
  """The second half: learns from a whole batch and its candidates, [B, K] rows.

  `seen` is told of both these and f(x, z).
  """
  pretrain, strategy = config.pretrain, model.strategy
  share = pretrain.batch_size // strategy.num_replicas_in_sync
  of_towers = {tower.name: tower.trainable_variables for tower in model.retriever.towers}
  of_encoder_parts = {"bert": model.encoder.bert.trainable_variables,
                      "masked_lm": model.encoder.masked_lm.trainable_variables}

  def read(given: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """f(x, z) [B, K] and log p(y_j | z, x) [B, K, M], by the weights as they are."""
    if fixed_lengths:
      queries = model.retriever.embed_queries(given[0].query)  # [B, D]
      return (fixed.relevance(model, passages, queries, given),
              fixed.mask_log_probs(model, given))
    part, rows = given
    return model(model.reads(passages, part, rows, pretrain.encoder_length))

  def learn_share(everything: tuple[Any, tf.Tensor]) -> replicas.Metrics:
    (batch, *_), first = everything[0], everything[1][0]
    masks = mean_masks(batch, pretrain.accumulate)

    def of_part(everything: tuple[Any, tf.Tensor]):
      given, examples = everything
      weights = given[0].weights
      with tf.GradientTape() as tape:
        scores, log_probs = read(given)
        loss = marginal(config, scores, log_probs, weights, masks)
      gradients = tape.gradient(loss, [of_towers, of_encoder_parts])
      return gradients, {
          "loss": loss, **losses.marginal_metrics(scores, log_probs, weights, masks),
          "scores": in_place(scores, examples - first, share, pretrain.accumulate)}

    (of_retriever, of_encoder), metrics = replicas.mean_over_parts(
        of_part, everything, share, pretrain.accumulate)
    return (metrics
            | _norms("retriever", *by_retriever.apply_by_part(of_retriever, of_towers))
            | _norms("encoder", *by_encoder.apply_by_part(of_encoder, of_encoder_parts)))

  def learn(batch: PretrainingBatch, rows: tf.Tensor) -> replicas.Metrics:
    # At lengths that follow the data, each part of a share is packed by itself.
    given = fixed.pack(config, passages, batch, rows) if fixed_lengths else (batch, rows)
    metrics = replicas.run_on_shares(
        strategy, learn_share, (given, tf.range(pretrain.batch_size)), pretrain.batch_size)
    seen.note(rows, metrics.pop("scores"))
    return metrics

  replicas.check_shares(strategy, pretrain.batch_size, pretrain.accumulate)
  return learn


def _shower(config: RealmConfig, model: Realm, index: RowIndex, passages: Passages,
            corpus: Corpus, sample: Sample, log: Log) -> Callable[[int], None]:
  """Writes now and then what is retrieved for always the same masked sentences."""
  shown = sample.batches[0]

  @tf.function(input_signature=[sample.spec])
  def inspect(batch: PretrainingBatch):
    """Candidates [B, K] with p(z|x) and p(z|x,y)."""
    queries = model.retriever.embed_queries(batch.query)
    rows = choose(config.pretrain, model, index, passages, queries, batch.banned)
    prior = losses.log_prior(relevance(model.retriever, passages, queries, rows))
    log_probs = mask_log_probs(model.encoder, passages, batch, rows,
                               config.pretrain.encoder_length)
    answer = tf.einsum("bkm,bm->bk", log_probs, batch.weights)
    return rows, tf.exp(prior), tf.nn.softmax(prior + answer)

  def show(number: int) -> None:
    if len(log.rows) % _RECORDS_PER_SHOW == 0 or number == config.pretrain.steps:
      found = (value.numpy() for value in inspect(shown))
      examples = retrieved_examples(corpus, shown, *found)
      log.text("retrieved", as_markdown(examples), number)
      log.example({"sentences": examples}, number)

  return show


def _needs_fixed_lengths(config: RealmConfig, strategy: tf.distribute.Strategy) -> bool:
  needed = config.fixed_lengths or replicas.is_tpu(strategy)
  if needed and config.pretrain.refresh == "rerank":
    raise UserError("config.pretrain.refresh: 'rerank' embeds as many blocks as differ, and "
                    "so cannot be had at fixed lengths (fixed_lengths, --strategy=tpu)")
  return needed


def _batches(config: RealmConfig, corpus: Corpus, banned: np.ndarray, first_step: int,
             fixed_lengths: bool) -> tf.data.Dataset:
  """One per step, and one more, so that the last one has one to follow."""
  pretrain = config.pretrain
  return pretraining_batches(
      corpus, banned, batch_size=pretrain.batch_size, query_length=pretrain.query_length,
      max_masks=pretrain.max_masks, support=pretrain.span_blocks, seed=config.seed,
      first_step=first_step, last_step=pretrain.steps + 1, fixed_lengths=fixed_lengths)


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
  fixed_lengths = _needs_fixed_lengths(config, strategy)
  with strategy.scope():  # two optimizers, so that each part is clipped by its own norm
    by_retriever = make_optimizer(
        pretrain, [tower.bert for tower in model.retriever.towers],
        pretrain.retriever_rate, pretrain.retriever_warmup_steps).build(
            model.retriever.trainable_variables)
    by_encoder = make_optimizer(pretrain, [model.encoder.bert]).build(
        [*model.encoder.bert.trainable_variables,
         *model.encoder.masked_lm.trainable_variables])
  # A refresh job embeds what it finds in checkpoints.
  checkpoint_every = (pretrain.refresh_every if pretrain.refresh == "job"
                      else config.checkpoint_every)
  tracked = {"model": model, "retriever_optimizer": by_retriever,
             "encoder_optimizer": by_encoder}
  embedder = CorpusEmbedder(passages, model.make_tower, config.retriever.document_length,
                            config.embed_batch_tokens)
  hot = make_hot_rows(config, index, corpus, embedder)
  if hot:
    tracked["retrievals"] = hot.counts
  if not index.share:  # of a share the law makes a new one, when a run goes on
    tracked |= {"index": index} | ({"ahead": hot.ahead} if hot else {})
  chosen = tf.Variable(tf.zeros([pretrain.batch_size, pretrain.candidates], tf.int32),
                       trainable=False, name="chosen")
  if pretrain.prefetch_candidates:
    tracked["chosen"] = chosen
  loop = Loop("pretrain", folder, pretrain.steps, tracked, checkpoint_every,
              keep=config.keep_checkpoints, best=config.best_metric, strategy=strategy)
  if loop.first_step:
    index.restored()

  batches = _batches(config, corpus, banned, loop.first_step, fixed_lengths)
  sample = held_out_sentences(config, corpus, banned, max(
      pretrain.index_sample, config.diagnosis.sentences if config.diagnosis.every else 1))
  monitor = SwapMonitor(index, embed_sample(model, sample, pretrain.index_sample),
                        min(pretrain.candidates - 1, corpus.num_blocks))
  refresher = make_refresher(config, index, model, corpus, embedder, folder / "index",
                             monitor, loop.stopping, hot)

  diagnose = diagnose_by_step(config, model, index, passages, sample,
                             functools.partial(marginal, config))
  show = _shower(config, model, index, passages, corpus, sample, loop.log)

  def before_step(number: int) -> dict[str, float]:
    if refresher.update(number):
      logging.info("index of step %d in use at step %d%s", refresher.index_step, number,
                   "".join(f", {name} {value:.3f}"
                           for name, value in monitor.metrics.items()))
    return refresher.metrics(number) | monitor.metrics | diagnose(number)

  seen = SeenCandidates(strategy, pretrain.batch_size, pretrain.candidates)
  feed, step = overlap.steps(
      chooser(config, model, index, passages, hot),
      learner(config, model, passages, by_retriever, by_encoder, fixed_lengths, seen),
      batches, chosen if pretrain.prefetch_candidates else None, loop.first_step == 0)
  try:
    if isinstance(refresher, Refresher):
      refresher.start(loop.first_step, int(index.step))
    if not loop.first_step:
      show(0)
    loop.run(feed, step, before_step=before_step, on_record=show, seen=seen)
  finally:
    refresher.close()
  return loop, refresher
