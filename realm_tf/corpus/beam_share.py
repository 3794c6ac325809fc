"""Shares out by Apache Beam the work on parts of a corpus: a `derived.Share`.

    <store>.derived/.beam/<digest>.npy   what came of a part, which a worker writes

Workers open the corpus and must see its folder. What came of the parts is put together by the
process that starts the pipelines, in the order of the parts; so it is the same, byte for
byte, whoever worked. What a killed job left there is not made again.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
from typing import Any, Callable, Iterator, NamedTuple, Sequence

import apache_beam as beam
import numpy as np

from realm_tf import files
from realm_tf.corpus.beam_pipeline import make_pipeline
from realm_tf.corpus.derived import Share, derived_root
from realm_tf.corpus.store import Corpus
from realm_tf.errors import UserError
from realm_tf.working import WorkingKind, check_working, remove_working

_Work = Callable[[Any, Any], np.ndarray]
_WORKING = WorkingKind("`--beam`", r"[0-9a-f]{32}\.npy")


class _Store(NamedTuple):
  """How a worker finds a corpus."""
  folder: str
  hash: str

  def open(self) -> Corpus:
    corpus = Corpus.open(self.folder)
    if corpus.hash != self.hash:
      raise UserError(f"{self.folder}: not the corpus of this pipeline, but another")
    return corpus


class _Do(beam.DoFn):
  """(where to, a part) -> how many records came of it, which are written there."""

  def __init__(self, stores: Sequence[_Store], work: _Work):
    self._stores, self._work = stores, work

  def setup(self) -> None:
    corpus, *knowledge = (store.open() for store in self._stores)
    self._corpus = dataclasses.replace(corpus, knowledge=knowledge[0] if knowledge else None)

  def process(self, task: tuple[str, Any]) -> Iterator[int]:
    path, part = task
    records = self._work(self._corpus, part)
    with files.new_file(path) as file:
      np.save(file, records, allow_pickle=False)
    yield len(records)


@contextlib.contextmanager
def shared_by_beam(corpus: Corpus, options: str) -> Iterator[Share]:
  """Whoever works within it has Beam's workers do so.

  Args:
    corpus: of a store; so is its `knowledge`.
    options: of the pipelines, as on a command line: "--runner=FlinkRunner ...".

  Raises:
    UserError: the folder for what workers write is something else.
  """
  assert corpus.folder is not None
  folder = derived_root(corpus.folder) / ".beam"
  check_working(folder, _WORKING)
  stores = [_Store(os.path.realpath(which.folder), which.hash)
            for which in (corpus, corpus.knowledge) if which and which.folder]

  def share(key: str, work: _Work, parts: Sequence[Any]) -> Iterator[np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    files.remove_leftovers(folder)
    hashes = [store.hash for store in stores]
    tasks = [(str(folder / f"{_digest([hashes, key, part])}.npy"), part) for part in parts]
    missing = [task for task in tasks if not os.path.exists(task[0])]
    if missing:
      with make_pipeline(options) as pipeline:
        _ = (pipeline | beam.Create(missing) | beam.Reshuffle()
             | beam.ParDo(_Do(stores, work)))
    yield from (_read(pathlib.Path(path)) for path, _ in tasks)

  yield share
  remove_working(folder, _WORKING)


def _digest(value: Any) -> str:
  return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]


def _read(path: pathlib.Path) -> np.ndarray:
  try:
    return np.load(path, allow_pickle=False)
  except FileNotFoundError:
    raise UserError(f"--beam: {path} is missing: expected workers that write where this "
                    "process reads, such as a folder that they share") from None
