"""A corpus that Apache Beam cuts is, byte for byte, one that this machine cuts."""

import functools
import json
import os
import pathlib

import pytest

from realm_tf.config import to_dict
from realm_tf.corpus import blocks
from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.making import make_store
from realm_tf.corpus.readers import Document
from realm_tf.corpus.store_writer import write_store
from realm_tf.errors import UserError
from realm_tf.text.salient_spans import RuleTagger
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny
from tests.by_beam import ALONE, DASK, PROCESSES, cluster_for
from tests.command import realm

beam = pytest.importorskip("realm_tf.corpus.beam", reason="apache-beam is an extra",
                           exc_type=ImportError)

_TOKENIZER = Tokenizer(tiny.vocabulary())
_ROOT = pathlib.Path(__file__).parents[2]


def _documents(count=30):
  texts = [document.text for document in tiny.documents()]
  return [Document(f"d{i}", f"title {i}", " ".join(texts[i % 11:i % 11 + 1 + i % 13]))
          for i in range(count)]


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
  monkeypatch.setattr(blocks, "_DOCUMENTS", 4)


def _make(folder, documents, options=ALONE):
  make_store(folder, documents, tokenizer=_TOKENIZER, max_tokens=64, source="toy",
             blocks_per_shard=7,
             cut=functools.partial(beam.cut_by_beam, store=folder, options=options))


def _bytes(folder):
  return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(name="whole", scope="module")
def _whole(tmp_path_factory):
  folder = tmp_path_factory.mktemp("whole") / "store"
  write_store(folder, split_blocks(_documents(), _TOKENIZER, 64, RuleTagger()),
              tokenizer=_TOKENIZER, max_tokens=64, source="toy", blocks_per_shard=7)
  return _bytes(folder)


@pytest.mark.parametrize("options", [
    ALONE, pytest.param(PROCESSES, marks=pytest.mark.slow),
    pytest.param(DASK, marks=pytest.mark.slow)])
def test_the_bytes_are_those_of_one_machine(tmp_path, whole, options, monkeypatch):
  monkeypatch.setenv("PYTHONPATH", str(_ROOT))
  with cluster_for(options) as options:
    _make(tmp_path / "store", _documents(), options)
  assert _bytes(tmp_path / "store") == whole and len(whole) > 5
  assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_what_a_job_that_died_has_cut_is_not_cut_again(tmp_path, whole, monkeypatch):
  cut: list[str] = []

  class Dies(beam.Cutter):
    def __call__(self, documents):
      cut.append(documents[0].id)
      if len(cut) == 5:
        raise RuntimeError("this machine is broken")
      return super().__call__(documents)

  monkeypatch.setattr(beam, "Cutter", Dies)
  with pytest.raises(RuntimeError, match="this machine is broken"):
    _make(tmp_path / "store", _documents())
  assert not (tmp_path / "store").exists()
  _make(tmp_path / "store", _documents())
  assert _bytes(tmp_path / "store") == whole
  assert len(set(cut)) == 8 and len(cut) == 9 and cut.count(cut[4]) == 2


def test_the_first_refusal_in_the_order_of_documents_is_told(tmp_path):
  documents = _documents()
  for place in (25, 9):
    documents[place] = Document(f"blank{place}", "", "\u200b")
  with pytest.raises(UserError, match="document 'blank9': no words"):
    _make(tmp_path / "store", documents)
  assert list(tmp_path.iterdir()) == []


def test_workers_that_write_elsewhere_are_noticed(tmp_path, whole, monkeypatch):
  new_file, cut = beam.files.new_file, []

  class Noted(beam.Cutter):
    def __call__(self, documents):
      cut.append(documents[0].id)
      return super().__call__(documents)

  monkeypatch.setattr(beam, "Cutter", Noted)
  with monkeypatch.context() as patched, pytest.raises(
      UserError, match="records is missing: expected workers that write"):
    patched.setattr(beam.files, "new_file", lambda path: new_file(
        os.devnull if "/000001-" in path and path.endswith(".records") else path))
    _make(tmp_path / "store", _documents())
  assert sorted(set(cut)) == sorted(cut) and len(cut) == 8
  _make(tmp_path / "store", _documents())  # what the others wrote is not cut again
  assert cut[8:] == ["d4"] and _bytes(tmp_path / "store") == whole


def test_a_folder_of_the_user_is_not_taken_for_that_of_the_batches(tmp_path):
  mine = tmp_path / ".store.beam" / "000000.documents"
  mine.parent.mkdir()
  mine.write_text("years")
  with pytest.raises(UserError, match=r"\.store\.beam: .*'000000.documents' in it.*--beam"):
    _make(tmp_path / "store", _documents(2))
  assert mine.read_text() == "years" and len(list(tmp_path.rglob("*"))) == 2


def test_by_the_command(tmp_path, capsys):
  (tmp_path / "documents.jsonl").write_text(
      "".join(json.dumps(vars(document)) + "\n" for document in tiny.documents()))
  config = tiny.make_config(tmp_path, corpus__source=str(tmp_path / "documents.jsonl"))
  (tmp_path / "tiny.json").write_text(json.dumps(to_dict(config)))
  for name, more in (("beam", [f"--beam={ALONE}"]), ("one", [])):
    assert realm("corpus", f"--config={tmp_path / 'tiny.json'}",
                 f"--workdir={tmp_path / name}", *more) == 0, capsys.readouterr().err
  assert _bytes(tmp_path / "beam" / "corpus") == _bytes(tmp_path / "one" / "corpus")
