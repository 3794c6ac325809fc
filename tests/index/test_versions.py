"""Indexes on disk: whole or absent, killed, truncated, flipped, or on a full disk."""

import dataclasses
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.index import stored_index
from realm_tf.index.build import as_tensor
from realm_tf.index.index_writer import (
  IndexWriter,
  remove_version,
  write_lock,
)
from realm_tf.index.stored_index import NotFinite, Origin, StoredIndex

_ROOT = pathlib.Path(__file__).parents[2]
_ORIGIN = Origin("c" * 64, "e" * 64, 7, "float32")
_FITS = {"c" * 64: 40}


def _table(seed=0, rows=40):
  return np.random.default_rng(seed).integers(-9, 10, [rows, 8]).astype(np.float32)


def _write(root, name="v1", table=None, origin=_ORIGIN, stop_after=None, base=None):
  """Writes a version of shards of 16 rows; or some shards, as a killed writer would."""
  table = _table() if table is None else table
  with write_lock(root):
    writer = IndexWriter(root, name, origin, table.shape, base, rows_per_shard=16)
    for number, (first, end) in enumerate(writer.missing()):
      if number == stop_after:
        return writer
      writer.write(table[first:end])
    return writer.commit(note="x")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_was_written_is_read(tmp_path, dtype):
  origin = dataclasses.replace(_ORIGIN, dtype=dtype)
  _write(tmp_path, origin=origin)
  stored = stored_index.find_version(tmp_path, _FITS)
  assert (stored.origin, stored.shape, stored.facts["note"]) == (origin, (40, 8), "x")
  assert [shard["rows"] for shard in stored.shards] == [16, 16, 8]
  table = stored.read()
  assert table.dtype == stored_index.DTYPES[dtype]
  np.testing.assert_array_equal(table.astype("f4"), _table())  # small integers: exact
  keep = np.array([0, 3, 15, 16, 17, 39])
  np.testing.assert_array_equal(stored.read(keep).astype("f4"), _table()[keep])
  wanted = np.array([39, 2, 2, 20])
  np.testing.assert_array_equal(stored.rows(wanted).astype("f4"), _table()[wanted])


def test_the_table_becomes_a_tensor_without_a_copy(tmp_path):
  origin = dataclasses.replace(_ORIGIN, dtype="bfloat16")
  table = _write(tmp_path, origin=origin).read()
  tensor = as_tensor(table)
  np.testing.assert_array_equal(tensor.numpy().astype("f4"), _table())
  table[3, 4] = ml_dtypes.bfloat16(77)  # forbidden to users: shows that memory is shared
  assert float(tensor[3, 4]) == 77


def test_find_takes_what_fits(tmp_path):
  _write(tmp_path, "a")
  _write(tmp_path, "b", origin=dataclasses.replace(_ORIGIN, step=9))
  _write(tmp_path, "c", origin=dataclasses.replace(_ORIGIN, step=11, encoder_hash="f" * 64))
  _write(tmp_path, "d", origin=dataclasses.replace(_ORIGIN, step=13, corpus_hash="x" * 64))
  _write(tmp_path, "e", origin=dataclasses.replace(_ORIGIN, step=15), stop_after=2)
  name = lambda **which: getattr(stored_index.find_version(tmp_path, _FITS, **which),
                                 "folder", None)
  assert name() == tmp_path / "c"
  assert name(encoder_hash="e" * 64) == tmp_path / "b"
  assert name(up_to_step=8) == tmp_path / "a"
  assert name(after_step=11) is None
  assert stored_index.find_version(tmp_path, {"c" * 64: 41}) is None


def test_a_writer_goes_on_with_whole_shards_of_the_same_making(tmp_path):
  _write(tmp_path, stop_after=2)
  assert stored_index.index_versions(tmp_path) == []
  with write_lock(tmp_path):
    writer = IndexWriter(tmp_path, "v1", _ORIGIN, (40, 8), rows_per_shard=16)
    assert list(next(writer.missing())) == [32, 40]
  part = tmp_path / ".v1.part" / "rows-00001.bin"
  part.write_bytes(part.read_bytes()[:-1])  # then only the first is whole
  with write_lock(tmp_path):
    writer = IndexWriter(tmp_path, "v1", _ORIGIN, (40, 8), rows_per_shard=16)
    assert writer.num_written == 16
  np.testing.assert_array_equal(_write(tmp_path).read(), _table())
  _write(tmp_path, "v2", stop_after=1)
  with write_lock(tmp_path):
    other = dataclasses.replace(_ORIGIN, encoder_hash="f" * 64)
    assert IndexWriter(tmp_path, "v2", other, (40, 8)).num_written == 0


