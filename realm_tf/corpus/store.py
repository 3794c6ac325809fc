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
import itertools
import pathlib
from typing import Any, Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from realm_tf.corpus.blocks import Block
from realm_tf.errors import UserError
from realm_tf.files import PathLike, read_json, read_manifest, sha256, write_manifest
from realm_tf.folders import Kind, new_folder, recover
from realm_tf.text.tokenizer import Tokenizer

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
VOCABULARY = "vocab.txt"
BLOCKS_PER_SHARD = 16384
STORE = Kind("a corpus store", MANIFEST, lambda manifest: [
    VOCABULARY, *(shard["name"] for shard in manifest["shards"])])

_STRINGS = ("document_id", "title", "text")
_INTEGERS = ("title_ids", "body_ids", "body_starts", "body_ends", "sentence_starts",
             "span_starts", "span_ends")
_PARSE_BATCH = 2048


def serialize(block: Block) -> bytes:
  """A block as the bytes of a tf.train.Example; the same for the same block."""
  features = {
      name: tf.train.Feature(bytes_list=tf.train.BytesList(
          value=[getattr(block, name).encode("utf-8")])) for name in _STRINGS}
  for name in _INTEGERS:
    features[name] = tf.train.Feature(
        int64_list=tf.train.Int64List(value=getattr(block, name).tolist()))
  example = tf.train.Example(features=tf.train.Features(feature=features))
  return example.SerializeToString(deterministic=True)


def _rows_hash(tokenizer_hash: str, shards: Sequence[dict[str, Any]]) -> str:
  """Names the stored rows, whether deleted or not."""
  parts = [tokenizer_hash, *(shard["sha256"] for shard in shards)]
  return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _corpus_hash(tokenizer_hash: str, shards: Sequence[dict[str, Any]],
                 deleted: Sequence[Sequence[int]]) -> str:
  stored = _rows_hash(tokenizer_hash, shards)
  if not deleted:
    return stored
  return hashlib.sha256(f"{stored}\n{deleted}".encode()).hexdigest()


def write_store(folder: PathLike, blocks: Iterable[Block], *, tokenizer: Tokenizer,
                max_tokens: int, source: str, blocks_per_shard: int = BLOCKS_PER_SHARD
                ) -> None:
  """Writes a corpus store, which takes the place of an earlier one.

  Args:
    folder: where the store is to be.
    blocks: in the order of their ids; read one shard at a time.
    tokenizer: the one that made the blocks; its vocabulary goes into the store.
    max_tokens: the limit that the blocks were made with.
    source: where the text comes from, for people to read.
    blocks_per_shard: the last shard may have fewer.

  Raises:
    UserError: no blocks, something else is at `folder`, or the disk is full: what was
      there before is unchanged.
  """
  with new_folder(folder, STORE) as new:
    shards: list[dict[str, Any]] = []
    write_shards(new, shards, map(serialize, blocks), blocks_per_shard)
    if not shards:
      raise UserError(f"{folder}: an empty corpus; expected at least one block")
    vocabulary = "".join(f"{token}\n" for token in tokenizer.vocabulary)
    (new / VOCABULARY).write_bytes(vocabulary.encode("utf-8"))
    made_with = {"hash": tokenizer.hash, "lower_case": tokenizer.lower_case,
                 "vocabulary_sha256": sha256(new / VOCABULARY)}
    write_store_manifest(new, source=source, max_tokens=max_tokens, tokenizer=made_with,
                         shards=shards)


def write_shards(folder: pathlib.Path, shards: list[dict[str, Any]],
                 examples: Iterable[bytes], blocks_per_shard: int = BLOCKS_PER_SHARD
                 ) -> None:
  """Writes serialized blocks as further shards, and notes these in `shards`."""
  examples = iter(examples)
  while shard := list(itertools.islice(examples, blocks_per_shard)):
    path = folder / f"blocks-{len(shards):05d}.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
      for example in shard:
        writer.write(example)
    shards.append({"name": path.name, "blocks": len(shard), "sha256": sha256(path)})


def write_store_manifest(folder: pathlib.Path, *, source: str, max_tokens: int,
                         tokenizer: dict[str, Any], shards: Sequence[dict[str, Any]],
                         deleted: Sequence[Sequence[int]] = ()) -> None:
  """Writes the manifest. `deleted` is ranges [first, end) of rows, ascending."""
  tombstones = [list(run) for run in deleted]
  stored = sum(shard["blocks"] for shard in shards)
  write_manifest(folder / MANIFEST, {
      "format_version": FORMAT_VERSION, "source": source, "max_tokens": max_tokens,
      "num_blocks": stored - sum(end - first for first, end in tombstones),
      "corpus_hash": _corpus_hash(tokenizer["hash"], shards, tombstones),
      "tokenizer": tokenizer, "shards": list(shards),
      **({"deleted": tombstones} if tombstones else {})})


