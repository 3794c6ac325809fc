"""Import of published checkpoints into Hugging Face's folders, and how those are written.

An imported folder holds `config.json`, `model.safetensors`, `vocab.txt` if there was
one, and `import.json`, a report on every tensor. A config's
`retriever.weights` and `encoder.weights` may name it.
"""

import dataclasses
import pathlib
import re
from typing import Any, Callable, Mapping, Sequence

import numpy as np
from safetensors.numpy import save_file

from realm_tf import files, folders
from realm_tf.errors import UserError
from realm_tf.exchange import layouts, tf1
from realm_tf.exchange.layouts import CHECKPOINT_KINDS
from realm_tf.files import PathLike
from realm_tf.models import tensors
from realm_tf.models.sizes import Sizes
from realm_tf.models.tensors import Tensors
from realm_tf.text import tokenizer_files

_ARCHITECTURES = {
    "embedder": "RealmEmbedder", "scorer": "RealmScorer", "reader": "RealmReader",
    "encoder": "RealmKnowledgeAugEncoder", "openqa": "RealmForOpenQA",
    "bert": "BertForPreTraining"}


@dataclasses.dataclass(frozen=True)
class ImportReport:
  """What became of each tensor of a source."""
  kind: str
  used: dict[str, str]  # name here -> name there; our models compute with it
  kept: dict[str, str]  # the same; without effect, but kept for the way back
  skipped: dict[str, str]  # name there -> why


@dataclasses.dataclass(frozen=True)
class _Tensor:
  """One tensor of a source, read when asked for."""
  source: Tensors
  name: str  # in the source
  transposed: bool = False

  def read(self) -> np.ndarray:
    value = self.source[self.name]
    return np.ascontiguousarray(value.T if self.transposed else value)


@dataclasses.dataclass(frozen=True)
class _Source:
  """A checkpoint under Hugging Face's names, or what is chosen of it."""
  path: str
  tensors: dict[str, _Tensor]
  skipped: dict[str, str]
  config: Mapping[str, Any]  # empty where none is beside it
  vocabulary: pathlib.Path | None


def import_weights(sources: Sequence[PathLike], output: PathLike, *,
                   kind: str | None = None, sizes: PathLike | None = None,
                   vocabulary: PathLike | None = None) -> ImportReport:
  """Reads published checkpoints and writes them as one Hugging Face folder.

  Args:
    sources: Hugging Face folders or TensorFlow checkpoints (see
      `tensors.checkpoint_prefix`). Several make an open-QA model (embedder, reader,
      block embeddings) or, of kind scorer, two towers: that of documents, of queries.
    output: the folder to write; it must be new or empty.
    kind: one of `layouts.CHECKPOINT_KINDS`; by default that which the names say. An embedder
      or a reader can be taken out of what holds more.
    sizes: a config.json or bert_config.json, where there is none beside the weights.
    vocabulary: vocab.txt, where there is none beside the weights.

  Raises:
    UserError: names the tensor that is unknown, missing or misshapen. Nothing has been
      written then.
  """
  if kind is not None and kind not in CHECKPOINT_KINDS:
    raise UserError(f"--kind: expected one of {', '.join(CHECKPOINT_KINDS)}, got '{kind}'")
  folders.check_replaceable(output)
  kind, source = _gather([_open(pathlib.Path(path)) for path in sources], kind)
  values = {name: tensor.read() for name, tensor in source.tensors.items()}
  config = _config(kind, source, values, sizes)
  model_sizes = None if kind == layouts.BLOCKS else Sizes.from_values(
      config, str(sizes or source.path))
  layout = layouts.layout(kind, model_sizes, values)
  layouts.check_layout(layout, {name: value.shape for name, value in values.items()},
                       source.path)
  source_names = {name: tensor.name for name, tensor in source.tensors.items()}
  used, kept = ({name: source_names[name] for name in names if name in source_names}
                for names in (layout.used, layout.kept))
  report = ImportReport(kind, used, kept, source.skipped)
  write_folder(output, config, values,
               pathlib.Path(vocabulary) if vocabulary else source.vocabulary, report)
  return report


