"""Models from folders: a BERT, a sentence encoder, a published REALM, what our runs save."""

import pathlib

import numpy as np
import pytest
from safetensors.numpy import load_file

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.models.reader import Reader
from realm_tf.models.realm import Realm
from realm_tf.models.retriever import Retriever
from tests import tiny
from tests.models import small

PUBLISHED = pathlib.Path(__file__).parents[1] / "reference"
_PACKED = tiny.random_packed(np.random.default_rng(0), 3, 12)


@pytest.fixture(name="bert")
def _bert(tmp_path):
  return tiny.write_bert(tmp_path / "bert")


@pytest.fixture(name="saved")
def _saved(tmp_path):
  (tmp_path / "saved").mkdir()
  model = small.seeded(small.realm, shared_towers=False, pooling="cls")
  model.save_pretrained(tmp_path / "saved")
  return tmp_path / "saved", model


def test_a_bert_starts_both_models_and_reads_texts(bert):
  words = load_file(bert / "model.safetensors")["embeddings.word_embeddings.weight"]
  model = Realm.from_pretrained(bert, {"pooling": "mean", "projection_size": 8},
                                {"max_span_width": 3}, candidates=4)
  for part in (model.retriever.query_tower.bert, model.encoder.bert):
    np.testing.assert_array_equal(part.word_embeddings, words)
  assert (model.retriever.projection_size, model.encoder.max_span_width) == (8, 3)
  assert model.candidates == 4 and len(model.encoder.bert.layers) == 2
  assert model.retriever.embed_queries(["where is Paris"]).shape == [1, 8]
  assert model.encoder.read(["where"], ["Paris by the river"])[0].answer
  assert len(Reader.from_pretrained(bert, num_layers=1).bert.layers) == 1


@pytest.mark.parametrize("modes, pooling", [
    ({"mean_tokens": True, "cls_token": False}, "mean"), ({"cls_token": True}, "cls")])
def test_a_sentence_encoder_says_how_it_pools(bert, modes, pooling):
  (bert / "1_Pooling").mkdir()
  files.write_json(bert / "1_Pooling" / "config.json", {
      "word_embedding_dimension": 32, **{f"pooling_mode_{k}": v for k, v in modes.items()}})
  assert Retriever.from_pretrained(bert).pooling == pooling
  assert Retriever.from_pretrained(bert, pooling="mean").pooling == "mean"
  files.write_json(bert / "1_Pooling" / "config.json", {"pooling_mode_max_tokens": True})
  with pytest.raises(UserError, match="pooling by max_tokens is not known"):
    Retriever.from_pretrained(bert)


def test_a_vocabulary_keeps_its_case_where_the_folder_says_so(bert):
  files.write_json(bert / "tokenizer_config.json", {"do_lower_case": False})
  assert not Reader.from_pretrained(bert).tokenizer.lower_case
  (bert / "vocab.txt").unlink()
  assert Reader.from_pretrained(bert).tokenizer is None


def test_a_vocabulary_may_stand_in_tokenizer_json(bert):
  (bert / "vocab.txt").unlink()
  tiny.write_fast_vocabulary(bert, tiny.vocabulary(), lower_case=False)
  tokenizer = Reader.from_pretrained(bert).tokenizer
  assert list(tokenizer.vocabulary) == tiny.vocabulary() and not tokenizer.lower_case


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json",
                                  "1_Pooling/config.json"])
@pytest.mark.parametrize("text", ["[1]", "5", "null", '"x"', "[" * 100_000, "9" * 5000])
def test_what_is_no_object_is_named(bert, name, text):
  (bert / "1_Pooling").mkdir()
  (bert / name).write_text(text)
  with pytest.raises(UserError, match=f"^.*/{name}: "):
    Retriever.from_pretrained(bert)


@pytest.mark.parametrize("parameters", [None, [], {"retriever": 5}])
def test_parameters_of_a_model_json_are_objects(saved, parameters):
  folder, _ = saved
  files.write_json(folder / "model.json",
                   files.read_json(folder / "model.json") | {"parameters": parameters})
  with pytest.raises(UserError, match="model.json: field 'parameters': expected"):
    Realm.from_pretrained(folder)


