"""AdamW against the formulas, written out in numpy."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.config import OptimizerConfig
from realm_tf.models.bert import Bert, BertConfig
from realm_tf.ops import portable
from realm_tf.ops.compiling import compiling
from realm_tf.training.optimizer import WarmupLinearDecay, make_optimizer
from tests import tiny
from tests.training import stages


def test_schedule_rises_then_falls_to_zero():
  schedule = WarmupLinearDecay(0.5, 10, 110)
  values = [float(schedule(step)) for step in (0, 4, 9, 10, 60, 110)]
  assert values == pytest.approx([0.05, 0.25, 0.5, 0.5, 0.25, 0.0])


def _adamw(values, gradients, config):
  """Loshchilov & Hutter's AdamW with bias correction, clipped by the global norm."""
  m, v = ([np.zeros_like(x) for x in values] for _ in range(2))
  for step, grads in enumerate(gradients):
    norm = np.sqrt(sum((g ** 2).sum() for g in grads))
    grads = [g * min(1, config.clip_norm / norm) for g in grads]
    rate = config.learning_rate * max(0, min(
        1, (step + 1) / config.warmup_steps,
        (config.steps - step) / (config.steps - config.warmup_steps)))
    for i, g in enumerate(grads):
      m[i] = 0.9 * m[i] + 0.1 * g
      v[i] = 0.999 * v[i] + 0.001 * g ** 2
      decay = config.weight_decay if values[i].ndim > 1 else 0
      correction = np.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
      values[i] = (values[i] * (1 - rate * decay)
                   - rate * correction * m[i] / (np.sqrt(v[i]) + 1e-6))
  return values


_BY_FORMULA = OptimizerConfig(steps=20, learning_rate=0.1, warmup_steps=4, weight_decay=0.5,
                              clip_norm=1.0)


def _gradients_of_five_steps(start):
  rng = np.random.default_rng(0)
  return [[rng.normal(size=x.shape) * scale for x in start]
          for scale in (3.0, 0.1, 1.0, 2.0, 0.01)]


@pytest.mark.parametrize(
    "way", ["ours", "XLA", "stock ops", "float64", "eager", "one mirrored replica"])
def test_updates_equal_the_formulas(way):
  rng = np.random.default_rng(1)
  start = [rng.normal(size=[3, 2]), rng.normal(size=[4])]
  dtype = tf.float64 if way == "float64" else tf.float32
  strategy = (tf.distribute.MirroredStrategy(["CPU:0"]) if way == "one mirrored replica"
              else tf.distribute.get_strategy())
  with strategy.scope():
    variables = [tf.Variable(x, dtype=dtype) for x in start]
    optimizer = make_optimizer(_BY_FORMULA)
  step = functools.partial(strategy.run, lambda *grads: optimizer.apply(grads, variables))
  if way != "eager":
    step = tf.function(step)
  gradients = _gradients_of_five_steps(start)
  with (portable() if way == "stock ops" else
        compiling("on" if way == "XLA" else "off")):
    for grads in gradients:
      norm = step([tf.constant(g, dtype) for g in grads])
      assert float(norm) == pytest.approx(np.sqrt(sum((g ** 2).sum() for g in grads)), 1e-5)
  assert optimizer.iterations.numpy() == len(gradients)
  for actual, expected in zip(variables, _adamw(start, gradients, _BY_FORMULA)):
    np.testing.assert_allclose(actual.numpy(), expected, rtol=2e-4, atol=1e-5)


def test_a_constraint_holds_after_each_update():
  variable = tf.Variable(tf.ones([2]), constraint=lambda v: tf.maximum(v, 0.95))
  for _ in range(3):
    make_optimizer(_BY_FORMULA).apply([tf.constant([1.0, -1.0])], [variable])
  assert variable[0] == np.float32(0.95) and variable[1] > 1


def test_nothing_of_a_traced_step_is_left_in_the_optimizer():
  variable = tf.Variable(tf.ones([2, 2]))
  optimizer = make_optimizer(_BY_FORMULA)
  tf.function(lambda: optimizer.apply([tf.ones([2, 2])], [variable]))()
  optimizer.apply_gradients([(tf.ones([2, 2]), variable)],
                            experimental_aggregate_gradients=False)
  assert int(optimizer.iterations) == 2


def test_sparse_gradients_count_as_the_dense_ones_that_they_are():
  rows = tf.Variable(tf.ones([5, 2]))
  dense = tf.Variable(tf.ones([5, 2]))
  config = OptimizerConfig(steps=10, learning_rate=0.1, warmup_steps=1)
  sparse = tf.IndexedSlices(tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant([2, 2]),
                            tf.constant([5, 2]))
  norms = [make_optimizer(config).apply([g], [v]) for g, v in (
      (sparse, rows), (tf.convert_to_tensor(sparse), dense))]
  assert float(norms[0]) == pytest.approx(np.sqrt(16 + 36))
  np.testing.assert_array_equal(rows, dense)


