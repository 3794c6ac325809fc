"""Weights by name: what our variables are called in Hugging Face's files.

The same names serve import and our own files, so that what is trained here can
be read there. Only safetensors is read: no pickle.
"""

import pathlib
from typing import Iterable

import numpy as np
import tensorflow as tf
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.models.bert import Bert, Norm
from realm_tf.models.encoder import KnowledgeEncoder, MaskedLanguageModel, SpanHead
from realm_tf.models.retriever import Retriever, Tower

# name in the file -> (variable, whether the file holds its transpose)
Names = dict[str, tuple[tf.Variable, bool]]


def _dense(layer, prefix: str) -> Names:
  return {f"{prefix}.weight": (layer.kernel, True), f"{prefix}.bias": (layer.bias, False)}


def _norm(layer: Norm, prefix: str) -> Names:
  return {f"{prefix}.weight": (layer.gamma, False), f"{prefix}.bias": (layer.beta, False)}


def bert_names(bert: Bert, prefix: str = "") -> Names:
  """The variables of a BERT; it must have been called once."""
  names: Names = {
      f"{prefix}embeddings.{name}.weight": (getattr(bert, name), False)
      for name in ("word_embeddings", "position_embeddings", "token_type_embeddings")}
  names |= _norm(bert.embedding_norm, f"{prefix}embeddings.LayerNorm")
  for number, layer in enumerate(bert.layers):
    at = f"{prefix}encoder.layer.{number}."
    for part in ("query", "key", "value"):
      names |= _dense(getattr(layer, part), f"{at}attention.self.{part}")
    names |= _dense(layer.attention_output, f"{at}attention.output.dense")
    names |= _norm(layer.attention_norm, f"{at}attention.output.LayerNorm")
    names |= _dense(layer.intermediate, f"{at}intermediate.dense")
    names |= _dense(layer.output_dense, f"{at}output.dense")
    names |= _norm(layer.output_norm, f"{at}output.LayerNorm")
  return names


def masked_lm_names(head: MaskedLanguageModel, prefix: str = "cls.predictions.") -> Names:
  return (_dense(head.transform, f"{prefix}transform.dense")
          | _norm(head.norm, f"{prefix}transform.LayerNorm")
          | {f"{prefix}bias": (head.bias, False)})


def span_names(head: SpanHead, prefix: str = "qa_outputs.") -> Names:
  return (_dense(head.projection, f"{prefix}dense_intermediate")
          | _norm(head.norm, f"{prefix}layer_normalization")
          | _dense(head.score, f"{prefix}dense_output"))


def tower_names(tower: Tower, prefix: str = "") -> Names:
  return (_encoder_names(tower, f"{prefix}realm.")
          | _dense(tower.projection, f"{prefix}cls.dense")
          | _norm(tower.norm, f"{prefix}cls.LayerNorm"))


def _encoder_names(tower: Tower, prefix: str) -> Names:
  names = bert_names(tower.bert, prefix)
  if tower.pooler:
    names |= _dense(tower.pooler, f"{prefix}pooler.dense")
  return names


def retriever_names(retriever: Retriever) -> Names:
  """As in Hugging Face's scorer: `embedder.*` and, if separate, `query_embedder.*`."""
  names = tower_names(retriever.document_tower, "embedder.")
  if retriever.query_tower is not retriever.document_tower:
    names |= tower_names(retriever.query_tower, "query_embedder.")
  return names


def encoder_names(encoder: KnowledgeEncoder) -> Names:
  return (bert_names(encoder.bert, "realm.") | masked_lm_names(encoder.masked_lm)
          | span_names(encoder.span_head))


# Older files call a norm's scale and offset gamma and beta.
_ALIASES = ((".LayerNorm.weight", ".LayerNorm.gamma"), (".LayerNorm.bias", ".LayerNorm.beta"))
_PREFIXES = ("", "bert.", "realm.")


def _spellings(name: str) -> Iterable[str]:
  yield name
  for new, old in _ALIASES:
    if name.endswith(new):
      yield name[:-len(new)] + old


def load(path: PathLike, names: Names) -> None:
  """Assigns the tensors of a safetensors file to our variables.

  Raises:
    UserError: the file is damaged, or a tensor is missing or has another shape;
      nothing has been assigned then.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise UserError(f"{path}: no such file")
  try:
    with safe_open(path, framework="np") as file:
      values = _read(path, file, names)
  except SafetensorError as error:
    raise UserError(f"{path}: not a whole safetensors file ({error})") from None
  for variable, value in values:
    variable.assign(value)


def _read(path, file, names: Names) -> list[tuple[tf.Variable, np.ndarray]]:
  present = set(file.keys())
  values = []
  for name, (variable, transposed) in names.items():
    found = next((s for s in _spellings(name) if s in present), None)
    if found is None:
      raise UserError(f"{path}: tensor '{name}' is missing")
    value = file.get_tensor(found)
    value = value.T if transposed else value
    if value.shape != tuple(variable.shape):
      raise UserError(
          f"{path}: tensor '{found}' has shape {list(file.get_slice(found).get_shape())}, "
          f"expected {list(variable.shape[::-1] if transposed else variable.shape)}")
    values.append((variable, value))
  return values


def _with_prefix(path: PathLike, names: Names) -> Names:
  """BERT files differ in whether names start with `bert.`: take what is there."""
  try:
    with safe_open(path, framework="np") as file:
      present = set(file.keys())
  except (FileNotFoundError, SafetensorError):
    return names  # `load` says what is wrong with the file
  probe = "embeddings.word_embeddings.weight"
  prefix = next((p for p in _PREFIXES if p + probe in present), "")
  return {prefix + name: value for name, value in names.items()}


def load_bert(folder: PathLike, bert: Bert) -> None:
  """Loads `model.safetensors` of a BERT folder into `bert`."""
  path = pathlib.Path(folder) / "model.safetensors"
  load(path, _with_prefix(path, bert_names(bert)))


def load_tower(folder: PathLike, tower: Tower) -> None:
  """Loads a BERT folder into a tower: its BERT, and its pooler if it has one."""
  path = pathlib.Path(folder) / "model.safetensors"
  load(path, _with_prefix(path, _encoder_names(tower, "")))


def has_masked_lm(folder: PathLike) -> bool:
  """Whether a BERT folder comes with a masked-LM head."""
  with safe_open(pathlib.Path(folder) / "model.safetensors", framework="np") as file:
    return "cls.predictions.bias" in file.keys()


def load_masked_lm(folder: PathLike, head: MaskedLanguageModel) -> None:
  load(pathlib.Path(folder) / "model.safetensors", masked_lm_names(head))


def save_names(path: PathLike, names: Names) -> None:
  """Writes the variables under their names, whole file or none."""
  tensors = {name: np.ascontiguousarray(v.numpy().T if transposed else v.numpy())
             for name, (v, transposed) in names.items()}
  with files.new_file(path) as file:
    file.write(save(tensors))
