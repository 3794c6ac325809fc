"""What tells a collapsed pre-training, against truths computed by hand."""

import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from realm_tf.corpus.passages import Passages
from realm_tf.examples.pretraining import pretraining_batches
from realm_tf.models.scores import (
  Reads,
  Scores,
  with_null_share,
  without_null,
  without_special_tokens,
)
from realm_tf.text.inputs import Packed
from realm_tf.training import watching
from realm_tf.training.watching import Retrieved, Setup, collapses, warn_of_collapse
from tests import tiny

# [CLS] = 1, [SEP] = 2, [MASK] = 3, padding 0; piece 9 goes on with a word.
_CONTINUATION = np.arange(20) == 9


def _pairs(*rows):
  """`[CLS] [MASK] [MASK] [SEP] block [SEP]` of each block."""
  length = 5 + max(map(len, rows))
  ids = [[1, 3, 3, 2, *row, 2] + [0] * (length - 5 - len(row)) for row in rows]
  return Packed(tf.constant(ids), tf.not_equal(ids, 0), tf.zeros_like(ids),
                tf.constant([4] * len(rows)))


def _reads(*groups, positions=(1, 2), labels=(7, 8), weights=(1.0, 1.0)):
  return Reads(None, None, None, groups, tf.constant([positions]), tf.constant([labels]),
               tf.constant([weights]))


@pytest.mark.parametrize("groups", [1, 2])
def test_a_block_holds_the_masked_span_where_its_pieces_stand_together_as_words(groups):
  blocks = [[5, 7, 8, 6], [7, 6, 8], [6, 7, 8], [7, 8, 9], [8, 7], []]
  expected = [True, False, True, False, False, False]
  parts = ([_pairs(*blocks)] if groups == 1 else [_pairs(blocks[0]), _pairs(*blocks[1:])])
  held = watching.holds_span(_reads(*parts), _CONTINUATION)
  assert held.numpy().tolist() == [expected]


def test_blocks_that_hold_the_span_are_those_of_plain_loops(tmp_path):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  count = corpus.num_blocks
  batch = next(iter(pretraining_batches(
      corpus, np.zeros([count, 0], np.int32), batch_size=12, query_length=32, max_masks=4,
      support=(2, 0), seed=0, first_step=0, last_step=1)))
  rows = tf.tile(tf.range(count + 1)[None], [12, 1])  # all blocks, the null document last
  pairs = Passages(corpus).after(without_special_tokens(batch.query), rows, 200,
                                 whole_questions=True)
  held = watching.holds_span(
      Reads(None, None, None, (pairs,), batch.positions, batch.labels, batch.weights),
      corpus.tokenizer.continuation).numpy()
  words = np.array(corpus.tokenizer.vocabulary)
  for i, labels in enumerate(batch.labels.numpy()):
    span = " ".join(words[labels[batch.weights[i].numpy() > 0]])
    expected = [f" {span} " in f" {' '.join(words[corpus.body_ids.row(row)])} "
                for row in range(count)]
    assert held[i].tolist() == [*expected, False] and any(expected), span


def test_a_single_mask_is_a_span_and_masks_apart_are_none():
  block = _pairs([5, 7, 6])
  single = _reads(block, weights=(1.0, 0.0))  # the second is padding, whatever it says
  assert watching.holds_span(single, _CONTINUATION).numpy().tolist() == [[True]]
  apart = _reads(_pairs([7, 8]), positions=(1, 4))
  assert watching.holds_span(apart, _CONTINUATION).numpy().tolist() == [[False]]
  none = _reads(block, weights=(0.0, 0.0))
  assert watching.holds_span(none, _CONTINUATION).numpy().tolist() == [[False]]


def test_the_sentence_itself_holds_nothing():
  ids = tf.constant([[1, 3, 3, 7, 8, 2, 5, 2], [1, 3, 3, 5, 2, 6, 7, 2]])
  pairs = Packed(ids, ids > 0, tf.zeros_like(ids), tf.constant([6, 5]))
  # [SEP] is no piece of a block, whatever is masked.
  held = watching.holds_span(_reads(pairs, labels=(7, 2)), _CONTINUATION)
  assert held.numpy().tolist() == [[False, False]]
  held = watching.holds_span(_reads(pairs), _CONTINUATION)
  assert held.numpy().tolist() == [[False, False]]


def test_metrics_of_a_batch_by_hand():
  # The null document, then two blocks that hold the span and two that do not.
  reads = _reads(_pairs([], [7, 8], [6], [5, 7, 8], [5]))
  log_probs = tf.constant([[[-1.0, -2.0], [0, 0], [0, 0], [0, 0], [0, 0]]])
  # By the fresh towers candidates 3 and 1 are the best: of the first half one is.
  relevance = tf.constant([[9.0, 3.0, 1.0, 4.0, 2.0]])
  measured = watching.retrieved_metrics(reads, Scores(relevance, log_probs), _CONTINUATION)
  assert {name: float(value) for name, value in measured.items()} == {
      "null_log_likelihood": -3.0, "span_in_blocks": 0.5, "span_in_any": 1.0,
      "stale_order_overlap": 0.5}
  assert "span_in_any" not in watching.retrieved_metrics(
      reads, Scores(relevance, log_probs), _CONTINUATION, of_spans=False)


