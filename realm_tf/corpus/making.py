"""Makes a corpus store of documents: on all cores, shard by shard, and never from the start.

    <parent>/.<store>.part/written.json           the shards so far, and how they were made
    <parent>/.<store>.part/blocks-00000.tfrecord  whole shards

What a process left that was killed, or had no room or memory, is gone on with: documents are
read again, and those that are in whole shards are passed over, if they are still the same.
What came before a document that is refused is removed.
"""

import contextlib
import hashlib
import itertools
import os
import pathlib
from typing import Any, Callable, Generator, Iterable, Iterator, NamedTuple

from realm_tf import files
from realm_tf.corpus.blocks import CUT_VERSION, document_batches
from realm_tf.corpus.cutting import CutRecords, Cutter, CutterEnded, Settings, cut_in_order
from realm_tf.corpus.manifest import STORE
from realm_tf.corpus.readers import Document
from realm_tf.corpus.store_writer import BLOCKS_PER_SHARD, finish_store
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.folders import new_folder
from realm_tf.text.salient_spans import tagger_version
from realm_tf.text.tokenizer import Tokenizer
from realm_tf.working import WorkingKind, check_working, remove_working

_JOURNAL = "written.json"
_WORKING = WorkingKind("`realm corpus`", r"written\.json|blocks-\d{5,}\.tfrecord")
_FEW = 8  # batches that are cut here before other processes have started


class SourceChanged(Exception):
  """The documents are not those of which a killed process left shards; these are gone."""


class _Batch(NamedTuple):
  number: int
  before: str  # of all documents before it, a hash
  documents: list[Document]


CutBatches = Callable[[Iterable[_Batch], Cutter],
                      Generator[tuple[_Batch, CutRecords], None, None]]


def make_store(folder: PathLike, documents: Iterable[Document], *, tokenizer: Tokenizer,
               max_tokens: int, source: str, tagger: str = "rules",
               tag_numbers: bool = True, workers: int | None = None,
               blocks_per_shard: int = BLOCKS_PER_SHARD, cut: CutBatches | None = None
               ) -> None:
  """Writes a corpus store, the same as `write_store` writes of the same documents.

  Args:
    folder: where the store is to be; it takes the place of an earlier one.
    documents: read once, in order.
    tokenizer: whose pieces blocks are made of.
    max_tokens: most tokens in `[CLS] title [SEP] body [SEP]`.
    source: where the text comes from, for people to read.
    tagger: of salient spans, by name or folder.
    tag_numbers: whether numbers are salient too, besides names and dates.
    workers: so many processes cut; by default as many as there are cores, and none where
      there are few documents.
    blocks_per_shard: the last shard may have fewer.
    cut: cuts batches, in their order, instead of processes of this machine.

  Raises:
    UserError: see `write_store` and `split_blocks`; what was there before is unchanged.
    CutterEnded: a process that cuts has; the next call goes on from there.
    SourceChanged: to be called again, with the documents from their first on.
  """
  cutter = Cutter(Settings(tokenizer.vocabulary, tokenizer.lower_case, max_tokens, tagger,
                           tag_numbers))
  with new_folder(folder, STORE) as new:
    part = _Part(folder, {
        "version": CUT_VERSION, "tokenizer": tokenizer.hash, "max_tokens": max_tokens,
        "tagger": tagger_version(tagger), "tag_numbers": tag_numbers,
        "blocks_per_shard": blocks_per_shard})
    try:
      batches = part.missing(_batches(documents))
      with contextlib.closing(cut(batches, cutter) if cut else
                              _cut_here(batches, cutter, workers)) as results:
        for batch, records in results:
          part.add(batch, records)
      part.finish()
      if not part.shards:
        raise UserError(f"{folder}: an empty corpus; expected at least one block")
    except CutterEnded:
      raise
    except (UserError, SourceChanged):
      part.remove()
      raise
    finally:  # whatever else ended it, such as a full disk: it goes on from there
      part.close()
    for shard in part.shards:
      files.link_or_copy(part.folder / shard["name"], new / shard["name"])
    finish_store(new, part.shards, tokenizer, max_tokens, source)
  part.remove()


