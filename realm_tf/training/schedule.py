"""How many steps a stage has: at most those of its config, and at most so many passes over
what it learns from. So one config serves corpora of all sizes.
"""

import dataclasses
import math
from typing import TypeVar

from absl import logging

from realm_tf.config import OptimizerConfig, RealmConfig
from realm_tf.corpus.store import Corpus
from realm_tf.examples.pretraining import num_pretraining_examples

_Section = TypeVar("_Section", bound=OptimizerConfig)
_WARMUP_SHARE = 0.1  # of the steps, at most, where they are fewer than the config's


def steps_of(config: OptimizerConfig, examples: int) -> int:
  """The steps of a stage that learns from so many examples: `passes` over them, at most."""
  if not config.passes:
    return config.steps
  return min(config.steps, math.ceil(config.passes * examples / config.batch_size))


def fitted(config: RealmConfig, stage: str, examples: int) -> RealmConfig:
  """The config with the steps that a stage has of so many examples; see `fitted_section`."""
  section = getattr(config, stage)
  section_now = fitted_section(section, stage, examples)
  return config if section_now is section else dataclasses.replace(
      config, **{stage: section_now})


def fitted_section(section: _Section, stage: str, examples: int) -> _Section:
  """The settings of a stage with the steps of so many examples; logs where these are fewer.

  Every warm-up of the stage (`warmup_steps`, `retriever_warmup_steps`) is then a tenth of
  them at most. What is fitted already stays as it is.
  """
  steps = steps_of(section, examples)
  if steps == section.steps:
    return section
  logging.info("%s: %d steps, which are %g passes over %d examples", stage, steps,
               section.passes, examples)
  most = math.ceil(_WARMUP_SHARE * steps)
  warmups = {field.name: min(getattr(section, field.name), most)
             for field in dataclasses.fields(section) if field.name.endswith("warmup_steps")}
  return dataclasses.replace(section, steps=steps, **warmups)


def fitted_to_sentences(config: RealmConfig, stage: str, corpus: Corpus) -> RealmConfig:
  """`fitted` of a stage that learns from masked sentences: "pretrain" or "reading"."""
  if not getattr(config, stage).passes:
    return config  # to find the sentences takes a moment
  pretrain = config.pretrain
  return fitted(config, stage, num_pretraining_examples(
      corpus, masker=pretrain.masker, max_masks=pretrain.max_masks,
      support=pretrain.span_blocks, seed=config.seed))
