"""What a question should find, and what it should not: positives and hard negatives.

Karpukhin et al. 2020 (DPR, arXiv 2004.04906), section 3.2. Shape letters: Q questions, K
found blocks, Z negatives that are kept, C that a step takes, B batch.
"""

from typing import NamedTuple, Sequence

import numpy as np
import tensorflow as tf

from realm_tf.corpus.document_rows import document_rows
from realm_tf.corpus.store import Corpus
from realm_tf.datasets.matching import Occurrences


class Mined(NamedTuple):
  """By question; tables that a graph looks up."""
  positives: np.ndarray  # [Q] int32: a block that answers it; -1 for none
  negatives: np.ndarray  # [Q, Z] int32: blocks that do not, most alike first; -1 on padding

  @property
  def usable(self) -> np.ndarray:
    """Numbers of the questions that have a positive: at most Q, int64, ascending."""
    return np.flatnonzero(self.positives >= 0)


def without(negatives: np.ndarray, wrong: np.ndarray) -> np.ndarray:
  """Negatives [Q, Z] less the wrong ones [Q, Z] bool, in their order, -1 behind them."""
  kept = np.where(wrong, -1, negatives)
  order = np.argsort(kept < 0, 1, "stable")
  return np.take_along_axis(kept, order, 1)


def gold_rows(passages: Sequence[str], occurrences: Occurrences, corpus: Corpus
              ) -> list[np.ndarray]:
  """The blocks of each question's gold passage, those first in which an answer stands.

  Args:
    passages: [Q] ids of documents; "" where a question names none.
    occurrences: of the Q questions' answers.
    corpus: where they are; a passage that is not in it has no blocks.

  Returns:
    Q arrays int32, of as many blocks as the passage has.
  """
  documents, gold = document_rows(corpus), []
  for number, name in enumerate(passages):
    rows = documents.of(name).astype(np.int32)
    holds = np.isin(rows, occurrences.rows[slice(*occurrences.splits[number:number + 2])])
    gold.append(np.concatenate([rows[holds], rows[~holds]]))
  return gold


def mine(retrieved: np.ndarray, occurrences: Occurrences, gold: Sequence[np.ndarray],
         ranks: tuple[int, int]) -> Mined:
  """Takes positives and hard negatives from what a retriever found.

  The positive is the gold block; without one, the best that was found among those in which
  an answer stands, or else the first of these. Negatives are what was found at the given
  ranks, but for gold blocks and for all in which an answer stands: of MS MARCO's raw
  negatives some 70 % were right answers (Qu et al. 2021, RocketQA, arXiv 2010.08191), and
  to learn from those hurts.

  Args:
    retrieved: [Q, K] int32, best first.
    occurrences: of the Q questions' answers.
    gold: see `gold_rows`.
    ranks: first and last (exclusive) of the ranks that negatives are taken from.
  """
  first, last = ranks
  positives = np.full(len(retrieved), -1, np.int32)
  negatives = np.full([len(retrieved), max(1, min(last, retrieved.shape[1]) - first)], -1,
                      np.int32)
  for number, rows in enumerate(retrieved):
    answering = occurrences.rows[slice(*occurrences.splits[number:number + 2])]
    right = np.concatenate([answering, gold[number]])
    among = rows[np.isin(rows, answering)]
    candidates = np.concatenate([gold[number], among, answering])
    if len(candidates):
      positives[number] = candidates[0]
    wrong = rows[first:last][~np.isin(rows[first:last], right)]
    negatives[number, :len(wrong)] = wrong
  return Mined(positives, negatives)


def draw(negatives: tf.Tensor, count: int, num_blocks: int, seed: int, step: tf.Tensor
         ) -> tf.Tensor:
  """Draws negatives, a function of seed and step: [B, Z] -> [B, C] int32.

  Different ones where there are enough; where there are none, any blocks.

  Args:
    negatives: -1 on padding, which is last.
    count: C.
    num_blocks: of the corpus.
    seed, step: the step is a scalar int64.
  """
  size = tf.shape(negatives)[0]
  available = tf.reduce_sum(tf.cast(negatives >= 0, tf.int32), 1, keepdims=True)  # [B, 1]
  key = tf.stack([tf.constant(seed, tf.int64), step])
  share = tf.random.stateless_uniform([size, 1], key)
  first = tf.cast(share * tf.cast(available, tf.float32), tf.int32)
  apart = tf.maximum(available // count, 1) * tf.range(count)[None]
  place = tf.math.floormod(first + apart, tf.maximum(available, 1))
  anywhere = tf.random.stateless_uniform([size, count], key + 1, 0, num_blocks, tf.int32)
  return tf.where(available > 0, tf.gather(negatives, place, batch_dims=1), anywhere)
