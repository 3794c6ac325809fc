"""Layers that XLA compiles give the figures of those that it does not."""

import dataclasses
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.models import compiled_layer, dropout
from realm_tf.models.bert import Bert, BertConfig
from realm_tf.ops import compiling, portable
from realm_tf.run import computing
from realm_tf.text.inputs import packed_spec
from realm_tf.training.optimizer import AdamW
from tests import tiny

_CONFIG = BertConfig(len(tiny.vocabulary()), 16, 2, 2, 24, 80)


def _bert(config: BertConfig = _CONFIG, **options) -> Bert:
  return tiny.with_random_weights(Bert(config, **options), scale=0.3)


def _outcome(bert: Bert, packed, mode: str, spec=None, **options):
  """States of the tokens, and the gradient of a function of them."""
  @tf.function(input_signature=[spec] if spec else None)
  def run(packed):
    with tf.GradientTape() as tape, dropout.drawn(3, tf.constant(5)):
      hidden = bert(packed.ids, packed.padding_mask, packed.segments, **options)
      tokens = tf.boolean_mask(hidden, packed.padding_mask)
      loss = tf.reduce_mean(tf.sin(tokens))
    return hidden, tokens, tape.gradient(loss, bert.trainable_variables)

  with compiling.compiling(mode):
    hidden, tokens, gradients = run(packed)
  assert hidden.shape == [*packed.ids.shape, bert.config.hidden_size]
  return [tokens.numpy(), *(tf.convert_to_tensor(part).numpy() for part in gradients)]


def _assert_close(actual, expected, tolerance):
  least = 0.01 * float(tf.linalg.global_norm(expected[1:]))
  for a, b in zip(actual, expected, strict=True):
    assert np.linalg.norm(a - b) <= tolerance * max(np.linalg.norm(b), least)


@pytest.mark.parametrize("options, tolerance", [
    ({}, 1e-5), ({"recompute": True}, 1e-5), ({"precision": "bfloat16"}, 0.1)])
def test_states_and_gradients_are_the_same(options, tolerance):
  packed = tiny.random_packed(np.random.default_rng(1), 9, 30)
  bert = _bert(**options)
  expected = _outcome(bert, packed, "off")
  actual = _outcome(bert, packed, "on")
  _assert_close(actual, expected, tolerance)
  # That they are not computed in the same way shows in the last digits.
  assert any((a != b).any() for a, b in zip(actual, expected, strict=True))


def test_two_berts_of_different_widths_are_compiled_in_one_process():
  packed = tiny.random_packed(np.random.default_rng(1), 9, 30)
  for hidden in (16, 24, 8):
    bert = _bert(dataclasses.replace(_CONFIG, hidden_size=hidden))
    _assert_close(_outcome(bert, packed, "on"), _outcome(bert, packed, "off"), 1e-5)


def test_another_thread_may_use_the_device_meanwhile():
  """As one does that refreshes an index, whose allocations end a recording of CUDA graphs."""
  packed, bert, ended = tiny.random_packed(np.random.default_rng(1), 9, 30), _bert(), []

  def allocate():
    size = 1000
    while not ended:
      size += 1
      tf.reduce_sum(tf.linalg.matmul(tf.ones([size, size]), tf.ones([size, size]))).numpy()

  other = threading.Thread(target=allocate)
  with compiling.compiling("on"):
    run = tf.function(lambda: bert(packed.ids, packed.padding_mask, packed.segments))
    expected = run().numpy()
    other.start()
    try:
      for _ in range(30):
        np.testing.assert_allclose(run(), expected, atol=1e-5)
    finally:
      ended.append(True)
      other.join()


def test_the_gradient_is_of_what_was_dropped():
  """Drawn a second time for the gradient: of kept values, and of those computed again."""
  packed = tiny.random_packed(np.random.default_rng(1), 4, 32)
  kept = _outcome(_bert(rate=0.3), packed, "on")
  _assert_close(_outcome(_bert(rate=0.3, recompute=True), packed, "on"), kept, 1e-5)
  whole = _outcome(_bert(rate=0.3), packed, "on", training=False)
  assert np.abs(whole[0] - kept[0]).max() > 0.1
  # Along the gradient of a bias, the loss changes as it says.
  bert, number = _bert(rate=0.3), next(
      i for i, variable in enumerate(_bert().trainable_variables)
      if "layer_0/output/bias" in variable.name)
  direction, losses = kept[1 + number] / np.linalg.norm(kept[1 + number]), []
  for step in (0.01, -0.01):
    bert.trainable_variables[number].assign_add(step * direction)
    losses.append(np.sin(_outcome(bert, packed, "on")[0].astype(np.float64)).mean())
    bert.trainable_variables[number].assign_sub(step * direction)
  slope = (losses[0] - losses[1]) / 0.02
  assert slope == pytest.approx(np.linalg.norm(kept[1 + number]), rel=0.02)


def test_layers_and_lengths_share_what_is_traced():
  bert, rng = _bert(), np.random.default_rng(2)
  compiled_layer._compiled.cache_clear()  # pylint: disable=protected-access
  with compiling.compiling("on"):
    embed = tf.function(lambda packed: bert(*packed[:3]), input_signature=[packed_spec()])
    for rows, length in ((5, 20), (4, 31), (1, 70), (3, 80)):
      packed = tiny.random_packed(rng, rows, length)
      with compiling.compiling("off"):
        expected = bert(*packed[:3])
      np.testing.assert_allclose(
          tf.boolean_mask(embed(packed), packed.padding_mask),
          tf.boolean_mask(expected, packed.padding_mask), rtol=1e-4, atol=1e-5)
  # Of two layers and four shapes; without a tape nothing is kept.
  assert compiled_layer._compiled.cache_info().currsize == 1  # pylint: disable=protected-access
  assert embed.experimental_get_tracing_count() == 1


