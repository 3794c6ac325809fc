"""Near duplicates that Apache Beam finds are, byte for byte, those of one machine."""

import dataclasses
import json
import os
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
from tests.by_beam import ALONE, DASK, PROCESSES, Command, beam, cluster_for

_ROOT = pathlib.Path(__file__).parents[2]
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
  return [str(path) for path in (derived_root(corpus.folder) / ".beam").glob("*.npy")]


@pytest.mark.parametrize("options, apart", [
    (ALONE, False), (ALONE, True),
    pytest.param(PROCESSES, True, marks=pytest.mark.slow),
    pytest.param(DASK, True, marks=pytest.mark.slow)])
def test_the_bytes_are_those_of_one_machine(tmp_path, monkeypatch, options, apart):
  monkeypatch.setenv("PYTHONPATH", str(_ROOT))
  table, expected = _stored(_corpus(tmp_path / "one", apart))
  assert (table >= 0).sum() > len(table) // 2 and len(table) > 2 * _ROWS
  by_beam = _corpus(tmp_path / "beam", apart)
  with cluster_for(options) as options:
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

  with monkeypatch.context() as patch:
    patch.setattr(duplicates, function, dies)
    with pytest.raises(RuntimeError, match="this machine is broken"):
      _stored(corpus, ALONE)
  found = _waiting(corpus)
  assert found and not list(derived_root(corpus.folder).glob("near_duplicates-*"))
  written, new_file = [], beam.files.new_file
  monkeypatch.setattr(beam.files, "new_file", lambda path, *mode: written.append(
      str(path)) or new_file(path, *mode))
  assert _stored(corpus, ALONE)[1] == expected
  parts = [path for path in written if path.endswith(".npy")]
  assert parts and not {*parts} & {*found} and len(parts) == len({*parts})


def test_what_another_corpus_left_is_not_taken(tmp_path, monkeypatch):
  corpus = _corpus(tmp_path)
  with monkeypatch.context() as patch:
    patch.setattr(duplicates, "_jaccard", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
      _stored(corpus, ALONE)
  assert _waiting(corpus)
  change_store(corpus.folder, delete=[corpus.document_ids[0]])
  changed = Corpus.open(corpus.folder)
  np.testing.assert_array_equal(_stored(changed, ALONE)[0],
                                duplicates.banned_rows(changed, 0.5))


def test_a_folder_of_the_user_is_not_taken_for_that_of_the_parts(tmp_path):
  corpus = _corpus(tmp_path)
  mine = derived_root(corpus.folder) / ".beam" / "mine.npy"
  mine.parent.mkdir(parents=True)
  mine.write_text("years")
  with pytest.raises(UserError, match=r"\.beam: .*'mine.npy' in it, which `--beam` has"):
    _stored(corpus, ALONE)
  assert mine.read_text() == "years"


def test_workers_that_see_another_corpus_are_noticed(tmp_path):
  corpus = _corpus(tmp_path)
  change_store(corpus.folder, delete=[corpus.document_ids[0]])
  with pytest.raises(Exception, match="not the corpus of this pipeline"):
    _stored(corpus, ALONE)


def test_workers_that_write_elsewhere_are_noticed(tmp_path, monkeypatch):
  corpus, new_file = _corpus(tmp_path), beam.files.new_file
  monkeypatch.setattr(beam.files, "new_file", lambda path: new_file(os.devnull))
  with pytest.raises(UserError, match="npy is missing: expected workers that write"):
    _stored(corpus, ALONE)


@pytest.mark.slow
@pytest.mark.parametrize("stage, pipelines", [("pretrain", 4), ("cloze", 3)])
def test_by_the_command(tmp_path, monkeypatch, stage, pipelines):
  for name, documents in (("all", tiny.documents()), ("others", tiny.documents()[:9])):
    (tmp_path / f"{name}.jsonl").write_text(
        "".join(json.dumps(vars(document)) + "\n" for document in documents))
  config = tiny.make_config(
      tmp_path, corpus__source=str(tmp_path / "all.jsonl"), pretrain__steps=1,
      pretrain__corpus=str(tmp_path / "others.jsonl"), reading__steps=0, cloze__steps=1)
  command, pattern = Command(tmp_path, config, monkeypatch), "**/near_duplicates-*/*"
  kept = command.kept(stage, pattern, f"--beam={ALONE}")
  assert command.pipelines == pipelines and len(kept) == 3
  assert command.kept(stage, pattern) == kept
