"""What `realm serve` and `realm mcp` answer by: an export, or a run."""

import contextlib
from typing import TYPE_CHECKING, Iterator

from absl import flags

from realm_tf.cli.opening import FLAGS, define_checkpoint
from realm_tf.errors import UserError

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
