"""Weights by name: errors that name the tensor, older spellings, round trips."""

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.models import weights
from realm_tf.models.bert import Bert, BertConfig
from realm_tf.models.tower import Tower
from realm_tf.run.model import initial_model, saved_model
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny

_TOKENIZER = Tokenizer(tiny.vocabulary())


@pytest.fixture(name="folder")
def _folder(tmp_path):
  return tiny.write_bert(tmp_path / "bert")


def _fresh(folder):
  tf.random.set_seed(99)
  return Bert(BertConfig.from_folder(folder))


def _load(folder, bert):
  weights.load_tower(folder, Tower(bert, "mean", 4))


def _edit(folder, change):
  path = folder / "model.safetensors"
  tensors = change(load_file(path))
  save_file(tensors, path)


def _state(bert):
  return {name: v.numpy().copy() for name, (v, _) in weights.bert_names(bert).items()}


def _same(a, b):
  return all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("prefix", ["", "bert.", "realm."])
@pytest.mark.parametrize("is_old", [False, True])
def test_prefixes_and_gamma_beta(folder, prefix, is_old):
  first = _fresh(folder)
  _load(folder, first)

  def rename(tensors):
    spell = lambda name: (name.replace("LayerNorm.weight", "LayerNorm.gamma")
                          .replace("LayerNorm.bias", "LayerNorm.beta")) if is_old else name
    return {prefix + spell(name): value for name, value in tensors.items()}

  _edit(folder, rename)
  second = _fresh(folder)
  assert not _same(_state(first), _state(second))
  _load(folder, second)
  assert _same(_state(first), _state(second))


def test_missing_tensor_is_named_and_nothing_is_assigned(folder):
  name = "encoder.layer.1.output.dense.weight"
  _edit(folder, lambda tensors: {k: v for k, v in tensors.items() if k != name})
  bert = _fresh(folder)
  before = _state(bert)
  with pytest.raises(UserError, match=name):
    _load(folder, bert)
  assert _same(before, _state(bert))


def test_misshapen_tensor_is_named_with_both_shapes(folder):
  name = "encoder.layer.0.intermediate.dense.weight"
  _edit(folder, lambda tensors: {**tensors, name: np.zeros([64, 31], np.float32)})
  with pytest.raises(UserError, match=rf"{name}.*\[64, 31\].*\[64, 32\]"):
    _load(folder, _fresh(folder))


def test_truncated_file_is_named(folder):
  path = folder / "model.safetensors"
  path.write_bytes(path.read_bytes()[:-100])
  with pytest.raises(UserError, match="not a whole safetensors file"):
    _load(folder, _fresh(folder))


def test_dense_kernels_are_transposed(folder):
  bert = _fresh(folder)
  _load(folder, bert)
  stored = load_file(folder / "model.safetensors")
  np.testing.assert_array_equal(bert.layers[0].intermediate.kernel.numpy().T,
                                stored["encoder.layer.0.intermediate.dense.weight"])


@pytest.mark.parametrize("untied", [False, True])
def test_model_round_trip(tmp_path, untied):
  config = tiny.make_config(tmp_path)
  model = initial_model(config, _TOKENIZER)
  if untied:
    model.retriever.untie_towers()
    model.retriever.query_tower.norm.gamma.assign_add(
        tf.ones_like(model.retriever.query_tower.norm.gamma))
  (tmp_path / "model").mkdir()
  model.save_pretrained(tmp_path / "model")
  again = saved_model(config, tmp_path / "model", _TOKENIZER)
  packed = tiny.random_packed(np.random.default_rng(0), 3, 12)
  np.testing.assert_array_equal(again.retriever.embed_queries(packed),
                                model.retriever.embed_queries(packed))
  np.testing.assert_array_equal(again.retriever.embed_documents(packed),
                                model.retriever.embed_documents(packed))
  np.testing.assert_array_equal(again.encoder.span_logits(packed),
                                model.encoder.span_logits(packed))
  queries, documents = (embed(packed).numpy() for embed in (
      again.retriever.embed_queries, again.retriever.embed_documents))
  assert np.array_equal(queries, documents) != untied


def test_damaged_model_is_named(tmp_path):
  config = tiny.make_config(tmp_path)
  (tmp_path / "model").mkdir()
  initial_model(config, _TOKENIZER).save_pretrained(tmp_path / "model")
  path = tmp_path / "model" / "encoder.safetensors"
  data = bytearray(path.read_bytes())
  data[-5] ^= 1
  path.write_bytes(data)
  with pytest.raises(UserError, match="encoder.safetensors: damaged"):
    saved_model(config, tmp_path / "model", _TOKENIZER)


def test_fewer_layers_are_the_first_ones(folder):
  config = BertConfig.from_folder(folder, num_layers=1)
  assert config.num_hidden_layers == 1
  with pytest.raises(UserError, match="3 layers asked for"):
    BertConfig.from_folder(folder, num_layers=3)
  files.write_json(folder / "config.json", {"vocab_size": 3})
  with pytest.raises(UserError, match="field 'hidden_size' is missing"):
    BertConfig.from_folder(folder)
