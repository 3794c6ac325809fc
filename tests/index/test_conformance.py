"""What every kind of index does: TFRS's interface, swaps in place, checkpoints, exports."""

from typing import Any, Callable, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.config import IndexConfig
from realm_tf.errors import UserError
from realm_tf.index.build import build_index, rows_to_read
from realm_tf.index.distributed import DistributedIndex
from realm_tf.index.exact import ExactIndex
from realm_tf.index.merge import best_of
from realm_tf.index.scann import ScannIndex
from realm_tf.index.sharded import ShardedIndex
from realm_tf.ops import portable
from realm_tf.registry import INDEXES
from tests import tiny

_ROWS, _SIZE, _K = 400, 16, 7  # ScaNN looks at fewer than these by itself


class Kind(NamedTuple):
  """How to make an index, and where it cannot go."""
  make: Callable[..., Any]
  is_exact: bool = True
  in_data: bool = True  # in a tf.data pipeline, and in a SavedModel


def _kinds(mirrored):
  kinds = {name: Kind(lambda name=name, **options: INDEXES[name](**options), name != "scann")
           for name in INDEXES}
  return kinds | {
      "exact with a shadow": Kind(lambda **options: ExactIndex(shadow=True, **options)),
      "exact, bfloat16": Kind(lambda **options: ExactIndex(dtype=tf.bfloat16, **options)),
      "sharded over more devices": Kind(
          lambda **options: ShardedIndex(devices=["CPU:0", "CPU:1", "CPU:0"], **options)),
      "distributed": Kind(lambda **options: DistributedIndex(mirrored, **options),
                          in_data=False)}


@pytest.fixture(name="kind", params=[
    *INDEXES, "exact with a shadow", "exact, bfloat16", "sharded over more devices",
    "distributed"])
def _kind(request, mirrored):
  return _kinds(mirrored)[request.param]


def _rows(seed, rows=_ROWS):
  """Integers about few centres: exact in any dtype, with many ties, easy for ScaNN."""
  centres = 4 * np.random.default_rng(99).integers(-2, 3, [20, _SIZE])
  rng = np.random.default_rng(seed)
  return (centres[rng.integers(20, size=rows)] + rng.integers(-1, 2, [rows, _SIZE])).astype(
      np.float32)


def _best(queries, table, k=_K, without=()):
  """Scores and rows by a full sort; equal scores by row."""
  scores = queries @ table.T
  for query, rows in enumerate(without):
    scores[query, [row for row in rows if row >= 0]] = -np.inf
  order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
  return np.take_along_axis(scores, order, 1), order


def _agrees(kind, results, expected, names=None):
  """Names of [N] stand for rows. An approximate index finds most, in the right order."""
  scores, ids = (np.asarray(part) for part in results)
  expected_ids = expected[1] if names is None else np.asarray(names)[expected[1]]
  assert scores.shape == ids.shape == expected_ids.shape
  assert scores.dtype == np.float32
  if kind.is_exact:
    np.testing.assert_array_equal(scores, expected[0])
    np.testing.assert_array_equal(ids, expected_ids)
    return
  assert (np.diff(scores) <= 0).all()
  assert (ids[:, :, None] == expected_ids[:, None]).any(2).mean() > 0.8


_QUERIES = _rows(50, 6)
_NAMES = np.array([f"document {row}".encode() for row in range(_ROWS)])


