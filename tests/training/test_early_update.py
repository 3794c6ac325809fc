"""The early update in pre-training: the blocks that hold the masked span, by plain sums."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf import config as config_lib
from realm_tf.corpus.passages import Passages
from realm_tf.errors import UserError
from realm_tf.examples.pretraining import PretrainingBatch
from realm_tf.models.scores import Reads, Scores
from realm_tf.run.model import initial_model
from realm_tf.training.early_update import among, early_update
from realm_tf.training.pretrain import train_pretrain
from tests import tiny
from tests.training import stages


def _reads(rows, null):
  """The documents [U] and the batch's first candidate, the null document."""
  place = np.full([4, 3], list(rows).index(null), np.int32)
  return Reads(*[()] * 2, tf.constant(place), *[()] * 4, tf.constant(rows, tf.int32))


def test_it_is_the_share_of_the_holders_among_all_that_are_not_banned():
  rng = np.random.default_rng(0)
  rows = rng.permutation(50)[:20].astype(np.int32)
  null = 50
  rows[3] = null
  scores = rng.normal(size=[4, 20]).astype(np.float32)
  banned = rng.choice(50, [4, 6]).astype(np.int32)
  banned[0] = -1
  holders = np.full([4, 9], -1, np.int32)
  holders[0, :9] = rows[[0, 1, 2, 4, 5, 6, 7, 8, 9]]
  holders[1, :4] = rows[[0, 10]].tolist() + [null, banned[1, 0]]
  holders[2, :2] = [banned[2, 1], 60]  # none that counts
  holders[3, :1] = rows[12]
  batch = PretrainingBatch(*[()] * 4, tf.constant(banned), *[()] * 2, tf.constant(holders))
  loss, metrics = early_update(batch, _reads(rows, null),
                               Scores((), (), tf.constant(scores)))
  expected, best = [], []
  for i in range(4):
    open_to = [u for u in range(20) if rows[u] != null and rows[u] not in banned[i]]
    right = [u for u in open_to if rows[u] in set(holders[i])]
    of = np.exp(scores[i].astype(float))
    expected.append(-np.log(of[right].sum() / of[open_to].sum()) if right else 0.0)
    best.append(max(open_to, key=lambda u: scores[i, u]) in right)  # noqa: B023
  assert expected[2] == 0 and min(expected[0], expected[1], expected[3]) > 0.1
  assert float(loss) == pytest.approx(np.mean(expected), rel=1e-5)
  assert float(metrics["best_holds_span"]) == np.mean(best)


def test_rows_are_found_among_those_that_are_listed():
  rows = tf.constant([7, 0, 3, 9])
  listed = tf.constant([[0, -1, 12], [9, 9, 7], [-5, -1, 1]])
  np.testing.assert_array_equal(among(rows, listed), [
      [False, True, False, False], [True, False, False, True], [False] * 4])


def test_its_weight_is_its_part_of_the_loss_and_the_retriever_learns_by_it(tmp_path):
  tiny.write_bert(tmp_path / "bert", hidden=16, layers=1)
  corpus = tiny.make_corpus(tmp_path / "corpus")
  banned = np.arange(corpus.num_blocks, dtype=np.int32)[:, None]
  first = {}
  for weight in (1e-6, 2.0):
    config = tiny.make_config(tmp_path, write=False, pretrain__steps=1,
                              pretrain__batch_size=16, pretrain__accumulate=2,
                              pretrain__early_update=weight, refresh__mode="frozen")
    model, passages = initial_model(config, corpus.tokenizer), Passages(corpus)
    train_pretrain(
        config, corpus, passages, model, stages.make_index(config, model, passages), banned,
        tmp_path / str(weight),
        on_step=[lambda _, metrics, weight=weight: first.update({weight: dict(metrics)})])
  early = first[2.0]["early_update_loss"]
  assert early > 0.5 and first[1e-6]["early_update_loss"] == pytest.approx(early, rel=1e-4)
  assert first[2.0]["loss"] - first[1e-6]["loss"] == pytest.approx(2 * early, rel=1e-3)
  norms = [values["retriever_gradient_norm"] for values in first.values()]
  assert norms[1] > 1.5 * norms[0]
  assert first[2.0]["encoder_gradient_norm"] == pytest.approx(
      first[1e-6]["encoder_gradient_norm"], rel=1e-3)


def test_fixed_lengths_cannot_have_it():
  with pytest.raises(UserError, match="early_update: expected 0 with fixed_lengths"):
    config_lib.with_changes(config_lib.RealmConfig(), {
        "pretrain.early_update": 1.0, "fixed_lengths": True})
