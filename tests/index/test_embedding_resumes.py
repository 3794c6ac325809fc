"""Embedding that is stopped or killed at any block goes on with the shards that it has."""

import os
import pathlib
import signal
import subprocess
import sys
import types

import numpy as np
import pytest

from realm_tf.index import index_writer, stored_index
from realm_tf.index.embed import find_or_store
from realm_tf.refresh import make
from tests import tiny

_ROOT = pathlib.Path(__file__).parents[2]
_ROWS, _SHARD = 40, 8


class Embedder:
  """Makes row r of tower t the vector (t, r, ...); notes which rows it was asked for."""
  size = 4

  def __init__(self, tower: int = 1, num_rows: int = _ROWS):
    self.tower, self.num_rows = tower, num_rows
    self.embedded: list[int] = []
    self.encoder_hash = f"{tower}" * 64

  def batches(self, first=0, end=None):
    rows = np.arange(self.num_rows, dtype=np.int32)[first:end]
    for batch in np.array_split(rows[::-1], -(-len(rows) // 3)):
      self.embedded.extend(batch.tolist())
      yield batch, np.stack([np.full(len(batch), self.tower), batch, batch + 0.5, -batch],
                            1).astype(np.float32)


def _corpus(sizes=(_ROWS,)):
  """What embedding looks at: `sizes` of the stored rows, before and after an addition."""
  names = {f"{number}" * 64: rows for number, rows in enumerate(sizes)}
  return types.SimpleNamespace(
      num_blocks=sizes[-1], num_stored_rows=sizes[-1], stored_rows=np.arange(sizes[-1]),
      rows_hash=list(names)[-1], rows_by_hash=names)


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
  monkeypatch.setattr(index_writer, "_ROWS_PER_SHARD", (_SHARD, _SHARD))


def _store(root, embedder, corpus=None, stop_at=None, stop=RuntimeError):
  embedded = 0

  def on_rows(count):
    nonlocal embedded
    embedded += count
    if stop_at is not None and embedded >= stop_at:
      raise stop("stopped")

  return find_or_store(root, corpus or _corpus(), embedder.encoder_hash, lambda: embedder,
                       "float32", on_rows).read()


@pytest.mark.parametrize("stop_at", [3, 9, 17, 20, 40])
def test_what_was_embedded_before_a_stop_is_not_embedded_again(tmp_path, stop_at):
  whole = _store(tmp_path / "whole", Embedder())
  stopped, again = Embedder(), Embedder()
  with pytest.raises(RuntimeError):
    _store(tmp_path / "stopped", stopped, stop_at=stop_at)
  np.testing.assert_array_equal(_store(tmp_path / "stopped", again), whole)
  shards = (stop_at - 1) // _SHARD  # whole ones at the time
  assert sorted(again.embedded) == list(range(shards * _SHARD, _ROWS))
  third = Embedder()
  _store(tmp_path / "stopped", third)
  assert not third.embedded


_KILLED = """
import os, pathlib, signal, sys
from realm_tf.index import index_writer
from tests.index import test_embedding_resumes as test
index_writer._ROWS_PER_SHARD = (8, 8)
test._store(pathlib.Path(sys.argv[1]), test.Embedder(), stop_at=21,
            stop=lambda _: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_a_kill_costs_no_whole_shard(tmp_path):
  killed = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], cwd=_ROOT,
                          env={**os.environ, "PYTHONPATH": str(_ROOT)}, check=False)
  assert killed.returncode == -signal.SIGKILL
  again = Embedder()
  table = _store(tmp_path, again)
  assert sorted(again.embedded) == list(range(16, _ROWS))
  assert table[:, 1].tolist() == list(range(_ROWS))


def test_another_tower_in_between_costs_nothing(tmp_path):
  """As where `realm evaluate` of an earlier stage comes between two `realm index`."""
  with pytest.raises(RuntimeError):
    _store(tmp_path, Embedder(1), stop_at=20)
  _store(tmp_path, Embedder(2))
  again = Embedder(1)
  table = _store(tmp_path, again)
  assert min(again.embedded) == 16 and set(table[:, 0]) == {1}


def test_documents_that_were_added_in_between_cost_only_themselves(tmp_path):
  with pytest.raises(RuntimeError):
    _store(tmp_path, Embedder(), stop_at=20)
  again = Embedder(num_rows=50)
  table = _store(tmp_path, again, _corpus((_ROWS, 50)))
  assert sorted(again.embedded) == list(range(16, 50))
  assert table[:, 1].tolist() == list(range(50))


def test_a_part_of_another_corpus_is_not_taken(tmp_path):
  with pytest.raises(RuntimeError):
    _store(tmp_path, Embedder(), stop_at=20)
  other = _corpus()
  other.rows_hash, other.rows_by_hash = "f" * 64, {"f" * 64: _ROWS}
  again = Embedder()
  _store(tmp_path, again, other)
  assert sorted(again.embedded) == list(range(_ROWS))


def test_few_shards_in_a_large_corpus_and_small_ones_in_a_small(monkeypatch):
  monkeypatch.undo()
  assert [index_writer._shard_size(rows) for rows in (10, 28_000, 1_000_000, 13_400_000,
                                                      100_000_000)] == [
      1024, 1024, 3907, 52344, 65536]


def test_a_refresh_while_training_resumes(tmp_path):
  """With `sync`, training that was stopped at a refresh comes to the same again."""
  config = tiny.make_config(tmp_path, write=False, refresh__mode="sync")
  assigned = []
  index = types.SimpleNamespace(share=None, step=0, prepare=lambda table: table,
                                measure_with=lambda queries: None,
                                assign=lambda table, step: assigned.append(table))
  monitor = types.SimpleNamespace(queries=lambda: None, swap=lambda assign: assign())
  model = types.SimpleNamespace(strategy=None, retriever=types.SimpleNamespace(
      document_tower=None))

  def refresh(stop_at=None):
    embedder = Embedder()
    embedder.snapshot = lambda tower: None
    batches = embedder.batches

    def stopping(*bounds):
      for rows, values in batches(*bounds):
        yield rows, values
        if stop_at is not None and len(embedder.embedded) >= stop_at:
          raise RuntimeError("stopped")

    embedder.batches = stopping
    refresher = make.make_refresher(config, index, model, _corpus(), embedder,
                                    tmp_path / "index", monitor, lambda: False)
    try:
      refresher.update(config.refresh.every)
    finally:
      refresher.close()
    return embedder.embedded

  with pytest.raises(RuntimeError, match="stopped"):
    refresh(stop_at=21)
  assert sorted(refresh()) == list(range(16, _ROWS))
  assert assigned[-1][:, 1].tolist() == list(range(_ROWS))
  assert not refresh()  # killed before the next checkpoint: it is there
  assert len(stored_index.index_versions(tmp_path / "index")) == 1
