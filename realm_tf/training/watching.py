"""What tells a pre-training that goes well from one that collapsed, at next to no cost.

All of it is made of what a step has computed anyhow: no block is read a second time. What to
do about each warning is in docs/diagnosis.md.

Shape letters: B batch, K candidates, M masks, N blocks, V vocabulary.
"""

import base64
import json
import math
from typing import Any, Callable, Mapping, NamedTuple, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from realm_tf.models.extractive import Masks, span_starts
from realm_tf.models.losses import share
from realm_tf.models.scores import Reads, Scores, read_by_candidate

_QUERIES = 1000  # by whose retrievals collapse is judged
_RECORDS = 3  # of the curves, one after the other, that a warning needs
_FEW_BLOCKS, _ONE_BLOCK, _NULL, _NO_NULL = 0.05, 0.5, 0.9, 0.01
_ONE_CANDIDATE, _NOTHING = 0.05, 0.01


def retrieved_metrics(reads: Reads, scored: Scores, continuation: np.ndarray,
                      of_spans: bool = True) -> dict[str, tf.Tensor]:
  """Of a batch that was read and scored, besides `losses.marginal_metrics`.

  Args:
    reads: the candidates, in the order in which the index gave them, null document first.
    scored: the same, by the weights as they are.
    continuation: [V] bool, which pieces go on with a word.
    of_spans: whether spans are masked; else there is none to be found.

  Returns:
    `null_log_likelihood`: log p(y|null,x) of a sentence, which the retrieval utility is over;
    `span_in_blocks`: how many of the retrieved blocks hold the masked span, as far as they
    are read; `span_in_any`: for how many sentences one does; `stale_order_overlap`: of the
    half of the candidates that are best by the fresh towers, how many are in the first half
    by the index. All means.
  """
  metrics = {
      "null_log_likelihood": tf.reduce_mean(
          tf.reduce_sum(scored.log_probs[:, 0] * reads.weights, 1)),
      "stale_order_overlap": order_overlap(scored.relevance[:, 1:])}
  if not of_spans:
    return metrics
  has_span = holds_span(reads, continuation)[:, 1:]
  return metrics | {"span_in_blocks": share(has_span),
                    "span_in_any": share(tf.reduce_any(has_span, 1))}


def holds_span(reads: Reads, continuation: np.ndarray) -> tf.Tensor:
  """[B, K] bool: whether the masked span stands in what is read of each candidate."""
  def held(pairs, *masks: tf.Tensor) -> tf.Tensor:
    return tf.reduce_any(span_starts(pairs, Masks(*masks), continuation), 1)

  return tf.concat([read_by_candidate(held, pairs,
                                      (reads.positions, reads.labels, reads.weights))
                    for pairs in reads.pairs], 1)


def order_overlap(relevance: tf.Tensor) -> tf.Tensor:
  """How many of the better half of [B, k] scores are in the first half: a scalar."""
  half = (relevance.shape[1] + 1) // 2
  return share(tf.math.top_k(relevance, half).indices < half)


class Retrieved(tf.train.experimental.PythonState):
  """Which blocks the last thousand queries retrieved, over the steps.

  Checkpoints hold it, so that a run that was stopped goes on with the same.
  """

  def __init__(self) -> None:
    super().__init__()
    self._rows = np.zeros([0, 0], np.int32)  # [queries, K - 1]

  def add(self, rows: np.ndarray) -> dict[str, float]:
    """Takes in the candidates of a batch, and says what the last thousand queries got.

    Args:
      rows: [B, K] block ids; candidate 0 is the null document, which does not count.

    Returns:
      `distinct_blocks_per_thousand`: how many different blocks a thousand queries retrieve;
      of fewer queries so far, so many times as many. `most_retrieved_share`: for how many of
      them the most retrieved block is among their candidates.
    """
    blocks = rows[:, 1:].astype(np.int32)
    earlier = self._rows if self._rows.shape[1] == blocks.shape[1] else blocks[:0]
    self._rows = np.concatenate([earlier, blocks])[-_QUERIES:]
    counts = np.unique(self._rows, return_counts=True)[1]
    queries = len(self._rows)
    return {"distinct_blocks_per_thousand": len(counts) * _QUERIES / queries,
            "most_retrieved_share": counts.max() / queries}

  def serialize(self) -> str:
    return json.dumps({"shape": self._rows.shape,
                       "rows": base64.b64encode(self._rows.tobytes()).decode()})

  def deserialize(self, string_value: bytes) -> None:
    saved = json.loads(string_value)
    self._rows = np.frombuffer(base64.b64decode(saved["rows"]), np.int32).reshape(
        saved["shape"])


