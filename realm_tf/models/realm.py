"""The whole model: retriever and knowledge-augmented encoder, built and stored."""

import dataclasses
import pathlib

import tensorflow as tf
import tf_keras

from realm_tf import files
from realm_tf.config import RealmConfig
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.folders import Kind
from realm_tf.models import limits, weights
from realm_tf.models.bert import BertConfig
from realm_tf.models.encoder import KnowledgeEncoder
from realm_tf.models.retriever import Retriever, Tower
from realm_tf.text.inputs import Packed

_PARTS = {"retriever": "retriever.safetensors", "encoder": "encoder.safetensors"}
MODEL = Kind("a model", "model.json", lambda manifest: manifest["sha256"])


class Realm(tf.Module):
  """Retriever (f(x, z)) and encoder (p(y|z, x)) of one run."""

  def __init__(self, config: RealmConfig, retriever_bert: BertConfig,
               encoder_bert: BertConfig):
    super().__init__(name="realm")
    self.config = config
    # It is trained by the strategy in whose scope it is made.
    self.strategy = tf.distribute.get_strategy()
    self.retriever = Retriever(config.retriever, retriever_bert, name="retriever")
    self.encoder = KnowledgeEncoder(config.encoder, encoder_bert, name="encoder")
    one = tf.zeros([1, 3], tf.int32)
    packed = Packed(one, tf.ones([1, 3], tf.bool), one, tf.constant([2]))
    self.retriever(packed, packed)  # makes the variables
    self.encoder.mask_log_probs(packed, one, one, tf.ones([1, 3]))
    self.encoder.span_logits(packed)

  @classmethod
  def from_weights(cls, config: RealmConfig, vocab_size: int) -> "Realm":
    """Starts from the pre-trained BERTs that the config names.

    Raises:
      UserError: weights are missing, misshapen, or made for another vocabulary.
    """
    tf_keras.utils.set_random_seed(config.seed)
    berts = [limits.bert_config(config, part, vocab_size) for part in _PARTS]
    model = cls(config, *berts)
    model._load_towers(config.retriever.weights)
    weights.load_encoder(config.encoder.weights, model.encoder)
    return model

  @classmethod
  def from_folder(cls, config: RealmConfig, folder: PathLike) -> "Realm":
    """Loads what `save` wrote, checking every file against its SHA-256."""
    folder = pathlib.Path(folder)
    manifest = files.read_json(folder / "model.json")
    for name in _PARTS.values():
      if files.sha256(folder / name) != manifest["sha256"][name]:
        raise UserError(f"{folder / name}: damaged: its SHA-256 is not the one in "
                        "model.json; run the stage again")
    berts = [BertConfig(**manifest[part]) for part in _PARTS]
    model = cls(config, *berts)
    if not manifest["shared_towers"]:
      model.retriever.part_towers()
    for part, names in model._names().items():
      weights.load(folder / _PARTS[part], names)
    return model

  def save(self, folder: PathLike) -> None:
    """Writes weights (Hugging Face's names) and sizes into `folder`."""
    folder = pathlib.Path(folder)
    for part, names in self._names().items():
      weights.save_names(folder / _PARTS[part], names)
    files.write_json(folder / "model.json", {
        "retriever": dataclasses.asdict(self.retriever.bert_config),
        "encoder": dataclasses.asdict(self.encoder.bert.config),
        "shared_towers": self.retriever.query_tower is self.retriever.document_tower,
        "sha256": {name: files.sha256(folder / name) for name in _PARTS.values()}})

  def make_tower(self) -> Tower:
    """A second tower of the same shape, for the copy that embeds the corpus."""
    return self.retriever.make_tower("copy", self.config.embed_precision)

  def _names(self) -> dict[str, weights.Names]:
    return {"retriever": weights.retriever_names(self.retriever),
            "encoder": weights.encoder_names(self.encoder)}

  def _load_towers(self, folder: str) -> None:
    query, document = self.retriever.query_tower, self.retriever.document_tower
    if query is document and weights.has_two_towers(folder):
      raise UserError(f"{folder}: a retriever of two towers; set "
                      "config.retriever.shared_towers=False")
    weights.load_tower(folder, document)
    if query is not document:
      for copy, first in zip(query.variables, document.variables, strict=True):
        copy.assign(first)  # separate towers start as one
      weights.load_tower(folder, query, query=True)
