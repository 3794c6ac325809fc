"""Libraries that only some uses need: the extras of the package."""

import importlib

from realm_tf.errors import UserError


def require(libraries: tuple[str, ...], where: str, extra: str) -> None:
  """Raises `UserError` where a library of an extra, which `where` needs, is not installed."""
  for library in libraries:
    try:
      importlib.import_module(library)
    except ImportError:
      raise UserError(f"{where}: needs {library}, which is not installed: "
                      f"pip install 'realm_tf[{extra}]'") from None
