"""`realm ask`: questions from the command line."""

import functools
from typing import Sequence

from absl import flags

from realm_tf.cli import answer_flags, questions_asked
from realm_tf.cli.opening import FLAGS, define_checkpoint, open_to_use
from realm_tf.cli.served_model import check_export
from realm_tf.errors import UserError

SUMMARY = ("Ask questions; print the answer and the passage that says so. Without any, or "
           "with -, they are read one a line.")
EXAMPLE = 'realm ask --workdir=runs/demo "What is the capital of Peru?"'


def define_flags() -> None:
  flags.DEFINE_string("export", None, "Ask an exported SavedModel instead of a run: a "
                      "version, or the newest in a folder of versions.")
  flags.DEFINE_string("server", None, "Ask a server (`realm serve`) at this address, such as "
                      "localhost:8501.")
  flags.DEFINE_bool("json", False, "Print one JSON object per question.")
  answer_flags.define_answer_flags(top_n=1)
  define_checkpoint()


def run(arguments: Sequence[str]) -> None:
  questions_asked.check_questions(arguments, "ask")
  if FLAGS.server:
    questions_asked.answer_all(arguments, _server())
    return
  if FLAGS.export:
    _refuse("export", "workdir", "config")
    if FLAGS.checkpoint != "last":
      raise UserError("--checkpoint: an export has one model only; give it to `realm export`")
  answer_flags.check_wanted()
  if FLAGS.export:
    check_export("export", FLAGS.export)
  opened = None if FLAGS.export else open_to_use(writes=False, kept=False)
  from realm_tf.run import ask
  wanted = answer_flags.wanted()
  questions_asked.answer_all(arguments, (
      ask.by_run(opened, FLAGS.json, wanted) if opened
      else ask.by_export(FLAGS.export, FLAGS.json, wanted)))


def _refuse(chosen: str, *others: str) -> None:
  for name in others:
    if FLAGS[name].value:
      raise UserError(f"--{chosen} and --{name}: give one of both")


def _server() -> questions_asked.PrintAnswers:
  _refuse("server", "workdir", "export", "config")
  answer_flags.check_wanted()
  from realm_tf.server import client
  return functools.partial(
      client.ask_server, FLAGS.server, as_json=FLAGS.json, top_n=FLAGS.top_n,
      threshold=FLAGS.threshold, precision=FLAGS.precision)
