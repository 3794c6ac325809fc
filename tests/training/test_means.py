"""What keeps the encoder from being misled in pre-training, each as it says."""

import numpy as np
import pytest

from realm_tf.corpus.passages import Passages
from realm_tf.run.model import initial_model
from realm_tf.training.pretrain import train_pretrain
from realm_tf.training.word_head import train_word_head
from tests import tiny
from tests.training import stages


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  folder = tmp_path_factory.mktemp("means")
  tiny.write_bert(folder / "bert", hidden=16, layers=1)
  return folder, tiny.make_corpus(folder / "corpus")


def _values(variables):
  return np.concatenate([np.ravel(variable.numpy()) for variable in variables])


def test_the_retriever_stands_still_and_the_null_document_has_its_share(world, tmp_path):
  folder, corpus = world
  config = tiny.make_config(
      folder, write=False, pretrain__steps=4, pretrain__warmup_steps=1,
      pretrain__freeze_retriever_steps=2, pretrain__null_share=0.25, pretrain__window=6,
      pretrain__objective="extractive", refresh__mode="frozen")
  model, passages = initial_model(config, corpus.tokenizer), Passages(corpus)
  parts = {"retriever": model.retriever.trainable_variables,
           "span_head": model.encoder.span_head.trainable_variables}
  seen = [({name: _values(part) for name, part in parts.items()}, {})]
  banned = np.arange(corpus.num_blocks, dtype=np.int32)[:, None]
  train_pretrain(
      config, corpus, passages, model, stages.make_index(config, model, passages), banned,
      tmp_path, on_step=[lambda _, metrics: seen.append(
          ({name: _values(part) for name, part in parts.items()}, dict(metrics)))])
  for name, moved in (("retriever", [False, False, True, True]), ("span_head", [True] * 4)):
    assert [bool((before[0][name] != after[0][name]).any())
            for before, after in zip(seen, seen[1:])] == moved
  metrics = [values for _, values in seen[1:]]
  assert ["retriever_gradient_norm" in values for values in metrics] == [
      False, False, True, True]
  for values in metrics:
    assert values["null_probability"] == pytest.approx(0.25)
    assert {"distinct_blocks_per_thousand", "most_retrieved_share", "null_log_likelihood",
            "span_in_any", "span_in_blocks", "stale_order_overlap",
            "encoder_gradient_norm@span_head"} <= values.keys()


def test_the_word_head_learns_alone_and_no_block_is_read(world, tmp_path):
  folder, corpus = world
  config = tiny.make_config(folder, write=False, reading__masked_lm_steps=12,
                            reading__batch_size=16, reading__learning_rate=1e-2)
  model = initial_model(config, corpus.tokenizer)
  before = _values(model.retriever.variables), _values(model.encoder.masked_lm.variables)
  loop = train_word_head(config, corpus, Passages(corpus), model, tmp_path)
  np.testing.assert_array_equal(_values(model.retriever.variables), before[0])
  assert (_values(model.encoder.masked_lm.variables) != before[1]).any()
  losses = [means["loss"] for _, means in loop.log.rows]
  assert losses[-1] < losses[0] - 0.2 and loop.first_step == 12