def _cut_here(batches: Iterator[_Batch], cutter: Cutter, workers: int | None
              ) -> Generator[tuple[_Batch, CutRecords], None, None]:
  first = list(itertools.islice(batches, _FEW + 1))
  cores = len(os.sched_getaffinity(0)) if len(first) > _FEW else 0
  processes = (cores if cores > 1 else 0) if workers is None else workers
  return cut_in_order(itertools.chain(first, batches), cutter, processes)


def _batches(documents: Iterable[Document]) -> Iterator[_Batch]:
  digest = hashlib.sha256()
  for number, batch in enumerate(document_batches(documents)):
    yield _Batch(number, digest.hexdigest(), batch)
    for document in batch:
      digest.update("\0".join((document.id, document.title, document.text)).encode(
          "utf-8", "surrogatepass"))


class _Part:
  """Shards of a store that is being made.

  Attributes:
    folder: where they lie.
    shards: whole ones, as the manifest lists them.
  """

  def __init__(self, store: PathLike, settings: dict[str, Any]):
    target = pathlib.Path(os.path.realpath(store))
    self.folder = target.with_name(f".{target.name}.part")
    self._settings, self._per_shard = settings, settings["blocks_per_shard"]
    self._file: Any = None
    self._blocks, self._digest = 0, hashlib.sha256()  # of the shard that is being written
    check_working(self.folder, _WORKING)
    self._shards = self._resumed()
    if not self._shards:
      self.remove()
    self.folder.mkdir(exist_ok=True)
    self._begin()

  @property
  def shards(self) -> list[dict[str, Any]]:
    return [{name: shard[name] for name in ("name", "blocks", "sha256")}
            for shard in self._shards]

  def missing(self, batches: Iterator[_Batch]) -> Iterator[_Batch]:
    """Those whose blocks are not all in shards."""
    if not self._shards:
      yield from batches
      return
    begun = self._shards[-1]
    for batch in batches:
      if batch.number == begun["batch"]:
        if batch.before != begun["before"]:
          break
        yield batch
        yield from batches
        return
    raise SourceChanged

  def add(self, batch: _Batch, records: CutRecords) -> None:
    """Writes the blocks of a batch, less those that are there already."""
    last = self._shards[-1] if self._shards else None
    written = last["done"] if last and last["batch"] == batch.number else 0
    start = sum(records.sizes[:written])
    while written < len(records.sizes):
      sizes = records.sizes[written:written + self._per_shard - self._blocks]
      data = memoryview(records.data)[start:start + sum(sizes)]
      self._file.write(data)
      self._digest.update(data)
      self._blocks, written, start = (
          self._blocks + len(sizes), written + len(sizes), start + len(data))
      if self._blocks == self._per_shard:
        self._end(batch=batch.number, before=batch.before, done=written)
        self._begin()

  def finish(self) -> None:
    """Ends the last shard."""
    if self._blocks:
      self._end(batch=-1, before="", done=0)
    self.close()

  def close(self) -> None:
    if self._file:
      self._file.close()

  def remove(self) -> None:
    self.close()
    remove_working(self.folder, _WORKING)

  def _path(self) -> pathlib.Path:
    return self.folder / f"blocks-{len(self._shards):05d}.tfrecord"

  def _begin(self) -> None:
    self._file = open(self._path(), "wb")  # pylint: disable=consider-using-with
    self._digest, self._blocks = hashlib.sha256(), 0

  def _end(self, **place: Any) -> None:
    """Notes a shard, and up to which place of the documents it goes."""
    self._file.close()
    files.sync(self._path())
    self._shards.append({"name": self._path().name, "blocks": self._blocks,
                         "sha256": self._digest.hexdigest(), **place})
    files.write_manifest(self.folder / _JOURNAL, {
        "settings": self._settings, "shards": self._shards})

  def _resumed(self) -> list[dict[str, Any]]:
    """The whole shards that were made in the same way."""
    try:
      journal = files.read_manifest(self.folder / _JOURNAL)
    except UserError:  # there is none, or it is damaged
      return []
    if journal["settings"] != self._settings:
      return []
    # The last one of all may be of more documents by now.
    return list(itertools.takewhile(
        lambda shard: shard["batch"] >= 0 and (self.folder / shard["name"]).exists()
        and files.sha256(self.folder / shard["name"]) == shard["sha256"],
        journal["shards"]))
