# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""The top-k op and its twin against a full sort.

On integers every order of summation is exact, so answers must be equal, not
close. Each test runs on every kernel that this CPU has, and on the twin.
"""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.ops import top_k
from realm_tf.ops.shadow import shadow_table

_VARIABLE = "REALM_TOP_K_KERNEL"


def _kernels():
  """The kernels that this CPU can run, from the op's own complaint."""
  os.environ[_VARIABLE] = "none"
  try:
    top_k.top_k_inner_product(tf.ones([1, 1]), tf.ones([1, 1]), 1)
  except tf.errors.InvalidArgumentError as error:
    return error.message.split("can run are ")[1].split(" [")[0].split(", ")
  finally:
    del os.environ[_VARIABLE]
  raise AssertionError("an unknown kernel was accepted")


def _shadowed(queries, table, k, banned_rows=None):
  """The op with a shadow made for the occasion; it serves up to four queries."""
  table = tf.convert_to_tensor(table)
  shadow = shadow_table(table) if table.shape.rank in (None, 2) else (
      tf.zeros([0, 32], tf.int8), tf.zeros([2, 0]))
  return top_k.top_k_inner_product(queries, table, k, banned_rows, shadow=shadow)


@pytest.fixture(params=_kernels() + ["shadowed", "twin"])
def search(request, monkeypatch):
  if request.param == "twin":
    return top_k.top_k_inner_product_portable
  if request.param == "shadowed":
    return _shadowed
  monkeypatch.setenv(_VARIABLE, request.param)
  return top_k.top_k_inner_product


@pytest.fixture(params=[tf.float32, tf.bfloat16], ids=["float32", "bfloat16"])
def dtype(request):
  return request.param


def full_sort(queries, table, k, banned_rows=None):
  """Scores in float64, rounded once; equal scores by row."""
  scores = (np.asarray(queries, np.float64) @ np.asarray(table, np.float64).T)
  scores = scores.astype(np.float32)
  all_scores, all_rows = [], []
  for query, line in enumerate(scores):
    banned = set() if banned_rows is None else set(map(int, banned_rows[query]))
    order = [row for row in np.lexsort((np.arange(len(line)), -line))
             if int(row) not in banned][:k]
    all_rows.append(order)
    all_scores.append(line[order])
  return (np.reshape(np.array(all_scores, np.float32), [len(scores), k]),
          np.reshape(np.array(all_rows, np.int32), [len(scores), k]))


def assert_answer(answer, expected, message=""):
  scores, rows = (np.asarray(part) for part in answer)
  assert scores.dtype == np.float32 and rows.dtype == np.int32
  np.testing.assert_array_equal(rows, expected[1], message)
  np.testing.assert_array_equal(scores, expected[0], message)


def integers(rng, shape, largest=9):
  return rng.integers(-largest, largest + 1, shape).astype(np.float32)


def test_equals_a_full_sort_of_random_integers(search, dtype):
  seed = int.from_bytes(os.urandom(4), "little")
  rng = np.random.default_rng(seed)
  for turn in range(8):
    batch, rows, depth = rng.integers(1, (40 if turn % 2 else 5, 2000, 150))
    width = int(rng.integers(0, min(6, rows)))
    queries, table = integers(rng, (batch, depth)), integers(rng, (rows, depth))
    # Repetitions, fillers and rows that do not exist.
    banned = rng.integers(-2, rows + 3, (batch, width))
    banned[:, 1::3] = banned[:, ::3][:, :banned[:, 1::3].shape[1]]
    k = int(rng.integers(0, rows - width + 1))
    for integer in (np.int32, np.int64):
      answer = search(tf.cast(queries, dtype), tf.cast(table, dtype), k,
                      banned.astype(integer))
      assert_answer(answer, full_sort(queries, table, k, banned),
                    f"seed {seed}, B={batch} N={rows} D={depth} R={width} k={k}")


def test_no_banned_rows_is_none_or_no_columns(search):
  rng = np.random.default_rng(1)
  queries, table = integers(rng, (3, 8)), integers(rng, (50, 8))
  expected = full_sort(queries, table, 5)
  assert_answer(search(queries, table, 5), expected)
  assert_answer(search(queries, table, 5, tf.zeros([3, 0], tf.int64)), expected)
  assert_answer(search(queries, table, 5, tf.fill([3, 4], -1)), expected)


