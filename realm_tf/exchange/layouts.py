"""Which tensors each kind of published folder holds, and in which shapes.

The shapes come from our own models: a tensor counts as used if a variable of ours
takes it.

| kind     | tensors |
|----------|---------|
| embedder | `realm.*`, `cls.dense.*`, `cls.LayerNorm.*` |
| scorer   | `embedder.*` and, of two towers, `query_embedder.*` |
| encoder  | `realm.*`, `cls.predictions.*` |
| reader   | `realm.*`, `qa_outputs.*`, and `cls.predictions.*` if there |
| openqa   | `embedder.*`, `reader.*`, and `block_emb` if there |
| bert     | `bert.*`, and `cls.predictions.*` if there |
| block_emb | `block_emb` |
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping

from realm_tf.errors import UserError
from realm_tf.models import weights
from realm_tf.models.reader import Reader
from realm_tf.models.retriever import Retriever
from realm_tf.models.sizes import Sizes
from realm_tf.models.tower import Tower

BLOCKS = "block_emb"
CHECKPOINT_KINDS = ("embedder", "scorer", "encoder", "reader", "openqa", "bert", BLOCKS)

# A dimension that may be of any size is None.
Shapes = dict[str, tuple[int | None, ...]]


@dataclasses.dataclass(frozen=True)
class Contents:
  """The tensors of one folder."""
  used: Shapes  # our models compute with them: all must be there
  kept: Shapes  # in the published model, but without effect: they may be absent


def checkpoint_kind(names: Iterable[str]) -> str:
  """The kind of folder that tensors of these names make."""
  names = set(names)
  parts = {name.partition(".")[0] for name in names}
  if names == {BLOCKS}:
    return BLOCKS
  if parts & {"reader", BLOCKS}:
    return "openqa"
  for mark, kind in (("embedder", "scorer"), ("qa_outputs", "reader")):
    if mark in parts:
      return kind
  if "realm" in parts:
    return "embedder" if "cls.dense.weight" in names else "encoder"
  return "bert"


def layout(kind: str, sizes: Sizes | None, names: Iterable[str]) -> Contents:
  """What a folder of this kind and these sizes holds, among optional parts those
  of which `names` has any tensor. Without `sizes`: `block_emb` alone."""
  if sizes is None:
    return Contents({BLOCKS: (None, None)}, {})
  return _LAYOUTS[kind](_Models(sizes), set(names))


def check_layout(folder: Contents, shapes: Mapping[str, tuple[int, ...]], where: str) -> None:
  """Compares a folder's tensors with its layout.

  Raises:
    UserError: names an unknown, a missing or a misshapen tensor.
  """
  shape_of = folder.used | folder.kept
  for name in folder.used:
    if name not in shapes:
      raise UserError(f"{where}: tensor '{name}' is missing")
  for name, shape in shapes.items():
    if name not in shape_of:
      raise UserError(f"{where}: tensor '{name}' is unknown: it is no part of this kind of "
                      f"model; kinds: {', '.join(CHECKPOINT_KINDS)} (--kind)")
    expected = shape_of[name]
    if len(shape) != len(expected) or any(
        wanted not in (None, size) for size, wanted in zip(shape, expected)):
      wanted = [size if size is not None else "any" for size in expected]
      raise UserError(f"{where}: tensor '{name}' has shape {list(shape)}, expected {wanted}")


def _shapes(names: weights.Names) -> Shapes:
  return {name: weights.shape_in_file(*place) for name, place in names.items()}


def _merge(parts: Mapping[str, Contents]) -> Contents:
  """Layouts under their prefixes, as one."""
  used, kept = ({f"{prefix}{name}": shape for prefix, part in parts.items()
                 for name, shape in getattr(part, field).items()}
                for field in ("used", "kept"))
  return Contents(used, kept)


class _Models:
  """Our models of these sizes, made when asked for: their variables have the shapes."""

  def __init__(self, sizes: Sizes):
    self.sizes = sizes

  @functools.cached_property
  def tower(self) -> Tower:
    return Retriever(self.sizes.bert,
                     projection_size=self.sizes.retriever_proj_size).document_tower

  @functools.cached_property
  def encoder(self) -> Reader:
    return Reader(self.sizes.bert, **self.sizes.of_reader())


def _pooler(sizes: Sizes, prefix: str) -> Shapes:
  hidden = sizes.bert.hidden_size
  return {f"{prefix}pooler.dense.weight": (hidden, hidden),
          f"{prefix}pooler.dense.bias": (hidden,)}


def _spare(sizes: Sizes, prefix: str) -> Shapes:
  """Two that a BERT may have stored besides: a constant (0, 1, 2, ...), and the output
  matrix of masked words, which is tied to the embeddings."""
  words, hidden = sizes.bert.vocab_size, sizes.bert.hidden_size
  return {f"{prefix}embeddings.position_ids": (1, sizes.bert.max_position_embeddings),
          "cls.predictions.decoder.weight": (words, hidden),
          "cls.predictions.decoder.bias": (words,)}


def _embedder(models: _Models, names: set[str]) -> Contents:
  del names
  # Transformers gives an embedder a masked-LM head, and never calls it.
  head = weights.masked_lm_names(models.encoder.masked_lm)
  return Contents(_shapes(weights.tower_names(models.tower)),
                  _shapes(head) | _spare(models.sizes, "realm."))


def _scorer(models: _Models, names: set[str]) -> Contents:
  two = any(name.startswith("query_embedder.") for name in names)
  return _merge(dict.fromkeys(("embedder.", "query_embedder.") if two else ("embedder.",),
                              _embedder(models, names)))


def _encoder(models: _Models, names: set[str]) -> Contents:
  del names
  return Contents(_shapes(weights.bert_names(models.encoder.bert, "realm.")
                        | weights.masked_lm_names(models.encoder.masked_lm)),
                  _spare(models.sizes, "realm.") | _pooler(models.sizes, "realm."))


def _reader(models: _Models, names: set[str]) -> Contents:
  encoder = _encoder(models, names)
  head = _shapes(weights.span_head_names(models.encoder.span_head))
  return Contents(_with_masked_lm_if_there(encoder.used, names) | head, encoder.kept)


def _with_masked_lm_if_there(used: Shapes, names: set[str]) -> Shapes:
  head = {name for name in used if name.startswith("cls.predictions.")}
  return used if head & names else {
      name: shape for name, shape in used.items() if name not in head}


def _openqa(models: _Models, names: set[str]) -> Contents:
  reader_names = {name.removeprefix("reader.") for name in names
                  if name.startswith("reader.")}
  parts = _merge({"embedder.": _embedder(models, names),
                  "reader.": _reader(models, reader_names)})
  size = models.sizes.retriever_proj_size
  blocks: Shapes = {BLOCKS: (None, size)} if BLOCKS in names else {}
  return Contents(parts.used | blocks, parts.kept)


def _bert(models: _Models, names: set[str]) -> Contents:
  used = _shapes(weights.bert_names(models.encoder.bert, "bert.")
                 | weights.masked_lm_names(models.encoder.masked_lm))
  pooler = _pooler(models.sizes, "bert.")
  used = _with_masked_lm_if_there(used, names) | (pooler if pooler.keys() & names else {})
  next_sentence = {"cls.seq_relationship.weight": (2, models.sizes.bert.hidden_size),
                   "cls.seq_relationship.bias": (2,)}
  return Contents(used, _spare(models.sizes, "bert.") | next_sentence)


_LAYOUTS = {"embedder": _embedder, "scorer": _scorer, "encoder": _encoder,
            "reader": _reader, "openqa": _openqa, "bert": _bert}
