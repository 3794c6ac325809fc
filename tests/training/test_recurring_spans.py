"""Training by recurring spans: the loss with its negatives, on one device and on several."""

import numpy as np
import pytest

from realm_tf.corpus.readers import Document
from realm_tf.corpus.store import Corpus
from realm_tf.examples.spider import recurring_span_batches
from realm_tf.run.model import initial_model
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny
from tests.training import stages

_CHANGES = {"ict__objective": "recurring_spans", "ict__steps": 1, "ict__batch_size": 8,
            "ict__clip_norm": 0.1, "checkpoint_every": 1}


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  """Each city's two documents as the blocks of one article, and one without its span."""
  folder = tmp_path_factory.mktemp("spans")
  tiny.write_bert(folder / "bert", hidden=16, layers=1)
  pairs = list(zip(tiny.documents()[1::2], tiny.documents()[2::2]))
  corpus = Corpus.from_documents([
      Document(f"{number}-{i}", document.title, text)
      for number, (document, other) in enumerate(pairs)
      for i, text in enumerate([document.text, other.text, "The cat sat on the old mat."])],
      Tokenizer(tiny.vocabulary()), 64)
  return folder, corpus


def _train(world, folder, strategy=None, **changes):
  config = tiny.make_config(world[0], write=False, **{**_CHANGES, **changes})
  return stages.train("ict", folder, world[1], config, strategy), config


def _moments(folder):
  return {name: value for name, value in stages.saved(folder).items()
          if ".OPTIMIZER_SLOT" in name and "/m/" in name}


def test_the_loss_is_that_of_plain_numpy(world, tmp_path):
  (loop, _), config = _train(world, tmp_path / "run", ict__batch_size=32)
  batch, = recurring_span_batches(
      world[1], batch_size=32, query_length=32, document_length=64, seed=0, first_step=0,
      last_step=1, settings=config.ict)
  retriever = initial_model(config, world[1].tokenizer).retriever
  queries = retriever.embed_queries(batch.queries).numpy()
  documents = np.concatenate([retriever.embed_documents(part).numpy() for part in (
      batch.documents, batch.negatives)])
  rows = np.concatenate([batch.rows, batch.negative_rows])
  assert len(set(rows[:32])) < 32  # some are the document of several queries
  losses = []
  for i, query in enumerate(queries):
    others = [j for j in range(64) if j == i or rows[j] != rows[i]]
    scores = documents[others] @ query
    losses.append(np.log(np.exp(scores - scores.max()).sum()) + scores.max()
                  - documents[i] @ query)
  assert loop.log.rows[0][1]["loss"] == pytest.approx(np.mean(losses), 1e-4)


@pytest.mark.stress
def test_two_replicas_with_two_parts_each_are_one_device(world, mirrored, tmp_path):
  (single, _), _ = _train(world, tmp_path / "one")
  (two, _), _ = _train(world, tmp_path / "two", mirrored, ict__accumulate=2)
  for name in ("loss", "in_batch_accuracy", "gradient_norm"):
    assert two.log.rows[0][1][name] == pytest.approx(single.log.rows[0][1][name], 2e-4, 1e-5)
  expected, actual = _moments(tmp_path / "one"), _moments(tmp_path / "two")
  assert len(expected) > 20 and actual.keys() == expected.keys()
  for name, value in expected.items():
    np.testing.assert_allclose(actual[name], value, rtol=1e-3, atol=1e-6, err_msg=name)


def test_what_it_learns_from_it_comes_to_find(world, tmp_path):
  (loop, _), _ = _train(world, tmp_path / "run", ict__steps=60, ict__learning_rate=3e-3,
                        ict__clip_norm=1.0, checkpoint_every=0)
  loss, accuracy = np.array([[row["loss"], row["in_batch_accuracy"]]
                             for _, row in loop.log.rows]).T
  assert loss[-10:].mean() < 0.6 * loss[:3].mean()
  assert accuracy[-10:].mean() > 0.5 > 2 * accuracy[:3].mean()
