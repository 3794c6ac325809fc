"""The blocks of a store by column: made of its shards once, mapped into memory since.

A column is its values, end to end, and where each row ends; tokens and offsets are 16 bits
wide where they fit. So a corpus is opened in the same time and memory whatever its size, and
what a row takes is read when it is looked up.

Shape letters: N blocks, P stored rows, deleted blocks counted.
"""

import pathlib
from typing import Any, Iterator, NamedTuple

import numpy as np
import tensorflow as tf

from realm_tf.corpus.blocks import INTEGERS, STRINGS
from realm_tf.corpus.derived import DerivedArrays, Writer, derived
from realm_tf.corpus.manifest import MANIFEST, check_shard, live_rows
from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.strings import Strings
from realm_tf.errors import UserError

_PARSE_BATCH = 2048
# Fields that are many, and so narrow.
_NARROW = ("title_ids", "body_ids", "body_starts", "body_ends")


class _Store(NamedTuple):
  """What columns are derived from."""
  folder: pathlib.Path
  hash: str


def read_columns(folder: pathlib.Path, manifest: dict[str, Any]) -> dict[str, Any]:
  """The fields of `Corpus` that are by block; and `stored_rows`, `[N]` int64.

  Raises:
    UserError: a shard is damaged (where they are made now).
  """
  arrays = derived(_Store(folder, manifest["corpus_hash"]), "columns", {"version": 1},
                   lambda new: _make(folder, manifest, new))
  return {"stored_rows": arrays["stored_rows"],
          **{name: Strings(*_column(arrays, name)[:2], decoded=name == "document_id")
             for name in STRINGS},
          **{name: Ragged(*_column(arrays, name)) for name in INTEGERS}}


def _column(arrays: DerivedArrays, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  longer = arrays[f"{name}_splits"]
  return arrays[name], longer[:-1], longer


def _make(folder: pathlib.Path, manifest: dict[str, Any], new: Writer) -> None:
  live, first = live_rows(manifest), 0
  ends = dict.fromkeys((*STRINGS, *INTEGERS), 0)
  new.append(stored_rows=np.flatnonzero(live[:0]),
             **{f"{name}_splits": np.zeros(1, np.int64) for name in ends})
  for shard in manifest["shards"]:
    check_shard(folder, shard)
    for batch in _parse(folder, shard):
      is_live = live[first:first + len(batch["text"])]
      new.append(stored_rows=first + np.flatnonzero(is_live))
      first += len(is_live)
      for name, (values, lengths) in _values(batch, is_live).items():
        new.append(**{name: values, f"{name}_splits": ends[name] + np.cumsum(lengths)})
        ends[name] += int(lengths.sum())
  # An empty row more, which `Ragged.with_empty_row` gives.
  new.append(**{f"{name}_splits": np.array([end]) for name, end in ends.items()})


def _values(batch: dict[str, Any], is_live: np.ndarray
            ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
  """Of each field the values of the blocks that are kept, end to end, and their lengths."""
  columns = {}
  for name in STRINGS:
    strings = batch[name] if is_live.all() else batch[name][is_live]
    columns[name] = (np.frombuffer(b"".join(strings), np.uint8),
                     np.array([len(string) for string in strings], np.int64))
  for name in INTEGERS:
    rows = batch[name] if is_live.all() else batch[name].take(is_live)
    fits = name in _NARROW and rows.values.max(initial=0) <= np.iinfo(np.uint16).max
    columns[name] = rows.values.astype(np.uint16 if fits else np.int32), rows.lengths
  return columns


def _parse(folder: pathlib.Path, shard: dict[str, Any]) -> Iterator[dict[str, Any]]:
  """Yields the shard's blocks by the batch: field -> bytes array or `Ragged`."""
  features = {name: tf.io.FixedLenFeature([], tf.string) for name in STRINGS}
  features |= {name: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64)
               for name in INTEGERS}
  path = folder / shard["name"]
  blocks_read = 0
  try:
    for batch in tf.data.TFRecordDataset(str(path)).batch(_PARSE_BATCH):
      blocks_read += int(tf.size(batch))
      fields = tf.io.parse_example(batch, features)
      yield {name: Ragged(value.values.numpy(), value.row_splits.numpy())
             if name in INTEGERS else value.numpy() for name, value in fields.items()}
  except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
    raise UserError(f"{path}: damaged after block {blocks_read} of the shard "
                    f"({error.message.splitlines()[0]})") from None
  if blocks_read != shard["blocks"]:
    raise UserError(f"{path}: {blocks_read} blocks; {MANIFEST} says {shard['blocks']}")
