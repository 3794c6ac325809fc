"""Salient spans that recur in other blocks, and windows of text around them.

What Spider (Ram et al. 2022, arXiv 2112.07708) makes queries of and Splinter (Ram et al.
2021, arXiv 2101.00438) makes questions of. They are looked for in some blocks at a time and
sorted on the disk, so memory does not grow with the corpus. Shape letters: P spans, A salient
spans, H pairs of a span and a block that holds it, N blocks, B batch, T tokens.
"""

from typing import Iterator, NamedTuple

import numpy as np
import tensorflow as tf

from realm_tf.corpus.buckets import Buckets
from realm_tf.corpus.derived import Writer, derived
from realm_tf.corpus.store import Corpus
from realm_tf.examples.salient_support import (
  Support,
  made_of,
  parts_of,
  supporting_blocks,
)
from realm_tf.text.tokenizer import Tokenizer

_IN_BUCKET = 1 << 19  # spans, about


class Recurring(NamedTuple):
  """P salient spans, each with other blocks in which the same pieces are salient."""
  row: np.ndarray  # [P] int32: its block
  start: np.ndarray  # [P] int32: piece of the body
  end: np.ndarray  # [P] int32: exclusive
  name: np.ndarray  # [P] int64: the same number for the same pieces
  support: Support  # of the same article where it recurs there, else of any


class Articles(NamedTuple):
  """Which blocks are of one article."""
  rows: np.ndarray  # [N] int64: the blocks, those of an article after each other
  place: np.ndarray  # [N] int64: where each block stands in `rows`
  first: np.ndarray  # [N] int64: of each block, where its article begins in `rows`
  end: np.ndarray  # [N] int64: and where it ends, exclusive


class Held(NamedTuple):
  """Which blocks hold each span: those of a name after each other, by article."""
  # [H + 1] int64, ascending: name * N + place in `Articles.rows`; the last is above all.
  keys: np.ndarray
  rows: np.ndarray  # [H] int64: the blocks


def articles(corpus: Corpus) -> Articles:
  """Puts together the blocks of one title; where there is none, those of one document.

  Some files have each paragraph of an article as a document of its own, as DPR's passages.
  Made once for a store and kept beside it.
  """
  return Articles(**derived(corpus, "articles", {"version": 1}, lambda new: new.append(
      **_articles(corpus)._asdict())))


def _articles(corpus: Corpus) -> Articles:
  rows, is_first = _by_article(corpus)
  begins = np.flatnonzero(is_first)
  many = np.diff(begins, append=len(rows))
  place, first, end = (np.empty_like(rows) for _ in range(3))
  place[rows] = np.arange(len(rows))
  first[rows] = np.repeat(begins, many)
  end[rows] = np.repeat(begins + many, many)
  return Articles(rows, place, first, end)


def _by_article(corpus: Corpus) -> tuple[np.ndarray, np.ndarray]:
  """[N] int64 blocks by title, and [N] bool: which of these begin an article.

  Few titles are in memory at a time: those that begin with the same eight bytes.
  """
  def key(row: int) -> bytes:
    return corpus.titles[row] or b"\0" + corpus.document_ids[row].encode("utf-8")

  begin = np.fromiter((int.from_bytes(key(row)[:8].ljust(8, b"\0"), "big")
                       for row in range(corpus.num_blocks)), np.uint64, corpus.num_blocks)
  rows = np.argsort(begin, kind="stable")
  begin = begin[rows]
  is_first = np.concatenate([np.ones(min(1, len(rows)), bool), begin[1:] != begin[:-1]])
  edges = np.append(np.flatnonzero(is_first), len(rows))
  for start in np.flatnonzero(np.diff(edges) > 1):
    group = slice(edges[start], edges[start + 1])
    keyed = sorted((key(row), row) for row in rows[group].tolist())
    rows[group] = [row for _, row in keyed]
    is_first[group][1:] = [after[0] != before[0] for before, after in zip(keyed, keyed[1:])]
  return rows, is_first


def held_spans(corpus: Corpus, readable: int | None = None) -> Held:
  """Finds which blocks hold each salient span; made once for a store and kept beside it.

  Args:
    corpus: with salient spans.
    readable: pieces of a body that are read; a block does not hold a span that ends behind
      them. All are where None.
  """
  settings = {"version": 1, "readable": readable, "spans": made_of(corpus)}
  return Held(**derived(corpus, "held_spans", settings,
                        lambda new: _write_held(corpus, readable, new)))


