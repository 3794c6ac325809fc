"""Related blocks that Apache Beam finds are, byte for byte, those of one machine."""

import dataclasses
import json
import pathlib

import pytest

from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.derived import derived_root
from realm_tf.corpus.readers import Document
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.store_writer import write_store
from realm_tf.examples import related_blocks
from realm_tf.examples.related_blocks import related_sentences
from realm_tf.text.salient_spans import RuleTagger
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny
from tests.by_beam import ALONE, DASK, PROCESSES, Command, beam, cluster_for

_ROOT = pathlib.Path(__file__).parents[2]
_FORM = "The old {city} is in {country} and many people live there by the river."
_OTHER = "Many people live by the river of {country} in {city} and it is great."


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
  monkeypatch.setattr(related_blocks, "_PAIRS", 40)


def _documents(form):
  return [Document(f"{number} {city}", f"{city} {number}",
                   form.format(city=city, country=country))
          for number in range(3) for city, country in tiny.CITIES.items()]


def _store(folder, documents):
  tokenizer = Tokenizer(tiny.vocabulary())
  write_store(folder, split_blocks(documents, tokenizer, 64, RuleTagger()),
              tokenizer=tokenizer, max_tokens=64, source="toy")
  return Corpus.open(folder)


def _corpus(folder, apart=False):
  """A store with two names in each sentence; or beside another, which is retrieved."""
  corpus = _store(folder / "store", _documents(_FORM))
  return corpus if not apart else dataclasses.replace(
      _store(folder / "apart", _documents(_OTHER)),
      knowledge=corpus)


def _stored(corpus, options=None):
  """What is found, and the bytes of what is kept."""
  if options is None:
    found = related_sentences(corpus, 8)
  else:
    with beam.shared_by_beam(corpus, options) as share:
      found = related_sentences(corpus, 8, share=share)
  (folder,) = derived_root(corpus.folder).glob("related_blocks-*")
  return found, {path.name: path.read_bytes() for path in folder.iterdir()}


def _waiting(corpus):
  return {str(path) for path in (derived_root(corpus.folder) / ".beam").glob("*.npy")}


@pytest.mark.parametrize("options, apart", [
    (ALONE, False), (ALONE, True),
    pytest.param(PROCESSES, False, marks=pytest.mark.slow),
    pytest.param(DASK, True, marks=pytest.mark.slow)])
def test_the_bytes_are_those_of_one_machine(tmp_path, monkeypatch, options, apart):
  monkeypatch.setenv("PYTHONPATH", str(_ROOT))
  found, expected = _stored(_corpus(tmp_path / "one", apart))
  assert len(found.row) > 10 and len(found.support.rows) > 40
  by_beam = _corpus(tmp_path / "beam", apart)
  with cluster_for(options) as options:
    assert _stored(by_beam, options)[1] == expected
  assert not list(derived_root(by_beam.folder).glob(".*"))


def test_what_a_job_that_died_has_found_is_not_looked_for_again(tmp_path, monkeypatch):
  _, expected = _stored(_corpus(tmp_path / "one"))
  corpus, work, looked = _corpus(tmp_path / "beam"), related_blocks._related, []

  def dies(*arguments):
    looked.append(arguments[1:3])
    if len(looked) == 3:
      raise RuntimeError("this machine is broken")
    return work(*arguments)

  monkeypatch.setattr(related_blocks, "_related", dies)
  with pytest.raises(RuntimeError, match="this machine is broken"):
    _stored(corpus, ALONE)
  assert len(_waiting(corpus)) == 2
  assert not list(derived_root(corpus.folder).glob("related_blocks-*"))
  assert _stored(corpus, ALONE)[1] == expected
  assert len(looked) == len({*looked}) + 1  # that in which it died


@pytest.mark.slow
@pytest.mark.parametrize("masker, pipelines", [("related", 4), ("salient", 3)])
def test_by_the_command(tmp_path, monkeypatch, masker, pipelines):
  (tmp_path / "all.jsonl").write_text(
      "".join(json.dumps(vars(document)) + "\n" for document in _documents(_FORM)))
  config = tiny.make_config(tmp_path, corpus__source=str(tmp_path / "all.jsonl"),
                            pretrain__steps=1, pretrain__masker=masker, reading__steps=0)
  command = Command(tmp_path, config, monkeypatch)
  command.kept("pretrain", "related_blocks", f"--beam={ALONE}")
  assert command.pipelines == pipelines
