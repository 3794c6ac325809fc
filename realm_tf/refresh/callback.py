"""The asynchronous index refresh as a callback of Keras's `fit`."""

from typing import Any, Callable

import numpy as np
import tf_keras

from realm_tf.index.embed import CorpusEmbedder, collect
from realm_tf.refresh.refresher import Refresher
from realm_tf.refresh.throttle import Throttle


class RefreshIndex(tf_keras.callbacks.Callback):
  """Keeps the index of a `Realm` fresh while `fit` trains it (REALM, section 3.3).

  A thread embeds the documents by a copy of the document tower, and between two steps the
  new table takes the place of the old one. The law: step - index.step <= max_staleness.

  Args:
    every: steps from one refresh to the next.
    max_staleness: steps; where the law would not hold, training waits. By default twice
      `every`.
    wait: whether training waits for every refresh.
    share: of the time that the thread works; 1 never rests.
    batch_tokens: word pieces that are embedded at a time.
  """

  def __init__(self, every: int, max_staleness: int | None = None, wait: bool = False,
               share: float = 0.5, batch_tokens: int = 8192):
    super().__init__()
    self._every, self._max_staleness = every, max_staleness or 2 * every
    self._wait, self._throttle, self._batch_tokens = wait, Throttle(share), batch_tokens
    self._step = 0
    self._refresher: Refresher | None = None

  @property
  def swaps(self) -> int:
    """How often the index was replaced in the `fit` that ran last."""
    return self._refresher.swaps if self._refresher else 0

  def on_train_begin(self, logs: Any = None) -> None:
    retriever, documents = self.model.retriever, self.model.documents
    embedder = CorpusEmbedder(documents.passages, self.model.make_tower,
                              retriever.document_length, self._batch_tokens)

    def embed(check: Callable[[int], None]) -> np.ndarray:
      return collect(embedder.batches(), embedder.num_rows, check)

    self._step = int(documents.index.step)
    self._refresher = Refresher(
        documents.index, lambda: embedder.snapshot(retriever.document_tower), embed,
        refresh_every=self._every, max_staleness=self._max_staleness, wait=self._wait,
        throttle=self._throttle)
    self._refresher.start(self._step, self._step)

  def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
    assert self._refresher is not None
    self._refresher.update(self._step)
    self._step += 1

  def on_train_end(self, logs: Any = None) -> None:
    assert self._refresher is not None
    self._refresher.close()
