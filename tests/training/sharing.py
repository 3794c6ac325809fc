"""Pre-trains as one of several processes that share an index, and checks each swap."""

import realm_tf  # noqa: F401  # isort: skip
import json
import pathlib
import sys
from unittest import mock

import numpy as np
import tensorflow as tf
from absl import logging

from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.distribute.processes import process_index
from realm_tf.distribute.strategy import make_strategy
from realm_tf.index import stored_index
from realm_tf.index.distributed import DistributedIndex
from realm_tf.index.embed import CorpusEmbedder
from realm_tf.index.exact import ExactIndex
from realm_tf.run.model import initial_model
from realm_tf.training.pretrain import train_pretrain
from tests import tiny
from tests.training import stages


class Refreshes:
  """What each refresh by a thread should make.

  Attributes:
    expected: [N, D], embedded by this process alone when the thread takes the weights.
  """

  def __init__(self, model, passages):
    self.expected = None
    snapshot = CorpusEmbedder.snapshot

    def noted(embedder, tower):
      snapshot(embedder, tower)
      with mock.patch.object(CorpusEmbedder, "snapshot", snapshot):
        self.expected = stages.embed_all(model, passages)

    CorpusEmbedder.snapshot = noted


def _are_new(rows, expected):
  return np.isclose(rows, expected, rtol=1e-4, atol=1e-4).all(1)


def main(world: pathlib.Path, folder: pathlib.Path, changes: str, *signal: str) -> None:
  """Prints the step of each swap; fails if the whole index is not what it should be.

  A process that has a folder of its own (`-seen-by-1`) finds the run there as it sees it.
  """
  logging.set_verbosity(logging.INFO)
  if signal:
    stages.signal_at(*map(int, signal))
  strategy = make_strategy("multi_worker")
  own_folder = folder.with_name(f"{folder.name}-seen-by-{process_index(strategy)}")
  folder = own_folder if own_folder.exists() else folder
  config = tiny.make_config(world, write=False, **json.loads(changes))
  corpus = Corpus.open(world / "corpus")
  with strategy.scope():
    model = initial_model(config, corpus.tokenizer)
  passages = Passages(corpus)
  index = stages.make_index(config, model, passages)
  assert isinstance(index, DistributedIndex)
  assign, exact = index.assign, ExactIndex()
  queries = np.random.default_rng(0).normal(size=[5, 16]).astype(np.float32)

  refreshes = Refreshes(model, passages)

  def checked(prepared, step: int) -> None:
    assign(prepared, step)
    if config.refresh.mode == "job":
      version = stored_index.find_version(folder / "index", corpus.rows_by_hash,
                                          after_step=step - 1, up_to_step=step)
      expected = version.read(corpus.stored_rows)
      np.testing.assert_array_equal(index.rows(), expected[slice(*index.share)])
      exact.assign(expected, step)
      for result, exact_result in zip(index.search(tf.constant(queries), 9),
                                      exact.search(tf.constant(queries), 9)):
        np.testing.assert_array_equal(result, exact_result)
    else:
      assert _are_new(index.rows(), refreshes.expected[slice(*index.share)]).all()
    print(f"swapped {step}", flush=True)

  index.assign = checked
  banned = np.arange(corpus.num_blocks, dtype=np.int32)[:, None]
  train_pretrain(config, corpus, passages, model, index, banned, folder)


if __name__ == "__main__":
  main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), *sys.argv[3:])