def _layer(name):
  """Which layer a variable of a two-layer BERT is in; -1 for the embeddings."""
  return int(name.split("layer_")[1][0]) if "layer_" in name else -1


@pytest.mark.parametrize("devices", [1, 2])
def test_lower_layers_learn_more_slowly(devices, mirrored):
  strategy = tf.distribute.get_strategy() if devices == 1 else mirrored
  config = OptimizerConfig(steps=10, learning_rate=0.1, warmup_steps=1, weight_decay=0.5,
                           clip_norm=1e6, layer_decay=0.5)
  with strategy.scope():
    bert = Bert(BertConfig(vocab_size=7, hidden_size=4, num_hidden_layers=2,
                           num_attention_heads=1, intermediate_size=6))
    head = tf.Variable(tf.ones([2, 2]))
    optimizer = make_optimizer(config, [bert], variable_rates=[
        (head, 0.25), *((v, 0.3) for v in bert.trainable_variables)])
  variables = [*bert.trainable_variables, head]
  before = [v.numpy() for v in variables]
  tf.function(lambda: strategy.run(lambda: optimizer.apply(
      [tf.ones_like(v) for v in variables], variables)))()
  assert {_layer(v.name) for v in bert.trainable_variables} == {-1, 0, 1}
  for variable, earlier in zip(variables, before):
    # Adam's first update is the sign of the gradient times the rate.
    share = 0.25 if variable is head else 0.3 * 0.5 ** (2 - _layer(variable.name))
    decay = 0.5 if earlier.ndim > 1 else 0.0
    for copy in strategy.experimental_local_results(variable):
      np.testing.assert_allclose(copy, earlier * (1 - 0.1 * share * decay) - 0.1 * share,
                                 rtol=1e-4, atol=1e-6, err_msg=variable.name)


_TRAINED = {"ict": {"queries", "documents"}, "reading": {"encoder"},
            "pretrain": {"queries", "documents", "encoder"},
            "dpr": {"queries", "documents"}, "cloze": {"encoder"},
            "finetune": {"queries", "encoder"}}


@pytest.mark.stress
@pytest.mark.parametrize("stage", stages.STAGES)
def test_each_stage_trains_its_berts_by_their_layers(tmp_path, stage):
  corpus = tiny.make_corpus(tmp_path / "corpus")

  def trained(name, steps, decay):
    config = tiny.make_config(tmp_path, **{
        f"{stage}__steps": steps, f"{stage}__layer_decay": decay,
        f"{stage}__warmup_steps": 0, f"{stage}__weight_decay": 0.0,
        "finetune__read_blocks": 8})
    model = stages.train(stage, tmp_path / name, corpus, config)[1]
    berts = {"queries": model.retriever.query_tower.bert,
             "documents": model.retriever.document_tower.bert,
             "encoder": model.encoder.bert}
    return {part: {v.name: v.numpy() for v in bert.variables}
            for part, bert in berts.items()}

  before, full_rate, slower = trained("0", 0, 1.0), trained("1", 1, 1.0), trained("2", 1, 0.5)
  moved = set()
  for part, values in before.items():
    for name, value in values.items():
      step, expected = slower[part][name] - value, full_rate[part][name] - value
      np.testing.assert_allclose(step, expected * 0.5 ** (2 - _layer(name)), rtol=1e-2,
                                 atol=1e-6, err_msg=f"{part} {name}")
      if np.abs(expected).max() > 1e-4:
        moved.add(part)
  assert moved == _TRAINED[stage]


def test_parts_are_clipped_together_and_each_has_its_norm():
  config = OptimizerConfig(steps=10, learning_rate=0.1, warmup_steps=1, clip_norm=1.0)
  gradients = {"tower": [tf.constant([3.0, 0.0]), None], "head": [tf.constant([[4.0]])]}
  parts, flat = ({"tower": [tf.Variable([1.0, 1.0]), tf.Variable([1.0])],
                  "head": [tf.Variable([[1.0]])]} for _ in range(2))
  norm, norms = make_optimizer(config).apply_by_part(gradients, parts)
  assert float(norm) == pytest.approx(5)
  assert {name: float(value) for name, value in norms.items()} == {"tower": 3, "head": 4}
  make_optimizer(config).apply([*gradients["tower"], *gradients["head"]],
                               [*flat["tower"], *flat["head"]])
  for actual, expected in zip(tf.nest.flatten(parts), tf.nest.flatten(flat)):
    np.testing.assert_array_equal(actual, expected)
