"""Warm start of the encoder: reading a block that is known to hold the answer.

Not in the paper. There the encoder starts from BERT-base and has 200,000 steps to
find out that a retrieved block may hold the masked words. A small BERT that has
minutes does not find out: most retrieved blocks do not hold them, so it learns
to guess, and p(y|z,x), which is all that teaches the retriever, says nothing of z.
Here each sentence is read with another block in which its masked span stands (as in
distant supervision), with the null document, and with what the retriever finds, until
the encoder copies from the first and is not misled by the others. Were it misled, the
retriever would learn to prefer the null document. The retriever is not touched.

Shape letters: B batch, K candidates, M masks, E banned rows.
"""

import pathlib

import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.distribute import shares
from realm_tf.examples.pretraining import PretrainingBatch, configured_batches
from realm_tf.index.interface import RowIndex
from realm_tf.models import dropout, losses
from realm_tf.models.realm import Realm
from realm_tf.models.scores import top_candidates
from realm_tf.training import schedule
from realm_tf.training.likelihood import configured_log_probs, encoder_parts
from realm_tf.training.loop import Loop
from realm_tf.training.optimizer import make_optimizer
from realm_tf.training.pretrain_step import mean_masks
from realm_tf.training.stage_loop import stage_loop


def train_reading(config: RealmConfig, corpus: Corpus, passages: Passages, model: Realm,
                  index: RowIndex, banned: tf.Tensor, folder: pathlib.Path) -> Loop:
  """Trains the encoder in place.

  Args:
    config: of the run.
    corpus: where sentences come from, and what is read.
    passages: the same corpus in the graph.
    model: its encoder is trained.
    index: made by the model's document tower, which stays as it is.
    banned: [N, E] int32, see `examples.pretraining.pretraining_batches`.
    folder: for checkpoints and curves.
  """
  config = schedule.fitted_to_sentences(config, "reading", corpus)
  reading = config.reading
  variables = [variable for part in encoder_parts(config, model).values()
               for variable in part]
  strategy = model.strategy
  share = shares.share_size(strategy, reading.batch_size, reading.accumulate)
  with strategy.scope():
    optimizer = make_optimizer(reading, [model.encoder.bert]).build(variables)
  loop = stage_loop(config, "reading", folder,
                    {"encoder": model.encoder, "optimizer": optimizer}, strategy)
  batches = configured_batches(
      config.pretrain, corpus, banned, batch_size=reading.batch_size, seed=config.seed + 1,
      first_step=loop.first_step, last_step=reading.steps)

  def learn(chosen: tuple[PretrainingBatch, tf.Tensor]) -> shares.Metrics:
    masks = mean_masks(chosen[0], reading.accumulate)

    def gradients_of_part(chosen: tuple[PretrainingBatch, tf.Tensor]):
      part, rows = chosen
      with tf.GradientTape() as tape, dropout.drawn(config.seed, optimizer.iterations):
        log_probs = configured_log_probs(config, model.encoder, passages, part,
                                         rows)  # [B, K + 1, M]
        # Each by itself, not their mixture: what the encoder makes of a poor block
        # counts as much as what it makes of a good one.
        loss = -tf.reduce_sum(log_probs * part.weights[:, None]) / (
            masks * (reading.candidates + 1.0))
      utility = losses.retrieval_utility(log_probs, part.weights)  # [B, K]
      return tape.gradient(loss, variables), {
          "loss": loss, "support_utility": tf.reduce_mean(utility[:, -1])}

    gradients, metrics = shares.mean_over_parts(gradients_of_part, chosen, share,
                                                reading.accumulate)
    return metrics | {"gradient_norm": optimizer.apply(gradients, variables)}

  @tf.function(input_signature=[batches.element_spec])
  def step(batch: PretrainingBatch) -> shares.Metrics:
    queries = shares.map_shares(strategy, model.retriever.embed_queries, batch.query)
    rows = top_candidates(index, passages, queries, batch.banned, reading.candidates)
    rows = tf.concat([rows, batch.support[:, None]], 1)  # [B, K + 1]
    return shares.run_on_shares(strategy, learn, (batch, rows), reading.batch_size)

  loop.run(batches, step)
  return loop