def test_an_extended_version_shares_its_base(tmp_path):
  base = _write(tmp_path)
  longer = np.concatenate([_table(), _table(1, 24)])
  grown = _write(tmp_path, "v2", longer, dataclasses.replace(_ORIGIN, corpus_hash="d" * 64),
                 base=base)
  np.testing.assert_array_equal(grown.read(), longer)
  assert os.path.samefile(base.folder / "rows-00001.bin", grown.folder / "rows-00001.bin")
  with write_lock(tmp_path):
    remove_version(base.folder)
  np.testing.assert_array_equal(grown.read(), longer)


def test_two_writers_are_told(tmp_path):
  script = ("import sys\nfrom realm_tf.index.index_writer import write_lock\n"
            "with write_lock(sys.argv[1]):\n  print('held', flush=True)\n"
            "  sys.stdin.read()\n")
  with subprocess.Popen([sys.executable, "-c", script, tmp_path], cwd=_ROOT,
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(UserError, match=f"process {holder.pid}.*is writing here"):
      _write(tmp_path)
    holder.kill()  # and a dead holder holds nothing
    holder.wait()
  assert _write(tmp_path).num_rows == 40


def test_rows_that_are_not_finite_are_never_committed(tmp_path):
  table = _table()
  table[20, 3] = np.nan
  with pytest.raises(NotFinite, match="block 20 is not finite.*lower the learning rate"):
    _write(tmp_path, table=table)
  assert stored_index.find_version(tmp_path, _FITS) is None


def _files(folder):
  return sorted(path.name for path in folder.iterdir())


def _same_json(text, expected):
  try:
    return json.loads(text) == json.loads(expected)
  except ValueError:
    return False


def test_every_flipped_bit_and_every_cut_is_noticed(tmp_path):
  good = _write(tmp_path / "good").folder
  rng = np.random.default_rng(0)
  for name in _files(good):
    content = (good / name).read_bytes()
    damages = [content[:size] for size in (0, 1, len(content) // 2, len(content) - 2)]
    for place in rng.choice(len(content), 12, replace=False):
      flipped = bytearray(content)
      flipped[place] ^= 1 << rng.integers(8)
      damages.append(bytes(flipped))
    for number, damaged in enumerate(damages):
      if name == "manifest.json" and _same_json(damaged, content):
        continue  # white space is nobody's loss
      root = tmp_path / f"{name}-{number}"
      shutil.copytree(good, root / "v1")
      (root / "v1" / name).write_bytes(damaged)
      with pytest.raises(UserError, match=f"{name}.*(realm index|not valid JSON)"):
        stored_index.find_version(root, _FITS).read()
  np.testing.assert_array_equal(StoredIndex.open(good).read(), _table())


def test_a_missing_shard_is_named(tmp_path):
  folder = _write(tmp_path).folder
  (folder / "rows-00002.bin").unlink()
  with pytest.raises(UserError, match="rows-00002.bin: missing"):
    stored_index.find_version(tmp_path, _FITS)


def test_versions_that_vanish_while_they_are_listed_are_looked_for_again(
    tmp_path, monkeypatch):
  _write(tmp_path, "old")
  opened = StoredIndex.open.__func__

  def overtaken(cls, folder):
    if stored_index.index_versions(tmp_path) == [tmp_path / "old"]:
      _write(tmp_path, "new", origin=dataclasses.replace(_ORIGIN, step=9))
      with write_lock(tmp_path):
        remove_version(tmp_path / "old")
    return opened(cls, folder)

  monkeypatch.setattr(StoredIndex, "open", classmethod(overtaken))
  assert stored_index.find_version(tmp_path, _FITS).origin.step == 9


def test_a_version_that_vanishes_while_it_is_read_is_said_to(tmp_path):
  stored = _write(tmp_path)
  with write_lock(tmp_path):
    remove_version(stored.folder)
  with pytest.raises(UserError, match="gone since it was opened"):
    stored.read()


# A writer that really dies, at each call by which it changes the disk.

_DYING = """
import os, shutil, signal, sys
import numpy as np
from realm_tf.index import stored_index
from realm_tf.index.index_writer import remove_all_but, remove_version, save_table, write_lock
from realm_tf.index.stored_index import Origin
from realm_tf.index.index_writer import IndexWriter

root, deadly = sys.argv[1], int(sys.argv[2])
calls = 0

def dying(function):
  def call(*arguments, **keywords):
    global calls
    calls += 1
    if calls == deadly:
      os.kill(os.getpid(), signal.SIGKILL)
    return function(*arguments, **keywords)
  return call

for module, name in ((os, "fsync"), (os, "rename"), (os, "replace"), (os, "unlink"),
                     (os, "mkdir"), (os, "chmod"), (os, "rmdir")):
  setattr(module, name, dying(getattr(module, name)))

table = np.load(sys.argv[3])
with write_lock(root):
  writer = IndexWriter(root, "v2", Origin("c" * 64, "e" * 64, 8, "float32"), table.shape,
                       rows_per_shard=16)
  for first, end in writer.missing():
    writer.write(table[first:end])
  made = writer.commit()
  remove_all_but(root, lambda stored: stored.folder == made.folder)
"""


def _dying_writer(root, deadly, table):
  return subprocess.run([sys.executable, "-c", _DYING, root, str(deadly), table], cwd=_ROOT,
                        capture_output=True, text=True, check=False)


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_any_stage_of_a_commit_nothing_is_lost_or_torn(tmp_path, every):
  new = _table(2)
  np.save(tmp_path / "new.npy", new)
  steps, deadly = set(), 0
  while True:
    deadly += every
    root = tmp_path / f"kill-{deadly}"
    _write(root)
    died = _dying_writer(root, deadly, tmp_path / "new.npy")
    assert died.returncode in (0, -signal.SIGKILL), died.stderr
    version = stored_index.find_version(root, _FITS)
    steps.add(version.origin.step)
    np.testing.assert_array_equal(version.read(), {7: _table(), 8: new}[version.origin.step])
    again = _dying_writer(root, 0, tmp_path / "new.npy")
    assert again.returncode == 0, again.stderr
    assert [path.name for path in stored_index.index_versions(root)] == ["v2"]
    np.testing.assert_array_equal(stored_index.find_version(root, _FITS).read(), new)
    assert _files(root) == ["v2"]  # nothing is left lying about
    if died.returncode == 0:
      break
  assert deadly > 20 and steps == {7, 8}


def test_a_full_disk_leaves_the_version_before(tmp_path):
  _write(tmp_path)
  big = _table(3, 4000)

  def limit():  # a limit on the size of files stands in for the end of the disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

  np.save(tmp_path / "big.npy", big)
  script = _DYING.replace("rows_per_shard=16", "rows_per_shard=1000")
  full = subprocess.run([sys.executable, "-c", script, tmp_path, "0", tmp_path / "big.npy"],
                        cwd=_ROOT, capture_output=True, text=True, check=False,
                        preexec_fn=limit)
  assert full.returncode == 1 and "File too large" in full.stderr
  np.testing.assert_array_equal(stored_index.find_version(tmp_path, _FITS).read(), _table())
  np.testing.assert_array_equal(_write(tmp_path, "v2", big[:40]).read(), big[:40])


_ON_A_FULL_DISK = """
mount -t tmpfs -o size=60k tmpfs {root} || exit 77
{python} - {root} <<'END'
import errno, sys
import numpy as np
from realm_tf.index import stored_index
from realm_tf.index.index_writer import remove_all_but, remove_version, save_table, write_lock
rows = np.ones([40, 8], np.float32)
origin = stored_index.Origin("c" * 64, "e" * 64, 7, "float32")
save_table(sys.argv[1], "v1", rows, origin)
try:
  save_table(sys.argv[1], "v2", np.ones([4000, 8], np.float32), origin)
except OSError as error:
  assert error.errno == errno.ENOSPC, error
else:
  raise AssertionError("it fitted")
found = stored_index.find_version(sys.argv[1], {{"c" * 64: 40}})
np.testing.assert_array_equal(found.read(), rows)
save_table(sys.argv[1], "v2", 2 * rows, origin)  # there is room for this
stored = stored_index.StoredIndex.open(sys.argv[1] + "/v2")
np.testing.assert_array_equal(stored.read(), 2 * rows)
END
"""


def test_a_disk_that_is_really_full_leaves_the_version_before(tmp_path):
  script = _ON_A_FULL_DISK.format(root=tmp_path, python=sys.executable)
  try:  # a file system of its own needs a name space of its own
    completed = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script], cwd=_ROOT,
        capture_output=True, text=True, check=False)
  except FileNotFoundError:
    pytest.skip("there is no `unshare` here")
  if completed.returncode == 77 or "unshare" in completed.stderr:
    pytest.skip(f"this system lets nobody mount: {completed.stderr}")
  assert completed.returncode == 0, completed.stderr


def test_manifests_hold_what_was_written(tmp_path):
  files.write_manifest(tmp_path / "m.json", {"a": [1, 2]})
  assert files.read_manifest(tmp_path / "m.json") == {"a": [1, 2]}
  files.write_json(tmp_path / "n.json", {"a": [1, 2]})
  with pytest.raises(UserError, match="n.json: damaged"):
    files.read_manifest(tmp_path / "n.json")
