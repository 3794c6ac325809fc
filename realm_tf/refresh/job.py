"""A refresh as a process of its own: follows checkpoints, commits whole versions.

It reads what a trainer saves and writes what trainers read; both sides see whole files
only, so either may be killed at any moment and started again.
"""

import pathlib
import time
from typing import Callable

import tensorflow as tf
from absl import logging

from realm_tf.corpus.store import Corpus
from realm_tf.errors import UserError
from realm_tf.index import stored_index
from realm_tf.index.embed import CorpusEmbedder, store_embeddings
from realm_tf.index.index_writer import remove_all_but, write_lock
from realm_tf.index.stored_index import StoredIndex
from realm_tf.models.realm import Realm

_KEPT_VERSIONS = 2  # the newest, and the one that a trainer may still be reading


class RefreshJob:
  """Embeds the corpus by each new checkpoint's document tower.

  Args:
    checkpoints: the trainer's folder of checkpoints.
    root: where versions are committed.
    corpus: what is embedded.
    model: of the trainer's shape; checkpoints are read into it.
    embedder: of the same corpus.
    dtype: of the stored rows.
    store: embeds and commits a version: here, or on other machines (`index.beam`).
  """

  def __init__(self, checkpoints: pathlib.Path, root: pathlib.Path, corpus: Corpus,
               model: Realm, embedder: CorpusEmbedder, dtype: str,
               store: Callable[..., StoredIndex] = store_embeddings):
    self._store_embeddings = store
    self._checkpoints, self._root, self._dtype = checkpoints, root, dtype
    self._corpus, self._model, self._embedder = corpus, model, embedder
    self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
    self._embedded: str | None = None  # the checkpoint that was embedded last
    self._checkpoint = tf.train.Checkpoint(step=self._step, model=model)

  def run(self, stopping: Callable[[], bool], is_trained: Callable[[], bool],
          look_every: float = 1.0, sleep: Callable[[float], None] = time.sleep) -> int:
    """Follows the checkpoints until training is done; returns how many it embedded.

    Raises:
      UserError: another job works here, a checkpoint is damaged, or the tower's
        embeddings are not finite. No version was lost or half written.
    """
    count = 0
    with write_lock(self._root):
      while not stopping():
        last = is_trained()  # asked first, so that the last checkpoint is not missed
        if self.refresh(stopping):
          count += 1
        elif last:
          break
        else:
          sleep(look_every)
    return count

  def refresh(self, stopping: Callable[[], bool] = lambda: False) -> StoredIndex | None:
    """Embeds by the newest checkpoint, if none has yet; needs the lock."""
    newest = tf.train.latest_checkpoint(str(self._checkpoints))
    if newest in (None, self._embedded) or not self._restore(newest):
      return None
    step = int(self._step)
    version = None
    if not stored_index.find_version(
        self._root, {self._corpus.rows_hash: self._corpus.num_stored_rows},
        after_step=step - 1):
      try:
        version = self._store(step, _time_of(newest), stopping)
      except _Stopped:
        return None
      logging.info("index of step %d: %d rows, %.0f rows/s", step, version.num_rows,
                   version.facts["rows_per_second"])
      self._remove_old()
    self._embedded = newest
    return version

  def _store(self, step: int, saved: float, stopping: Callable[[], bool]) -> StoredIndex:
    self._embedder.snapshot(self._model.retriever.document_tower)

    def on_rows(count: int) -> None:
      if stopping():
        raise _Stopped()

    name = f"step-{step:08d}-{self._embedder.encoder_hash[:8]}"
    return self._store_embeddings(
        self._root, name, self._corpus, self._embedder, step=step, dtype=self._dtype,
        on_rows=on_rows, weights_of=saved)

  def _restore(self, path: str) -> bool:
    """Reads a checkpoint; false if the trainer has meanwhile replaced it."""
    try:
      self._checkpoint.restore(path).expect_partial()
      return True
    except tf.errors.NotFoundError:
      return False
    except (tf.errors.OpError, ValueError) as error:
      if not pathlib.Path(f"{path}.index").exists():
        return False
      raise UserError(f"{path}: cannot be read: damaged, or of another model "
                      f"({str(error).splitlines()[0][:200]}); start the trainer, which "
                      "says how to go on from the one before") from error

  def _remove_old(self) -> None:
    steps = sorted(StoredIndex.open(path).origin.step
                   for path in stored_index.index_versions(self._root))
    oldest = steps[-_KEPT_VERSIONS:][0]
    remove_all_but(self._root, lambda other: other.origin.step >= oldest)


class _Stopped(Exception):
  """Raised between two batches when the job was asked to stop."""


def _time_of(checkpoint: str) -> float:
  try:
    return pathlib.Path(f"{checkpoint}.index").stat().st_mtime
  except FileNotFoundError:
    return time.time()
