"""p(y|z,x) and p(z|x) as the config names them (Guu et al. 2020, section 3.1, and others).

Shape letters: B batch, K candidates, M masks.
"""

import numpy as np
import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.examples.pretraining import PretrainingBatch
from realm_tf.models.extractive import CopyingReader
from realm_tf.models.reader import Reader
from realm_tf.models.realm import Realm
from realm_tf.models.scores import Read, mask_log_probs, with_null_share, without_null


def configured_read(config: RealmConfig, encoder: Reader, padded: bool = False) -> Read:
  """What makes log p(y_j|z,x) of pairs, by `pretrain.objective`.

  With `padded`, no shape depends on the data.
  """
  if config.pretrain.objective == "masked_words":
    return encoder.mask_log_probs_padded if padded else encoder.mask_log_probs
  return CopyingReader(encoder, continuation(encoder), config.pretrain.span_share, padded)


def continuation(encoder: Reader) -> np.ndarray:
  """[V] bool: which pieces of the reader's vocabulary go on with a word."""
  if encoder.tokenizer is None:
    raise ValueError("the reader has no tokenizer: its vocabulary is not known")
  return encoder.tokenizer.continuation


def configured_log_probs(config: RealmConfig, encoder: Reader, passages: Passages,
                         batch: PretrainingBatch, rows: tf.Tensor) -> tf.Tensor:
  """log p(y_j|z,x) of each candidate, whose sum over the masks is log p(y|z,x).

  [B, K] rows -> [B, K, M].
  """
  pretrain = config.pretrain
  return mask_log_probs(encoder, passages, batch, rows, pretrain.encoder_length,
                        pretrain.window, configured_read(config, encoder))


def configured_relevance(config: RealmConfig, relevance: tf.Tensor) -> tf.Tensor:
  """Scores [B, K] by whose softmax p(z|x) is, as `pretrain` treats the null document."""
  if not config.pretrain.null_document:
    return without_null(relevance)
  share = config.pretrain.null_share
  return with_null_share(relevance, share) if share else relevance


def encoder_parts(config: RealmConfig, model: Realm) -> dict[str, list[tf.Variable]]:
  """What of the encoder learns from masked sentences, by its parts."""
  encoder = model.encoder
  parts = {"bert": encoder.bert.trainable_variables,
           "masked_lm": encoder.masked_lm.trainable_variables}
  if config.pretrain.objective == "extractive":
    parts["span_head"] = encoder.span_head.trainable_variables
  return parts
