"""Published folders with something wrong in them: one line that names file and field."""

import json
import pathlib
import shutil
import struct

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from realm_tf.errors import UserError
from realm_tf.exchange import importing
from realm_tf.models import tensors
from tests.tf1 import write_checkpoint

_EMBEDDER = pathlib.Path(__file__).parents[1] / "reference" / "embedder"
_NO_OBJECTS = ["[1]", "5", "null", '"x"', "[" * 100_000, "9" * 5000]


@pytest.fixture(name="folder")
def _folder(tmp_path):
  shutil.copytree(_EMBEDDER, tmp_path / "published")
  return tmp_path / "published"


def _in_parts(folder, **places):
  """Two files of tensors instead of one, and what says which is where."""
  values = load_file(folder / "model.safetensors")
  (folder / "model.safetensors").unlink()
  names = sorted(values)
  for part, own in (("a.safetensors", names[:5]), ("b.safetensors", names[5:])):
    save_file({name: values[name] for name in own}, folder / part)
    places = {name: part for name in own} | places
  (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
  return values


def test_tensors_in_several_files_are_read(folder):
  values = _in_parts(folder)
  read = tensors.read_tensors(folder)
  assert set(read) == set(values)
  for name, value in values.items():
    np.testing.assert_array_equal(read[name], value)


@pytest.mark.parametrize("text", [
    "{}", '{"weight_map": null}', '{"weight_map": ["a.safetensors"]}', '{"weight_map": {}}',
    '{"weight_map": "a.safetensors"}', *_NO_OBJECTS])
def test_a_list_of_files_that_is_none(folder, text):
  _in_parts(folder)
  (folder / "model.safetensors.index.json").write_text(text)
  with pytest.raises(UserError, match="^.*/model.safetensors.index.json: "):
    importing.import_weights([folder], folder.with_name("out"))
  assert not folder.with_name("out").exists()


@pytest.mark.parametrize("part", [5, None, "", "..", ".", "../published/a.safetensors",
                                  "/a.safetensors", "sub/a.safetensors", ["a.safetensors"]])
def test_files_of_tensors_lie_beside_their_list(folder, part):
  _in_parts(folder, **{"cls.dense.bias": part})
  with pytest.raises(UserError, match="^.*/model.safetensors.index.json: field 'weight_map': "
                                      "tensor 'cls.dense.bias' is in .*; expected the name"):
    tensors.read_tensors(folder)


def test_a_dtype_that_numpy_has_not_is_named(tmp_path):
  header = json.dumps({"odd": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]},
                       "good": {"dtype": "F32", "shape": [1], "data_offsets": [2, 6]}})
  path = tmp_path / "model.safetensors"
  path.write_bytes(struct.pack("<Q", len(header)) + header.encode()
                   + b"\1\2" + np.float32(3).tobytes())
  read = tensors.read_tensors(tmp_path)
  assert read["good"].tolist() == [3.0]
  with pytest.raises(UserError, match="^.*/model.safetensors: tensor 'odd' is of dtype F8"):
    read["odd"]


def test_values_of_a_checkpoint_that_are_cut_are_named(tmp_path):
  write_checkpoint(tmp_path / "model.ckpt", {"block_emb": np.ones([50, 8], np.float32)})
  (data,) = tmp_path.glob("model.ckpt.data-*")
  data.write_bytes(data.read_bytes()[:100])
  with pytest.raises(UserError, match="model.ckpt: not a whole TensorFlow checkpoint"):
    importing.import_weights([tmp_path / "model.ckpt"], tmp_path / "out")


@pytest.mark.parametrize("text", _NO_OBJECTS)
def test_sizes_are_an_object(folder, text):
  sizes = folder.with_name("sizes.json")
  sizes.write_text(text)
  with pytest.raises(UserError, match="^.*/sizes.json: "):
    importing.import_weights([folder], folder.with_name("out"), sizes=sizes)
  (folder / "config.json").write_text(text)
  with pytest.raises(UserError, match="^.*/published/config.json: "):
    importing.import_weights([folder], folder.with_name("out"))
  assert not folder.with_name("out").exists()


@pytest.mark.parametrize("text", _NO_OBJECTS)
def test_the_sizes_beside_a_checkpoint_are_an_object(tmp_path, text):
  write_checkpoint(tmp_path / "model.ckpt", {"block_emb": np.ones([5, 8], np.float32)})
  (tmp_path / "bert_config.json").write_text(text)
  with pytest.raises(UserError, match="^.*/bert_config.json: "):
    importing.import_weights([tmp_path / "model.ckpt"], tmp_path / "out")


@pytest.mark.parametrize("field, value", [
    ("retriever_proj_size", "128"), ("span_hidden_size", 0), ("max_span_width", None),
    ("reader_layer_norm_eps", -1.0), ("retriever_proj_size", [128])])
def test_sizes_of_heads_are_numbers_above_zero(folder, field, value):
  path = folder / "config.json"
  path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
  with pytest.raises(UserError, match=f"published: field '{field}': expected "):
    importing.import_weights([folder], folder.with_name("out"))


def test_architectures_of_another_kind_are_replaced(folder):
  path = folder / "config.json"
  path.write_text(json.dumps(json.loads(path.read_text()) | {"architectures": 5}))
  importing.import_weights([folder], folder.with_name("out"))
  written = json.loads((folder.with_name("out") / "config.json").read_text())
  assert written["architectures"] == ["RealmEmbedder"]
