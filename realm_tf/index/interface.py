"""What every index is: TFRS's `TopK`, over rows that can be swapped.

Shape letters: B batch, K results, N rows, D projection, R banned rows.
"""

import abc

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs


class RowIndex(tfrs.layers.factorized_top_k.TopK):
  """Maximum inner product search whose identifiers are row numbers.

  Attributes:
    step: int64 variable: the model step whose document tower made the rows; -1 before
      the first.
    share: [first, end) of the rows that this process holds, which are all that it
      prepares and assigns; None where it holds all.
  """
  step: tf.Variable
  share: tuple[int, int] | None = None

  def prepare(self, embeddings: np.ndarray):
    """The slow part of a swap, on any thread: what `assign` takes for [N, D] rows."""
    return embeddings

  @abc.abstractmethod
  def assign(self, prepared, step: int) -> None:
    """Swaps in what `prepare` made of the rows of training step `step`."""

  @abc.abstractmethod
  def search(self, queries: tf.Tensor, k, banned: tf.Tensor | None = None
             ) -> tuple[tf.Tensor, tf.Tensor]:
    """[B, D] -> scores [B, K] float32, descending, and rows [B, K] int32.

    Rows in `banned` [B, R] int32 are passed over (-1 bans nothing), and K still come
    back.
    """

  @abc.abstractmethod
  def gather(self, rows: tf.Tensor) -> tf.Tensor:
    """The stored embeddings of rows [...] int32: [..., D] float32."""

  @abc.abstractmethod
  def rows(self) -> np.ndarray:
    """A copy of the stored embeddings, [N, D], or this process's share of them."""

  def measure_with(self, queries: np.ndarray) -> None:
    """Queries [Q, D] by which `prepare` measures an index that is not exact."""

  def restored(self) -> None:
    """To be called when a checkpoint was restored into this index."""

  def index(self, candidates: tf.Tensor, identifiers: tf.Tensor | None = None):
    """The TopK interface: swaps in `candidates` [N, D]; identifiers are the rows."""
    if identifiers is not None:
      raise ValueError("identifiers are row numbers; look yours up by them")
    self.assign(self.prepare(np.asarray(candidates)), int(self.step))
    return self

  def call(self, queries: tf.Tensor, k: int | None = None
           ) -> tuple[tf.Tensor, tf.Tensor]:
    """[B, D] -> scores [B, K] float32, descending, and rows [B, K] int32."""
    return self.search(queries, self._k if k is None else k)

  def query_with_exclusions(self, queries: tf.Tensor, exclusions: tf.Tensor,
                            k: int | None = None) -> tuple[tf.Tensor, tf.Tensor]:
    """The TopK interface's name for a search with banned rows [B, R]."""
    return self.search(queries, self._k if k is None else k, exclusions)
