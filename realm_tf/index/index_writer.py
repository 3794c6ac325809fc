"""Writes and removes versions of an index; see `realm_tf.index.stored_index`.

Shape letters: N rows, D projection, n rows of a shard.
"""

import contextlib
import dataclasses
import hashlib
import os
import pathlib
import shutil
from typing import Any, Callable, Iterator, Mapping

import numpy as np

from realm_tf import files, locks
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.index.stored_index import (
  DTYPES,
  INDEX_FORMAT_VERSION,
  INDEX_MANIFEST,
  NotFinite,
  Origin,
  StoredIndex,
  as_bytes,
  index_versions,
)

# A shard is what a kill may cost: of a small corpus some minutes, of a large one 1/256.
_ROWS_PER_SHARD, _SHARDS = (1024, 65536), 256
_JOURNAL = "written.json"  # of a version that is being made: its shards so far


@contextlib.contextmanager
def write_lock(root: PathLike, wait: bool = False) -> Iterator[None]:
  """To be held while versions are written or removed; one process at a time."""
  with locks.lock(pathlib.Path(root) / ".lock", root, wait=wait):
    yield


class IndexWriter:
  """Makes one version, shard by shard; needs `write_lock`.

  What a killed writer of the same version left behind is gone on with, as far as its
  shards are whole.

  Args:
    root: where versions lie.
    name: of the version.
    origin: what it is made from.
    shape: (N, D).
    base: a version whose rows are the first of this one; they are shared with it.
    rows_per_shard: of new shards; by default it follows from N.
    corpus_rows: of the same corpus as it was before documents were added: see
      `Corpus.rows_by_hash`. What was begun of it is gone on with, too.
  """

  def __init__(self, root: PathLike, name: str, origin: Origin, shape: tuple[int, int],
               base: StoredIndex | None = None, rows_per_shard: int | None = None,
               corpus_rows: Mapping[str, int] | None = None):
    self._final = pathlib.Path(root) / name
    self._folder = pathlib.Path(root) / f".{name}.part"
    self._origin, self._shape = origin, shape
    self._rows_per_shard = rows_per_shard or _shard_size(shape[0])
    self._shards: list[dict[str, Any]] = []
    self._take_over(corpus_rows or {}, base.num_rows if base else 0)
    self._remove_other_parts()
    if not self._resume():
      shutil.rmtree(self._folder, ignore_errors=True)
      self._begin(base)  # without one, the first shard makes the folder

  @property
  def num_written(self) -> int:
    """Rows that are there already."""
    return sum(shard["rows"] for shard in self._shards)

  def missing(self) -> Iterator[tuple[int, int]]:
    """Ranges [first, end) to be written, in order; each by one `write`."""
    while (first := self.num_written) < self._shape[0]:
      yield first, min(first + self._rows_per_shard, self._shape[0])

  def write(self, rows: np.ndarray) -> None:
    """Writes the next shard, [n, D] of any float type; it outlives a kill.

    Raises:
      NotFinite: a row is not; nothing is written.
    """
    path = self.next_shard()
    digest = write_shard(path, rows, self._origin.dtype, self.num_written)
    self._note(path.name, len(rows), digest)

  def next_shard(self, ahead: int = 0) -> pathlib.Path:
    """Where the shard lies that is written next, or `ahead` of it."""
    return self._folder / f"rows-{len(self._shards) + ahead:05d}.bin"

  def adopt(self, num_rows: int) -> None:
    """Takes the next shard as others have written it, by `write_shard`."""
    path = self.next_shard()
    size = num_rows * self._shape[1] * DTYPES[self._origin.dtype].itemsize
    if not path.exists() or path.stat().st_size != size:
      raise UserError(f"{path}: not there, or not of {size} bytes: do all workers write "
                      "to the folder that this process reads?")
    self._note(path.name, num_rows, files.sha256(path))

  def commit(self, **facts: Any) -> StoredIndex:
    """Makes the version visible, whole."""
    if self.num_written != self._shape[0]:
      raise ValueError(f"{self.num_written} of {self._shape[0]} rows written")
    files.write_manifest(self._folder / INDEX_MANIFEST, {
        "format_version": INDEX_FORMAT_VERSION, "origin": dataclasses.asdict(self._origin),
        "shape": list(self._shape), "shards": self._shards, "facts": facts})
    (self._folder / _JOURNAL).unlink()
    files.sync(self._folder)
    if self._final.exists():  # of the same name, and so of the same contents or damaged
      remove_version(self._final)
    os.rename(self._folder, self._final)
    files.sync(self._final.parent)
    return StoredIndex.open(self._final)

  def _begin(self, base: StoredIndex | None) -> None:
    if base is None:
      return
    self._folder.mkdir(parents=True, exist_ok=True)
    for shard in base.shards:
      name = f"rows-{len(self._shards):05d}.bin"
      files.link_or_copy(base.folder / shard["name"], self._folder / name)
      self._note(name, shard["rows"], shard["sha256"])

  def _note(self, name: str, rows: int, digest: str) -> None:
    self._shards.append({"name": name, "rows": rows, "sha256": digest})
    self._write_journal()

  def _write_journal(self) -> None:
    files.write_manifest(self._folder / _JOURNAL, {
        "origin": dataclasses.asdict(self._origin), "shape": list(self._shape),
        "shards": self._shards})

  def _take_over(self, corpus_rows: Mapping[str, int], more_than: int) -> None:
    """Makes what was begun of an earlier corpus, and has more rows, the part of this one."""
    if self._folder.exists():
      return
    for folder in self._final.parent.glob(".*.part"):
      journal = _journal(folder)
      if journal is None or sum(s["rows"] for s in journal["shards"]) <= more_than:
        continue
      origin = Origin(**journal["origin"])
      if (corpus_rows.get(origin.corpus_hash) == journal["shape"][0]
          and journal["shape"][1] == self._shape[1]
          and dataclasses.replace(origin, corpus_hash=self._origin.corpus_hash)
          == self._origin):
        os.rename(folder, self._folder)
        self._shards = journal["shards"]
        self._write_journal()
        self._shards = []
        return

  def _resume(self) -> bool:
    """Takes over whole shards of the same making; false if there are none."""
    journal = _journal(self._folder)
    if journal is None or (Origin(**journal["origin"]), tuple(journal["shape"])) != (
        self._origin, self._shape):
      return False
    for shard in journal["shards"]:
      path = self._folder / shard["name"]
      if not path.exists() or files.sha256(path) != shard["sha256"]:
        break
      self._shards.append(shard)
    self._write_journal()
    return True

  def _remove_other_parts(self) -> None:
    """What writers of other versions left, and removals that were cut short.

    Of another tower of the same step the newest stays: who was killed while he made it comes
    again, maybe after a version of another.
    """
    root = self._final.parent
    parts = [path for path in root.glob(".*.part") if path != self._folder]
    journals = {path: journal for path in parts
                if (journal := _journal(path)) and journal["origin"]["step"]
                == self._origin.step}
    latest = max(journals, key=lambda path: (path / _JOURNAL).stat().st_mtime_ns,
                 default=None)
    for path in (*parts, *root.glob(".*.removed")):
      if path != latest:
        shutil.rmtree(path, ignore_errors=True)


