"""Embeds a corpus by Apache Beam: a shard at a time, on whatever runs its pipelines.

Workers write shards into the folder of the version that is being made, which all of them
must see; this process looks at each and commits. A shard that is written twice, as Beam
may do, is the same file.
"""

import functools
import pathlib
import time
from typing import Any, Callable, Iterator

import apache_beam as beam
from apache_beam.utils.shared import Shared

from realm_tf.corpus.beam_pipeline import make_pipeline
from realm_tf.corpus.store import Corpus
from realm_tf.files import PathLike
from realm_tf.index.embed import CorpusEmbedder, OnRows, stored_rows
from realm_tf.index.index_writer import IndexWriter, write_shard
from realm_tf.index.stored_index import Origin, StoredIndex

OpenWorker = Callable[[], tuple[Corpus, CorpusEmbedder]]
_ROWS_PER_SHARD = 8192  # enough for a batch of each length, few enough to share out


class _Worker:
  """One for each process: Beam makes a `DoFn` for each of its threads."""

  def __init__(self, open_worker: OpenWorker):
    self.corpus, self.embedder = open_worker()


class _EmbedShard(beam.DoFn):
  """(path, first, end) -> how many live rows the shard has that was written there."""

  def __init__(self, open_worker: OpenWorker, dtype: str):
    self._open_worker, self._dtype, self._shared = open_worker, dtype, Shared()

  def setup(self) -> None:
    self._worker = self._shared.acquire(functools.partial(_Worker, self._open_worker))

  def process(self, shard: tuple[pathlib.Path, int, int]) -> Iterator[int]:
    path, first, end = shard
    rows, live = stored_rows(self._worker.corpus, self._worker.embedder, first, end)
    write_shard(path, rows, self._dtype, first)
    yield live


def store_embeddings_by_beam(root: PathLike, name: str, corpus: Corpus,
                             embedder: CorpusEmbedder, *, step: int, dtype: str,
                             open_worker: OpenWorker, options: str = "",
                             on_rows: OnRows = lambda count: None, **facts: Any
                             ) -> StoredIndex:
  """`embed.store_embeddings` by a pipeline; needs `write_lock`.

  Args:
    root, name, corpus, embedder, step, dtype, facts: see there.
    open_worker: gives a worker the corpus and an embedder with the same weights as
      `embedder`; it is sent there.
    options: of the pipeline, as on a command line: "--runner=FlinkRunner ...".
    on_rows: called once with the number of all rows; may raise, and nothing is committed.
  """
  begun = time.monotonic()
  origin = Origin(corpus.rows_hash, embedder.encoder_hash, step, dtype)
  writer = IndexWriter(root, name, origin, (corpus.num_stored_rows, embedder.size),
                       rows_per_shard=_ROWS_PER_SHARD)
  shards: list[tuple[pathlib.Path, int, int]] = []
  first = writer.num_written
  while first < corpus.num_stored_rows:
    end = min(first + _ROWS_PER_SHARD, corpus.num_stored_rows)
    shards.append((writer.next_shard(len(shards)), first, end))
    first = end
  with make_pipeline(options) as pipeline:
    _ = (pipeline | beam.Create(shards) | beam.Reshuffle()
         | beam.ParDo(_EmbedShard(open_worker, dtype)))
  for _, first, end in shards:
    writer.adopt(end - first)
  on_rows(corpus.num_blocks)
  rate = corpus.num_blocks / max(1e-9, time.monotonic() - begun)
  return writer.commit(rows_per_second=rate, **facts)
