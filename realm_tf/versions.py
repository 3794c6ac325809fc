"""What an installation is made of: versions, and the kernels that this processor gets.

TensorFlow, which takes seconds to load, is not imported.
"""

import ctypes
import importlib.metadata
import importlib.util
import pathlib
import platform

import realm_tf

_PACKAGES = ("tensorflow", "tensorflow-text", "tensorflow-recommenders", "scann", "tf_keras",
             "numpy", "safetensors")
_LIBRARY = pathlib.Path(realm_tf.__file__).with_name("_realm_ops.so")


def versions() -> dict[str, str | None]:
  """By name, None for what is not installed."""
  return {"python": platform.python_version(), "realm_tf": realm_tf.__version__,
          **{name: _version(name) for name in _PACKAGES}}


def kernels(library: pathlib.Path = _LIBRARY) -> dict[str, str]:
  """Which kernel of its own each family of ops runs here, or why none can be named."""
  try:
    tensorflow = importlib.util.find_spec("tensorflow")
    if tensorflow is None or tensorflow.origin is None:
      raise OSError("TensorFlow is not installed")
    # The ops' library finds it by name, once it is loaded.
    framework = pathlib.Path(tensorflow.origin).with_name("libtensorflow_framework.so.2")
    ctypes.CDLL(str(framework))
    ops = ctypes.CDLL(str(library))
    return {"top-k": _text(ops.realm_top_k_kernel),
            "transformer": _text(ops.realm_transformer_kernel)}
  except (OSError, AttributeError) as error:  # not compiled, or compiled of older sources
    return dict.fromkeys(("top-k", "transformer"), f"none: {error}")


def version_report() -> str:
  """Both, a line each."""
  lines = [f"{name} {version or 'is not installed'}" for name, version in versions().items()]
  lines += [f"{name} kernel: {kernel}" for name, kernel in kernels().items()]
  return "\n".join(lines)


def _text(function) -> str:
  function.restype = ctypes.c_char_p
  return function().decode()


def _version(package: str) -> str | None:
  try:
    return importlib.metadata.version(package)
  except importlib.metadata.PackageNotFoundError:
    return None
