"""At fixed lengths a step gives the numbers of one at lengths that follow the data."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.corpus.passages import Passages
from realm_tf.distribute import shares
from realm_tf.distribute.strategy import make_strategy
from realm_tf.errors import UserError
from realm_tf.examples.ict_pairs import ict_batches
from realm_tf.examples.pretraining import pretraining_batches
from realm_tf.models import scores
from realm_tf.ops import portable
from realm_tf.run.model import initial_model
from realm_tf.training import padded
from tests import tiny
from tests.training import stages

_SIZES = {"ict__steps": 1, "ict__batch_size": 8, "pretrain__steps": 1,
          "pretrain__batch_size": 8, "pretrain__max_masks": 4, "dpr__steps": 1,
          "dpr__batch_size": 8, "cloze__steps": 1, "cloze__batch_size": 8,
          "finetune__steps": 1, "finetune__batch_size": 8, "checkpoint_every": 1}


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  folder = tmp_path_factory.mktemp("fixed")
  tiny.write_bert(folder / "bert", hidden=16, layers=1)
  return folder, tiny.make_corpus(folder / "corpus")


def _batch(corpus, fixed_lengths):
  banned = np.arange(corpus.num_blocks, dtype=np.int32)[:, None]
  return next(iter(pretraining_batches(
      corpus, banned, batch_size=4, query_length=32, max_masks=4, support=(2, 0),
      seed=0, first_step=0, last_step=1, fixed_lengths=fixed_lengths)))


def test_batches_have_the_shapes_of_the_config(world):
  _, corpus = world
  spec = pretraining_batches(
      corpus, np.zeros([corpus.num_blocks, 2], np.int32), batch_size=4, query_length=32,
      max_masks=6, support=(2, 0), seed=0, first_step=0, last_step=1,
      fixed_lengths=True).element_spec
  assert spec.query.ids.shape == [4, 32] and spec.labels.shape == [4, 6]
  assert all(t.shape.is_fully_defined() for t in tf.nest.flatten(spec))
  spec = ict_batches(corpus, batch_size=4, removal_rate=0.9, query_length=16,
                     document_length=48, seed=0, first_step=0, last_step=1,
                     fixed_lengths=True).element_spec
  assert spec.queries.ids.shape == [4, 16] and spec.documents.ids.shape == [4, 48]
  assert all(t.shape.is_fully_defined() for t in tf.nest.flatten(spec))


def test_padding_changes_neither_relevance_nor_predictions(world):
  folder, corpus = world
  config = tiny.make_config(folder, write=False)
  model = initial_model(config, corpus.tokenizer)
  passages = Passages(corpus)
  rows = tf.constant([[25, 3, 4], [25, 3, 9], [25, 0, 3], [25, 1, 2]])
  batch, fixed = _batch(corpus, False), _batch(corpus, True)
  queries = model.retriever.embed_queries(batch.query)
  packed = padded.pack(config, passages, fixed, rows)
  assert packed.pairs.ids.shape == [4, 2, 96] and packed.documents.ids.shape == [4, 2, 64]
  reads = padded.reads(fixed, packed, passages.special)
  scored = scores.score_reads(model.retriever, model.encoder, reads, padded=True)
  np.testing.assert_allclose(
      scored.relevance, scores.relevance(model.retriever, passages, queries, rows),
      rtol=1e-4, atol=1e-4)
  expected = scores.mask_log_probs(model.encoder, passages, batch, rows, 96).numpy()
  scored = scored.log_probs.numpy()
  masks = expected.shape[2]
  np.testing.assert_allclose(scored[:, :, :masks], expected, rtol=1e-4, atol=1e-4)
  assert not scored[:, :, masks:].any() and masks < scored.shape[2]


def _gradients(stage, world, folder, strategy=None, **changes):
  config = tiny.make_config(world[0], write=False, **{**_SIZES, **changes})
  loop, _ = stages.train(stage, folder, world[1], config, strategy)
  moments = {name: value for name, value in stages.saved(folder).items()
             if ".OPTIMIZER_SLOT" in name and "/m/" in name}
  return loop.log.rows[-1][1]["loss"], moments


def _assert_close(actual, expected):
  assert actual[0] == pytest.approx(expected[0], 2e-4)
  assert actual[1].keys() == expected[1].keys() and len(expected[1]) > 20
  for name, value in expected[1].items():
    np.testing.assert_allclose(actual[1][name], value, rtol=1e-3, atol=1e-6, err_msg=name)


@pytest.mark.stress
@pytest.mark.parametrize("stage", ["ict", "pretrain", "cloze", "finetune"])
def test_two_replicas_at_fixed_lengths_are_one_device(world, mirrored, tmp_path, stage):
  _assert_close(
      _gradients(stage, world, tmp_path / "fixed", mirrored, fixed_lengths=True,
                 **{f"{stage}__accumulate": 2}),
      _gradients(stage, world, tmp_path / "one"))


@pytest.mark.slow
@pytest.mark.parametrize("stage, changes", [
    ("finetune", {}), *(pytest.param(stage, changes, marks=pytest.mark.stress)
                        for stage, changes in (
        ("ict", {}), ("dpr", {}), ("cloze", {}), ("pretrain", {}),
        ("pretrain", {"pretrain__accumulate": 2})))])
def test_xla_compiles_all_that_runs_on_a_replica(world, tmp_path, monkeypatch, stage,
                                                 changes):
  """What a TPU does: it takes the batch, packed, and compiles the rest, update and all."""
  expected = _gradients(stage, world, tmp_path / "expected")
  compiled = []

  def is_fixed(batch):
    return all(t.shape.is_fully_defined() for t in tf.nest.flatten(batch)
               if isinstance(t, tf.Tensor))

  def run_compiled(strategy, step, batch, batch_size):
    del strategy, batch_size
    compiled.append(is_fixed(batch))
    return tf.function(step, jit_compile=True)(batch)

  def map_compiled(strategy, compute, batch):
    del strategy
    compiled.append(is_fixed(batch))
    return tf.function(compute, jit_compile=True)(batch)

  monkeypatch.setattr(shares, "run_on_shares", run_compiled)
  monkeypatch.setattr(shares, "map_shares", map_compiled)
  with portable():  # as where there is a TPU
    actual = _gradients(stage, world, tmp_path / "xla", fixed_lengths=True, **changes)
  assert compiled and all(compiled)
  _assert_close(actual, expected)


def test_xla_compiles_a_tower_that_embeds_documents(world):
  """As a TPU would embed a corpus: at one length, whatever is in the blocks."""
  folder, corpus = world
  tower = initial_model(tiny.make_config(folder, write=False),
                        corpus.tokenizer).retriever.document_tower
  passages, length = Passages(corpus), 64
  rows = tf.range(corpus.num_blocks)
  expected = tower(passages.documents(rows, length))
  fixed = passages.documents(rows, length, multiple=0)
  assert all(t.shape[1:].is_fully_defined() for t in fixed)
  traces = []

  @tf.function(jit_compile=True)
  def embed(packed):
    traces.append(1)
    return tower(packed)

  with portable():
    for first in (0, 5):
      part = tf.nest.map_structure(lambda t, first=first: t[first:first + 8], fixed)
      np.testing.assert_allclose(embed(part), expected[first:first + 8], rtol=1e-4, atol=1e-4)
  assert len(traces) == 1


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 3])
def test_xla_compiles_what_shares_vectors_between_replicas(monkeypatch, count):
  """Two more replicas that have nothing: the sum over all is then this one's."""
  values = np.arange(6.0).reshape(2, 3)

  class Context:
    num_replicas_in_sync = count
    replica_id_in_sync_group = tf.constant(count - 1)

  monkeypatch.setattr(tf.distribute, "get_replica_context", Context)
  monkeypatch.setattr(shares, "all_sum", lambda values: values)
  everything = tf.function(shares.own_first, jit_compile=True)(tf.constant(values))
  np.testing.assert_array_equal(everything[:2], values)
  assert not everything[2:].numpy().any() and len(everything) == 2 * count


def test_no_tpu_is_one_clear_line():
  with pytest.raises(UserError, match="--strategy=tpu: no TPU 'local' can be had"):
    make_strategy("tpu")
