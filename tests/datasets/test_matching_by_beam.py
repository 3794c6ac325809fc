"""Places of answers that Apache Beam finds are, byte for byte, those of one machine."""

import json
import pathlib

import pytest

from realm_tf.corpus.derived import derived_root
from realm_tf.datasets import matching
from realm_tf.datasets.answer_search import AnswerSearch
from realm_tf.datasets.matching import stored_occurrences
from realm_tf.datasets.questions import write_questions
from tests import tiny
from tests.by_beam import ALONE, DASK, PROCESSES, Command, beam, cluster_for

_ROOT = pathlib.Path(__file__).parents[2]
_ANSWERS = [(city, country) for city, country in tiny.CITIES.items()] + [
    ("is", "the river"), ("nowhere",), (r"cap\w+ of", "Rom."), ("\ud800",)]
_REGEX = [False] * 14 + [True, False]


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
  monkeypatch.setattr(matching, "_TOKENS_PER_PART", 50)


def _stored(corpus, options=None):
  """What is found, and the bytes of what is kept."""
  if options is None:
    found = stored_occurrences(_ANSWERS, corpus, corpus.tokenizer, _REGEX)
  else:
    with beam.shared_by_beam(corpus, options) as share:
      found = stored_occurrences(_ANSWERS, corpus, corpus.tokenizer, _REGEX, share)
  (folder,) = derived_root(corpus.folder).glob("places_of_answers-*")
  return found, {path.name: path.read_bytes() for path in folder.iterdir()}


def _waiting(corpus):
  return {str(path) for path in (derived_root(corpus.folder) / ".beam").glob("*.npy")}


@pytest.mark.parametrize("options", [
    ALONE, pytest.param(PROCESSES, marks=pytest.mark.slow),
    pytest.param(DASK, marks=pytest.mark.slow)])
def test_the_bytes_are_those_of_one_machine(tmp_path, monkeypatch, options):
  monkeypatch.setenv("PYTHONPATH", str(_ROOT))
  found, expected = _stored(tiny.make_corpus(tmp_path / "one"))
  assert len({*found.rows}) == 25 and found.splits[15] > found.splits[14]  # of the pattern
  by_beam = tiny.make_corpus(tmp_path / "beam")
  with cluster_for(options) as options:
    assert _stored(by_beam, options)[1] == expected
  assert not list(derived_root(by_beam.folder).glob(".*"))


def test_what_a_job_that_died_has_found_is_not_looked_for_again(tmp_path, monkeypatch):
  _, expected = _stored(tiny.make_corpus(tmp_path / "one"))
  corpus, part, looked = tiny.make_corpus(tmp_path / "beam"), AnswerSearch.part, []

  def dies(*arguments):
    looked.append(arguments[2:])
    if len(looked) == 5:
      raise RuntimeError("this machine is broken")
    return part(*arguments)

  monkeypatch.setattr(AnswerSearch, "part", dies)
  with pytest.raises(RuntimeError, match="this machine is broken"):
    _stored(corpus, ALONE)
  found = _waiting(corpus)
  assert len(found) == 4 and not list(derived_root(corpus.folder).glob("places_*"))
  assert _stored(corpus, ALONE)[1] == expected
  assert len(looked) == len({*looked}) + 1  # that in which it died


def test_other_answers_do_not_take_what_was_left(tmp_path, monkeypatch):
  corpus, part = tiny.make_corpus(tmp_path), AnswerSearch.part
  with monkeypatch.context() as patch:
    patch.setattr(AnswerSearch, "part", lambda *arguments: part(*arguments) if
                  arguments[2] == 0 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
      _stored(corpus, ALONE)
  assert _waiting(corpus)
  expected = matching.find_occurrences([("river",)], corpus, corpus.tokenizer)
  with beam.shared_by_beam(corpus, ALONE) as share:
    found = stored_occurrences([("river",)], corpus, corpus.tokenizer, share=share)
  assert found.rows.tolist() == expected.rows.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("stage, pipelines", [("finetune", 1), ("dpr", 2)])
def test_by_the_command(tmp_path, monkeypatch, stage, pipelines):
  (tmp_path / "all.jsonl").write_text(
      "".join(json.dumps(vars(document)) + "\n" for document in tiny.documents()))
  for name, questions in (("train", tiny.questions()), ("dev", tiny.questions()[:4])):
    write_questions(tmp_path / f"{name}.jsonl", questions)
  config = tiny.make_config(
      tmp_path, corpus__source=str(tmp_path / "all.jsonl"), ict__steps=1,
      finetune__questions=str(tmp_path / "train.jsonl"), finetune__steps=1, dpr__steps=1,
      dev__questions=str(tmp_path / "dev.jsonl"))
  command, pattern = Command(tmp_path, config, monkeypatch), "**/places_of_answers-*/*"
  kept = command.kept(stage, pattern, f"--beam={ALONE}")
  assert command.pipelines == pipelines and len(kept) == 5 * pipelines
  assert command.kept(stage, pattern) == kept
