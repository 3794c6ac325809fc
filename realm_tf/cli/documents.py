"""Documents that come and go in a run that is trained already."""

import contextlib
import pathlib
import shutil
from typing import Collection, Iterator

import numpy as np

from realm_tf import files
from realm_tf.cli.run_folder import STAGES, WARM_START, RunFolder
from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.changes import change_store, compact_store
from realm_tf.corpus.readers import Document, read_documents
from realm_tf.corpus.store import Corpus
from realm_tf.errors import UserError
from realm_tf.index import store
from realm_tf.index.store import IndexWriter, Origin, StoredIndex
from realm_tf.text.salient import tagger


def add(run: RunFolder, source: files.PathLike, strict: bool = False) -> str:
  """Adds documents, or replaces those of the same id; says what was done.

  Documents with a blank text are passed over, or refused where `strict`.
  """
  seen: list[str] = []

  def documents() -> Iterator[Document]:
    for document in read_documents(source, strict):
      seen.append(document.id)
      yield document

  with _changing(run) as folder:
    before = set(run.corpus.document_ids)
    blocks = split_blocks(documents(), run.corpus.tokenizer, run.corpus.max_tokens,
                          tagger(run.config.corpus.tagger))
    change_store(folder, add=blocks)
  _renew(run)
  replaced = len(before & set(seen))
  return f"{len(seen) - replaced} documents added, {replaced} replaced; {_count(run)}"


def delete(run: RunFolder, ids: Collection[str]) -> str:
  """Deletes documents by their ids; says what was done."""
  with _changing(run) as folder:
    change_store(folder, delete=set(ids))
  _renew(run)
  return f"{len(set(ids))} documents deleted; {_count(run)}"


def compact(run: RunFolder) -> str:
  """Drops deleted blocks from the store and its indexes; nothing is embedded again.

  The compacted indexes are committed before the corpus that they belong to, and the
  old ones removed after it: killed in between, one pair is always whole.
  """
  with _changing(run) as folder, store.write_lock(run.index_root, wait=True):
    old = run.corpus
    compacted = run.path / ".corpus.compacted"
    compact_store(folder, compacted)
    new = Corpus.open(compacted)
    fitting = [index for index in map(StoredIndex.open, store.versions(run.index_root))
               if index.origin.corpus_hash == old.rows_hash]
    kept = {_compact_index(run.index_root, index, old, new).folder for index in fitting}
    files.replace_folder(compacted, folder)
    store.remove_all_but(run.index_root, lambda index: index.folder in kept)
  _renew(run, embed=False)
  return f"{old.num_stored_rows - new.num_blocks} deleted blocks dropped; {_count(run)}"


def _compact_index(root: pathlib.Path, index: StoredIndex, old: Corpus, new: Corpus
                   ) -> StoredIndex:
  origin = Origin(new.rows_hash, index.origin.encoder_hash, index.origin.step,
                  index.origin.dtype)
  if origin == index.origin:
    return index
  writer = IndexWriter(root, f"{origin.encoder_hash[:16]}-{new.rows_hash[:8]}", origin,
                       (new.num_blocks, index.shape[1]))
  for first, end in writer.missing():
    writer.write(index.rows(old.stored_rows[first:end]))
  return writer.commit()


@contextlib.contextmanager
def _changing(run: RunFolder) -> Iterator[pathlib.Path]:
  """Holds the right to change the corpus; yields its folder."""
  folder = run.path / "corpus"
  if not folder.exists():
    raise UserError(f"{run.path}: no corpus yet; run `realm corpus`")
  for stage in STAGES:
    if (run.path / stage / "checkpoints").exists() and not run.is_done(stage):
      raise UserError(f"{run.path / stage}: this stage is half done, and would not go on "
                      f"with another corpus; run `realm {stage}` to its end first")
  with files.lock(run.path / ".corpus.lock", "another command"):
    for left in run.path.glob(".corpus.*"):  # by a command that was killed
      if left.is_dir():
        shutil.rmtree(left)
    run.forget_corpus()
    yield folder


def _renew(run: RunFolder, embed: bool = True) -> None:
  """Brings the newest model's index up to date, so that the next question is quick."""
  run.forget_corpus()
  if embed and run.newest_stage() != WARM_START:
    run.stored_index(run.model(run.newest_stage()))


def _count(run: RunFolder) -> str:
  documents = len(np.unique(run.corpus.document_ids))
  return f"{documents} documents in {run.corpus.num_blocks} blocks now"
