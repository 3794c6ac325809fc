"""Warm start of the retriever by the Inverse Cloze Task (ORQA, section 5)."""

import pathlib
from typing import Sequence

import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.store import Corpus
from realm_tf.distribute import shares
from realm_tf.distribute.strategy import is_tpu
from realm_tf.examples.ict import ICTBatch, num_examples
from realm_tf.models import dropout, losses
from realm_tf.models.realm import Realm
from realm_tf.registry import WARM_STARTS
from realm_tf.training import schedule
from realm_tf.training.loop import Loop
from realm_tf.training.optimizer import make_optimizer


def train_ict(config: RealmConfig, corpus: Corpus, model: Realm,
              folder: pathlib.Path) -> Loop:
  """Trains both towers in place; the negatives are the batch's, of all replicas."""
  config = schedule.fitted(config, "ict", num_examples(corpus))
  retriever, ict = model.retriever, config.ict
  variables = retriever.trainable_variables
  strategy = model.strategy
  with strategy.scope():
    optimizer = make_optimizer(ict, [tower.bert for tower in retriever.towers]).build(
        variables)
  loop = Loop("ict", folder, ict.steps, {"retriever": retriever, "optimizer": optimizer},
              config.checkpoint_every, keep=config.keep_checkpoints,
              best=config.best_metric, strategy=strategy)
  batches = WARM_STARTS[ict.objective](
      corpus, batch_size=ict.batch_size, removal_rate=ict.removal_rate,
      query_length=config.retriever.query_length,
      document_length=config.retriever.document_length, seed=config.seed,
      first_step=loop.first_step, last_step=ict.steps,
      fixed_lengths=config.fixed_lengths or is_tpu(strategy))

  share = ict.batch_size // strategy.num_replicas_in_sync
  part = share // ict.accumulate

  def embed(batch: ICTBatch) -> tuple[tf.Tensor, tf.Tensor]:
    with dropout.drawn(config.seed, optimizer.iterations):
      return retriever((batch.queries, batch.documents))  # [B, D] both

  def loss_of(vectors: Sequence[tf.Tensor], rows: tf.Tensor
              ) -> tuple[tf.Tensor, shares.Metrics]:
    queries, documents = vectors
    documents, rows = shares.own_first(documents), shares.own_first(rows)
    loss = losses.in_batch_softmax(queries, documents, rows)
    return loss, {"loss": loss,
                  "in_batch_accuracy": losses.in_batch_accuracy(queries, documents)}

  def whole_gradients(batch: ICTBatch):
    with tf.GradientTape() as tape:
      loss, metrics = loss_of(embed(batch), batch.rows)
    return tape.gradient(loss, variables), metrics

  def gradients_by_parts(batch: ICTBatch):
    """Each part is embedded twice, since its loss needs all (Gao et al. 2021, GradCache)."""
    embedded = tf.map_fn(
        lambda number: embed(shares.part_of(batch, number, part)),
        tf.range(ict.accumulate), fn_output_signature=(tf.float32, tf.float32),
        parallel_iterations=1)
    vectors = [tf.reshape(x, [share, x.shape[-1]]) for x in embedded]
    with tf.GradientTape() as tape:
      tape.watch(vectors)
      loss, metrics = loss_of(vectors, batch.rows)
    # Times the parts, whose mean is taken below.
    upstream = tuple(g * ict.accumulate for g in tape.gradient(loss, vectors))

    def of_part(both):
      batch, upstream = both
      with tf.GradientTape() as tape:
        embedded = embed(batch)
      return tape.gradient(embedded, variables, upstream)

    return shares.mean_over_parts(of_part, (batch, upstream), share,
                                    ict.accumulate), metrics

  def step(batch: ICTBatch) -> shares.Metrics:
    compute = whole_gradients if ict.accumulate == 1 else gradients_by_parts
    gradients, metrics = compute(batch)
    return metrics | {"gradient_norm": optimizer.apply(gradients, variables)}

  loop.run(batches, shares.replicated(strategy, step, batches.element_spec,
                                        ict.batch_size, ict.accumulate))
  return loop
