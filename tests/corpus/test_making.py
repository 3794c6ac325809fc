"""A store is the same whoever cuts it, in however many parts, and whatever was killed."""

import errno
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

from realm_tf.corpus import blocks, cutting, making
from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.making import SourceChanged, make_store
from realm_tf.corpus.readers import Document
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.store_writer import write_store
from realm_tf.errors import UserError
from realm_tf.text.salient_spans import RuleTagger
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny

_ROOT = pathlib.Path(__file__).parents[2]
_TOKENIZER = Tokenizer(tiny.vocabulary())
_SHARD = 7


def _documents(count=30):
  """Of one to five blocks each."""
  texts = [document.text for document in tiny.documents()]
  return [Document(f"d{i}", f"title {i}", " ".join((texts * 9)[i % 11:i % 11 + 1 + i % 13]))
          for i in range(count)]


def _make(folder, documents, workers=0):
  make_store(folder, documents, tokenizer=_TOKENIZER, max_tokens=64, source="toy",
             blocks_per_shard=_SHARD, workers=workers)


def _bytes(folder):
  return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
  monkeypatch.setattr(blocks, "_DOCUMENTS", 4)
  monkeypatch.setattr(making, "_FEW", 2)


@pytest.fixture(name="whole", scope="module")
def _whole(tmp_path_factory):
  """As the writer of blocks makes it, in one piece."""
  folder = tmp_path_factory.mktemp("whole") / "store"
  write_store(folder, split_blocks(_documents(), _TOKENIZER, 64, RuleTagger()),
              tokenizer=_TOKENIZER, max_tokens=64, source="toy", blocks_per_shard=_SHARD)
  assert len(list(folder.glob("*.tfrecord"))) > 5
  return _bytes(folder)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_bytes_do_not_depend_on_the_number_of_workers(
    tmp_path, tmp_path_factory, whole, workers, monkeypatch):
  users = tmp_path_factory.mktemp("users")
  (users / "json.py").write_text("1 / 0")
  monkeypatch.chdir(users)  # of users' files, which are no modules of ours
  _make(tmp_path / "store", iter(_documents()), workers=workers)
  assert _bytes(tmp_path / "store") == whole
  assert [path.name for path in tmp_path.iterdir()] == ["store"]


def _make_of_figures(folder, documents, tag_numbers, workers=0):
  make_store(folder, documents, tokenizer=_TOKENIZER, max_tokens=64, source="",
             workers=workers, tag_numbers=tag_numbers, blocks_per_shard=_SHARD)
  return len(Corpus.open(folder).span_starts.values)


def _figures(count):
  return [Document(str(number), "", f"In 18{number} it had {number} people.")
          for number in range(10, 10 + count)]


@pytest.mark.parametrize("wanted, workers, spans", [
    (True, 0, 40), (False, 0, 20), (False, 1, 20)])
def test_numbers_are_tagged_where_they_are_wanted(tmp_path, wanted, workers, spans):
  assert _make_of_figures(tmp_path / "store", _figures(20), wanted, workers) == spans


@pytest.mark.parametrize("wanted, spans", [(True, 40), (False, 20)])
def test_numbers_are_tagged_in_memory_as_in_a_store(tmp_path, wanted, spans):
  in_memory = Corpus.from_documents(_figures(20), _TOKENIZER, 64, tag_numbers=wanted)
  assert len(in_memory.span_starts.values) == spans
  _make_of_figures(tmp_path / "store", _figures(20), wanted)
  stored = Corpus.open(tmp_path / "store")
  for part in ("span_starts", "span_ends"):
    ours, theirs = getattr(in_memory, part), getattr(stored, part)
    np.testing.assert_array_equal(ours.values, theirs.values)
    np.testing.assert_array_equal(ours.splits, theirs.splits)


def test_shards_with_other_spans_are_not_gone_on_with(tmp_path):
  def stopping():
    yield from _figures(20)[:17]
    raise _Stop

  with pytest.raises(_Stop):
    _make_of_figures(tmp_path / "store", stopping(), True)
  assert list(tmp_path.glob(".store.part/*.json"))
  assert _make_of_figures(tmp_path / "store", _figures(20), False) == 20


_KILLED = """
import os, pathlib, signal, sys
from realm_tf.corpus import blocks, cutting, making
from tests.corpus import test_making as test
blocks._DOCUMENTS = 4
add, left = making._Part.add, int(sys.argv[2])
def dying(*arguments):
  global left
  left -= 1
  if not left:
    os.kill(os.getpid(), signal.SIGKILL)
  add(*arguments)
making._Part.add = dying
test._make(pathlib.Path(sys.argv[1]) / "store", test._documents())
"""


def _kill(folder, batches):
  killed = subprocess.run([sys.executable, "-c", _KILLED, str(folder), str(batches)],
                          cwd=_ROOT, env={**os.environ, "PYTHONPATH": str(_ROOT)},
                          check=False)
  assert killed.returncode == -signal.SIGKILL


def _cut(monkeypatch):
  """Notes which batches are cut."""
  numbers, really = [], making.cut_in_order

  def noting(batches, *arguments):
    def noted():
      for batch in batches:
        numbers.append(batch.number)
        yield batch
    return really(noted(), *arguments)

  monkeypatch.setattr(making, "cut_in_order", noting)
  return numbers


