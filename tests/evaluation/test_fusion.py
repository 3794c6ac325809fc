from realm_tf.evaluation.fusion import fuse


def test_scores_are_reciprocal_ranks():
  # a: 1/61 + 1/63, b: 1/62 + 1/61, c: 1/63, d: 1/62.
  assert fuse([["a", "b", "c"], ["b", "d", "a"]], 10) == ["b", "a", "d", "c"]
  assert fuse([["a", "b", "c"], ["b", "d", "a"]], 2) == ["b", "a"]


def test_of_equal_ones_the_first_ranking_comes_first():
  assert fuse([[1, 2], [3, 4]], 4) == [1, 3, 2, 4]


def test_one_ranking_and_none():
  assert fuse([[5, 3, 4], []], 2) == [5, 3]
  assert fuse([], 3) == fuse([[], []], 3) == []


def test_what_both_find_far_down_beats_what_one_finds_first():
  left, right = list(range(50)), list(range(100, 150))
  left[29] = right[29] = 999
  assert fuse([left, right], 1) == [999]