def test_it_is_sized_by_its_candidates(kind):
  index = kind.make(k=_K)
  with pytest.raises(ValueError, match="no candidates yet; call `index`"):
    index(_QUERIES)
  for rows in (_ROWS, 500):  # made anew for another number
    table = _rows(1, rows)
    assert index.index(table) is index and index.table_shape == (rows, _SIZE)
    _agrees(kind, index(_QUERIES), _best(_QUERIES, table))
    _agrees(kind, index(_QUERIES, k=3), _best(_QUERIES, table, 3))
    np.testing.assert_array_equal(index.rows(), table)
    ids = tf.constant([[0, 3, rows - 1], [2, 2, rows // 2]])
    np.testing.assert_array_equal(index.gather(ids), table[ids.numpy()])
  assert index.is_exact() == kind.is_exact


@pytest.mark.parametrize("rows", [1, 2, 3, 17])
def test_hardly_any_candidates(kind, rows):
  table = _rows(1, rows)
  index = kind.make().index(table)
  _agrees(Kind(kind.make), index(_QUERIES, k=rows), _best(_QUERIES, table, rows))
  np.testing.assert_array_equal(index.gather(tf.constant([0, rows - 1])), table[[0, -1]])


@pytest.mark.parametrize("names", [_NAMES, np.arange(_ROWS) * 10 + 3], ids=["text", "int"])
def test_identifiers(kind, names):
  table = _rows(1)
  index = kind.make(k=_K).index(table, names)
  _agrees(kind, index(_QUERIES), _best(_QUERIES, table), names)
  without = _best(_QUERIES, table, 3)[1]
  _agrees(kind, index.query_with_exclusions(_QUERIES, names[without], k=4),
          _best(_QUERIES, table, 4, without), names)
  assert index.index(table)(_QUERIES)[1].dtype == tf.int32  # they are gone with the next


def test_exclusions_by_row(kind):
  table = _rows(1)
  index = kind.make(k=4).index(table)
  without = np.concatenate([_best(_QUERIES, table, 3)[1], np.full([6, 1], -1)], 1)
  _agrees(kind, index.query_with_exclusions(_QUERIES, without),
          _best(_QUERIES, table, 4, without))
  with pytest.raises(tf.errors.InvalidArgumentError):
    index.query_with_exclusions(_QUERIES, np.tile(np.arange(_ROWS - 2), [6, 1]), k=3)


@pytest.mark.parametrize("with_names", [False, True])
def test_candidates_of_a_data_set(kind, with_names):
  table = _rows(1)
  data = tf.data.Dataset.from_tensor_slices((_NAMES, table) if with_names else table)
  index = kind.make(k=_K).index_from_dataset(data.batch(150))
  _agrees(kind, index(_QUERIES), _best(_QUERIES, table), _NAMES if with_names else None)


def test_a_query_model(kind):
  table = _rows(1)
  index = kind.make(query_model=lambda features: 2.0 * features["half"]).index(table)
  features = {"half": tf.constant(_QUERIES / 2)}
  _agrees(kind, index(features, k=_K), _best(_QUERIES, table))
  without = _best(_QUERIES, table, 2)[1]
  _agrees(kind, index.query_with_exclusions(features, without, k=_K),
          _best(_QUERIES, table, _K, without))


def test_what_does_not_fit_is_refused(kind):
  index = kind.make().index(_rows(1), _NAMES)
  with pytest.raises(ValueError, match=r"expected \[N, D\], got \(5,\)"):
    index.index(np.ones(5, np.float32))
  with pytest.raises(ValueError, match=r"identifiers: expected \[400\].*got \(3,\)"):
    index.index(_rows(1), _NAMES[:3])
  with pytest.raises(ValueError, match=r"expected \[400, 16\], as there are, got \(12, 16\)"):
    index.update_candidates(_rows(2, 12))
  with pytest.raises(ValueError, match="of another type"):
    index.update_candidates(_rows(2), np.arange(_ROWS))
  with pytest.raises(TypeError, match="query_model: expected a model or function, got 400"):
    kind.make(query_model=400)
  _agrees(kind, index(_QUERIES, k=_K), _best(_QUERIES, _rows(1)), _NAMES)


def test_swaps_in_place_never_retrace(kind):
  index = kind.make(k=_K).index(_rows(0), _NAMES)
  traces = []

  @tf.function(input_signature=[tf.TensorSpec([None, _SIZE])])
  def find(queries):
    traces.append(1)
    return index(queries)

  for step in range(1, 6):
    table, names = _rows(step), _NAMES[::-1] if step % 2 else _NAMES
    if step < 4:
      index.update_candidates(table, names)
    else:
      index.assign(index.prepare(table), step)
      assert int(index.step) == step
      names = _NAMES[::-1]  # of before
    for queries in (_QUERIES, _QUERIES[:1]):
      _agrees(kind, find(queries), _best(queries, table), names)
  assert len(traces) == 1


def test_in_the_scope_of_a_strategy_an_index_is_one_copy(kind, mirrored):
  with mirrored.scope():
    index = kind.make(k=_K).index(_rows(0), _NAMES)
    index.update_candidates(_rows(1), _NAMES[::-1])
    index.assign(index.prepare(_rows(2)), 7)
  assert int(index.step) == 7
  copies = [variable for variable in index.variables
            if isinstance(variable, tf.distribute.DistributedValues)]
  assert index.variables and copies == []
  _agrees(kind, index(_QUERIES), _best(_QUERIES, _rows(2)), _NAMES[::-1])


def test_in_a_pipeline_swaps_are_live(kind):
  if not kind.in_data:
    pytest.skip("all replicas search together")
  index = kind.make(k=_K).index(_rows(0))
  data = tf.data.Dataset.from_tensors(_QUERIES).map(lambda queries: index(queries)).repeat()
  options = tf.data.Options()
  options.experimental_optimization.inject_prefetch = False  # else it runs ahead of swaps
  stream = iter(data.with_options(options))
  for step in range(3):
    table = _rows(step)
    index.update_candidates(table)
    _agrees(kind, next(stream), _best(_QUERIES, table))


def test_a_checkpoint(kind, tmp_path):
  table = _rows(1)
  saved = kind.make(k=_K)
  saved.index(_rows(0), _NAMES[::-1])
  saved.update_candidates(table, _NAMES)
  saved.step.assign(12)
  path = tf.train.Checkpoint(index=saved).save(str(tmp_path / "index"))
  restored = kind.make(k=_K).index(_rows(2), _NAMES[::-1])
  tf.train.Checkpoint(index=restored).restore(path).assert_consumed()
  restored.restored()
  assert int(restored.step) == 12
  _agrees(kind, restored(_QUERIES), _best(_QUERIES, table), _NAMES)


@pytest.mark.parametrize("stock", [False, True])
def test_a_saved_model(kind, stock, tmp_path):
  if not kind.in_data:
    pytest.skip("all replicas search together")
  table = _rows(1)
  served = kind.make(k=_K).index(table, _NAMES).for_export()
  module = tf.Module()
  module.index = served
  module.find = tf.function(served.call, input_signature=[tf.TensorSpec([None, _SIZE])])
  if stock:
    with portable():
      tf.saved_model.save(module, str(tmp_path))
  else:
    tf.saved_model.save(module, str(tmp_path))
  loaded = tf.saved_model.load(str(tmp_path))
  _agrees(kind, loaded.find(tf.constant(_QUERIES)), _best(_QUERIES, table), _NAMES)
  graph = loaded.find.concrete_functions[0].graph.as_graph_def()
  ops = {node.op for function in graph.library.function for node in function.node_def}
  assert not stock or not any(name.startswith("Realm>") for name in ops)


def test_as_keras_saves_a_model(kind, tmp_path):
  if not kind.in_data:
    pytest.skip("all replicas search together")
  table = _rows(1)
  served = kind.make(k=_K).index(table, _NAMES).for_export()
  served(tf.constant(_QUERIES))  # by which Keras knows what it takes, as in TFRS
  tf.saved_model.save(served, str(tmp_path))
  loaded = tf.saved_model.load(str(tmp_path))
  _agrees(kind, loaded(tf.constant(_QUERIES)), _best(_QUERIES, table), _NAMES)


def test_every_kind_of_the_registry_is_made_of_a_config(mirrored):
  table = _rows(1)
  for name in INDEXES:
    kind = _kinds(mirrored)[name]
    index = INDEXES[name].from_config(IndexConfig(kind=name), _ROWS, tf.float32)
    index.assign(index.prepare(table), 3)
    assert int(index.step) == 3
    _agrees(kind, index.search(tf.constant(_QUERIES), _K), _best(_QUERIES, table))
    assert bool(index.facts()) != index.is_exact()


def test_an_index_in_the_graph_is_not_swapped():
  served = ScannIndex().index(_rows(1)).for_export()
  for swap in (lambda: served.assign(_rows(2), 1), lambda: served.update_candidates(_rows(2)),
               lambda: served.index(_rows(2)), served.restored):
    with pytest.raises(TypeError, match="make another one"):
      swap()
  _agrees(Kind(ScannIndex, False), served(_QUERIES, k=_K), _best(_QUERIES, _rows(1)))


class ByProduct(ExactIndex):
  """An index of one's own: it is sized, swapped, saved and named as all are."""

  def search(self, queries, k, banned=None):
    scores = tf.matmul(queries, tf.cast(self.table, tf.float32), transpose_b=True)
    rows = tf.zeros_like(scores, tf.int32) + tf.range(tf.shape(scores)[1])
    if banned is None:
      banned = tf.zeros([tf.shape(scores)[0], 0], tf.int32)
    return best_of(scores, rows, k, banned)


def test_a_kind_of_ones_own(tmp_path):
  INDEXES.register("by_product", ByProduct)
  try:
    config = tiny.make_config(tmp_path, index__kind="by_product")
    assert rows_to_read(config, _ROWS, tf.distribute.get_strategy()) == slice(0, _ROWS)
    index = build_index(config, _rows(1), 3)
    assert isinstance(index, ByProduct) and int(index.step) == 3
    kind = Kind(ByProduct)
    _agrees(kind, index(_QUERIES, k=_K), _best(_QUERIES, _rows(1)))
    test_exclusions_by_row(kind)
    test_swaps_in_place_never_retrace(kind)
    test_a_saved_model(kind, True, tmp_path / "export")
  finally:
    INDEXES._values.pop("by_product")  # pylint: disable=protected-access
  with pytest.raises(UserError, match="config.index.kind: expected one of exact, scann, sh"):
    tiny.make_config(tmp_path, index__kind="by_product")
