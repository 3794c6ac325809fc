"""A native export whose BERTs have eight bits."""

import json

import numpy as np
import pytest
import tensorflow as tf

import realm_tf
from realm_tf.ops.bert import computing
from realm_tf.serving import saved_model as serving

pytestmark = pytest.mark.slow

_QUESTIONS = ["what is the capital of france", "who lives by the river?"]


def _plainly_rounded(answerer, questions):
  """By kernels that know nothing of the rows which they multiply."""
  bert = answerer.model.retriever.query_tower.bert
  with computing({id(bert): bert.pack("int8")}):
    return tf.function(answerer.embed)(tf.constant(questions)).numpy()


def test_it_answers_nearly_as_the_model_does(world, tmp_path):
  answerer = world.answerer("native")
  version = serving.export(answerer, tmp_path / "export", "native", _QUESTIONS,
                           precision="int8")
  record = json.loads((version / "realm_export.json").read_text())
  assert record["model"]["precision"] == "int8"
  exported = realm_tf.load(version)
  exported.check()
  live, int8 = answerer.embed(tf.constant(_QUESTIONS)).numpy(), exported.embed(_QUESTIONS)
  assert 1e-6 < np.abs(live - int8).max() < 0.05 * np.abs(live).max()
  plain = _plainly_rounded(answerer, _QUESTIONS)
  assert np.abs(live - int8).mean() < np.abs(live - plain).mean()
  kernels = [variable for variable in exported._model._read_variables
             if variable.dtype == tf.int8 and "kernel" in variable.name]
  assert len(kernels) % 4 == 0 and kernels
