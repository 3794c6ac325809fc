"""Refreshes the index of a `Realm` while Keras's `fit` trains it."""

from typing import Any, Callable

import numpy as np
import tf_keras

from realm_tf.index.embed import CorpusEmbedder, collect_rows
from realm_tf.refresh.refresher import Refresher


class RefreshIndex(tf_keras.callbacks.Callback):
  """Embeds the documents anew now and then, in a thread, and swaps them in between steps.

  What `refresh.mode` "async" and "sync" do for the command; see `refresh.refresher` for the
  staleness bound. When training begins and when it has ended, the index is of the model as
  it is. `fit` reports `index_step` and `index_staleness`, of the end of an epoch, to the
  callbacks that stand after it.

  Args:
    refresh_every: steps from the start of one refresh to that of the next.
    max_staleness: steps by which an index may be behind; by default twice as many.
    wait: let training wait for every refresh.
    is_fresh: the index is of the model as it is already; it is not made when training
      begins.
    stays_stale: the index is left as it is when training has ended.
    batch_tokens: word pieces that are embedded at a time.
    **options: of `refresh.refresher.Refresher`.
  """

  def __init__(self, refresh_every: int = 500, max_staleness: int | None = None,
               wait: bool = False, is_fresh: bool = False, stays_stale: bool = False,
               batch_tokens: int = 8192, **options: Any):
    super().__init__()
    self._options = options | {
        "refresh_every": refresh_every, "wait": wait,
        "max_staleness": 2 * refresh_every if max_staleness is None else max_staleness}
    self._is_fresh, self._stays_stale = is_fresh, stays_stale
    self._batch_tokens = batch_tokens

  def on_train_begin(self, logs=None) -> None:
    del logs
    documents, retriever = self.model.documents, self.model.retriever
    self._embedder = CorpusEmbedder(documents.passages, self.model.make_tower,
                                    retriever.document_length, self._batch_tokens)
    self._refresher = Refresher(documents.index, self._snapshot, self._embed,
                                index_step=self._step(), **self._options)
    if not self._is_fresh:
      self._refresh()

  def on_train_batch_begin(self, batch, logs=None) -> None:
    del batch, logs
    self._refresher.update(self._step())

  def on_epoch_end(self, epoch, logs=None) -> None:
    del epoch
    if logs is not None:
      metrics = self._refresher.metrics(self._step())
      logs.update({name: metrics[name] for name in ("index_step", "index_staleness")})

  def on_train_end(self, logs=None) -> None:
    del logs
    self._refresher.close()
    if not self._stays_stale:
      self._refresh()

  def _step(self) -> int:
    return int(self.model.optimizer.iterations.numpy())  # `int` takes no replica's copies

  def _snapshot(self) -> None:
    self._embedder.snapshot(self.model.retriever.document_tower)

  def _embed(self, check: Callable[[int], None]) -> np.ndarray:
    return collect_rows(self._embedder.batches(), self._embedder.num_rows, check)

  def _refresh(self) -> None:
    """On this thread, which waits for it."""
    self._snapshot()
    index = self.model.documents.index
    index.assign(index.prepare(self._embed(lambda count: None)), self._step())
