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
import dataclasses
import hashlib
import pathlib
from typing import Any, Iterator, Mapping

import ml_dtypes
import numpy as np

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.files import PathLike

DTYPES = {"float32": np.dtype(np.float32), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
INDEX_FORMAT_VERSION = 2
INDEX_MANIFEST = "manifest.json"
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


def version_name(encoder_hash: str, corpus_hash: str) -> str:
  """Of the version in a run's index that these made, see `Origin`."""
  return f"{encoder_hash[:16]}-{corpus_hash[:8]}"


class NotFinite(UserError):
  """The document tower gave a NaN or an infinity: training has diverged."""


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
    manifest = _manifest(folder / INDEX_MANIFEST)
    stored = cls(folder, Origin(**manifest["origin"]), tuple(manifest["shape"]),
                 tuple(manifest["shards"]), manifest["facts"])
    for shard in stored.shards:
      path = folder / shard["name"]
      if not path.exists():
        raise UserError(f"{path}: missing; {INDEX_MANIFEST} lists it; {_REMEDY}")
      if path.stat().st_size != shard["rows"] * stored.row_bytes:
        raise UserError(f"{path}: {path.stat().st_size} bytes, not the "
                        f"{shard['rows'] * stored.row_bytes} that {INDEX_MANIFEST} lists; "
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
      for future in [pool.submit(read_shard, *shard) for shard in self._placed()]:
        future.result()
    return table

  def rows(self, wanted: np.ndarray) -> np.ndarray:
    """Some rows [n, D], by mapping the shards into memory; nothing is checked."""
    table = np.empty([len(wanted), self.shape[1]], self.dtype)
    for shard, first in self._placed():
      in_shard = (wanted >= first) & (wanted < first + shard["rows"])
      if in_shard.any():
        mapped = np.memmap(self.folder / shard["name"], self.dtype, "r",
                           shape=(shard["rows"], self.shape[1]))
        table[in_shard] = mapped[wanted[in_shard] - first]
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
    data = as_bytes(rows)
    try:
      with open(path, "rb") as file:
        size = file.readinto(data)  # type: ignore[attr-defined]
        more = file.read(1)
    except FileNotFoundError:
      raise UserError(f"{path}: gone since it was opened: a newer version has taken its "
                      "place; run the command again") from None
    if size != data.nbytes or more or hashlib.sha256(data).hexdigest() != shard["sha256"]:
      raise UserError(f"{path}: damaged: its SHA-256 is not the one in {INDEX_MANIFEST}; "
                      f"{_REMEDY}")


def _aligned(shape: list[int], dtype: np.dtype) -> np.ndarray:
  """An empty array that TensorFlow can use where it stands."""
  size = shape[0] * shape[1] * dtype.itemsize
  memory = np.empty(size + _ALIGNMENT, np.uint8)
  first = -memory.ctypes.data % _ALIGNMENT
  return memory[first:first + size].view(dtype).reshape(shape)


def as_bytes(rows: np.ndarray) -> memoryview:
  return memoryview(rows.view(np.uint8).reshape(-1))  # type: ignore[arg-type]


def _manifest(path: pathlib.Path) -> dict[str, Any]:
  if not path.exists():
    raise UserError(f"{path}: no such file: not an index, or one half copied; {_REMEDY}")
  try:
    manifest = files.read_manifest(path)
    version = manifest["format_version"]
    if version != INDEX_FORMAT_VERSION:
      raise UserError(f"{path}: field 'format_version' is {version}; this realm_tf reads "
                      f"{INDEX_FORMAT_VERSION}")
    return manifest
  except UserError as error:
    raise UserError(f"{error}; {_REMEDY}") from None


def index_versions(root: PathLike) -> list[pathlib.Path]:
  """The complete versions under `root`, in no order."""
  root = pathlib.Path(root)
  if not root.is_dir():
    return []
  return [path for path in root.iterdir()
          if path.is_dir() and not path.name.startswith(".")]


def find_version(root: PathLike, corpus_rows: Mapping[str, int], *,
                 encoder_hash: str | None = None, after_step: int = -1,
                 up_to_step: int | None = None) -> StoredIndex | None:
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
    folders = index_versions(root)
    try:
      stored = [StoredIndex.open(path) for path in folders]
    except UserError:
      if all(path.exists() for path in folders):
        raise
      continue  # a newer one has taken the place of one: look again
    break
  fitting = [
      s for s in stored
      if corpus_rows.get(s.origin.corpus_hash) == s.num_rows
      and encoder_hash in (None, s.origin.encoder_hash) and s.origin.step > after_step
      and (up_to_step is None or s.origin.step <= up_to_step)]
  return max(fitting, key=lambda s: (s.origin.step, s.num_rows), default=None)