def test_equal_scores_go_to_the_lower_row(search, dtype):
  table = tf.ones([40_000, 4], dtype)  # more than one chunk of the twin
  scores, rows = search(tf.ones([2, 4]), table, 3, [[0, 2], [-1, -1]])
  np.testing.assert_array_equal(rows, [[1, 3, 4], [0, 1, 2]])
  np.testing.assert_array_equal(scores, np.full([2, 3], 4.0))


def test_zero_and_minus_zero_are_equal_scores(search):
  _, rows = search([[1.0]], [[0.0], [-0.0], [0.0], [-0.0]], 4)
  np.testing.assert_array_equal(rows, [[0, 1, 2, 3]])


def test_best_row_in_every_chunk(search):
  # The twin's last chunk overlaps the one before it.
  table = np.zeros([50_001, 2], np.float32)
  best = [50_000, 33_617, 33_616, 32_768, 32_767, 16_384, 16_383, 0]
  table[best, 0] = np.arange(len(best), 0, -1)
  _, rows = search([[1.0, 0.0]], table, len(best))
  np.testing.assert_array_equal(rows, [best])


@pytest.mark.parametrize("k", [0, 1, 7])
def test_k_up_to_the_number_of_rows(search, k):
  rng = np.random.default_rng(2)
  queries, table = integers(rng, (4, 5)), integers(rng, (7, 5))
  assert_answer(search(queries, table, k), full_sort(queries, table, k))


def test_no_queries(search):
  scores, rows = search(tf.zeros([0, 3]), tf.ones([4, 3]), 2)
  assert scores.shape == rows.shape == [0, 2]


def test_infinite_scores_have_their_place(search):
  table = [[1.0], [np.inf], [-np.inf], [2.0]]
  scores, rows = search([[1.0]], table, 4)
  np.testing.assert_array_equal(rows, [[1, 3, 0, 2]])
  np.testing.assert_array_equal(scores, [[np.inf, 2, 1, -np.inf]])


def test_float32_queries_are_not_rounded_for_a_bfloat16_table(search):
  rng = np.random.default_rng(3)
  queries = rng.normal(size=(30, 64)).astype(np.float32)
  table = tf.cast(rng.normal(size=(3000, 64)), tf.bfloat16)
  values = tf.cast(table, tf.float64).numpy()
  assert_answer(search(queries, table, 50), full_sort(queries, values, 50))


def test_floats_that_rounding_cannot_tell_apart(search, dtype):
  # As the embeddings of a tower that is not trained yet.
  rng = np.random.default_rng(4)
  table = 1 + 1e-3 * rng.normal(size=(5000, 48))
  table = tf.cast(table.astype(np.float32), dtype)
  queries = rng.normal(size=(20, 48)).astype(np.float32)
  values = tf.cast(table, tf.float64).numpy()
  scores, rows = search(queries, table, 9)
  expected_scores, expected_rows = full_sort(queries, values, 9)
  np.testing.assert_array_equal(scores, expected_scores)
  np.testing.assert_array_equal(rows, expected_rows)


@pytest.mark.parametrize("batch", [1, 3, 20])
def test_floats_of_all_sizes(search, dtype, batch):
  """Rows from denormal to huge, among them one that dwarfs the others."""
  rng = np.random.default_rng(10)
  exponents = rng.integers(-140, 40, (1501, 1))
  table = np.ldexp(rng.normal(size=(1501, 37)), exponents).astype(np.float32)
  table[1401] *= 2.0**50
  table = tf.cast(table, dtype)
  queries = rng.normal(size=(batch, 37)).astype(np.float32)
  if search is top_k.top_k_inner_product_portable:
    pytest.skip("the twin's float32 product takes denormals for zero")
  expected = full_sort(queries, table.numpy().astype(np.float64), 1300)
  assert_answer(search(queries, table, 1300), expected)


