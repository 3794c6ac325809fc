"""Cloze questions of the documents: what the span head learns from without labels.

By `cloze.form`:

* `sentence`: a sentence, or a window of it, of which one [MASK] stands for a salient span
  that another block holds too (recurring span selection: Splinter, Ram et al. 2021, arXiv
  2101.00438). Like the answers of questions, spans are names, dates and figures.
* `question`: the words of such a window, made into a question (`made_questions`), about the
  block that it is from: what is asked for, a name, figure or phrase, need not stand anywhere
  else (Lewis et al. 2019, arXiv 1906.04980).

Shape letters: P spans, B batch, T tokens, N blocks.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.tables import Table, at, columns
from realm_tf.datasets.matching import Occurrences, find_occurrences
from realm_tf.errors import UserError
from realm_tf.examples import order
from realm_tf.examples.askable_spans import Askable, Kind, askable_spans, kind_of
from realm_tf.examples.corpus_sentences import SHORTEST, all_sentences
from realm_tf.examples.ict_pairs import cut
from realm_tf.examples.made_questions import QuestionMaker
from realm_tf.examples.qa import AnswerPlaces
from realm_tf.examples.recurring import Recurring, Windows, recurring_spans
from realm_tf.examples.salient_support import NOT_THERE, Support
from realm_tf.text.inputs import kept_of_pair
from realm_tf.text.words import words

_NAMES_PER_PHRASE = 3  # with one a reader learnt less of what people ask


class ClozeBatch(NamedTuple):
  name: tf.Tensor  # [B] int32: which span was taken out, a number of `Clozes.places`
  question: tf.RaggedTensor  # [B, (T)] int32
  row: tf.Tensor  # [B] int32: block that the sentence is of
  support: tf.Tensor  # [B] int32: a block that holds the span: another, or that one


class Clozes(NamedTuple):
  """The questions that can be asked of a corpus."""
  spans: Recurring  # P of them; names are numbered from 0, none left out
  low: np.ndarray  # [P] int32: where the sentence of each begins
  high: np.ndarray  # [P] int32: and ends, exclusive
  kind: np.ndarray  # [P] int32: a `Kind`; all of one in sentences, which do not tell
  places: AnswerPlaces  # where the spans of each name stand in the corpus


def find_clozes(config: RealmConfig, corpus: Corpus) -> Clozes:
  """Finds the spans that can be asked for, and where they stand.

  A block counts for a span that stands where it is still read, behind a question of
  `cloze.question_length`.

  Raises:
    UserError: there are none.
  """
  readable = int(kept_of_pair(config.cloze.question_length, corpus.max_tokens,
                              reader_length(config))[1])
  spans, texts, kind = (_in_questions if asks(config) else _in_sentences)(
      config, corpus, readable)
  low, high = _sentences(corpus, spans)
  occurrences = find_occurrences([[text] for text in texts], corpus, corpus.tokenizer)
  return Clozes(spans, low, high, kind,
                AnswerPlaces.of(_readable(occurrences, readable), corpus.num_blocks))


def asks(config: RealmConfig) -> bool:
  """Whether they have the form of questions, about the block that they are from."""
  return config.cloze.form == "question"


def reader_length(config: RealmConfig) -> int:
  """Word pieces of question and block together."""
  return config.cloze.reader_length or config.finetune.reader_length


def cloze_batches(config: RealmConfig, corpus: Corpus, clozes: Clozes, first_step: int
                  ) -> tf.data.Dataset:
  """Yields a `ClozeBatch` per step, to the last; (seed, step) decides it."""
  cloze, size = config.cloze, config.cloze.batch_size
  table = columns((*clozes.spans[:4], *clozes[1:4]))
  support = Support(*columns(clozes.spans.support))
  bodies, windows = Table(corpus.body_ids), Windows(corpus)
  mask = tf.RaggedTensor.from_tensor(tf.fill([size, 1], corpus.tokenizer.mask_id))
  make_question = QuestionMaker(corpus.tokenizer) if asks(config) else None

  def lengths(step: tf.Tensor) -> tf.Tensor:
    """Of the windows, pieces: questions are short and long."""
    most = cloze.question_length
    drawn = order.uniform(step, config.seed + 1, size) if make_question else tf.ones([size])
    return most // 3 + tf.cast(drawn * tf.cast(most - most // 3, tf.float32), tf.int32)

  def batch(step: tf.Tensor, chosen: tf.Tensor) -> ClozeBatch:
    row, start, end, name, low, high, kind = at(table, chosen)
    draws = tf.unstack(tf.reshape(order.uniform(step, config.seed, 2 * size), [2, size]))
    first, last = windows.draw(row, low, high, start, end, lengths(step), draws[0])
    body = bodies.gather(row)
    before, after = (cut(body, *part, keep_inside=True) for part in ((first, start),
                                                                     (end, last)))
    question = (make_question(before, after, kind, tf.stack([config.seed, step]))
                if make_question else tf.concat([before, mask, after], 1))
    return ClozeBatch(name, question, row, support.another(chosen, draws[1]))

  return order.shuffled_batches(
      len(clozes.low), size, config.seed, first_step, cloze.steps
  ).map(batch, num_parallel_calls=2, deterministic=True).prefetch(4)


def _in_sentences(config: RealmConfig, corpus: Corpus, readable: int
                  ) -> tuple[Recurring, list[str], np.ndarray]:
  """Spans that recur, the text of each name, and kinds, which are all the same."""
  cloze = config.cloze
  spans = recurring_spans(corpus, cloze.span_blocks, readable)
  fits = np.flatnonzero(_fitting(config, corpus, spans))
  texts = {i: _text(corpus, spans.row[i], spans.start[i], spans.end[i]) for i in fits}
  usable = np.array([i for i in fits if 0 < len(words(texts[i])) <= cloze.max_words], int)
  if not len(usable):
    raise UserError(
        "cloze questions: no salient span of the corpus can be asked for, in so many blocks "
        f"as config.cloze.span_blocks={cloze.span_blocks} says and of at most "
        f"config.cloze.max_words={cloze.max_words} words; set --config.cloze.steps=0")
  _, first, name = np.unique(spans.name[usable], return_index=True, return_inverse=True)
  support = spans.support._replace(**{
      field: getattr(spans.support, field)[usable]
      for field in ("first", "blocks", "own_place")})
  chosen = Recurring(spans.row[usable], spans.start[usable], spans.end[usable],
                     name.ravel(), support)
  return chosen, [texts[usable[i]] for i in first], np.zeros(len(usable), np.int32)


def _in_questions(config: RealmConfig, corpus: Corpus, readable: int
                  ) -> tuple[Recurring, list[str], np.ndarray]:
  """As many spans at most as the stage has questions; each is supported by its own block."""
  cloze, found = config.cloze, askable_spans(corpus)
  fits = _fitting(config, corpus, found) & (found.end <= readable)
  texts: dict[int, str] = {}
  # No more texts are looked at than are asked for.
  for i in _in_drawn_order(np.flatnonzero(fits), found.is_phrase, config.seed):
    if len(texts) == cloze.steps * cloze.batch_size:
      break
    text = _text(corpus, found.row[i], found.start[i], found.end[i])
    if 0 < len(words(text)) <= cloze.max_words:
      texts[int(i)] = text
  if not texts:
    raise UserError(
        "cloze questions: nothing in the corpus can be asked for, of at most "
        f"config.cloze.max_words={cloze.max_words} words in sentences of more than "
        f"{SHORTEST} word pieces; set --config.cloze.steps=0")
  chosen = np.array(sorted(texts))
  row, start, end, is_phrase = (field[chosen] for field in found)
  kind = np.array([Kind.PHRASE if phrase else kind_of(texts[i])
                   for phrase, i in zip(is_phrase, chosen.tolist())], np.int32)
  names: dict[str, int] = {}
  name = np.array([names.setdefault(texts[i], len(names)) for i in chosen.tolist()])
  own = Support(row, np.arange(len(row)), np.ones_like(row), NOT_THERE)
  return Recurring(row, start, end, name, own), list(names), kind


def _in_drawn_order(spans: np.ndarray, is_phrase: np.ndarray, seed: int) -> np.ndarray:
  """The spans shuffled; of phrases a share of the others at most, if there are others."""
  rng = np.random.default_rng(seed)
  names, phrases = spans[~is_phrase[spans]], spans[is_phrase[spans]]
  most = -(-len(names) // _NAMES_PER_PHRASE) or None
  return rng.permutation(np.append(names, rng.permutation(phrases)[:most]))


def _fitting(config: RealmConfig, corpus: Corpus, spans: Recurring | Askable) -> np.ndarray:
  """[P] bool: which of the spans a reader can point at, and a sentence can ask for."""
  low, high = _sentences(corpus, spans)
  width = spans.end - spans.start
  return (width <= config.encoder.max_span_width) & (high - low - width >= SHORTEST)


def _sentences(corpus: Corpus, spans: Recurring | Askable) -> tuple[np.ndarray, np.ndarray]:
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
