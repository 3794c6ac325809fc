"""Salient spans that recur in other blocks, and windows of text around them.

What Spider (Ram et al. 2022, arXiv 2112.07708) makes queries of and Splinter (Ram et al.
2021, arXiv 2101.00438) makes questions of. Shape letters: P spans, A salient spans of the
corpus, U its word pieces, N blocks, B batch.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from realm_tf.corpus.derived import derived
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.tables import variable
from realm_tf.examples.salient_support import Support, supporting_blocks
from realm_tf.ops.lookup import look_up


class Recurring(NamedTuple):
  """P salient spans, each with other blocks in which the same pieces are salient."""
  row: np.ndarray  # [P] int32: its block
  start: np.ndarray  # [P] int32: piece of the body
  end: np.ndarray  # [P] int32: exclusive
  name: np.ndarray  # [P] int64: the same number for the same pieces, less than P
  support: Support  # of the same article where it recurs there, else of any


class Articles(NamedTuple):
  """Which blocks are of one article."""
  rows: np.ndarray  # [N] int64: the blocks, those of an article after each other
  place: np.ndarray  # [N] int64: where each block stands in `rows`
  first: np.ndarray  # [N] int64: of each block, where its article begins in `rows`
  end: np.ndarray  # [N] int64: and where it ends, exclusive


def articles(corpus: Corpus) -> Articles:
  """Puts together the blocks of one title; where there is none, those of one document.

  Some files have each paragraph of an article as a document of its own, as DPR's passages.
  Made once for a store and kept beside it.
  """
  return Articles(**derived(corpus, "articles", {"version": 1}, lambda new: new.append(
      **_articles(corpus)._asdict())))


def _articles(corpus: Corpus) -> Articles:
  keys = np.array([title or b"\0" + document.encode("utf-8") for title, document in zip(
      corpus.titles, corpus.document_ids)], object)
  article = np.unique(keys, return_inverse=True)[1].ravel()
  rows = np.argsort(article, kind="stable")
  place = np.empty_like(rows)
  place[rows] = np.arange(len(rows))
  first, end = (np.searchsorted(article[rows], article, side) for side in ("left", "right"))
  return Articles(rows, place, first, end)


def span_names(corpus: Corpus) -> tuple[np.ndarray, np.ndarray]:
  """Of all salient spans of the corpus, in their order: block and name, [A] int64 both.

  The same pieces have the same name, whatever block they are in.
  """
  row = np.repeat(np.arange(corpus.num_blocks), corpus.span_starts.lengths)
  return row, np.unique(supporting_blocks(corpus).first, return_inverse=True)[1].ravel()


def recurring_spans(corpus: Corpus, blocks: tuple[int, int], readable: int | None = None
                    ) -> Recurring:
  """Finds the salient spans that are salient in another block too.

  Where blocks of the same article hold a span, these are its other blocks, else all that
  do: documents that are one short block each have no other block of their article.

  Args:
    corpus: with salient spans.
    blocks: the fewest and the most blocks, its own counted, among which the others are
      chosen; 0 for no upper limit. What is everywhere says nothing of a block.
    readable: pieces of a body that are read; a block does not count for a span that ends
      behind them. All are where None.
  """
  (row, name), by_article = span_names(corpus), articles(corpus)
  keys = name * corpus.num_blocks + by_article.place[row]
  readable_spans = slice(None) if readable is None else corpus.span_ends.values <= readable
  pairs = np.unique(keys[readable_spans])  # of names and places of blocks

  def among(first: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    begin = np.searchsorted(pairs, name * corpus.num_blocks + first)
    return begin, np.searchsorted(pairs, name * corpus.num_blocks + end) - begin

  place = np.searchsorted(pairs, keys)
  counted = np.append(pairs, -1)[place] == keys  # whether it is one of the blocks itself
  in_article = among(by_article.first[row], by_article.end[row])
  in_corpus = among(np.zeros_like(row), np.full_like(row, corpus.num_blocks))
  first, count = np.where(in_article[1] > counted, in_article, in_corpus)
  held = count + ~counted  # by so many blocks, its own counted
  fewest, most = blocks
  is_recurring = ((held >= max(2, fewest)) & (held <= (most or corpus.num_blocks)))
  own_place = np.where(counted, place - first, -1)
  support = Support(by_article.rows[pairs % corpus.num_blocks],
                    *(field[is_recurring] for field in (first, count, own_place)))
  return Recurring(row[is_recurring].astype(np.int32),
                   corpus.span_starts.values[is_recurring],
                   corpus.span_ends.values[is_recurring], name[is_recurring], support)


def begins_word(corpus: Corpus) -> np.ndarray:
  """Of all pieces of the corpus, whether a word begins with it: [U] bool."""
  body = corpus.body_ids
  begins = ~corpus.tokenizer.continuation[body.values]
  begins[body.splits[:-1][body.lengths > 0]] = True  # a block may begin inside a word
  return begins


class Windows:
  """Windows of whole words around spans, drawn in the graph."""

  def __init__(self, corpus: Corpus):
    body, begins = corpus.body_ids, begins_word(corpus)
    place = np.arange(len(begins))
    words = np.maximum.accumulate(np.where(begins, place, 0))
    local = words - np.repeat(body.splits[:-1], body.lengths)
    # One more, since a window may end with the last body.
    self._words = variable(np.append(local, 0).astype(np.int32))
    self._splits = variable(body.splits)

  def draw(self, row: tf.Tensor, low: tf.Tensor, high: tf.Tensor, start: tf.Tensor,
           end: tf.Tensor, length: tf.Tensor, drawn: tf.Tensor
           ) -> tuple[tf.Tensor, tf.Tensor]:
    """A window inside of [low, high) with the span [start, end) anywhere in it.

    Args:
      row: [B] int32, blocks.
      low, high, start, end: [B] int32, pieces of their bodies.
      length: [B] int32, of the windows, where the text has so much; about, since they
        begin and end with words.
      drawn: [B] float32 in [0, 1), where they begin.

    Returns:
      [B] int32 each: the first piece, and the last, exclusive.
    """
    length = tf.maximum(length, end - start)
    least = tf.maximum(low, end - length)
    choices = tf.maximum(tf.minimum(start, high - length) - least, 0) + 1
    first = least + tf.cast(drawn * tf.cast(choices, tf.float32), tf.int32)
    last = tf.minimum(first + length, high)
    last = tf.where(last < high, tf.maximum(self._word(row, last), end), high)
    return tf.maximum(self._word(row, first), low), last

  def _word(self, row: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """The first piece of the word that a piece is of."""
    return look_up(self._words, look_up(self._splits, row) + tf.cast(place, tf.int64))