@pytest.mark.parametrize("direction", [1, -1])
def test_tables_in_order_of_score(search, dtype, direction):
  """Every row, or none after the first, beats those before it."""
  table = direction * np.arange(6001, dtype=np.float32)[:, None] // 32 * [[1, 2, -1]]
  expected = full_sort(np.ones([2, 3]), table, 50)
  assert_answer(search(tf.ones([2, 3]), tf.cast(table, dtype), 50), expected)


def test_a_shadow_must_have_the_table_s_shape():
  codes, bounds = shadow_table(tf.ones([5, 3]))
  with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[6,32\].*\[5,32\]"):
    top_k.top_k_inner_product(tf.ones([1, 3]), tf.ones([6, 3]), 2, shadow=(codes, bounds))


def test_a_shadow_is_what_is_read():
  """One of another table gives that table's order: so it is not passed over."""
  table = np.diag(np.arange(1, 65, dtype=np.float32))
  other = shadow_table(table[::-1])
  _, rows = top_k.top_k_inner_product(tf.ones([1, 64]), table, 1, shadow=other)
  assert rows.numpy() != 63


def test_kernels_agree_to_the_bit(monkeypatch, dtype):
  rng = np.random.default_rng(5)
  queries = rng.normal(size=(17, 100)).astype(np.float32)
  table = tf.cast(rng.normal(size=(4001, 100)), dtype)
  answers = []
  for kernel in _kernels():
    monkeypatch.setenv(_VARIABLE, kernel)
    answers.append(top_k.top_k_inner_product(queries, table, 33))
  for answer in answers[1:]:
    assert_answer(answer, [part.numpy() for part in answers[0]])


@pytest.mark.parametrize("queries, table, k, banned, numbers", [
    ([2, 3], [5, 4], 1, None, ["2", "3", "5", "4"]),
    ([2, 3], [5, 3], 6, None, ["6", "5"]),
    ([2, 3], [5, 3], 4, [[1, 3], [-1, -1]], ["4", "5", "2"]),
    ([2, 3], [5, 3], -1, None, ["-1"]),
    ([2, 3], [5, 3], 1, [[1], [2], [3]], ["2", "3"]),
    ([2, 3, 1], [5, 3], 1, [[1], [1]], ["2", "3", "1"]),
    ([2, 3], [5, 3, 1], 1, None, ["5", "3", "1"]),
    ([2, 3], [5, 3], 1, [1, 2], ["2"]),
    ([2, 3], [5, 3], [1], None, ["1"]),
])
def test_wrong_arguments_are_named(search, queries, table, k, banned, numbers):
  with pytest.raises(tf.errors.InvalidArgumentError) as error:
    search(tf.ones(queries), tf.ones(table), k, banned)
  for number in numbers:
    assert number in str(error.value)


def test_bans_that_repeat_or_miss_the_table_leave_room(search):
  _, rows = search(tf.ones([1, 2]), tf.ones([4, 2]), 3, [[2, 2, -1, 9, 2]])
  np.testing.assert_array_equal(rows, [[0, 1, 3]])


@pytest.mark.parametrize("where", ["queries", "table"])
def test_not_a_number_is_an_error_that_says_where(search, dtype, where):
  queries, table = np.ones([3, 20]), np.full([900, 20], -5.0)
  table[:4] = 1  # so that the bad row is far from the best
  {"queries": queries, "table": table}[where][
      (2, 7) if where == "queries" else (777, 7)] = np.nan
  with pytest.raises(tf.errors.InvalidArgumentError, match="not a number") as error:
    search(tf.cast(queries, dtype), tf.cast(table, dtype), 2)
  assert ("2" if where == "queries" else "777") in str(error.value)


def test_infinity_times_zero_is_not_a_number(search):
  with pytest.raises(tf.errors.InvalidArgumentError, match="not a number"):
    search([[0.0, 1.0]], [[1.0, 1.0], [np.inf, -9.0]], 1)


def test_unknown_shapes_trace_once(search):
  traces = []

  @tf.function(input_signature=[
      tf.TensorSpec([None, None]), tf.TensorSpec([None, None]),
      tf.TensorSpec([], tf.int32), tf.TensorSpec([None, None], tf.int64)])
  def run(queries, table, k, banned):
    traces.append(1)
    return search(queries, table, k, banned)

  rng = np.random.default_rng(6)
  for batch, rows, depth, k in [(1, 9, 3, 2), (5, 300, 17, 40), (33, 40, 1, 1)]:
    queries, table = integers(rng, (batch, depth)), integers(rng, (rows, depth))
    banned = rng.integers(-1, rows, (batch, 2))
    assert_answer(run(queries, table, k, banned),
                  full_sort(queries, table, k, banned))
  assert len(traces) == 1


