"""Cloze questions of the documents: what the span head learns from without labels.

By `cloze.form`:

* `sentence`: a sentence, or a window of it, of which one [MASK] stands for a salient span
  that another block holds too (recurring span selection: Splinter, Ram et al. 2021, arXiv
  2101.00438). Like the answers of questions, spans are names, dates and figures.
* `question`: the words of such a window, made into a question (`made_questions`), about the
  block that it is from: what is asked for, a name, figure or phrase, need not stand anywhere
  else (Lewis et al. 2019, arXiv 1906.04980). Cells of tables are asked for by their column
  and line instead (`table_cells`), values of fields by key and by what they are of.

Shape letters: P spans, F and n some of them, B batch, T tokens, N blocks.
"""

from typing import Iterator, NamedTuple

import numpy as np
import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.tables import Table, at, columns
from realm_tf.datasets.matching import Occurrences, find_occurrences
from realm_tf.errors import UserError
from realm_tf.examples import order
from realm_tf.examples.askable_spans import Askable, Kind, askable_spans, kind_of
from realm_tf.examples.corpus_sentences import SHORTEST, sentences_of
from realm_tf.examples.ict_pairs import cut
from realm_tf.examples.made_questions import QuestionMaker
from realm_tf.examples.qa import AnswerPlaces
from realm_tf.examples.recurring import Recurring, Windows, recurring_spans
from realm_tf.examples.salient_support import NOT_THERE, Support, parts_of
from realm_tf.examples.table_cells import Cells, cell_kind, table_cells
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
  # Of a cell or a value the two parts of its question, the second empty for the title.
  asked_by: np.ndarray  # [P, 4] int32: else 0
  places: AnswerPlaces  # where the spans of each name stand in the corpus