def write_folder(output: PathLike, config: Mapping[str, Any],
                 values: Mapping[str, np.ndarray], vocabulary: pathlib.Path | None,
                 report: ImportReport | None = None) -> None:
  """Writes a Hugging Face folder, whole or not at all; it must be new or empty."""
  with folders.new_folder(output) as new_folder:
    fill_folder(new_folder, config, values, vocabulary)
    if report:
      files.write_json(new_folder / "import.json", dataclasses.asdict(report))


def fill_folder(folder: pathlib.Path, config: Mapping[str, Any],
                values: Mapping[str, np.ndarray], vocabulary: pathlib.Path | None) -> None:
  """Writes the files of a Hugging Face folder into one that is there and empty."""
  files.write_json(folder / "config.json", config)
  save_file(dict(values), folder / tensors.SAFETENSORS, {"format": "pt"})
  if vocabulary:
    tokenizer_files.copy_tokenizer(vocabulary, folder)


def hugging_face_config(kind: str, sizes: Sizes, **more: Any) -> dict[str, Any]:
  """The fields of a `config.json` from which Transformers makes the same model."""
  values = {"model_type": "bert" if kind == "bert" else "realm",
            "architectures": [_ARCHITECTURES[kind]], **dataclasses.asdict(sizes.bert)}
  if kind != "bert":
    values |= {field.name: getattr(sizes, field.name)
               for field in dataclasses.fields(sizes) if field.name != "bert"}
  return values | more


# Reading a source.


def _open(path: pathlib.Path) -> _Source:
  prefix = tensors.checkpoint_prefix(path)
  if prefix:
    return _open_checkpoint(prefix)
  if not path.is_dir():
    raise UserError(f"{path}: no such folder or TensorFlow checkpoint")
  read = tensors.read_tensor_folder(path)
  by_name: dict[str, _Tensor] = {}
  for name in sorted(read):
    _put(by_name, _canonical(name), _Tensor(read, name), str(path))
  return _Source(str(path), by_name, {}, files.read_object(path / "config.json"),
                 tokenizer_files.vocabulary_file(path))


def _put(by_name: dict[str, _Tensor], name: str, tensor: _Tensor, where: str) -> None:
  if name in by_name:
    raise UserError(f"{where}: tensors '{by_name[name].name}' and '{tensor.name}' are both "
                    f"'{name}'")
  by_name[name] = tensor


def _canonical(name: str) -> str:
  """Today's spelling of a name in a Hugging Face file."""
  for their_ending, our_ending in (("gamma", "weight"), ("beta", "bias")):
    if name.endswith(f"LayerNorm.{their_ending}"):
      name = name.removesuffix(their_ending) + our_ending
  bare = name.startswith(("embeddings.", "encoder.", "pooler."))
  return f"bert.{name}" if bare else name


def _open_checkpoint(prefix: str) -> _Source:
  read = tensors.read_checkpoint(prefix)
  by_name: dict[str, _Tensor] = {}
  skipped = {}
  for name in sorted(read):
    new_name, why = tf1.hugging_face_name(name), tf1.why_skipped(name)
    if why:
      skipped[name] = why
    elif new_name is None:
      raise UserError(f"{prefix}: variable '{name}' is unknown: it is no part of a "
                      "published model")
    else:
      _put(by_name, new_name, _Tensor(read, name, tf1.is_transposed(name)), prefix)
  config = _near(prefix, "bert_config.json", "config.json")
  return _Source(prefix, by_name, skipped,
                 tf1.config_values(files.read_object(config)) if config else {},
                 _near(prefix, "vocab.txt", "assets/vocab.txt"))


def _near(prefix: str, *names: str) -> pathlib.Path | None:
  """The first of these files beside a checkpoint, if any is there."""
  folder = pathlib.Path(prefix).parent
  if folder.name == "variables":  # of a hub module or SavedModel
    folder = folder.parent
  return next((folder / name for name in names if (folder / name).exists()), None)


# Choosing what belongs to a kind.


