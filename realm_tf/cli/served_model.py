"""What `realm serve` and `realm mcp` answer by: an export, or a run."""

import contextlib
import pathlib
from typing import TYPE_CHECKING, Iterator

from absl import flags

from realm_tf import config as config_lib
from realm_tf.cli.opening import FLAGS, define_checkpoint
from realm_tf.errors import UserError
from realm_tf.files import missing
from realm_tf.serving import numbered

if TYPE_CHECKING:
  from realm_tf.server.lifecycle import VersionSource


def define_model() -> None:
  """The flags that name it, beside --workdir."""
  flags.DEFINE_string("model", None, "Folder of an export, or of numbered ones; the newest "
                      "answers, and newer ones take over meanwhile.")
  flags.DEFINE_float("poll_seconds", 1.0, "Between two looks for newer versions.",
                     lower_bound=0.01)
  define_checkpoint()


def check_model() -> None:
  """Raises `UserError` where the flags do not name one."""
  if not FLAGS.model and not FLAGS.workdir:
    raise UserError("--model is missing: name the folder of an export, or a run by --workdir")
  if FLAGS.model and FLAGS.workdir:
    raise UserError("--model and --workdir: give one of both")
  if FLAGS.model and FLAGS.checkpoint != "last":
    raise UserError("--checkpoint: an export has one model only; give it to `realm export`")
  if FLAGS.model:
    check_export("model", FLAGS.model)
  else:
    config_lib.read_folder(FLAGS.workdir)  # before it is said that the run is exported


def check_export(flag: str, folder: str) -> None:
  """Raises `UserError` where no export lies in the folder that a flag names."""
  alone = pathlib.Path(folder, numbered.MODEL_FILE)
  if not alone.exists() and not numbered.numbered_versions(folder):
    raise UserError(f"--{flag}={folder}: {missing(folder, 'export')}; `realm export` writes "
                    "one")


@contextlib.contextmanager
def model_source() -> Iterator[tuple["VersionSource", str]]:
  """Where its versions come from, and its name for people."""
  if FLAGS.model:
    from realm_tf.server.source import FolderSource
    yield FolderSource(FLAGS.model), FLAGS.model
    return
  from realm_tf.server.run_source import run_source
  with run_source(FLAGS.workdir, FLAGS.checkpoint) as source:
    yield source, FLAGS.workdir
