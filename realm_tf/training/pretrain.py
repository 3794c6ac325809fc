"""REALM pre-training (Guu et al. 2020, sections 3.2 to 3.4).

    p(y|x) = sum over z of p(y|z,x) p(z|x),   p(z|x) = softmax of f(x, z)

Retriever and encoder learn together from masked salient spans, while the index is kept
fresh; a step is in `pretrain_step`.

Shape letters: N blocks, E banned rows.
"""

import pathlib
from typing import Sequence

import numpy as np
from absl import logging

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.examples.pretraining import configured_batches
from realm_tf.index.embed import CorpusEmbedder
from realm_tf.index.interface import RowIndex
from realm_tf.models.realm import Realm
from realm_tf.refresh.make import Refresh, make_refresher
from realm_tf.refresh.monitor import SwapMonitor
from realm_tf.training import schedule
from realm_tf.training.held_out_sentences import Sample, embed_sample, held_out_sentences
from realm_tf.training.loop import BeforeStep, Loop, OnStep
from realm_tf.training.pretrain_step import PretrainStep, has_fixed_lengths, make_optimizers
from realm_tf.training.retrieved import show_retrieved
from realm_tf.training.stage_loop import stage_loop
from realm_tf.training.watching import Retrieved, Setup, warn_of_collapse


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
    banned: [N, E] int32, see `examples.pretraining.pretraining_batches`.
    folder: for checkpoints and curves; a refresh job's versions are in its `index`.
    before_step, on_step: see `Loop.run`.
    sentences: where the sentences come from, if not of `corpus`, its `knowledge`.
  """
  sentences = sentences or corpus
  config = schedule.fitted_to_sentences(config, "pretrain", sentences)
  pretrain, strategy = config.pretrain, model.strategy
  fixed_lengths = has_fixed_lengths(config, strategy)
  optimizers, retrieved = make_optimizers(config, model), Retrieved()
  tracked = {"model": model, "retriever_optimizer": optimizers.retriever,
             "encoder_optimizer": optimizers.encoder, "retrieved": retrieved}
  if not index.share:  # sharded tables are not checkpointed: they are embedded on resume
    tracked["index"] = index
  loop = stage_loop(config, "pretrain", folder, tracked, strategy)
  if loop.first_step:
    index.restored()
  batches = configured_batches(
      pretrain, sentences, banned, batch_size=pretrain.batch_size, seed=config.seed,
      first_step=loop.first_step, last_step=pretrain.steps, fixed_lengths=fixed_lengths)
  sample = held_out_sentences(config, sentences, banned, config.refresh.sample)
  refresher, refresh = _refresher(config, corpus, passages, model, index, sample, folder,
                                  loop)
  show = show_retrieved(config, model, index, passages, corpus, sample, loop.log)
  warn = warn_of_collapse(loop.log.rows, Setup(corpus.num_blocks, pretrain.candidates))
  step = PretrainStep(config, model, index, passages, optimizers, batches.element_spec,
                      retrieved, loop.first_step)

  def on_record(number: int) -> None:
    show(number)
    warn(number)

  try:
    if not loop.first_step:
      show(0)
    loop.run(batches, step, before_step=[refresh, *before_step], on_step=on_step,
             on_record=on_record, last_inputs=step.last_inputs)
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
