"""Fine-tuning that embeds the first blocks of each beam anew."""

import numpy as np
import pytest

from realm_tf.errors import UserError
from realm_tf.models import dropout, open_qa
from realm_tf.run.model import initial_model
from tests import tiny
from tests.training import stages


def _config(folder, **changes):
  return tiny.make_config(folder, write=False, **{
      "finetune__steps": 1, "finetune__warmup_steps": 0, "finetune__weight_decay": 0.0,
      "finetune__beam_size": 25, "finetune__read_answer": True, "checkpoint_every": 1,
      **changes})


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  folder = tmp_path_factory.mktemp("fresh")
  tiny.write_bert(folder / "bert", hidden=16, layers=1)
  return folder, tiny.make_corpus(folder / "corpus")


def _trained(world, place, strategy=None, **changes):
  """The metrics of each step, and the model."""
  loop, model = stages.train("finetune", place, world[1], _config(world[0], **changes),
                             strategy)
  return [metrics for _, metrics in loop.log.rows], model


def _moved(world, model, tower):
  """How far the weight went that went farthest: Adam's first step is the learning rate."""
  first = getattr(initial_model(_config(world[0]), world[1].tokenizer).retriever, tower)
  return max(np.abs(new.numpy() - old.numpy()).max() for old, new in zip(
      first.variables, getattr(model.retriever, tower).variables, strict=True))


@pytest.mark.parametrize("rates, moved, shared", [
    ((0.0, 0.5), (0.0, 5e-4), False), ((1.0, 0.5), (1e-3, 5e-4), False),
    ((0.5, 0.5), (5e-4, 5e-4), True)])
def test_the_document_tower_learns_at_its_rate(world, tmp_path, rates, moved, shared):
  _, model = _trained(world, tmp_path, finetune__fresh_blocks=3,
                      finetune__retriever_rate=rates[0], finetune__document_rate=rates[1])
  assert model.retriever.shares_towers == shared
  for tower, expected in zip(("query_tower", "document_tower"), moved):
    assert _moved(world, model, tower) == pytest.approx(expected, rel=0.02), tower


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_without_fresh_blocks_it_has_no_gradient(world, tmp_path, rate):
  _, model = _trained(world, tmp_path, finetune__retriever_rate=rate)
  assert model.retriever.shares_towers == (rate == 0)
  assert _moved(world, model, "document_tower") == 0


def test_at_the_start_fresh_vectors_are_those_of_the_index(world, tmp_path):
  """So the loss is the same, whatever is dropped out of queries: of documents nothing is."""
  changes = {"retriever__dropout": 0.3, "finetune__distill": 1.0}
  (stored,), _ = _trained(world, tmp_path / "stored", **changes)
  (fresh,), _ = _trained(world, tmp_path / "fresh", finetune__fresh_blocks=4, **changes)
  for name in ("retriever_loss", "reader_loss", "distill_loss", "exact_span"):
    assert fresh[name] == pytest.approx(stored[name], rel=1e-4), name
  assert fresh["gradient_norm"] > stored["gradient_norm"] * 1.01


def test_the_rest_of_the_beam_is_as_the_index_has_it(world):
  """Fresh vectors stand in the place of theirs, each where its block is."""
  model = initial_model(_config(world[0]), world[1].tokenizer)
  rng = np.random.default_rng(0)
  documents = tiny.random_packed(rng, 3, 12)
  stored = rng.normal(size=[2, 4, 16]).astype(np.float32)
  place = np.array([[0, 1], [2, 0]], np.int32)
  beam = open_qa.Beam(tiny.random_packed(rng, 2, 8), stored, None,
                      tiny.random_packed(rng, 4, 20), None, open_qa.Fresh(documents, place))
  with dropout.drawn(0, 0):
    scored = open_qa.score_beam(model.retriever, model.encoder, beam, 2)
  queries = model.retriever.embed_queries(beam.question).numpy()
  stored[:, :2] = model.retriever.embed_documents(documents).numpy()[place]
  np.testing.assert_allclose(scored.blocks, np.einsum("bd,bwd->bw", queries, stored),
                             rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("changes", [
    {"finetune__accumulate": 2}, {"fixed_lengths": True},
    pytest.param({"fixed_lengths": True, "finetune__accumulate": 2}, marks=pytest.mark.slow)])
def test_parts_and_fixed_lengths_have_the_gradient_of_the_whole(world, tmp_path, changes):
  common = {"finetune__fresh_blocks": 3, "finetune__document_rate": 1.0}
  (whole,), expected = _trained(world, tmp_path / "whole", **common)
  (other,), model = _trained(world, tmp_path / "other", **common, **changes)
  for name in ("loss", "gradient_norm"):
    assert other[name] == pytest.approx(whole[name], rel=2e-4), name
  moments, others = (
      {name: value for name, value in stages.saved(tmp_path / place).items()
       if "/m/" in name} for place in ("whole", "other"))
  assert moments.keys() == others.keys()
  assert len(expected.retriever.variables) == len(model.retriever.variables)
  for name, value in moments.items():
    np.testing.assert_allclose(others[name], value, rtol=1e-3, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_two_replicas_are_one_device(world, mirrored, tmp_path):
  common = {"finetune__fresh_blocks": 3, "finetune__document_rate": 1.0,
            "finetune__steps": 2}
  one, _ = _trained(world, tmp_path / "one", **common)
  two, _ = _trained(world, tmp_path / "two", mirrored, **common)
  for step, expected in zip(two, one, strict=True):
    for name in ("loss", "gradient_norm"):
      assert step[name] == pytest.approx(expected[name], rel=1e-3), name


def test_more_fresh_blocks_than_the_beam_has_are_all_of_it(world, tmp_path):
  (metrics,), _ = _trained(world, tmp_path, finetune__fresh_blocks=1000)
  assert np.isfinite(metrics["loss"])


def test_a_document_tower_that_learns_can_be_taught_by_the_reader_alone(world, tmp_path):
  common = {"finetune__distill": 1.0, "finetune__retriever_rate": 0.0}
  with pytest.raises(UserError, match="^config.finetune.distill: expected 0 with"):
    _config(world[0], **common)
  (metrics,), model = _trained(world, tmp_path, finetune__fresh_blocks=2, **common)
  assert metrics["distill_loss"] > 0 and _moved(world, model, "document_tower") > 0
