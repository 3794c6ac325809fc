"""What keeps the index of a pre-training fresh, in the way that its config names."""

import pathlib
from typing import Any, Callable

import numpy as np

from realm_tf.config import RealmConfig
from realm_tf.corpus.store import Corpus
from realm_tf.distribute.processes import SINGLE_PROCESS, process_group
from realm_tf.index.embed import CorpusEmbedder, collect_rows, find_or_store
from realm_tf.index.index_writer import remove_all_but, write_lock
from realm_tf.index.interface import RowIndex
from realm_tf.models.realm import Realm
from realm_tf.refresh.follower import Follower
from realm_tf.refresh.monitor import SwapMonitor
from realm_tf.refresh.refresher import NoRefresh, Refresher
from realm_tf.refresh.throttle import Throttle

Refresh = Refresher | Follower | NoRefresh


def make_refresher(config: RealmConfig, index: RowIndex, model: Realm, corpus: Corpus,
                   embedder: CorpusEmbedder, root: pathlib.Path, monitor: SwapMonitor,
                   stopping: Callable[[], bool]) -> Refresh:
  """Makes the refresh that `config.refresh.mode` names.

  Args:
    config: of the run.
    index: refreshed in place.
    model: whose document tower is trained.
    corpus: what is embedded.
    embedder: of the corpus, by a copy of the tower.
    root: where versions are, a refresh job's or its own.
    monitor: measures each swap.
    stopping: whether training has been asked to stop.
  """
  settings = config.refresh
  if settings.mode in ("frozen", "rerank"):
    return NoRefresh(int(index.step))
  options: dict[str, Any] = {
      "max_staleness": settings.max_staleness, "on_stale": settings.on_stale,
      "swap": monitor.swap, "stopping": stopping,
      "processes": process_group(model.strategy) if index.share else SINGLE_PROCESS}
  first, end = index.share or (0, corpus.num_blocks)
  if settings.mode == "job":
    return Follower(index, root, corpus.rows_by_hash, corpus.stored_rows[first:end],
                    **options)

  def snapshot() -> None:
    embedder.snapshot(model.retriever.document_tower)
    index.measure_with(monitor.queries())

  def embed(check: Callable[[int], None]) -> np.ndarray:
    if index.share:
      return collect_rows(embedder.batches(first, end), end - first, check, first)
    # On disk, so that training which is killed meanwhile goes on with the shards that it has.
    encoder = embedder.encoder_hash
    stored = find_or_store(root, corpus, encoder, lambda: embedder, config.embedding_dtype,
                           check)
    with write_lock(root, wait=True):
      remove_all_but(root, lambda other: other.folder == stored.folder)
    return stored.read(corpus.stored_rows)

  return Refresher(index, snapshot, embed, index_step=int(index.step),
                   refresh_every=settings.every, wait=settings.mode == "sync",
                   throttle=Throttle(settings.share), **options)
