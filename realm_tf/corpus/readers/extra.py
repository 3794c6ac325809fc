"""Libraries that only some documents need: the extra `documents`."""

import importlib

from realm_tf.errors import UserError


def require(libraries: tuple[str, ...], where: str) -> None:
  """Raises `UserError` where a library that reads `where` is not installed."""
  for library in libraries:
    try:
      importlib.import_module(library)
    except ImportError:
      raise UserError(f"{where}: needs {library}, which is not installed: "
                      "pip install realm_tf[documents]") from None
