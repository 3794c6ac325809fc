"""The losses of open-domain question answering (ORQA, section 6).

    L = L_retriever + L_reader

L_retriever ("early update") is the marginal loss over a wide beam of blocks, of which those
are correct that hold an answer; L_reader that over all spans of the read blocks, reader
logit + retriever logit, in one softmax. The vectors of blocks are those of the index, or, of
the first of a beam, of the document tower as it is (`Fresh`). Shape letters: B batch, W beam,
R read blocks, F fresh blocks, U different ones of these, T tokens, S spans, D projection, G
gold spans.
"""

from typing import NamedTuple

import tensorflow as tf

from realm_tf.corpus.passages import Passages
from realm_tf.examples.qa import AnswerPlaces
from realm_tf.examples.span_batches import correct_spans
from realm_tf.models import dropout, losses
from realm_tf.models.losses import share
from realm_tf.models.reader import Reader
from realm_tf.models.retriever import Retriever
from realm_tf.text.inputs import Packed


class Fresh(NamedTuple):
  """The first blocks of each beam, for the document tower."""
  documents: Packed  # [U, T]
  place: tf.Tensor  # [B, F] int32: which of them each is


class Beam(NamedTuple):
  """What a step learns from."""
  question: Packed  # [B, T], for the query tower
  vectors: tf.Tensor  # [B, W, D]: the blocks of the beam, as the index has them
  holds: tf.Tensor  # [B, W] bool: whether an answer stands in the block
  pairs: Packed  # [B * R, T], for the encoder
  correct: tf.Tensor  # [B, R * S] bool: of all spans of the pairs
  fresh: Fresh | tuple[()] = ()  # those that are embedded anew


class BeamScores(NamedTuple):
  """What both losses are made of."""
  blocks: tf.Tensor  # [B, W] float32: f(x, z)
  spans: tf.Tensor  # [B, R * S] float32: reader logit + f(x, z); minus infinity for none


def pack_beam(passages: Passages, places: AnswerPlaces, numbers: tf.Tensor,
              questions: tf.RaggedTensor, rows: tf.Tensor, *, read_blocks: int, length: int,
              width: int, max_spans: int, multiple: int = 8
              ) -> tuple[tf.Tensor, Packed, tf.Tensor]:
  """`holds`, `pairs` and `correct` of a `Beam`.

  Args:
    passages: the corpus.
    places: of the answers.
    numbers: [B] int32, which questions of `places` they are.
    questions: [B, (T)] int32.
    rows: [B, W] int32: the beam, best first.
    read_blocks: R.
    length: of a packed pair, word pieces.
    width: of the widest span.
    max_spans: G, correct spans used per block.
    multiple: see `pack_pair`.
  """
  top = rows[:, :read_blocks]
  pairs = passages.after(questions, top, length, multiple)
  spans = tf.concat([tf.shape(pairs.ids), [width]], 0)
  correct = correct_spans(places.spans(numbers, top, max_spans), pairs.second_start, spans)
  return (places.stand_in(numbers, rows), pairs,
          tf.reshape(correct, [tf.shape(rows)[0], -1]))


def score_beam(retriever: Retriever, encoder: Reader, beam: Beam, read_blocks: int
               ) -> BeamScores:
  """By the weights of query tower and encoder as they are, and by those of the document tower
  for what is fresh; `read_blocks` is R."""
  queries = retriever.embed_queries(beam.question)  # [B, D]
  blocks = tf.einsum("bd,bwd->bw", queries, _vectors(retriever, beam))
  size = tf.shape(blocks)[0]
  logits = tf.reshape(encoder.span_logits(beam.pairs), [size, read_blocks, -1])
  logits += blocks[:, :read_blocks, None]  # [B, R, S]
  return BeamScores(blocks, tf.reshape(logits, [size, -1]))


def _vectors(retriever: Retriever, beam: Beam) -> tf.Tensor:
  """[B, W, D]: those of the index, the fresh ones in their place.

  Fresh ones are embedded without dropout, as those beside them were: else the same block
  would have another score by being fresh.
  """
  if not isinstance(beam.fresh, Fresh):
    return beam.vectors
  with dropout.paused():
    embedded = retriever.embed_documents(beam.fresh.documents)  # [U, D]
  fresh = tf.gather(embedded, beam.fresh.place)  # [B, F, D]
  return tf.concat([fresh, beam.vectors[:, tf.shape(fresh)[1]:]], 1)


def both_losses(beam: Beam, scores: BeamScores) -> tuple[tf.Tensor, tf.Tensor]:
  """L_retriever and L_reader, [B] each; 0 where no block, no span is correct."""
  return (losses.marginal_loss(scores.blocks, beam.holds),
          losses.marginal_loss(scores.spans, beam.correct))


def distillation(beam: Beam, scores: BeamScores, read_blocks: int) -> tf.Tensor:
  """The reader's posterior over the read blocks, taught to the retriever: [B].

  KL(p || q): q(z) is the retriever's softmax over the R read blocks, and p(z) is in
  proportion to p(a|x, z), what the reader alone gives to all correct spans of a block
  together among the spans of that block. As in EMDR2 (Singh et al. 2021, arXiv 2106.05346)
  p has no gradient: the reader is not taught by it; as in FiD-KD (Izacard & Grave 2021,
  arXiv 2012.04584) the retriever learns by the divergence.

  0 where no read block holds an answer that the reader can give.
  """
  size = tf.shape(scores.blocks)[0]
  spans, correct = (tf.reshape(values, [size * read_blocks, -1])
                    for values in (scores.spans, beam.correct))
  # f(x, z), which all spans of a block have in their logits, is in both terms of the loss.
  likelihood = tf.reshape(-losses.marginal_loss(spans, correct), [size, read_blocks])
  held = tf.reshape(tf.reduce_any(correct & tf.math.is_finite(spans), 1),
                    [size, read_blocks])
  posterior = tf.stop_gradient(tf.nn.softmax(
      tf.where(held, likelihood, likelihood.dtype.min)))
  prior = losses.log_prior(scores.blocks[:, :read_blocks])
  divergence = tf.reduce_sum(
      tf.math.xlogy(posterior, posterior) - posterior * prior, 1)
  return tf.where(tf.reduce_any(held, 1), divergence, 0.0)


def beam_metrics(beam: Beam, scores: BeamScores, read_blocks: int) -> dict[str, tf.Tensor]:
  """How many questions have an answer in the beam and in the read blocks, and for how many
  the best span is correct."""
  best = tf.argmax(scores.spans, 1)
  return {
      "beam_has_answer": share(tf.reduce_any(beam.holds, 1)),
      "read_has_answer": share(tf.reduce_any(beam.holds[:, :read_blocks], 1)),
      "exact_span": share(tf.gather(beam.correct, best, batch_dims=1))}