def test_static_shapes(search):
  @tf.function
  def run(queries, table):
    scores, rows = search(queries, table, 4)
    assert scores.shape == rows.shape == [3, 4]
    return scores

  run(tf.ones([3, 2]), tf.ones([9, 2]))


def test_in_a_data_pipeline(search):
  rng = np.random.default_rng(7)
  queries, table = integers(rng, (12, 6)), integers(rng, (500, 6))
  data = tf.data.Dataset.from_tensor_slices(queries).batch(4).map(
      lambda batch: search(batch, table, 5), num_parallel_calls=2)
  scores, rows = (np.concatenate(part) for part in zip(*data, strict=True))
  assert_answer((scores, rows), full_sort(queries, table, 5))


def test_no_gradient(search):
  queries, table = tf.Variable(tf.ones([2, 3])), tf.Variable(tf.ones([5, 3]))
  with tf.GradientTape() as tape:
    scores, _ = search(queries, table, 2)
  assert tape.gradient(scores, [queries, table]) == [None, None]


_FRESH_PROCESS = """
import sys
import realm_tf
import numpy as np
import tensorflow as tf
folder, stock, *with_op = sys.argv[1:]
queries, answers = tf.constant(np.load(f"{folder}/queries.npy")), {}

def ask(name):
  model = tf.saved_model.load(f"{folder}/{name}")  # whose variables live as long as it
  scores, rows = model.search(queries)
  answers.update({f"{name}.scores": scores, f"{name}.rows": rows})

ask(stock)  # before the op is known
import realm_tf.ops.top_k
for name in with_op:
  ask(name)
np.savez(f"{folder}/answers.npz", **answers)
"""


def _model(search, table):
  module = tf.Module()
  module.table = tf.Variable(tf.cast(table, tf.bfloat16))
  module.search = tf.function(
      lambda queries: search(queries, module.table, 7, [[3]] * 4),
      input_signature=[tf.TensorSpec([None, 6])])
  return module


def test_saved_models_in_a_fresh_process(tmp_path):
  rng = np.random.default_rng(8)
  queries, table = integers(rng, (4, 6)), integers(rng, (100, 6))
  searches = {"stock": top_k.top_k_inner_product_portable, "op": top_k.top_k_inner_product,
              "shadowed": _shadowed}
  for name, search in searches.items():
    tf.saved_model.save(_model(search, table), str(tmp_path / name))
  np.save(tmp_path / "queries.npy", queries)
  subprocess.run([sys.executable, "-c", _FRESH_PROCESS, str(tmp_path), *searches], check=True)
  answers = np.load(tmp_path / "answers.npz")
  for name in searches:
    assert_answer((answers[f"{name}.scores"], answers[f"{name}.rows"]),
                  full_sort(queries, table, 7, [[3]] * 4))


def test_threads_search_while_the_table_is_replaced(search):
  """Every answer is that of one whole table, never of a mixture."""
  rng = np.random.default_rng(9)
  queries = integers(rng, (5, 16))
  tables = [integers(rng, (3000, 16)) for _ in range(2)]
  expected = [full_sort(queries, table, 6) for table in tables]
  variable = tf.Variable(tables[0])
  run = tf.function(lambda: search(queries, variable, 6))
  run()
  start, wrong = threading.Barrier(4), []

  def ask():
    start.wait()
    for _ in range(20):
      answer = [part.numpy() for part in run()]
      if not any(all(np.array_equal(*pair) for pair in zip(answer, version, strict=True))
                 for version in expected):
        wrong.append(answer)

  threads = [threading.Thread(target=ask) for _ in range(3)]
  for thread in threads:
    thread.start()
  start.wait()
  for i in range(40):
    variable.assign(tables[i % 2])
  for thread in threads:
    thread.join()
  assert not wrong
