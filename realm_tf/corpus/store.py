"""The corpus on disk: sharded TFRecords, a manifest, the vocabulary; whole or absent.

Row number = block id. The same blocks in the same order give the same bytes. Documents
may be added and deleted later (`realm_tf.corpus.changes`): new blocks are new shards,
and deleted ones stay in theirs as tombstones, which `Corpus.open` leaves out. So an
opened corpus has its blocks numbered without gaps, whatever came and went.

    <folder>/manifest.json
    <folder>/vocab.txt
    <folder>/blocks-00000.tfrecord ...   one tf.train.Example per block

Shape letters: N blocks, P stored rows, deleted blocks counted.
"""

import dataclasses
import hashlib
import pathlib
from typing import Any, Iterable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from realm_tf.corpus.blocks import INTEGERS, STRINGS, Block, split_blocks
from realm_tf.corpus.manifest import (
  MANIFEST,
  VOCABULARY,
  check_files,
  live_rows,
  read_store_manifest,
  rows_hash,
)
from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.readers import Document, as_documents
from realm_tf.corpus.store_writer import serialize
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.text import salient_spans
from realm_tf.text.tokenizer import Tokenizer
from realm_tf.text.tokenizer_files import read_tokenizer

_PARSE_BATCH = 2048


def _parse(folder: pathlib.Path, shard: dict[str, Any]) -> Iterator[dict[str, Any]]:
  """Yields the shard's blocks by the batch: field -> bytes array or `Ragged`."""
  features = {name: tf.io.FixedLenFeature([], tf.string) for name in STRINGS}
  features |= {name: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64)
               for name in INTEGERS}
  path = folder / shard["name"]
  read = 0
  try:
    for batch in tf.data.TFRecordDataset(str(path)).batch(_PARSE_BATCH):
      read += int(tf.size(batch))
      fields = tf.io.parse_example(batch, features)
      yield {name: Ragged(value.values.numpy().astype(np.int32), value.row_splits.numpy())
             if name in INTEGERS else value.numpy() for name, value in fields.items()}
  except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
    raise UserError(f"{path}: damaged after block {read} of the shard "
                    f"({error.message.splitlines()[0]})") from None
  if read != shard["blocks"]:
    raise UserError(f"{path}: {read} blocks; {MANIFEST} says {shard['blocks']}")


def _live_batches(folder: pathlib.Path, manifest: dict[str, Any], live: np.ndarray
                  ) -> Iterator[dict[str, Any]]:
  """All blocks by the batch, as `_parse` gives them, less the deleted ones."""
  first = 0
  for shard in manifest["shards"]:
    for batch in _parse(folder, shard):
      kept = live[first:first + len(batch["text"])]
      first += len(kept)
      yield batch if kept.all() else {
          name: value.take(kept) if isinstance(value, Ragged) else value[kept]
          for name, value in batch.items()}


