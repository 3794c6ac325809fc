"""The model of a run: from its config to the arguments of the models, here alone."""

from typing import Any

import tf_keras
from absl import logging

from realm_tf.config import RealmConfig
from realm_tf.corpus.store import Corpus
from realm_tf.files import PathLike
from realm_tf.models import limits, pretrained, weights
from realm_tf.models.bert import BertConfig, make_bert
from realm_tf.models.reader import Reader
from realm_tf.models.realm import Realm
from realm_tf.models.retriever import Retriever
from realm_tf.text.tokenizer import Tokenizer


def initial_model(config: RealmConfig, tokenizer: Tokenizer, corpus: Corpus | None = None
                  ) -> Realm:
  """Starts from the pre-trained BERTs that the config names.

  Args:
    config: of a run.
    tokenizer: that the models use.
    corpus: by whose words lexical dimensions are weighed; without it they are zeros.

  Raises:
    UserError: weights are missing, misshapen, or made for another vocabulary.
  """
  sizes = [limits.bert_config(config, part, tokenizer.vocab_size)
           for part in ("retriever", "encoder")]
  tf_keras.utils.set_random_seed(config.seed)
  part, shared = config.retriever, config.retriever.shared_towers
  # All BERTs before all heads, so that a seed gives the heads the values that it always gave.
  tower_berts = [make_bert(sizes[0], part.precision, part.recompute, tower, part.dropout)
                 for tower in (["tower"] if shared else ["query_tower", "document_tower"])]
  encoder_bert = make_bert(sizes[1], config.encoder.precision, config.encoder.recompute,
                           rate=config.encoder.dropout)
  retriever = Retriever(
      tower_berts[0], document_bert=None if shared else tower_berts[1], shared_towers=shared,
      tokenizer=tokenizer, **retriever_arguments(config, sizes[0]))
  encoder = Reader(encoder_bert, tokenizer=tokenizer, **reader_arguments(config, sizes[1]))
  weights.load_towers(config.retriever.weights, retriever)
  if not weights.has_projection(part.weights):
    if part.score_scale:
      retriever.scale_scores(part.score_scale)
    else:
      logging.warning(
          "config.retriever.score_scale=0: scores are %d cosines, beside which no reader is "
          "heard, and training makes a good retriever worse; 20 is what our recipes have "
          "(docs/training.md)", part.projection_size)
  if corpus:
    retriever.adapt(corpus)
  weights.load_encoder(config.encoder.weights, encoder)
  return Realm(retriever, encoder, **realm_arguments(config))


def saved_model(config: RealmConfig, folder: PathLike, tokenizer: Tokenizer) -> Realm:
  """The model that a stage saved in `folder`, checked against its SHA-256."""
  retriever_sizes, encoder_sizes = (pretrained.sizes_of_part(folder, part)
                                    for part in ("retriever", "encoder"))
  return Realm.from_pretrained(
      folder, retriever_arguments(config, retriever_sizes) | {"tokenizer": tokenizer},
      reader_arguments(config, encoder_sizes) | {"tokenizer": tokenizer},
      **realm_arguments(config))


def retriever_arguments(config: RealmConfig, bert: BertConfig) -> dict[str, Any]:
  """Those of `Retriever` besides its BERTs."""
  part, most = config.retriever, bert.max_position_embeddings
  return {"pooling": part.pooling, "projection_size": part.projection_size,
          "lexical_size": part.lexical_size, "lexical_weight": part.lexical_weight,
          "query_length": min(part.query_length, most),
          "document_length": min(part.document_length, most),
          "precision": part.precision, "recompute": part.recompute,
          "dropout": part.dropout, "embed_precision": config.embed_precision}


def reader_arguments(config: RealmConfig, bert: BertConfig) -> dict[str, Any]:
  """Those of `Reader` besides its BERT."""
  part = config.encoder
  return {"span_hidden_size": part.span_hidden_size, "max_span_width": part.max_span_width,
          "span_norm_eps": part.span_norm_eps,
          "max_length": min(config.finetune.reader_length, bert.max_position_embeddings),
          "precision": part.precision, "recompute": part.recompute, "dropout": part.dropout}


def realm_arguments(config: RealmConfig) -> dict[str, Any]:
  """Those of `Realm` besides its parts."""
  return {"candidates": config.pretrain.candidates, "beam_size": config.finetune.beam_size,
          "read_blocks": config.finetune.read_blocks, "max_spans": config.finetune.max_spans}
