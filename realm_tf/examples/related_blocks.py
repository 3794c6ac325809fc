"""Salient spans with which a related block can help, and which blocks these are.

A span that recurs often recurs by chance: the same year, the same country. From such a block
nothing can be learnt of what the sentence asks for. A block is related to a sentence if it is
of the same article, or if it holds another salient span of the sentence beside the masked
one. Shape letters: X sentences.
"""

from typing import Iterator

import numpy as np
from absl import logging

from realm_tf.corpus.derived import Share, Writer, derived, here
from realm_tf.corpus.store import Corpus
from realm_tf.examples.recurring import articles
from realm_tf.examples.salient_sentences import SalientSentences, salient_sentences
from realm_tf.examples.salient_support import NOT_THERE, Support

_SENTENCES = 1 << 15  # that are looked at together, at the most,
_PAIRS = 1 << 21  # and spans with a block that has them, which bounds the memory
_VERSION = 1  # of what is found
_FOUND = np.dtype([("span", np.int64), ("block", np.int64), ("sentence", np.int64)])


def related_sentences(corpus: Corpus, max_masks: int, support: tuple[int, int] = (1, 0),
                      share: Share | None = None) -> SalientSentences:
  """As `salient_sentences`, but only with spans that a related block holds.

  `support` then has these blocks alone, none of them its own. Kept beside a store. Where
  `corpus.knowledge` is retrieved, whose articles are others, two spans make a block related.
  `share` works on parts of the sentences; by default this process does. What is kept is the
  same, byte for byte.
  """
  def make(new: Writer) -> None:
    salient, kept = salient_sentences(corpus, max_masks, support), 0
    last_span = last_block = 0
    related = (share or here(corpus))(
        f"related {_VERSION} {max_masks} {list(support)}", _Related(max_masks, support),
        list(_parts(salient)))
    new.append(span_splits=np.zeros(1, np.int64))
    for found in related:
      part = _kept(salient, *(found[name] for name in _FOUND.names or ()))
      sentences = part._replace(span_splits=part.span_splits[1:] + last_span)
      blocks = sentences.support
      new.append(
          **{name: getattr(sentences, name) for name in SalientSentences._fields[:-1]},
          rows=blocks.rows, first=blocks.first + last_block, blocks=blocks.blocks)
      kept += len(part.row)
      last_span += len(part.span_start)
      last_block += len(blocks.rows)
    logging.info("related blocks: %d of %d sentences with salient spans have one", kept,
                 len(salient.row))

  fields = derived(corpus, "related_blocks", {
      "version": _VERSION, "knowledge": corpus.knowledge.hash if corpus.knowledge else "",
      "max_masks": max_masks, "support": list(support)}, make)
  return SalientSentences(
      **{name: fields[name] for name in SalientSentences._fields[:-1]},
      support=Support(fields["rows"], fields["first"], fields["blocks"], NOT_THERE))


def _parts(salient: SalientSentences) -> Iterator[tuple[int, int]]:
  """Ranges of sentences whose spans have at most `_PAIRS` blocks in all, or of one sentence.

  One range at least, so that all arrays are there.
  """
  count = len(salient.row)
  for low in range(0, max(1, count), _SENTENCES):
    high = min(low + _SENTENCES, count)
    splits = np.asarray(salient.span_splits[low:high + 1])
    blocks = salient.support.blocks[splits[0]:splits[-1]]
    before = np.append(0, np.cumsum(blocks))[splits - splits[0]]  # [sentences + 1]
    first = 0
    while first < max(1, high - low):
      limit = before[first] + _PAIRS
      end = min(high - low, max(first + 1, int(np.searchsorted(before, limit, "right")) - 1))
      yield low + first, low + end
      first = max(first + 1, end)


class _Related:
  """Finds the related blocks of some sentences, wherever it is sent; see `_related`."""

  def __init__(self, max_masks: int, support: tuple[int, int]):
    self._settings = max_masks, support
    self._tables: tuple[SalientSentences, np.ndarray | None] | None = None

  def __call__(self, corpus: Corpus, part: tuple[int, int]) -> np.ndarray:
    if self._tables is None:  # they serve for all parts that come here
      # Articles are known by where they begin.
      self._tables = (salient_sentences(corpus, *self._settings),
                      None if corpus.knowledge else articles(corpus).first)
    salient, article = self._tables
    return _related(salient, *part, article)


def _related(salient: SalientSentences, first: int, last: int, article: np.ndarray | None
             ) -> np.ndarray:
  """Of sentences [first, last): spans, related blocks that hold them, and their sentences.

  `_FOUND`, ascending by span.
  """
  splits, support = salient.span_splits[first:last + 1], salient.support
  spans = slice(int(splits[0]), int(splits[-1]))
  counts = np.asarray(support.blocks[spans])
  begins = np.asarray(support.first[spans])  # the same for the same pieces
  span = np.repeat(np.arange(len(counts)), counts)
  place = np.arange(len(span)) - np.repeat(np.cumsum(counts) - counts, counts)
  block = support.rows[begins[span] + place]
  sentence = np.repeat(np.arange(last - first), np.diff(splits))
  # One number for each sentence and block, and one for each name there: rows of numbers
  # take ten times as long to sort. int64 has room for 2^24 blocks and 2^24 names.
  held = sentence[span] * (int(block.max(initial=0)) + 1) + block
  names, name = np.unique(begins, return_inverse=True)
  pairs = np.unique(held * max(1, len(names)) + name[span]) // max(1, len(names))
  is_related = np.isin(held, pairs[1:][pairs[1:] == pairs[:-1]])  # with two names or more
  if article is not None:
    row = salient.row[first:last][sentence[span]]
    is_related = (is_related | (article[block] == article[row])) & (block != row)
  found = np.empty(int(is_related.sum()), _FOUND)
  found["span"], found["block"] = span[is_related] + spans.start, block[is_related]
  found["sentence"] = sentence[span[is_related]] + first
  return found


def _kept(salient: SalientSentences, span: np.ndarray, block: np.ndarray,
          sentence: np.ndarray) -> SalientSentences:
  """The sentences of these spans, and of the spans these blocks."""
  spans, begin, counts = np.unique(span, return_index=True, return_counts=True)
  chosen, per_sentence = np.unique(sentence[begin], return_counts=True)
  return SalientSentences(
      salient.row[chosen], salient.start[chosen], salient.end[chosen],
      np.concatenate([[0], np.cumsum(per_sentence)]),
      salient.span_start[spans], salient.span_end[spans],
      Support(block, begin, counts, NOT_THERE))
