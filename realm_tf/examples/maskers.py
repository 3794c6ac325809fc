"""What is masked in a sentence (REALM, section 3.4): a masker by name, `pretrain.masker`.

* `salient`: one named entity or date (salient span masking, the paper's);
* `related`: the same, but one that another block about the same thing holds, so that it can
  be found: see `related_blocks`;
* `random_span`: one span of a random width, as in SpanBERT (Joshi et al. 2020);
* `random_token`: tokens at random, as in BERT (Devlin et al. 2019).

The last two are rows of the paper's table 2, and retrieve much worse. Another masker is a
class of this shape, registered in `realm_tf.registry.MASKERS`: see docs/extending.md.

Shape letters: B batch, M masks, T tokens of the longest sentence, X sentences.
"""

from typing import Iterator, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from realm_tf.corpus.store import Corpus
from realm_tf.corpus.tables import at, columns, variable
from realm_tf.examples import order
from realm_tf.examples.corpus_sentences import Sentences, long_sentences
from realm_tf.examples.related_blocks import related_sentences
from realm_tf.examples.salient_sentences import salient_sentences
from realm_tf.examples.salient_support import Support
from realm_tf.ops.lookup import look_up

_TOKEN_RATE = 0.15  # of the tokens of a sentence are masked at random, as in BERT
_SPAN_RATE = 0.2  # of the geometric distribution of widths, as in SpanBERT
_TOGETHER = 1 << 20  # sentences that are looked at


class Masked(NamedTuple):
  """What is masked in each of B sentences."""
  positions: tf.RaggedTensor  # [B, (M)] int32, ascending: tokens of the body
  support: tf.Tensor  # [B] int32: another block that holds it; the own one if none is known


class Masker(Protocol):
  """Is made once for a corpus, as `Masker(corpus, max_masks, support, seed)`.

  Attributes:
    sentences: those in which it can mask something.
  """
  sentences: Sentences

  def __init__(self, corpus: Corpus, max_masks: int, support: tuple[int, int], seed: int):
    """Args:
      corpus: whose sentences are masked.
      max_masks: the most tokens that may be masked in one.
      support: see `salient_sentences`; a masker that knows no salient spans ignores it.
      seed: of the draws.
    """

  def mask(self, step: tf.Tensor, chosen: tf.Tensor) -> Masked:
    """Masks sentences in the graph; the same (seed, step) masks the same.

    Args:
      step: scalar int64.
      chosen: [B] int64, among `sentences`; B is known to the graph.
    """


class SalientSpans:
  """One salient span per sentence, each as likely as the others."""

  _find = staticmethod(salient_sentences)

  def __init__(self, corpus: Corpus, max_masks: int, support: tuple[int, int], seed: int):
    salient = self._find(corpus, max_masks, support)
    self.sentences = Sentences(*salient[:3])
    self._seed = seed
    self._splits = variable(salient.span_splits)
    self._spans = columns([salient.span_start, salient.span_end])
    self._support = Support(*columns(salient.support))

  def mask(self, step: tf.Tensor, chosen: tf.Tensor) -> Masked:
    size = chosen.shape[0]
    first, end = look_up(self._splits, chosen), look_up(self._splits, chosen + 1)
    draw = order.uniform(step, self._seed, size) * tf.cast(end - first, tf.float32)
    span = tf.minimum(first + tf.cast(draw, first.dtype), end - 1)
    drawn = order.uniform(step, self._seed + 1, size)
    return Masked(tf.ragged.range(*at(self._spans, span)), self._support.another(span, drawn))


class RelatedSpans(SalientSpans):
  """Of the salient spans of a sentence one that a related block holds."""

  _find = staticmethod(related_sentences)


class _OfAnySentence:
  """What needs no salient span; `table` has block, start and end of chosen sentences."""

  def __init__(self, corpus: Corpus, max_masks: int, support: tuple[int, int], seed: int):
    del support
    self.sentences = long_sentences(corpus)
    self.table = columns(self.sentences)
    self._seed, self._max_masks = seed, max_masks


class RandomSpans(_OfAnySentence):
  """One span per sentence, of a width from a geometric distribution, anywhere in it."""

  def mask(self, step: tf.Tensor, chosen: tf.Tensor) -> Masked:
    row, start, end = at(self.table, chosen)
    size = chosen.shape[0]
    drawn = order.uniform(step, self._seed, size)
    width = 1 + tf.cast(tf.math.log1p(-drawn) / np.log1p(-_SPAN_RATE), tf.int32)
    width = tf.minimum(tf.minimum(width, self._max_masks), end - start)
    places = tf.cast(end - start - width + 1, tf.float32)
    first = start + tf.cast(order.uniform(step, self._seed + 1, size) * places, tf.int32)
    return Masked(tf.ragged.range(first, first + width), row)


class RandomTokens(_OfAnySentence):
  """A share of the tokens of each sentence, at least one."""

  def __init__(self, corpus: Corpus, max_masks: int, support: tuple[int, int], seed: int):
    super().__init__(corpus, max_masks, support, seed)
    self._longest = max((int((end - start).max()) for start, end in zip(
        *(_parts(column) for column in self.sentences[1:]))), default=1)

  def mask(self, step: tf.Tensor, chosen: tf.Tensor) -> Masked:
    row, start, end = at(self.table, chosen)
    length, size = end - start, chosen.shape[0]
    drawn = tf.reshape(order.uniform(step, self._seed, size * self._longest),
                       [size, self._longest])
    inside = tf.range(self._longest)[None] < length[:, None]
    ranks = tf.argsort(tf.argsort(tf.where(inside, drawn, 2.0)))  # [B, T]
    count = tf.cast(tf.round(_TOKEN_RATE * tf.cast(length, tf.float32)), tf.int32)
    count = tf.clip_by_value(count, 1, self._max_masks)
    places = tf.broadcast_to(start[:, None] + tf.range(self._longest), tf.shape(ranks))
    return Masked(tf.ragged.boolean_mask(places, ranks < count[:, None]), row)


def _parts(column: np.ndarray) -> Iterator[np.ndarray]:
  """What memory is taken for at the same time."""
  return (column[first:first + _TOGETHER] for first in range(0, len(column), _TOGETHER))
