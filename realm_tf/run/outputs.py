"""Where a command may write what a flag names: never over its input or a part of a run."""

import os
import pathlib
import re

from realm_tf.config.owners import STAGES
from realm_tf.errors import UserError
from realm_tf.files import PathLike

_PARTS = ("config.json", "redo.json", "left_out.json", "commands", "corpus", "documents",
          "questions", *STAGES, "index", "evaluation", "diagnosis", "export")


def check_output(path: PathLike, *inputs: PathLike) -> None:
  """Refuses a place that is one of the inputs, or in which a run keeps a part of itself."""
  for source in inputs:
    if os.path.exists(path) and os.path.exists(source) and os.path.samefile(path, source):
      raise UserError(f"{path}: is the file that is read; name another to write")
  target = pathlib.Path(os.path.realpath(path))
  for run in target.parents:
    part = target.relative_to(run).parts[0]
    own = re.sub(r"\.\d+$", "", part) in _PARTS  # such a number gives `run.redo`
    if own and (run / "config.json").exists() and (run / "commands").is_dir():
      raise UserError(f"{path}: '{part}' is a part of the run in {run}; name another place")
