"""What a pre-training step waits for: candidates in turn, or chosen beside the update.

    python benchmarks/overlap.py --rows=1000000

A step of the sizes of `training.py`, in bfloat16, with an exact search of a table of
random rows before it; then the same with the search for the next batch beside the update. Of
a machine that has only its CPU little is to be expected: both want the same cores. All
sequences are of full length.
"""

import realm_tf  # noqa: F401  # isort: skip  (it chooses Keras 2 before TensorFlow loads)
import statistics
import time

import numpy as np
import tensorflow as tf
from absl import app, flags
from machine import processor
from step_sizes import SIZES

from realm_tf.config import EncoderConfig, PretrainConfig, RetrieverConfig
from realm_tf.index.exact import ExactIndex
from realm_tf.models import losses
from realm_tf.models.bert import BertConfig
from realm_tf.models.encoder import KnowledgeEncoder
from realm_tf.models.retriever import Retriever
from realm_tf.text.inputs import Packed
from realm_tf.training import overlap
from realm_tf.training.optimizer import make_optimizer

_ROWS = flags.DEFINE_integer("rows", 1_000_000, "Blocks in the index.")
_TEXTS = 4096  # different ones; more rows share them
_STEPS = flags.DEFINE_integer("steps", 5, "Of each kind, after two to warm up.")


def _packed(ids: tf.Tensor) -> Packed:
  return Packed(ids, tf.ones_like(ids, tf.bool), tf.zeros_like(ids),
                tf.fill([tf.shape(ids)[0]], ids.shape[1]))


def _halves():
  """`choose` and `learn` of random text."""
  s = SIZES
  bert = BertConfig(s["vocabulary"], s["hidden"], s["layers"], s["heads"], 4 * s["hidden"],
                    hidden_act="gelu_new")
  retriever = Retriever(RetrieverConfig(precision="bfloat16"), bert)
  encoder = KnowledgeEncoder(EncoderConfig(precision="bfloat16"), bert)
  index = ExactIndex(_ROWS.value, 128, tf.bfloat16)
  index.assign(np.random.default_rng(0).normal(size=[_ROWS.value, 128]).astype("f"), 0)
  optimizer = make_optimizer(PretrainConfig(learning_rate=3e-5))
  pairs = s["batch"] * s["candidates"]
  positions = tf.tile(tf.range(5, 5 + s["masks"])[None], [pairs, 1])
  ones = tf.ones([pairs, s["masks"]])
  texts = tf.random.uniform([_TEXTS, s["document"]], 1000, s["vocabulary"], tf.int32)

  def choose(queries: tf.Tensor) -> tf.Tensor:
    return index.search(retriever.embed_queries(_packed(queries)), s["candidates"])[1]

  def learn(queries: tf.Tensor, rows: tf.Tensor):
    documents = tf.gather(texts, tf.reshape(rows, [-1]) % _TEXTS)
    both = tf.concat([tf.repeat(queries, s["candidates"], 0), documents], 1)
    with tf.GradientTape() as tape:
      scores = tf.einsum("bd,bkd->bk", retriever.embed_queries(_packed(queries)), tf.reshape(
          retriever.embed_documents(_packed(documents)), [s["batch"], s["candidates"], -1]))
      log_probs = tf.reshape(encoder.mask_log_probs(
          _packed(both), positions, tf.gather(both, positions, batch_dims=1), ones),
          [s["batch"], s["candidates"], -1])
      loss = tf.reduce_mean(losses.per_mask_loss(scores, log_probs, ones[:s["batch"]]))
    variables = [*retriever.trainable_variables, *encoder.bert.trainable_variables,
                 *encoder.masked_lm.trainable_variables]
    return {"loss": loss, "norm": optimizer.apply(tape.gradient(loss, variables), variables)}

  return choose, learn


def _measure(feed, step) -> tuple[float, float]:
  """Median seconds of a step, and of its wait for candidates."""
  seconds, waits = [], []
  for _, batch in zip(range(_STEPS.value + 2), feed):
    begun = time.perf_counter()
    waits.append(float(step(batch)["retrieval_wait_seconds"]))
    seconds.append(time.perf_counter() - begun)
  return statistics.median(seconds[2:]), statistics.median(waits[2:])


def main(_) -> None:
  choose, learn = _halves()
  batches = tf.data.Dataset.range(_STEPS.value + 3).map(
      lambda step: tf.random.stateless_uniform(
          [SIZES["batch"], SIZES["query"]], tf.stack([step, 0]), 1000, SIZES["vocabulary"],
          tf.int32))
  chosen = tf.Variable(tf.zeros([SIZES["batch"], SIZES["candidates"]], tf.int32))
  print(f"{processor()}; {_ROWS.value} rows; median of {_STEPS.value} steps\n")
  print("                     a step   waits for candidates")
  for name, where in (("in turn", None), ("beside the update", chosen)):
    seconds, waited = _measure(*overlap.steps(choose, learn, batches, where, True))
    print(f"{name:18s} {seconds:7.3f} s {1000 * waited:9.1f} ms")


if __name__ == "__main__":
  app.run(main)