class Setup(NamedTuple):
  """What a figure is judged by."""
  blocks: int  # N
  candidates: int  # K


class Collapse(NamedTuple):
  """What is wrong, and from when on."""
  kind: str  # a word of docs/diagnosis.md
  step: int  # the record at which it was seen
  until: int  # the last record of which it is true
  text: str


Values = Mapping[str, float]
Curve = Sequence[tuple[int, Values]]  # (step, values by metric), ascending


class _Rule(NamedTuple):
  needs: tuple[str, ...]
  holds: Callable[[Values, Setup], bool]
  text: str  # figures in braces


_RULES = {
    "few blocks": _Rule(
        ("distinct_blocks_per_thousand",),
        lambda values, setup: values["distinct_blocks_per_thousand"] < _FEW_BLOCKS * min(
            setup.blocks, _QUERIES * (setup.candidates - 1)),
        "all sentences retrieve the same few blocks, {distinct_blocks_per_thousand:.0f} "
        "different ones per thousand"),
    "one block": _Rule(
        ("most_retrieved_share",),
        lambda values, setup: (values["most_retrieved_share"] > _ONE_BLOCK
                               and 4 * (setup.candidates - 1) < setup.blocks),
        "one block is retrieved for {most_retrieved_share:.0%} of the sentences"),
    "null alone": _Rule(
        ("null_probability",), lambda values, _: values["null_probability"] > _NULL,
        "p(z|x) of the null document is {null_probability:.3f}: what is retrieved is not "
        "used"),
    "misled": _Rule(
        ("retrieval_utility", "null_probability"),
        lambda values, _: (values["retrieval_utility"] < 0
                           and values["null_probability"] < _NO_NULL),
        "what is retrieved misleads the encoder, {retrieval_utility:+.2f} nats, and the null "
        "document cannot be chosen, its p(z|x) being {null_probability:.4f}"),
    "one candidate": _Rule(
        ("prior_entropy", "null_probability"),
        lambda values, setup: (
            values["prior_entropy"] < _ONE_CANDIDATE * math.log(setup.candidates)
            and values["null_probability"] <= _NULL),
        "p(z|x) is all on one candidate, its entropy being {prior_entropy:.3f} nats: the "
        "retriever has next to no gradient"),
    "nothing found": _Rule(
        ("span_in_any",), lambda values, _: values["span_in_any"] < _NOTHING,
        "a block that holds what is masked is retrieved for {span_in_any:.1%} of the "
        "sentences: there is nothing to learn from")}


def collapses(curve: Curve, setup: Setup) -> list[Collapse]:
  """What went wrong in a pre-training, by its curves; nothing where it went well.

  A rule must hold in three records one after the other: the first steps of a run, and single
  batches, say little. The text has the figures of the last of them.
  """
  collapsed = []
  for kind, rule in _RULES.items():
    count, first = 0, 0
    last: tuple[int, Values] | None = None
    for step, values in curve:
      measured = all(name in values for name in rule.needs)
      count = count + 1 if measured and rule.holds(values, setup) else 0
      if count >= _RECORDS:
        first, last = (first if last else step), (step, values)
    if last:
      collapsed.append(Collapse(kind, first, last[0], rule.text.format(**last[1])))
  return collapsed


def warn_of_collapse(rows: Curve, setup: Setup) -> Callable[[int], None]:
  """Logs each kind of collapse once, when the curves show it.

  Args:
    rows: of the curves, to which records are added while the stage goes on.
    setup: of the run.

  Returns:
    To be called after each record.
  """
  said: set[Any] = {collapse.kind for collapse in collapses(rows, setup)}

  def warn(step: int) -> None:
    for collapse in collapses(rows, setup):
      if collapse.kind not in said:
        said.add(collapse.kind)
        logging.warning('step %d: %s ("%s" in docs/diagnosis.md says what to do)', step,
                        collapse.text, collapse.kind)

  return warn
