"""The words behind `realm`: a module for each, with what it is for, its flags, what it runs.

    SUMMARY             one sentence, for the list of commands
    EXAMPLE             one that works
    define_flags()      by absl; it may be left out
    run(arguments)      is given the words that are not flags; may return an exit code

TensorFlow is imported in `run` only, so that `realm --help` is quick.
"""

import importlib
from types import ModuleType

NAMES = ("init", "config", "run", "corpus", "ict", "pretrain", "dpr", "cloze", "finetune",
         "index", "refresh", "add", "delete", "compact", "verify", "list", "calibrate",
         "evaluate", "diagnose", "report", "search", "ask", "predict", "export", "serve",
         "mcp", "score", "compare", "resplit", "import", "export-weights",
         "tagger", "parity")
DEMO = "--config=demo --workdir=runs/demo"


def load_command(name: str) -> ModuleType:
  """The module of a command."""
  module = {"import": "import_weights", "export-weights": "export_weights"}.get(name, name)
  return importlib.import_module(f"{__name__}.{module}")
