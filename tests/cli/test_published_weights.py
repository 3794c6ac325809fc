"""A run that starts from published weights, and goes back to them."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from realm_tf import config as config_lib
from realm_tf import files
from realm_tf.exchange import importing, layouts
from realm_tf.index.embed import CorpusEmbedder
from realm_tf.models.sizes import Sizes
from realm_tf.run import stages
from realm_tf.run.folder import WARM_START, Run
from tests import tiny
from tests.command import realm

_SIZES = {
    "vocab_size": len(tiny.vocabulary()), "hidden_size": 16, "num_hidden_layers": 1,
    "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 128,
    "hidden_act": "gelu_new", "retriever_proj_size": 12, "span_hidden_size": 8,
    "max_span_width": 4}


def _published(folder, kind):
  """A random model as Transformers would have saved it, with its vocabulary."""
  rng = np.random.default_rng(len(kind))
  sizes = Sizes.from_values(_SIZES, "sizes")
  head = {"cls.predictions.bias"} if kind == "reader" else set()
  shapes = layouts.layout(kind, sizes, head).used
  values = {name: rng.normal(0, 0.3, shape).astype(np.float32)
            for name, shape in shapes.items()}
  words = folder / f"{kind}.txt"
  words.write_text("".join(f"{word}\n" for word in tiny.vocabulary()))
  importing.write_folder(folder / kind, importing.hugging_face_config(kind, sizes), values,
                         words)
  return folder / kind


def _config(folder, retriever, encoder, **retriever_changes):
  values = config_lib.to_dict(tiny.make_config(
      folder, finetune__steps=2, evaluate__recall_at=(1, 5),
      corpus__source=str(folder / "documents.jsonl"),
      finetune__questions=str(folder / "questions.jsonl"),
      evaluate__questions=str(folder / "questions.jsonl")))
  values["retriever"] |= {"weights": str(retriever), "pooling": "pooler",
                          "projection_size": 12, **retriever_changes}
  values["encoder"] |= {"weights": str(encoder), "span_hidden_size": 8}
  return config_lib.from_dict(values)


def _answers(run, stage):
  answers = run.answerer(stage).answer(
      tf.constant(["what is the capital of france?", "Oslo"]))
  return tf.nest.map_structure(lambda value: value.numpy().tolist(), answers._asdict())


def _table(run):
  return run.stored_index(run.model(WARM_START)).read(run.corpus.stored_rows)


@pytest.fixture(name="run")
def _run(tmp_path):
  (tmp_path / "documents.jsonl").write_text(
      "".join(json.dumps(vars(document)) + "\n" for document in tiny.documents()))
  (tmp_path / "questions.jsonl").write_text("".join(
      json.dumps({"question": f"what is the capital of {country}?", "answer": city}) + "\n"
      for city, country in tiny.CITIES.items()))
  for kind in ("embedder", "reader"):
    assert realm("import", f"--source={_published(tmp_path, kind)}",
                 f"--output={tmp_path / 'imported' / kind}") == 0
  run = Run(_config(tmp_path, tmp_path / "imported" / "embedder",
                          tmp_path / "imported" / "reader"), tmp_path / "run")
  stages.corpus(run)
  return run


def test_stages_start_from_imported_weights_and_their_work_goes_back(run, tmp_path, capsys):
  before = _answers(run, WARM_START)
  stages.finetune(run)
  after = _answers(run, "finetune")
  assert before["score"] != after["score"]
  assert realm("export-weights", f"--workdir={run.path}", f"--output={tmp_path / 'out'}") == 0
  assert "openqa: " in capsys.readouterr().out
  kinds = {"embedder", "query_embedder", "scorer", "encoder", "reader", "openqa"}
  assert {path.name for path in (tmp_path / "out").iterdir()} == kinds
  out = tmp_path / "out"
  again = Run(_config(tmp_path, out / "scorer", out / "reader", shared_towers=False),
                    tmp_path / "again")
  (again.path / "corpus").symlink_to(run.path / "corpus")
  assert _answers(again, WARM_START) == after
  # The document tower was frozen, so block_emb is what the imported embedder makes.
  blocks = load_file(tmp_path / "out" / "openqa" / "model.safetensors")["block_emb"]
  np.testing.assert_array_equal(blocks, _table(run))
  config = files.read_json(tmp_path / "out" / "openqa" / "config.json")
  assert config["num_block_records"] == run.corpus.num_blocks == len(blocks)


def test_published_block_embeddings_are_the_index_if_they_fit(run, tmp_path, monkeypatch,
                                                              capsys):
  table = _table(run).copy()
  shutil.rmtree(run.path / "index")

  def adopt(blocks):
    folder = tmp_path / "blocks"
    shutil.rmtree(folder, ignore_errors=True)
    importing.write_folder(folder, {}, {"block_emb": blocks}, None)
    return realm("index", f"--workdir={run.path}", f"--block_emb={folder}")

  assert adopt(table[:-1]) == 2
  assert f"{len(table) - 1} blocks" in capsys.readouterr().err
  assert adopt(np.roll(table, 1, axis=0)) == 2
  assert "not what the document tower makes" in capsys.readouterr().err
  assert not list((run.path / "index").glob("*"))
  assert adopt(table + np.float32(1e-6)) == 0
  monkeypatch.setattr(CorpusEmbedder, "batches", None)  # the corpus is not embedded again
  np.testing.assert_array_equal(_table(run),
                                table + np.float32(1e-6))
