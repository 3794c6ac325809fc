"""One real export for all tests of the server, and servers over it in this process."""

import contextlib
import shutil

import numpy as np
import pytest
from starlette.testclient import TestClient

from realm_tf.corpus.passages import Passages
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.evaluation.calibration import Calibration, Point
from realm_tf.index.exact import ExactIndex
from realm_tf.run.model import initial_model
from realm_tf.server.process import Address, running
from realm_tf.server.server_settings import Batching, Limits
from realm_tf.server.source import FolderSource
from realm_tf.serving import saved_model as serving
from tests import tiny


@pytest.fixture(name="exported", scope="session")
def _exported(tmp_path_factory):
  """The folder of an export; of random weights, which answer as well as trained ones."""
  folder = tmp_path_factory.mktemp("server")
  corpus = tiny.make_corpus(folder / "corpus")
  model = initial_model(tiny.make_config(folder), corpus.tokenizer)
  index = ExactIndex()
  index.assign(np.random.default_rng(5).normal(size=[corpus.num_blocks, 16])
               .astype(np.float32), 0)
  answerer = QuestionAnswerer(model, corpus, Passages(corpus), index, 2, Calibration(
      0.5, 2.0, questions=30, curve=(Point(0.0625, 0.75, 1.0),)))
  return serving.export(answerer, folder / "export")


@pytest.fixture(name="base", scope="session")
def _base(exported, tmp_path_factory):
  """Numbered versions: 3 alone."""
  base = tmp_path_factory.mktemp("base")
  shutil.copytree(exported, base / "3")
  return base


@contextlib.contextmanager
def client_of(folder, place=None, batching=None, limits=None, keys=()):
  """A client of a server in this process, whose model is loaded."""
  with running(FolderSource(folder), str(folder), place or Address(poll_seconds=3600),
               batching or Batching(), limits or Limits(), keys) as app:
    yield TestClient(app, base_url="http://localhost:8501", raise_server_exceptions=False)


@pytest.fixture(name="client", scope="session")
def _client(base):
  with client_of(base, Address(labels=("stable",), poll_seconds=3600)) as client:
    yield client
