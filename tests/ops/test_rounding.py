"""Eight bits that are chosen by the rows that a kernel multiplies."""

import numpy as np
import tensorflow as tf

from realm_tf.models.bert import Bert, BertConfig
from realm_tf.models.multiplied import gram_matrices
from realm_tf.ops import portable, rounding, transformer


def _kernels_and_rows(layers=2, depth=150, width=40, rows=400):
  """Rows whose columns follow each other, as those of a model do."""
  rng = np.random.default_rng(0)
  kernels = rng.normal(size=[layers, depth, width]).astype(np.float32)
  x = rng.normal(size=[layers, rows, 20]) @ rng.normal(size=[layers, 20, depth])
  return kernels, (x + .3 * rng.normal(size=x.shape)).astype(np.float32)


def _error(kernels, rows, whole, scales):
  return float(np.square(rows @ (whole * scales[:, None]) - rows @ kernels).mean())


def test_products_with_such_rows_stay_as_they_are():
  kernels, rows = _kernels_and_rows()
  seen, others = rows[:, :200], rows[:, 200:]
  grams = seen.transpose(0, 2, 1) @ seen
  nearest, chosen = rounding.rounded(kernels), rounding.rounded_for(kernels, grams)
  assert chosen[0].dtype == np.int8 and (chosen[1] == nearest[1]).all()
  assert _error(kernels, others, *chosen) < _error(kernels, others, *nearest) / 3


def test_where_nothing_can_make_up_for_an_error_the_nearest_is_chosen():
  kernels, _ = _kernels_and_rows()
  kernels[:, :, 0] = 0
  for diagonal in (np.ones(150), np.zeros(150), np.arange(150)):
    whole, scales = rounding.rounded_for(kernels, np.stack([np.diag(diagonal)] * 2))
    np.testing.assert_array_equal(whole, rounding.rounded(kernels)[0])
    np.testing.assert_array_equal(scales, rounding.rounded(kernels)[1])


def test_the_rows_are_those_that_the_layers_multiply(monkeypatch):
  bert = Bert(BertConfig(50, 12, 2, 3, 20))
  for variable in bert.variables:
    variable.assign(np.random.default_rng(1).normal(size=variable.shape, scale=.3))
  rng = np.random.default_rng(2)
  mask = np.arange(9)[None] < np.array([9, 4, 1])[:, None]
  batch = (tf.constant(rng.integers(50, size=mask.shape), tf.int32), tf.constant(mask),
           tf.constant(rng.integers(2, size=mask.shape), tf.int32))
  grams = gram_matrices(bert, [batch, batch])
  multiplied, product = [], transformer.Portable.product

  def recorded(x, kernel):
    multiplied.append(x.numpy()[mask.ravel()].astype(np.float64))
    return product(x, kernel)

  monkeypatch.setattr(transformer.Portable, "product", staticmethod(recorded))
  with portable():
    bert(*batch)
  assert len(multiplied) == 8
  for number, x in enumerate(multiplied):
    np.testing.assert_allclose(grams[number % 4][number // 4], 2 * x.T @ x, rtol=1e-3,
                               atol=1e-4)
