"""Our models against Hugging Face's REALM: random weights, its numbers.

`tests/reference` is a small one that Hugging Face's code made (`make_reference.py`);
the one beside the checkout is not part of the project, and is left out where absent.
"""

import json
import pathlib
import shutil

import numpy as np
import pytest
import tf_keras
from safetensors.numpy import load_file, save_file

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.evaluation import reference_parity
from realm_tf.models.reader import Reader
from tests.command import realm

SMALL = pathlib.Path(__file__).parents[1] / "reference"
SHARED = pathlib.Path(__file__).parents[3] / "shared" / "parity" / "seed0"
_QUANTITIES = 14
_AGREES = 1e-5  # tighter than the command, which allows 1e-4


@pytest.mark.parametrize("folder", [SMALL, pytest.param(SHARED, marks=pytest.mark.skipif(
    not SHARED.exists(), reason="the shared reference is not on this machine"))])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_quantity_agrees(folder, dtype):
  compared = reference_parity.compare_with_reference(folder, dtype)
  assert len({comparison.quantity for comparison in compared}) == len(compared) == _QUANTITIES
  for comparison in compared:
    assert comparison.difference is not None and comparison.largest is not None
    assert comparison.difference <= _AGREES, comparison
  # Not zeros all.
  assert sum(comparison.largest > 0 for comparison in compared) >= _QUANTITIES - 2
  assert tf_keras.backend.floatx() == "float32"  # what comes after is as before


@pytest.fixture(name="copy")
def _copy(tmp_path):
  shutil.copytree(SMALL, tmp_path / "reference")
  return tmp_path / "reference"


def _changed(folder, name, change):
  path = folder / name / "model.safetensors"
  tensors = load_file(path)
  change(tensors)
  save_file(tensors, path)


def _wrong(folder):
  return {(comparison.part, comparison.quantity)
          for comparison in reference_parity.compare_with_reference(folder)
          if not comparison.difference <= _AGREES}


def _set(folder, part, **values):
  path = folder / part / "config.json"
  files.write_json(path, files.read_json(path) | values)


def _swap_halves(tensors):
  """As if the end projection came first."""
  for name in ("weight", "bias"):
    name = f"qa_outputs.dense_intermediate.{name}"
    tensors[name] = np.roll(tensors[name], len(tensors[name]) // 2, axis=0)


# The traps of an importer: each, when fallen into, shows in the numbers.
@pytest.mark.parametrize("part, trap", [
    ("embedder", lambda folder: _set(folder, "embedder", hidden_act="gelu")),
    ("encoder", lambda folder: _set(folder, "encoder", hidden_act="gelu")),
    ("embedder", lambda folder: _set(folder, "embedder", layer_norm_eps=1e-3)),
    ("reader", lambda folder: _set(folder, "reader", layer_norm_eps=0.05)),
    ("reader", lambda folder: _set(folder, "reader", reader_layer_norm_eps=1e-12)),
    ("reader", lambda folder: _set(folder, "reader", max_span_width=3)),
    ("scorer", lambda folder: _changed(folder, "scorer", lambda tensors: [
        tensors.update({name: tensors[name.replace("query_embedder", "embedder")]})
        for name in list(tensors) if name.startswith("query_embedder")])),
    ("embedder", lambda folder: _changed(folder, "embedder", lambda tensors: tensors.update(
        {"realm.pooler.dense.weight": np.eye(8, dtype=np.float32)}))),
], ids=["gelu in the embedder", "gelu in the head", "norm of the embedder",
        "norm of the reader's BERT", "norm of the spans", "span width", "query tower",
        "pooler"])
def test_traps_show(copy, part, trap):
  trap(copy)
  wrong = _wrong(copy)
  assert wrong and {name for name, _ in wrong} == {part}


def test_order_of_start_and_end_shows(copy):
  _changed(copy, "reader", _swap_halves)
  assert ("reader", "reader loss") in _wrong(copy)
  _changed(copy, "reader", _swap_halves)
  assert not _wrong(copy)


def test_span_is_relu_then_norm_then_score(copy):
  """The reader's logits from the layer's own definition, in plain numpy."""
  encoder = Reader.from_pretrained(copy / "reader")
  tensors = load_file(copy / "reader" / "model.safetensors")
  weight = lambda name: tensors[f"qa_outputs.{name}"].astype(np.float64)
  hidden = np.random.default_rng(0).normal(size=[1, 6, 8]).astype(np.float32)
  logits = encoder.span_head(hidden, np.ones([1, 6], bool)).numpy()[0]
  start, end = np.split(hidden[0] @ weight("dense_intermediate.weight").T
                        + weight("dense_intermediate.bias"), 2, axis=-1)
  for first in range(6):
    for width in range(4):
      if first + width >= 6:
        assert logits[first, width] == -np.inf
        continue
      pair = np.maximum(start[first] + end[first + width], 0)
      normal = (pair - pair.mean()) / np.sqrt(pair.var() + 0.05)
      normal = (normal * weight("layer_normalization.weight")
                + weight("layer_normalization.bias"))
      expected = normal @ weight("dense_output.weight")[0] + weight("dense_output.bias")
      np.testing.assert_allclose(logits[first, width], expected[0], atol=1e-5)


def test_command(copy, capsys):
  assert realm("parity", f"--reference={copy}", "--json") == 0
  report = json.loads(capsys.readouterr().out)
  assert report["agrees"] and len(report["quantities"]) == _QUANTITIES
  _changed(copy, "embedder", lambda tensors: tensors[
      "cls.LayerNorm.bias"].__iadd__(1e-3))
  assert realm("parity", f"--reference={copy}") == 1
  lines = capsys.readouterr().out.splitlines()
  assert len(lines) == _QUANTITIES
  assert [line for line in lines if "above 0.0001" in line] == [lines[0]]
  assert realm("parity", f"--reference={copy / 'nowhere'}") == 2
  assert "nowhere: cannot be read (no such file or folder)" in capsys.readouterr().err


def test_what_a_reference_lacks_is_left_out(copy):
  arrays = dict(np.load(copy / "io.npz"))
  del arrays["encoder_logits"], arrays["reader_candidate"]
  np.savez(copy / "io.npz", **arrays)
  shutil.rmtree(copy / "scorer")
  compared = {(comparison.part, comparison.quantity): comparison
              for comparison in reference_parity.compare_with_reference(copy)}
  missing = {key for key, comparison in compared.items() if comparison.difference is None}
  assert missing == {("encoder", "masked-LM logits at the masked positions"),
                     ("reader", "predicted span")}
  assert "scorer" not in {part for part, _ in compared}


def test_nan_does_not_agree(copy):
  arrays = dict(np.load(copy / "io.npz"))
  arrays["embedder_projected"][0, 0] = np.nan
  np.savez(copy / "io.npz", **arrays)
  assert _wrong(copy) == {("embedder", "projected embeddings")}


def test_damaged_reference_is_named(copy):
  data = (copy / "io.npz").read_bytes()
  (copy / "io.npz").write_bytes(data[:len(data) // 2])
  with pytest.raises(UserError, match="io.npz: not a whole npz"):
    list(reference_parity.compare_with_reference(copy))
