"""The trainer's side of a refresh job, and the job itself, without sleeping."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.errors import UserError
from realm_tf.index import stored_index
from realm_tf.index.exact import ExactIndex
from realm_tf.index.index_writer import IndexWriter, remove_version, write_lock
from realm_tf.index.stored_index import NotFinite, Origin
from realm_tf.refresh.follower import Follower
from realm_tf.refresh.job import RefreshJob

_ROWS = {"c" * 64: 6}


def _commit(root, step, value=None):
  table = np.full([6, 4], step if value is None else value, np.float32)
  with write_lock(root):
    writer = IndexWriter(root, f"step-{step}", Origin("c" * 64, "e" * 64, step, "float32"),
                         table.shape)
    for first, end in writer.missing():
      writer.write(table[first:end])
    writer.commit(rows_per_second=6.0)


def _follower(root, **settings):
  index = ExactIndex()
  index.step.assign(0)
  settings = {"max_staleness": 20, "look_every": 0.0, **settings}
  return index, Follower(index, root, _ROWS, np.array([0, 1, 3, 5]), **settings)


def test_the_newest_complete_version_is_swapped_in(tmp_path):
  index, follower = _follower(tmp_path)
  assert not follower.update(3)
  _commit(tmp_path, 2)
  _commit(tmp_path, 4)
  assert follower.update(5) and int(index.step) == follower.index_step == 4
  np.testing.assert_array_equal(index.table, np.full([4, 4], 4))
  assert not follower.update(6)
  metrics = follower.metrics(6)
  assert (metrics["index_staleness"], metrics["index_rows_per_second"]) == (2, 6.0)


def test_a_version_of_steps_to_come_is_not_for_a_run_that_went_back(tmp_path):
  _, follower = _follower(tmp_path)
  _commit(tmp_path, 9)
  assert not follower.update(5)
  assert follower.update(9)


def test_the_law_waits_for_the_job(tmp_path):
  slept = []

  def sleep(seconds):
    slept.append(seconds)
    if len(slept) == 3:
      _commit(tmp_path, 4)  # too old: 30 - 4 > 20
    if len(slept) == 5:
      _commit(tmp_path, 12)

  _, follower = _follower(tmp_path, sleep=sleep)
  assert not follower.update(20) and not slept
  assert follower.update(30)
  assert len(slept) == 5 and follower.staleness(30) == 18


def test_nobody_waits_when_training_was_asked_to_stop(tmp_path):
  waits = []
  _, follower = _follower(tmp_path, sleep=waits.append, stopping=lambda: len(waits) == 2)
  assert not follower.update(30)
  assert len(waits) == 2


def test_warn_goes_on(tmp_path):
  _, follower = _follower(tmp_path, on_stale="warn", sleep=pytest.fail)
  assert not follower.update(30)


def test_a_damaged_version_is_an_error_and_one_that_vanished_is_not(tmp_path, monkeypatch):
  _, follower = _follower(tmp_path)
  _commit(tmp_path, 4)
  shard = tmp_path / "step-4" / "rows-00000.bin"
  shard.write_bytes(b"\1" * shard.stat().st_size)
  with pytest.raises(UserError, match="rows-00000.bin: damaged"):
    follower.update(5)
  read = stored_index.StoredIndex.read

  def vanishing(self, keep=None):
    with write_lock(tmp_path):
      remove_version(self.folder)
    return read(self, keep)

  monkeypatch.setattr(stored_index.StoredIndex, "read", vanishing)
  assert not follower.update(6)


class FakeTower(tf.Module):
  def __init__(self):
    super().__init__()
    self.weight = tf.Variable(1.0)


class FakeModel(tf.Module):
  """What checkpoints hold: a model whose document tower is one number."""

  def __init__(self):
    super().__init__()
    self.retriever = tf.Module()
    self.retriever.document_tower = FakeTower()


class FakeEmbedder:
  """A block's embedding is the tower's number."""
  size, weight = 4, 0.0

  def snapshot(self, tower):
    self.weight = float(tower.weight)

  @property
  def encoder_hash(self):
    return f"{self.weight}".ljust(64, "0")

  def batches(self, first, end):
    for row in range(first, end):
      yield np.array([row]), np.full([1, 4], self.weight, np.float32)


class FakeCorpus:
  rows_hash, num_stored_rows, stored_rows = "c" * 64, 6, np.array([0, 1, 3, 5])
  rows_by_hash = _ROWS


@pytest.fixture(name="job")
def _job(tmp_path):
  """A job, and a function that saves checkpoints for it."""
  trained, step = FakeModel(), tf.Variable(0, dtype=tf.int64)
  manager = tf.train.CheckpointManager(tf.train.Checkpoint(step=step, model=trained),
                                       str(tmp_path / "checkpoints"), max_to_keep=2)

  def save(number, weight):
    step.assign(number)
    trained.retriever.document_tower.weight.assign(weight)
    return manager.save(checkpoint_number=number)

  return RefreshJob(tmp_path / "checkpoints", tmp_path / "index", FakeCorpus, FakeModel(),
                    FakeEmbedder(), "float32"), save, tmp_path / "index"


def _newest(root):
  version = stored_index.find_version(root, _ROWS)
  return (version.origin.step, version.read()[3, 0]) if version else None


def test_a_job_embeds_each_newest_checkpoint_once_and_keeps_two(job):
  job, save, root = job
  assert job.refresh() is None
  for number in (3, 6, 9):
    save(number, number / 2)
    assert job.refresh().origin.step == number
    assert job.refresh() is None
    job._embedded = None  # as in a job that was started again
    assert job.refresh() is None
    assert _newest(root) == (number, number / 2)
  assert len(stored_index.index_versions(root)) == 2
  newest = stored_index.find_version(root, _ROWS)
  np.testing.assert_array_equal(newest.read()[2], np.zeros(4))  # deleted


def test_a_job_ends_with_the_training_and_not_before_its_last_checkpoint(job):
  job, save, root = job
  save(3, 1.5)
  looks = []

  def is_trained():
    looks.append(_newest(root))
    if len(looks) == 2:
      save(6, 3.0)
    return len(looks) >= 2

  assert job.run(lambda: False, is_trained, sleep=pytest.fail) == 2
  assert _newest(root) == (6, 3.0) and len(looks) == 3


def test_a_job_that_is_stopped_keeps_nothing_half_made(job):
  job, save, root = job
  save(3, 1.5)
  assert job.run(lambda: True, lambda: False) == 0
  stops = iter([False, False, True, True])
  assert job.run(lambda: next(stops), lambda: False) == 0
  assert stored_index.index_versions(root) == []


def test_two_jobs_on_one_folder(job):
  job, _, root = job
  with write_lock(root), pytest.raises(UserError, match="is writing here"):
    job.run(lambda: False, lambda: True)


def test_a_tower_that_diverged_commits_nothing(job):
  job, save, root = job
  save(3, 1.5)
  job.refresh()
  save(6, float("nan"))
  with pytest.raises(NotFinite, match="diverged"):
    job.refresh()
  assert _newest(root) == (3, 1.5)


def test_a_damaged_checkpoint_is_named(job):
  job, save, root = job
  path = save(3, 1.5)
  data = root.parent / "checkpoints" / "ckpt-3.data-00000-of-00001"
  content = bytearray(data.read_bytes())
  content[len(content) // 2] ^= 1
  data.write_bytes(content)
  with pytest.raises(UserError, match=f"{path}: cannot be read"):
    job.refresh()
  assert _newest(root) is None
