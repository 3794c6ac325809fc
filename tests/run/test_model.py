"""A run's model: what its config and its seed make of it."""

import numpy as np
import pytest

from realm_tf import config as config_lib
from realm_tf.errors import UserError
from realm_tf.models.bert import BertConfig
from realm_tf.models.retriever import Retriever
from realm_tf.models.weights import save_names, tower_names
from realm_tf.run.model import initial_model, saved_model
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny

_TOKENIZER = Tokenizer(tiny.vocabulary())

# Of seed 5, as the first version drew them: all BERTs before all heads.
_HEADS = {
    True: [[-.221995607, -.190689400, .410310090], [-.024074299, .035869598, .017744100],
           [.034091499, -.015383600, .005747400], [.000646700, .001648700, -.001034500]],
    False: [[-.394859314, -.330598414, -.096326403], [-.001734500, -.012789800, -.037899099],
            [-.026907001, -.034790300, -.009422000], [-.022346999, -.010387700, -.013760500]]}


@pytest.mark.parametrize("shared", [True, False])
def test_a_seed_gives_the_heads_the_values_that_it_always_gave(tmp_path, shared):
  config = tiny.make_config(tmp_path, seed=5, retriever__shared_towers=shared)
  model = initial_model(config, _TOKENIZER)
  head = model.encoder.span_head
  kernels = [model.retriever.document_tower.projection.kernel,
             model.encoder.masked_lm.transform.kernel, head.projection.kernel,
             head.score.kernel]
  np.testing.assert_allclose([np.ravel(kernel)[:3] for kernel in kernels], _HEADS[shared],
                             rtol=0, atol=1e-6)
  for query, document in zip(model.retriever.query_tower.variables,
                             model.retriever.document_tower.variables):
    np.testing.assert_array_equal(query, document)  # separate towers start as one


def test_arguments_are_those_of_the_config(tmp_path):
  config = tiny.make_config(
      tmp_path, retriever__precision="bfloat16", retriever__document_length=999,
      embed_precision="float32", encoder__span_norm_eps=0.5, pretrain__candidates=5)
  model = initial_model(config, _TOKENIZER)
  arguments = model.retriever.get_config()
  assert arguments["query_length"] == 32
  assert arguments["document_length"] == 128  # its positions
  assert (arguments["precision"], arguments["embed_precision"]) == ("bfloat16", "float32")
  assert model.make_tower().bert.precision == "float32"
  assert model.encoder.span_norm_eps == 0.5 and model.encoder.max_length == 96
  assert (model.candidates, model.read_blocks) == (5, 2)
  model.save_pretrained(tmp_path / "saved")
  again = saved_model(config, tmp_path / "saved", _TOKENIZER)
  assert again.get_config() == model.get_config()


def test_weights_for_another_vocabulary_are_named(tmp_path):
  config = tiny.make_config(tmp_path)
  with pytest.raises(UserError, match="weights for .* word pieces, but the vocabulary"):
    initial_model(config, Tokenizer([*tiny.vocabulary(), "another"]))
  nothing = tiny.make_config(tmp_path, encoder__weights="")
  with pytest.raises(UserError, match="config.encoder.weights: name a folder"):
    initial_model(nothing, _TOKENIZER)


def _lengths(model):
  """|v|^2 of queries and documents, which is the score of a text with itself."""
  texts = ["what is the capital of france", "the river is great"]
  return [np.sum(np.square(embed(texts)), 1) for embed in (
      model.retriever.embed_queries, model.retriever.embed_documents)]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("scale, expected", [(20.0, 20.0), (0.0, 16.0)])
def test_scores_start_as_so_many_cosines(tmp_path, shared, scale, expected, caplog):
  config = tiny.make_config(tmp_path, retriever__score_scale=scale,
                            retriever__shared_towers=shared)
  np.testing.assert_allclose(_lengths(initial_model(config, _TOKENIZER)), expected, rtol=1e-3)
  assert ("score_scale=0: scores are 16 cosines" in caplog.text) == (not scale)


@pytest.mark.parametrize("scale", [20.0, 0.0])
def test_a_projection_that_comes_with_the_weights_keeps_its_scale(tmp_path, scale, caplog):
  config = tiny.make_config(tmp_path, retriever__pooling="pooler",
                            retriever__score_scale=scale)
  tower = Retriever(BertConfig.from_folder(tmp_path / "bert"), pooling="pooler",
                    projection_size=16).document_tower
  tower.norm.gamma.assign(tower.norm.gamma * 0 + 3.0)
  save_names(tmp_path / "bert" / "model.safetensors", tower_names(tower, "embedder."))
  values = config_lib.to_dict(config)
  values["encoder"]["weights"] = str(tiny.write_bert(tmp_path / "encoder"))
  model = initial_model(config_lib.from_dict(values), _TOKENIZER)
  np.testing.assert_array_equal(model.retriever.document_tower.norm.gamma, np.full(16, 3.0))
  assert "score_scale" not in caplog.text
