"""Export of a model to the folders of Hugging Face's Transformers."""

from typing import Any, Mapping

import numpy as np

from realm_tf.errors import UserError
from realm_tf.exchange import importing, layouts
from realm_tf.models import weights
from realm_tf.models.realm import Realm
from realm_tf.models.sizes import Sizes

EXPORTED_KINDS = ("embedder", "query_embedder", "scorer", "encoder", "reader", "openqa")


def kinds_of(model: Realm) -> list[str]:
  """The kinds of folder that a model makes: one tower is no query tower of its own."""
  shared = model.retriever.shares_towers
  return [kind for kind in EXPORTED_KINDS if not shared or kind != "query_embedder"]


def obstacle(model: Realm, kind: str) -> str | None:
  """Why Transformers could not hold this part of the model; None if it can."""
  pooling = model.retriever.pooling
  if kind not in ("encoder", "reader") and pooling != "pooler":
    return (f"config.retriever.pooling is {pooling}: an embedder of Transformers always "
            "takes [CLS] through its pooler")
  if kind not in ("encoder", "reader") and model.retriever.lexical_size:
    return (f"config.retriever.lexical_size is {model.retriever.lexical_size}: Transformers "
            "has no lexical dimensions")
  if kind == "openqa" and model.retriever.bert_config != model.encoder.bert_config:
    return ("retriever and encoder are of different sizes: Transformers has one "
            "config.json for both")
  return None


def checkpoint_contents(model: Realm, kind: str, block_emb: np.ndarray | None = None
                        ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
  """What config.json and model.safetensors of one part of a model are.

  `embedder` is the tower of documents, `query_embedder` that of questions; `openqa`
  embeds questions, and so has the tower of questions.

  Args:
    model: what to write, bit by bit.
    kind: one of `EXPORTED_KINDS`.
    block_emb: the embeddings of the blocks, [N, D] float32, for `openqa`.

  Raises:
    UserError: Transformers has no such model.
  """
  reason = obstacle(model, kind)
  if reason:
    raise UserError(f"{kind}: cannot be exported: {reason}")
  names = _names(model, kind)
  values = {name: np.ascontiguousarray(v.numpy().T if transposed else v.numpy())
            for name, (v, transposed) in names.items()}
  values |= _positions(names)
  if block_emb is not None:
    values[layouts.BLOCKS] = np.ascontiguousarray(block_emb, np.float32)
  return _config(model, kind, values), values


def _names(model: Realm, kind: str) -> weights.Names:
  query, document = model.retriever.query_tower, model.retriever.document_tower
  reader = weights.encoder_names(model.encoder)
  if kind == "encoder":
    return {name: v for name, v in reader.items() if not name.startswith("qa_outputs.")}
  if kind == "openqa":
    return weights.tower_names(query, "embedder.") | {
        f"reader.{name}": v for name, v in reader.items()}
  return {"embedder": weights.tower_names(document),
          "query_embedder": weights.tower_names(query),
          "scorer": weights.retriever_names(model.retriever), "reader": reader}[kind]


def _positions(names: weights.Names) -> dict[str, np.ndarray]:
  """The constant that Transformers up to 4.30 stores beside the embeddings."""
  return {name.replace("position_embeddings.weight", "position_ids"):
          np.arange(variable.shape[0], dtype=np.int64)[None]
          for name, (variable, _) in names.items()
          if name.endswith("position_embeddings.weight")}


def _config(model: Realm, kind: str, values: Mapping[str, np.ndarray]) -> dict[str, Any]:
  encoder = model.encoder
  sizes = Sizes(
      encoder.bert_config if kind in ("encoder", "reader") else model.retriever.bert_config,
      retriever_proj_size=model.retriever.projection_size,
      span_hidden_size=encoder.span_hidden_size,
      max_span_width=encoder.max_span_width, reader_layer_norm_eps=encoder.span_norm_eps)
  blocks = ({"num_block_records": len(values[layouts.BLOCKS])}
            if layouts.BLOCKS in values else {})
  return importing.hugging_face_config(
      "embedder" if kind == "query_embedder" else kind, sizes,
      num_candidates=model.candidates, pad_token_id=0, searcher_beam_size=model.beam_size,
      reader_beam_size=model.read_blocks, reader_seq_len=encoder.max_length, **blocks)
