"""Pre-training examples: masked sentences (REALM, section 3.4).

Shape letters: B batch, T tokens, M masks, N blocks, E banned rows.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from realm_tf.config import PretrainConfig
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.tables import Table, at, columns
from realm_tf.errors import UserError
from realm_tf.examples import order
from realm_tf.examples.askable_spans import Kind
from realm_tf.examples.made_questions import QuestionMaker
from realm_tf.ops.lookup import look_up
from realm_tf.registry import MASKERS
from realm_tf.text.inputs import Packed, pack_single
from realm_tf.text.tokenizer import Tokenizer

_AROUND = 10  # pieces to each side of a mask make a question
_HELD_OUT_EVERY = 20  # one sentence in so many is never trained on


class PretrainingBatch(NamedTuple):
  query: Packed  # [B, T]: for the query tower
  sentence: Packed  # [B, T]: with masks, for the encoder; mostly the query itself
  positions: tf.Tensor  # [B, M] int32: of the masks, in the packed sentence
  labels: tf.Tensor  # [B, M] int32: the masked pieces
  weights: tf.Tensor  # [B, M] float32: 0 on padding
  banned: tf.Tensor  # [B, E] int32: the sentence's own block and its near duplicates
  row: tf.Tensor  # [B] int32: block that the sentence comes from
  support: tf.Tensor  # [B] int32: another block with the same span, if there is one


def pretraining_batches(corpus: Corpus, banned: np.ndarray, *, batch_size: int,
                        query_length: int, max_masks: int, support: tuple[int, int],
                        seed: int, first_step: int, last_step: int,
                        held_out: bool = False, fixed_lengths: bool = False,
                        masker: str = "salient", query: str = "sentence"
                        ) -> tf.data.Dataset:
  """Yields a `PretrainingBatch` per step; (seed, step) decides it.

  Args:
    corpus: where the sentences come from, with their salient spans.
    banned: [N, E] int32, by block, the rows that must not be retrieved for a
      sentence of it; -1 for none. Read where it is, so it must not change any more.
    batch_size: B.
    query_length: word pieces, [CLS] and [SEP] counted; a longer sentence is cut to
      a window around what is masked.
    max_masks: M; longer spans are not masked.
    support: see `salient_sentences`.
    seed, first_step, last_step: see `order.shuffled_batches`.
    held_out: the sentences kept for evaluation, instead of those to train on.
    fixed_lengths: T is `query_length` and M `max_masks` in every batch; else they are
      those of its longest sentence and span.
    masker: what is masked, a name in `realm_tf.registry.MASKERS`.
    query: what the query tower sees: the masked "sentence", or a "question" made of the
      words around its first mask (`made_questions`); with "read_question" the encoder reads
      the question too, behind as many masks as the sentence had.
  """
  masking = MASKERS[masker](corpus, max_masks, support, seed)
  sentences = masking.sentences
  count = _count(len(sentences.row), held_out)
  if not count:
    raise UserError(f"pre-training: the masker '{masker}' (pretrain.masker) finds nothing to "
                    "mask in any sentence of the corpus; try another masker, "
                    "--config.corpus.tagger=spacy, or other text")
  table, ban_table = columns(sentences), columns([banned])
  bodies = _Bodies(corpus)
  special, multiple = corpus.tokenizer, 0 if fixed_lengths else 8
  most = max_masks if fixed_lengths else None
  ask = _Questions(special, seed) if query != "sentence" else None

  def pack(pieces: tf.RaggedTensor) -> Packed:
    return pack_single(pieces, query_length, special, multiple)

  def batch(step: tf.Tensor, drawn: tf.Tensor) -> PretrainingBatch:
    chosen = tf.ensure_shape(_numbers(drawn, held_out), [batch_size])
    row, start, end = at(table, chosen)
    masked, other = masking.mask(step, chosen)
    window = _window(start, end, masked, query_length - 2)
    masked = _inside(masked, *window)
    sentence = bodies.masked(row, *window, masked, special.mask_id)
    answer, places = bodies.at(row, masked), masked - window[0][:, None]
    asked = sentence if ask is None else ask(step, sentence, answer)
    if query == "read_question":
      sentence = tf.concat([answer.with_values(tf.fill(
          tf.shape(answer.values), special.mask_id)), asked], 1)
      places = tf.ragged.range(tf.cast(answer.row_lengths(), tf.int32))
    labels = answer.to_tensor(shape=[None, most])  # [B, M]
    positions = (places + 1).to_tensor(shape=[None, most])  # behind [CLS]
    weights = tf.sequence_mask(masked.row_lengths(), tf.shape(labels)[1], tf.float32)
    examples = PretrainingBatch(pack(asked), pack(sentence), positions, labels,
                                tf.ensure_shape(weights, labels.shape),
                                at(ban_table, row)[0], row, other)
    return order.fix_batch_size(examples, batch_size)

  return order.shuffled_batches(
      count, batch_size, seed, first_step, last_step
  ).map(batch, num_parallel_calls=2, deterministic=True).prefetch(4)


def configured_batches(pretrain: PretrainConfig, corpus: Corpus, banned: np.ndarray, *,
                       batch_size: int, seed: int, first_step: int, last_step: int,
                       held_out: bool = False, fixed_lengths: bool = False
                       ) -> tf.data.Dataset:
  """`pretraining_batches`, masked and asked for as a run's config says."""
  return pretraining_batches(
      corpus, banned, batch_size=batch_size, query_length=pretrain.query_length,
      max_masks=pretrain.max_masks, support=pretrain.span_blocks, seed=seed,
      first_step=first_step, last_step=last_step, held_out=held_out,
      fixed_lengths=fixed_lengths, masker=pretrain.masker, query=pretrain.query)


