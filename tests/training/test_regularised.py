"""Dropout and distillation in the stages: there in training, and in nothing else."""

import pytest

from tests import tiny
from tests.training import stages


def _first(tmp_path, stage, **changes):
  """The metrics of the first step of a stage."""
  folder = tmp_path / "-".join(map(str, changes.values()))
  corpus = tiny.make_corpus(folder / "corpus")
  tiny.write_bert(folder / "bert", hidden=16, layers=1)
  config = tiny.make_config(folder, write=False, **{
      f"{stage}__steps": 1, "refresh__mode": "frozen", "finetune__read_blocks": 8, **changes})
  loop, _ = stages.train(stage, folder / "stage", corpus, config)
  return loop.log.rows[-1][1]


@pytest.mark.parametrize("stage, part", [
    ("ict", "retriever"), *(
        pytest.param(*names, marks=pytest.mark.stress) for names in (
            ("finetune", "encoder"), ("finetune", "retriever"), ("reading", "encoder"),
            ("pretrain", "encoder"), ("pretrain", "retriever")))])
def test_every_stage_drops_out_what_it_trains(tmp_path, stage, part):
  plain, dropped = (_first(tmp_path, stage, **{f"{part}__dropout": rate})
                    for rate in (0.0, 0.5))
  assert abs(dropped["loss"] - plain["loss"]) > 1e-3
  for name in ("beam_has_answer", "read_has_answer"):  # what is found is not dropped out
    assert plain.get(name) == dropped.get(name)


def test_distillation_is_added_by_its_weight(tmp_path):
  plain, taught = (_first(tmp_path, "finetune", finetune__distill=weight)
                   for weight in (0.0, 2.5))
  assert "distill_loss" not in plain and taught["distill_loss"] > 1e-3
  assert taught["loss"] == pytest.approx(plain["loss"] + 2.5 * taught["distill_loss"],
                                         rel=1e-4)
