"""Flags of the commands that answer: how many answers, and when none."""

from absl import flags

from realm_tf.cli.opening import FLAGS


def define_answer_flags(top_n: int) -> None:
  flags.DEFINE_integer("top_n", top_n, "How many answers to list for each question, each "
                       "with its probability.", lower_bound=1, upper_bound=100)
  flags.DEFINE_float("threshold", None, "Say \"no answer\" where the best one is less "
                     "probable than this, from 0 to 1; by default there is always an answer.")
  flags.DEFINE_float("precision", None, "Instead of a threshold: the share of right answers "
                     "among those given, as it was on the dev questions (realm calibrate).")


def check_wanted() -> None:
  """Raises `UserError` for a threshold or precision that cannot be meant."""
  from realm_tf.evaluation import calibration
  calibration.check_wanted(FLAGS.threshold, FLAGS.precision)


def wanted():
  """What the flags say, once they are checked."""
  from realm_tf.run.ask import Wanted
  return Wanted(FLAGS.top_n, FLAGS.threshold, FLAGS.precision)
