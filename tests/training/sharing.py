"""Pre-trains as one of several processes that share an index, and checks each swap."""

import realm_tf  # noqa: F401  # isort: skip
import json
import math
import pathlib
import sys
import threading
from unittest import mock

import numpy as np
import tensorflow as tf
from absl import logging

from realm_tf.cli.run_model import initial_model
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.index import store
from realm_tf.index.distributed import DistributedIndex
from realm_tf.index.embed import CorpusEmbedder
from realm_tf.index.exact import ExactIndex
from realm_tf.index.hot import HotRows
from realm_tf.index.pace import Pace
from realm_tf.index.refresh import Refresher
from realm_tf.training import replicas
from realm_tf.training.pretrain import train_pretrain
from tests import tiny
from tests.training import stages

_LONG = 30  # seconds: what never comes fails instead of hanging


class Refreshes:
  """What each refresh by a thread should make, and when it makes the second of its parts.

  Attributes:
    expected: [N, D], embedded by this process alone when the thread takes the weights.
    hot: the rows retrieved most until then.
  """

  def __init__(self, model, passages, most):
    """Where `most` hot rows come first, they come into use by the step after that.

    All rows follow when they have, or when training waits.
    """
    self.expected, self.hot, gated = None, [], most > 0
    self._gate = threading.Event()
    snapshot, batches, hurry = CorpusEmbedder.snapshot, CorpusEmbedder.batches, Pace.hurry
    begin, update = HotRows.begin, Refresher.update

    def noted(embedder, tower):
      self._gate.clear()
      snapshot(embedder, tower)
      with mock.patch.object(CorpusEmbedder, "snapshot", snapshot):
        self.expected = stages.embed_all(model, passages)

    def waiting(embedder, *rows):
      if gated and threading.current_thread() is not threading.main_thread():
        self._gate.wait(_LONG)
      return batches(embedder, *rows)

    def hurried(pace):
      self.go_on()
      hurry(pace)

    def begun(hot):
      counts = hot.counts.numpy()
      order = sorted(range(len(counts)), key=lambda row: (-counts[row], row))
      self.hot = [row for row in order[:most] if counts[row]]
      begin(hot)

    def when_hot_is_done(refresher, step):
      if gated and refresher._running_hot:
        refresher._running_hot.exception(_LONG)
      return update(refresher, step)

    CorpusEmbedder.snapshot, CorpusEmbedder.batches = noted, waiting
    Pace.hurry, HotRows.begin, Refresher.update = hurried, begun, when_hot_is_done

  def go_on(self):
    self._gate.set()


def _are_new(rows, expected):
  return np.isclose(rows, expected, rtol=1e-4, atol=1e-4).all(1)


def main(world: pathlib.Path, folder: pathlib.Path, changes: str) -> None:
  """Prints the step of each swap; fails if the whole index is not what it should be.

  A process that has a folder of its own (`-seen-by-1`) finds the run there as it sees it.
  """
  logging.set_verbosity(logging.INFO)
  strategy = replicas.make_strategy("multi_worker")
  own = folder.with_name(f"{folder.name}-seen-by-{replicas.worker(strategy)}")
  folder = own if own.exists() else folder
  config = tiny.make_config(world, write=False, **json.loads(changes))
  corpus = Corpus.open(world / "corpus")
  with strategy.scope():
    model = initial_model(config, corpus.tokenizer)
  passages = Passages(corpus)
  index = stages.make_index(config, model, passages)
  assert isinstance(index, DistributedIndex)
  assign, exact = index.assign, ExactIndex(corpus.num_blocks, 16)
  queries = np.random.default_rng(0).normal(size=[5, 16]).astype(np.float32)

  pretrain = config.pretrain
  most = math.ceil(pretrain.refresh_first * corpus.num_blocks)
  refreshes = Refreshes(model, passages, most)

  def checked(prepared, step: int) -> None:
    before, last = index.rows(), int(index.step)
    assign(prepared, step)
    if pretrain.refresh == "job":
      version = store.find(folder / "index", corpus.rows_by_hash, after_step=step - 1,
                           up_to_step=step)
      expected = version.read(corpus.stored_rows)
      np.testing.assert_array_equal(index.rows(), expected[slice(*index.share)])
      exact.assign(expected, step)
      for ours, theirs in zip(index.search(tf.constant(queries), 9),
                              exact.search(tf.constant(queries), 9)):
        np.testing.assert_array_equal(ours, theirs)
    else:
      are_new = _are_new(index.rows(), refreshes.expected[slice(*index.share)])
      if step == last:  # some rows are ahead of the others, which are as they were
        hot = np.isin(range(*index.share), refreshes.hot)
        assert are_new[hot].all() and (index.rows() == before)[~hot].all()
        print(f"ahead of {step}: {refreshes.hot}", flush=True)
        refreshes.go_on()
        return
      assert are_new.all()
    print(f"swapped {step}", flush=True)

  index.assign = checked
  banned = np.arange(corpus.num_blocks, dtype=np.int32)[:, None]
  train_pretrain(config, corpus, passages, model, index, banned, folder)


if __name__ == "__main__":
  main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3])
