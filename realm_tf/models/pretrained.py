"""Models in folders: what our runs save, and what Hugging Face's Transformers do.

* Ours (`Realm.save_pretrained`, a run's `model/`): `model.json`, `retriever.safetensors`,
  `encoder.safetensors`, and `vocab.txt` if the model has a tokenizer.
* Those of Transformers (a BERT, a sentence encoder such as MiniLM, a REALM): `config.json`,
  `model.safetensors`, and mostly `vocab.txt` or `tokenizer.json`.

`model.json` has the sizes and the SHA-256 of each file, which is checked. What is
given as an argument comes before what the folder says; what a BERT does not have, a
projection or heads, begins at random.
"""

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any, Mapping

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.folders import FolderKind
from realm_tf.models import weights
from realm_tf.models.bert import BertConfig
from realm_tf.models.sizes import Sizes
from realm_tf.models.tensors import read_safetensors
from realm_tf.text.tokenizer import Tokenizer
from realm_tf.text.tokenizer_files import read_stated, vocabulary_file

if TYPE_CHECKING:  # they load themselves by this module
  from realm_tf.models.reader import Reader
  from realm_tf.models.retriever import Retriever

_MANIFEST, _VOCABULARY = "model.json", "vocab.txt"
MODEL = FolderKind("a model", _MANIFEST, lambda manifest: [_VOCABULARY, *manifest["sha256"]])
# Arguments that are no part of `model.json` under their own name, but for the sizes there.
_NOT_STORED = ("name", "tokenizer", "bert", "shared_towers")


def retriever(cls: "type[Retriever]", folder: PathLike, *, num_layers: int = 0,
              tokenizer: Tokenizer | None = None, **arguments: Any) -> "Retriever":
  """A retriever with the weights of a folder.

  Args:
    cls: its class.
    folder: ours, or one of Transformers that has an embedder, a scorer, an open-QA
      model or a BERT.
    num_layers: keep only the first layers of a BERT; 0 keeps all.
    tokenizer: instead of that of the folder's vocabulary.
    **arguments: of the constructor.

  Raises:
    UserError: a file is missing, damaged or of another model, or does not say what the
      model must know.
  """
  folder = pathlib.Path(folder)
  tokenizer = tokenizer or _tokenizer(folder)
  if (folder / _MANIFEST).exists():
    path, stored = _ours(folder, "retriever", num_layers)
    stored |= {"shared_towers": _manifest(folder)["shared_towers"]}
    model = cls(sizes_of_part(folder, "retriever"), tokenizer=tokenizer,
                **_complete(folder, stored | arguments, "pooling"))
    weights.load_weights(path, weights.retriever_names(model))
    return model
  stored = {"projection_size": Sizes.from_folder(folder).retriever_proj_size,
            "shared_towers": not weights.has_two_towers(folder), **_pooling(folder)}
  model = cls(BertConfig.from_folder(folder, num_layers), tokenizer=tokenizer,
              **stored | arguments)
  weights.load_towers(folder, model)
  return model


def reader(cls: "type[Reader]", folder: PathLike, *, num_layers: int = 0,
           tokenizer: Tokenizer | None = None, **arguments: Any) -> "Reader":
  """A reader with the weights of a folder; as `retriever`, of an encoder, a reader, an
  open-QA model or a BERT."""
  folder = pathlib.Path(folder)
  tokenizer = tokenizer or _tokenizer(folder)
  if (folder / _MANIFEST).exists():
    path, stored = _ours(folder, "encoder", num_layers)
    model = cls(sizes_of_part(folder, "encoder"), tokenizer=tokenizer,
                **_complete(folder, stored | arguments, "max_span_width"))
    weights.load_weights(path, weights.encoder_names(model))
    return model
  model = cls(BertConfig.from_folder(folder, num_layers), tokenizer=tokenizer,
              **Sizes.from_folder(folder).of_reader() | arguments)
  weights.load_encoder(folder, model)
  return model


def parameters(folder: PathLike) -> dict[str, Any]:
  """The other arguments of a `Realm`, where the folder has them."""
  folder = pathlib.Path(folder)
  return _parameters(folder, "realm") if (folder / _MANIFEST).exists() else {}


def sizes_of_part(folder: PathLike, part: str) -> BertConfig:
  """Of the "retriever" or the "encoder" of a folder of ours."""
  folder = pathlib.Path(folder)
  return BertConfig.from_values(_manifest(folder)[part], f"{folder / _MANIFEST}, {part}")