def test_killed_it_goes_on_with_whole_shards(tmp_path, whole, monkeypatch):
  _kill(tmp_path, batches=6)
  numbers = _cut(monkeypatch)
  _make(tmp_path / "store", iter(_documents()))
  assert numbers[0] in (3, 4) and numbers[-1] == 7  # five of eight were cut, four kept
  assert _bytes(tmp_path / "store") == whole
  assert [path.name for path in tmp_path.iterdir()] == ["store"]


class _Killed(cutting._Process):
  """A process that is killed before it cuts a document."""

  def __call__(self, documents):
    if documents[0].id == "d20":
      self._process.kill()
      self._process.wait()
    return super().__call__(documents)


def test_where_a_process_that_cuts_is_killed_the_next_call_goes_on(tmp_path, whole,
                                                                   monkeypatch):
  with monkeypatch.context() as patch:
    patch.setattr(cutting, "_Process", _Killed)
    with pytest.raises(UserError, match="has ended .exit code -9.*goes on from there"):
      _make(tmp_path / "store", iter(_documents()), workers=1)
  _goes_on(tmp_path, whole, monkeypatch)


def _goes_on(folder, whole, monkeypatch):
  numbers = _cut(monkeypatch)
  _make(folder / "store", iter(_documents()))
  assert numbers[0] in (3, 4)  # five of eight batches were written, four are in whole shards
  assert _bytes(folder / "store") == whole
  assert [path.name for path in folder.iterdir()] == ["store"]


def test_where_the_disk_is_full_the_next_call_goes_on(tmp_path, whole, monkeypatch):
  add = making._Part.add

  def without_room(part, batch, records):
    if batch.number == 5:
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    add(part, batch, records)

  with monkeypatch.context() as patch:
    patch.setattr(making._Part, "add", without_room)
    with pytest.raises(UserError, match="No space left.*: make room, then run the same"):
      _make(tmp_path / "store", iter(_documents()))
  _goes_on(tmp_path, whole, monkeypatch)


class _Stop(BaseException):
  """As Ctrl-C."""


def _stopping(count):
  yield from _documents()[:count]
  raise _Stop


@pytest.mark.parametrize("stop_at", [1, 9, 17, 29])
def test_stopped_anywhere_the_bytes_are_the_same(tmp_path, whole, stop_at):
  for _ in range(2):
    _stop_after(tmp_path, stop_at)
  _make(tmp_path / "store", iter(_documents()))
  assert _bytes(tmp_path / "store") == whole


def _stop_after(folder, count):
  with pytest.raises(_Stop):
    _make(folder / "store", _stopping(count))


def test_documents_that_changed_since_are_cut_anew(tmp_path, whole):
  _stop_after(tmp_path, 24)
  others = [Document("d0", "", "another text."), *_documents()[1:]]
  with pytest.raises(SourceChanged):
    _make(tmp_path / "store", iter(others))
  _make(tmp_path / "store", iter(others))
  assert Corpus.open(tmp_path / "store").texts[0] == b"another text."
  assert _bytes(tmp_path / "store") != whole


def test_other_settings_or_a_damaged_shard_cost_the_work(tmp_path, whole):
  _stop_after(tmp_path, 24)
  for name in ("store", "fresh"):
    make_store(tmp_path / name, iter(_documents()), tokenizer=_TOKENIZER, max_tokens=32,
               source="toy", blocks_per_shard=_SHARD, workers=0)
  assert _bytes(tmp_path / "store") == _bytes(tmp_path / "fresh") != whole
  _stop_after(tmp_path, 24)
  part = tmp_path / ".store.part" / "blocks-00001.tfrecord"
  part.write_bytes(part.read_bytes()[:-1])
  _make(tmp_path / "store", iter(_documents()))
  assert _bytes(tmp_path / "store") == whole


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_a_document_is_one_line_and_leaves_nothing(tmp_path, workers):
  documents = [*_documents(), Document("odd", "", "\u200b"), *_documents()]
  with pytest.raises(UserError, match="document 'odd': no words in field 'text'"):
    _make(tmp_path / "store", iter(documents), workers=workers)
  assert not list(tmp_path.iterdir())


def test_a_folder_of_the_user_is_not_taken_for_a_part(tmp_path):
  mine = tmp_path / ".store.part" / "thesis.txt"
  mine.parent.mkdir()
  mine.write_text("years")
  with pytest.raises(UserError, match=r"\.store\.part: .*'thesis.txt' in it.*`realm corpus`"):
    _make(tmp_path / "store", iter(_documents()))
  assert mine.read_text() == "years" and len(list(tmp_path.rglob("*"))) == 2


def test_no_documents_is_an_empty_corpus(tmp_path):
  with pytest.raises(UserError, match="store: an empty corpus"):
    _make(tmp_path / "store", iter(()))
  assert not list(tmp_path.iterdir())


def test_documents_are_read_only_a_few_batches_ahead(tmp_path):
  """Whatever their number, so memory is flat."""
  ids_read = []

  def reading():
    for document in _documents(200):
      ids_read.append(document.id)
      yield document

  progress = []
  add = making._Part.add

  class Part(making._Part):
    def add(self, batch, records):
      progress.append((batch.number, len(ids_read)))
      add(self, batch, records)

  class Here(cutting.Cutter):
    """A worker that needs no process."""

    def close(self):
      pass

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(making, "_Part", Part)
    patch.setattr(cutting, "_Process", Here)
    _make(tmp_path / "store", reading(), workers=2)
  assert all(count <= (number + 9) * 4 for number, count in progress)
