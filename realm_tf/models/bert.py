"""BERT (Devlin et al. 2019, arXiv 1810.04805), with dynamic lengths.

Shape letters: B batch, T tokens, H hidden, U rows: tokens that are no padding.
"""

import contextlib
import dataclasses
import math
import pathlib
from typing import Any, Mapping, Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from realm_tf import files, processor
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.models import dropout
from realm_tf.models.compiled_layer import compiled_embeddings, compiled_layer
from realm_tf.models.dense import Norm, Weights, initializer
from realm_tf.models.layer import Added, LayerKind, LayerTensors, transformer_layer
from realm_tf.ops import compiling, library, transformer
from realm_tf.ops.bert import LayerWeights, PackedBert, packed_of

PRECISIONS = ("float32", "bfloat16", "auto")

_KINDS: dict[Any, str] = {int: "a whole number above 0", float: "a number above 0",
                          str: "text"}


@dataclasses.dataclass(frozen=True)
class BertConfig:
  """Sizes of a BERT, named as in Hugging Face's `config.json`."""
  vocab_size: int
  hidden_size: int
  num_hidden_layers: int
  num_attention_heads: int
  intermediate_size: int
  max_position_embeddings: int = 512
  type_vocab_size: int = 2
  layer_norm_eps: float = 1e-12
  hidden_act: str = "gelu"  # "gelu" (erf), "gelu_new" (tanh) or "relu"

  @classmethod
  def from_folder(cls, folder: PathLike, num_layers: int = 0) -> "BertConfig":
    """Reads `config.json`; `num_layers` > 0 keeps only the first layers."""
    path = pathlib.Path(folder) / "config.json"
    config = cls.from_values(files.read_object(path), str(path))
    if num_layers > config.num_hidden_layers:
      raise UserError(f"{path}: {num_layers} layers asked for (num_layers), the weights "
                      f"have {config.num_hidden_layers}")
    return dataclasses.replace(
        config, num_hidden_layers=num_layers or config.num_hidden_layers)

  @classmethod
  def from_values(cls, values: dict[str, Any], where: str) -> "BertConfig":
    """The sizes among the fields of a `config.json`; `where` is named in errors."""
    for field in dataclasses.fields(cls):
      if field.default is dataclasses.MISSING and field.name not in values:
        raise UserError(f"{where}: field '{field.name}' is missing")
      check_field(field, values, where)
    positions = values.get("position_embedding_type", "absolute")
    if positions != "absolute":
      raise UserError(f"{where}: field 'position_embedding_type': expected absolute, as "
                      f"in BERT, got '{positions}'")
    if not values.get("tie_word_embeddings", True):
      raise UserError(f"{where}: field 'tie_word_embeddings': expected true: the masked-LM "
                      "head is tied to the word embeddings, as in BERT")
    field_names = {field.name for field in dataclasses.fields(cls)}
    return cls(**{key: values[key] for key in field_names & values.keys()})


def check_field(field: dataclasses.Field, values: Mapping[str, Any], where: str) -> None:
  """Raises `UserError` where a field of a config is of another kind, or not above 0."""
  value = values.get(field.name, field.default)
  if not _fits(value, field.type):
    raise UserError(f"{where}: field '{field.name}': expected {_KINDS[field.type]}, got "
                    f"'{value}'")


def _fits(value: Any, kind: Any) -> bool:
  if kind is str or isinstance(value, bool):
    return isinstance(value, kind) and kind is str
  return isinstance(value, (int, kind)) and 0 < value < math.inf


