"""REALM pre-training (Guu et al. 2020, sections 3.2 to 3.4).

Retriever and encoder learn together from masked salient spans, while the index is kept
fresh. Shape letters: B batch, K candidates, M masks, T tokens, D projection.
"""

import pathlib
from typing import Any, Callable, Sequence

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
from realm_tf.text.inputs import Packed
from realm_tf.training import replicas
from realm_tf.training.loop import Loop
from realm_tf.training.optimizer import make_optimizer
from realm_tf.training.retrieved import retrieved_examples

_RECORDS_PER_SHOW = 10  # of the curves; each show costs about a step


def relevance(model: Realm, passages: Passages, queries: tf.Tensor, rows: tf.Tensor
              ) -> tf.Tensor:
  """f(x, z) by the fresh document tower: [B, D], [B, K] rows -> [B, K].

  A block that several queries retrieved is embedded once.
  """
  unique, place = tf.unique(tf.reshape(rows, [-1]))
  documents = model.retriever.embed_documents(
      passages.documents(unique, model.config.retriever.document_length))
  chosen = tf.reshape(tf.gather(documents, place),
                      [tf.shape(rows)[0], -1, documents.shape[-1]])  # [B, K, D]
  return tf.einsum("bd,bkd->bk", queries, chosen)


def mask_log_probs(model: Realm, passages: Passages, batch: PretrainingBatch,
                   rows: tf.Tensor) -> tf.Tensor:
  """log p(y_j | z, x) of each mask with each candidate: [B, K] rows -> [B, K, M].

  Candidate 0 is the null document: those pairs are short, and would be padded to
  the length of the others, so they are read by themselves.
  """
  def read(rows: tf.Tensor) -> tf.Tensor:
    packed, (positions, labels, weights) = _pairs(
        model, passages, batch, rows, (batch.positions, batch.labels, batch.weights))
    return model.encoder.mask_log_probs(packed, positions, labels, weights)

  return _null_apart(read, rows)


def mask_distributions(model: Realm, passages: Passages, batch: PretrainingBatch,
                       rows: tf.Tensor) -> tf.Tensor:
  """log p(. | z, x) at each mask with each candidate: [B, K] rows -> [B, K, M, V]."""
  def read(rows: tf.Tensor) -> tf.Tensor:
    packed, (positions, weights) = _pairs(
        model, passages, batch, rows, (batch.positions, batch.weights))
    return model.encoder.mask_distributions(packed, positions, weights)

  return _null_apart(read, rows)


def _pairs(model: Realm, passages: Passages, batch: PretrainingBatch, rows: tf.Tensor,
           fields: Sequence[tf.Tensor]) -> tuple[Packed, list[tf.Tensor]]:
  """B * K packed pairs, and the fields [B, M] of the batch for each of them."""
  lengths = tf.reduce_sum(tf.cast(batch.query.mask, tf.int32), 1) - 2
  question = tf.RaggedTensor.from_tensor(batch.query.ids[:, 1:], lengths)
  packed = passages.after(question, rows, model.config.pretrain.encoder_length)
  return packed, [tf.repeat(field, tf.shape(rows)[1], axis=0) for field in fields]


def _null_apart(read: Callable[[tf.Tensor], tf.Tensor], rows: tf.Tensor) -> tf.Tensor:
  """Reads candidate 0 and the others by themselves: [B, K] -> [B, K, ...]."""
  parts = []
  for part in (rows[:, :1], rows[:, 1:]):
    flat = read(part)  # [B * K, ...]
    parts.append(tf.reshape(flat, tf.concat([tf.shape(part), tf.shape(flat)[1:]], 0)))
  return tf.concat(parts, 1)


def candidates(index: RowIndex, passages: Passages, queries: tf.Tensor,
               banned: tf.Tensor, count: int) -> tf.Tensor:
  """The null document, then the top `count` - 1 of the index: [B, K] rows."""
  _, rows = index.search(queries, count - 1, banned)
  return _with_null(passages, rows)


def reranked_candidates(model: Realm, index: RowIndex, passages: Passages,
                        queries: tf.Tensor, banned: tf.Tensor, count: int, factor: int
                        ) -> tf.Tensor:
  """As `candidates`, of `factor` times as many from the index the fresh tower's best."""
  more = min((count - 1) * factor, passages.num_blocks - banned.shape[1])
  _, rows = index.search(queries, more, banned)
  scores = relevance(model, passages, tf.stop_gradient(queries), rows)
  _, best = tf.math.top_k(scores, count - 1)
  return _with_null(passages, tf.gather(rows, best, batch_dims=1))


