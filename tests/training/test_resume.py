"""A stage that dies and is run again ends as one that never died."""

import numpy as np
import pytest

from realm_tf.models.realm import Realm
from realm_tf.training.ict import train_ict
from realm_tf.training.loop import Loop
from tests import tiny


def _train(config, corpus, folder):
  model = Realm.from_weights(config, corpus.tokenizer.vocab_size)
  train_ict(config, corpus, model, folder)
  return [variable.numpy() for variable in model.retriever.trainable_variables]


def test_ict_dies_at_step_15_and_goes_on_from_10(tmp_path, monkeypatch):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  config = tiny.make_config(tmp_path, checkpoint_every=10)
  whole = _train(config, corpus, tmp_path / "whole")
  check = Loop._check

  def die(self, loss, step):
    if step == 15:
      raise RuntimeError("died")
    check(self, loss, step)

  with monkeypatch.context() as patch:
    patch.setattr(Loop, "_check", die)
    with pytest.raises(RuntimeError, match="died"):
      _train(config, corpus, tmp_path / "dead")
  resumed = _train(config, corpus, tmp_path / "dead")
  for ours, expected in zip(resumed, whole, strict=True):
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)
