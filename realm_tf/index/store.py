"""Indexes on disk: a folder of versions, each whole or absent, never changed.

    <root>/<version>/manifest.json        shape, dtype, model step, hashes, shards
    <root>/<version>/rows-00000.bin ...   [n, D] each, row by row
    <root>/.<version>.part/               one that is being made; a killed writer's
                                          successor goes on with its whole shards
    <root>/.<version>.removed/            one that is being removed
    <root>/.lock                          while a process writes, who it is

A reader takes no lock: a version appears by a rename, when all of it is on the disk.
Shape letters: N rows, D projection, n rows of a shard.
"""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import os
import pathlib
import shutil
from typing import Any, Callable, Iterator, Mapping

import ml_dtypes
import numpy as np

from realm_tf import files, locks
from realm_tf.errors import UserError
from realm_tf.files import PathLike

DTYPES = {"float32": np.dtype(np.float32), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
FORMAT_VERSION = 2
ROWS_PER_SHARD = 65536
MANIFEST = "manifest.json"
_JOURNAL = "written.json"  # of a version that is being made: its shards so far
_REMEDY = "delete this folder and make the index again (`realm index`, `realm refresh`)"
_READERS = 4
_ALIGNMENT = 64  # bytes


@dataclasses.dataclass(frozen=True)
class Origin:
  """What an index was made from, and how it is stored."""
  corpus_hash: str  # `Corpus.rows_hash`
  encoder_hash: str  # of the document tower's weights
  step: int  # of training, whose weights they are
  dtype: str  # "float32" or "bfloat16"


class NotFinite(UserError):
  """The document tower gave a NaN or an infinity: training has diverged."""


# Reading.


@dataclasses.dataclass(frozen=True)
class StoredIndex:
  """A complete version.

  Attributes:
    folder: where it lies.
    origin: what it was made from.
    shape: (N, D).
    shards: name, rows and SHA-256 of each, in the order of their rows.
    facts: whatever else its maker noted, such as the seconds that it took.
  """
  folder: pathlib.Path
  origin: Origin
  shape: tuple[int, int]
  shards: tuple[dict[str, Any], ...]
  facts: dict[str, Any]

  @classmethod
  def open(cls, folder: PathLike) -> "StoredIndex":
    """Reads the manifest and looks at the sizes of the shards.

    Raises:
      UserError: not an index, damaged, or of a newer format.
    """
    folder = pathlib.Path(folder)
    manifest = _manifest(folder / MANIFEST)
    stored = cls(folder, Origin(**manifest["origin"]), tuple(manifest["shape"]),
                 tuple(manifest["shards"]), manifest["facts"])
    for shard in stored.shards:
      path = folder / shard["name"]
      if not path.exists():
        raise UserError(f"{path}: missing; {MANIFEST} lists it; {_REMEDY}")
      if path.stat().st_size != shard["rows"] * stored.row_bytes:
        raise UserError(f"{path}: {path.stat().st_size} bytes, not the "
                        f"{shard['rows'] * stored.row_bytes} that {MANIFEST} lists; "
                        f"{_REMEDY}")
    return stored

  @property
  def num_rows(self) -> int:
    return self.shape[0]

  @property
  def dtype(self) -> np.dtype:
    return DTYPES[self.origin.dtype]

  @property
  def row_bytes(self) -> int:
    return self.shape[1] * self.dtype.itemsize

  def read(self, keep: np.ndarray | None = None) -> np.ndarray:
    """Reads the rows into one array [N, D], checking each shard on the way.

    No byte is held twice: shards are read straight into their places.

    Args:
      keep: ascending rows to read, all by default.

    Raises:
      UserError: a shard is damaged, or gone since `open`.
    """
    keep = np.arange(self.num_rows) if keep is None else keep
    table = _aligned([len(keep), self.shape[1]], self.dtype)

    def read_shard(shard: dict[str, Any], first: int) -> None:
      begin, end = np.searchsorted(keep, [first, first + shard["rows"]])
      if begin == end:
        return
      whole = end - begin == shard["rows"]
      rows = table[begin:end] if whole else np.empty(
          [shard["rows"], self.shape[1]], self.dtype)
      self._read_shard(shard, rows)
      if not whole:
        table[begin:end] = rows[keep[begin:end] - first]

    with concurrent.futures.ThreadPoolExecutor(_READERS) as pool:
      for done in [pool.submit(read_shard, *shard) for shard in self._placed()]:
        done.result()
    return table

  def rows(self, wanted: np.ndarray) -> np.ndarray:
    """Some rows [n, D], by mapping the shards into memory; nothing is checked."""
    table = np.empty([len(wanted), self.shape[1]], self.dtype)
    for shard, first in self._placed():
      here = (wanted >= first) & (wanted < first + shard["rows"])
      if here.any():
        mapped = np.memmap(self.folder / shard["name"], self.dtype, "r",
                           shape=(shard["rows"], self.shape[1]))
        table[here] = mapped[wanted[here] - first]
    return table

  def check(self) -> None:
    """Compares every shard with its SHA-256; raises `UserError` as `read` does."""
    for shard in self.shards:
      self._read_shard(shard, np.empty([shard["rows"], self.shape[1]], self.dtype))

  def _placed(self) -> Iterator[tuple[dict[str, Any], int]]:
    first = 0
    for shard in self.shards:
      yield shard, first
      first += shard["rows"]

  def _read_shard(self, shard: dict[str, Any], rows: np.ndarray) -> None:
    path = self.folder / shard["name"]
    data = _bytes(rows)
    try:
      with open(path, "rb") as file:
        size = file.readinto(data)  # type: ignore[attr-defined]
        more = file.read(1)
    except FileNotFoundError:
      raise UserError(f"{path}: gone since it was opened: a newer version has taken its "
                      "place; run the command again") from None
    if size != data.nbytes or more or hashlib.sha256(data).hexdigest() != shard["sha256"]:
      raise UserError(f"{path}: damaged: its SHA-256 is not the one in {MANIFEST}; "
                      f"{_REMEDY}")


def _aligned(shape: list[int], dtype: np.dtype) -> np.ndarray:
  """An empty array that TensorFlow can use where it stands."""
  size = shape[0] * shape[1] * dtype.itemsize
  memory = np.empty(size + _ALIGNMENT, np.uint8)
  first = -memory.ctypes.data % _ALIGNMENT
  return memory[first:first + size].view(dtype).reshape(shape)


def _bytes(rows: np.ndarray) -> memoryview:
  return memoryview(rows.view(np.uint8).reshape(-1))  # type: ignore[arg-type]


def _manifest(path: pathlib.Path) -> dict[str, Any]:
  if not path.exists():
    raise UserError(f"{path}: no such file: not an index, or one half copied; {_REMEDY}")
  try:
    manifest = files.read_manifest(path)
    version = manifest["format_version"]
    if version != FORMAT_VERSION:
      raise UserError(f"{path}: field 'format_version' is {version}; this realm_tf reads "
                      f"{FORMAT_VERSION}")
    return manifest
  except UserError as error:
    raise UserError(f"{error}; {_REMEDY}") from None


def versions(root: PathLike) -> list[pathlib.Path]:
  """The complete versions under `root`, in no order."""
  root = pathlib.Path(root)
  if not root.is_dir():
    return []
  return [path for path in root.iterdir()
          if path.is_dir() and not path.name.startswith(".")]


def find(root: PathLike, corpus_rows: Mapping[str, int], *, encoder_hash: str | None = None,
         after_step: int = -1, up_to_step: int | None = None) -> StoredIndex | None:
  """The best version that fits: of the latest step, then of most rows.

  Args:
    root: where the versions lie.
    corpus_rows: see `Corpus.rows_by_hash`: an index of one of these corpora fits.
    encoder_hash: of the document tower; any by default.
    after_step: only versions of later steps.
    up_to_step: only versions of this step or an earlier one.

  Raises:
    UserError: a version is damaged. One that vanishes meanwhile is no error.
  """
  while True:
    there = versions(root)
    try:
      stored = [StoredIndex.open(path) for path in there]
    except UserError:
      if all(path.exists() for path in there):
        raise
      continue  # a newer one has taken the place of one: look again
    break
  fitting = [
      s for s in stored
      if corpus_rows.get(s.origin.corpus_hash) == s.num_rows
      and encoder_hash in (None, s.origin.encoder_hash) and s.origin.step > after_step
      and (up_to_step is None or s.origin.step <= up_to_step)]
  return max(fitting, key=lambda s: (s.origin.step, s.num_rows), default=None)


# Writing.


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
    rows_per_shard: of new shards.
  """

  def __init__(self, root: PathLike, name: str, origin: Origin, shape: tuple[int, int],
               base: StoredIndex | None = None, rows_per_shard: int = ROWS_PER_SHARD):
    self._final = pathlib.Path(root) / name
    self._folder = pathlib.Path(root) / f".{name}.part"
    self._origin, self._shape = origin, shape
    self._remove_other_parts()
    self._shards: list[dict[str, Any]] = []
    if not self._resume():
      shutil.rmtree(self._folder, ignore_errors=True)
      self._begin(base)  # without one, the first shard makes the folder
    self._rows_per_shard = rows_per_shard

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
    wanted = num_rows * self._shape[1] * DTYPES[self._origin.dtype].itemsize
    if not path.exists() or path.stat().st_size != wanted:
      raise UserError(f"{path}: not there, or not of {wanted} bytes: do all workers write "
                      "to the folder that this process reads?")
    self._note(path.name, num_rows, files.sha256(path))

  def commit(self, **facts: Any) -> StoredIndex:
    """Makes the version visible, whole."""
    if self.num_written != self._shape[0]:
      raise ValueError(f"{self.num_written} of {self._shape[0]} rows written")
    files.write_manifest(self._folder / MANIFEST, {
        "format_version": FORMAT_VERSION, "origin": dataclasses.asdict(self._origin),
        "shape": list(self._shape), "shards": self._shards, "facts": facts})
    (self._folder / _JOURNAL).unlink()
    files.sync(self._folder)
    if self._final.exists():  # of the same name, and so of the same contents or damaged
      remove(self._final)
    os.rename(self._folder, self._final)
    files.sync(self._final.parent)
    return StoredIndex.open(self._final)

  def _begin(self, base: StoredIndex | None) -> None:
    if base is None:
      return
    self._folder.mkdir(parents=True, exist_ok=True)
    for shard in base.shards:
      name = f"rows-{len(self._shards):05d}.bin"
      files.link(base.folder / shard["name"], self._folder / name)
      self._note(name, shard["rows"], shard["sha256"])

  def _note(self, name: str, rows: int, digest: str) -> None:
    self._shards.append({"name": name, "rows": rows, "sha256": digest})
    self._write_journal()

  def _write_journal(self) -> None:
    files.write_manifest(self._folder / _JOURNAL, {
        "origin": dataclasses.asdict(self._origin), "shape": list(self._shape),
        "shards": self._shards})

  def _resume(self) -> bool:
    """Takes over whole shards of the same making; false if there are none."""
    try:
      journal = files.read_manifest(self._folder / _JOURNAL)
    except UserError:  # missing, damaged: begin anew
      return False
    if (Origin(**journal["origin"]), tuple(journal["shape"])) != (self._origin, self._shape):
      return False
    for shard in journal["shards"]:
      path = self._folder / shard["name"]
      if not path.exists() or files.sha256(path) != shard["sha256"]:
        break
      self._shards.append(shard)
    self._write_journal()
    return True

  def _remove_other_parts(self) -> None:
    """What writers of other versions left, and removals that were cut short."""
    root = self._final.parent
    for path in (*root.glob(".*.part"), *root.glob(".*.removed")):
      if path != self._folder:
        shutil.rmtree(path, ignore_errors=True)


def write_shard(path: pathlib.Path, rows: np.ndarray, dtype: str, first: int) -> str:
  """Writes [n, D] rows, of which `first` is the number of the first; their SHA-256.

  Raises:
    NotFinite: a row is not; nothing is written.
  """
  finite = np.isfinite(rows).all(1)
  if not finite.all():
    raise NotFinite(f"the embedding of block {first + np.argmin(finite)} is not finite: the "
                    "document tower has diverged; lower the learning rate")
  data = _bytes(np.ascontiguousarray(rows, DTYPES[dtype]))
  with files.new_file(path) as file:
    file.write(data)
  return hashlib.sha256(data).hexdigest()


def save(root: PathLike, name: str, table: np.ndarray, origin: Origin, **facts: Any
         ) -> StoredIndex:
  """Writes a table [N, D] as one version."""
  with write_lock(root):
    writer = IndexWriter(root, name, origin, table.shape)
    for first, end in writer.missing():
      writer.write(table[first:end])
    return writer.commit(**facts)


def remove(folder: pathlib.Path) -> None:
  """Removes a version; nobody sees a part of it. Needs `write_lock`."""
  hidden = folder.with_name(f".{folder.name}.removed")
  shutil.rmtree(hidden, ignore_errors=True)
  os.rename(folder, hidden)
  shutil.rmtree(hidden, ignore_errors=True)  # a reader on a network may still hold a file


def remove_all_but(root: PathLike, kept: Callable[[StoredIndex], bool]) -> None:
  """Removes the versions that are not to be kept; needs `write_lock`."""
  for path in versions(root):
    if not kept(StoredIndex.open(path)):
      remove(path)
