"""The diagnosis of pre-training while it goes on: a callback of its loop.

Shape letters: B batch, K candidates, E banned rows, D projection.
"""


import functools

import numpy as np
import tensorflow as tf
from absl import logging

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.diagnosis.full_sum import Loss
from realm_tf.diagnosis.gradient import Choose, Diagnosis
from realm_tf.index.interface import RowIndex
from realm_tf.models.losses import mean_marginal
from realm_tf.models.realm import Realm
from realm_tf.registry import LOSSES
from realm_tf.training.candidates import configured_candidates
from realm_tf.training.held_out_sentences import Sample, held_out_sentences
from realm_tf.training.loop import BeforeStep


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
    return configured_candidates(config, model, index, passages, queries, banned, k)

  return chosen


def diagnose_by_step(config: RealmConfig, corpus: Corpus, passages: Passages, model: Realm,
                     index: RowIndex, banned: np.ndarray) -> BeforeStep:
  """Every `diagnosis.every` steps and at the last, what truncation and staleness do.

  Args:
    config, corpus, passages, model, index, banned: as for `train_pretrain`, whose model and
      index are looked at while they change.

  Returns:
    From the number of a step to its metrics, none at most steps. `softmax_mass`,
    `posterior_mass` and `gradient_cosine`, each `@index` for the candidates that the
    index gives and `@fresh` for the best by the fresh towers: see `Diagnosis.measure`.
  """
  settings, pretrain = config.diagnosis, config.pretrain
  if not settings.every:
    return lambda number: {}
  # As many as pre-training holds out for its own sample, so that the batches are the same.
  sample = held_out_sentences(config, corpus, banned, max(config.refresh.sample,
                                                          settings.sentences))
  loss = functools.partial(mean_marginal, LOSSES[pretrain.loss])
  diagnosis = make_diagnosis(config, passages, model, sample, loss, settings.sentences,
                             settings.blocks)
  searches = {"index": choose_by(config, model, index, passages)}

  def measure(number: int) -> dict[str, float]:
    if number % settings.every and number != pretrain.steps - 1:
      return {}
    measured = diagnosis.measure(searches, [pretrain.candidates])
    names = ("softmax_mass", "posterior_mass", "gradient_cosine")
    index_row = next(row for row in measured["rows"] if row["candidates"] == "index")
    logging.info("step %d: the candidates hold %.3f of p(z|x); cosine of their gradient "
                 "with that of the full sum %.3f", number, index_row["softmax_mass"],
                 index_row["gradient_cosine"])
    return {"full_prior_entropy": measured["prior_entropy"],
            "full_gradient_norm": measured["full_gradient_norm"],
            **{f"{name}@{row['candidates']}": row[name]
               for row in measured["rows"] for name in names}}

  return measure
