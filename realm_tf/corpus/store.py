"""The corpus on disk: sharded TFRecords, a manifest, the vocabulary; whole or absent.

Row number = block id. The same blocks in the same order give the same bytes. Documents
may be added and deleted later (`realm_tf.corpus.changes`): new blocks are new shards,
and deleted ones stay in theirs as tombstones, which `Corpus.open` leaves out. So an
opened corpus has its blocks numbered without gaps, whatever came and went.

    <folder>/manifest.json
    <folder>/vocab.txt
    <folder>/blocks-00000.tfrecord ...   one tf.train.Example per block
    <folder>.derived/                    what follows from these (`realm_tf.corpus.derived`)

Shape letters: N blocks, P stored rows, deleted blocks counted.
"""

import dataclasses
import hashlib
import pathlib
from typing import Any, Iterable, Mapping

import numpy as np
import tensorflow as tf

from realm_tf.corpus.blocks import INTEGERS, STRINGS, Block, split_blocks
from realm_tf.corpus.columns import read_columns
from realm_tf.corpus.manifest import VOCABULARY, check_files, read_store_manifest, rows_hash
from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.readers import Document, as_documents
from realm_tf.corpus.records import serialized
from realm_tf.corpus.strings import Strings
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.text import salient_spans
from realm_tf.text.tokenizer import Tokenizer
from realm_tf.text.tokenizer_files import read_tokenizer


@dataclasses.dataclass(frozen=True, eq=False)
class Corpus:
  """Blocks, of a corpus store or in memory. Row number = block id.

  Those of a store lie on the disk: what is not looked at takes no memory.

  Attributes:
    folder: where it was read; None if it has no folder.
    hash: changes with any block, their order and the tokenizer.
    stored_rows: `[N]` int64: where each block stands among the P stored rows.
    rows_by_hash: names of the stored rows, as they were after each shard -> how many
      rows; the last is this store's. An index of an earlier one fits as far as it goes.
    max_tokens: most tokens in `[CLS] title [SEP] body [SEP]`.
    source: where the text comes from.
    document_ids: N `str`.
    titles, texts: N `bytes` each (UTF-8: offsets count bytes).
    title_ids, body_ids, body_starts, body_ends, sentence_starts, span_starts,
      span_ends: N rows each; see `realm_tf.corpus.blocks.Block`.
    knowledge: the corpus that is retrieved for sentences of this one, if it is another.
  """
  folder: pathlib.Path | None
  hash: str
  stored_rows: np.ndarray
  rows_by_hash: dict[str, int]
  max_tokens: int
  source: str
  tokenizer: Tokenizer
  document_ids: Strings
  titles: Strings
  texts: Strings
  title_ids: Ragged
  body_ids: Ragged
  body_starts: Ragged
  body_ends: Ragged
  sentence_starts: Ragged
  span_starts: Ragged
  span_ends: Ragged
  knowledge: "Corpus | None" = None

  @property
  def num_blocks(self) -> int:
    return len(self.titles)

  @property
  def rows_hash(self) -> str:
    """Names the stored rows: changes with additions, not with deletions."""
    return list(self.rows_by_hash)[-1]

  @property
  def num_stored_rows(self) -> int:
    """P."""
    return self.rows_by_hash[self.rows_hash]

  @classmethod
  def from_blocks(cls, blocks: Iterable[Block], tokenizer: Tokenizer, max_tokens: int
                  ) -> "Corpus":
    """Holds blocks in memory, without a folder.

    Args:
      blocks: in the order of their ids.
      tokenizer: the one that made them.
      max_tokens: the limit that they were made with.

    Raises:
      UserError: there are none.
    """
    blocks = list(blocks)
    if not blocks:
      raise UserError("an empty corpus; expected at least one document with text")
    digest = hashlib.sha256(tokenizer.hash.encode())
    for example in serialized(blocks):
      digest.update(example)
    strings = {name: Strings.of((getattr(block, name) for block in blocks),
                                decoded=name == "document_id") for name in STRINGS}
    fields: dict[str, Any] = {
        name: Ragged.from_rows([getattr(block, name) for block in blocks])
        for name in INTEGERS}
    return cls(folder=None, hash=digest.hexdigest(), stored_rows=np.arange(len(blocks)),
               rows_by_hash={digest.hexdigest(): len(blocks)}, max_tokens=max_tokens,
               source="", tokenizer=tokenizer,
               document_ids=strings["document_id"], titles=strings["title"],
               texts=strings["text"], **fields)

  @classmethod
  def from_documents(cls, documents: Iterable[Document | Mapping[str, str] | str],
                     tokenizer: Tokenizer | PathLike, max_tokens: int = 288,
                     tagger: str | None = "rules", tag_numbers: bool = True) -> "Corpus":
    """Cuts documents into blocks and holds these in memory, without a folder.

    Args:
      documents: texts, or objects with `text`, and `title` and `id` where they have them;
        what has no id is numbered from 0.
      tokenizer: or a folder of weights with its vocabulary.
      max_tokens: most word pieces of a block, title and special tokens counted.
      tagger: of salient spans, which pre-training masks: "rules", "spacy" or
        a folder that `realm tagger train` wrote; None for none.
      tag_numbers: whether numbers are salient too, besides names and dates.

    Raises:
      UserError: there are no documents, an id is there twice, or a text is blank.
    """
    if not isinstance(tokenizer, Tokenizer):
      tokenizer = read_tokenizer(tokenizer)
    return cls.from_blocks(
        split_blocks(as_documents(documents), tokenizer, max_tokens,
                     salient_spans.tagger(tagger, tag_numbers) if tagger else None),
        tokenizer, max_tokens)

  @classmethod
  def open(cls, folder: PathLike, tokenizer: Tokenizer | None = None) -> "Corpus":
    """Opens a store, also while it is being replaced by another.

    Args:
      folder: as written by `write_store`. Its columns are beside it, or made now: then each
        shard is compared with its SHA-256, for which see else `manifest.check_store`.
      tokenizer: the one that the models use; without it, the store's own.

    Raises:
      UserError: half a store, a missing or damaged file (named), a newer format, or
        blocks made with another tokenizer.
    """
    folder = pathlib.Path(folder)
    while True:
      manifest = read_store_manifest(folder)
      try:
        return cls._read(folder, manifest, tokenizer)
      except (UserError, tf.errors.NotFoundError, FileNotFoundError):
        if read_store_manifest(folder) == manifest:  # else half of it was another store's
          raise

  @classmethod
  def _read(cls, folder: pathlib.Path, manifest: dict[str, Any],
            tokenizer: Tokenizer | None) -> "Corpus":
    check_files(folder, manifest)
    made_with = manifest["tokenizer"]
    if tokenizer is None:
      tokenizer = Tokenizer.from_file(folder / VOCABULARY, made_with["lower_case"])
    if tokenizer.hash != made_with["hash"]:
      raise UserError(f"{folder}: made with another tokenizer (hash "
                      f"{made_with['hash'][:12]}, not {tokenizer.hash[:12]}); write the "
                      "store again with this vocabulary")
    shards = manifest["shards"]
    rows_by_hash = {
        rows_hash(made_with["hash"], shards[:end]): sum(s["blocks"] for s in shards[:end])
        for end in range(1, len(shards) + 1)}
    columns = read_columns(folder, manifest)
    return cls(
        folder=folder, hash=manifest["corpus_hash"], rows_by_hash=rows_by_hash,
        max_tokens=manifest["max_tokens"], source=manifest.get("source", ""),
        tokenizer=tokenizer, document_ids=columns.pop("document_id"),
        titles=columns.pop("title"), texts=columns.pop("text"), **columns)
