"""Sentences with salient spans, and in which other blocks each span is salient too.

Shape letters: X sentences.
"""

from typing import Any, NamedTuple, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from realm_tf.corpus.derived import Writer, derived
from realm_tf.corpus.store import Corpus
from realm_tf.examples.corpus_sentences import SHORTEST

_ELSEWHERE = ("support", "support_rows")  # fields that are kept by themselves


class Support(NamedTuple):
  """For each salient span, in which blocks the same pieces are salient."""
  rows: np.ndarray  # blocks of one span after those of another, none twice
  first: np.ndarray  # [spans] where the span's blocks begin in `rows`
  blocks: np.ndarray  # [spans] how many there are, its own counted
  own_place: np.ndarray  # [spans] which of them is its own; -1 for none

  def another(self, span: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    """One of the other blocks of each span, in the graph; its own if there is no other.

    Args:
      span: [B] int, of tables that are tensors.
      drawn: [B] float32 in [0, 1), which of them.

    Returns:
      [B] int32.
    """
    first, count, own_place = (tf.gather(field, span) for field in self[1:])
    others = count - tf.cast(own_place >= 0, count.dtype)
    number = tf.cast(drawn * tf.cast(others, tf.float32), count.dtype)
    return tf.gather(self.rows, first + (own_place + 1 + number) % count)


class SalientSentences(NamedTuple):
  """Sentences with at least one salient span; spans by CSR splits."""
  row: np.ndarray  # [X] int32
  start: np.ndarray  # [X] int32, token index in the body
  end: np.ndarray  # [X] int32
  span_splits: np.ndarray  # [X + 1] int64
  span_start: np.ndarray  # int32
  span_end: np.ndarray  # int32
  support: Support  # of the spans


def supporting_blocks(corpus: Corpus) -> Support:
  """For each salient span of the corpus; made once for a store and kept beside it.

  The blocks are those of `corpus.knowledge`, if there is one: then none is the span's own.
  """
  return Support(**derived(corpus, "salient_spans", _settings(corpus), lambda new: new.append(
      **_supporting_blocks(corpus)._asdict())))


def _settings(corpus: Corpus) -> dict[str, Any]:
  return {"version": 1, "knowledge": corpus.knowledge.hash if corpus.knowledge else ""}


def _supporting_blocks(corpus: Corpus) -> Support:
  knowledge = corpus.knowledge or corpus
  names = _span_names([knowledge] if corpus is knowledge else [knowledge, corpus])
  count, name = knowledge.num_blocks, names[-1]
  keys = names[0] * count + np.repeat(np.arange(count), knowledge.span_starts.lengths)
  pairs, place = np.unique(keys, return_inverse=True)
  begin = np.searchsorted(pairs, name * count)
  blocks = np.searchsorted(pairs, (name + 1) * count) - begin
  own = place.ravel() - begin if corpus is knowledge else np.full_like(begin, -1)
  return Support(pairs % count, begin, blocks, own)


def _span_names(corpora: Sequence[Corpus]) -> list[np.ndarray]:
  """A number for each salient span of each corpus, the same for the same pieces."""
  bounds = []
  for corpus in corpora:
    first = np.repeat(corpus.body_ids.splits[:-1], corpus.span_starts.lengths)
    bounds.append((first + corpus.span_starts.values, first + corpus.span_ends.values))
  names = [np.zeros(len(start), np.int64) for start, _ in bounds]
  used = 0
  for width in np.unique(np.concatenate([end - start for start, end in bounds])):
    chosen = [np.flatnonzero(end - start == width) for start, end in bounds]
    pieces = np.concatenate([
        corpus.body_ids.values[start[spans, None] + np.arange(width)]
        for corpus, (start, _), spans in zip(corpora, bounds, chosen)])
    number = np.unique(pieces, axis=0, return_inverse=True)[1].ravel() + used + 1
    used = int(number.max())
    for name, spans, part in zip(names, chosen, np.split(
        number, np.cumsum([len(spans) for spans in chosen])[:-1])):
      name[spans] = part
  return names


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
    sentences = _salient_sentences(corpus, max_masks, support)
    # Blocks of all spans are kept already.
    fields = sentences._asdict() | {f"support_{name}": value for name, value in
                                    sentences.support._asdict().items()}
    all_sentences = len(corpus.sentence_starts.values)
    logging.info("salient sentences: %d of %d can be masked; %d have no salient span at all",
                 len(sentences.row), all_sentences, num_without_spans(corpus))
    new.append(**{name: fields[name] for name in fields if name not in _ELSEWHERE})

  fields = derived(corpus, "salient_sentences", {
      **_settings(corpus), "max_masks": max_masks, "support": list(support)}, make)
  blocks = supporting_blocks(corpus).rows
  span_support = {name: fields[f"support_{name}"] for name in Support._fields[1:]}
  return SalientSentences(
      **{name: fields[name] for name in SalientSentences._fields[:-1]},
      support=Support(blocks, **span_support))


def num_without_spans(corpus: Corpus) -> int:
  """How many sentences have no salient span, of whatever length and wherever else."""
  first, starts = corpus.body_ids.splits[:-1], corpus.sentence_starts
  sentences = starts.values + np.repeat(first, starts.lengths)
  spans = corpus.span_starts.values + np.repeat(first, corpus.span_starts.lengths)
  ends = np.append(sentences, corpus.body_ids.splits[-1])
  return int((np.diff(np.searchsorted(spans, ends)) == 0).sum())


def _salient_sentences(corpus: Corpus, max_masks: int, support: tuple[int, int]
                       ) -> SalientSentences:
  starts = corpus.sentence_starts
  first = corpus.body_ids.splits[:-1]
  # One number line for the whole corpus: the place of a token among all tokens.
  sentence_at = starts.values + np.repeat(first, starts.lengths)
  row = np.repeat(np.arange(corpus.num_blocks, dtype=np.int32), starts.lengths)
  ends = np.append(sentence_at[1:], corpus.body_ids.splits[-1])
  base = np.repeat(first, corpus.span_starts.lengths)
  span_start, span_end = corpus.span_starts.values + base, corpus.span_ends.values + base
  fits = span_end - span_start <= max_masks
  support_of = supporting_blocks(corpus)
  fewest, most = support
  held = support_of.blocks + (1 if corpus.knowledge else 0)  # the own one counted
  fits &= (held >= fewest) & (held <= (most or held.max(initial=0)))
  if corpus.knowledge:
    fits &= support_of.blocks > 0
  span_start, span_end = span_start[fits], span_end[fits]
  splits = np.searchsorted(span_start, np.append(sentence_at, ends[-1:]))
  is_chosen = (np.diff(splits) > 0) & (ends - sentence_at >= SHORTEST)
  counts = np.diff(splits)[is_chosen]
  chosen = np.repeat(is_chosen, np.diff(splits))
  local = np.repeat(first[row[is_chosen]], counts)
  return SalientSentences(
      row[is_chosen], (sentence_at - first[row])[is_chosen].astype(np.int32),
      (ends - first[row])[is_chosen].astype(np.int32),
      np.concatenate([[0], np.cumsum(counts)]),
      (span_start[chosen] - local).astype(np.int32),
      (span_end[chosen] - local).astype(np.int32),
      Support(support_of.rows,
              *(field[fits][chosen] for field in support_of[1:])))