def read_store_manifest(folder: pathlib.Path) -> dict[str, Any]:
  recover(folder)
  if not folder.is_dir():
    raise UserError(f"{folder}: no such folder; expected a corpus store, as "
                    "'realm corpus' writes it")
  path = folder / MANIFEST
  if not path.exists():
    raise UserError(f"{folder}: no {MANIFEST}: not a corpus store, or one that was "
                    "only half copied; write it again with 'realm corpus'")
  manifest = read_json(path)
  version = manifest.get("format_version") if isinstance(manifest, dict) else None
  if not isinstance(version, int):
    raise UserError(f"{path}: field 'format_version' is missing; expected the "
                    "manifest of a corpus store")
  if version > FORMAT_VERSION:
    raise UserError(f"{path}: field 'format_version' is {version}; this realm_tf reads "
                    f"up to {FORMAT_VERSION}: it is older than the store")
  missing = {"shards", "tokenizer", "num_blocks", "max_tokens",
             "corpus_hash"} - manifest.keys()
  if missing:
    raise UserError(f"{path}: field '{min(missing)}' is missing; the manifest is damaged")
  return manifest


def _verify(folder: pathlib.Path, name: str, expected: str) -> None:
  if sha256(folder / name) != expected:
    raise UserError(f"{folder / name}: damaged: its SHA-256 is not the one in "
                    f"{MANIFEST}; copy it again or write the store again")


def _check_files(folder: pathlib.Path, manifest: dict[str, Any], verify: bool) -> None:
  files = {shard["name"]: shard["sha256"] for shard in manifest["shards"]}
  files[VOCABULARY] = manifest["tokenizer"]["vocabulary_sha256"]
  for name, expected in files.items():
    if not (folder / name).exists():
      raise UserError(f"{folder / name}: missing; {MANIFEST} lists it")
    if verify:
      _verify(folder, name, expected)
  if manifest["corpus_hash"] != _corpus_hash(
      manifest["tokenizer"]["hash"], manifest["shards"], manifest.get("deleted", [])):
    raise UserError(f"{folder / MANIFEST}: field 'corpus_hash' does not follow from "
                    "the shards; the manifest is damaged")
  read_manifest(folder / MANIFEST)  # all other fields


@dataclasses.dataclass(frozen=True, eq=False)
class Ragged:
  """N rows of different lengths, end to end.

  Attributes:
    values: int32, all rows.
    splits: `[N + 1]` int64; row i is `values[splits[i]:splits[i + 1]]`.
  """
  values: np.ndarray
  splits: np.ndarray

  def __len__(self) -> int:
    return len(self.splits) - 1

  @property
  def lengths(self) -> np.ndarray:
    """`[N]` int64."""
    return np.diff(self.splits)

  def row(self, i: int) -> np.ndarray:
    """Row i, a view."""
    return self.values[self.splits[i]:self.splits[i + 1]]

  def to_tensor(self) -> tf.RaggedTensor:
    """`[N, (T)]` int32."""
    return tf.RaggedTensor.from_row_splits(self.values, self.splits, validate=False)

  def take(self, kept: np.ndarray) -> "Ragged":
    """The rows that `[N]` bool marks."""
    values = self.values[np.repeat(kept, self.lengths)]
    return Ragged(values, np.concatenate([[0], np.cumsum(self.lengths[kept])]))

  @classmethod
  def concatenate(cls, parts: Sequence["Ragged"]) -> "Ragged":
    lengths = np.concatenate([part.lengths for part in parts])
    return cls(np.concatenate([part.values for part in parts]),
               np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def _parse(folder: pathlib.Path, shard: dict[str, Any]) -> Iterator[dict[str, Any]]:
  """Yields the shard's blocks by the batch: field -> bytes array or `Ragged`."""
  features = {name: tf.io.FixedLenFeature([], tf.string) for name in _STRINGS}
  features |= {name: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64)
               for name in _INTEGERS}
  path = folder / shard["name"]
  read = 0
  try:
    for batch in tf.data.TFRecordDataset(str(path)).batch(_PARSE_BATCH):
      read += int(tf.size(batch))
      fields = tf.io.parse_example(batch, features)
      yield {name: Ragged(value.values.numpy().astype(np.int32), value.row_splits.numpy())
             if name in _INTEGERS else value.numpy() for name, value in fields.items()}
  except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
    raise UserError(f"{path}: damaged after block {read} of the shard "
                    f"({error.message.splitlines()[0]})") from None
  if read != shard["blocks"]:
    raise UserError(f"{path}: {read} blocks; {MANIFEST} says {shard['blocks']}")


def live_rows(manifest: dict[str, Any]) -> np.ndarray:
  """`[P]` bool: which stored rows are not deleted."""
  live = np.ones(sum(shard["blocks"] for shard in manifest["shards"]), bool)
  for first, end in manifest.get("deleted", []):
    live[first:end] = False
  return live


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
  """A corpus store in memory. Row number = block id.

  Attributes:
    folder: where it was read.
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
  folder: pathlib.Path
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
    _check_files(folder, manifest, verify)
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
        _rows_hash(made_with["hash"], shards[:end]): sum(s["blocks"] for s in shards[:end])
        for end in range(1, len(shards) + 1)}
    fields = {name: Ragged.concatenate([batch[name] for batch in batches])
              for name in _INTEGERS}
    strings = {name: np.concatenate([batch[name] for batch in batches])
               for name in _STRINGS}
    return cls(
        folder=folder, hash=manifest["corpus_hash"], stored_rows=np.flatnonzero(live),
        rows_by_hash=rows_by_hash, max_tokens=manifest["max_tokens"],
        source=manifest.get("source", ""), tokenizer=tokenizer,
        document_ids=[id.decode("utf-8") for id in strings["document_id"]],
        titles=strings["title"], texts=strings["text"], **fields)
