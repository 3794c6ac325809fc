"""Cloze questions of the documents: what the span head learns from without labels.

A question is a sentence, or a window of it, of which one [MASK] stands for a salient span
that another block holds too (recurring span selection: Splinter, Ram et al. 2021, arXiv
2101.00438; cloze questions: Lewis et al. 2019, arXiv 1906.04980). Like the answers of
questions, spans are names, dates and figures of some words. Shape letters: P spans, B batch,
T tokens, N blocks.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.ragged import RaggedLookup
from realm_tf.corpus.store import Corpus
from realm_tf.datasets.matching import Occurrences, find_occurrences
from realm_tf.errors import UserError
from realm_tf.examples import order
from realm_tf.examples.corpus_sentences import SHORTEST, all_sentences
from realm_tf.examples.ict_pairs import cut
from realm_tf.examples.qa import AnswerPlaces
from realm_tf.examples.recurring import Recurring, Windows, recurring_spans
from realm_tf.text.inputs import kept_of_pair
from realm_tf.text.words import words


class ClozeBatch(NamedTuple):
  name: tf.Tensor  # [B] int32: which span was taken out, a number of `Clozes.places`
  question: tf.RaggedTensor  # [B, (T)] int32, with one mask
  row: tf.Tensor  # [B] int32: block that the sentence is of
  support: tf.Tensor  # [B] int32: another block that holds the span


class Clozes(NamedTuple):
  """The questions that can be asked of a corpus."""
  spans: Recurring  # P of them; names are numbered from 0, none left out
  low: np.ndarray  # [P] int32: where the sentence of each begins
  high: np.ndarray  # [P] int32: and ends, exclusive
  places: AnswerPlaces  # where the spans of each name stand in the corpus


def find_clozes(config: RealmConfig, corpus: Corpus) -> Clozes:
  """Finds the spans that can be asked for, and where they stand.

  A block counts for a span that stands where it is still read, behind a question of
  `cloze.question_length`.

  Raises:
    UserError: there are none.
  """
  cloze = config.cloze
  readable = int(kept_of_pair(cloze.question_length, corpus.max_tokens,
                              reader_length(config))[1])
  spans = recurring_spans(corpus, cloze.span_blocks, readable)
  low, high = _sentences(corpus, spans)
  text = [_text(corpus, *place) for place in zip(spans.row, spans.start, spans.end)]
  width = spans.end - spans.start
  askable = np.flatnonzero(
      (width <= config.encoder.max_span_width) & (high - low - width >= SHORTEST)
      & np.array([0 < len(words(answer)) <= cloze.max_words for answer in text], bool))
  if not len(askable):
    raise UserError(
        "cloze questions: no salient span of the corpus can be asked for, in so many blocks "
        f"as config.cloze.span_blocks={cloze.span_blocks} says and of at most "
        f"config.cloze.max_words={cloze.max_words} words; set --config.cloze.steps=0")
  _, first, name = np.unique(spans.name[askable], return_index=True, return_inverse=True)
  support = spans.support._replace(**{
      field: getattr(spans.support, field)[askable]
      for field in ("first", "blocks", "own_place")})
  chosen = Recurring(spans.row[askable], spans.start[askable], spans.end[askable],
                     name.ravel(), support)
  occurrences = find_occurrences([[text[askable[i]]] for i in first], corpus,
                                 corpus.tokenizer)
  return Clozes(chosen, low[askable], high[askable],
                AnswerPlaces.of(_readable(occurrences, readable), corpus.num_blocks))


def reader_length(config: RealmConfig) -> int:
  """Word pieces of question and block together."""
  return config.cloze.reader_length or config.finetune.reader_length


def cloze_batches(config: RealmConfig, corpus: Corpus, clozes: Clozes, first_step: int
                  ) -> tf.data.Dataset:
  """Yields a `ClozeBatch` per step, to the last; (seed, step) decides it."""
  cloze, size = config.cloze, config.cloze.batch_size
  table = tf.nest.map_structure(lambda field: tf.constant(field, tf.int32), clozes[:3])
  bodies, windows = RaggedLookup(corpus.body_ids), Windows(corpus)
  mask = tf.RaggedTensor.from_tensor(tf.fill([size, 1], corpus.tokenizer.mask_id))

  def batch(step: tf.Tensor, chosen: tf.Tensor) -> ClozeBatch:
    spans, *sentence = table
    row, start, end, name = (tf.gather(field, chosen) for field in spans[:4])
    draws = tf.unstack(tf.reshape(order.uniform(step, config.seed, 2 * size), [2, size]))
    low, high = (tf.gather(side, chosen) for side in sentence)
    first, last = windows.draw(row, low, high, start, end,
                               tf.fill([size], cloze.question_length), draws[0])
    body = bodies.gather(row)
    before, after = (cut(body, *part, keep_inside=True) for part in ((first, start),
                                                                     (end, last)))
    question = tf.concat([before, mask, after], 1)
    return ClozeBatch(name, question, row, spans.support.another(chosen, draws[1]))

  return order.shuffled_batches(
      len(clozes.low), size, config.seed, first_step, cloze.steps
  ).map(batch, num_parallel_calls=2, deterministic=True).prefetch(4)


def _sentences(corpus: Corpus, spans: Recurring) -> tuple[np.ndarray, np.ndarray]:
  """[P] int32 each: where the sentence of each span begins in the body, and ends."""
  sentences, base = all_sentences(corpus), corpus.body_ids.splits
  number = np.searchsorted(base[sentences.row] + sentences.start,
                           base[spans.row] + spans.start, "right") - 1
  return sentences.start[number], np.maximum(sentences.end[number], spans.end)


def _text(corpus: Corpus, row: int, start: int, end: int) -> str:
  first, last = corpus.body_starts.row(row)[start], corpus.body_ends.row(row)[end - 1]
  return corpus.texts[row][first:last].decode("utf-8")


def _readable(occurrences: Occurrences, pieces: int) -> Occurrences:
  """Those places that are whole and end among the first `pieces` of their blocks."""
  is_readable = (occurrences.starts >= 0) & (occurrences.ends < pieces)
  before = np.concatenate([[0], np.cumsum(is_readable)])
  return Occurrences(occurrences.rows[is_readable], occurrences.starts[is_readable],
                     occurrences.ends[is_readable], before[occurrences.splits])