@pytest.mark.parametrize("kind, shared", [("embedder", True), ("scorer", False)])
def test_published_retrievers_have_the_towers_that_they_have(kind, shared):
  model = Retriever.from_pretrained(PUBLISHED / kind)
  assert model.shares_towers == shared and model.pooling == "pooler"
  tensors = load_file(PUBLISHED / kind / "model.safetensors")
  for tower, prefix in ((model.document_tower, "embedder."),
                        (model.query_tower, "" if shared else "query_embedder.")):
    prefix = "" if shared else prefix
    np.testing.assert_array_equal(tower.projection.kernel.numpy().T,
                                  tensors[f"{prefix}cls.dense.weight"])


def test_a_published_reader_has_its_span_head():
  sizes = files.read_json(PUBLISHED / "reader" / "config.json")
  model = Reader.from_pretrained(PUBLISHED / "reader")
  assert model.span_norm_eps == sizes["reader_layer_norm_eps"]
  assert model.max_span_width == sizes["max_span_width"]


def test_what_is_saved_is_loaded_with_nothing_said(saved):
  folder, model = saved
  again = Realm.from_pretrained(folder)
  assert again.get_config() == model.get_config()
  for actual, expected in zip(again.variables, model.variables, strict=True):
    np.testing.assert_array_equal(actual, expected)
  for part, part_of_model in ((Retriever, model.retriever), (Reader, model.encoder)):
    alone = part.from_pretrained(folder)
    assert alone.get_config() == part_of_model.get_config() | {"name": alone.name}
    for actual, expected in zip(alone.variables, part_of_model.variables, strict=True):
      np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("name", ["retriever.safetensors", "encoder.safetensors",
                                  "vocab.txt"])
def test_a_damaged_file_is_named(saved, name):
  folder, _ = saved
  data = bytearray((folder / name).read_bytes())
  data[-5] ^= 1
  (folder / name).write_bytes(data)
  with pytest.raises(UserError, match=f"{name}: damaged"):
    Realm.from_pretrained(folder)


@pytest.mark.parametrize("field, value", [("sha256", None), ("encoder", []),
                                          ("shared_towers", "no"), ("retriever", {})])
def test_a_model_json_of_something_else_is_named(saved, field, value):
  folder, _ = saved
  files.write_json(folder / "model.json",
                   files.read_json(folder / "model.json") | {field: value})
  with pytest.raises(UserError, match=f"model.json.*{field}.*"):
    Realm.from_pretrained(folder)
  (folder / "model.json").write_text("[1]")
  with pytest.raises(UserError, match="model.json: not that of a model"):
    Realm.from_pretrained(folder)


def test_folders_of_earlier_versions_are_read(saved):
  """They say the sizes of the BERTs alone; the tensors and the caller say the rest."""
  folder, model = saved
  written = files.read_json(folder / "model.json")
  files.write_json(folder / "model.json", {
      "sha256": {f"{part}.safetensors": written["sha256"][f"{part}.safetensors"]
                 for part in ("retriever", "encoder")},
      **{name: written[name] for name in ("retriever", "encoder", "shared_towers")}})
  (folder / "vocab.txt").unlink()
  with pytest.raises(UserError, match="model.json: .* does not say 'pooling'"):
    Retriever.from_pretrained(folder)
  with pytest.raises(UserError, match="does not say 'max_span_width'"):
    Reader.from_pretrained(folder)
  again = Realm.from_pretrained(folder, {"pooling": "cls"}, {"max_span_width": 3})
  np.testing.assert_array_equal(again.retriever.embed_queries(_PACKED),
                                model.retriever.embed_queries(_PACKED))
  np.testing.assert_array_equal(again.encoder(_PACKED), model.encoder(_PACKED))
  with pytest.raises(UserError, match="num_layers: only of published weights"):
    Reader.from_pretrained(folder, num_layers=1, max_span_width=3)
