"""Stages whose layers and updates XLA compiles learn what they learn without it."""

import numpy as np
import pytest

from realm_tf.models import compiled_layer
from realm_tf.ops.compiling import compiling
from tests import tiny
from tests.training import stages


@pytest.mark.slow
@pytest.mark.parametrize("stage", [
    "pretrain", *(pytest.param(stage, marks=pytest.mark.stress)
                  for stage in ("ict", "dpr", "cloze", "finetune"))])
@pytest.mark.parametrize("fixed_lengths", [
    False, pytest.param(True, marks=pytest.mark.stress)])
def test_a_stage_learns_the_same(tmp_path, stage, fixed_lengths):
  tiny.write_bert(tmp_path / "bert", hidden=16, layers=2)
  corpus = tiny.make_corpus(tmp_path / "corpus")
  config = tiny.make_config(tmp_path, write=False, fixed_lengths=fixed_lengths, **{
      f"{stage}__steps": 2, f"{stage}__batch_size": 8, f"{stage}__accumulate": 2,
      "checkpoint_every": 2})
  outcomes = []
  for mode in ("off", "on"):
    compiled_layer._compiled.cache_clear()  # pylint: disable=protected-access
    with compiling(mode):
      loop, _ = stages.train(stage, tmp_path / mode, corpus, config)
    outcomes.append((loop.log.rows[-1][1]["loss"], {
        name: value for name, value in stages.saved(tmp_path / mode).items()
        if ".OPTIMIZER_SLOT" in name and "/m/" in name}))
  (expected_loss, expected), (loss, moments) = outcomes
  assert loss == pytest.approx(expected_loss, 1e-4) and len(expected) > 20
  for name, value in expected.items():
    np.testing.assert_allclose(moments[name], value, rtol=2e-3, atol=1e-6, err_msg=name)
  # Layers and texts share what is traced.
  assert 1 <= compiled_layer._compiled.cache_info().currsize <= 3  # pylint: disable=protected-access
