"""Dropout: where it is, when it is off, and that draws are a function of seed and step."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.models import dropout
from realm_tf.models.bert import Bert, BertConfig
from realm_tf.models.reader import Reader
from realm_tf.models.retriever import Retriever
from realm_tf.ops import library
from realm_tf.training.optimizer import AdamW
from tests import tiny
from tests.models import small

_CONFIG = BertConfig(len(tiny.vocabulary()), 16, 2, 2, 24, 64)
_RATE = 0.3


def _bert(rate=_RATE, **options) -> Bert:
  return tiny.with_random_weights(Bert(_CONFIG, rate=rate, **options), scale=0.3)


def _packed(rows=3, length=9, full=False, seed=1):
  packed = tiny.random_packed(np.random.default_rng(seed), rows, length)
  return packed._replace(padding_mask=tf.ones_like(packed.padding_mask)) if full else packed


def _states(bert, packed, **options):
  hidden = bert(packed.ids, packed.padding_mask, packed.segments, **options)
  return tf.boolean_mask(hidden, packed.padding_mask).numpy()


def _drawn(bert, packed, seed=5, step=7):
  with dropout.drawn(seed, tf.constant(step)):
    return _states(bert, packed)


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_a_share_is_dropped_and_the_mean_stays(dtype):
  x = tf.constant(np.random.default_rng(0).uniform(1, 3, [500, 64]), dtype)
  out = dropout.dropped(x, _RATE, tf.constant([1, 2]))
  is_kept = out.numpy() != 0
  assert out.dtype == dtype and out.shape == x.shape
  assert 1 - is_kept.mean() == pytest.approx(_RATE, abs=0.01)
  np.testing.assert_allclose(tf.cast(out, tf.float32).numpy()[is_kept],
                             tf.cast(x, tf.float32).numpy()[is_kept] / (1 - _RATE), rtol=0.01)


def test_it_is_a_function_of_seed_step_and_tokens():
  bert, packed = _bert(), _packed()
  first = _drawn(bert, packed)
  np.testing.assert_array_equal(_drawn(bert, packed), first)
  np.testing.assert_array_equal(_drawn(_bert(), packed), first)
  for other in (_drawn(bert, packed, seed=6), _drawn(bert, packed, step=8),
                _states(bert, packed)):
    assert (np.abs(other - first).max(1) > 1e-3).all()  # every row
  # A batch that differs in a token has other masks.
  ids = packed.ids.numpy()
  ids[0, 0] += 1
  other = _drawn(bert, packed._replace(ids=tf.constant(ids)))
  assert (np.abs(other - first).max(1) > 1e-3).all()


def test_padding_is_no_token():
  bert, packed = _bert(), _packed()
  wider = type(packed)(*(tf.pad(field, [[0, 0], [0, 5]]) for field in packed[:3]), packed[3])
  np.testing.assert_allclose(_states(bert, wider), _states(bert, packed), atol=1e-5)
  if library.can_compute(tf.float32):  # else rows are padded, and have masks
    np.testing.assert_allclose(_drawn(bert, wider), _drawn(bert, packed), atol=1e-5)


def test_rows_that_are_the_same_are_dropped_differently():
  packed = _packed(1)
  twice = tf.nest.map_structure(lambda field: tf.repeat(field, 2, 0), packed)
  states = _drawn(_bert(), twice).reshape(2, -1)
  assert np.abs(states[0] - states[1]).max() > 1e-2


def test_it_is_off_unless_it_is_trained():
  bert, plain, packed = _bert(), _bert(0.0), _packed()
  expected = _states(plain, packed)
  np.testing.assert_array_equal(_states(bert, packed), expected)
  np.testing.assert_array_equal(_states(bert, packed, training=False), expected)
  with dropout.drawn(0, tf.constant(0)):
    np.testing.assert_array_equal(_states(bert, packed, training=False), expected)
    states = []
    thread = threading.Thread(target=lambda: states.append(_states(bert, packed)))
    thread.start()  # as the one that keeps an index fresh
    thread.join()
    np.testing.assert_array_equal(states[0], expected)
    with pytest.raises(ZeroDivisionError), dropout.drawn(1, tf.constant(1)):
      raise ZeroDivisionError
    np.testing.assert_array_equal(_states(bert, packed), _drawn(bert, packed, 0, 0))
  np.testing.assert_array_equal(_states(bert, packed), expected)


def _operations(rate, is_inside):
  bert, packed = _bert(rate), _packed()

  @tf.function
  def run():
    if not is_inside:
      return bert(packed.ids, packed.padding_mask, packed.segments)
    with dropout.drawn(5, tf.constant(7)):
      return bert(packed.ids, packed.padding_mask, packed.segments)

  return [op.type for op in run.get_concrete_function().graph.get_operations()
          if op.type not in ("Const", "Cast", "Pack")]


def test_at_rate_0_the_graph_is_that_of_a_bert_without():
  assert _operations(0.0, True) == _operations(0.0, False) == _operations(_RATE, False)
  assert any("Random" in op for op in _operations(_RATE, True))


def _reference(bert, packed, seed, step):
  """Post-norm BERT in plain float64 sums, with the masks put where BERT's code has them."""
  with dropout.drawn(seed, tf.constant(step)):
    seeds = iter(dropout.seeds(packed.ids, None, 1 + 2 * len(bert.layers)))

  def drop(x):
    return x * dropout.dropped(tf.ones(x.shape), bert.rate, next(seeds)).numpy()

  def norm(x, layer):
    x = x - x.mean(-1, keepdims=True)
    return (x / np.sqrt((x ** 2).mean(-1, keepdims=True) + layer.epsilon)
            * layer.gamma.numpy() + layer.beta.numpy())

  def times(x, weights):
    return x @ weights.kernel.numpy().astype(float) + weights.bias.numpy()

  ids = packed.ids.numpy()
  batch, length = ids.shape
  x = (bert.word_embeddings.numpy()[ids] + bert.position_embeddings.numpy()[:length]
       + bert.token_type_embeddings.numpy()[packed.segments.numpy()])
  x = drop(norm(x.astype(float).reshape(batch * length, -1), bert.embedding_norm))
  for layer in bert.layers:
    heads = layer.kind.heads
    q, k, v = (times(x, part).reshape(batch, length, heads, -1).transpose(0, 2, 1, 3)
               for part in (layer.query, layer.key, layer.value))
    weights = np.exp(q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1]))
    mixed = weights / weights.sum(-1, keepdims=True) @ v
    mixed = mixed.transpose(0, 2, 1, 3).reshape(x.shape)
    x = norm(x + drop(times(mixed, layer.attention_output)), layer.attention_norm)
    wide = tf.nn.gelu(times(x, layer.intermediate)).numpy()
    x = norm(x + drop(times(wide, layer.output_dense)), layer.output_norm)
  return x


