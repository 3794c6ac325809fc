"""Refreshes the index of a `Realm` while Keras's `fit` trains it."""

from typing import Any, Callable

import numpy as np
import tf_keras

from realm_tf.index.embed import CorpusEmbedder, collect
from realm_tf.refresh.refresher import Refresher


class RefreshIndex(tf_keras.callbacks.Callback):
  """Embeds the documents anew now and then, in a thread, and swaps them in between steps.

  What `pretrain.refresh` "async" and "sync" do for the command; see `refresh.refresher` for
  the law of staleness. `fit` reports `index_step` and `index_staleness`, of the end of an
  epoch, to the callbacks that stand after it.

  Args:
    refresh_every: steps from the start of one refresh to that of the next.
    max_staleness: steps by which an index may be behind; by default twice as many.
    wait: let training wait for every refresh.
    is_fresh: whether the index is already of the model as it is when training begins; if
      not, that is seen to first.
    batch_tokens: word pieces that are embedded at a time.
    **options: of `refresh.refresher.Refresher`.
  """

  def __init__(self, refresh_every: int = 500, max_staleness: int | None = None,
               wait: bool = False, is_fresh: bool = False, batch_tokens: int = 8192,
               **options: Any):
    super().__init__()
    self._options = options | {
        "refresh_every": refresh_every, "wait": wait,
        "max_staleness": 2 * refresh_every if max_staleness is None else max_staleness}
    self._is_fresh, self._batch_tokens = is_fresh, batch_tokens

  def on_train_begin(self, logs=None) -> None:
    del logs
    documents, tower = self.model.documents, self.model.retriever.document_tower
    embedder = CorpusEmbedder(documents.passages, self.model.make_tower,
                              self.model.retriever.document_length, self._batch_tokens)

    def embed(check: Callable[[int], None]) -> np.ndarray:
      return collect(embedder.batches(), embedder.num_rows, check)

    self._refresher = Refresher(documents.index, lambda: embedder.snapshot(tower), embed,
                                **self._options)
    self._refresher.start(self._step(), self._step() if self._is_fresh else None)

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

  def _step(self) -> int:
    return int(self.model.optimizer.iterations)
