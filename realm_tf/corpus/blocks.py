"""Cuts documents into blocks: what is retrieved, and what is read.

A block goes into a model as `[CLS] title [SEP] body [SEP]`, which never takes more
than `max_tokens`. It is filled with whole sentences, greedily, as in ORQA.

Many documents are cut at a time, their texts end to end: for NumPy each one is little.

Shape letters: D documents, T tokens of all their bodies, W words, X spans.
"""

import dataclasses
import itertools
from typing import Iterable, Iterator, NamedTuple, Sequence

import numpy as np

from realm_tf.corpus import table_headers
from realm_tf.corpus.readers import Document
from realm_tf.errors import UserError
from realm_tf.text.salient_spans import CharacterSpan, SpanTagger
from realm_tf.text.sentences import split_sentences
from realm_tf.text.tokenizer import Pieces, Tokenizer

NUM_SPECIAL_TOKENS = 3  # [CLS] title [SEP] body [SEP]
# The fields of a block, as they are stored.
STRINGS = ("document_id", "title", "text")
INTEGERS = ("title_ids", "body_ids", "body_starts", "body_ends", "sentence_starts",
            "span_starts", "span_ends")
CUT_VERSION = 2  # changes where the same documents would give other blocks
_MIN_TOKENS = 8
_DOCUMENTS, _CHARACTERS = 2048, 1 << 20  # at a time


@dataclasses.dataclass(frozen=True)
class Block:
  """One block of a document. Arrays are int32; token indices count in `body_ids`.

  Attributes:
    text: the body, an exact substring of the document's text (`table_headers`: in which
      the header of a table is repeated where a block begins with a row).
    body_starts, body_ends: where each token stands, in bytes of `text` as UTF-8.
    sentence_starts: index of each sentence's first token; the first is 0.
    span_starts, span_ends: tokens `[start, end)` of the salient spans: whole words,
      sorted, disjoint, each within one sentence.
  """
  document_id: str
  title: str
  text: str
  title_ids: np.ndarray
  body_ids: np.ndarray
  body_starts: np.ndarray
  body_ends: np.ndarray
  sentence_starts: np.ndarray
  span_starts: np.ndarray
  span_ends: np.ndarray


class _Bodies(NamedTuple):
  """Texts end to end."""
  data: bytes
  characters: np.ndarray   # [D + 1] int: where each text begins, in characters
  pieces: Pieces
  word_starts: np.ndarray  # [W + 1] int: tokens that begin a word, and T

  def places(self, spans: Sequence[Sequence[CharacterSpan]]) -> np.ndarray:
    """Spans of characters of each text -> `[X, 2]` spans of bytes."""
    chain = itertools.chain.from_iterable
    ends = np.fromiter(chain(chain(spans)), np.int64).reshape(-1, 2)
    texts = np.repeat(self.characters[:len(spans)], [len(own) for own in spans])
    return self.pieces.char_places[ends + texts[:, None]]

  def text(self, number: int) -> tuple[bytes, np.ndarray]:
    """One of the texts, and where its tokens begin in it, in bytes."""
    first, last = self.pieces.splits[number:number + 2]
    begin, end = self.pieces.char_places[self.characters[number:number + 2]]
    return self.data[begin:end], self.pieces.starts[first:last] - begin


def document_batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
  """As many after each other as are cut at a time: TensorFlow is quick, memory is enough."""
  batch, characters = [], 0
  for document in documents:
    batch.append(document)
    characters += len(document.text)
    if len(batch) == _DOCUMENTS or characters >= _CHARACTERS:
      yield batch
      batch, characters = [], 0
  if batch:
    yield batch


def _bodies(texts: Sequence[str], tokenizer: Tokenizer) -> _Bodies:
  pieces = tokenizer.pieces(texts)
  return _Bodies(
      "".join(texts).encode("utf-8"), np.cumsum([0, *map(len, texts)]), pieces,
      np.append(np.flatnonzero(~tokenizer.continuation[pieces.ids]), len(pieces.ids)))


