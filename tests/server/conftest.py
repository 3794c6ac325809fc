"""One real export for all tests of the server, and servers over it in this process."""

import contextlib
import shutil
import socket
import threading

import numpy as np
import pytest
from starlette.testclient import TestClient

from realm_tf.corpus.passages import Passages
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.evaluation.calibration import Calibration, Point
from realm_tf.index.exact import ExactIndex
from realm_tf.run.model import initial_model
from realm_tf.server.process import Address, http_server, running
from realm_tf.server.server_settings import Batching, Limits
from realm_tf.server.source import FolderSource
from realm_tf.serving import saved_model as serving
from tests import tiny


@pytest.fixture(name="answerer", scope="session")
def _answerer(tmp_path_factory):
  """Of random weights, which answer as well as trained ones."""
  folder = tmp_path_factory.mktemp("server")
  corpus = tiny.make_corpus(folder / "corpus")
  model = initial_model(tiny.make_config(folder), corpus.tokenizer)
  index = ExactIndex()
  index.assign(np.random.default_rng(5).normal(size=[corpus.num_blocks, 16])
               .astype(np.float32), 0)
  return QuestionAnswerer(model, corpus, Passages(corpus), index, 2, Calibration(
      0.5, 2.0, questions=30, curve=(Point(0.0625, 0.75, 1.0),)))


@pytest.fixture(name="exported", scope="session")
def _exported(answerer, tmp_path_factory):
  """The folder of an export."""
  return serving.export(answerer, tmp_path_factory.mktemp("exported") / "export")


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


@contextlib.contextmanager
def listening(app):
  """The port of 127.0.0.1 where an application answers, as `realm serve` has it."""
  with socket.create_server(("127.0.0.1", 0)) as listener:
    server = http_server(app, 30)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
      yield listener.getsockname()[1]
    finally:
      server.should_exit = True
      thread.join()


@pytest.fixture(name="client", scope="session")
def _client(base):
  with client_of(base, Address(labels=("stable",), poll_seconds=3600)) as client:
    yield client
