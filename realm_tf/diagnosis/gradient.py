"""How good is the gradient of a truncated and stale retrieval? Measured against all blocks.

Pre-training sums over K retrieved documents instead of all N, and an old index chooses
them (REALM, sections 3.2 and 3.3). With g(x, z) = dL / df(x, z), the retriever's gradient
is

    dL / dtheta = sum over x, z of g(x, z) * df(x, z) / dtheta,   f(x, z) = q(x) . e(z)

where, under the `joint` loss, -g(x, z) is the paper's r(z) = p(z|x,y) - p(z|x) (appendix
A) over the batch. So g [B, C] is all that a truncation changes. It goes through the towers
by dL/dq = g e and dL/de = g' q, chunk by chunk (Gao et al. 2021, GradCache): memory is that
of a chunk, whatever the number of documents.

Shape letters: B batch, C documents in the sum, K candidates, M masks, D projection, N
blocks, P parameters.
"""

from typing import Any, Callable, Mapping, NamedTuple, Sequence

import numpy as np
import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.diagnosis.full_sum import (
  FullSum,
  Loss,
  allowed_scores,
  best_candidates,
  entropy,
  log_sum_exp,
)
from realm_tf.examples.pretraining import PretrainingBatch
from realm_tf.models.realm import Realm
from realm_tf.text.batching import length_batches
from realm_tf.training.likelihood import configured_log_probs

# choose(queries [B, D], banned [B, R], K) -> candidates [B, K], the null document first.
Choose = Callable[[tf.Tensor, tf.Tensor, int], tf.Tensor]


class Gradient(NamedTuple):
  """Of the retriever, by the way that it came: [P] each.

  Where the towers are shared, both are of the same parameters, and their sum counts.
  """
  by_queries: np.ndarray
  by_documents: np.ndarray