def _titles(documents: Sequence[Document], tokenizer: Tokenizer, limit: int
            ) -> list[np.ndarray]:
  """The first pieces of each title."""
  pieces = tokenizer.pieces([document.title for document in documents])
  return [pieces.ids[start:min(start + limit, end)]
          for start, end in itertools.pairwise(pieces.splits.tolist())]


def _cut_long(boundaries: list[int], word_starts: np.ndarray, room: int) -> list[int]:
  """Cuts sentences longer than `room`, between words where a word is shorter."""
  cut = boundaries[:1]
  for end in boundaries[1:]:
    while end - cut[-1] > room:
      word = int(word_starts[np.searchsorted(word_starts, cut[-1] + room, "right") - 1])
      cut.append(word if word > cut[-1] else cut[-1] + room)
    cut.append(end)
  return cut


def _fill(boundaries: list[int], room: int) -> Iterator[int]:
  """Groups sentences greedily: yields where each block begins."""
  first = boundaries[0]
  yield first
  for start, end in itertools.pairwise(boundaries):
    if end - first > room:
      yield (first := start)


def _sentence_starts(bodies: _Bodies, sentences: np.ndarray) -> np.ndarray:
  """Tokens that begin one, and T; sentences: [X, 2] int, spans of bytes."""
  return np.unique(np.append(
      bodies.pieces.splits, np.searchsorted(bodies.pieces.starts, sentences[:, 0])))


def _sentences_of(bodies: _Bodies, starts: np.ndarray, number: int, room: int) -> list[int]:
  """Tokens of one text that begin a sentence, or a part of a long one, and its end."""
  first, last = np.searchsorted(starts, bodies.pieces.splits[number:number + 2])
  return _cut_long(starts[first:last + 1].tolist(), bodies.word_starts, room)


def _with_headers(texts: list[str], bodies: _Bodies, starts: np.ndarray, rooms: np.ndarray
                  ) -> list[str]:
  """The texts, in which tables that are cut have their header at each block."""
  longer = texts
  for number in np.flatnonzero(np.diff(bodies.pieces.splits) > rooms).tolist():
    if table_headers.may_be_cut(texts[number]):
      room, first = int(rooms[number]), int(bodies.pieces.splits[number])
      sentences = _sentences_of(bodies, starts, number, room)
      text = table_headers.with_headers(
          *bodies.text(number), [token - first for token in sentences], room).decode("utf-8")
      if len(text) > len(texts[number]):
        longer = [*texts] if longer is texts else longer
        longer[number] = text
  return longer


def _cuts(texts: list[str], bodies: _Bodies, starts: np.ndarray, rooms: np.ndarray
          ) -> tuple[np.ndarray, np.ndarray]:
  """Tokens that begin a sentence, or a part of a long one; and those that begin a block.

  Args:
    starts: [X] int, tokens that begin a sentence, and T.
    rooms: [D] int, most tokens of a block of each document.
  """
  splits = bodies.pieces.splits
  cuts, firsts = [starts], [splits]
  for number in np.flatnonzero(np.diff(splits) > rooms).tolist():
    room, first = int(rooms[number]), int(splits[number])
    whole = _sentences_of(bodies, starts, number, room)
    cuts.append(np.array(whole))
    if table_headers.may_be_cut(texts[number]):
      whole = [first + token for token in table_headers.unparted(
          *bodies.text(number), [token - first for token in whole], room)]
    firsts.append(np.fromiter(_fill(whole, room), np.int64))
  return np.unique(np.concatenate(cuts)), np.unique(np.concatenate(firsts))


def _word_spans(bodies: _Bodies, spans: np.ndarray, cuts: np.ndarray) -> np.ndarray:
  """Spans of bytes -> `[X, 2]` spans of tokens: the whole words within each.

  Those that are not within one sentence are left out.
  """
  words = bodies.word_starts
  first = np.searchsorted(bodies.pieces.starts[words[:-1]], spans[:, 0])
  last = np.searchsorted(bodies.pieces.ends[words[1:] - 1], spans[:, 1], side="right")
  has_words = first < last
  tokens = np.stack([words[first[has_words]], words[last[has_words]]], 1)
  sentence = np.searchsorted(cuts, tokens[:, 0], side="right")
  return tokens[sentence == np.searchsorted(cuts, tokens[:, 1] - 1, side="right")]


