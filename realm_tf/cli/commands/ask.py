"""`realm ask`: questions from the command line."""

from typing import Sequence

from absl import flags

from realm_tf.cli import answer_flags
from realm_tf.cli.opening import FLAGS, define_checkpoint, open_to_use
from realm_tf.errors import UserError

SUMMARY = "Ask questions; print the answer and the passage that says so."
EXAMPLE = 'realm ask --workdir=runs/demo "What is the capital of Peru?"'


def define_flags() -> None:
  flags.DEFINE_string("export", None, "Ask an exported SavedModel instead of a run: a "
                      "version, or the newest in a folder of versions.")
  flags.DEFINE_bool("json", False, "Print one JSON object per question.")
  answer_flags.define(top_n=1)
  define_checkpoint()


def run(arguments: Sequence[str]) -> None:
  if not arguments:
    raise UserError('give a question: realm ask --workdir=DIR "Who wrote Hamlet?"')
  if FLAGS.export and FLAGS.checkpoint != "last":
    raise UserError("--checkpoint: an export has one model only; give it to `realm export`")
  wanted = answer_flags.wanted()
  from realm_tf.run import ask
  if FLAGS.export:
    ask.ask_export(FLAGS.export, arguments, FLAGS.json, wanted)
  else:
    ask.ask_run(open_to_use(writes=False), arguments, FLAGS.json, wanted)
