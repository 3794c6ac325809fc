"""Embeds the corpus: every block through the document tower, longest first.

Blocks of like length share a batch of a fixed number of word pieces, so little is
padded. Shape letters: N blocks, D projection.
"""

import hashlib
import time
from typing import Any, Callable, Iterator

import numpy as np
import tensorflow as tf

from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.files import PathLike
from realm_tf.index.exact import ExactIndex
from realm_tf.index.index_writer import IndexWriter, remove_all_but, write_lock
from realm_tf.index.stored_index import (
  NotFinite,
  Origin,
  StoredIndex,
  find_version,
  version_name,
)
from realm_tf.models.retriever import Retriever
from realm_tf.models.tower import Tower
from realm_tf.ops import compiling
from realm_tf.text.batching import length_batches

OnRows = Callable[[int], None]

_COMPILED_MULTIPLE = 64  # of lengths, where XLA compiles: each is compiled for, seconds


def encoder_hash(tower: Tower) -> str:
  """The SHA-256 of a document tower's weights."""
  digest = hashlib.sha256()
  for variable in tower.variables:
    digest.update(variable.numpy().tobytes())
  return digest.hexdigest()


class CorpusEmbedder:
  """Embeds all blocks by a document tower that `make_tower` gives.

  If that is a copy, `snapshot` gives it the weights of the live tower, and `batches` may
  then run on another thread while the live one trains.
  """

  def __init__(self, passages: Passages, make_tower: Callable[[], Tower],
               document_length: int, batch_tokens: int):
    self._passages = passages
    self._tower = make_tower()
    self._batch_tokens = batch_tokens
    self._compiles = compiling.compiles(self._tower.bert.config.hidden_size)
    multiple = _COMPILED_MULTIPLE if self._compiles else 8
    lengths = passages.document_lengths
    if self._compiles:
      lengths = -(-lengths // multiple) * multiple
    self._lengths = np.minimum(lengths, document_length)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)])
    def embed(rows: tf.Tensor) -> tf.Tensor:
      return self._tower(passages.documents(rows, document_length, multiple))

    self._embed = embed

  def embed(self, rows: np.ndarray) -> np.ndarray:
    """[b] int32 -> [b, D] float32, in one batch."""
    count = len(rows)
    if self._compiles:  # of one number of rows for each length
      whole = compiling.fewer_rows(self._batch_tokens // int(self._lengths[rows].max()))
      rows = np.pad(rows, (0, max(0, whole - count)), "edge")
    return self._embed(tf.constant(rows)).numpy()[:count]

  def snapshot(self, tower: Tower) -> None:
    """Copies the weights of a tower of the same shape, if it is another."""
    if tower is self._tower:
      return
    for copy, live in zip(self._tower.variables, tower.variables, strict=True):
      copy.assign(live)

  def batches(self, first: int = 0, end: int | None = None
              ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields rows [b] int32 of [first, end) and their embeddings [b, D] float32."""
    return self.some(np.arange(self.num_rows, dtype=np.int32)[first:end])

  def some(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """As `batches`, of rows [n] int32."""
    for places in length_batches(self._lengths[rows], self._batch_tokens,
                                 compiling.fewer_rows if self._compiles else int):
      yield rows[places], self.embed(rows[places])

  @property
  def num_rows(self) -> int:
    return self._passages.num_blocks

  @property
  def size(self) -> int:
    """D."""
    return self._tower.size

  @property
  def encoder_hash(self) -> str:
    """Of the weights that were copied last."""
    return encoder_hash(self._tower)


def collect_rows(batches: Iterator[tuple[np.ndarray, np.ndarray]], num_rows: int,
                 on_rows: OnRows = lambda count: None, first: int = 0) -> np.ndarray:
  """Puts the batches in the order of their rows: [N, D] float32.

  Args:
    batches: see `CorpusEmbedder.batches`; every row once.
    num_rows: N.
    on_rows: called with the number of rows of each batch; may raise to stop the work.
    first: of the rows.
  """
  table = None
  for rows, embeddings in batches:
    if not np.isfinite(embeddings).all():
      raise NotFinite(f"the embedding of block {rows[0]} is not finite: the document "
                      "tower has diverged; lower the learning rate")
    if table is None:
      table = np.empty([num_rows, embeddings.shape[1]], np.float32)
    table[rows - first] = embeddings
    on_rows(len(rows))
  if table is None:
    raise ValueError("there is nothing to embed")
  return table


def make_index(retriever: Retriever, passages: Passages, batch_tokens: int = 8192
               ) -> ExactIndex:
  """Embeds a corpus by a retriever as it is now, and makes an exact index of it.

  Args:
    retriever: whose document tower embeds.
    passages: the corpus.
    batch_tokens: word pieces that are embedded at a time.
  """
  embedder = CorpusEmbedder(passages, lambda: retriever.document_tower,
                            retriever.document_length, batch_tokens)
  table = collect_rows(embedder.batches(), embedder.num_rows)
  index = ExactIndex()
  index.assign(table, 0)
  return index


def stored_rows(corpus: Corpus, embedder: CorpusEmbedder, first: int, end: int,
                on_rows: OnRows = lambda count: None) -> tuple[np.ndarray, int]:
  """Rows [first, end) as they are stored, and how many of them live: others are zeros."""
  live = np.searchsorted(corpus.stored_rows, [first, end])
  rows = np.zeros([end - first, embedder.size], np.float32)
  for numbers, embeddings in embedder.batches(*live):
    rows[corpus.stored_rows[numbers] - first] = embeddings
    on_rows(len(numbers))
  return rows, int(live[1] - live[0])


def store_embeddings(root: PathLike, name: str, corpus: Corpus, embedder: CorpusEmbedder,
                     *, step: int, dtype: str, base: StoredIndex | None = None,
                     on_rows: OnRows = lambda count: None, **facts: Any) -> StoredIndex:
  """Embeds a corpus into a version on disk, shard by shard; needs `write_lock`.

  Killed, it goes on with the shard that it stood at.

  Args:
    root: where versions lie.
    name: of the version.
    corpus: what is embedded. Deleted rows are zeros; nobody reads them.
    embedder: has the weights, and the same corpus.
    step: of training, whose weights they are.
    dtype: of the stored rows.
    base: an index by the same weights of this corpus's first rows, if there is one.
    on_rows: called with the number of rows done; may raise to stop.
    **facts: noted in the manifest.
  """
  begun, embedded = time.monotonic(), 0
  origin = Origin(corpus.rows_hash, embedder.encoder_hash, step, dtype)
  writer = IndexWriter(root, name, origin, (corpus.num_stored_rows, embedder.size), base,
                       corpus_rows=corpus.rows_by_hash)
  on_rows(int(np.searchsorted(corpus.stored_rows, writer.num_written)))
  for first, end in writer.missing():
    rows, count = stored_rows(corpus, embedder, first, end, on_rows)
    embedded += count
    writer.write(rows)
  rate = embedded / max(1e-9, time.monotonic() - begun)
  return writer.commit(rows_per_second=rate, **facts)


def find_or_store(root: PathLike, corpus: Corpus, encoder: str,
                  make_embedder: Callable[[], CorpusEmbedder], dtype: str,
                  on_rows: OnRows = lambda count: None) -> StoredIndex:
  """A tower's embeddings: as they lie there, with new blocks added, or made now.

  Args:
    root: where versions lie; of this tower the newest stays alone.
    corpus: what is embedded.
    encoder: the hash of the tower's weights.
    make_embedder: gives the embedder, with these weights; called where there is work.
    dtype: of the stored rows.
    on_rows: see `store_embeddings`.
  """
  def find() -> tuple[StoredIndex | None, bool]:
    version = find_version(root, corpus.rows_by_hash, encoder_hash=encoder)
    return version, version is not None and version.num_rows == corpus.num_stored_rows

  version, is_whole = find()
  if version and is_whole:
    return version
  with write_lock(root, wait=True):
    version, is_whole = find()  # another process may have made it meanwhile
    if version and is_whole:
      return version
    stored = store_embeddings(
        root, version_name(encoder, corpus.rows_hash), corpus, make_embedder(), step=0,
        dtype=dtype, base=version, on_rows=on_rows)
    remove_all_but(root, lambda other: (
        other.folder == stored.folder or other.origin.encoder_hash != encoder))
    return stored


def recompute_error(stored: StoredIndex, corpus: Corpus, embedder: CorpusEmbedder,
                    sample: int, seed: int = 0) -> float:
  """How far stored rows are from what the embedder makes of the same blocks now.

  Returns:
    The largest difference of a component, as a share of the row's norm, over `sample`
    rows drawn at random.
  """
  rng = np.random.default_rng(seed)
  rows = np.sort(rng.choice(corpus.num_blocks, min(sample, corpus.num_blocks), False))
  worst = []
  for numbers, fresh in embedder.some(rows.astype(np.int32)):
    stored_now = stored.rows(corpus.stored_rows[numbers]).astype(np.float32)
    difference = np.abs(stored_now - fresh).max(1) / np.linalg.norm(fresh, axis=1)
    worst.append(difference.max())
  return float(np.max(worst))  # nan, where one is