def test_what_a_thousand_queries_retrieve(tmp_path):
  retrieved = Retrieved()
  # 90 is the null document. Block 1 is retrieved for all four, 5 different ones in all.
  first = retrieved.add(np.array([[90, 1, 2], [90, 1, 3], [90, 4, 1], [90, 5, 1]]))
  assert first == {"distinct_blocks_per_thousand": 1250, "most_retrieved_share": 1.0}
  # A thousand later ones push these out: 500 times (6, 7), 500 times (6, a new one each).
  rows = [[90, 6, 7]] * 500 + [[90, 6, 100 + i] for i in range(500)]
  halves = [retrieved.add(np.array(part)) for part in (rows[:500], rows[500:])]
  assert halves[0]["most_retrieved_share"] == 500 / 504
  assert halves[1] == {"distinct_blocks_per_thousand": 502, "most_retrieved_share": 1.0}
  again = Retrieved()
  path = tf.train.Checkpoint(retrieved=retrieved).save(str(tmp_path / "saved"))
  tf.train.Checkpoint(retrieved=again).restore(path)
  more = np.array([[90, 8, 7]])
  assert again.add(more) == retrieved.add(more) == {
      "distinct_blocks_per_thousand": 503, "most_retrieved_share": 0.999}


_WELL = {"distinct_blocks_per_thousand": 3000.0, "most_retrieved_share": 0.05,
         "null_probability": 0.1, "retrieval_utility": 0.5, "prior_entropy": 1.5,
         "span_in_any": 0.4}
_SETUP = Setup(blocks=26_000, candidates=8)


@pytest.mark.parametrize("kind, values", [
    ("few blocks", {"distinct_blocks_per_thousand": 349.0}),  # of 7,000 that could be
    ("one block", {"most_retrieved_share": 0.51}),
    ("null alone", {"null_probability": 0.91, "prior_entropy": 0.01}),
    ("misled", {"retrieval_utility": -0.01, "null_probability": 0.009}),
    ("one candidate", {"prior_entropy": 0.1}),  # log 8 = 2.08
    ("nothing found", {"span_in_any": 0.009})])
def test_each_collapse_is_told_by_its_figures(kind, values):
  curve = [(step, _WELL | values) for step in (10, 20, 30, 40)]
  collapse, = collapses(curve, _SETUP)
  assert collapse.kind == kind and (collapse.step, collapse.until) == (30, 40)
  assert collapses(curve[:2], _SETUP) == []  # two records are not enough
  well = [*curve[:2], (25, _WELL), *curve[2:]]
  assert collapses(well, _SETUP) == []


def test_what_goes_well_or_is_not_known_is_no_collapse():
  bounds = {"distinct_blocks_per_thousand": 350.0, "most_retrieved_share": 0.5,
            "null_probability": 0.01, "retrieval_utility": -3.0, "span_in_any": 0.01}
  for values in (_WELL, bounds, {"loss": 3.0}):
    assert collapses([(step, values) for step in range(5)], _SETUP) == []
  # Of 25 blocks 20 are retrieved for each sentence: one for all of them is no wonder.
  often = [(step, {"most_retrieved_share": 1.0}) for step in range(5)]
  assert collapses(often, Setup(blocks=25, candidates=21)) == []
  assert len(collapses(often, Setup(blocks=25, candidates=6))) == 1


def test_a_collapse_is_logged_once_and_not_again_by_a_run_that_goes_on(caplog):
  logging.get_absl_logger().propagate = True
  rows = []
  warn = warn_of_collapse(rows, _SETUP)
  for step in range(1, 6):
    rows.append((step, _WELL | {"null_probability": 0.95}))
    warn(step)
  said = [record.getMessage() for record in caplog.records if "diagnosis.md" in
          record.getMessage()]
  assert len(said) == 1 and said[0].startswith("step 3: p(z|x) of the null document is 0.95")
  caplog.clear()
  warn_of_collapse(rows, _SETUP)(6)
  assert not [record for record in caplog.records if "diagnosis" in record.getMessage()]


def test_the_null_document_has_its_share_and_the_others_divide_the_rest_as_before():
  relevance = tf.constant([[-50.0, 1.0, 2.0], [80.0, 0.0, 0.0]])
  prior = tf.nn.softmax(with_null_share(relevance, 0.2)).numpy()
  a, b = np.exp([1.0, 2.0]) / np.exp([1.0, 2.0]).sum()
  np.testing.assert_allclose(prior, [[0.2, 0.8 * a, 0.8 * b], [0.2, 0.4, 0.4]], rtol=1e-5)


def test_without_the_null_document_the_others_have_all():
  prior = tf.nn.softmax(without_null(tf.constant([[90.0, 1.0, 1.0]])))
  np.testing.assert_allclose(prior, [[0, 0.5, 0.5]])
