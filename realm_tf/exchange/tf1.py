"""Names and sizes in Google's TensorFlow 1 checkpoints.

    there                          here
    module/.../bert/               embedder.realm.
    module/.../cls/predictions/    embedder.cls.predictions.
    module/.../dense/              embedder.cls.dense.
    module/.../LayerNorm/          embedder.cls.LayerNorm.
    reader/module/bert/            reader.realm.
    reader/module/cls/             reader.cls.
    reader/dense/                  reader.qa_outputs.dense_intermediate.
    reader/dense_1/                reader.qa_outputs.dense_output.
    reader/layer_normalization/    reader.qa_outputs.layer_normalization.
    bert/                          bert.
    cls/                           cls.
    block_emb                      block_emb

Pre-training nests the embedder in two modules, fine-tuning in three: any number does.
Kernels are stored as [in, out], the transpose of Hugging Face's weights.
"""

import re
from typing import Any, Mapping

import numpy as np

from realm_tf.errors import UserError

_SKIPPED = (
    (re.compile(r"(^|/)(adam_[mv]|AdamWeightDecayOptimizer\w*|global_step)(/|$)"),
     "of the optimizer"),
    (re.compile(r"module/cls/seq_relationship/"), "next-sentence head: no part of REALM"))
_SCOPES = (
    (r"reader/module/bert/", "reader.realm."),
    (r"reader/module/cls/", "reader.cls."),
    (r"reader/dense/", "reader.qa_outputs.dense_intermediate."),
    (r"reader/dense_1/", "reader.qa_outputs.dense_output."),
    (r"reader/layer_normalization/", "reader.qa_outputs.layer_normalization."),
    (r"(?:module/)+bert/", "embedder.realm."),
    (r"(?:module/)+cls/predictions/", "embedder.cls.predictions."),
    (r"(?:module/)+dense/", "embedder.cls.dense."),
    (r"(?:module/)+LayerNorm/", "embedder.cls.LayerNorm."),
    (r"bert/", "bert."),
    (r"cls/", "cls."),
)
_LEAVES = {"kernel": "weight", "gamma": "weight", "output_weights": "weight",
           "beta": "bias", "output_bias": "bias"}


def why_skipped(name: str) -> str | None:
  """Why a variable is left out; None if it is of a model."""
  return next((why for pattern, why in _SKIPPED if pattern.search(name)), None)


def is_transposed(name: str) -> bool:
  return name.endswith("/kernel")


def hugging_face_name(name: str) -> str | None:
  """Hugging Face's name of a variable; None if it is of no published model."""
  if name == "block_emb":
    return name
  for scope, prefix in _SCOPES:
    match = re.match(scope, name)
    if match:
      return prefix + _inner_name(name[match.end():])
  return None


def _inner_name(name: str) -> str:
  name = re.sub(r"\blayer_(\d+)/", r"layer/\1/", name)
  *scopes, leaf = name.split("/")
  leaf = f"{leaf}.weight" if leaf.endswith("_embeddings") else _LEAVES.get(leaf, leaf)
  return ".".join([*scopes, leaf])


def config_values(google: Mapping[str, Any]) -> dict[str, Any]:
  """A `config.json` of a `bert_config.json`.

  What Google's BERT calls gelu is the tanh form, Hugging Face's gelu_new.
  """
  values = dict(google)
  if values.get("hidden_act", "gelu") == "gelu":
    values["hidden_act"] = "gelu_new"
  return values


_HEAD_SIZE = 64  # of every BERT-base and BERT-large that Google has published


def _shape(values: Mapping[str, np.ndarray], pattern: str) -> tuple[int, ...] | None:
  matching = next((name for name in values if re.search(pattern, name)), None)
  return None if matching is None else values[matching].shape


def sizes_from_tensors(values: Mapping[str, np.ndarray], where: str) -> dict[str, Any]:
  """The sizes of a BERT from the shapes of its tensors, under Hugging Face's names.

  The number of heads is not among them: they are taken to be 64 wide.
  """
  words, places, types, inner = (_shape(values, pattern) for pattern in (
      r"embeddings\.word_embeddings\.weight$", r"position_embeddings\.weight$",
      r"token_type_embeddings\.weight$", r"\.layer\.0\.intermediate\.dense\.weight$"))
  if not words or not places or not types or not inner:
    raise UserError(f"{where}: no whole BERT in it: embeddings of words, positions or token "
                    "types, or the first layer, are missing")
  if words[1] % _HEAD_SIZE:
    raise UserError(f"{where}: {words[1]} hidden units are not heads of {_HEAD_SIZE}; name "
                    "a config.json or bert_config.json by --sizes")
  layers = {match.group(1) for name in values
            if (match := re.search(r"\.layer\.(\d+)\.", name))}
  return {
      "vocab_size": words[0], "hidden_size": words[1], "num_hidden_layers": len(layers),
      "num_attention_heads": words[1] // _HEAD_SIZE, "intermediate_size": inner[0],
      "max_position_embeddings": places[0], "type_vocab_size": types[0],
      "hidden_act": "gelu_new"}


def head_sizes(values: Mapping[str, np.ndarray]) -> dict[str, int]:
  """The sizes of the projection and of the span head, of those that are there."""
  projection = _shape(values, r"(^|embedder\.)cls\.dense\.weight$")
  span = _shape(values, r"qa_outputs\.dense_output\.weight$")
  return ({"retriever_proj_size": projection[0]} if projection else {}) | (
      {"span_hidden_size": span[1]} if span else {})
