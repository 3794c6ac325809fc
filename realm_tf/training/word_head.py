"""Warm start of the word head: a masked language model of the corpus (Devlin et al. 2019).

REALM starts from a BERT whose word head is one (Guu et al. 2020, section 4). Weights that
come without that head, such as those of a sentence encoder, start with a random one: then
log p(y|null,x) says nothing, and what is retrieved is measured against noise. Here the
encoder alone learns from sentences without any block, in which random words are masked, until
the null document is what it should be, a guess by the sentence.

Shape letters: B batch, K candidates, M masks.
"""

import dataclasses
import pathlib

import numpy as np
import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.distribute import shares
from realm_tf.examples.pretraining import PretrainingBatch, pretraining_batches
from realm_tf.models import dropout
from realm_tf.models.realm import Realm
from realm_tf.models.scores import mask_log_probs
from realm_tf.training.loop import Loop
from realm_tf.training.optimizer import make_optimizer
from realm_tf.training.pretrain_step import mean_masks

_MASKER = "random_token"  # of BERT


def train_word_head(config: RealmConfig, corpus: Corpus, passages: Passages, model: Realm,
                    folder: pathlib.Path) -> Loop:
  """Trains BERT and word head of the encoder in place, `reading.masked_lm_steps` steps.

  Batch size, learning rate and the like are those of `reading`.

  Args:
    config: of the run.
    corpus: where sentences come from.
    passages: the same corpus in the graph.
    model: its encoder is trained.
    folder: for checkpoints and curves.
  """
  reading, pretrain, strategy = config.reading, config.pretrain, model.strategy
  steps = reading.masked_lm_steps
  share = shares.share_size(strategy, reading.batch_size, reading.accumulate)
  variables = [*model.encoder.bert.trainable_variables,
               *model.encoder.masked_lm.trainable_variables]
  with strategy.scope():
    optimizer = make_optimizer(
        dataclasses.replace(reading, steps=steps), [model.encoder.bert]).build(variables)
  loop = Loop("masked_lm", folder, steps,
              {"encoder": model.encoder, "optimizer": optimizer}, config.checkpoint_every,
              keep=config.keep_checkpoints, strategy=strategy)
  batches = pretraining_batches(
      corpus, np.zeros([corpus.num_blocks, 0], np.int32), batch_size=reading.batch_size,
      query_length=pretrain.query_length, max_masks=pretrain.max_masks,
      support=pretrain.span_blocks, seed=config.seed + 2, first_step=loop.first_step,
      last_step=steps, masker=_MASKER)

  def learn(batch: PretrainingBatch) -> shares.Metrics:
    masks = mean_masks(batch, reading.accumulate)

    def gradients_of_part(part: PretrainingBatch):
      null = tf.fill([tf.shape(part.row)[0], 1], passages.null_row)
      with tf.GradientTape() as tape, dropout.drawn(config.seed, optimizer.iterations):
        log_probs = mask_log_probs(model.encoder, passages, part, null,
                                   pretrain.encoder_length)  # [B, 1, M]
        loss = -tf.reduce_sum(log_probs[:, 0] * part.weights) / masks
      return tape.gradient(loss, variables), {"loss": loss}

    gradients, metrics = shares.mean_over_parts(
        gradients_of_part, batch, share, reading.accumulate)
    return metrics | {"gradient_norm": optimizer.apply(gradients, variables)}

  step = shares.replicated(strategy, learn, batches.element_spec, reading.batch_size,
                           reading.accumulate)
  loop.run(batches, step)
  return loop
