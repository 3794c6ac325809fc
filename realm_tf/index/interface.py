"""What every index is: TFRS's `TopK`, over rows that can be swapped.

    index = ExactIndex(query_model).index(candidates, identifiers)
    scores, found = index(queries, k=10)
    index.update_candidates(new_candidates)  # in place: nothing is traced again

A new kind is a subclass, registered in `realm_tf.registry.INDEXES`: see docs/extending.md.

Shape letters: B batch, K results, N rows, D projection, E banned rows
or exclusions.
"""

import abc
from typing import Any, Callable, Self

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from realm_tf.config import IndexConfig
from realm_tf.distribute.strategy import outside_scopes
from realm_tf.index.merge import first_of

QueryModel = Callable[[Any], tf.Tensor]


class RowIndex(tfrs.layers.factorized_top_k.TopK):
  """Maximum inner product search over a table of rows.

  It has the size of the first rows that it is given. Identifiers are row numbers, unless
  others are given to `index`; `search`, `gather` and bans are by row numbers always.

  Attributes:
    query_model: makes embeddings [B, D] of what `call` is given; None where those are given.
    identifiers: [N] variable of integers or strings, or None.
    step: int64 variable: the model step whose document tower made the rows; -1 before
      the first.
    share: [first, end) of the rows that this process holds, which are all that it
      prepares and assigns; None where it holds all.
  """
  step: tf.Variable
  share: tuple[int, int] | None = None

  def __init__(self, query_model: QueryModel | None = None, k: int = 10,
               name: str | None = None, dtype: tf.DType = tf.float32):
    """Makes an index of no rows.

    Args:
      query_model: see the class.
      k: how many rows `call` returns by default.
      name: of the layer.
      dtype: of the stored rows, float32 or bfloat16.
    """
    super().__init__(k, name=name)
    if query_model is not None and not callable(query_model):
      raise TypeError(f"query_model: expected a model or function, got {query_model!r}")
    self.query_model, self.row_dtype = query_model, tf.as_dtype(dtype)
    self.identifiers: tf.Variable | None = None
    self.step = host_variable(tf.constant(-1, tf.int64), "index_step")

  # What a kind is.

  @classmethod
  def from_config(cls, config: IndexConfig, num_rows: int, dtype: tf.DType,
                  strategy: tf.distribute.Strategy | None = None) -> "RowIndex":
    """The index of this kind that a run's config asks for, of no rows yet.

    Args:
      config: `config.index`.
      num_rows: N, of all processes.
      dtype: of the stored rows.
      strategy: by which the run trains.

    Raises:
      UserError: it cannot be had here.
    """
    del config, num_rows, strategy
    return cls(dtype=dtype)

  @classmethod
  def rows_held(cls, num_rows: int, strategy: tf.distribute.Strategy) -> slice:
    """Which of N rows this process is to be given: all, unless processes share them."""
    del strategy
    return slice(0, num_rows)

  def prepare(self, embeddings: np.ndarray | tf.Tensor) -> Any:
    """The slow part of a swap, on any thread: what `assign` takes for [N, D] rows."""
    return embeddings

  @abc.abstractmethod
  def assign(self, prepared: Any, step: int) -> None:
    """Swaps in what `prepare` made of the rows of training step `step`.

    The first rows give the index its size; their memory is shared if they are a tensor.
    """

  @abc.abstractmethod
  def search(self, queries: tf.Tensor, k, banned: tf.Tensor | None = None
             ) -> tuple[tf.Tensor, tf.Tensor]:
    """[B, D] -> scores [B, K] float32, descending, and rows [B, K] int32.

    Rows in `banned` [B, E] int32 are passed over (-1 bans nothing), and K still come
    back.
    """

  @abc.abstractmethod
  def gather(self, rows: tf.Tensor) -> tf.Tensor:
    """The stored embeddings of rows [...] int32: [..., D] float32."""

  @abc.abstractmethod
  def rows(self) -> np.ndarray:
    """A copy of the stored embeddings, [N, D], or this process's share of them."""

  @property
  @abc.abstractmethod
  def table_shape(self) -> tuple[int, int] | None:
    """(N, D), of all processes together; None before the first rows."""

  @abc.abstractmethod
  def forget(self) -> None:
    """Makes it an index of no rows."""

  def measure_with(self, queries: np.ndarray) -> None:
    """Queries [Q, D] by which `prepare` measures an index that is not exact."""

  def facts(self) -> dict[str, float]:
    """Of an index that is not exact: how it was made, and what share it finds."""
    return {}

  def restored(self) -> None:
    """To be called when a checkpoint was restored into this index."""

  def for_export(self) -> "RowIndex":
    """An index of the same rows and answers that a SavedModel can hold, never swapped."""
    return self

  # TFRS's interface.

  def index(self, candidates: tf.Tensor, identifiers: tf.Tensor | None = None) -> Self:
    """Holds these candidates from now on.

    In place, if they are as many as before; else functions that search are to be traced
    anew.

    Args:
      candidates: [N, D].
      identifiers: [N] integers or strings that `call` returns; row numbers by default.
    """
    candidates, identifiers = _checked(candidates, identifiers)
    if self.table_shape not in (None, tuple(candidates.shape)):
      self.forget()
    self.assign(self.prepare(candidates), int(self.step))
    if identifiers is None or self.identifiers is None or (
        self.identifiers.shape != identifiers.shape
        or self.identifiers.dtype != identifiers.dtype):
      self.identifiers = None if identifiers is None else host_variable(
          identifiers, "identifiers")
    else:
      self.identifiers.assign(identifiers)
    return self

  def update_candidates(self, candidates: tf.Tensor, identifiers: tf.Tensor | None = None
                        ) -> None:
    """Replaces candidates [N, D] in place, and identifiers [N] if they are given.

    Raises:
      ValueError: they are not as many as there are, or of another size or type.
    """
    candidates, identifiers = _checked(candidates, identifiers)
    if tuple(candidates.shape) != self.table_shape:
      raise ValueError(f"candidates: expected {list(self.table_shape or [])}, as there are, "
                       f"got {candidates.shape}; `index` takes others")
    prepared = self.prepare(candidates)
    if identifiers is not None:
      if self.identifiers is None or self.identifiers.dtype != identifiers.dtype:
        raise ValueError("identifiers: there are none, or of another type; `index` takes "
                         "others")
      self.identifiers.assign(identifiers)
    self.assign(prepared, int(self.step))

  def call(self, queries: Any, k: int | None = None) -> tuple[tf.Tensor, tf.Tensor]:
    """[B, D], or what `query_model` takes -> scores [B, K] float32, identifiers [B, K].

    Raises:
      ValueError: there are no rows yet.
    """
    scores, rows = self.search(self._embedded(queries), self._k if k is None else k)
    return scores, rows if self.identifiers is None else tf.gather(self.identifiers, rows)

  def query_with_exclusions(self, queries: Any, exclusions: tf.Tensor, k: int | None = None
                            ) -> tuple[tf.Tensor, tf.Tensor]:
    """As `call`, without the candidates of identifiers [B, E]; K still come back.

    If identifiers are row numbers, what is no row excludes none. Others should be of one
    candidate each: E more than K candidates are looked at.
    """
    embedded, k = self._embedded(queries), self._k if k is None else k
    if self.identifiers is None:
      return self.search(embedded, k, tf.cast(exclusions, tf.int32))
    exclusions = tf.cast(exclusions, self.identifiers.dtype)
    most = tf.shape(self.identifiers)[0]
    scores, rows = self.search(
        embedded, tf.minimum(k + tf.shape(exclusions)[1], most))
    identifiers = tf.gather(self.identifiers, rows)
    excluded = tf.reduce_any(tf.equal(identifiers[:, :, None], exclusions[:, None]), 2)
    return first_of(scores, identifiers, excluded, k)

  def _embedded(self, queries: Any) -> tf.Tensor:
    if self.table_shape is None:
      raise ValueError(f"{self.name}: there are no candidates yet; call `index`")
    return tf.convert_to_tensor(
        queries if self.query_model is None else self.query_model(queries))


def host_variable(value: tf.Tensor, name: str, device: str = "CPU") -> tf.Variable:
  """A variable of one copy, also where an index is made in the scope of a strategy."""
  def make() -> tf.Variable:
    with tf.device(device):
      return tf.Variable(value, trainable=False, name=name)
  return outside_scopes(make)


def _checked(candidates: tf.Tensor, identifiers: tf.Tensor | None
             ) -> tuple[tf.Tensor, tf.Tensor | None]:
  candidates = tf.convert_to_tensor(candidates)
  if candidates.shape.rank != 2:
    raise ValueError(f"candidates: expected [N, D], got {candidates.shape}")
  if identifiers is not None:
    identifiers = tf.convert_to_tensor(identifiers)
    if identifiers.shape != candidates.shape[:1]:
      raise ValueError(f"identifiers: expected [{candidates.shape[0]}], one for each "
                       f"candidate, got {identifiers.shape}")
  return candidates, identifiers

