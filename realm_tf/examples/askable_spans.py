"""What a question about a block may ask for: its salient spans, and phrases of some words.

People ask for more than names and figures. A phrase is what stands between two of the
corpus's most frequent words (of, the, was) or punctuation: some other words, mostly a noun
with what belongs to it. Which words are frequent is counted, so no list of a language's is
needed. Shape letters: P spans, V vocabulary, W words.
"""

import enum
from typing import NamedTuple

import numpy as np

from realm_tf.corpus.derived import Writer, derived
from realm_tf.corpus.store import Corpus
from realm_tf.examples.corpus_sentences import sentences_of
from realm_tf.examples.salient_support import parts_of
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
  """All salient spans and all phrases that are none; kept beside a store.

  Some blocks are looked at at a time, so memory does not grow with a corpus on the disk.
  """
  def make(new: Writer) -> None:
    inner = _inner_pieces(corpus)
    for first, end in parts_of(corpus):
      new.append(**_askable(corpus, inner, first, end)._asdict())

  return Askable(**derived(corpus, "askable_spans", {
      "version": 1, "common": _COMMON, "longest": _LONGEST}, make))


def _askable(corpus: Corpus, inner: np.ndarray, first: int, end: int) -> Askable:
  """Those of the blocks [first, end); `inner` [V] bool: pieces that phrases are of."""
  named = np.repeat(np.arange(first, end, dtype=np.int32),
                    np.diff(corpus.span_starts.splits[first:end + 1]))
  row, start, stop = _phrases(corpus, inner, first, end)
  rows = np.concatenate([named, row]).astype(np.int32)
  starts, ends = (np.concatenate([column.part(first, end), found]).astype(np.int32)
                  for column, found in ((corpus.span_starts, start),
                                        (corpus.span_ends, stop)))
  is_phrase = np.arange(len(rows)) >= len(named)
  # Where a phrase is a salient span too, this comes first and stays.
  order = np.lexsort([is_phrase, ends, starts, rows])
  rows, starts, ends, is_phrase = (field[order] for field in (rows, starts, ends, is_phrase))
  same = (np.diff(rows) == 0) & (np.diff(starts) == 0) & (np.diff(ends) == 0)
  kept = ~np.append(False, same)[:len(rows)]
  return Askable(rows[kept], starts[kept], ends[kept], is_phrase[kept])


def kind_of(text: str) -> Kind:
  """Of a salient span, by what figures there are in it; they are found in English text."""
  found = figures(text)
  if found:
    return Kind.NUMBER if found[0].is_number else Kind.DATE
  return Kind.NUMBER if any(char.isdigit() for char in text) else Kind.NAME


def _inner_pieces(corpus: Corpus) -> np.ndarray:
  """[V] bool: which pieces are of words, and not of the most frequent."""
  counts = np.zeros(corpus.tokenizer.vocab_size, np.int64)
  for first, end in parts_of(corpus):
    counts += np.bincount(corpus.body_ids.part(first, end), minlength=len(counts))
  order = np.argsort(-counts, kind="stable")
  is_rare = np.empty(len(counts), bool)
  is_rare[order] = np.cumsum(counts[order]) > _COMMON * counts.sum()
  return is_rare & [any(map(str.isalnum, piece)) for piece in corpus.tokenizer.vocabulary]


def _phrases(corpus: Corpus, inner_pieces: np.ndarray, first: int, end: int
             ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Block, first piece and last, exclusive, of each phrase of the blocks [first, end)."""
  pieces, splits = corpus.body_ids.part(first, end), np.asarray(
      corpus.body_ids.splits[first:end + 1])
  splits, lengths = splits - splits[0], np.diff(splits)
  begins = ~corpus.tokenizer.continuation[pieces]
  begins[splits[:-1][lengths > 0]] = True  # a block may begin inside a word
  word = np.append(np.flatnonzero(begins), len(begins))  # [W + 1] first pieces, and the end
  block = np.repeat(np.arange(end - first), lengths)[word[:-1]]
  inner = inner_pieces[pieces[word[:-1]]]
  sentences = sentences_of(corpus, first, end)
  begins_sentence = np.isin(word[:-1], splits[sentences.row - first] + sentences.start)
  # A run begins where the word before is none of it, or of another sentence, and so ends.
  before = np.append(False, inner[:-1]) & ~begins_sentence
  after = np.append(inner[1:] & ~begins_sentence[1:], False)
  run, run_end = np.flatnonzero(inner & ~before), np.flatnonzero(inner & ~after) + 1
  short = run_end - run <= _LONGEST
  run, run_end = run[short], run_end[short]
  own = splits[block[run]]
  return block[run] + first, word[run] - own, word[run_end] - own