class TransformerLayer(tf_keras.layers.Layer):
  """Post-norm self-attention and feed-forward, on rows; see `ops.transformer`.

  Where it has `rate`, what attention and feed-forward add is dropped out by it in training.
  """

  def __init__(self, config: BertConfig, rate: float = 0.0, **kwargs):
    super().__init__(autocast=False, **kwargs)  # rows stay in the dtype that they have
    hidden, inner = config.hidden_size, config.intermediate_size
    with tf.name_scope(self.name):
      self.query, self.key, self.value, self.attention_output = (
          Weights(hidden, hidden, name)
          for name in ("query", "key", "value", "attention_output"))
      self.attention_norm = Norm(config.layer_norm_eps, hidden, name="attention_norm")
      self.intermediate = Weights(hidden, inner, "intermediate")
      self.output_dense = Weights(inner, hidden, "output")
      self.output_norm = Norm(config.layer_norm_eps, hidden, name="output_norm")
    self.kind = LayerKind(config.num_attention_heads,
                          transformer.activation_name(config.hidden_act),
                          config.layer_norm_eps, rate)
    self.built = True

  def call(self, x: tf.Tensor, layout: transformer.Layout, seeds: tf.Tensor | None = None,
           recompute: bool = False, first: bool = False) -> tf.Tensor:
    """See `models.layer`; seeds: [2, 2] int32, of its dropout, where there is any;
    recompute: keep nothing for the gradient but x; first: of first tokens alone, [B, H]."""
    if compiling.compiles(self.query.kernel.shape[0]):
      return compiled_layer(self.kind, x, layout.mask, self.tensors(), seeds, recompute,
                            first)

    def run(x: tf.Tensor) -> tf.Tensor:
      return transformer_layer(transformer.choose_kernels(x.dtype), self.kind, x, layout,
                               self.tensors(), seeds)

    y = tf.recompute_grad(run)(x) if recompute else run(x)
    return layout.unpack(y)[:, 0] if first else y

  def tensors(self) -> LayerTensors:
    """Its variables."""
    qkv, inner = (self.query, self.key, self.value), self.intermediate
    attention, output = (Added(part.kernel, part.bias, norm.gamma, norm.beta)
                         for part, norm in ((self.attention_output, self.attention_norm),
                                            (self.output_dense, self.output_norm)))
    return LayerTensors(tuple(part.kernel for part in qkv), tuple(part.bias for part in qkv),
                        attention, inner.kernel, inner.bias, output)

  def weights_to_pack(self) -> LayerWeights:
    """As they are now."""
    heads = (self.query, self.key, self.value)
    norms = [(norm.gamma, norm.beta) for norm in (self.attention_norm, self.output_norm)]
    return LayerWeights(
        np.concatenate([part.kernel.numpy() for part in heads], 1),
        self.attention_output.kernel.numpy(), self.intermediate.kernel.numpy(),
        self.output_dense.kernel.numpy(),
        [np.concatenate([part.bias.numpy() for part in heads]),
         *(vector.numpy() for vector in (
             self.attention_output.bias, *norms[0], self.intermediate.bias,
             self.output_dense.bias, *norms[1]))])


