"""`realm search`: passages for questions, from the first minute."""

from typing import Sequence

from absl import flags

from realm_tf.cli import questions_asked
from realm_tf.cli.opening import FLAGS, define_checkpoint, open_to_use

SUMMARY = "Find passages for questions, without a reader."
EXAMPLE = 'realm search --workdir=runs/mine "What is the capital of Peru?"'


def define_flags() -> None:
  flags.DEFINE_integer("k", 5, "How many passages to list for each question.",
                       lower_bound=1, upper_bound=1000)
  flags.DEFINE_bool("json", False, "Print one JSON object per question.")
  define_checkpoint()


def run(arguments: Sequence[str]) -> None:
  questions_asked.check_questions(arguments, "search")
  opened = open_to_use(writes=False, kept=False)
  from realm_tf.run import search
  questions_asked.answer_all(arguments, search.search_by_run(opened, FLAGS.k, FLAGS.json))