def find_clozes(config: RealmConfig, corpus: Corpus) -> Clozes:
  """Finds the spans that can be asked for, and where they stand.

  As many at most as the stage has questions. A block counts for a span that stands where it
  is still read, behind a question of `cloze.question_length`.

  Raises:
    UserError: there are none.
  """
  readable = int(kept_of_pair(config.cloze.question_length, corpus.max_tokens,
                              reader_length(config))[1])
  spans, texts, kind, asked_by = (_in_questions if asks(config) else _in_sentences)(
      config, corpus, readable)
  low, high = (np.concatenate(sides) for sides in zip(*(
      part[1:] for part in _sentences(corpus, spans))))
  occurrences = find_occurrences([[text] for text in texts], corpus, corpus.tokenizer)
  return Clozes(spans, low, high, kind, asked_by,
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
  table = columns((*clozes.spans[:4], *clozes[1:5]))
  support = Support(*columns(clozes.spans.support))
  bodies, windows = Table(corpus.body_ids), Windows(corpus.tokenizer)
  titles = Table(corpus.title_ids)
  mask = tf.RaggedTensor.from_tensor(tf.fill([size, 1], corpus.tokenizer.mask_id))
  make_question = QuestionMaker(corpus.tokenizer) if asks(config) else None

  def lengths(step: tf.Tensor) -> tf.Tensor:
    """Of the windows, pieces: questions are short and long."""
    most = cloze.question_length
    drawn = order.uniform(step, config.seed + 1, size) if make_question else tf.ones([size])
    return most // 3 + tf.cast(drawn * tf.cast(most - most // 3, tf.float32), tf.int32)

  def batch(step: tf.Tensor, chosen: tf.Tensor) -> ClozeBatch:
    row, start, end, name, low, high, kind, asked_by = at(table, chosen)
    draws = tf.unstack(tf.reshape(order.uniform(step, config.seed, 2 * size), [2, size]))
    body = bodies.gather(row)
    first, last = windows.draw(body, low, high, start, end, lengths(step), draws[0])
    is_cell = asked_by[:, 1:2] > 0
    parts = tf.where(is_cell, asked_by, tf.stack([first, start, end, last], 1))
    before, after = (cut(body, parts[:, i], parts[:, i + 1], keep_inside=True)
                     for i in (0, 2))
    title_pieces = tf.where(is_cell[:, 0] & (asked_by[:, 3] == 0), titles.lengths(row), 0)
    after = tf.concat([after, cut(titles.gather(row), 0 * title_pieces, title_pieces,
                                  keep_inside=True)], 1)
    question = (make_question(before, after, kind, tf.stack([config.seed, step]))
                if make_question else tf.concat([before, mask, after], 1))
    return ClozeBatch(name, question, row, support.another(chosen, draws[1]))

  return order.shuffled_batches(
      len(clozes.low), size, config.seed, first_step, cloze.steps
  ).map(batch, num_parallel_calls=2, deterministic=True).prefetch(4)


def _in_sentences(config: RealmConfig, corpus: Corpus, readable: int
                  ) -> tuple[Recurring, list[str], np.ndarray, np.ndarray]:
  """Spans that recur, the text of each name, kinds, which are all the same, and no cells."""
  cloze = config.cloze
  spans = recurring_spans(corpus, cloze.span_blocks, readable)
  fits = np.random.default_rng(config.seed).permutation(_fitting(config, corpus, spans))
  texts = _texts(config, corpus, spans, fits, max(1, cloze.steps * cloze.batch_size))
  if not texts:
    raise UserError(
        "cloze questions: no salient span of the corpus can be asked for, in so many blocks "
        f"as config.cloze.span_blocks={cloze.span_blocks} says and of at most "
        f"config.cloze.max_words={cloze.max_words} words; set --config.cloze.steps=0")
  chosen = np.array(list(texts))
  _, first, name = np.unique(spans.name[chosen], return_index=True, return_inverse=True)
  support = spans.support._replace(**{
      field: getattr(spans.support, field)[chosen]
      for field in ("first", "blocks", "own_place")})
  return (Recurring(spans.row[chosen], spans.start[chosen], spans.end[chosen], name.ravel(),
                    support),
          [texts[i] for i in chosen[first].tolist()], np.zeros(len(chosen), np.int32),
          np.zeros([len(chosen), 4], np.int32))


def _in_questions(config: RealmConfig, corpus: Corpus, readable: int
                  ) -> tuple[Recurring, list[str], np.ndarray, np.ndarray]:
  """Each span is supported by its own block."""
  found, cells = askable_spans(corpus), table_cells(corpus)
  most = max(1, config.cloze.steps * config.cloze.batch_size)
  fits = np.flatnonzero((cells.end <= readable)
                        & (cells.end - cells.start <= config.encoder.max_span_width))
  drawn = np.random.default_rng(config.seed).permutation(fits)
  of_cells = _texts(config, corpus, cells, drawn, int(most * config.cloze.table_share))
  fits = _fitting(config, corpus, found)
  fits = _in_drawn_order(fits[found.end[fits] <= readable], found.is_phrase, config.seed)
  of_spans = _texts(config, corpus, found, fits, most - len(of_cells))
  texts = [*of_spans.values(), *of_cells.values()]
  if not texts:
    raise UserError(
        "cloze questions: nothing in the corpus can be asked for, of at most "
        f"config.cloze.max_words={config.cloze.max_words} words in sentences of more than "
        f"{SHORTEST} word pieces; set --config.cloze.steps=0")
  chosen, chosen_cells = np.array([*of_spans], int), np.array([*of_cells], int)
  row, start, end = (np.concatenate([mine[chosen], other[chosen_cells]])
                     for mine, other in zip(found[:3], cells[:3]))
  kinds = [Kind.PHRASE if phrase else kind_of(text)
           for phrase, text in zip(found.is_phrase[chosen], of_spans.values())]
  names_line = cells.start[chosen_cells] < cells.by_start[chosen_cells]
  kind = np.array([*kinds, *map(cell_kind, of_cells.values(), names_line)], np.int32)
  asked_by = np.concatenate([np.zeros([len(chosen), 4], np.int32), np.stack(
      [field[chosen_cells] for field in cells[3:]], 1)])
  in_order = np.argsort(row, kind="stable")
  row, start, end, kind, asked_by = (field[in_order]
                                     for field in (row, start, end, kind, asked_by))
  names: dict[str, int] = {}
  name = np.array([names.setdefault(texts[i], len(names)) for i in in_order.tolist()])
  own = Support(row, np.arange(len(row)), np.ones_like(row), NOT_THERE)
  return Recurring(row, start, end, name, own), list(names), kind, asked_by


def _in_drawn_order(spans: np.ndarray, is_phrase: np.ndarray, seed: int) -> np.ndarray:
  """The spans shuffled; of phrases a share of the others at most, if there are others."""
  rng = np.random.default_rng(seed)
  names, phrases = spans[~is_phrase[spans]], spans[is_phrase[spans]]
  most = -(-len(names) // _NAMES_PER_PHRASE) or None
  return rng.permutation(np.append(names, rng.permutation(phrases)[:most]))


def _texts(config: RealmConfig, corpus: Corpus, spans: Recurring | Askable | Cells,
           drawn: np.ndarray, most: int) -> dict[int, str]:
  """The texts of the first `most` spans of few enough words; in the order of the blocks.

  No more are looked at.
  """
  texts: dict[int, str] = {}
  for i in drawn:
    if len(texts) == most:
      break
    text = _text(corpus, spans.row[i], spans.start[i], spans.end[i])
    if 0 < len(words(text)) <= config.cloze.max_words:
      texts[int(i)] = text
  return dict(sorted(texts.items()))


def _fitting(config: RealmConfig, corpus: Corpus, spans: Recurring | Askable) -> np.ndarray:
  """Which of the spans a reader can point at, and a sentence can ask for: [F] int64."""
  found = [np.zeros(0, np.int64)]
  for part, low, high in _sentences(corpus, spans):
    width = spans.end[part] - spans.start[part]
    found.append(part.start + np.flatnonzero(
        (width <= config.encoder.max_span_width) & (high - low - width >= SHORTEST)))
  return np.concatenate(found)


def _sentences(corpus: Corpus, spans: Recurring | Askable
               ) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
  """Yields some of the spans at a time: which, where their sentences begin, and end.

  They are in the order of the blocks. [n] int32, pieces of the bodies.
  """
  base = corpus.body_ids.splits
  for blocks in parts_of(corpus):
    part = slice(*np.searchsorted(spans.row, np.array(blocks, spans.row.dtype)).tolist())
    sentences = sentences_of(corpus, *blocks)
    number = np.searchsorted(base[sentences.row] + sentences.start,
                             base[spans.row[part]] + spans.start[part], "right") - 1
    yield part, sentences.start[number], np.maximum(sentences.end[number], spans.end[part])


def _text(corpus: Corpus, row: int, start: int, end: int) -> str:
  first, last = corpus.body_starts.row(row)[start], corpus.body_ends.row(row)[end - 1]
  return corpus.texts[row][first:last].decode("utf-8")


def _readable(occurrences: Occurrences, pieces: int) -> Occurrences:
  """Those places that are whole and end among the first `pieces` of their blocks."""
  is_readable = (occurrences.starts >= 0) & (occurrences.ends < pieces)
  before = np.concatenate([[0], np.cumsum(is_readable)])
  return Occurrences(occurrences.rows[is_readable], occurrences.starts[is_readable],
                     occurrences.ends[is_readable], before[occurrences.splits])