class Bert(tf_keras.layers.Layer):
  """Token ids to hidden states: [B, T] int32 -> [B, T, H] float32.

  Args:
    config: its sizes.
    precision: of the products with weights, and of the states between layers: one of
      `PRECISIONS`. Weights are float32, and so is the arithmetic between products. "auto" is
      bfloat16 while it is trained on a processor that has such products, and else float32,
      so that what was trained computes the same everywhere (mixed precision: Micikevicius
      et al. 2018, arXiv 1710.03740).
    recompute: keep of each layer only what goes in, and compute the rest again for the
      gradient (Chen et al. 2016, arXiv 1604.06174): less memory, a third more time.
    rate: of dropout in training, of the embeddings and of what each sublayer adds; see
      `models.dropout`. At 0 nothing is different from a BERT that has none.
  """

  def __init__(self, config: BertConfig, precision: str = "float32",
               recompute: bool = False, rate: float = 0.0, **kwargs):
    super().__init__(**kwargs)
    if precision not in PRECISIONS:
      raise ValueError(
          f"precision: expected one of {', '.join(PRECISIONS)}, got '{precision}'")
    self.config, self.precision, self.recompute = config, precision, recompute
    self.rate = rate
    hidden = config.hidden_size
    self.word_embeddings = self.add_weight(
        "word_embeddings", [config.vocab_size, hidden], initializer=initializer())
    self.position_embeddings = self.add_weight(
        "position_embeddings", [config.max_position_embeddings, hidden],
        initializer=initializer())
    self.token_type_embeddings = self.add_weight(
        "token_type_embeddings", [config.type_vocab_size, hidden],
        initializer=initializer())
    self.embedding_norm = Norm(config.layer_norm_eps, hidden, name="embedding_norm")
    self.layers = [TransformerLayer(config, rate, name=f"layer_{i}")
                   for i in range(config.num_hidden_layers)]
    self.built = True

  def length(self, given: int | None, default: int, what: str) -> int:
    """How many tokens a row may have: as given, or by default if there are positions."""
    most = self.config.max_position_embeddings
    if given is not None and given > most:
      raise UserError(f"{what}: {given} tokens, but the BERT has {most} positions")
    return min(default, most) if given is None else given

  def dtype_of_rows(self, training: bool | None = False) -> tf.DType:
    """Of the states between layers; `training`: see `call`."""
    own = self.word_embeddings.dtype
    rounds = self.precision == "bfloat16" or (
        self.precision == "auto" and own == tf.float32 and dropout.is_training(training)
        and library.can_compute(tf.bfloat16) and processor.multiplies_bfloat16())
    return tf.bfloat16 if rounds else own

  @property
  def tables(self) -> tuple[tf.Variable, tf.Variable, tf.Variable]:
    """Of words, positions and segments: [.., H] each."""
    return self.word_embeddings, self.position_embeddings, self.token_type_embeddings

  @property
  def packs(self) -> bool:
    """Whether padding costs nothing, as things are when it is called."""
    return transformer.choose_kernels(self.dtype_of_rows()) is transformer.Fused

  def pack(self, precision: str = "float32", grams: Sequence[np.ndarray] = ()) -> PackedBert:
    """What infers faster, by its weights as they are; see `ops.bert`, `models.multiplied`."""
    norm = self.embedding_norm
    return PackedBert(
        [table.numpy() for table in self.tables], [norm.gamma.numpy(), norm.beta.numpy()],
        [layer.weights_to_pack() for layer in self.layers], self.config.num_attention_heads,
        transformer.activation_name(self.config.hidden_act), self.config.layer_norm_eps,
        precision, grams)

  def call(self, ids: tf.Tensor, padding_mask: tf.Tensor, segments: tf.Tensor,
           training: bool | None = None, first: bool = False) -> tf.Tensor:
    """ids, segments: [B, T] int32; padding_mask: [B, T] bool, False on padding.

    Whether it is trained is said by `training`, or by `dropout.drawn`. With `first` it gives
    the states of first tokens alone, [B, H], for which less is to be computed.
    """
    tf.debugging.assert_less_equal(
        tf.shape(ids)[1], self.config.max_position_embeddings,
        "more tokens than the model has positions")
    packed = packed_of(self)
    if packed is not None:
      states = packed(ids, padding_mask, segments)
      return states[:, 0] if first else states
    dtype = self.dtype_of_rows(training)
    compiles = compiling.compiles(self.config.hidden_size)
    count, length = ids.shape if ids.shape.is_fully_defined() else tf.unstack(tf.shape(ids))
    if compiles:
      ids, padding_mask, segments = compiling.bucketed(
          (ids, padding_mask, segments), self.config.max_position_embeddings)
    layout = transformer.choose_kernels(dtype).layout(padding_mask)
    x = (compiled_embeddings(ids, segments, self.tables, self.embedding_norm, dtype)
         if compiles else self.embedded(ids, segments, layout, dtype))
    seeds = dropout.seeds(ids, training, 1 + 2 * len(self.layers)) if self.rate else None
    if seeds is not None:
      x = dropout.dropped(x, self.rate, seeds[0])
    for i, layer in enumerate(self.layers):
      x = layer(x, layout, None if seeds is None else seeds[2 * i + 1:2 * i + 3],
                self.recompute, first and layer is self.layers[-1])
    x = tf.cast(x, self.word_embeddings.dtype)
    if first:
      return x[:count]
    states = layout.unpack(x)
    has_more = compiles and states.shape[:2] != [count, length]
    return states[:count, :length] if has_more else states

  def embedded(self, ids: tf.Tensor, segments: tf.Tensor, layout: transformer.Layout,
               dtype: tf.DType) -> tf.Tensor:
    """[U, H]: words, positions and segments added up, and normalised."""
    places = tf.zeros_like(ids) + tf.range(tf.shape(ids)[1])
    words = tf.gather(self.word_embeddings, layout.pack(ids))
    types = tf.one_hot(layout.pack(segments), self.config.type_vocab_size,
                       dtype=words.dtype)
    position_and_segment = (tf.gather(self.position_embeddings, layout.pack(places))
                            + tf.matmul(types, self.token_type_embeddings))
    norm = self.embedding_norm
    return transformer.choose_kernels(dtype).norm(tf.cast(words, dtype),
                                                  tf.cast(position_and_segment, dtype),
                                                  tf.zeros_like(norm.beta), norm.gamma,
                                                  norm.beta, norm.epsilon)


def make_bert(bert: BertConfig | Mapping[str, Any] | Bert, precision: str, recompute: bool,
              owner: str = "", rate: float = 0.0) -> Bert:
  """A BERT of these sizes, or that which is one.

  The names of its variables begin with that of the owner, where it has several.
  """
  if isinstance(bert, Bert):
    return bert
  config = bert if isinstance(bert, BertConfig) else BertConfig(**bert)
  with tf.name_scope(owner) if owner else contextlib.nullcontext():
    return Bert(config, precision, recompute, rate, name="bert")
