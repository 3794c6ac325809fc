"""Tensors by name, from whatever holds them: safetensors, PyTorch, TensorFlow 1.

Names and values are given as they stand in the file. No pickle is run: PyTorch's
own loader reads `pytorch_model.bin`, restricted to tensors.
"""

import collections.abc
import pathlib
from typing import Iterator, Mapping

import numpy as np
import tensorflow as tf
from safetensors import SafetensorError, safe_open

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.files import PathLike

Tensors = Mapping[str, np.ndarray]

SAFETENSORS = "model.safetensors"
PYTORCH = "pytorch_model.bin"
_DAMAGED = (tf.errors.OpError, IndexError, ValueError, RuntimeError)


class _Lazy(collections.abc.Mapping):
  """A mapping whose values are read when asked for."""

  def __init__(self, names, read):
    self._names, self._read = dict.fromkeys(names), read

  def __getitem__(self, name: str) -> np.ndarray:
    if name not in self._names:
      raise KeyError(name)
    return self._read(name)

  def __iter__(self) -> Iterator[str]:
    return iter(self._names)

  def __len__(self) -> int:
    return len(self._names)

  def __contains__(self, name) -> bool:  # Mapping's own would read the tensor
    return name in self._names


def read_safetensors(path: PathLike) -> Tensors:
  """Opens a safetensors file; a missing or damaged one is a `UserError`."""
  if not pathlib.Path(path).is_file():
    raise UserError(f"{path}: no such file")
  try:
    file = safe_open(path, framework="np")
    names = file.keys()
  except SafetensorError as error:
    raise UserError(f"{path}: not a whole safetensors file ({error})") from None

  def read(name: str) -> np.ndarray:
    try:
      return file.get_tensor(name)
    except (SafetensorError, AttributeError, TypeError, ValueError):
      dtype = file.get_slice(name).get_dtype()
      raise UserError(f"{path}: tensor '{name}' is of dtype {dtype}; expected one that NumPy "
                      "has, or bfloat16") from None

  return _Lazy(names, read)


def read_pytorch(path: PathLike) -> Tensors:
  """Reads a `pytorch_model.bin` by PyTorch's loader for nothing but tensors.

  Raises:
    UserError: PyTorch is not installed, or the file holds more than tensors.
  """
  try:
    import torch  # pylint: disable=import-outside-toplevel
  except ImportError:
    raise UserError(f"{path}: reading it needs PyTorch, which is not installed; install "
                    "realm_tf[torch], or convert the file to safetensors") from None
  try:
    state = torch.load(path, map_location="cpu", weights_only=True)
    # NumPy has no bfloat16; float32 holds every value of it.
    return {name: (value.float() if value.dtype == torch.bfloat16 else value).numpy()
            for name, value in state.items()}
  except Exception as error:  # a damaged file fails in many ways
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    raise UserError(f"{path}: not a file of tensors only ({reason})") from None


def checkpoint_prefix(path: PathLike) -> str | None:
  """The prefix of the TensorFlow checkpoint at `path`, or None.

  `path` is a prefix (`bert_model.ckpt`), a folder with one checkpoint or with a
  `checkpoint` file, or that of a hub module or SavedModel (`variables/variables`).
  """
  path = pathlib.Path(path)
  if path.suffix == ".index" and path.is_file():
    return str(path.with_suffix(""))
  if pathlib.Path(f"{path}.index").is_file():
    return str(path)
  if not path.is_dir():
    return None
  newest = tf.train.latest_checkpoint(str(path))
  if newest:
    return newest
  indexes = sorted([*path.glob("*.index"), *path.glob("variables/variables.index")])
  if len(indexes) > 1:
    raise UserError(f"{path}: several checkpoints ({', '.join(f.stem for f in indexes)}); "
                    "name one of them")
  return str(indexes[0].with_suffix("")) if indexes else None


def read_checkpoint(prefix: str) -> Tensors:
  """Opens a TensorFlow checkpoint, of TF1 or of a hub module."""
  try:
    reader = tf.train.load_checkpoint(prefix)
    names = reader.get_variable_to_shape_map()
  except _DAMAGED as error:
    raise _cut_checkpoint(prefix, error) from None

  def read(name: str) -> np.ndarray:
    try:
      return reader.get_tensor(name)
    except _DAMAGED as error:  # in the files of the values, which are not read before
      raise _cut_checkpoint(prefix, error) from None

  return _Lazy(names, read)


def _cut_checkpoint(prefix: str, error: Exception) -> UserError:
  return UserError(f"{prefix}: not a whole TensorFlow checkpoint "
                   f"({str(error).splitlines()[0]})")


def read_tensors(path: PathLike) -> Tensors:
  """The tensors of a Hugging Face folder or of a TensorFlow checkpoint."""
  prefix = checkpoint_prefix(pathlib.Path(path))
  return read_checkpoint(prefix) if prefix else read_tensor_folder(path)


def read_tensor_folder(folder: PathLike) -> Tensors:
  """The tensors of a Hugging Face folder: safetensors if there, else PyTorch's."""
  folder = pathlib.Path(folder)
  for name, read_file in ((SAFETENSORS, read_safetensors), (PYTORCH, read_pytorch)):
    if (folder / name).exists():
      return read_file(folder / name)
    if (folder / f"{name}.index.json").exists():
      return collections.ChainMap(
          *(dict(read_file(part)) for part in _parts(folder / f"{name}.index.json")))
  raise UserError(f"{folder}: neither {SAFETENSORS} nor {PYTORCH} is there")


def _parts(index: pathlib.Path) -> list[pathlib.Path]:
  """The files of tensors that are listed, beside the list."""
  places = files.read_object(index).get("weight_map")
  if not isinstance(places, dict) or not places:
    raise UserError(f"{index}: field 'weight_map': expected an object, from the names of "
                    "tensors to those of the files that hold them")
  for name, part in places.items():
    if not isinstance(part, str) or part in ("", "..") or part != pathlib.PurePath(part).name:
      raise UserError(f"{index}: field 'weight_map': tensor '{name}' is in {part!r}; "
                      "expected the name of a file in this folder")
  return [index.with_name(part) for part in sorted(set(places.values()))]
