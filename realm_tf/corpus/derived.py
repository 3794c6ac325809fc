"""What follows from a corpus alone: made once, kept beside its store, mapped into memory.

    <store>.derived/<name>-<settings>/manifest.json   of which corpus, and what the files are
    <store>.derived/<name>-<settings>/<array>.bin     row by row
    <store>.derived/.<name>-<settings>.making         while it is made, who does

Each is whole or absent. One of another corpus is made again, and takes the place of the old;
where there is a file in it that is not known here, nothing is replaced, and what was made is
kept in memory. So it is where the disk cannot be written, or is full.
"""

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import shutil
import tempfile
from typing import Any, Callable, Iterator, Mapping, Protocol, Sequence

import numpy as np
from absl import logging

from realm_tf import files, folders, locks
from realm_tf.corpus.mapped import map_array
from realm_tf.errors import UserError
from realm_tf.files import PathLike

DerivedArrays = dict[str, np.ndarray]
_MANIFEST = "manifest.json"
_KIND = folders.FolderKind("what is derived from a corpus", _MANIFEST, lambda manifest: [
    f"{name}.bin" for name in manifest["arrays"]])
_COPIED = 1 << 20  # values at a time
_NO_DISK = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DerivedFrom(Protocol):
  """What is derived from: a `realm_tf.corpus.store.Corpus`."""

  @property
  def folder(self) -> pathlib.Path | None: ...

  @property
  def hash(self) -> str: ...


class Share(Protocol):
  """Works on parts of a corpus, each by itself: here, or on other machines."""

  def __call__(self, key: str, work: Callable[[Any, Any], np.ndarray], parts: Sequence[Any]
               ) -> Iterator[np.ndarray]:
    """Yields `work(corpus, part)` of each part, in their order.

    Args:
      key: says, with the corpus and a part, all that a result depends on.
      work: may be sent elsewhere; files that it reads have absolute paths.
      parts: JSON can hold them.
    """


def here(corpus: Any) -> Share:
  """This process works."""
  return lambda key, work, parts: (work(corpus, part) for part in parts)


class Writer:
  """Takes arrays, each in parts along its first axis: into files, or into memory."""

  def __init__(self, folder: pathlib.Path | None):
    self._folder = folder
    self._parts: dict[str, list[np.ndarray]] = {}
    self._files: dict[str, Any] = {}
    self._digests: dict[str, Any] = {}
    self._lengths: dict[str, int] = {}

  def append(self, **arrays: np.ndarray) -> None:
    """Adds a part to each; the first tells the inner shape, and may be of no rows.

    An array has the widest type of its parts.
    """
    for name, part in arrays.items():
      part = np.ascontiguousarray(part)
      parts = self._parts.setdefault(name, [part[:0]])
      self._lengths[name] = self._lengths.get(name, 0) + len(part)
      if self._folder is None:
        parts.append(part)
        continue
      dtype = np.promote_types(parts[0].dtype, part.dtype)
      if name not in self._files or dtype != parts[0].dtype:
        self._widen(self._folder / f"{name}.bin", name, dtype)
      self._write(name, part.astype(dtype, copy=False))

  def _write(self, name: str, part: np.ndarray) -> None:
    data = part.reshape(-1).view(np.uint8)
    self._files[name].write(data)
    self._digests[name].update(data)

  def _widen(self, path: pathlib.Path, name: str, dtype: np.dtype) -> None:
    """Begins a file, or begins it again in a wider type with what it holds."""
    before = self._files.get(name)
    narrow = path.with_suffix(".narrow")
    if before:
      before.close()
      path.rename(narrow)
    self._files[name] = open(path, "wb")  # pylint: disable=consider-using-with
    self._digests[name] = hashlib.sha256()
    parts = self._parts[name]
    if before:
      size = narrow.stat().st_size
      values = np.memmap(narrow, parts[0].dtype, "r") if size else parts[0]
      for first in range(0, len(values), _COPIED):
        self._write(name, values[first:first + _COPIED].astype(dtype))
      narrow.unlink()
    parts[0] = parts[0].astype(dtype)

  @contextlib.contextmanager
  def scratch(self) -> Iterator[pathlib.Path]:
    """A folder for what is needed meanwhile."""
    with tempfile.TemporaryDirectory(prefix="scratch.", dir=self._folder) as folder:
      yield pathlib.Path(folder)

  def close(self) -> None:
    """Ends the files; may be called again."""
    for file in self._files.values():
      file.close()

  def in_memory(self) -> DerivedArrays:
    return {name: np.concatenate(parts) for name, parts in self._parts.items()}

  def described(self) -> dict[str, Any]:
    """What the manifest says of each."""
    return {name: {"dtype": parts[0].dtype.name,
                   "shape": [self._lengths[name], *parts[0].shape[1:]],
                   "sha256": self._digests[name].hexdigest()}
            for name, parts in self._parts.items()}


