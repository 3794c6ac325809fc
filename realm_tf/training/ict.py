"""Warm start of the retriever by the Inverse Cloze Task (ORQA, section 5)."""

import pathlib

import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.store import Corpus
from realm_tf.distribute import shares
from realm_tf.distribute.strategy import is_tpu
from realm_tf.examples.ict_pairs import ICTBatch, num_ict_examples
from realm_tf.models import dropout, losses
from realm_tf.models.realm import Realm
from realm_tf.registry import WARM_STARTS
from realm_tf.training import contrastive, schedule
from realm_tf.training.loop import Loop
from realm_tf.training.optimizer import make_optimizer
from realm_tf.training.stage_loop import stage_loop


def train_ict(config: RealmConfig, corpus: Corpus, model: Realm,
              folder: pathlib.Path) -> Loop:
  """Trains both towers in place; the negatives are the batch's, of all replicas."""
  config = schedule.fitted(config, "ict", num_ict_examples(corpus))
  retriever, ict = model.retriever, config.ict
  variables = retriever.trainable_variables
  strategy = model.strategy
  with strategy.scope():
    optimizer = make_optimizer(ict, [tower.bert for tower in retriever.towers]).build(
        variables)
  loop = stage_loop(config, "ict", folder,
                    {"retriever": retriever, "optimizer": optimizer}, strategy)
  batches = WARM_STARTS[ict.objective](
      corpus, batch_size=ict.batch_size, removal_rate=ict.removal_rate,
      query_length=config.retriever.query_length,
      document_length=config.retriever.document_length, seed=config.seed,
      first_step=loop.first_step, last_step=ict.steps,
      fixed_lengths=config.fixed_lengths or is_tpu(strategy), settings=ict)

  share = shares.share_size(strategy, ict.batch_size, ict.accumulate)
  kinds = 3 if batches.element_spec.negatives else 2  # of vectors

  def embed(batch: ICTBatch) -> contrastive.Vectors:
    """Queries, documents, and negatives where there are any: [B, D] each."""
    with dropout.drawn(config.seed, optimizer.iterations):
      queries, documents = retriever((batch.queries, batch.all_documents))
    return queries, *tf.split(documents, kinds - 1)

  def loss_of(vectors: contrastive.Vectors, batch: ICTBatch
              ) -> tuple[tf.Tensor, shares.Metrics]:
    queries, *documents = vectors
    # Of all replicas; the queries' own ones come first.
    documents, rows = (tf.concat([shares.own_first(part) for part in parts], 0) for parts in (
        documents, tf.split(batch.all_rows, kinds - 1)))
    loss = losses.in_batch_softmax(queries, documents, rows)
    return loss, {"loss": loss,
                  "in_batch_accuracy": losses.in_batch_accuracy(queries, documents)}

  def step(batch: ICTBatch) -> shares.Metrics:
    gradients, metrics = contrastive.gradients(embed, loss_of, batch, variables, share,
                                               ict.accumulate)
    return metrics | {"gradient_norm": optimizer.apply(gradients, variables)}

  loop.run(batches, shares.replicated(strategy, step, batches.element_spec,
                                      ict.batch_size, ict.accumulate))
  return loop
