"""Cuts documents into blocks: what is retrieved, and what is read.

A block goes into a model as `[CLS] title [SEP] body [SEP]`, which never takes more
than `max_tokens`. It is filled with whole sentences, greedily, as in ORQA.

Shape letters: T tokens of a document's body, X sentences.
"""

import bisect
import dataclasses
import itertools
from typing import Iterable, Iterator, Sequence

import numpy as np

from realm_tf.corpus.readers import Document
from realm_tf.errors import UserError
from realm_tf.text.salient_spans import CharacterSpan, SpanTagger
from realm_tf.text.sentences import split_sentences
from realm_tf.text.tokenizer import Tokenizer

NUM_SPECIAL_TOKENS = 3  # [CLS] title [SEP] body [SEP]
# The fields of a block, as they are stored.
STRINGS = ("document_id", "title", "text")
INTEGERS = ("title_ids", "body_ids", "body_starts", "body_ends", "sentence_starts",
            "span_starts", "span_ends")
CUT_VERSION = 1  # changes where the same documents would give other blocks
_MIN_TOKENS = 8
_DOCUMENTS_PER_CALL = 2048


@dataclasses.dataclass(frozen=True)
class Block:
  """One block of a document. Arrays are int32; token indices count in `body_ids`.

  Attributes:
    text: the body, an exact substring of the document's text.
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


@dataclasses.dataclass(frozen=True)
class _Body:
  """A document's text as tokens `[T]`, its offsets in bytes."""
  text: bytes
  ids: np.ndarray
  starts: np.ndarray
  ends: np.ndarray
  word_starts: np.ndarray  # [W] int: tokens that begin a word


def _byte_offsets(text: str, spans: Sequence[tuple[int, int]]) -> np.ndarray:
  """Character spans of `text` -> `[X, 2]` spans in bytes of its UTF-8."""
  chars = np.asarray(spans, np.int64).reshape(-1, 2)
  if text.isascii():
    return chars
  codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
  widths = 1 + (codes >= 0x80) + (codes >= 0x800) + (codes >= 0x10000)
  return np.concatenate([[0], np.cumsum(widths)])[chars]


def _sentence_tokens(body: _Body, sentences: np.ndarray) -> list[int]:
  """Token boundaries of the sentences that have tokens: from 0 to T."""
  first = np.searchsorted(body.starts, sentences[:, 0])
  return sorted({0, *first.tolist(), len(body.ids)})


def _cut_long(boundaries: list[int], body: _Body, room: int) -> list[int]:
  """Cuts sentences longer than `room`, between words where a word is shorter."""
  words = body.word_starts.tolist()
  cut = [0]
  for end in boundaries[1:]:
    while end - cut[-1] > room:
      word = words[bisect.bisect_right(words, cut[-1] + room) - 1]
      cut.append(word if word > cut[-1] else cut[-1] + room)
    cut.append(end)
  return cut


def _fill(boundaries: list[int], room: int) -> Iterator[list[int]]:
  """Groups sentences greedily: yields the boundaries of each block's sentences."""
  group = boundaries[:1]
  for end in boundaries[1:]:
    if end - group[0] > room:
      yield group
      group = group[-1:]
    group.append(end)
  yield group


def _word_spans(body: _Body, spans: np.ndarray) -> np.ndarray:
  """Byte spans -> `[X, 2]` spans of tokens: the whole words within each."""
  words = np.append(body.word_starts, len(body.ids))
  word_ends = body.ends[words[1:] - 1] if len(body.ids) else words[1:]
  first = np.searchsorted(body.starts[words[:-1]], spans[:, 0])
  last = np.searchsorted(word_ends, spans[:, 1], side="right")
  has_words = first < last
  return np.stack([words[first[has_words]], words[last[has_words]]], 1)


def _int32(values) -> np.ndarray:
  return np.asarray(values, np.int32)


def _document_blocks(document: Document, title_ids: np.ndarray, body: _Body,
                     sentences: Sequence[CharacterSpan], spans: Sequence[CharacterSpan],
                     max_tokens: int) -> Iterator[Block]:
  room = max_tokens - NUM_SPECIAL_TOKENS - len(title_ids)
  boundaries = _cut_long(
      _sentence_tokens(body, _byte_offsets(document.text, sentences)), body, room)
  tokens = _word_spans(body, _byte_offsets(document.text, spans))
  # Within one sentence: the same number of boundaries before its first token as
  # before its last.
  sentence = np.searchsorted(boundaries, tokens[:, 0], side="right")
  tokens = tokens[sentence == np.searchsorted(boundaries, tokens[:, 1] - 1, "right")]
  for group in _fill(boundaries, room):
    first, end = group[0], group[-1]
    offset, text_end = int(body.starts[first]), int(body.ends[first:end].max())
    inside = tokens[(tokens[:, 0] >= first) & (tokens[:, 1] <= end)] - first
    yield Block(
        document_id=document.id, title=document.title,
        text=body.text[offset:text_end].decode("utf-8"), title_ids=title_ids,
        body_ids=body.ids[first:end], body_starts=_int32(body.starts[first:end] - offset),
        body_ends=_int32(body.ends[first:end] - offset),
        sentence_starts=_int32(group[:-1]) - first,
        span_starts=_int32(inside[:, 0]), span_ends=_int32(inside[:, 1]))


def _bodies(texts: Sequence[str], tokenizer: Tokenizer,
            continuation: np.ndarray) -> Iterator[_Body]:
  pieces = tokenizer.pieces(texts)
  for text, first, last in zip(texts, pieces.splits[:-1], pieces.splits[1:]):
    row = slice(first, last)
    ids = pieces.ids[row]
    yield _Body(text.encode("utf-8"), ids, pieces.starts[row], pieces.ends[row],
                np.flatnonzero(~continuation[ids]))


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
  title_limit = (max_tokens - NUM_SPECIAL_TOKENS) // 2
  continuation = tokenizer.continuation
  documents = iter(documents)
  while batch := list(itertools.islice(documents, _DOCUMENTS_PER_CALL)):
    texts = [document.text for document in batch]
    titles = tokenizer.tokenize([d.title.encode("utf-8") for d in batch])
    titles = np.split(titles.values.numpy(), titles.row_splits.numpy()[1:-1])
    sentences = [split_sentences(text) for text in texts]
    spans = tagger(texts, sentences) if tagger else [[]] * len(batch)
    for document, title, body, body_sentences, salient in zip(
        batch, titles, _bodies(texts, tokenizer, continuation), sentences, spans,
        strict=True):
      if not len(body.ids):
        raise UserError(f"document '{document.id}': no words in field 'text'; expected "
                        "more than control characters")
      yield from _document_blocks(
          document, title[:title_limit], body, body_sentences, salient, max_tokens)