@dataclasses.dataclass(frozen=True, eq=False)
class Corpus:
  """Blocks in memory, of a corpus store or of documents. Row number = block id.

  Attributes:
    folder: where it was read; None if it has no folder.
    hash: changes with any block, their order and the tokenizer.
    stored_rows: `[N]` int64: where each block stands among the P stored rows.
    rows_by_hash: names of the stored rows, as they were after each shard -> how many
      rows; the last is this store's. An index of an earlier one fits as far as it goes.
    max_tokens: most tokens in `[CLS] title [SEP] body [SEP]`.
    source: where the text comes from.
    document_ids: N strings.
    titles, texts: `[N]` arrays of bytes (UTF-8: offsets count bytes).
    title_ids, body_ids, body_starts, body_ends, sentence_starts, span_starts,
      span_ends: N rows each; see `realm_tf.corpus.blocks.Block`.
  """
  folder: pathlib.Path | None
  hash: str
  stored_rows: np.ndarray
  rows_by_hash: dict[str, int]
  max_tokens: int
  source: str
  tokenizer: Tokenizer
  document_ids: list[str]
  titles: np.ndarray
  texts: np.ndarray
  title_ids: Ragged
  body_ids: Ragged
  body_starts: Ragged
  body_ends: Ragged
  sentence_starts: Ragged
  span_starts: Ragged
  span_ends: Ragged

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
    for block in blocks:
      digest.update(serialize(block))
    strings = {name: np.array([getattr(block, name).encode("utf-8") for block in blocks],
                              object) for name in STRINGS}
    fields = {name: Ragged.from_rows([getattr(block, name) for block in blocks])
              for name in INTEGERS}
    return cls(folder=None, hash=digest.hexdigest(), stored_rows=np.arange(len(blocks)),
               rows_by_hash={digest.hexdigest(): len(blocks)}, max_tokens=max_tokens,
               source="", tokenizer=tokenizer,
               document_ids=[block.document_id for block in blocks],
               titles=strings["title"], texts=strings["text"], **fields)

  @classmethod
  def from_documents(cls, documents: Iterable[Document | Mapping[str, str] | str],
                     tokenizer: Tokenizer | PathLike, max_tokens: int = 288,
                     tagger: str | None = "rules") -> "Corpus":
    """Cuts documents into blocks and holds these in memory, without a folder.

    Args:
      documents: texts, or objects with `text`, and `title` and `id` where they have them;
        what has no id is numbered from 0.
      tokenizer: or a folder of weights with its vocabulary.
      max_tokens: most word pieces of a block, title and special tokens counted.
      tagger: of salient spans, which pre-training masks: "rules" or "spacy"; None for none.

    Raises:
      UserError: there are no documents, an id is there twice, or a text is blank.
    """
    if not isinstance(tokenizer, Tokenizer):
      tokenizer = read_tokenizer(tokenizer)
    return cls.from_blocks(
        split_blocks(as_documents(documents), tokenizer, max_tokens,
                     salient_spans.tagger(tagger) if tagger else None), tokenizer, max_tokens)

  @classmethod
  def open(cls, folder: PathLike, verify: bool = True,
           tokenizer: Tokenizer | None = None) -> "Corpus":
    """Reads a store, also while it is being replaced by another.

    Args:
      folder: as written by `write_store`.
      verify: compare the SHA-256 of every file first.
      tokenizer: the one that the models use; without it, the store's own.

    Raises:
      UserError: half a store, a missing or damaged file (named), a newer format, or
        blocks made with another tokenizer.
    """
    folder = pathlib.Path(folder)
    while True:
      manifest = read_store_manifest(folder)
      try:
        return cls._read(folder, manifest, verify, tokenizer)
      except (UserError, tf.errors.NotFoundError, FileNotFoundError):
        if read_store_manifest(folder) == manifest:  # else half of it was another store's
          raise

  @classmethod
  def _read(cls, folder: pathlib.Path, manifest: dict[str, Any], verify: bool,
            tokenizer: Tokenizer | None) -> "Corpus":
    check_files(folder, manifest, verify)
    made_with = manifest["tokenizer"]
    if tokenizer is None:
      tokenizer = Tokenizer.from_file(folder / VOCABULARY, made_with["lower_case"])
    if tokenizer.hash != made_with["hash"]:
      raise UserError(f"{folder}: made with another tokenizer (hash "
                      f"{made_with['hash'][:12]}, not {tokenizer.hash[:12]}); write the "
                      "store again with this vocabulary")
    live = live_rows(manifest)
    batches = list(_live_batches(folder, manifest, live))
    shards = manifest["shards"]
    rows_by_hash = {
        rows_hash(made_with["hash"], shards[:end]): sum(s["blocks"] for s in shards[:end])
        for end in range(1, len(shards) + 1)}
    fields = {name: Ragged.concatenate([batch[name] for batch in batches])
              for name in INTEGERS}
    strings = {name: np.concatenate([batch[name] for batch in batches])
               for name in STRINGS}
    return cls(
        folder=folder, hash=manifest["corpus_hash"], stored_rows=np.flatnonzero(live),
        rows_by_hash=rows_by_hash, max_tokens=manifest["max_tokens"],
        source=manifest.get("source", ""), tokenizer=tokenizer,
        document_ids=[id.decode("utf-8") for id in strings["document_id"]],
        titles=strings["title"], texts=strings["text"], **fields)
