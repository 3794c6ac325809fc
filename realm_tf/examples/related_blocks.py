"""Salient spans with which a related block can help, and which blocks these are.

A span that recurs often recurs by chance: the same year, the same country. From such a block
nothing can be learnt of what the sentence asks for. A block is related to a sentence if it is
of the same article, or if it holds another salient span of the sentence beside the masked
one. Shape letters: X sentences.
"""

from typing import Iterator

import numpy as np
from absl import logging

from realm_tf.corpus.derived import Writer, derived
from realm_tf.corpus.store import Corpus
from realm_tf.examples.recurring import articles
from realm_tf.examples.salient_sentences import SalientSentences, salient_sentences
from realm_tf.examples.salient_support import Support

_SENTENCES = 20_000  # that are looked at together, which bounds the memory


def related_sentences(corpus: Corpus, max_masks: int, support: tuple[int, int] = (1, 0)
                      ) -> SalientSentences:
  """As `salient_sentences`, but only with spans that a related block holds.

  `support` then has these blocks alone, none of them its own. Kept beside a store. Where
  `corpus.knowledge` is retrieved, whose articles are others, two spans make a block related.
  """
  def make(new: Writer) -> None:
    salient, kept = salient_sentences(corpus, max_masks, support), 0
    last_span = last_block = 0
    new.append(span_splits=np.zeros(1, np.int64))
    for part in _in_parts(corpus, salient):
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
      "version": 1, "knowledge": corpus.knowledge.hash if corpus.knowledge else "",
      "max_masks": max_masks, "support": list(support)}, make)
  return SalientSentences(
      **{name: fields[name] for name in SalientSentences._fields[:-1]},
      support=Support(fields["rows"], fields["first"], fields["blocks"],
                      np.full(len(fields["first"]), -1)))


def _in_parts(corpus: Corpus, salient: SalientSentences) -> Iterator[SalientSentences]:
  """Each part by itself; the first is there even if there is no sentence at all."""
  # Articles are known by where they begin.
  article = None if corpus.knowledge else articles(corpus).first
  for first in range(0, max(1, len(salient.row)), _SENTENCES):
    last = min(first + _SENTENCES, len(salient.row))
    yield _kept(salient, *_related(salient, first, last, article))


def _related(salient: SalientSentences, first: int, last: int, article: np.ndarray | None
             ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Of sentences [first, last): spans, related blocks that hold them, and their sentences.

  Ascending by span.
  """
  splits, support = salient.span_splits[first:last + 1], salient.support
  spans = slice(int(splits[0]), int(splits[-1]))
  counts = np.asarray(support.blocks[spans])
  name = np.repeat(support.first[spans], counts)  # the same for the same pieces
  span = np.repeat(np.arange(spans.start, spans.stop), counts)
  place = np.arange(len(span)) - np.repeat(np.cumsum(counts) - counts, counts)
  block = support.rows[name + place]
  sentence = np.repeat(np.arange(first, last), np.diff(splits))[span - spans.start]
  pair = np.unique(np.stack([sentence, block, name], 1), axis=0)
  held, times = np.unique(pair[:, :2], axis=0, return_counts=True)
  size = int(block.max(initial=0)) + 1
  key = sentence * size + block
  is_related = times[np.searchsorted(held[:, 0] * size + held[:, 1], key)] > 1
  if article is not None:
    row = salient.row[sentence]
    is_related = (is_related | (article[block] == article[row])) & (block != row)
  return span[is_related], block[is_related], sentence[is_related]


def _kept(salient: SalientSentences, span: np.ndarray, block: np.ndarray,
          sentence: np.ndarray) -> SalientSentences:
  """The sentences of these spans, and of the spans these blocks."""
  spans, begin, counts = np.unique(span, return_index=True, return_counts=True)
  chosen, per_sentence = np.unique(sentence[begin], return_counts=True)
  return SalientSentences(
      salient.row[chosen], salient.start[chosen], salient.end[chosen],
      np.concatenate([[0], np.cumsum(per_sentence)]),
      salient.span_start[spans], salient.span_end[spans],
      Support(block, begin, counts, np.full(len(spans), -1)))