def _blocks(documents: Sequence[Document], titles: Sequence[np.ndarray], bodies: _Bodies,
            cuts: np.ndarray, firsts: np.ndarray, spans: np.ndarray) -> Iterator[Block]:
  """Blocks of tokens [firsts[i], firsts[i + 1]), with sentences and spans as of tokens."""
  pieces = bodies.pieces
  first, last = firsts[:-1], firsts[1:]
  text_starts, text_ends = pieces.starts[first], pieces.ends[last - 1]
  counts = last - first
  body_starts = (pieces.starts - np.repeat(text_starts, counts)).astype(np.int32)
  body_ends = (pieces.ends - np.repeat(text_starts, counts)).astype(np.int32)
  of_sentence = np.searchsorted(cuts, firsts)
  sentences = (cuts[:-1] - np.repeat(first, np.diff(of_sentence))).astype(np.int32)
  of_span = np.searchsorted(spans[:, 0], firsts)
  salient = (spans - np.repeat(first, np.diff(of_span))[:, None]).astype(np.int32)
  numbers = np.searchsorted(pieces.splits, first, side="right") - 1
  for row, (number, start, end, text_start, text_end) in enumerate(np.stack(
      [numbers, first, last, text_starts, text_ends], 1).tolist()):
    yield Block(
        document_id=documents[number].id, title=documents[number].title,
        text=bodies.data[text_start:text_end].decode("utf-8"), title_ids=titles[number],
        body_ids=pieces.ids[start:end], body_starts=body_starts[start:end],
        body_ends=body_ends[start:end],
        sentence_starts=sentences[of_sentence[row]:of_sentence[row + 1]],
        span_starts=salient[of_span[row]:of_span[row + 1], 0],
        span_ends=salient[of_span[row]:of_span[row + 1], 1])


def split_blocks(documents: Iterable[Document], tokenizer: Tokenizer, max_tokens: int,
                 tagger: SpanTagger | None = None) -> Iterator[Block]:
  """Cuts documents into blocks, in order; documents are read as they are needed.

  A sentence longer than a block is cut between two words. A title longer than half
  of a block is cut at its end, in `title_ids` only.

  Args:
    documents: what to cut.
    tokenizer: gives the ids and offsets.
    max_tokens: most tokens in `[CLS] title [SEP] body [SEP]`, at least 8.
    tagger: finds the salient spans; without it blocks have none.

  Raises:
    UserError: a document has nothing that the tokenizer sees.
  """
  if max_tokens < _MIN_TOKENS:
    raise UserError(f"max_tokens is {max_tokens}; expected at least {_MIN_TOKENS}")
  for batch in document_batches(documents):
    texts = [document.text for document in batch]
    bodies = _bodies(texts, tokenizer)
    counts = np.diff(bodies.pieces.splits)
    if not counts.all():
      raise UserError(f"document '{batch[int(counts.argmin())].id}': no words in field "
                      "'text'; expected more than control characters")
    titles = _titles(batch, tokenizer, (max_tokens - NUM_SPECIAL_TOKENS) // 2)
    sentences = [split_sentences(text) for text in texts]
    rooms = max_tokens - NUM_SPECIAL_TOKENS - np.array([len(title) for title in titles])
    starts = _sentence_starts(bodies, bodies.places(sentences))
    longer = _with_headers(texts, bodies, starts, rooms)
    if longer is not texts:
      texts, bodies = longer, _bodies(longer, tokenizer)
      sentences = [split_sentences(text) for text in texts]
      starts = _sentence_starts(bodies, bodies.places(sentences))
    cuts, firsts = _cuts(texts, bodies, starts, rooms)
    spans = tagger(texts, sentences) if tagger else []
    salient = _word_spans(bodies, bodies.places(spans), cuts)
    yield from _blocks(batch, titles, bodies, cuts, firsts, salient)