def _with_null(passages: Passages, rows: tf.Tensor) -> tf.Tensor:
  null = tf.fill([tf.shape(rows)[0], 1], passages.null_row)
  return tf.concat([null, rows], 1)


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
  pretrain = config.pretrain
  retriever_variables = model.retriever.trainable_variables
  encoder_variables = [*model.encoder.bert.trainable_variables,
                       *model.encoder.masked_lm.trainable_variables]
  # Two optimizers, so that each part is clipped by its own norm.
  strategy = model.strategy
  with strategy.scope():
    retriever_optimizer = make_optimizer(
        pretrain, [tower.bert for tower in model.retriever.towers],
        pretrain.retriever_rate, pretrain.retriever_warmup_steps)
    encoder_optimizer = make_optimizer(pretrain, [model.encoder.bert])
  # A refresh job embeds what it finds in checkpoints.
  checkpoint_every = (pretrain.refresh_every if pretrain.refresh == "job"
                      else config.checkpoint_every)
  loop = Loop("pretrain", folder, pretrain.steps,
              {"model": model, "retriever_optimizer": retriever_optimizer,
               "encoder_optimizer": encoder_optimizer, "index": index},
              checkpoint_every, keep=config.keep_checkpoints,
              best=config.best_metric, strategy=strategy)
  if loop.first_step:
    index.restored()
  batches = pretraining_batches(
      corpus, banned, batch_size=pretrain.batch_size, query_length=pretrain.query_length,
      max_masks=pretrain.max_masks, support=pretrain.span_blocks,
      seed=config.seed, first_step=loop.first_step, last_step=pretrain.steps)

  def choose(queries: tf.Tensor, banned: tf.Tensor) -> tf.Tensor:
    if pretrain.refresh == "rerank":
      return reranked_candidates(model, index, passages, queries, banned,
                                 pretrain.candidates, pretrain.rerank_factor)
    return candidates(index, passages, queries, banned, pretrain.candidates)

  share = pretrain.batch_size // strategy.num_replicas_in_sync

  def step(batch: PretrainingBatch) -> replicas.Metrics:
    masks = mean_masks(batch, pretrain.accumulate)

    def of_part(part: PretrainingBatch):
      with tf.GradientTape() as tape:
        queries = model.retriever.embed_queries(part.query)  # [B, D]
        rows = choose(queries, part.banned)
        scores = relevance(model, passages, queries, rows)  # [B, K]
        log_probs = mask_log_probs(model, passages, part, rows)  # [B, K, M]
        loss = marginal(config, scores, log_probs, part.weights, masks)
      gradients = tape.gradient(loss, [retriever_variables, encoder_variables])
      return gradients, _metrics(loss, scores, log_probs, part.weights, masks)

    (by_retriever, by_encoder), metrics = replicas.mean_over_parts(
        of_part, batch, share, pretrain.accumulate)
    return metrics | {
        "retriever_gradient_norm": retriever_optimizer.apply(
            by_retriever, retriever_variables),
        "encoder_gradient_norm": encoder_optimizer.apply(by_encoder, encoder_variables)}

  @tf.function(input_signature=[batches.element_spec])
  def inspect(batch: PretrainingBatch):
    """Candidates [B, K] with p(z|x) and p(z|x,y)."""
    queries = model.retriever.embed_queries(batch.query)
    rows = choose(queries, batch.banned)
    scores = relevance(model, passages, queries, rows)
    answer = tf.einsum("bkm,bm->bk", mask_log_probs(model, passages, batch, rows),
                       batch.weights)
    return rows, tf.nn.softmax(scores), tf.nn.softmax(
        losses.log_prior(scores) + answer)

  shown = next(iter(batches))

  def show_examples(number: int) -> None:
    if len(loop.log.rows) % _RECORDS_PER_SHOW == 0:
      found = (value.numpy() for value in inspect(shown))
      loop.log.text("retrieved", retrieved_examples(corpus, shown, *found), number)

  embedder = CorpusEmbedder(passages, model.make_tower, config.retriever.document_length,
                            config.embed_batch_tokens)
  monitor = SwapMonitor(index, _sample_queries(model, batches, pretrain.index_sample),
                        min(pretrain.candidates - 1, corpus.num_blocks))
  refresher = make_refresher(config, index, model, corpus, embedder, folder / "index",
                             monitor, loop.stopping)

  def before_step(number: int) -> dict[str, float]:
    if refresher.update(number):
      logging.info("index of step %d in use at step %d%s", refresher.index_step, number,
                   "".join(f", {name} {value:.3f}"
                           for name, value in monitor.metrics.items()))
    return refresher.metrics(number) | monitor.metrics

  try:
    if isinstance(refresher, Refresher):
      refresher.start(loop.first_step, int(index.step))
    loop.run(batches, replicas.replicated(strategy, step, batches.element_spec,
                                          pretrain.batch_size, pretrain.accumulate),
             before_step=before_step, on_record=show_examples)
  finally:
    refresher.close()
  return loop, refresher
