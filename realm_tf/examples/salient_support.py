"""For each salient span of a corpus, in which other blocks the same pieces are salient.

Spans are sorted by their pieces on the disk, by the bucket, and put back into their order so,
too: memory does not grow with the corpus. Shape letters: S spans, n some of them.
"""

import pathlib
from typing import Any, Iterator, NamedTuple

import numpy as np
import tensorflow as tf

from realm_tf.corpus.buckets import Buckets
from realm_tf.corpus.derived import Writer, derived
from realm_tf.corpus.store import Corpus
from realm_tf.ops.lookup import look_up

_ROWS = 1 << 14  # blocks at a time
_IN_BUCKET = 1 << 19  # spans, about
_FOUND = np.dtype([("span", np.int64), ("first", np.int64), ("blocks", np.int64),
                   ("own_place", np.int64)])

NOT_THERE = np.full(1, -1)  # `Support.own_place` where no block is the span's own


class Support(NamedTuple):
  """For each salient span, in which blocks the same pieces are salient."""
  rows: np.ndarray  # blocks of one span after those of another, none twice
  first: np.ndarray  # [S] where the span's blocks begin in `rows`
  blocks: np.ndarray  # [S] how many there are, its own counted
  own_place: np.ndarray  # [S] which of them is its own; -1 for none; [1] if the same for all

  def another(self, span: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    """One of the other blocks of each span, in the graph; its own if there is no other.

    Args:
      span: [B] int, of fields that are tensors or variables.
      drawn: [B] float32 in [0, 1), which of them.

    Returns:
      [B] int32.
    """
    span = tf.convert_to_tensor(span)
    of_own = tf.minimum(span, tf.size(self.own_place, span.dtype) - 1)
    first, count, own_place = (tf.cast(look_up(field, at), tf.int64) for field, at in (
        (self.first, span), (self.blocks, span), (self.own_place, of_own)))
    others = count - tf.cast(own_place >= 0, tf.int64)
    number = tf.cast(drawn * tf.cast(others, tf.float32), tf.int64)
    return tf.cast(look_up(self.rows, first + (own_place + 1 + number) % count), tf.int32)


def supporting_blocks(corpus: Corpus) -> Support:
  """For each salient span of the corpus; made once for a store and kept beside it.

  The blocks are those of `corpus.knowledge`, if there is one: then none is the span's own.
  """
  return Support(**derived(corpus, "salient_spans", made_of(corpus),
                           lambda new: _write(corpus, new)))


def made_of(corpus: Corpus) -> dict[str, Any]:
  """What salient spans depend on besides the corpus; see `derived`."""
  return {"version": 1, "knowledge": corpus.knowledge.hash if corpus.knowledge else ""}


def parts_of(corpus: Corpus) -> Iterator[tuple[int, int]]:
  """Ranges of blocks to be looked at together; one at least."""
  for first in range(0, max(1, corpus.num_blocks), _ROWS):
    yield first, min(first + _ROWS, corpus.num_blocks)


def _write(corpus: Corpus, new: Writer) -> None:
  """Writes the fields of `Support`: spans by width and pieces, their blocks, ascending."""
  size = len(corpus.span_starts.values)
  new.append(**dict.fromkeys(Support._fields, np.zeros(0, np.int64)))
  with new.scratch() as folder:
    (folder / "found").mkdir()
    in_order = Buckets(folder / "found", 1 + size // _IN_BUCKET, _FOUND)
    rows = 0
    for spans in _by_pieces(corpus, folder):
      blocks, found = _supported(spans, own=not corpus.knowledge)
      found["first"] += rows
      rows += len(blocks)
      new.append(rows=blocks)
      in_order.append(found["span"] // _IN_BUCKET, found)
    for found in in_order:
      found = found[np.argsort(found["span"])]
      new.append(**{name: found[name] for name in Support._fields[1:]})


def _spans(corpus: Corpus) -> Iterator[tuple[np.ndarray, ...]]:
  """Yields of [n] spans at a time number, block, place of the first piece, and width."""
  for low, high in parts_of(corpus):
    splits = np.asarray(corpus.span_starts.splits[low:high + 1])
    block = np.repeat(np.arange(low, high), np.diff(splits))
    starts, ends = (column.part(low, high) for column in (corpus.span_starts,
                                                          corpus.span_ends))
    yield (np.arange(splits[0], splits[-1]), block, corpus.body_ids.splits[block] + starts,
           ends - starts)


def _by_pieces(corpus: Corpus, folder: pathlib.Path) -> Iterator[np.ndarray]:
  """Yields all spans of the same pieces together, by width and, about, first piece.

  A span has its `pieces`, its `block`, and its number `span`: -1 for one of the knowledge,
  which is none of the corpus itself.
  """
  corpora = [corpus.knowledge, corpus] if corpus.knowledge else [corpus]
  counts = np.zeros(corpus.tokenizer.vocab_size, np.int64)  # by first piece
  for each in corpora:
    for _, _, place, _ in _spans(each):
      counts += np.bincount(each.body_ids.values[place], minlength=len(counts))
  bucket_of = (np.cumsum(counts) - counts) // _IN_BUCKET
  by_width: dict[int, Buckets] = {}
  for each in corpora:
    for number, block, place, width in _spans(each):
      for size in np.unique(width).tolist():
        chosen = np.flatnonzero(width == size)
        spans = np.empty(len(chosen), [("pieces", np.int32, (size,)), ("span", np.int64),
                                       ("block", np.int32)])
        spans["pieces"] = each.body_ids.values[place[chosen, None] + np.arange(size)]
        spans["span"] = number[chosen] if each is corpus else -1
        spans["block"] = block[chosen]
        if size not in by_width:
          (folder / f"{size}").mkdir()
          by_width[size] = Buckets(folder / f"{size}", 1 + int(bucket_of[-1]), spans.dtype)
        by_width[size].append(bucket_of[spans["pieces"][:, 0]], spans)
  for size in sorted(by_width):
    yield from by_width[size]


def _supported(spans: np.ndarray, own: bool) -> tuple[np.ndarray, np.ndarray]:
  """The blocks of some spans, and what is found for those of the corpus.

  Args:
    spans: [n], as `_by_pieces` yields them; those of the same pieces are all there.
    own: whether the spans of the corpus itself hold others up.
  """
  pieces, block, of_corpus = spans["pieces"], spans["block"], spans["span"] >= 0
  order = np.lexsort([block, of_corpus, *pieces.T[::-1]])
  pieces, block, of_corpus = pieces[order], block[order], of_corpus[order]
  begins = np.ones(len(spans), bool)  # a name, that is other pieces
  begins[1:] = (pieces[1:] != pieces[:-1]).any(1)
  is_first = begins.copy()  # of its name and block
  is_first[1:] |= block[1:] != block[:-1]
  if not own:
    is_first &= ~of_corpus  # which come last
  place, name = np.cumsum(is_first) - 1, np.cumsum(begins) - 1
  first = (place + 1 - is_first)[begins]  # of each name
  counts = np.diff(np.append(first, is_first.sum()))
  found = np.empty(len(spans), _FOUND)
  found["span"], found["first"] = spans["span"][order], first[name]
  found["blocks"] = counts[name]
  found["own_place"] = place - first[name] if own else -1
  return block[is_first].astype(np.int64), found[of_corpus]
