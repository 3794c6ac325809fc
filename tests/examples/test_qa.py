"""Answer places looked up in the graph against plain loops."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.datasets.matching import Occurrences, find_occurrences
from realm_tf.examples.qa import AnswerPlaces, Learnable, learnable, qa_batches
from tests import tiny


def _random_occurrences(rng, questions=6, blocks=9):
  places = sorted({(q, r, s, s + w) for q, r, s, w in zip(
      rng.integers(0, questions, 60), rng.integers(0, blocks, 60),
      rng.integers(0, 20, 60), rng.integers(0, 3, 60)) if q != 2})
  q, rows, starts, ends = np.array(places).T
  splits = np.searchsorted(q, np.arange(questions + 1))
  return places, Occurrences(rows.astype(np.int32), starts.astype(np.int32),
                             ends.astype(np.int32), splits)


@pytest.mark.parametrize("seed", range(3))
def test_places_equal_a_plain_loop(seed):
  rng = np.random.default_rng(seed)
  places, occurrences = _random_occurrences(rng)
  table = AnswerPlaces.of(occurrences, 9)
  numbers = np.array([5, 0, 2], np.int32)
  rows = rng.integers(0, 9, [3, 7]).astype(np.int32)
  holds = table.stand_in(numbers, rows).numpy()
  spans = table.spans(numbers, rows, 4)
  for b, j in np.ndindex(rows.shape):
    expected = [(s, e) for q, r, s, e in places if (q, r) == (numbers[b], rows[b, j])]
    assert holds[b, j] == bool(expected), f"seed {seed}"
    actual = [(s, e) for s, e in zip(spans.starts[b, j].numpy(), spans.ends[b, j].numpy())
              if s >= 0]
    assert actual == expected[:4], f"seed {seed}"


def test_batches_hold_usable_questions_only(tmp_path):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  answers = [["Paris"], ["nowhere"], ["Oslo", "Rome"]]
  questions = ["what is the capital of france", "where", "which city lies by the river"]
  occurrences = find_occurrences(answers, corpus, corpus.tokenizer)
  usable = np.flatnonzero(np.diff(occurrences.splits))
  assert usable.tolist() == [0, 2]
  tokens = corpus.tokenizer.tokenize(tf.constant(questions)).to_list()
  for batch in qa_batches(questions, usable, corpus.tokenizer, batch_size=4, seed=0,
                          first_step=0, last_step=3):
    for number, row in zip(batch.number.numpy(), batch.question.to_list()):
      assert number in usable and row == tokens[number]


@pytest.mark.parametrize("seed", range(6))
def test_learnable_questions_equal_a_plain_count(seed):
  rng = np.random.default_rng(seed)
  places, occurrences = _random_occurrences(rng)
  parts = {(q, r) for q in (0, 1) for r in range(9)} | {(4, 3)}  # answers not of whole pieces
  part_of = [place[:2] in parts for place in places]
  occurrences.starts[part_of] = occurrences.ends[part_of] = -1
  questions, bodies = rng.integers(0, 30, 6), rng.integers(22, 30, 9)
  width, length, most = rng.integers(1, 3), rng.integers(12, 40), rng.integers(1, 3)
  expected = [0] * 5
  for q in range(6):
    reached = 0  # the most checks that one of its places holds, one after the other
    for _, row, start, end in (place for place in places if place[0] == q):
      before = [p for p in places if p[:2] == (q, row) and p[2:] < (start, end)]
      # The question is cut down to three quarters, rounded down; the body gets the rest.
      pieces_read = length - 3 - min(questions[q], (length - 3) * 3 // 4)
      checks = [(q, row) not in parts, end - start + 1 <= width, end < pieces_read,
                len(before) < most]
      reached = max(reached, next((i for i, holds in enumerate(checks) if not holds), 4))
    expected[0 if reached == 4 else reached + 1] += 1
  assert learnable(occurrences, questions, bodies, max_span_width=width,
                   reader_length=length, max_spans=most) == Learnable(6, *expected)