@pytest.mark.parametrize("is_portable", [False, True])
def test_it_is_where_bert_has_it(is_portable):
  bert, packed = _bert(), _packed(full=True)
  if is_portable:
    with library.portable():
      actual = _drawn(bert, packed)
  else:
    actual = _drawn(bert, packed)
  np.testing.assert_allclose(actual, _reference(bert, packed, 5, 7), atol=1e-4)


@pytest.mark.parametrize("is_portable", [False, True])
def test_layers_that_are_computed_again_have_the_same_masks(is_portable):
  packed = _packed()

  def gradients(bert):
    @tf.function
    def run():
      with tf.GradientTape() as tape:
        with dropout.drawn(5, tf.constant(7)):
          hidden = bert(packed.ids, packed.padding_mask, packed.segments)
        loss = tf.reduce_sum(tf.boolean_mask(hidden, packed.padding_mask) ** 3)
      return tape.gradient(loss, bert.trainable_variables)  # outside of `drawn`

    if is_portable:
      with library.portable():
        return run()
    return run()

  for once, again in zip(gradients(_bert()), gradients(_bert(recompute=True))):
    once, again = map(tf.convert_to_tensor, (once, again))
    np.testing.assert_allclose(again, once, rtol=1e-4, atol=1e-3)


def test_replicas_have_masks_of_their_own(mirrored):
  packed = _packed()
  with mirrored.scope():
    bert = _bert()

  @tf.function
  def run():
    def on_replica():
      with dropout.drawn(5, tf.constant(7)):
        return bert(packed.ids, packed.padding_mask, packed.segments)

    return mirrored.experimental_local_results(mirrored.run(on_replica))

  first, second = run()
  assert np.abs(first - second).max() > 1e-2


# In Keras's way.


def test_a_model_that_is_called_with_training_drops_out_and_has_the_rate_in_its_config():
  model = small.seeded(small.reader, dropout=_RATE)
  packed = _packed(2, 20)
  plain = model(packed).numpy()
  assert (model(packed, training=False).numpy() == plain).all()
  first, second = (model(packed, training=True).numpy() for _ in range(2))
  assert (first != plain).any() and (first != second).any()
  again = Reader.from_config(model.get_config())
  assert again.bert.rate == model.get_config()["dropout"] == _RATE
  assert [layer.kind.rate for layer in again.bert.layers] == [_RATE]


def test_a_tower_that_is_made_later_has_it_too():
  model = small.seeded(small.retriever, dropout=_RATE)
  model.untie_towers()
  assert [tower.bert.rate for tower in model.towers] == [_RATE] * 2
  assert Retriever.from_config(model.get_config()).dropout == _RATE


def test_fit_drops_out_and_evaluate_does_not():
  losses = {}
  for rate in (0.0, _RATE):
    model = small.seeded(small.reader, dropout=rate)
    model.compile(AdamW(1e-12))
    data = (small.QUESTIONS, small.PASSAGES), small.ANSWERS
    fitted = model.fit(*data, batch_size=12, verbose=0).history["loss"][0]
    losses[rate] = fitted, model.evaluate(*data, batch_size=12, verbose=0)[0]
  assert losses[0.0][0] == pytest.approx(losses[0.0][1], rel=1e-5)
  assert losses[_RATE][1] == pytest.approx(losses[0.0][1], rel=1e-5)
  assert abs(losses[_RATE][0] - losses[0.0][0]) > 1e-4
