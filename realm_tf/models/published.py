"""The kinds of published REALM folders, their sizes, and the models in them.

A folder holds `config.json` and `model.safetensors`, as Hugging Face's
Transformers wrote them (`google/realm-*`). Names of tensors are in `weights`.
"""

import dataclasses
import pathlib
from typing import Any, Mapping

import tensorflow as tf

from realm_tf import files
from realm_tf.config import EncoderConfig, RetrieverConfig
from realm_tf.files import PathLike
from realm_tf.models import weights
from realm_tf.models.bert import BertConfig
from realm_tf.models.encoder import KnowledgeEncoder
from realm_tf.models.retriever import Retriever, Tower
from realm_tf.text.inputs import Packed


@dataclasses.dataclass(frozen=True)
class Sizes:
  """Sizes of a published model; the defaults are those of Transformers."""
  bert: BertConfig
  retriever_proj_size: int = 128
  span_hidden_size: int = 256
  max_span_width: int = 10
  reader_layer_norm_eps: float = 1e-3

  @classmethod
  def from_values(cls, values: Mapping[str, Any], where: str) -> "Sizes":
    """The sizes among the fields of a `config.json`; `where` is told in errors."""
    own = {f.name: values[f.name] for f in dataclasses.fields(cls) if f.name in values}
    return cls(BertConfig.from_values(dict(values), where), **own)

  @classmethod
  def from_folder(cls, folder: PathLike) -> "Sizes":
    path = pathlib.Path(folder) / "config.json"
    return cls.from_values(files.read_json(path), str(path))


def _some_input() -> Packed:
  one = tf.zeros([1, 3], tf.int32)
  return Packed(one, one == 0, one, tf.constant([2]))


def new_retriever(sizes: Sizes, shared_towers: bool) -> Retriever:
  """A retriever of these sizes, its variables made."""
  config = RetrieverConfig(projection_size=sizes.retriever_proj_size,
                           shared_towers=shared_towers)
  retriever = Retriever(config, sizes.bert)
  retriever(_some_input(), _some_input())
  return retriever


def new_encoder(sizes: Sizes) -> KnowledgeEncoder:
  """An encoder of these sizes, the variables of both heads made."""
  encoder = KnowledgeEncoder(
      EncoderConfig(span_hidden_size=sizes.span_hidden_size,
                    max_span_width=sizes.max_span_width,
                    span_norm_eps=sizes.reader_layer_norm_eps), sizes.bert)
  packed, one = _some_input(), tf.zeros([1, 1], tf.int32)
  encoder.mask_log_probs(packed, one, one, tf.ones([1, 1]))
  encoder.span_logits(packed)
  return encoder


def load_embedder(folder: PathLike) -> Tower:
  """The tower of an embedder or of an open-QA folder."""
  tower = new_retriever(Sizes.from_folder(folder), True).document_tower
  weights.load_tower(folder, tower)
  return tower


def load_scorer(folder: PathLike) -> Retriever:
  """The retriever of a scorer folder, with one tower or two."""
  retriever = new_retriever(Sizes.from_folder(folder), not weights.has_two_towers(folder))
  weights.load_tower(folder, retriever.document_tower)
  weights.load_tower(folder, retriever.query_tower, query=True)
  return retriever


def load_encoder(folder: PathLike) -> KnowledgeEncoder:
  """The encoder of an encoder, reader or open-QA folder, with the heads it has."""
  encoder = new_encoder(Sizes.from_folder(folder))
  weights.load_encoder(folder, encoder)
  return encoder