def _write_held(corpus: Corpus, readable: int | None, new: Writer) -> None:
  by_article, size = articles(corpus), len(supporting_blocks(corpus).rows)
  new.append(keys=np.zeros(0, np.int64), rows=by_article.rows[:0])
  with new.scratch() as folder:
    by_name = Buckets(folder, 1 + size // _IN_BUCKET, np.dtype(np.int64))
    for spans, row, name in _parts(corpus):
      ends = corpus.span_ends.values[spans]
      is_read = slice(None) if readable is None else ends <= readable
      by_name.append(name[is_read] // _IN_BUCKET,
                     (name * corpus.num_blocks + by_article.place[row])[is_read])
    for keys in by_name:
      keys = np.unique(keys)
      new.append(keys=keys, rows=by_article.rows[keys % corpus.num_blocks])
  new.append(keys=np.array([np.iinfo(np.int64).max]))


def _parts(corpus: Corpus) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
  """Yields some of the salient spans at a time: which, and [A] int64 their block and name."""
  first_support = supporting_blocks(corpus).first
  for first, end in parts_of(corpus):
    splits = np.asarray(corpus.span_starts.splits[first:end + 1])
    spans = slice(int(splits[0]), int(splits[-1]))
    yield (spans, np.repeat(np.arange(first, end), np.diff(splits)),
           np.asarray(first_support[spans], np.int64))


def recurring_spans(corpus: Corpus, blocks: tuple[int, int], readable: int | None = None
                    ) -> Recurring:
  """Finds the salient spans that are salient in another block too.

  Where blocks of the same article hold a span, these are its other blocks, else all that
  do: documents that are one short block each have no other block of their article.
  Made once for a store and kept beside it.

  Args:
    corpus: with salient spans.
    blocks: the fewest and the most blocks, its own counted, among which the others are
      chosen; 0 for no upper limit. What is everywhere says nothing of a block.
    readable: see `held_spans`.
  """
  held = held_spans(corpus, readable)

  def make(new: Writer) -> None:
    by_article = articles(corpus)
    for spans, row, name in _parts(corpus):
      new.append(**_recurring(corpus, by_article, held, blocks, spans, row, name))

  settings = {"version": 1, "blocks": list(blocks), "readable": readable,
              "spans": made_of(corpus)}
  found = derived(corpus, "recurring_spans", settings, make)
  of_support = {field: found.pop(field) for field in ("first", "blocks", "own_place")}
  return Recurring(**found, support=Support(held.rows, **of_support))


def _recurring(corpus: Corpus, by_article: Articles, held: Held, blocks: tuple[int, int],
               spans: slice, row: np.ndarray, name: np.ndarray) -> dict[str, np.ndarray]:
  """Those of some spans that recur: the fields of `Recurring`, and of its support."""
  size = corpus.num_blocks
  keys = name * size + by_article.place[row]

  def among(first: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    begin = np.searchsorted(held.keys, name * size + first)
    return begin, np.searchsorted(held.keys, name * size + end) - begin

  place = np.searchsorted(held.keys, keys)
  counted = held.keys[place] == keys  # whether it is one of the blocks itself
  in_article = among(by_article.first[row], by_article.end[row])
  in_corpus = among(np.zeros_like(row), np.full_like(row, size))
  first, count = np.where(in_article[1] > counted, in_article, in_corpus)
  others = count + ~counted  # blocks that hold it, its own counted
  fewest, most = blocks
  recurs = (others >= max(2, fewest)) & (others <= (most or size))
  starts, ends = (column.values[spans] for column in (corpus.span_starts, corpus.span_ends))
  fields = {"row": row.astype(np.int32), "start": starts, "end": ends, "name": name,
            "first": first, "blocks": count,
            "own_place": np.where(counted, place - first, -1)}
  return {field: column[recurs] for field, column in fields.items()}


class Windows:
  """Windows of whole words around spans, drawn in the graph."""

  def __init__(self, tokenizer: Tokenizer):
    self._continuation = tf.constant(tokenizer.continuation)

  def draw(self, bodies: tf.RaggedTensor, low: tf.Tensor, high: tf.Tensor, start: tf.Tensor,
           end: tf.Tensor, length: tf.Tensor, drawn: tf.Tensor
           ) -> tuple[tf.Tensor, tf.Tensor]:
    """A window inside of [low, high) with the span [start, end) anywhere in it.

    Args:
      bodies: [B, (T)] int32, of blocks.
      low, high, start, end: [B] int32, pieces of the bodies.
      length: [B] int32, of the windows, where the text has so much; about, since they
        begin and end with words.
      drawn: [B] float32 in [0, 1), where they begin.

    Returns:
      [B] int32 each: the first piece, and the last, exclusive.
    """
    ids = bodies.to_tensor()
    place = tf.range(tf.shape(ids)[1])[None]
    # A block may begin inside a word.
    begins = ~tf.gather(self._continuation, ids) | (place == 0)

    def word(piece: tf.Tensor) -> tf.Tensor:
      """The first piece of the word that a piece is of."""
      return tf.reduce_max(tf.where(begins & (place <= piece[:, None]), place, 0), 1)

    length = tf.maximum(length, end - start)
    least = tf.maximum(low, end - length)
    choices = tf.maximum(tf.minimum(start, high - length) - least, 0) + 1
    first = least + tf.cast(drawn * tf.cast(choices, tf.float32), tf.int32)
    last = tf.minimum(first + length, high)
    last = tf.where(last < high, tf.maximum(word(last), end), high)
    return tf.maximum(word(first), low), last
