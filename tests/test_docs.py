"""The scripts of docs/api.md and docs/extending.md run as they stand there."""

import pathlib
import re

import pytest

from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.index.embed import make_index
from realm_tf.registry import INDEXES, LOSSES, MASKERS, METRICS, READERS, WARM_STARTS
from realm_tf.run.model import initial_model
from realm_tf.serving.saved_model import export
from tests import tiny

_DOCS = pathlib.Path(__file__).parents[1] / "docs"


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  """What the scripts take as given."""
  folder = tmp_path_factory.mktemp("docs")
  return {
      "folder": folder, "weights": tiny.write_bert(folder / "bert"),
      "texts": [document.text for document in tiny.documents()],
      "questions": [f"what is the capital of {country}?" for country in tiny.CITIES.values()],
      "answers": list(tiny.CITIES)}


def _scripts(name):
  return re.findall(r"^```python\n(.*?)^```$", (_DOCS / name).read_text(), re.M | re.S)


def test_realm_in_memory_is_a_script_of_25_lines(world, capsys):
  script = _scripts("api.md")[0]
  statements = [line for line in script.splitlines() if line.strip()]
  assert len(statements) <= 25
  exec(compile(script, "docs/api.md", "exec"), names := dict(world))  # noqa: S102
  said = capsys.readouterr().out.strip().splitlines()[-1]
  assert said and any(said in text for text in world["texts"])
  assert names["model"].documents.index.step >= 0


def test_search_without_training_is_a_script_of_10_lines(world, capsys):
  script = _scripts("api.md")[1]
  assert len([line for line in script.splitlines() if line.strip()]) <= 10
  exec(compile(script, "docs/api.md", "exec"), dict(world))  # noqa: S102
  said = capsys.readouterr().out
  assert sum(text[:30] in said for text in world["texts"]) == 3


@pytest.mark.slow
def test_an_export_is_loaded_and_asked(world, capsys, tmp_path):
  corpus = Corpus.from_documents(tiny.documents(), world["weights"], 64)
  model = initial_model(tiny.make_config(tmp_path), corpus.tokenizer)
  passages = Passages(corpus)
  answerer = QuestionAnswerer(model, corpus, passages,
                              make_index(model.retriever, passages), 2)
  export(answerer, tmp_path / "export")
  exec(compile(_scripts("api.md")[2], "docs/api.md", "exec"),  # noqa: S102
       {"export": tmp_path / "export"})
  answer, titles = capsys.readouterr().out.strip().splitlines()
  assert any(answer in text for text in world["texts"]) and titles.count("'") == 6


def test_each_seam_is_one_file_and_one_entry(world):
  registries = (READERS, MASKERS, WARM_STARTS, INDEXES, LOSSES, METRICS)
  before = [list(registry) for registry in registries]
  names = dict(world)
  try:
    for script in _scripts("extending.md"):
      exec(compile(script, "docs/extending.md", "exec"), names)  # noqa: S102
    added = [set(registry) - set(names_before)
             for registry, names_before in zip(registries, before)]
    assert all(len(names) == 1 for names in added), added
  finally:
    for registry, names_before in zip(registries, before):
      for name in set(registry) - set(names_before):
        registry._values.pop(name)  # pylint: disable=protected-access
