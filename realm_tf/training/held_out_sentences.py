"""A fixed sample of held-out sentences, on which pre-training is measured as it runs.

Shape letters: Q sample queries, N blocks, E banned rows, D projection.
"""

from typing import Any, Callable, NamedTuple

import numpy as np
import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.store import Corpus
from realm_tf.errors import UserError
from realm_tf.examples.pretraining import PretrainingBatch, configured_batches
from realm_tf.models.realm import Realm


class Sample(NamedTuple):
  """Batches, without the tables from which they were made."""
  batches: list[PretrainingBatch]
  spec: Any  # of a batch


def held_out_sentences(config: RealmConfig, corpus: Corpus, banned: np.ndarray,
                       count: int) -> Sample:
  """At least `count` masked sentences that are not trained on, whatever the step.

  In batches of the size of pre-training, or of `count` if that is less. Where the corpus
  has too few sentences to hold any out, they are some that are trained on.

  Args:
    config: of the run.
    corpus: where the sentences come from.
    banned: [N, E] int32, see `examples.pretraining.pretraining_batches`.
    count: of sentences; rounded up to whole batches.
  """
  size = min(config.pretrain.batch_size, count)

  def batches(held_out: bool) -> tf.data.Dataset:
    return configured_batches(
        config.pretrain, corpus, banned, batch_size=size, seed=config.seed, first_step=0,
        last_step=-(-count // size), held_out=held_out)

  try:
    chosen = batches(True)
  except UserError:
    chosen = batches(False)
  return Sample(list(chosen), chosen.element_spec)


def embed_sample(model: Realm, sample: Sample, count: int) -> Callable[[], np.ndarray]:
  """Embeds the first `count` sentences by the query tower as it is: [Q, D]."""
  def embed() -> np.ndarray:
    return np.concatenate([model.retriever.embed_queries(batch.query).numpy()
                           for batch in sample.batches])[:count]

  return embed