def test_few_shapes_are_compiled():
  seen = set()
  for rows in range(1, 65):
    for length in range(1, 81):
      padded, = compiling.bucketed([tf.ones([rows, length], tf.int32)], 80)
      seen.add(tuple(padded.shape))
      assert rows <= padded.shape[0] <= 1.25 * rows and 0 <= padded.shape[1] - length < 32
  assert {length for _, length in seen} == {32, 64, 80} and len(seen) == 3 * 20


def test_a_shape_known_when_it_runs_is_padded_as_one_known_before():
  bucketed = tf.function(lambda ids: compiling.bucketed([ids, ids + 1], 50),
                         input_signature=[tf.TensorSpec([None, None], tf.int32)])
  for shape in ((1, 1), (9, 33), (17, 50), (64, 32)):
    ids = tf.ones(shape, tf.int32)
    for actual, expected in zip(bucketed(ids), compiling.bucketed([ids, ids + 1], 50),
                                strict=True):
      np.testing.assert_array_equal(actual, expected)


def _has_compiled(function) -> bool:
  """Whether XLA compiles a part of it."""
  graph = function.get_concrete_function().graph
  return any(function.attr["_XlaMustCompile"].b
             for function in graph.as_graph_def().library.function)


def test_what_must_be_of_stock_ops_is_not_compiled():
  bert, packed = _bert(), tiny.random_packed(np.random.default_rng(3), 2, 8)

  def compiled() -> bool:
    return _has_compiled(tf.function(lambda: bert(*packed[:3])))

  with compiling.compiling("on"):
    assert compiled()
    with portable():
      assert not compiled()
  assert not compiled()  # where there is no GPU


@pytest.mark.parametrize("mode, compiles", [("on", True), ("off", False)])
def test_a_run_compiles_as_its_config_says(mode, compiles):
  with compiling.compiling("auto"):
    computing.set_up(RealmConfig(compile=mode))
    assert compiling.compiles(16) == compiling.compiles(768) == compiles
    computing.set_up(RealmConfig())
    assert not compiling.compiles(16)
    assert compiling.compiles(768) == bool(tf.config.list_logical_devices("GPU"))


def test_of_itself_it_compiles_large_models_on_a_gpu(monkeypatch):
  devices = {"GPU": [], "TPU": []}
  monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: devices[kind])
  monkeypatch.setenv("XLA_FLAGS", "")
  with compiling.compiling("auto"):
    assert not compiling.compiles(1024)
    devices["GPU"] = ["GPU:0"]
    # MiniLM's is small: compiling took longer than it spared.
    assert not compiling.compiles(384) and not os.environ["XLA_FLAGS"]
    assert compiling.compiles(768) and "triton" in os.environ["XLA_FLAGS"]
    # An update's hidden size is that of its variables.
    for hidden, some in ((384, False), (768, True)):
      variables = [tf.Variable(tf.zeros(shape)) for shape in ([2000, hidden], [4 * hidden])]
      optimizer = AdamW(1e-3).build(variables)
      step = tf.function(lambda: optimizer.apply(variables, variables))  # noqa: B023
      assert _has_compiled(step) == some
  with compiling.compiling("off"):
    assert not compiling.compiles(1024)


_NO_GRAPHS = "--xla_gpu_enable_command_buffer="


@pytest.mark.parametrize("given, expected", [
    ("", f"--xla_gpu_enable_triton_gemm=false {_NO_GRAPHS}"),
    ("--xla_dump_to=/x", f"--xla_dump_to=/x --xla_gpu_enable_triton_gemm=false {_NO_GRAPHS}"),
    ("--xla_gpu_enable_triton_gemm=true", f"--xla_gpu_enable_triton_gemm=true {_NO_GRAPHS}"),
    ("--xla_gpu_enable_command_buffer=FUSION --xla_gpu_enable_triton_gemm=true",
     "--xla_gpu_enable_command_buffer=FUSION --xla_gpu_enable_triton_gemm=true"),
    ("/a/file/of/flags", "/a/file/of/flags")])
def test_the_flags_of_xla_that_a_user_gave_stay(monkeypatch, given, expected):
  monkeypatch.setenv("XLA_FLAGS", given)
  for _ in range(2):
    compiling.set_xla_flags()
    assert os.environ["XLA_FLAGS"] == expected


@pytest.mark.slow
def test_flags_are_read_when_xla_first_compiles(tmp_path):
  """So that it is soon enough to set them after TensorFlow has begun."""
  subprocess.run([sys.executable, "-c", f"""
import os, realm_tf, tensorflow as tf
tf.function(lambda x: x * 2)(tf.ones(3))
os.environ["XLA_FLAGS"] = "--xla_dump_to={tmp_path}"
from realm_tf.ops import compiling
compiling.set_xla_flags()
tf.function(lambda x: x * 2 + 1, jit_compile=True)(tf.ones(3))"""], check=True)
  assert list(tmp_path.iterdir())