def num_pretraining_examples(corpus: Corpus, *, masker: str, max_masks: int,
                             support: tuple[int, int], seed: int) -> int:
  """From how many sentences `pretraining_batches` makes batches to train on."""
  sentences = MASKERS[masker](corpus, max_masks, support, seed).sentences
  return _count(len(sentences.row), held_out=False)


def _count(sentences: int, held_out: bool) -> int:
  """How many of so many sentences are held out, or trained on."""
  kept = sentences // _HELD_OUT_EVERY
  return kept if held_out else sentences - kept


def _numbers(drawn: tf.Tensor, held_out: bool) -> tf.Tensor:
  """Which sentences the `drawn` ones of those held out, or trained on, are among all."""
  trained = _HELD_OUT_EVERY - 1  # in a row, before one that is held out
  return drawn * _HELD_OUT_EVERY + trained if held_out else drawn + drawn // trained


class _Questions:
  """Questions made of the words around what is masked first."""

  def __init__(self, tokenizer: Tokenizer, seed: int):
    self._make, self._seed, self._mask_id = QuestionMaker(tokenizer), seed, tokenizer.mask_id
    self._kinds = tf.constant([_kind_of_piece(piece) for piece in tokenizer.vocabulary])

  def __call__(self, step: tf.Tensor, sentence: tf.RaggedTensor, masked: tf.RaggedTensor
               ) -> tf.RaggedTensor:
    """Of sentences with masks [B, (T)] and the pieces that these stand for: [B, (T)]."""
    place = tf.ragged.range(sentence.row_lengths())
    is_mask = sentence.values == self._mask_id
    first = tf.reduce_min(tf.ragged.boolean_mask(
        place, sentence.with_values(is_mask)), 1)[:, None]
    near = tf.ragged.boolean_mask(sentence, sentence.with_values(
        ~is_mask & (tf.abs((place - first).values) <= _AROUND)))
    kind = tf.reduce_max(masked.with_values(tf.gather(self._kinds, masked.values)), 1)
    return self._make(near[:, :0], near, kind, tf.stack([self._seed, step]))


def _kind_of_piece(piece: str) -> int:
  """Of a span that has the piece, unless another one says more."""
  if piece.isdigit() and len(piece) == 4:
    return Kind.DATE
  return Kind.NUMBER if any(map(str.isdigit, piece)) else Kind.NAME


class _Bodies:
  """The tokens of all blocks, looked up in the graph of a tf.data pipeline."""

  def __init__(self, corpus: Corpus):
    self._table = Table(corpus.body_ids)

  def at(self, row: tf.Tensor, positions: tf.RaggedTensor) -> tf.RaggedTensor:
    """The tokens at positions [B, (M)] of the bodies of blocks [B]."""
    places = tf.cast(positions, tf.int64) + look_up(self._table.splits, row)[:, None]
    return places.with_values(*at([self._table.values], places.values))

  def masked(self, row: tf.Tensor, start: tf.Tensor, end: tf.Tensor,
             positions: tf.RaggedTensor, mask_id: int) -> tf.RaggedTensor:
    """Tokens [start, end) of the bodies, `mask_id` at the positions: [B, (T)]."""
    tokens = self.at(row, tf.ragged.range(start, end))
    begins = tf.cast(tokens.row_starts(), tf.int32)
    flat = (positions - start[:, None] + begins[:, None]).values
    return tokens.with_values(tf.tensor_scatter_nd_update(
        tokens.values, flat[:, None], tf.fill(tf.shape(flat), mask_id)))


def _window(start: tf.Tensor, end: tf.Tensor, masked: tf.RaggedTensor, room: int
            ) -> tuple[tf.Tensor, tf.Tensor]:
  """At most `room` pieces of [start, end) with what is masked near the middle.

  Where that is too far apart for one window, the first of it is in the window.
  """
  first = tf.reduce_min(masked, 1)
  last = tf.minimum(tf.reduce_max(masked, 1), first + room - 1)
  middle = (first + last + 1 - room) // 2
  start = tf.maximum(start, tf.minimum(middle, end - room))
  return start, tf.minimum(end, start + room)


def _inside(positions: tf.RaggedTensor, start: tf.Tensor, end: tf.Tensor) -> tf.RaggedTensor:
  is_inside = (positions >= start[:, None]) & (positions < end[:, None])
  return tf.ragged.boolean_mask(positions, is_inside)
