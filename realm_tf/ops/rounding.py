"""Kernels in eight bits, each column by a scale of its own.

What is lost may be told apart from what matters by the rows that a kernel will multiply:
GPTQ (Frantar et al. 2023, arXiv 2210.17323) rounds one depth after another, and lets the
depths that are still to come make up for the error so far. That costs nothing when the
kernel multiplies. Shape letters: L layers, [K, M] a kernel.
"""

import numpy as np

_MOST = 127
_AT_ONCE = 64  # depths whose errors are passed on together
# Of the mean of a Gram matrix's diagonal: few rows do not say all.
_DAMPING = 0.01


def rounded(kernels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """[L, K, M] float32 -> the nearest int8 and the scale of each column, [L, M] float32."""
  scales = _scales(kernels)
  return np.rint(kernels / scales[:, None]).astype(np.int8), scales


def rounded_for(kernels: np.ndarray, grams: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """The same, so that products with certain rows stay as they are.

  Args:
    kernels: [L, K, M] float32.
    grams: [L, K, K], X' X of the rows X [.., K] that each kernel multiplies.
  """
  scales = _scales(kernels)
  return np.stack([_rounded_for(*layer) for layer in zip(kernels, grams, scales,
                                                         strict=True)]), scales


def _scales(kernels: np.ndarray) -> np.ndarray:
  scales = np.abs(kernels).max(1) / np.float32(_MOST)
  return np.where(scales > 0, scales, 1)


def _rounded_for(kernel: np.ndarray, gram: np.ndarray, scale: np.ndarray) -> np.ndarray:
  order = np.argsort(-np.diag(gram), kind="stable")  # the largest first, while all can help
  left = kernel[order].astype(np.float32)
  shares = _shares(gram[np.ix_(order, order)])
  whole = np.empty(kernel.shape, np.int8)
  for first in range(0, len(left), _AT_ONCE):
    end = min(first + _AT_ONCE, len(left))
    errors = np.empty_like(left[first:end])
    for depth in range(first, end):
      whole[order[depth]] = nearest = np.clip(np.rint(left[depth] / scale), -_MOST, _MOST)
      errors[depth - first] = (left[depth] - nearest * scale) / shares[depth, depth]
      left[depth + 1:end] -= np.outer(shares[depth, depth + 1:end], errors[depth - first])
    left[end:] -= shares[first:end, end:].T @ errors
  return whole


def _shares(gram: np.ndarray) -> np.ndarray:
  """[K, K] upper triangular: U of the inverse U' U, by which an error is passed on."""
  damped = gram.astype(np.float64)
  damped[np.diag_indices(len(gram))] += _DAMPING * np.diag(damped).mean() or 1
  return np.linalg.cholesky(np.linalg.inv(damped)).T.astype(np.float32)
