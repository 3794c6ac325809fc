"""Processes that train together restore the same checkpoint, whatever each of them sees."""

import os
import shutil

import pytest
import tensorflow as tf

from realm_tf.errors import UserError
from realm_tf.training.checkpoints import Checkpoints
from tests.processes import as_two_processes


def _open(folder, processes=None, size=3, **options):
  """Checkpoints of one variable, which is 0 until something is restored or assigned."""
  value = tf.Variable(tf.zeros([size]))
  options |= {} if processes is None else {"processes": processes}
  return Checkpoints(folder, {"value": value}, keep=3, **options), value


@pytest.fixture(name="views")
def _views(tmp_path):
  """What each of two processes sees: checkpoints of steps 2, 4 and 6, which hold the step."""
  folders = [tmp_path / "0", tmp_path / "1"]
  checkpoints, value = _open(folders[0])
  for step in (2, 4, 6):
    value.assign([step] * 3)
    checkpoints.save(step, {})
  shutil.copytree(*folders)
  return folders


def _cut(folder, step):
  path = folder / f"ckpt-{step}.data-00000-of-00001"
  os.truncate(path, path.stat().st_size // 2)


def _remove(folder, step):
  for path in folder.glob(f"ckpt-{step}.*"):
    path.unlink()


def _restored(views, *sizes):
  """The step that each process goes on from, 0 for none; or what it raises."""
  def work(member):
    checkpoints, value = _open(views[member.number], member, *sizes[member.number:][:1])
    checkpoints.restore()
    return int(value[0])

  return as_two_processes(work)


def test_both_restore_the_newest(views):
  assert _restored(views) == [6, 6]


@pytest.mark.parametrize("process", [0, 1])
@pytest.mark.parametrize("harm", [_cut, _remove])
def test_what_one_process_cannot_read_is_passed_over_by_both(views, caplog, process, harm):
  harm(views[process], 6)
  assert _restored(views) == [4, 4]
  if (harm, process) != (_remove, 0):  # else the chief does not know of it
    assert "ckpt-6: cannot be read (by another process); trying the one before" in caplog.text


def test_each_may_be_damaged_for_another(views):
  _cut(views[0], 4)
  _cut(views[1], 6)
  assert _restored(views) == [2, 2]


def test_what_the_chief_does_not_see_is_not_restored(views):
  for step in (2, 4, 6):
    _remove(views[0], step)
  assert _restored(views) == [0, 0]  # both begin anew


def test_nothing_to_read_for_one_is_an_error_in_both(views):
  for step in (2, 4, 6):
    _remove(views[1], step)
  for error in _restored(views):
    assert isinstance(error, UserError) and "no checkpoint there can be read" in str(error)


@pytest.mark.parametrize("sizes", [(3, 4), (4, 3)])
def test_of_another_shape_for_one_is_an_error_in_both(views, sizes):
  """Whole, so both have read it; but only one can restore it."""
  for error in _restored(views, *sizes):
    assert isinstance(error, UserError) and "no checkpoint there can be read" in str(error)


def test_one_that_lacks_what_is_tracked_is_not_restored(views):
  """As those of an earlier release, whose names were others."""
  checkpoints = Checkpoints(views[0], {"value": tf.Variable(tf.zeros([3])),
                                       "table": tf.Variable(tf.zeros([3]))})
  with pytest.raises(UserError, match="no checkpoint there can be read"):
    checkpoints.restore()


@pytest.mark.parametrize("agreements", [1, 2])
def test_a_checkpoint_that_goes_while_it_is_restored(views, agreements):
  """After both agreed on it; or after both have read it too."""

  def work(member):
    agreed = []

    def watched(agree):
      def after(value):
        answer = agree(value)
        agreed.append(answer)
        if len(agreed) == agreements and member.number == 1:
          _remove(views[1], 6)
        return answer
      return after

    member.broadcast, member.all_agree = (
        watched(member.broadcast), watched(member.all_agree))
    checkpoints, value = _open(views[member.number], member)
    checkpoints.restore()
    return int(value[0]), agreed

  (restored, agreed), other = as_two_processes(work)
  assert restored == 4 and other == (restored, agreed)
  assert agreed[:agreements] == [6, True][:agreements]
  assert agreed[agreements:] == [False, 4, True, True]


def test_a_checkpoint_that_cannot_be_written_is_an_error_in_both(tmp_path, monkeypatch):
  def full(*_, **__):
    raise OSError("No space left on device")

  monkeypatch.setattr(tf.train.CheckpointManager, "save", full)

  def work(member):
    _open(tmp_path, member, writes=member.number == 0)[0].save(8, {})

  for error, why in zip(as_two_processes(work), ("No space left on device", "by process 0")):
    assert isinstance(error, UserError)
    assert f"the checkpoint of step 8 cannot be written ({why})" in str(error)
