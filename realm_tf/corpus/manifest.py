"""The manifest of a corpus store: what its files are, and which of its rows live.

Shape letters: P stored rows, deleted blocks counted.
"""

import hashlib
import pathlib
from typing import Any, Sequence

import numpy as np

from realm_tf.errors import UserError
from realm_tf.files import checked_manifest, read_json, sha256, write_manifest
from realm_tf.folders import FolderKind, recover

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
VOCABULARY = "vocab.txt"
STORE = FolderKind("a corpus store", MANIFEST, lambda manifest: [
    VOCABULARY, *(shard["name"] for shard in manifest["shards"])])


def rows_hash(tokenizer_hash: str, shards: Sequence[dict[str, Any]]) -> str:
  """Names the stored rows, whether deleted or not."""
  parts = [tokenizer_hash, *(shard["sha256"] for shard in shards)]
  return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def corpus_hash(tokenizer_hash: str, shards: Sequence[dict[str, Any]],
                 deleted: Sequence[Sequence[int]]) -> str:
  stored = rows_hash(tokenizer_hash, shards)
  if not deleted:
    return stored
  return hashlib.sha256(f"{stored}\n{deleted}".encode()).hexdigest()


def write_store_manifest(folder: pathlib.Path, *, source: str, max_tokens: int,
                         tokenizer: dict[str, Any], shards: Sequence[dict[str, Any]],
                         deleted: Sequence[Sequence[int]] = (),
                         sources: Sequence[tuple[str, int]] = ()) -> None:
  """Writes the manifest.

  Args:
    deleted: ranges [first, end) of rows, ascending.
    sources: where there are others than `source`: path and number of rows of each.
  """
  tombstones = [list(run) for run in deleted]
  stored = sum(shard["blocks"] for shard in shards)
  write_manifest(folder / MANIFEST, {
      "format_version": FORMAT_VERSION, "source": source, "max_tokens": max_tokens,
      "num_blocks": stored - sum(end - first for first, end in tombstones),
      "corpus_hash": corpus_hash(tokenizer["hash"], shards, tombstones),
      "tokenizer": tokenizer, "shards": list(shards),
      **({"deleted": tombstones} if tombstones else {}),
      **({"sources": [list(entry) for entry in sources]} if sources else {})})


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
  return checked_manifest(manifest, path)


def _verify(folder: pathlib.Path, name: str, expected: str) -> None:
  if sha256(folder / name) != expected:
    raise UserError(f"{folder / name}: damaged: its SHA-256 is not the one in "
                    f"{MANIFEST}; copy it again or write the store again")


def check_shard(folder: pathlib.Path, shard: dict[str, Any]) -> None:
  """Compares a shard with its SHA-256; raises `UserError` where it differs."""
  _verify(folder, shard["name"], shard["sha256"])


def check_store(folder: pathlib.Path) -> None:
  """Compares every file of a store with its SHA-256; raises `UserError`."""
  manifest = read_store_manifest(folder)
  check_files(folder, manifest)
  for shard in manifest["shards"]:
    check_shard(folder, shard)


def check_files(folder: pathlib.Path, manifest: dict[str, Any]) -> None:
  """Looks whether all that is listed is there; raises `UserError`."""
  for name in (VOCABULARY, *(shard["name"] for shard in manifest["shards"])):
    if not (folder / name).exists():
      raise UserError(f"{folder / name}: missing; {MANIFEST} lists it")
  _verify(folder, VOCABULARY, manifest["tokenizer"]["vocabulary_sha256"])
  if manifest["corpus_hash"] != corpus_hash(
      manifest["tokenizer"]["hash"], manifest["shards"], manifest.get("deleted", [])):
    raise UserError(f"{folder / MANIFEST}: field 'corpus_hash' does not follow from "
                    "the shards; the manifest is damaged")


def live_rows(manifest: dict[str, Any]) -> np.ndarray:
  """`[P]` bool: which stored rows are not deleted."""
  live = np.ones(sum(shard["blocks"] for shard in manifest["shards"]), bool)
  for first, end in manifest.get("deleted", []):
    live[first:end] = False
  return live
