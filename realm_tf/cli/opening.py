"""The run that a command works on, and the flags that several commands have.

Nothing here imports TensorFlow before a command runs, so that `--help` is quick.
"""

import contextlib
import difflib
import os
import shlex
from typing import Callable, Iterator, Sequence

from absl import flags

from realm_tf import config as config_lib
from realm_tf.cli import config_flags
from realm_tf.config.owners import PARTS, STAGES, implied
from realm_tf.errors import UserError

FLAGS = flags.FLAGS

# The words behind `realm` of the command that runs; set by `main`, noted in its run.
command_line: list[str] = []
_redone: list[str] = []  # the parts that --redo of this command may name
_STAGE_COMMANDS = ", ".join(f"realm {stage}" for stage in STAGES)


def define_run_flags() -> None:
  """The flags that every command has."""
  config_flags.define_config_flags()
  flags.DEFINE_string("workdir", None, "Folder of the run: stages leave their results "
                      "there and find those of earlier stages.")


def define_checkpoint() -> None:
  flags.DEFINE_enum("checkpoint", "last", ["last", "best"], "last: the model at the end of "
                    "the stage; best: the one kept by config.best_metric while it trained.")


def define_strategy() -> None:
  flags.DEFINE_enum("strategy", "one_device",
                    ["one_device", "mirrored", "multi_worker", "tpu"],
                    "tf.distribute: mirrored trains on all GPUs of this machine, "
                    "multi_worker on the processes that TF_CONFIG names, tpu on a TPU.")
  flags.DEFINE_integer("heartbeat_seconds", 100, "Of multi_worker: without a sign of life "
                       "for so long, a worker counts as dead, and all end.", lower_bound=1)
  flags.DEFINE_string("tpu", "local", "The TPU's name or grpc:// address; local on a TPU VM.")
  flags.DEFINE_string("tpu_zone", None, "The zone of a TPU that has a name.")
  flags.DEFINE_string("tpu_project", None, "The project of a TPU that has a name.")


def define_redo(part: str | None = None) -> None:
  """The flag of a command that makes a part, or all."""
  able = implied({part}) if part else PARTS
  names = ", ".join(name for name in PARTS if name in able)
  flags.DEFINE_string("redo", None, f"Make again what is there: some of {names}, between "
                      "commas, with all that is made of them. Until then and afterwards it "
                      "is kept, as finetune.1 and so on.")
  _redone[:] = [name for name in PARTS if name in able]


def _redo() -> list[str]:
  """What --redo says, where the command has it."""
  if "redo" not in FLAGS or FLAGS.redo is None:
    return []
  names = [name.strip() for name in FLAGS.redo.split(",")]
  for name in names:
    if name not in PARTS:
      near = difflib.get_close_matches(name[:100], PARTS, n=1)
      raise UserError(f"--redo: '{name[:100]}': no such part; " + (
          f"the nearest is {near[0]}" if near else f"one of {', '.join(PARTS)}"))
    if name not in _redone:
      raise UserError(f"--redo={name}: comes before what `realm {command_line[0]}` makes; "
                      f"`realm run --redo={name}` makes both")
  return names


def define_strict() -> None:
  flags.DEFINE_bool("strict", False, "Refuse a document that cannot be read, or whose text "
                    "is empty or blank; by default it is passed over, counted and named.")


def define_recall_at() -> None:
  flags.DEFINE_string("recall_at", "1,5,20,100", "Each k of recall@k, between commas; those "
                      "are left out that reach below the passages that a file lists.")


def recall_depths() -> tuple[int, ...]:
  """What --recall_at says, in brackets, as the setting has it, or without."""
  from realm_tf.config import SETTINGS
  depths = FLAGS.recall_at.strip(" ()[],")
  return SETTINGS["evaluate.recall_at"].parsed(f"{depths},", "--recall_at")


def no_more(arguments: Sequence[str]) -> None:
  """Raises `UserError` where there are words besides flags."""
  if arguments:
    raise UserError(f"'{arguments[0]}': expected flags only (--name=value)")


def check_there(flag: str, expected: str) -> None:
  """Raises `UserError` where a flag names a path at which nothing is: what reads it may come
  long after, and says what else is wrong."""
  path = FLAGS[flag].value
  if path and not os.path.exists(path):
    raise UserError(f"--{flag}={path}: cannot be read (no such file or folder); expected "
                    f"{expected}")


def open_run(writes: bool = True, kept: bool = True, makes: Sequence[str] = ()):
  """The run that --config and --workdir name.

  A command that `writes` into its folder leaves a record there of how it was started. Where
  settings are not `kept`, flags set them for this command alone. Files that were changed
  since are refused where the command `makes` parts of them.
  """
  if not FLAGS.workdir:
    raise UserError("--workdir is missing: name the folder of the run")
  again = _redo()
  from realm_tf.run.redo import recover_redo
  recover_redo(FLAGS.workdir)
  config = config_flags.config(FLAGS.workdir)
  from realm_tf.run.folder import Run
  run = Run(config, FLAGS.workdir, again, kept, makes)
  if writes:
    _record(run)
  return run


def open_to_use(writes: bool = True, kept: bool = True, makes: Sequence[str] = ()):
  """The run, and which of a stage's models --checkpoint means."""
  run = open_run(writes, kept, makes)
  run.checkpoint = FLAGS.checkpoint
  return run


def open_to_export(output: str | None, opened_by: Callable):
  """A run of which `output` is made; one that cannot be written may be written elsewhere."""
  run = opened_by(writes=False)
  with contextlib.suppress(*([OSError] if output else [])):
    _record(run)
  return run


def open_to_train(makes: Sequence[str], one_process: bool = False):
  """The run, with the strategy that --strategy names; nothing is recorded yet."""
  if FLAGS.strategy == "one_device":
    return open_run(writes=False, makes=makes)
  if one_process and FLAGS.strategy == "multi_worker":
    raise UserError("--strategy=multi_worker: run the stages one by one, each on all "
                    f"workers: {_STAGE_COMMANDS}")
  if one_process and FLAGS.strategy == "tpu":
    raise UserError(f"--strategy=tpu: run the stages one by one, {_STAGE_COMMANDS}; what "
                    "comes after them needs no TPU")
  if FLAGS.strategy == "multi_worker":
    _refuse_changes()
  from realm_tf.distribute.strategy import make_strategy
  # Before anything runs: TensorFlow must know of all workers first.
  strategy = make_strategy(FLAGS.strategy, FLAGS.tpu, FLAGS.tpu_zone, FLAGS.tpu_project,
                           FLAGS.heartbeat_seconds)
  run = open_run(writes=False, makes=makes)
  run.strategy = strategy
  return run


def _refuse_changes() -> None:
  """Of processes that train together none may change the run under the others."""
  if FLAGS.workdir and (FLAGS.redo or config_lib.has_begun(FLAGS.workdir)
                        and config_flags.config(FLAGS.workdir)
                        != config_lib.read_folder(FLAGS.workdir)):
    raise UserError("--strategy=multi_worker: these flags change the run, which one process "
                    "must do before: `realm config "
                    f"--workdir={shlex.quote(FLAGS.workdir)}` with them")


@contextlib.contextmanager
def at_work(run) -> Iterator[None]:
  """Keeps others from training in a run or changing its corpus; records who works."""
  with run.at_work(command_line[0]):
    _record(run)
    yield


def _record(run) -> None:
  from realm_tf.run import history
  history.record_command(run.path, command_line)
