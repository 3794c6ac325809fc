"""Near duplicates that Apache Beam finds are, byte for byte, those that this machine finds."""

import dataclasses
import pathlib

import numpy as np
import pytest

from realm_tf.corpus import duplicates
from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.changes import change_store
from realm_tf.corpus.derived import derived_root
from realm_tf.corpus.duplicates import stored_bans
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.store_writer import write_store
from realm_tf.errors import UserError
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny

beam = pytest.importorskip("realm_tf.corpus.beam_share", reason="apache-beam is an extra",
                           exc_type=ImportError)

_ROOT = pathlib.Path(__file__).parents[2]
_ALONE = "--runner=DirectRunner"
_PROCESSES = f"{_ALONE} --direct_num_workers=2 --direct_running_mode=multi_processing"
_ROWS = 10  # of a part


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
  monkeypatch.setattr(duplicates, "_IN_BUCKET", 200)
  monkeypatch.setattr(duplicates, "_SIGNED", _ROWS)
  monkeypatch.setattr(duplicates, "_PAIRED", 7)


def _store(folder, documents):
  tokenizer = Tokenizer(tiny.vocabulary())
  write_store(folder, split_blocks(documents, tokenizer, 64), tokenizer=tokenizer,
              max_tokens=64, source="toy")
  return Corpus.open(folder)


def _corpus(folder, apart=False):
  """A store, a third of which is there twice or nearly so; or beside another, retrieved."""
  documents = tiny.documents()
  copies = [dataclasses.replace(document, id=f"copy {number}", text=" ".join(
      document.text.split()[:-1 - number % 2])) for number, document in enumerate(documents)]
  corpus = _store(folder / "store", [*documents, *copies[::2]])
  if not apart:
    return corpus
  return dataclasses.replace(_store(folder / "apart", copies), knowledge=corpus)


def _stored(corpus, options=None):
  """The table, and the bytes of what is kept."""
  if options is None:
    table = stored_bans(corpus, 0.5)
  else:
    with beam.shared_by_beam(corpus, options) as share:
      table = stored_bans(corpus, 0.5, share)
  (folder,) = derived_root(corpus.folder).glob("near_duplicates-*")
  return table, {path.name: path.read_bytes() for path in folder.iterdir()}


def _waiting(corpus):
  return sorted((derived_root(corpus.folder) / ".beam").glob("*.npy"))


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("options", [
    _ALONE, pytest.param(_PROCESSES, marks=pytest.mark.slow)])
def test_the_bytes_are_those_of_one_machine(tmp_path, monkeypatch, options, apart):
  monkeypatch.setenv("PYTHONPATH", str(_ROOT))
  table, expected = _stored(_corpus(tmp_path / "one", apart))
  assert (table >= 0).sum() > len(table) // 2 and len(table) > 2 * _ROWS
  by_beam = _corpus(tmp_path / "beam", apart)
  assert _stored(by_beam, options)[1] == expected
  assert not list(derived_root(by_beam.folder).glob(".*"))


@pytest.mark.parametrize("function, calls", [("_least", 200), ("_jaccard", 9)])
def test_what_a_job_that_died_has_found_is_not_looked_for_again(
    tmp_path, monkeypatch, function, calls):
  _, expected = _stored(_corpus(tmp_path / "one"))
  corpus = _corpus(tmp_path / "beam")
  work, called = getattr(duplicates, function), []

  def dies(*arguments):
    called.append(arguments)
    if len(called) == calls:
      raise RuntimeError("this machine is broken")
    return work(*arguments)

  monkeypatch.setattr(duplicates, function, dies)
  with pytest.raises(RuntimeError, match="this machine is broken"):
    _stored(corpus, _ALONE)
  found = {path: path.stat().st_mtime_ns for path in _waiting(corpus)}
  assert found and not list(derived_root(corpus.folder).glob("near_duplicates-*"))
  monkeypatch.undo()
  _small_parts.__wrapped__(monkeypatch)
  written = []
  new_file = beam.files.new_file
  monkeypatch.setattr(beam.files, "new_file", lambda path: written.append(
      pathlib.Path(path)) or new_file(path))
  assert _stored(corpus, _ALONE)[1] == expected
  assert written and not found.keys() & set(written)


def test_what_another_corpus_left_is_not_taken(tmp_path, monkeypatch):
  corpus = _corpus(tmp_path)
  monkeypatch.setattr(duplicates, "_jaccard", lambda *arguments: 1 / 0)
  with pytest.raises(ZeroDivisionError):
    _stored(corpus, _ALONE)
  monkeypatch.undo()
  assert _waiting(corpus)
  change_store(corpus.folder, delete=[corpus.document_ids[0]])
  changed = Corpus.open(corpus.folder)
  np.testing.assert_array_equal(_stored(changed, _ALONE)[0],
                                duplicates.banned_rows(changed, 0.5))


def test_workers_that_see_another_corpus_are_noticed(tmp_path):
  corpus = _corpus(tmp_path)
  change_store(corpus.folder, delete=[corpus.document_ids[0]])
  with pytest.raises(Exception, match="not the corpus of this pipeline"):
    _stored(corpus, _ALONE)


def test_workers_that_write_elsewhere_are_noticed(tmp_path, monkeypatch):
  new_file = beam.files.new_file
  monkeypatch.setattr(beam.files, "new_file", lambda path, *mode: new_file(
      "/dev/null" if path.endswith(".npy") else path, *mode))
  with pytest.raises(UserError, match="npy is missing: expected workers that write"):
    _stored(_corpus(tmp_path), _ALONE)
