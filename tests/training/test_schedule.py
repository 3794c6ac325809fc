"""The number of steps follows from the examples, in every stage."""

import dataclasses

import pytest

from realm_tf.config import FinetuneConfig, OptimizerConfig, PretrainConfig, RealmConfig
from realm_tf.examples.salient_sentences import salient_sentences
from realm_tf.training import schedule
from realm_tf.training.log import read_curves
from tests import tiny
from tests.training import stages


@pytest.mark.parametrize("passes, examples, steps", [
    (0, 7, 1000), (1, 160, 10), (1, 161, 11), (0.5, 160, 5), (3, 40, 8), (2, 1, 1),
    (100, 160, 1000), (101, 160, 1000), (1, 0, 0)])
def test_steps_of_by_hand(passes, examples, steps):
  config = OptimizerConfig(steps=1000, batch_size=16, passes=passes)
  assert schedule.steps_of(config, examples) == steps


def test_where_steps_are_cut_so_are_all_warm_ups():
  config = RealmConfig(pretrain=PretrainConfig(
      steps=500, batch_size=4, passes=2, warmup_steps=3, retriever_warmup_steps=40))
  cut = schedule.fitted(config, "pretrain", 250)
  assert dataclasses.replace(cut, pretrain=config.pretrain) == config
  assert (cut.pretrain.steps, cut.pretrain.warmup_steps,
          cut.pretrain.retriever_warmup_steps) == (125, 3, 13)
  assert schedule.fitted(cut, "pretrain", 250) == cut


@pytest.mark.parametrize("passes", [0, 2])
def test_where_they_are_not_nothing_changes(passes):
  config = RealmConfig(finetune=FinetuneConfig(steps=10, passes=passes, warmup_steps=9))
  assert schedule.fitted(config, "finetune", 10_000) is config


def _examples(stage, corpus, config):
  """Counted in another way."""
  if stage == "ict":
    return sum(count for count in corpus.sentence_starts.lengths.tolist() if count > 1)
  if stage == "finetune":
    return len(tiny.CITIES)
  sentences = salient_sentences(corpus, config.pretrain.max_masks,
                                config.pretrain.span_blocks)
  return len(sentences.row) - len(sentences.row) // 20


@pytest.mark.parametrize("stage", [
    "ict", "finetune", pytest.param("pretrain", marks=pytest.mark.slow),
    pytest.param("reading", marks=pytest.mark.stress)])
def test_every_stage_has_the_steps_of_its_passes(tmp_path, stage):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  config = tiny.make_config(tmp_path, **{
      f"{stage}__steps": 900, f"{stage}__passes": 0.4, f"{stage}__batch_size": 4,
      "refresh__mode": "frozen"})
  examples = _examples(stage, corpus, config)
  steps = -(-4 * examples // (10 * 4))
  loop, _ = stages.train(stage, tmp_path / "stage", corpus, config)
  assert 1 < steps < 900 and loop.first_step == steps == loop.facts()["steps"]
  assert read_curves(tmp_path / "stage" / "curves.csv")[-1][0] == steps
