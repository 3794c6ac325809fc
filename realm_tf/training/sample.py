"""Always the same held-out sentences, on which pre-training is measured while it goes on.

Shape letters: B batch, K candidates, Q sample queries, R banned rows, D projection.
"""

from typing import Any, Callable, NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.errors import UserError
from realm_tf.examples.pretraining import PretrainingBatch, pretraining_batches
from realm_tf.index.interface import RowIndex
from realm_tf.models.realm import Realm
from realm_tf.training.candidates import choose
from realm_tf.training.diagnosis import Choose, Diagnosis, Loss


class Sample(NamedTuple):
  """Batches, without the tables from which they were made."""
  batches: list[PretrainingBatch]
  spec: Any  # of a batch


def held_out_sentences(config: RealmConfig, corpus: Corpus, banned: np.ndarray,
                       count: int) -> Sample:
  """At least `count` masked sentences that are not trained on, whatever the step.

  In batches of the size of pre-training, or of `count` if that is less. Where the corpus
  has too few sentences to hold any out, they are some that are trained on.

  Args:
    config: of the run.
    corpus: where the sentences come from.
    banned: [N, R] int32, see `pretraining_batches`.
    count: of sentences; rounded up to whole batches.
  """
  pretrain = config.pretrain
  size = min(pretrain.batch_size, count)

  def batches(held_out: bool) -> tf.data.Dataset:
    return pretraining_batches(
        corpus, banned, batch_size=size, query_length=pretrain.query_length,
        max_masks=pretrain.max_masks, support=pretrain.span_blocks, seed=config.seed,
        first_step=0, last_step=-(-count // size), held_out=held_out)

  try:
    chosen = batches(True)
  except UserError:
    chosen = batches(False)
  return Sample(list(chosen), chosen.element_spec)


def embed_sample(model: Realm, sample: Sample, count: int) -> Callable[[], np.ndarray]:
  """Embeds the first `count` sentences by the query tower as it is: [Q, D]."""
  def embed() -> np.ndarray:
    return np.concatenate([model.retriever.embed_queries(batch.query).numpy()
                           for batch in sample.batches])[:count]

  return embed


def make_diagnosis(config: RealmConfig, passages: Passages, model: Realm,
                   sample: Sample, loss: Loss, sentences: int, blocks: int) -> Diagnosis:
  """The diagnosis on the first `sentences` of the sample, rounded up to whole batches."""
  count = -(-sentences // len(sample.batches[0].row))
  return Diagnosis(config, model, passages, sample.batches[:count], sample.spec, loss, blocks)


def choose_by(config: RealmConfig, model: Realm, index: RowIndex, passages: Passages
              ) -> Choose:
  """How pre-training chooses K candidates by this index."""
  @tf.function  # for replicas, which TensorFlow does not want to talk outside of graphs
  def chosen(queries: tf.Tensor, banned: tf.Tensor, k: int) -> tf.Tensor:
    return choose(config, model, index, passages, queries, banned, k)

  return chosen


def diagnose_by_step(config: RealmConfig, model: Realm, index: RowIndex, passages: Passages,
                     sample: Sample, loss: Loss
                     ) -> Callable[[int], dict[str, float]]:
  """Every `diagnosis.every` steps and at the last, what truncation and staleness do.

  Returns:
    From the number of a step to its metrics, none at most steps. `softmax_mass`,
    `posterior_mass` and `gradient_cosine`, each `@index` for the candidates that the
    index gives and `@fresh` for the best by the fresh towers: see `Diagnosis.measure`.
  """
  settings, pretrain = config.diagnosis, config.pretrain
  if not settings.every:
    return lambda number: {}
  diagnosis = make_diagnosis(config, passages, model, sample, loss, settings.sentences,
                             settings.blocks)
  choosers = {"index": choose_by(config, model, index, passages)}

  def measure(number: int) -> dict[str, float]:
    if number % settings.every and number != pretrain.steps - 1:
      return {}
    found = diagnosis.measure(choosers, [pretrain.candidates])
    names = ("softmax_mass", "posterior_mass", "gradient_cosine")
    at_hand = next(row for row in found["rows"] if row["candidates"] == "index")
    logging.info("step %d: the candidates hold %.3f of p(z|x); cosine of their gradient "
                 "with that of the full sum %.3f", number, at_hand["softmax_mass"],
                 at_hand["gradient_cosine"])
    return {"full_prior_entropy": found["prior_entropy"],
            "full_gradient_norm": found["full_gradient_norm"],
            **{f"{name}@{row['candidates']}": row[name]
               for row in found["rows"] for name in names}}

  return measure
