"""What is read with a cloze question, and that the span head learns from it."""

import json

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.datasets.matching import Occurrences
from realm_tf.examples.cloze_questions import ClozeBatch
from realm_tf.examples.qa import AnswerPlaces
from realm_tf.run import stages as run_stages
from realm_tf.run.folder import Run
from realm_tf.training import cloze
from realm_tf.training.cloze import choose_blocks
from realm_tf.training.log import read_curves
from tests import tiny
from tests.training import stages


def _places(rows_of, num_blocks):
  """A span of one piece for each name, in these blocks."""
  rows = np.concatenate(rows_of).astype(np.int32)
  splits = np.cumsum([0, *map(len, rows_of)])
  return AnswerPlaces.of(Occurrences(rows, 0 * rows, 0 * rows, splits), num_blocks)


def test_the_best_block_that_holds_the_span_is_read_then_the_best_others():
  places = _places([[4, 7], [3], [5], [8]], 10)
  batch = ClozeBatch(tf.constant([0, 1, 2, 3]), tf.ragged.constant([[1]] * 4, tf.int32),
                     tf.constant([0, 0, 0, 0]), tf.constant([4, 3, 5, 8]))
  retrieved = tf.constant([[1, 7, 4], [1, 2, 6], [1, 2, 6], [8, 1, 2]])
  banned = tf.constant([[0, -1], [0, -1], [0, 5], [0, -1]])
  rows, held = choose_blocks(places, batch, banned, retrieved, 3)
  assert rows.numpy().tolist() == [
      [7, 1, 4],  # found before 4, though 4 was drawn
      [3, 1, 2],  # not found
      [1, 2, 6],  # banned
      [8, 1, 2]]
  assert held.numpy().tolist() == [True, False, False, True]
  rows, _ = choose_blocks(places, batch, banned, retrieved, 1)
  assert rows.numpy().ravel().tolist() == [7, 3, 1, 8]
  rows, held = choose_blocks(places, batch, None, retrieved, 3)
  assert rows.numpy().tolist() == [[4, 1, 7], [3, 1, 2], [5, 1, 2], [8, 1, 2]]
  assert held.numpy().tolist() == [True, False, False, True]


@pytest.mark.parametrize("form, lower, most", [("sentence", 0.5, 0.7),
                                               ("question", 0.75, 0.35)])
def test_the_span_head_learns_and_the_retriever_is_left_alone(tmp_path, form, lower, most):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  config = tiny.make_config(tmp_path, cloze__steps=100, cloze__learning_rate=3e-3,
                            cloze__batch_size=8, cloze__form=form)
  _, untrained = stages.train("cloze", tmp_path / "untrained", corpus, tiny.make_config(
      tmp_path, write=False, cloze__steps=0))
  before = [variable.numpy() for variable in untrained.retriever.variables]
  loop, model = stages.train("cloze", tmp_path / "cloze", corpus, config)
  loss, right = np.array([[row["loss"], row["exact_span"]] for _, row in loop.log.rows]).T
  assert loss[-10:].mean() < lower * loss[:5].mean()
  assert right[0] < 0.3 and right[-10:].mean() > most
  for old, new in zip(before, model.retriever.variables, strict=True):
    np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("form", ["sentence", "question"])
def test_the_stage_trains_where_lengths_are_fixed_as_on_a_tpu(tmp_path, monkeypatch, form):
  (tmp_path / "documents.jsonl").write_text("".join(
      json.dumps(vars(document)) + "\n" for document in tiny.documents()))
  losses = []
  for name in ("anywhere", "tpu"):
    run = Run(tiny.make_config(tmp_path, corpus__source=str(tmp_path / "documents.jsonl"),
                               ict__steps=0, pretrain__steps=0, finetune__steps=0,
                               cloze__steps=2, cloze__form=form), tmp_path / name)
    run_stages.corpus(run)
    if name == "tpu":
      for module in (cloze, run_stages):
        monkeypatch.setattr(module, "is_tpu", lambda strategy: True)
    run_stages.cloze(run)
    losses.append([row["loss"] for _, row in read_curves(run.path / "cloze" / "curves.csv")])
  assert losses[1] == pytest.approx(losses[0], 2e-4) and len(losses[0]) == 2