def _shard_size(num_rows: int) -> int:
  least, most = _ROWS_PER_SHARD
  return min(max(least, -(-num_rows // _SHARDS)), most)


def _journal(part: pathlib.Path) -> dict[str, Any] | None:
  """What a part says of itself; None where that is missing or damaged."""
  try:
    return files.read_manifest(part / _JOURNAL)
  except UserError:
    return None


def write_shard(path: pathlib.Path, rows: np.ndarray, dtype: str, first: int) -> str:
  """Writes [n, D] rows, of which `first` is the number of the first; their SHA-256.

  Raises:
    NotFinite: a row is not; nothing is written.
  """
  finite = np.isfinite(rows).all(1)
  if not finite.all():
    raise NotFinite(f"the embedding of block {first + np.argmin(finite)} is not finite: the "
                    "document tower has diverged; lower the learning rate")
  data = as_bytes(np.ascontiguousarray(rows, DTYPES[dtype]))
  with files.new_file(path) as file:
    file.write(data)
  return hashlib.sha256(data).hexdigest()


def save_table(root: PathLike, name: str, table: np.ndarray, origin: Origin, **facts: Any
         ) -> StoredIndex:
  """Writes a table [N, D] as one version."""
  with write_lock(root):
    writer = IndexWriter(root, name, origin, table.shape)
    for first, end in writer.missing():
      writer.write(table[first:end])
    return writer.commit(**facts)


def remove_version(folder: pathlib.Path) -> None:
  """Removes a version; nobody sees a part of it. Needs `write_lock`."""
  hidden = folder.with_name(f".{folder.name}.removed")
  shutil.rmtree(hidden, ignore_errors=True)
  os.rename(folder, hidden)
  shutil.rmtree(hidden, ignore_errors=True)  # a reader on a network may still hold a file


def remove_all_but(root: PathLike, is_kept: Callable[[StoredIndex], bool]) -> None:
  """Removes the versions that are not to be kept; needs `write_lock`."""
  for path in index_versions(root):
    if not is_kept(StoredIndex.open(path)):
      remove_version(path)
