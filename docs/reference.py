"""Writes the API reference, HTML from the docstrings, into a folder: `make docs`."""

import pathlib
import sys

import pdoc

import realm_tf


def main() -> None:
  for name in realm_tf.__all__:  # pdoc shows what the module holds, not what it would load
    setattr(realm_tf, name, getattr(realm_tf, name))
  pdoc.render.configure(docformat="google")
  pdoc.pdoc("realm_tf", output_directory=pathlib.Path(sys.argv[1]))


if __name__ == "__main__":
  main()
