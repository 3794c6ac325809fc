"""A tiny world and its exports, which the tests of this folder share."""

import functools
from typing import NamedTuple

import numpy as np
import pytest

from realm_tf.config import IndexConfig
from realm_tf.corpus.passages import Passages
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.evaluation.calibration import Calibration, Point
from realm_tf.index.exact import ExactIndex
from realm_tf.index.scann import ScannInGraph
from realm_tf.run.model import initial_model
from realm_tf.serving import saved_model as serving
from tests import tiny


class World(NamedTuple):
  folder: object
  corpus: object
  answerer: object  # makes one, over random embeddings
  exported: object  # flavour -> the folder of its versions; the first is written when asked


@pytest.fixture(name="world", scope="session")
def _world(tmp_path_factory):
  folder = tmp_path_factory.mktemp("export")
  corpus = tiny.make_corpus(folder / "corpus")
  model = initial_model(tiny.make_config(folder), corpus.tokenizer)
  table = np.random.default_rng(5).normal(size=[corpus.num_blocks, 16]).astype(np.float32)

  def answerer(flavour="portable"):
    index = ExactIndex()
    index.assign(table, 0)
    if flavour == "native":
      index = index.shadowed()
    if flavour == "scann":
      # Nearly all of the 25 rows: of fewer, the best would be left out now and then.
      index = ScannInGraph(index, IndexConfig(rescored=20))
      assert index._state is not None  # of so few rows, ScaNN has a use for them
    return QuestionAnswerer(model, corpus, Passages(corpus), index, 2, Calibration(
        0.5, 2.0, agreement=True, questions=30, curve=(Point(0.0625, 0.75, 1.0),)))

  @functools.cache
  def exported(flavour):
    version = serving.export(answerer(flavour), folder / flavour, flavour)
    assert version == folder / flavour / "1"
    return folder / flavour

  return World(folder, corpus, answerer, exported)
