"""Mined negatives that answer their question after all are told by a reader.

Of a question's mined blocks some answer it in other words than the ones known, so that no
search for these finds them. To learn from such negatives hurts, and a cross-encoder sees more
of them than the retriever does (Qu et al. 2021, RocketQA, arXiv 2010.08191, section 3.2:
MRR@10 of MS MARCO is 26.0 with raw hard negatives, 36.4 with denoised ones). Here it is the
reader: what it gives to the best span of a block, beside the other mined blocks and the
positive one.

Shape letters: Q questions, Z negatives of each, K = 1 + Z blocks, b questions at a time.
"""

from typing import NamedTuple, Sequence

import numpy as np
import tensorflow as tf

from realm_tf.corpus.passages import Passages
from realm_tf.examples.mined import Mined, without
from realm_tf.models.reader import Reader
from realm_tf.progress import progress

_PAIRS = 128  # that are read at a time, about


class Denoised(NamedTuple):
  """What is left of mined negatives."""
  mined: Mined
  removed: int  # of all questions that have a positive
  read: int


class Denoiser:
  """Takes out the negatives whose posterior is above a threshold."""

  def __init__(self, reader: Reader, passages: Passages, threshold: float):
    """Args:
      reader: with a span head that is trained.
      passages: the corpus that was mined.
      threshold: a share, from 0 to 1.
    """
    self._reader, self._passages, self._threshold = reader, passages, threshold
    self._best_scores = tf.function(self._best, input_signature=[
        tf.RaggedTensorSpec([None, None], tf.int32),
        tf.TensorSpec([None, None], tf.int32)])

  def __call__(self, questions: Sequence[str], mined: Mined) -> Denoised:
    """Reads all mined blocks, without a gradient.

    Args:
      questions: [Q].
      mined: of these. Questions that have no positive stay as they are.
    """
    numbers = mined.usable
    blocks = np.concatenate([mined.positives[:, None], mined.negatives], 1)[numbers]
    tokens = self._passages.corpus.tokenizer.tokenize(list(questions))
    at_a_time = max(1, _PAIRS // blocks.shape[1])
    parts = list[np.ndarray]()
    with progress(len(numbers), "denoise", "question") as bar:
      for first in range(0, len(numbers), at_a_time):
        some = numbers[first:first + at_a_time]
        parts.append(self._posteriors(tf.gather(tokens, some),
                                      blocks[first:first + at_a_time]))
        bar.update(len(some))
    wrong = np.zeros(mined.negatives.shape, bool)
    if parts:
      wrong[numbers] = np.concatenate(parts)[:, 1:] > self._threshold
    return Denoised(mined._replace(negatives=without(mined.negatives, wrong)),
                    int(wrong.sum()), int((blocks[:, 1:] >= 0).sum()))

  def _posteriors(self, questions: tf.RaggedTensor, blocks: np.ndarray) -> np.ndarray:
    """[b, K] int32 blocks, -1 on padding -> the softmax over them, [b, K] float32."""
    scores = self._best_scores(questions, tf.constant(np.maximum(blocks, 0))).numpy()
    scores = np.where(blocks >= 0, scores, -np.inf)
    return tf.nn.softmax(scores).numpy()

  def _best(self, questions: tf.RaggedTensor, blocks: tf.Tensor) -> tf.Tensor:
    """The logit of the best span of each block, [b, K]."""
    pairs = self._passages.after(questions, blocks, self._reader.max_length)
    logits = self._reader.span_logits(pairs)  # [b * K, T, L]
    return tf.reshape(tf.reduce_max(logits, [1, 2]), tf.shape(blocks))
