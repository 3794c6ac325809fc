"""What the encoder learns before pre-training, while the retriever stands still."""

import pathlib

import numpy as np

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.index.interface import RowIndex
from realm_tf.models.realm import Realm
from realm_tf.training.reading import train_reading
from realm_tf.training.word_head import train_word_head


def train_encoder_first(config: RealmConfig, corpus: Corpus, passages: Passages,
                        model: Realm, index: RowIndex, banned: np.ndarray,
                        folder: pathlib.Path) -> float:
  """Trains it as a masked language model, then to read supporting blocks, as configured.

  Args:
    config, corpus, passages, model, index, banned: as for `train_pretrain`.
    folder: of pre-training.

  Returns:
    The seconds that earlier sessions took for it.
  """
  seconds = 0.0
  if config.reading.masked_lm_steps:
    seconds += train_word_head(config, corpus, passages, model,
                               folder / "masked_lm").earlier_seconds
  if config.reading.steps:
    seconds += train_reading(config, corpus, passages, model, index, banned,
                             folder / "reading").earlier_seconds
  return seconds
