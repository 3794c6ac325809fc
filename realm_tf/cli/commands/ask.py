"""`realm ask`: questions from the command line."""

import sys
from typing import Iterator, Sequence

from absl import flags

from realm_tf.cli import answer_flags
from realm_tf.cli.opening import FLAGS, define_checkpoint, open_to_use
from realm_tf.errors import UserError

SUMMARY = "Ask questions; print the answer and the passage that says so."
EXAMPLE = 'realm ask --workdir=runs/demo "What is the capital of Peru?"'


def define_flags() -> None:
  flags.DEFINE_string("export", None, "Ask an exported SavedModel instead of a run: a "
                      "version, or the newest in a folder of versions.")
  flags.DEFINE_string("server", None, "Ask a server (`realm serve`) at this address, such as "
                      "localhost:8501; without a question, those that are typed.")
  flags.DEFINE_bool("json", False, "Print one JSON object per question.")
  answer_flags.define(top_n=1)
  define_checkpoint()


def run(arguments: Sequence[str]) -> None:
  if FLAGS.server:
    _ask_server(arguments)
    return
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


def _ask_server(arguments: Sequence[str]) -> None:
  for name in ("workdir", "export", "config"):
    if FLAGS[name].value:
      raise UserError(f"--server and --{name}: give one of both")
  from realm_tf.evaluation import calibration
  from realm_tf.server import client
  calibration.check_wanted(FLAGS.threshold, FLAGS.precision)
  client.ask_server(FLAGS.server, arguments or _typed(), FLAGS.json, top_n=FLAGS.top_n,
                    threshold=FLAGS.threshold, precision=FLAGS.precision)


def _typed() -> Iterator[str]:
  """Lines of standard input, blank ones left out."""
  while True:
    if sys.stdin.isatty():
      print("? ", end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
      return
    if line.strip():
      yield line.strip()
