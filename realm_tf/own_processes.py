"""Modules of this package as processes of their own."""

import os
import pathlib
import sys

_ROOT = str(pathlib.Path(__file__).resolve().parents[1])


def command(module: str, *arguments: str) -> list[str]:
  """That runs a module, by its whole name; with `environment`.

  Where it is started lie a user's files: a `json.py` among them is no module of ours.
  """
  return [sys.executable, "-P", "-m", module, *arguments]


def environment(**changes: str) -> dict[str, str]:
  """In which this very package is found, installed or not; and some variables more."""
  paths = [_ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
  return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **changes}