def derived(corpus: DerivedFrom, name: str, settings: Mapping[str, Any],
            make: Callable[[Writer], None]) -> DerivedArrays:
  """What `make` makes of a corpus: as it lies there, or made now.

  Args:
    corpus: one without a folder has nothing kept.
    name: of what is made.
    settings: all that it depends on besides the corpus, and a number that changes when
      `make` changes; JSON can hold them.
    make: appends the same arrays for the same corpus and settings.
  """
  if corpus.folder is None:
    return _in_memory(make)
  key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
  folder = derived_root(corpus.folder) / f"{name}-{key}"
  arrays = _read(folder, corpus.hash)
  if arrays is not None:
    return arrays
  try:
    # Of its own, since one may be made of another.
    with locks.lock(folder.with_name(f".{folder.name}.making"), folder, wait=True):
      arrays = _read(folder, corpus.hash)  # another process may have made it meanwhile
      if arrays is None:
        _remove_stale(folder, corpus.hash)
        arrays = _make(folder, corpus, dict(settings), make)
      return arrays
  except (OSError, UserError) as error:
    # `new_folder` says in a line of its own what the system said.
    reason = error if isinstance(error, OSError) else error.__cause__
    if not isinstance(reason, OSError) or reason.errno not in _NO_DISK:
      raise
    logging.log_first_n(logging.WARNING, "%s: cannot be written (%s): what is derived from "
                        "the corpus is made for this command alone", 1, folder.parent,
                        reason.strerror)
  return _in_memory(make)


def derived_root(store: PathLike) -> pathlib.Path:
  """Where things lie that were derived from a store."""
  store = pathlib.Path(os.path.realpath(store))
  return store.with_name(f"{store.name}.derived")


def check_derived(store: PathLike) -> int:
  """Compares all that is derived from a store with its checksums; how many there are.

  Raises:
    UserError: a file is damaged.
  """
  root, count = derived_root(store), 0
  for folder in sorted(root.iterdir()) if root.is_dir() else ():
    if folder.name.startswith(".") or not (folder / _MANIFEST).exists():
      continue
    manifest = files.read_manifest(folder / _MANIFEST)
    for name, array in manifest["arrays"].items():
      path = folder / f"{name}.bin"
      if not path.exists() or files.sha256(path) != array["sha256"]:
        raise UserError(f"{path}: damaged: its SHA-256 is not the one in {_MANIFEST}; "
                        f"delete {folder}, and it is made again")
    count += 1
  return count


def _in_memory(make: Callable[[Writer], None]) -> DerivedArrays:
  writer = Writer(None)
  make(writer)
  return writer.in_memory()


def _make(folder: pathlib.Path, corpus: DerivedFrom, settings: dict[str, Any],
          make: Callable[[Writer], None]) -> DerivedArrays:
  try:
    folders.check_replaceable(folder, _KIND)
  except UserError as error:
    logging.warning("%s: what is derived from the corpus is made for this command alone",
                    error)
    return _in_memory(make)
  with folders.new_folder(folder, _KIND) as new:
    writer = Writer(new)
    try:
      make(writer)
    finally:
      writer.close()
    files.write_manifest(new / _MANIFEST, {
        "corpus_hash": corpus.hash, "settings": settings, "arrays": writer.described()})
  arrays = _read(folder, corpus.hash)
  assert arrays is not None
  return arrays


def _read(folder: pathlib.Path, corpus_hash: str) -> DerivedArrays | None:
  """None where it is not there, of another corpus, or not whole."""
  folders.recover(folder)
  try:
    manifest = files.read_manifest(folder / _MANIFEST)
    if manifest["corpus_hash"] != corpus_hash:
      return None
    return {name: map_array(folder / f"{name}.bin", np.dtype(array["dtype"]), array["shape"])
            for name, array in manifest["arrays"].items()}
  except (UserError, FileNotFoundError, NotADirectoryError, ValueError):
    return None


def _remove_stale(folder: pathlib.Path, corpus_hash: str) -> None:
  """Removes those of the same name and another corpus in which there is nothing else."""
  name = folder.name.rpartition("-")[0]
  for other in folder.parent.iterdir():
    if other == folder or other.name.rpartition("-")[0] != name:
      continue
    try:
      folders.check_replaceable(other, _KIND)
      if files.read_manifest(other / _MANIFEST)["corpus_hash"] != corpus_hash:
        shutil.rmtree(other, ignore_errors=True)
    except UserError:
      continue
