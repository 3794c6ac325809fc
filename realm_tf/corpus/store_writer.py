"""Writes corpus stores: blocks -> sharded TFRecords, a manifest, the vocabulary."""

import itertools
import pathlib
from typing import Any, Iterable, Sequence

from realm_tf.corpus.blocks import Block
from realm_tf.corpus.manifest import STORE, VOCABULARY, write_store_manifest
from realm_tf.corpus.records import record, serialized
from realm_tf.errors import UserError
from realm_tf.files import PathLike, sha256
from realm_tf.folders import new_folder
from realm_tf.text.tokenizer import Tokenizer

BLOCKS_PER_SHARD = 16384


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
    write_shards(new, shards, serialized(blocks), blocks_per_shard)
    if not shards:
      raise UserError(f"{folder}: an empty corpus; expected at least one block")
    finish_store(new, shards, tokenizer, max_tokens, source)


def finish_store(folder: pathlib.Path, shards: Sequence[dict[str, Any]],
                 tokenizer: Tokenizer, max_tokens: int, source: str) -> None:
  """Writes what a store has besides its shards; arguments as of `write_store`."""
  vocabulary = "".join(f"{token}\n" for token in tokenizer.vocabulary)
  (folder / VOCABULARY).write_bytes(vocabulary.encode("utf-8"))
  made_with = {"hash": tokenizer.hash, "lower_case": tokenizer.lower_case,
               "vocabulary_sha256": sha256(folder / VOCABULARY)}
  write_store_manifest(folder, source=source, max_tokens=max_tokens, tokenizer=made_with,
                       shards=shards)


def write_shards(folder: pathlib.Path, shards: list[dict[str, Any]],
                 examples: Iterable[bytes], blocks_per_shard: int = BLOCKS_PER_SHARD
                 ) -> None:
  """Writes serialized blocks as further shards, and notes these in `shards`."""
  examples = iter(examples)
  while shard := list(itertools.islice(examples, blocks_per_shard)):
    path = folder / f"blocks-{len(shards):05d}.tfrecord"
    with open(path, "wb") as file:
      file.writelines(map(record, shard))
    shards.append({"name": path.name, "blocks": len(shard), "sha256": sha256(path)})
