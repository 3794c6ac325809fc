"""What is derived from a corpus: once, whole, of this corpus, and never in another's way."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import types

import numpy as np
import pytest

from realm_tf.corpus.changes import change_store
from realm_tf.corpus.derived import check_derived, derived, derived_root
from realm_tf.corpus.duplicates import banned_rows, stored_bans
from realm_tf.corpus.mapped import as_tensor
from realm_tf.corpus.store import Corpus
from realm_tf.datasets.matching import find_occurrences, stored_occurrences
from realm_tf.errors import UserError
from realm_tf.examples.salient_sentences import salient_sentences
from tests import tiny
from tests.mounts import with_mounts

_ROOT = pathlib.Path(__file__).parents[2]


def _corpus(folder, hash="a"):
  return types.SimpleNamespace(folder=folder / "store", hash=hash)


def _numbers(corpus, made_for, settings=(), count=5):
  def make(new):
    made_for.append(corpus.hash)
    new.append(a=np.arange(count, dtype=np.int32), b=np.zeros([0, 3], np.float32))
    new.append(a=np.arange(count, dtype=np.int32))
  return derived(corpus, "numbers", {"settings": list(settings)}, make)


def test_it_is_made_once_for_each_corpus_and_settings(tmp_path):
  made_for = []
  for _ in range(2):
    arrays = _numbers(_corpus(tmp_path), made_for)
    assert arrays["a"].tolist() == [*range(5)] * 2 and arrays["b"].shape == (0, 3)
    _numbers(_corpus(tmp_path), made_for, "x")
  assert made_for == ["a", "a"]
  in_memory = _numbers(types.SimpleNamespace(folder=None, hash="a"), made_for)
  assert in_memory["a"].tolist() == arrays["a"].tolist()


def test_that_of_another_corpus_is_made_again_and_removed(tmp_path):
  made_for = []
  for settings in ("", "x"):
    _numbers(_corpus(tmp_path), made_for, settings)
  before = _numbers(_corpus(tmp_path), made_for)["a"]
  _numbers(_corpus(tmp_path, "b"), made_for)
  assert made_for == ["a", "a", "b"]
  assert len([path for path in derived_root(tmp_path / "store").iterdir()]) == 1
  assert before.tolist() == [*range(5)] * 2  # who reads it may go on


def test_files_that_are_not_known_stay(tmp_path):
  made_for = []
  _numbers(_corpus(tmp_path), made_for)
  (folder,) = derived_root(tmp_path / "store").iterdir()
  (folder / "notes.txt").write_text("mine")
  assert len(_numbers(_corpus(tmp_path, "b"), made_for, count=7)["a"]) == 14
  assert len(_numbers(_corpus(tmp_path, "b"), made_for, "x", count=7)["a"]) == 14
  assert (folder / "notes.txt").read_text() == "mine"
  assert len(_numbers(_corpus(tmp_path), made_for)["a"]) == 10 and made_for == ["a", "b", "b"]


@pytest.mark.parametrize("damage", [
    lambda folder: (folder / "a.bin").unlink(),
    lambda folder: (folder / "a.bin").write_bytes(b"1234"),
    lambda folder: (folder / "manifest.json").write_text("{}"),
    lambda folder: (folder / "manifest.json").write_text(
        (folder / "manifest.json").read_text().replace('"a"', '"c"'))])
def test_what_is_not_whole_is_made_again(tmp_path, damage):
  made_for = []
  _numbers(_corpus(tmp_path), made_for)
  (folder,) = derived_root(tmp_path / "store").iterdir()
  damage(folder)
  assert _numbers(_corpus(tmp_path), made_for)["a"].tolist() == [*range(5)] * 2
  assert made_for == ["a", "a"]


def test_a_flipped_bit_is_named_by_verify(tmp_path):
  _numbers(_corpus(tmp_path), [])
  assert check_derived(tmp_path / "store") == 1
  (path,) = derived_root(tmp_path / "store").glob("*/a.bin")
  data = bytearray(path.read_bytes())
  data[7] ^= 4
  path.write_bytes(data)
  with pytest.raises(UserError, match="a.bin: damaged"):
    check_derived(tmp_path / "store")


_KILLED = """
import os, pathlib, signal, sys, types
import numpy as np
from realm_tf.corpus.derived import derived
def make(new):
  new.append(a=np.arange(100000))
  os.kill(os.getpid(), signal.SIGKILL)
corpus = types.SimpleNamespace(folder=pathlib.Path(sys.argv[1]) / "store", hash="a")
derived(corpus, "numbers", {"settings": []}, make)
"""


def test_killed_half_way_it_is_not_there(tmp_path):
  killed = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], cwd=_ROOT,
                          env={**os.environ, "PYTHONPATH": str(_ROOT)}, check=False)
  assert killed.returncode == -signal.SIGKILL
  made_for = []
  assert len(_numbers(_corpus(tmp_path), made_for)["a"]) == 10 and made_for == ["a"]
  names = {path.name[:8] for path in derived_root(tmp_path / "store").iterdir()}
  assert names == {"numbers-"}  # nothing is left of it


_READ_ONLY = """
import pathlib, sys, types
import numpy as np
from realm_tf.corpus.derived import derived
corpus = types.SimpleNamespace(folder=pathlib.Path(sys.argv[1]) / "store", hash="a")
print(derived(corpus, "numbers", {}, lambda new: new.append(a=np.arange(3)))["a"].tolist())
"""


def test_a_disk_that_cannot_be_written_costs_the_time(tmp_path):
  completed = with_mounts(f"mount --bind {tmp_path} {tmp_path} && "
                          f"mount -o remount,bind,ro {tmp_path}",
                          sys.executable, "-c", _READ_ONLY, tmp_path)
  assert completed.stdout == "[0, 1, 2]\n", completed.stderr
  assert completed.stderr.count("is made for this command alone") == 1


def test_a_tensor_of_it_is_no_copy(tmp_path):
  table = _numbers(_corpus(tmp_path), [])["a"]
  tensor = as_tensor(table)
  table[3] = 77  # forbidden to users: shows that memory is shared
  assert int(tensor[3]) == 77
  assert _numbers(_corpus(tmp_path), [])["a"][3] == 3  # and that the file is not


def test_what_is_kept_is_what_would_be_made(tmp_path):
  corpus = tiny.make_corpus(tmp_path / "store")
  answers = [[city] for city in tiny.CITIES]
  for _ in range(2):
    np.testing.assert_array_equal(stored_bans(corpus, 0.5), banned_rows(corpus, 0.5))
    for array, expected in zip(
        vars(stored_occurrences(answers, corpus, corpus.tokenizer)).values(),
        vars(find_occurrences(answers, corpus, corpus.tokenizer)).values()):
      np.testing.assert_array_equal(array, expected)
  blocks = Corpus.from_documents(tiny.documents(), corpus.tokenizer, 64)
  stored, fresh = (salient_sentences(which, 4, (2, 20)) for which in (corpus, blocks))
  assert len(fresh.row) > 5
  for array, expected in zip((*stored[:-1], *stored.support), (*fresh[:-1], *fresh.support)):
    np.testing.assert_array_equal(array, expected)
  names = {json.loads((path / "manifest.json").read_text())["corpus_hash"]
           for path in derived_root(corpus.folder).iterdir()}
  assert names == {corpus.hash}
  change_store(corpus.folder, delete=["odd"])
  assert len(stored_bans(Corpus.open(corpus.folder), 0.5)) == len(
      Corpus.open(corpus.folder).texts)
