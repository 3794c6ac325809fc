"""Adding, replacing and deleting documents of a corpus store, and compacting it.

Each change is one replacement of the whole folder, so a reader sees the store before
or after it. The shards that stay are linked, not copied.
"""

import itertools
import pathlib
from typing import Any, Collection, Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from realm_tf import files, folders
from realm_tf.corpus.blocks import INTEGERS, STRINGS, Block
from realm_tf.corpus.document_rows import document_rows
from realm_tf.corpus.manifest import (
  STORE,
  VOCABULARY,
  check_shard,
  live_rows,
  read_store_manifest,
  write_store_manifest,
)
from realm_tf.corpus.records import serialized
from realm_tf.corpus.sources import Sources, live_sources, merged, sources_of
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.store_writer import write_shards
from realm_tf.errors import UserError
from realm_tf.files import PathLike


def change_store(folder: PathLike, *, add: Iterable[Block] = (),
                 delete: Collection[str] = (), source: str | None = None) -> None:
  """Deletes documents, then adds blocks behind the others.

  Without anything to delete or add, no file is touched: who watches them need do nothing.

  Args:
    folder: of the store.
    add: blocks, made with the store's tokenizer and limit; a document whose id is
      there already is deleted first, so that the new one takes its place.
    delete: ids of documents, which must be there.
    source: where the added ones come from; by default where the first ones did.

  Raises:
    UserError: an id is not there, no block would be left, or the disk is full; nothing is
      changed.
  """
  folder = pathlib.Path(folder)
  corpus, manifest = Corpus.open(folder), read_store_manifest(folder)
  documents = document_rows(corpus)
  unknown = sorted(name for name in delete if name not in documents)
  if unknown:
    raise UserError(f"{folder}: no document '{unknown[0]}'"
                    + (f" (nor {len(unknown) - 1} others)" if unknown[1:] else "")
                    + "; nothing was deleted")
  blocks = iter(add)
  first = list(itertools.islice(blocks, 1))
  if not first and not delete:
    return
  # Rows whose documents are deleted, or come again.
  gone = [documents.of(name) for name in delete]

  def noted() -> Iterator[Block]:
    for name, group in itertools.groupby(itertools.chain(first, blocks),
                                         lambda block: block.document_id):
      if len(rows := documents.of(name)):
        gone.append(rows)
      yield from group

  with folders.new_folder(folder, STORE) as new:
    if read_store_manifest(folder) != manifest:
      raise UserError(f"{folder}: another process has changed it meanwhile; nothing was "
                      "changed now: run the same command again")
    shards, sources = list(manifest["shards"]), sources_of(manifest)
    for name in (VOCABULARY, *(shard["name"] for shard in shards)):
      files.link_or_copy(folder / name, new / name)
    write_shards(new, shards, serialized(noted()))
    live = live_rows({**manifest, "shards": shards})
    for rows in gone:
      live[corpus.stored_rows[rows]] = False
    if not live.any():
      raise UserError(f"{folder}: no document would be left; nothing was deleted")
    added_from = manifest.get("source", "") if source is None else source
    _write_manifest(new, manifest, shards, live, merged(
        [*sources, (added_from, len(live) - sum(rows for _, rows in sources))]))


def changed(blocks: Iterable[Block], corpus: Corpus) -> Iterator[Block]:
  """The blocks less those of documents that are in the corpus as they are.

  Args:
    blocks: those of a document after each other.
    corpus: made with the same tokenizer, limit and tagger.
  """
  documents = document_rows(corpus)
  for name, group in itertools.groupby(blocks, lambda block: block.document_id):
    new, rows = list(group), documents.of(name)
    if list(serialized(new)) != list(serialized(_stored(corpus, row) for row in rows)):
      yield from new


def _stored(corpus: Corpus, row: int) -> Block:
  strings = zip(STRINGS, (corpus.document_ids[row], corpus.titles[row].decode("utf-8"),
                          corpus.texts[row].decode("utf-8")))
  return Block(**dict(strings), **{name: getattr(corpus, name).row(row) for name in INTEGERS})


def compact_store(folder: PathLike, target: pathlib.Path) -> None:
  """Writes the store without its deleted rows, in whole shards, into an empty folder.

  The bytes are those that `write_store` would write of the same blocks.

  Raises:
    UserError: a shard is damaged.
  """
  folder = pathlib.Path(folder)
  manifest = read_store_manifest(folder)
  live = live_rows(manifest)
  files.link_or_copy(folder / VOCABULARY, target / VOCABULARY)
  stored = itertools.chain.from_iterable(
      _examples(folder, shard) for shard in manifest["shards"])
  shards: list[dict[str, Any]] = []
  write_shards(target, shards, (example for example, is_live in zip(stored, live) if is_live))
  _write_manifest(target, manifest, shards, live[live],
                  live_sources(sources_of(manifest), live))


def _examples(folder: pathlib.Path, shard: dict[str, Any]) -> Iterator[bytes]:
  """The blocks of a shard, once it is what its checksum says."""
  check_shard(folder, shard)
  for example in tf.data.TFRecordDataset(str(folder / shard["name"])):
    yield example.numpy()


def _write_manifest(folder: pathlib.Path, old: dict[str, Any],
                    shards: Sequence[dict[str, Any]], live: np.ndarray, sources: Sources
                    ) -> None:
  source = old.get("source", "")
  edges = np.flatnonzero(np.diff(np.concatenate([[True], live, [True]])))
  write_store_manifest(folder, source=source, max_tokens=old["max_tokens"],
                       tokenizer=old["tokenizer"], shards=shards,
                       deleted=edges.reshape(-1, 2).tolist(),
                       sources=[] if {path for path, _ in sources} == {source} else sources)
