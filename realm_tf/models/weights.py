"""Weights by name: what our variables are called in Hugging Face's files.

The same names serve import and our own files, so that what is trained here can
be read there. Only safetensors is read: no pickle.
"""

import pathlib
from typing import TYPE_CHECKING, Iterable, Sequence

import numpy as np
import tensorflow as tf
from safetensors.numpy import save

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.models.bert import Bert
from realm_tf.models.dense import Norm
from realm_tf.models.heads import MaskedLanguageModel, SpanHead
from realm_tf.models.tensors import Tensors, read_safetensors

if TYPE_CHECKING:  # they load their own weights by this module
  from realm_tf.models.reader import Reader
  from realm_tf.models.retriever import Retriever
  from realm_tf.models.tower import Tower

# name in the file -> (variable, whether the file holds its transpose)
Names = dict[str, tuple[tf.Variable, bool]]


def dense_names(layer, prefix: str) -> Names:
  return {f"{prefix}.weight": (layer.kernel, True), f"{prefix}.bias": (layer.bias, False)}


def _norm(layer: Norm, prefix: str) -> Names:
  return {f"{prefix}.weight": (layer.gamma, False), f"{prefix}.bias": (layer.beta, False)}


def bert_names(bert: Bert, prefix: str = "") -> Names:
  """The variables of a BERT."""
  names: Names = {
      f"{prefix}embeddings.{name}.weight": (getattr(bert, name), False)
      for name in ("word_embeddings", "position_embeddings", "token_type_embeddings")}
  names |= _norm(bert.embedding_norm, f"{prefix}embeddings.LayerNorm")
  for number, layer in enumerate(bert.layers):
    at = f"{prefix}encoder.layer.{number}."
    for part in ("query", "key", "value"):
      names |= dense_names(getattr(layer, part), f"{at}attention.self.{part}")
    names |= dense_names(layer.attention_output, f"{at}attention.output.dense")
    names |= _norm(layer.attention_norm, f"{at}attention.output.LayerNorm")
    names |= dense_names(layer.intermediate, f"{at}intermediate.dense")
    names |= dense_names(layer.output_dense, f"{at}output.dense")
    names |= _norm(layer.output_norm, f"{at}output.LayerNorm")
  return names


def masked_lm_names(head: MaskedLanguageModel, prefix: str = "cls.predictions.") -> Names:
  return (dense_names(head.transform, f"{prefix}transform.dense")
          | _norm(head.norm, f"{prefix}transform.LayerNorm")
          | {f"{prefix}bias": (head.bias, False)})


def span_head_names(head: SpanHead, prefix: str = "qa_outputs.") -> Names:
  return (dense_names(head.projection, f"{prefix}dense_intermediate")
          | _norm(head.norm, f"{prefix}layer_normalization")
          | dense_names(head.score, f"{prefix}dense_output"))


def tower_names(tower: "Tower", prefix: str = "") -> Names:
  return (_encoder_names(tower, f"{prefix}realm.")
          | dense_names(tower.projection, f"{prefix}cls.dense")
          | _norm(tower.norm, f"{prefix}cls.LayerNorm"))


def _encoder_names(tower: "Tower", prefix: str) -> Names:
  names = bert_names(tower.bert, prefix)
  if tower.pooler:
    names |= dense_names(tower.pooler, f"{prefix}pooler.dense")
  return names


def retriever_names(retriever: "Retriever") -> Names:
  """As in Hugging Face's scorer: `embedder.*` and, if separate, `query_embedder.*`."""
  towers = {"embedder.": retriever.document_tower}
  if not retriever.shares_towers:
    towers["query_embedder."] = retriever.query_tower
  names: Names = {}
  for prefix, tower in towers.items():
    names |= tower_names(tower, prefix)
    if tower.lexical:  # ours alone
      names |= {f"{prefix}lexical.{name}": (getattr(tower.lexical, name), False)
                for name in ("word_weights", "mean_length")}
  return names


def encoder_names(encoder: "Reader") -> Names:
  return (bert_names(encoder.bert, "realm.") | masked_lm_names(encoder.masked_lm)
          | span_head_names(encoder.span_head))


# Older files call a norm's scale and offset gamma and beta.
_ALIASES = ((".LayerNorm.weight", ".LayerNorm.gamma"), (".LayerNorm.bias", ".LayerNorm.beta"))
_PREFIXES = ("", "bert.", "realm.")
_WORDS = "embeddings.word_embeddings.weight"


def _spellings(name: str) -> Iterable[str]:
  yield name
  for ending, alias in _ALIASES:
    if name.endswith(ending):
      yield name[:-len(ending)] + alias


def load_weights(path: PathLike, names: Names) -> None:
  """Assigns the tensors of a safetensors file to our variables.

  Raises:
    UserError: the file is damaged, or a tensor is missing or has another shape;
      nothing has been assigned then.
  """
  values = _read(path, read_safetensors(path), names)
  for variable, value in values:
    variable.assign(value)


