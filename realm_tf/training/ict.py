"""Warm start of the retriever by the Inverse Cloze Task (ORQA, section 5)."""

import pathlib

import tensorflow as tf
import tensorflow_recommenders as tfrs

from realm_tf.config import RealmConfig
from realm_tf.corpus.store import Corpus
from realm_tf.examples.ict import ICTBatch, ict_batches
from realm_tf.models.realm import Realm
from realm_tf.training.loop import Loop
from realm_tf.training.optimizer import make_optimizer


def train_ict(config: RealmConfig, corpus: Corpus, model: Realm,
              folder: pathlib.Path) -> Loop:
  """Trains both towers in place with in-batch negatives."""
  retriever, ict = model.retriever, config.ict
  variables = retriever.trainable_variables
  optimizer = make_optimizer(ict)
  loop = Loop("ict", folder, ict.steps, {"retriever": retriever, "optimizer": optimizer},
              config.checkpoint_every)
  batches = ict_batches(
      corpus, batch_size=ict.batch_size, removal_rate=ict.removal_rate,
      query_length=config.retriever.query_length,
      document_length=config.retriever.document_length, seed=config.seed,
      first_step=loop.first_step, last_step=ict.steps)
  task = tfrs.tasks.Retrieval(remove_accidental_hits=True)

  @tf.function(input_signature=[batches.element_spec])
  def step(batch: ICTBatch):
    with tf.GradientTape() as tape:
      queries, documents = retriever(batch.queries, batch.documents)  # [B, D] both
      size = tf.cast(tf.shape(queries)[0], tf.float32)
      # A block that stands twice in the batch is not its own negative.
      loss = task(queries, documents, candidate_ids=batch.rows,
                  compute_metrics=False) / size
    norm = optimizer.apply(tape.gradient(loss, variables), variables)
    scores = tf.matmul(queries, documents, transpose_b=True)
    right = tf.argmax(scores, 1, tf.int32) == tf.range(tf.shape(queries)[0])
    return {"loss": loss, "gradient_norm": norm,
            "in_batch_accuracy": tf.reduce_mean(tf.cast(right, tf.float32))}

  loop.run(batches, step)
  return loop