class Diagnosis:
  """Compares truncated and stale sums with the full one on a fixed sample of sentences."""

  def __init__(self, config: RealmConfig, model: Realm, passages: Passages,
               batches: Sequence[PretrainingBatch], spec: Any, loss: Loss,
               blocks: int = 0):
    """Prepares; nothing is computed yet.

    Args:
      config: of the run.
      model: as it is when `measure` is called.
      passages: the corpus.
      batches: the sample.
      spec: `element_spec` of the batches.
      loss: of the scores and log probabilities of a batch.
      blocks: the sum is over so many blocks for each sentence, the best by the fresh
        towers; 0 for all.
    """
    self._config, self._model, self._passages = config, model, passages
    self._batches, self._loss, self._blocks = list(batches), loss, blocks
    # Copies, which are plain variables by whatever strategy the model is trained.
    self._towers = [model.retriever.make_tower("diagnosed") for _ in model.retriever.towers]
    length = config.retriever.document_length
    rows_spec = tf.TensorSpec([None], tf.int32)
    vectors_spec = tf.TensorSpec([None, model.retriever.vector_size], tf.float32)
    query_tower, document_tower = self._towers[0], self._towers[-1]

    def embed_queries(batch: PretrainingBatch) -> tf.Tensor:
      return query_tower(batch.query)

    def embed_documents(rows: tf.Tensor) -> tf.Tensor:
      return document_tower(passages.documents(rows, length))

    def read(batch: PretrainingBatch, owner: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
      """Sentence and block of each pair -> log probabilities [pairs, M]."""
      chosen = tf.nest.map_structure(lambda field: tf.gather(field, owner), batch)
      log_probs = configured_log_probs(config, model.encoder, passages, chosen,
                                       rows[:, None])
      return log_probs[:, 0]

    self._embed_queries = tf.function(embed_queries, input_signature=[spec])
    self._embed_documents = tf.function(embed_documents, input_signature=[rows_spec])
    self._read = tf.function(read, input_signature=[spec, rows_spec, rows_spec])
    self._queries_backward = tf.function(
        _backward(embed_queries, query_tower), input_signature=[spec, vectors_spec])
    self._documents_backward = tf.function(
        _backward(embed_documents, document_tower),
        input_signature=[rows_spec, vectors_spec])

  @property
  def sentences(self) -> int:
    return sum(len(batch.row) for batch in self._batches)

  @property
  def shared(self) -> bool:
    return len(self._towers) == 1

  def measure(self, searches: Mapping[str, Choose], counts: Sequence[int]
              ) -> dict[str, Any]:
    """Measures the sum over all blocks, and each way to choose K of them.

    Args:
      searches: by name; "fresh", the best by the fresh towers, is always there too.
      counts: each K, the null document counted.

    Returns:
      `prior_entropy`, `posterior_entropy` (nats), `full_gradient_norm` with
      `_by_queries` and `_by_documents`, `summed_mass` (1 if the sum is over all),
      `gradient_cosine_between_batches` (None of one batch), `rows`: one per search and K
      with `softmax_mass`, `posterior_mass`, `gradient_cosine` with `_by_queries` and
      `_by_documents`, `gradient_norm_ratio`, and `sentence_cosine`, the median over the
      sentences of dL/dq. All are means over sentences or batches.
    """
    for copy, live in zip(self._towers, self._model.retriever.towers):
      for variable, value in zip(copy.variables, live.variables, strict=True):
        variable.assign(value)
    most = self._passages.num_blocks + 1 - int(self._batches[0].banned.shape[1])
    counts = sorted({min(k, most) for k in counts})
    documents = self._embed(np.arange(self._passages.num_blocks + 1, dtype=np.int32))
    metrics, gradients, rows = [], [], []
    for batch in self._batches:
      batch_metrics, gradient, measured = self._measure_batch(batch, documents, searches,
                                                              counts)
      metrics.append(batch_metrics)
      gradients.append(gradient)
      rows.append(measured)
    between = [cosine(self._total(a), self._total(b))
               for i, a in enumerate(gradients) for b in gradients[:i]]
    return {
        "sentences": self.sentences, "batches": len(self._batches),
        "blocks": self._passages.num_blocks,
        "summed_blocks": min(self._blocks or most - 1, most - 1),
        **_means(metrics),
        "gradient_cosine_between_batches": float(np.mean(between)) if between else None,
        "rows": [_mean_row(rows_of_batches) for rows_of_batches in zip(*rows)]}

  def _measure_batch(self, batch: PretrainingBatch, documents: np.ndarray,
                     searches: Mapping[str, Choose], counts: Sequence[int]
                     ) -> tuple[dict[str, float], Gradient, list[dict[str, Any]]]:
    queries = self._embed_queries(batch)
    scores = allowed_scores(queries.numpy(), documents, batch.banned.numpy())
    best = best_candidates(scores, counts[-1])
    chosen = {("fresh", k): best[:, :k] for k in counts}
    for name, choose in searches.items():
      chosen |= {(name, k): np.asarray(choose(queries, batch.banned, k)) for k in counts}
    full = self.full_sum(batch, documents, scores, list(chosen.values()))
    gradient = full.score_gradient(self._loss)
    full_gradient = self.through_towers(batch, full, gradient)
    prior, posterior = full.prior(), full.posterior()
    log_prior = scores - full.log_total[:, None]
    metrics = {
        "summed_mass": float(prior.sum(1).mean()),
        "prior_entropy": float(entropy(np.exp(log_prior)).mean()),
        "posterior_entropy": float(entropy(posterior).mean()),
        "full_gradient_norm": _norm(self._total(full_gradient)),
        "full_gradient_norm_by_queries": _norm(full_gradient.by_queries),
        "full_gradient_norm_by_documents": _norm(full_gradient.by_documents)}
    rows = []
    for (name, k), candidates in chosen.items():
      short = full.score_gradient(self._loss, candidates)
      part = self.through_towers(batch, full, short)
      rows.append({
          "candidates": name, "k": k,
          "softmax_mass": float(full.share(prior, candidates).mean()),
          "posterior_mass": float(full.share(posterior, candidates).mean()),
          "gradient_cosine": cosine(self._total(part), self._total(full_gradient)),
          "gradient_cosine_by_queries": cosine(part.by_queries, full_gradient.by_queries),
          "gradient_cosine_by_documents": cosine(part.by_documents,
                                                 full_gradient.by_documents),
          "gradient_norm_ratio": _norm(self._total(part)) / _norm(self._total(full_gradient)),
          "sentence_cosine": float(np.median([cosine(a, b) for a, b in zip(
              short @ full.documents, gradient @ full.documents)]))})
    return metrics, full_gradient, rows

  def full_sum(self, batch: PretrainingBatch, documents: np.ndarray, scores: np.ndarray,
               candidates: Sequence[np.ndarray] = ()) -> FullSum:
    """Reads the blocks of the sum with each sentence.

    Args:
      batch: B sentences.
      documents: [N + 1, D] by the fresh tower, the null document last.
      scores: [B, N + 1] f(x, z), minus infinity where banned.
      candidates: each [B, K]; they are in the sum, whether among the best or not.
    """
    is_summed = np.isfinite(scores)
    if self._blocks and self._blocks < scores.shape[1] - 1:
      is_summed = np.zeros_like(is_summed)
      for rows in (best_candidates(scores, self._blocks + 1), *candidates):
        np.put_along_axis(is_summed, rows, True, 1)
    rows = np.flatnonzero(is_summed.any(0)).astype(np.int32)
    is_summed = is_summed[:, rows]
    log_probs = self._read_all(batch, rows, is_summed)
    return FullSum(
        rows, self._embed_queries(batch).numpy(), documents[rows],
        np.where(is_summed, scores[:, rows], -np.inf), log_probs, batch.weights.numpy(),
        log_sum_exp(scores))

  def _read_all(self, batch: PretrainingBatch, rows: np.ndarray, is_summed: np.ndarray
                ) -> np.ndarray:
    """[B, C, M]: log p(y_j|z,x) of every pair that is summed, like lengths together."""
    owner, column = (place.astype(np.int32) for place in np.nonzero(is_summed))
    question = batch.sentence.padding_mask.numpy().sum(1)
    pieces = np.append(self._body_lengths(), 0)[rows]
    if self._config.pretrain.window:
      pieces = np.minimum(pieces, self._config.pretrain.window)
    lengths = np.minimum(question[owner] + pieces[column] + 1,
                         self._config.pretrain.encoder_length)
    log_probs = np.zeros([*is_summed.shape, batch.weights.shape[1]], np.float32)
    for places in length_batches(lengths, self._config.embed_batch_tokens):
      sentence, candidate = owner[places], column[places]
      log_probs[sentence, candidate] = self._read(batch, sentence, rows[candidate])
    return log_probs

  def through_towers(self, batch: PretrainingBatch, full: FullSum, gradient: np.ndarray
                     ) -> Gradient:
    """dL / dtheta for g(x, z) [B, C]: only documents whose g is not 0 are embedded."""
    by_queries = self._queries_backward(
        batch, tf.constant(gradient @ full.documents, tf.float32)).numpy()
    upstream = (gradient.T @ full.queries).astype(np.float32)  # [C, D]
    used = np.flatnonzero(gradient.any(0))
    by_documents: Any = 0.0
    for places in self._length_batches(full.rows[used]):
      by_documents += self._documents_backward(
          full.rows[used][places], upstream[used][places]).numpy().astype(np.float64)
    return Gradient(by_queries.astype(np.float64), by_documents)

  def _total(self, gradient: Gradient) -> np.ndarray:
    return (gradient.by_queries + gradient.by_documents if self.shared
            else np.concatenate(gradient))

  def _embed(self, rows: np.ndarray) -> np.ndarray:
    """[C] rows -> [C, D], in batches of like lengths."""
    table = np.empty([len(rows), self._model.retriever.vector_size], np.float32)
    for places in self._length_batches(rows):
      table[places] = self._embed_documents(rows[places])
    return table

  def _length_batches(self, rows: np.ndarray):
    lengths = np.minimum(np.append(self._passages.document_lengths, 3)[rows],
                         self._config.retriever.document_length)
    return length_batches(lengths, self._config.embed_batch_tokens)

  def _body_lengths(self) -> np.ndarray:
    return np.diff(self._passages.bodies.splits.numpy())[:self._passages.num_blocks]


def _backward(embed: Callable, tower: tf.Module) -> Callable:
  """From what `embed` takes and the gradient of its result to that of the tower, [P]."""
  def backward(inputs: Any, upstream: tf.Tensor) -> tf.Tensor:
    with tf.GradientTape() as tape:
      vectors = embed(inputs)
    gradients = tape.gradient(vectors, tower.trainable_variables, upstream,
                              unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return tf.concat([tf.reshape(tf.convert_to_tensor(g), [-1]) for g in gradients], 0)
  return backward


def _norm(values: np.ndarray) -> float:
  return float(np.linalg.norm(values))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
  """Of the angle between two vectors [D] of floats; 0 where one of them is 0."""
  norms = _norm(a) * _norm(b)
  return float(a @ b / norms) if norms else 0.0


def _mean_row(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  """Of rows of the same candidates and K, one a batch."""
  labels = {name: rows[0][name] for name in ("candidates", "k")}
  return {**labels, **_means([{name: value for name, value in row.items()
                               if name not in labels} for row in rows])}


def _means(records: Sequence[Mapping[str, float]]) -> dict[str, float]:
  return {name: float(np.mean([record[name] for record in records]))
          for name in records[0]}
