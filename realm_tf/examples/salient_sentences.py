"""Sentences with salient spans, which can be masked.

They are looked for in some blocks at a time, so memory does not grow with the corpus. Shape
letters: X sentences.
"""

from typing import NamedTuple

import numpy as np
from absl import logging

from realm_tf.corpus.derived import Writer, derived
from realm_tf.corpus.store import Corpus
from realm_tf.examples.corpus_sentences import SHORTEST
from realm_tf.examples.salient_support import Support, made_of, parts_of, supporting_blocks


class SalientSentences(NamedTuple):
  """Sentences with at least one salient span; spans by CSR splits."""
  row: np.ndarray  # [X] int32
  start: np.ndarray  # [X] int32, token index in the body
  end: np.ndarray  # [X] int32
  span_splits: np.ndarray  # [X + 1] int64
  span_start: np.ndarray  # int32
  span_end: np.ndarray  # int32
  support: Support  # of the spans


def salient_sentences(corpus: Corpus, max_masks: int, support: tuple[int, int] = (1, 0)
                      ) -> SalientSentences:
  """Finds the sentences of the corpus that can be masked; kept beside a store.

  Args:
    corpus: with salient spans.
    max_masks: word pieces; longer spans are left out.
    support: the fewest and the most blocks in which a span may be salient, its own
      counted; 0 for no upper limit. A span that is in no other block cannot be
      predicted from what is retrieved, since the own block is banned; one that is
      everywhere can be guessed. Where `corpus.knowledge` is retrieved, the others are of
      that, and there is one at least.
  """
  def make(new: Writer) -> None:
    held, kept, last_span = supporting_blocks(corpus), 0, 0
    for first, end in parts_of(corpus):
      sentences = _salient_sentences(corpus, first, end, max_masks, support, held)
      splits = sentences.span_splits[1 if first else 0:] + last_span
      kept, last_span = kept + len(sentences.row), last_span + len(sentences.span_start)
      fields = sentences._replace(span_splits=splits)._asdict()
      # Blocks of all spans are kept already.
      of_spans = {f"support_{name}": value for name, value in
                  fields.pop("support")._asdict().items() if name != "rows"}
      new.append(**fields, **of_spans)
    logging.info("salient sentences: %d of %d can be masked; %d have no salient span at all",
                 kept, len(corpus.sentence_starts.values), num_without_spans(corpus))

  fields = derived(corpus, "salient_sentences", {
      **made_of(corpus), "max_masks": max_masks, "support": list(support)}, make)
  blocks = supporting_blocks(corpus).rows
  span_support = {name: fields[f"support_{name}"] for name in Support._fields[1:]}
  return SalientSentences(
      **{name: fields[name] for name in SalientSentences._fields[:-1]},
      support=Support(blocks, **span_support))


def num_without_spans(corpus: Corpus) -> int:
  """How many sentences have no salient span, of whatever length and wherever else."""
  return sum(int((np.diff(_Line.of(corpus, first, end).first_spans()) == 0).sum())
             for first, end in parts_of(corpus))


class _Line(NamedTuple):
  """What some blocks hold, by places among all tokens of the corpus."""
  base: np.ndarray  # [B + 1] where each block begins, and the last one ends
  row: np.ndarray  # [X] of each sentence, counted from the first of these blocks
  sentences: np.ndarray  # [X + 1] where each begins, and the last one ends
  spans: slice  # which they are of all
  span_start: np.ndarray
  span_end: np.ndarray

  @classmethod
  def of(cls, corpus: Corpus, first: int, end: int) -> "_Line":
    """Of the blocks [first, end)."""
    base = np.asarray(corpus.body_ids.splits[first:end + 1])
    of_sentences, of_spans = (np.asarray(column.splits[first:end + 1]) for column in (
        corpus.sentence_starts, corpus.span_starts))
    row = np.repeat(np.arange(end - first), np.diff(of_sentences))
    sentences = corpus.sentence_starts.part(first, end) + base[row]
    begins = np.repeat(base[:-1], np.diff(of_spans))
    return cls(base, row, np.append(sentences, base[-1]),
               slice(int(of_spans[0]), int(of_spans[-1])),
               corpus.span_starts.part(first, end) + begins,
               corpus.span_ends.part(first, end) + begins)

  def first_spans(self, chosen: np.ndarray | slice = slice(None)) -> np.ndarray:
    """[X + 1]: the first of the `chosen` spans of each sentence, and how many there are."""
    return np.searchsorted(self.span_start[chosen], self.sentences)


def _salient_sentences(corpus: Corpus, first: int, end: int, max_masks: int,
                       support: tuple[int, int], support_of: Support) -> SalientSentences:
  """Those of the blocks [first, end); `span_splits` begin at 0."""
  line, (fewest, most) = _Line.of(corpus, first, end), support
  blocks = np.asarray(support_of.blocks[line.spans])
  held = blocks + (1 if corpus.knowledge else 0)  # the own one counted
  fits = line.span_end - line.span_start <= max_masks
  fits &= (held >= fewest) & (held <= (most or held.max(initial=0)))
  if corpus.knowledge:
    fits &= blocks > 0
  splits = line.first_spans(fits)
  is_chosen = (np.diff(splits) > 0) & (np.diff(line.sentences) >= SHORTEST)
  counts = np.diff(splits)[is_chosen]
  spans = np.flatnonzero(fits)[np.repeat(is_chosen, np.diff(splits))]
  base = line.base[line.row[is_chosen]]
  begins = np.repeat(base, counts)
  return SalientSentences(
      (first + line.row[is_chosen]).astype(np.int32),
      (line.sentences[:-1][is_chosen] - base).astype(np.int32),
      (line.sentences[1:][is_chosen] - base).astype(np.int32),
      np.concatenate([[0], np.cumsum(counts)]),
      (line.span_start[spans] - begins).astype(np.int32),
      (line.span_end[spans] - begins).astype(np.int32),
      Support(support_of.rows, *(field[line.spans][spans] for field in support_of[1:])))