def _read(path: PathLike, tensors: Tensors, names: Names
          ) -> list[tuple[tf.Variable, np.ndarray]]:
  values = []
  for name, (variable, transposed) in names.items():
    spelling = next((s for s in _spellings(name) if s in tensors), None)
    if spelling is None:
      raise UserError(f"{path}: tensor '{name}' is missing")
    value, expected = tensors[spelling], shape_in_file(variable, transposed)
    if value.shape != expected:
      raise UserError(f"{path}: tensor '{spelling}' has shape {list(value.shape)}, "
                      f"expected {list(expected)}")
    value = value.astype(variable.dtype.as_numpy_dtype, copy=False)
    values.append((variable, value.T if transposed else value))
  return values


def shape_in_file(variable: tf.Variable, transposed: bool) -> tuple[int, ...]:
  return tuple(variable.shape[::-1] if transposed else variable.shape)


def _prefix(tensors: Tensors, prefixes: Sequence[str], probe: str) -> str | None:
  """The first prefix under which the file has the tensor `probe`."""
  return next((p for p in prefixes if any(p + s in tensors for s in _spellings(probe))),
              None)


def _prefixed(prefix: str, names: Names) -> Names:
  return {prefix + name: value for name, value in names.items()}


def load_bert(folder: PathLike, bert: Bert) -> None:
  """Loads the BERT of a folder of published weights."""
  path = pathlib.Path(folder) / "model.safetensors"
  prefix = _prefix(read_safetensors(path), _PREFIXES, _WORDS) or ""
  load_weights(path, bert_names(bert, prefix))


def load_tower(folder: PathLike, tower: "Tower", query: bool = False) -> None:
  """Loads a tower from a folder of published weights.

  From a REALM embedder, scorer or open-QA model all of it comes (from a scorer with
  two towers the one that `query` says); from a BERT its BERT, and its pooler if the
  tower has one, while the projection stays as it is.
  """
  path = pathlib.Path(folder) / "model.safetensors"
  tensors = read_safetensors(path)
  towers = ("query_embedder.", "embedder.", "") if query else ("embedder.", "")
  tower_prefix = _prefix(tensors, towers, "cls.dense.weight")
  if tower_prefix is None:
    prefix = _prefix(tensors, _PREFIXES, _WORDS) or ""
    load_weights(path, _prefixed(prefix, _encoder_names(tower, "")))
  elif tower.pooler:
    load_weights(path, tower_names(tower, tower_prefix))
  else:
    raise UserError(f"{path}: a published embedder takes [CLS] through its pooler; set "
                    f"config.retriever.pooling=pooler instead of {tower.pooling}")


def load_towers(folder: PathLike, retriever: "Retriever") -> None:
  """Loads both towers of a retriever; separate ones start as one where there is one.

  Raises:
    UserError: as `load_weights`; or there are two, and the retriever has one.
  """
  query, document = retriever.query_tower, retriever.document_tower
  if query is document and has_two_towers(folder):
    raise UserError(f"{folder}: a retriever of two towers; set shared_towers=False "
                    "(config.retriever.shared_towers)")
  load_tower(folder, document)
  if query is not document:
    for copy, first in zip(query.variables, document.variables, strict=True):
      copy.assign(first)
    load_tower(folder, query, query=True)


def has_two_towers(folder: PathLike) -> bool:
  """Whether a folder is a REALM scorer with a query tower of its own."""
  path = pathlib.Path(folder) / "model.safetensors"
  return "query_embedder.cls.dense.weight" in read_safetensors(path)


def has_projection(folder: PathLike) -> bool:
  """Whether a folder's weights end in a projection, and not in a BERT."""
  path = pathlib.Path(folder) / "model.safetensors"
  return _prefix(read_safetensors(path), ("query_embedder.", "embedder.", ""),
                 "cls.dense.weight") is not None


def has_span_head(folder: PathLike) -> bool:
  """Whether a folder's weights bring a span head, and so a reader that is trained."""
  path = pathlib.Path(folder) / "model.safetensors"
  return _prefix(read_safetensors(path), ("reader.", ""),
                 "qa_outputs.dense_output.weight") is not None


def load_encoder(folder: PathLike, encoder: "Reader") -> None:
  """Loads the BERT of a folder, and those heads that come with it."""
  path = pathlib.Path(folder) / "model.safetensors"
  tensors = read_safetensors(path)
  prefixes = ("reader.realm.", *_PREFIXES)
  bert = _prefix(tensors, prefixes, _WORDS) or ""
  names = _prefixed(bert, bert_names(encoder.bert))
  heads = "reader." if bert == "reader.realm." else ""
  for head in (masked_lm_names(encoder.masked_lm, f"{heads}cls.predictions."),
               span_head_names(encoder.span_head, f"{heads}qa_outputs.")):
    if any(spelling in tensors for name in head for spelling in _spellings(name)):
      names |= head
  load_weights(path, names)


def save_names(path: PathLike, names: Names) -> None:
  """Writes the variables under their names, whole file or none."""
  tensors = {name: np.ascontiguousarray(v.numpy().T if transposed else v.numpy())
             for name, (v, transposed) in names.items()}
  with files.new_file(path) as file:
    file.write(save(tensors))
