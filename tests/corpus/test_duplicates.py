"""Near duplicates against a comparison of all pairs, in plain Python."""

import itertools

import numpy as np
import pytest

from realm_tf.corpus import duplicates
from realm_tf.corpus.duplicates import banned_rows
from realm_tf.corpus.ragged import Ragged


class _Corpus:
  """The one field that is looked at."""

  def __init__(self, rows):
    self.num_blocks = len(rows)
    self.body_ids = Ragged.concatenate([
        Ragged(np.array(row, np.int32), np.array([0, len(row)])) for row in rows])


def _jaccard(a, b):
  a, b = ({tuple(row[i:i + 5]) for i in range(max(1, len(row) - 4))} for row in (a, b))
  return len(a & b) / len(a | b)


def _rows(rng):
  """Random rows, copies with a few pieces changed, cut copies, and very short ones."""
  rows = [rng.integers(0, 50, rng.integers(20, 60)).tolist() for _ in range(60)]
  for row in rows[:30]:
    copy = np.array(row)
    copy[rng.integers(0, len(copy), rng.integers(0, 4))] = 51
    rows.append(copy.tolist())
  return rows + [row[:len(row) * 3 // 4] for row in rows[30:40]] + [[1, 2], [1, 2], [3], []]


def test_near_duplicates_are_those_of_all_pairs():
  rows = _rows(np.random.default_rng(0))
  expected = {i: set() for i in range(len(rows))}
  doubtful = set()
  for i, j in itertools.combinations(range(len(rows)), 2):
    if not rows[i] or not rows[j]:
      continue
    alike = _jaccard(rows[i], rows[j])
    if alike >= 0.5:
      expected[i].add(j)
      expected[j].add(i)
      if alike < 0.6:  # found with a probability only
        doubtful |= {(i, j), (j, i)}
  table = banned_rows(_Corpus(rows), 0.5)
  assert table.dtype == np.int32 and sum(map(len, expected.values())) > 40
  for i, banned in enumerate(table.tolist()):
    near = {j for j in banned[1:] if j >= 0}
    assert banned[0] == i and near <= expected[i]
    assert all((i, j) in doubtful for j in expected[i] - near)


def test_the_most_similar_are_kept_where_there_are_many():
  base = np.arange(40)
  rows = [base.tolist()] + [np.where(base == k, 99, base).tolist() for k in (39, 20, 38)]
  assert banned_rows(_Corpus(rows), 0.5, most=2)[0].tolist() == [0, 1, 3]


def test_buckets_change_nothing(monkeypatch):
  rows = _rows(np.random.default_rng(1)) * 2
  expected = banned_rows(_Corpus(rows), 0.5)
  monkeypatch.setattr(duplicates, "_IN_BUCKET", 64)
  monkeypatch.setattr(duplicates, "_CHUNK", 7)
  monkeypatch.setattr(duplicates, "_COMPARED", 50)
  np.testing.assert_array_equal(banned_rows(_Corpus(rows), 0.5), expected)


@pytest.mark.parametrize("similarity", [0.0, 0.9])
def test_without_duplicates_only_the_own_block_is_banned(similarity):
  rows = [list(range(i * 30, i * 30 + 20)) for i in range(5)]
  assert banned_rows(_Corpus(rows), similarity).tolist() == [[i] for i in range(5)]
