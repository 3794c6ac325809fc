"""Documents that come and go in a run that is trained already."""

import contextlib
import itertools
import os
import pathlib
from typing import Any, Collection, Iterable, Iterator

import numpy as np

from realm_tf import files, folders
from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.changes import change_store, changed, compact_store
from realm_tf.corpus.document_rows import document_rows
from realm_tf.corpus.manifest import STORE, read_store_manifest
from realm_tf.corpus.readers import Document, is_of_folder
from realm_tf.corpus.sources import documents_from, folder_above
from realm_tf.corpus.store import Corpus
from realm_tf.counted import counted
from realm_tf.errors import UserError
from realm_tf.index import stored_index
from realm_tf.index.index_writer import IndexWriter, remove_all_but, write_lock
from realm_tf.index.stored_index import Origin, StoredIndex, version_name
from realm_tf.run import used
from realm_tf.run.begin import check_outside
from realm_tf.run.commands_to_copy import command
from realm_tf.run.document_import import reading_documents
from realm_tf.run.folder import STAGES, WARM_START, Run
from realm_tf.text.salient_spans import tagger


def add(run: Run, source: files.PathLike, strict: bool = False) -> str:
  """Adds documents, or replaces those of the same id; says what was done.

  A document that is there as it is stays. Documents that cannot be read, or have a blank
  text, are passed over, or refused where `strict`. Of a folder that was read before, a part
  may be named: what is read then is that folder's, by the ids that it has there.
  """
  num_read = 0

  def counting(documents: Iterable[Document]) -> Iterator[Document]:
    nonlocal num_read
    for document in documents:
      num_read += 1
      yield document

  check_outside(run.path, source)
  with _changing(run, "add") as folder:
    corpus, rows = run.corpus, run.corpus.num_stored_rows
    before = document_rows(corpus)
    within = (folder_above(folder, run.config.corpus.source, source)
              if run.config.corpus.format in ("auto", "folder") and is_of_folder(source)
              else None)
    with reading_documents(run, "add", source, strict, within=within) as documents:
      blocks = split_blocks(counting(documents), corpus.tokenizer, corpus.max_tokens,
                            tagger(run.config.corpus.tagger, run.config.corpus.tag_numbers))
      change_store(folder, add=changed(blocks, corpus),
                   source=within or os.path.abspath(source))
    run.forget_corpus()
    first = int(np.searchsorted(run.corpus.stored_rows, rows))
    new, replaced = 0, 0
    for name, _ in itertools.groupby(
        run.corpus.document_ids[row] for row in range(first, run.corpus.num_blocks)):
      replaced += name in before
      new += 1
    _note_own_source(run, source)
    unchanged = num_read - new
    summary = (f"{counted(new - replaced, 'document')} added, {replaced} replaced"
               + (f", {unchanged} unchanged" if unchanged else ""))
    _renew(run, summary)
  return f"{summary}; {_count(run)}"


def delete(run: Run, ids: Collection[str], source: str | None = None) -> str:
  """Deletes documents by their ids, and those that came from a source; says what was done.

  Args:
    run: it must have a corpus.
    ids: of documents, which must be there; white space around one that is not is dropped.
    source: a path, see `sources.documents_from`.
  """
  with _changing(run, "delete") as folder:
    known = document_rows(run.corpus)
    gone = {name if name in known else name.strip() for name in ids}
    gone |= documents_from(folder, source) if source else set()
    change_store(folder, delete=gone)
    if source:
      _note_own_source(run, source)
    summary = f"{counted(len(gone), 'document')} deleted"
    _renew(run, summary)
  return f"{summary}; {_count(run)}"


def compact(run: Run) -> str:
  """Drops deleted blocks from the store and its indexes; nothing is embedded again.

  The compacted indexes are committed before the corpus that they belong to, and the
  old ones removed after it: killed in between, one pair is always whole.
  """
  with _changing(run, "compact") as folder, write_lock(run.index_root, wait=True):
    old = run.corpus
    with folders.new_folder(folder, STORE) as compacted:
      compact_store(folder, compacted)
      new = read_store_manifest(compacted)
      stored = map(StoredIndex.open, stored_index.index_versions(run.index_root))
      fitting = [index for index in stored if index.origin.corpus_hash == old.rows_hash]
      renewed = {_compact_index(run.index_root, index, old, new).folder for index in fitting}
    remove_all_but(run.index_root, lambda index: index.folder in renewed)
    run.forget_corpus()
  return f"{old.num_stored_rows - new['num_blocks']} deleted blocks dropped; {_count(run)}"


def _compact_index(root: pathlib.Path, index: StoredIndex, old: Corpus,
                   new: dict[str, Any]) -> StoredIndex:
  """`new` is the manifest of the compacted store."""
  origin = Origin(new["corpus_hash"], index.origin.encoder_hash, index.origin.step,
                  index.origin.dtype)
  if origin == index.origin:
    return index
  index.check()  # else a damaged row would be whole by its new checksum
  writer = IndexWriter(root, version_name(origin.encoder_hash, origin.corpus_hash), origin,
                       (new["num_blocks"], index.shape[1]))
  for first, end in writer.missing():
    writer.write(index.rows(old.stored_rows[first:end]))
  return writer.commit()


@contextlib.contextmanager
def _changing(run: Run, work: str) -> Iterator[pathlib.Path]:
  """Holds the right to change the corpus; yields its folder."""
  folder = run.path / "corpus"
  if not folder.exists():
    raise UserError(f"{run.path}: no corpus yet; run {command('corpus', run.path)}")
  for stage in STAGES:
    if (run.path / stage / "checkpoints").exists() and not run.is_done(stage):
      raise UserError(f"{run.path / stage}: this stage is half done, and would not go on "
                      f"with another corpus; {command(stage, run.path)} ends it, and then "
                      "documents may come and go")
  with run.at_work(work):
    run.forget_corpus()
    yield folder


def _note_own_source(run: Run, path: files.PathLike) -> None:
  """Of what the run was read from, or a part of it, it now has what people want of it: that
  its files are others than when they were read is no news any more."""
  own = run.config.corpus.source
  if own and pathlib.PurePath(os.path.realpath(path)).is_relative_to(os.path.realpath(own)):
    used.record_used(run.config, run.path, "corpus")


def _renew(run: Run, summary: str) -> None:
  """Brings the newest model's index up to date, so that the next question is quick.

  Where that fails, it says that what `summary` names is done, and how to go on.
  """
  run.forget_corpus()
  if run.newest_stage() == WARM_START:
    return
  summary = f"{run.path}: {summary}, but not yet embedded"
  advice = (f"{command('index', run.path)}, or the next command that searches, does that, "
            "given room")
  try:
    run.stored_index(run.model(run.newest_stage()))
  except (OSError, UserError) as error:
    reason = files.in_one_line(error) or str(error)
    raise UserError(f"{summary} ({reason}): {advice}") from error
  except KeyboardInterrupt as stop:
    raise type(stop)(f"{summary}: {advice}") from None


def _count(run: Run) -> str:
  return (f"{counted(len(document_rows(run.corpus)), 'document')} in "
          f"{counted(run.corpus.num_blocks, 'block')} now")