def _gather(sources: Sequence[_Source], kind: str | None) -> tuple[str, _Source]:
  """Several sources as one; the kind, and the tensors under the names of that kind."""
  if len(sources) == 1:
    kind = kind or _kind_by_names(sources[0])
    return kind, _choose(sources[0], kind)
  if kind == "scorer":
    if len(sources) != 2:
      raise UserError("--source: a scorer has two at most: that of documents, of queries")
    parts = [_prefixed(_choose(source, "embedder"), prefix)
             for source, prefix in zip(sources, ("embedder.", "query_embedder."))]
  else:
    kind = "openqa"
    parts = [_part_of_openqa(source) for source in sources]
  merged: dict[str, _Tensor] = {}
  for part in parts:
    for name in part.tensors:
      if name in merged:
        raise UserError(f"{part.path}: tensor '{name}' is in another source already")
    merged |= part.tensors
  return kind, _Source(
      " + ".join(part.path for part in parts), merged,
      {name: why for part in parts for name, why in part.skipped.items()},
      next((part.config for part in parts if part.config), {}),
      next((part.vocabulary for part in parts if part.vocabulary), None))


def _prefixed(source: _Source, prefix: str) -> _Source:
  return dataclasses.replace(
      source, tensors={prefix + name: value for name, value in source.tensors.items()})


def _part_of_openqa(source: _Source) -> _Source:
  kind = _kind_by_names(source)
  if kind in ("embedder", "reader"):
    return _prefixed(_choose(source, kind), f"{kind}.")
  return source


def _kind_by_names(source: _Source) -> str:
  names = source.tensors.keys()
  kind, parts = layouts.checkpoint_kind(names), {name.partition(".")[0] for name in names}
  is_tf1 = any("/" in tensor.name for tensor in source.tensors.values())
  if is_tf1 and parts in ({"embedder"}, {"reader"}):
    return parts.pop()
  if is_tf1 and kind == "bert" and "cls.seq_relationship.weight" not in names and (
      "cls.predictions.bias" in names):
    return "encoder"  # BERT is published with its next-sentence head, REALM without
  return kind


def _choose(source: _Source, kind: str) -> _Source:
  """The tensors that belong to this kind, under its names; others are skipped."""
  chosen, skipped = dict(source.tensors), dict(source.skipped)

  def skip(why: str, is_skipped: Callable[[str], bool]) -> None:
    for name in [name for name in chosen if is_skipped(name)]:
      skipped[chosen.pop(name).name] = why

  if kind in ("embedder", "reader") and any(n.startswith(f"{kind}.") for n in chosen):
    skip(f"no part of the {kind}", lambda name: not name.startswith(f"{kind}."))
    chosen = {name.removeprefix(f"{kind}."): value for name, value in chosen.items()}
  if kind == layouts.BLOCKS:
    skip("no part of the block embeddings", lambda name: name != layouts.BLOCKS)
  if kind == "encoder":
    skip("no part of the encoder", lambda name: name.startswith("cls.seq_relationship."))
    chosen = {re.sub(r"^bert\.", "realm.", name): value for name, value in chosen.items()}
  if kind == "scorer" and _one_tower_twice(chosen):
    skip("the same as in embedder.*: one tower",
         lambda name: name.startswith("query_embedder."))
  return dataclasses.replace(source, tensors=chosen, skipped=skipped)


def _one_tower_twice(chosen: Mapping[str, _Tensor]) -> bool:
  query = {name for name in chosen if name.startswith("query_embedder.")}
  return bool(query) and all(
      (other := name.removeprefix("query_")) in chosen
      and np.array_equal(chosen[name].read(), chosen[other].read()) for name in query)


# Sizes.


def _config(kind: str, source: _Source, values: Mapping[str, np.ndarray],
            sizes: PathLike | None) -> dict[str, Any]:
  """The config.json of the result: that of the source, or one made from shapes."""
  config: dict[str, Any] = dict(source.config)
  if sizes:
    config = files.read_object(sizes)
    if "model_type" not in config:
      config = tf1.config_values(config)
  if kind == layouts.BLOCKS:
    config |= {"num_block_records": len(values[kind]),
               "retriever_proj_size": values[kind].shape[-1]}
    return config
  if "model_type" not in config:
    bert = config if "hidden_size" in config else tf1.sizes_from_tensors(values, source.path)
    all_sizes = Sizes.from_values(tf1.head_sizes(values) | bert, str(sizes or source.path))
    config = hugging_face_config(kind, all_sizes) | config
  stated = config.get("architectures")
  if kind != "bert" and not (isinstance(stated, list) and _ARCHITECTURES[kind] in stated):
    config |= {"model_type": "realm", "architectures": [_ARCHITECTURES[kind]]}
  if layouts.BLOCKS in values:
    config["num_block_records"] = len(values[layouts.BLOCKS])
  return config
