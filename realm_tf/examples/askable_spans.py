"""What a question about a block may ask for: its salient spans, and phrases of some words.

People ask for more than names and figures. A phrase is what stands between two of the
corpus's most frequent words (of, the, was) or punctuation: some other words, mostly a noun
with what belongs to it. Which words are frequent is counted, so no list of a language's is
needed. Shape letters: P spans, U word pieces of the corpus, W words.
"""

import enum
from typing import NamedTuple

import numpy as np

from realm_tf.corpus.store import Corpus
from realm_tf.examples.corpus_sentences import all_sentences
from realm_tf.examples.recurring import begins_word
from realm_tf.text.figures import figures

_COMMON = 0.45  # of a text are its most frequent word pieces: some 100 in English
_LONGEST = 3  # words of a phrase


class Kind(enum.IntEnum):
  """What is asked for, which decides the question word."""
  NAME = 0
  DATE = 1
  NUMBER = 2
  PHRASE = 3


class Askable(NamedTuple):
  """P spans, in the order of the blocks."""
  row: np.ndarray  # [P] int32: block
  start: np.ndarray  # [P] int32: piece of the body
  end: np.ndarray  # [P] int32: exclusive
  is_phrase: np.ndarray  # [P] bool


def askable_spans(corpus: Corpus) -> Askable:
  """All salient spans and all phrases that are none."""
  spans, (row, start, end) = corpus.span_starts, _phrases(corpus)
  named = np.repeat(np.arange(corpus.num_blocks, dtype=np.int32), spans.lengths)
  rows = np.concatenate([named, row]).astype(np.int32)
  starts = np.concatenate([spans.values, start])
  ends, is_phrase = np.concatenate([corpus.span_ends.values, end]), np.arange(
      len(rows)) >= len(named)
  # Where a phrase is a salient span too, this comes first and stays.
  order = np.lexsort([is_phrase, ends, starts, rows])
  rows, starts, ends, is_phrase = (field[order] for field in (rows, starts, ends, is_phrase))
  same = (np.diff(rows) == 0) & (np.diff(starts) == 0) & (np.diff(ends) == 0)
  kept = ~np.append(False, same)
  return Askable(rows[kept], starts[kept].astype(np.int32), ends[kept].astype(np.int32),
                 is_phrase[kept])


def kind_of(text: str) -> Kind:
  """Of a salient span, by what figures there are in it; they are found in English text."""
  found = figures(text)
  if found:
    return Kind.NUMBER if found[0].is_number else Kind.DATE
  return Kind.NUMBER if any(char.isdigit() for char in text) else Kind.NAME


def _phrases(corpus: Corpus) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Block, first piece and last, exclusive, of each phrase."""
  body, vocabulary = corpus.body_ids, corpus.tokenizer.vocabulary
  begins = begins_word(corpus)
  word = np.append(np.flatnonzero(begins), len(begins))  # [W + 1] first pieces, and the end
  row = np.repeat(np.arange(corpus.num_blocks, dtype=np.int32), body.lengths)[word[:-1]]
  is_word = np.array([any(map(str.isalnum, piece)) for piece in vocabulary])
  inner = (is_word & _rare_pieces(body.values, len(vocabulary)))[body.values[word[:-1]]]
  sentences = all_sentences(corpus)
  begins_sentence = np.isin(word[:-1], body.splits[sentences.row] + sentences.start)
  # A run begins where the word before is none of it, or of another sentence, and so ends.
  before = np.append(False, inner[:-1]) & ~begins_sentence
  after = np.append(inner[1:] & ~begins_sentence[1:], False)
  begin, end = np.flatnonzero(inner & ~before), np.flatnonzero(inner & ~after) + 1
  short = end - begin <= _LONGEST
  begin, end = begin[short], end[short]
  own = body.splits[row[begin]]
  return row[begin], word[begin] - own, word[end] - own


def _rare_pieces(ids: np.ndarray, vocabulary: int) -> np.ndarray:
  """[V] bool: all but the most frequent."""
  counts = np.bincount(ids, minlength=vocabulary)
  order = np.argsort(-counts, kind="stable")
  is_rare = np.empty(vocabulary, bool)
  is_rare[order] = np.cumsum(counts[order]) > _COMMON * len(ids)
  return is_rare