def save(folder: PathLike, retriever: "Retriever", encoder: "Reader",
         parameters: Mapping[str, Any]) -> None:
  """Writes both models, and the other arguments of a `Realm`, into `folder`."""
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  names = {"retriever": weights.retriever_names(retriever),
           "encoder": weights.encoder_names(encoder)}
  for part, variables in names.items():
    weights.save_names(folder / f"{part}.safetensors", variables)
  written = [f"{part}.safetensors" for part in names]
  if retriever.tokenizer:
    with files.new_file(folder / _VOCABULARY) as file:
      file.writelines(f"{token}\n".encode() for token in retriever.tokenizer.vocabulary)
    written.append(_VOCABULARY)
  stored = {part: {name: value for name, value in model.get_config().items()
                   if name not in _NOT_STORED}
            for part, model in (("retriever", retriever), ("encoder", encoder))}
  files.write_json(folder / _MANIFEST, {
      "retriever": dataclasses.asdict(retriever.bert_config),
      "encoder": dataclasses.asdict(encoder.bert_config),
      "shared_towers": retriever.shares_towers,
      "parameters": stored | {"realm": dict(parameters)},
      **({"lower_case": retriever.tokenizer.lower_case} if retriever.tokenizer else {}),
      "sha256": {name: files.sha256(folder / name) for name in written}})


# Folders of ours.


def _manifest(folder: pathlib.Path) -> dict[str, Any]:
  path = folder / _MANIFEST
  manifest = files.read_json(path)
  for name, kind in (("retriever", dict), ("encoder", dict), ("shared_towers", bool),
                     ("sha256", dict)):
    if not isinstance(manifest, dict) or not isinstance(manifest.get(name), kind):
      raise UserError(f"{path}: not that of a model: expected '{name}', as a stage of a run "
                      "or save_pretrained writes it")
  return manifest


def _ours(folder: pathlib.Path, part: str, num_layers: int
          ) -> tuple[pathlib.Path, dict[str, Any]]:
  """The file of weights of a part, as it was written, and what is known of the model."""
  if num_layers:
    raise UserError(f"{folder}: num_layers: only of published weights, not of a model that "
                    "was trained with all of its layers")
  path = _as_written(folder, f"{part}.safetensors")
  return path, _sizes_of_tensors(path) | _parameters(folder, part)


def _as_written(folder: pathlib.Path, name: str) -> pathlib.Path:
  path = folder / name
  if not path.is_file():
    raise UserError(f"{path}: no such file")
  if files.sha256(path) != _manifest(folder)["sha256"].get(name):
    raise UserError(f"{path}: damaged: its SHA-256 is not the one in {_MANIFEST}; run the "
                    "stage again")
  return path


def _parameters(folder: pathlib.Path, part: str) -> dict[str, Any]:
  """Earlier versions noted none."""
  noted = _manifest(folder).get("parameters", {})
  values = noted.get(part, {}) if isinstance(noted, dict) else noted
  if not isinstance(values, dict):
    raise UserError(f"{folder / _MANIFEST}: field 'parameters': expected an object with an "
                    f"object '{part}'")
  return dict(values)


def _sizes_of_tensors(path: pathlib.Path) -> dict[str, Any]:
  """Sizes that an earlier `model.json` leaves out, from the tensors of either part."""
  tensors, sizes = read_safetensors(path), dict[str, Any]()
  if "embedder.cls.dense.weight" in tensors:
    sizes["projection_size"] = len(tensors["embedder.cls.dense.bias"])
    if "embedder.realm.pooler.dense.weight" in tensors:
      sizes["pooling"] = "pooler"
  if "qa_outputs.layer_normalization.bias" in tensors:
    sizes["span_hidden_size"] = len(tensors["qa_outputs.layer_normalization.bias"])
  return sizes


def _complete(folder: pathlib.Path, arguments: dict[str, Any], needed: str) -> dict[str, Any]:
  if needed not in arguments:
    raise UserError(f"{folder / _MANIFEST}: written by an earlier version, it does not say "
                    f"'{needed}': give it as an argument")
  return arguments


# Folders of Transformers.


def _tokenizer(folder: pathlib.Path) -> Tokenizer | None:
  """That of the folder's vocabulary, if it has one."""
  path = folder / _VOCABULARY
  if (folder / _MANIFEST).exists():
    if not path.exists():
      return None
    manifest = _manifest(folder)
    if _VOCABULARY in manifest["sha256"]:  # earlier versions wrote none
      _as_written(folder, _VOCABULARY)
    return Tokenizer.from_file(path, manifest.get("lower_case", True))
  if not path.exists():
    stated = read_stated(folder) if vocabulary_file(folder) else None
    return Tokenizer(stated.vocabulary, stated.lower_case) if stated else None
  settings = folder / "tokenizer_config.json"
  config = files.read_object(settings) if settings.exists() else {}
  return Tokenizer.from_file(path, config.get("do_lower_case", True))


def _pooling(folder: pathlib.Path) -> dict[str, str]:
  """What a sentence encoder says of itself, as Sentence-Transformers saves it."""
  path = folder / "1_Pooling" / "config.json"
  if not path.exists():
    return {}
  said = files.read_object(path)
  modes = [name.removeprefix("pooling_mode_") for name, value in said.items()
           if name.startswith("pooling_mode_") and value is True]
  pooling_of = {"mean_tokens": "mean", "cls_token": "cls"}
  if len(modes) != 1 or modes[0] not in pooling_of:
    raise UserError(f"{path}: pooling by {' and '.join(modes) or 'nothing'} is not known "
                    f"here; expected one of {', '.join(pooling_of)}")
  return {"pooling": pooling_of[modes[0]]}
