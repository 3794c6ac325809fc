"""How much the retriever could learn in so few steps: pre-training with a perfect reader.

    realm run --config=configs/pretraining.py --workdir=runs/pretraining
    python benchmarks/oracle_reader.py --workdir=runs/pretraining --steps=160

Starts from the ICT stage of a run and trains the retriever on REALM's marginal loss,
except that p(y|z,x) is not the encoder's but an oracle's: `--nats` more for a block
that holds the masked words. What it does for recall is the most that pre-training of
so many sentences can do, whatever the encoder.
"""

import dataclasses
import json

import numpy as np
from absl import app, flags

from realm_tf.datasets.matching import find_occurrences
from realm_tf.examples.pretraining import pretraining_batches
from realm_tf.files import new_file
from realm_tf.index.embed import collect_rows
from realm_tf.models import losses
from realm_tf.models.scores import relevance, top_candidates
from realm_tf.run.folder import Run
from realm_tf.text.inputs import pack_single
from realm_tf.training.optimizer import make_optimizer

_WORKDIR = flags.DEFINE_string("workdir", None, "A finished run.", required=True)
_STEPS = flags.DEFINE_integer("steps", 160, "Steps of the run's batch size.")
_RATE = flags.DEFINE_float("learning_rate", 1e-4, "Peak, of the retriever.")
_NATS = flags.DEFINE_float("nats", 2.0, "What a block with the masked words is worth.")
_JSON = flags.DEFINE_string("json", None, "Where to write the numbers.")
_AT = (5, 20)


class Recall:
  """Recall over all questions of the run: none of them is used in pre-training."""

  def __init__(self, run: Run):
    questions = run.questions("train") + run.questions("held_out")
    corpus = run.corpus
    occurrences = find_occurrences([q.answers for q in questions], corpus, corpus.tokenizer)
    self._right = [set(occurrences.rows[a:b].tolist())
                   for a, b in zip(occurrences.splits, occurrences.splits[1:], strict=False)]
    self._packed = pack_single(
        corpus.tokenizer.tokenize([q.question for q in questions]),
        run.config.retriever.query_length, corpus.tokenizer)

  def __call__(self, model, index) -> dict[str, float]:
    _, rows = index.search(model.retriever.embed_queries(self._packed), max(_AT))
    hits = np.array([[row in right for row in rows_found] for rows_found, right in zip(
        rows.numpy().tolist(), self._right, strict=True)])
    return {f"recall@{k}": float(hits[:, :k].any(1).mean()) for k in _AT}


def _holds(body: np.ndarray, span: np.ndarray) -> bool:
  if len(body) < len(span):
    return False
  return bool((np.lib.stride_tricks.sliding_window_view(body, len(span)) == span)
              .all(1).any())


def _train(run: Run, model, index) -> None:
  import tensorflow as tf  # pylint: disable=import-outside-toplevel  # after realm_tf
  pretrain = dataclasses.replace(
      run.config.pretrain, steps=_STEPS.value, learning_rate=_RATE.value)
  optimizer, variables = make_optimizer(pretrain), model.retriever.trainable_variables
  for batch in pretraining_batches(
      run.corpus, run.banned, batch_size=pretrain.batch_size,
      query_length=pretrain.query_length, max_masks=pretrain.max_masks,
      support=pretrain.span_blocks, seed=run.config.seed, first_step=0,
      last_step=pretrain.steps):
    with tf.GradientTape() as tape:
      queries = model.retriever.embed_queries(batch.query)
      rows = top_candidates(index, run.passages, queries, batch.banned, pretrain.candidates)
      gain = np.zeros(rows.shape, np.float32)
      for i, span in enumerate(batch.labels.numpy()):
        span = span[batch.weights[i].numpy() > 0]
        gain[i, 1:] = [_NATS.value * _holds(run.corpus.body_ids.row(row), span)
                       for row in rows[i, 1:].numpy()]
      scores = relevance(model.retriever, run.passages, queries, rows)
      loss = tf.reduce_mean(losses.joint_loss(
          scores, gain[:, :, None], tf.ones([len(gain), 1])))
    optimizer.apply(tape.gradient(loss, variables), variables)


def main(_) -> None:
  run = Run.existing(_WORKDIR.value)
  model = run.model("ict")
  index, recall = run.index(model), Recall(run)
  before = recall(model, index)
  _train(run, model, index)
  embedder = run.embedder(model)
  index.assign(index.prepare(collect_rows(embedder.batches(), embedder.num_rows)),
               _STEPS.value)
  after = recall(model, index)
  for name in before:
    print(f"{name:9s}  after ICT {before[name]:6.1%}   after {_STEPS.value} steps with a "
          f"perfect reader {after[name]:6.1%}")
  if _JSON.value:
    with new_file(_JSON.value, "w") as file:
      json.dump({"before": before, "after": after, "steps": _STEPS.value}, file, indent=2)


if __name__ == "__main__":
  app.run(main)
