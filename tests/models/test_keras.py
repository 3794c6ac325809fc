"""The models as Keras's: their variables, configs, summaries, and what is saved of them."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from realm_tf.errors import UserError
from realm_tf.models.bert import Bert
from realm_tf.models.losses import per_mask_loss
from realm_tf.models.reader import Reader
from realm_tf.models.realm import Realm
from realm_tf.models.retriever import Retriever
from realm_tf.training.optimizer import AdamW, WarmupLinearDecay
from tests import tiny
from tests.devices import assert_same_of_graphs
from tests.models import small

_MODELS = [small.retriever, small.reader, small.realm]
_PACKED = tiny.random_packed(np.random.default_rng(0), 3, 12)


def _outcomes(model) -> list[np.ndarray]:
  if isinstance(model, Realm):
    return _outcomes(model.retriever) + _outcomes(model.encoder)
  if isinstance(model, Retriever):
    return [vectors.numpy() for vectors in model((_PACKED, _PACKED))]
  masks = tf.constant([[1, 2]] * 3)
  return [model(_PACKED).numpy(),
          model.mask_log_probs(_PACKED, masks, masks, tf.ones([3, 2])).numpy()]


def _assert_same(again, model):
  assert type(again) is type(model)
  assert again.get_config() == model.get_config()
  for actual, expected in zip(_outcomes(again), _outcomes(model), strict=True):
    np.testing.assert_array_equal(actual, expected)


def _bert_parameters() -> int:
  sizes = small.BERT
  hidden, inner = sizes.hidden_size, sizes.intermediate_size
  words = sizes.vocab_size + sizes.max_position_embeddings + sizes.type_vocab_size
  layer = 4 * (hidden + 1) * hidden + (hidden + 1) * inner + (inner + 1) * hidden + 4 * hidden
  return words * hidden + 2 * hidden + sizes.num_hidden_layers * layer


def test_variables_are_there_once_it_is_made_and_the_summary_counts_them():
  model, lines = small.realm(shared_towers=False), []
  tower = _bert_parameters() + 16 * 8 + 8 + 2 * 8
  heads = (16 * 16 + 16 + 2 * 16 + small.BERT.vocab_size) + (17 * 16 + 2 * 8 + 8 + 1)
  assert model.count_params() == 2 * tower + _bert_parameters() + heads
  assert len({variable.ref() for variable in model.variables}) == len(model.variables)
  model.summary(print_fn=lines.append)
  model.retriever.summary(print_fn=lines.append)
  summary = [line.split() for line in "\n".join(lines).splitlines()]
  for name, count in (("retriever", 2 * tower), ("reader", _bert_parameters() + heads),
                      ("query_tower", tower), ("document_tower", tower)):
    assert any(line[:1] == [name] and line[-1] == str(count) for line in summary), name


@pytest.mark.parametrize("make", _MODELS)
def test_config_makes_the_same_model(make):
  model = make()
  again = type(model).from_config(model.get_config())
  assert again.get_config() == model.get_config()
  assert [v.shape for v in again.variables] == [v.shape for v in model.variables]
  assert again.tokenizer.hash == model.tokenizer.hash


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5", ".h5", ""])
@pytest.mark.parametrize("make", _MODELS)
def test_what_is_saved_is_bit_by_bit_what_is_loaded(make, suffix, tmp_path):
  model = make() if make is small.reader else make(shared_towers=False, precision="bfloat16")
  path = str(tmp_path / f"saved{suffix}")
  if suffix == ".keras":
    model.save(path)
    again = tf_keras.models.load_model(path)
  else:
    model.save_weights(path)
    again = type(model).from_config(model.get_config())
    assert not np.array_equal(_outcomes(again)[0], _outcomes(model)[0])
    again.load_weights(path)
  _assert_same(again, model)


@pytest.mark.parametrize("make", [small.retriever, small.reader,
                                  pytest.param(small.realm, marks=pytest.mark.slow)])
def test_saved_model_is_bit_by_bit_what_is_loaded(make, tmp_path):
  model = make()  # never called
  model.save(tmp_path / "saved")
  _assert_same(tf_keras.models.load_model(tmp_path / "saved"), model)
  if make is small.reader:  # without our classes it computes the same
    serve = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"]
    served, = serve(**_PACKED._asdict()).values()
    assert_same_of_graphs(served, model(_PACKED))


def test_towers_that_were_untied_stay_so(tmp_path):
  model = small.retriever()
  model.untie_towers()
  model.query_tower.norm.beta.assign_add(tf.ones([8]))
  model.save(tmp_path / "saved.keras")
  again = tf_keras.models.load_model(tmp_path / "saved.keras")
  _assert_same(again, model)
  assert not again.shares_towers


def test_a_compiled_model_is_compiled_when_it_is_loaded(tmp_path):
  model = small.realm()
  model.compile(AdamW(WarmupLinearDecay(1e-3, 2, 100), weight_decay=0.5), loss="per_mask")
  model.save(tmp_path / "saved.keras")
  again = tf_keras.models.load_model(tmp_path / "saved.keras")
  assert again.loss is per_mask_loss
  assert again.optimizer.get_config() == model.optimizer.get_config()
  _assert_same(again, model)


def test_the_optimizer_goes_on_where_it_stood(tmp_path):
  model = small.reader()
  model.compile(tf_keras.optimizers.Adam(1e-3))
  model.optimizer.apply_gradients((tf.ones_like(v), v) for v in model.trainable_variables)
  model.save(tmp_path / "saved.keras")
  again = tf_keras.models.load_model(tmp_path / "saved.keras")
  for actual, expected in zip(again.optimizer.variables, model.optimizer.variables,
                              strict=True):
    np.testing.assert_array_equal(actual, expected)


def test_what_a_model_uses_is_no_part_of_its_checkpoints(tmp_path):
  def names(model):
    path = tf.train.Checkpoint(model=model).save(str(tmp_path / "checkpoint"))
    return {name for name, _ in tf.train.list_variables(path)}

  model = small.realm()
  before = names(model)
  model.use(object(), object())
  model.retriever.embed_queries(["where"])
  assert names(model) == before
  assert all(name.startswith(("model/retriever/", "model/encoder/", "save_counter", "_CHECK"))
             for name in before)


def test_a_bert_that_is_given_is_used():
  berts = [Bert(small.BERT, "bfloat16") for _ in range(2)]
  model = Retriever(berts[0], document_bert=berts[1], shared_towers=False)
  assert [tower.bert for tower in model.towers] == berts
  assert model.get_config()["precision"] == "bfloat16"
  assert Reader(berts[0]).bert is berts[0]


def test_lengths_fit_the_positions_and_are_as_published_by_default():
  wide = dict(small.BERT.__dict__, max_position_embeddings=512)
  model = Retriever(wide)
  assert (model.query_length, model.document_length) == (64, 288)
  assert Reader(wide).max_length == 320 and Reader(small.BERT).max_length == 128
  with pytest.raises(UserError, match="document_length: 129 tokens, .* 128 positions"):
    Retriever(small.BERT, document_length=129)


def test_what_cannot_be_made_is_named():
  with pytest.raises(ValueError, match="pooling: expected one of pooler, cls, mean"):
    small.retriever(pooling="max")
  with pytest.raises(ValueError, match="loss: expected one of joint, per_mask"):
    small.realm().compile("adam", loss="mse")
  few = Retriever.from_config(small.retriever().get_config() | {
      "bert": dict(small.BERT.__dict__, vocab_size=10), "tokenizer": None})
  with pytest.raises(ValueError, match="it has no tokenizer"):
    few.embed_queries(["where"])
  with pytest.raises(UserError, match="word pieces, but the BERT has 10: it is another's"):
    Retriever(few.bert_config, tokenizer=small.TOKENIZER)
