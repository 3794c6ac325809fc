"""Stages that `realm run` leaves out, though the config has steps of them."""

from realm_tf.errors import UserError
from realm_tf.examples.cloze_questions import asks, find_clozes
from realm_tf.run.folder import Run
from realm_tf.run.held_out_questions import checked_questions


def why_left_out(run: Run, stage: str) -> str | None:
  """What stands in the way of a stage; None where nothing does."""
  if stage == "cloze":
    return _nothing_to_ask(run)
  return _too_few_questions(run) if stage == "dpr" else None


def _nothing_to_ask(run: Run) -> str | None:
  """A corpus, such as a small one, may have no cloze questions."""
  try:
    find_clozes(run.config, run.corpus)
  except UserError as obstacle:
    return str(obstacle)
  if not asks(run.config) and run.corpus.num_blocks <= run.banned.shape[1]:
    return "cloze questions: all blocks are like each other, so that none is left to read"
  return None


def _too_few_questions(run: Run) -> str | None:
  least = run.config.dpr.least_questions
  count = len(checked_questions(run, "train")) if least else 0
  if count < least:
    return (f"{count} questions to train on are fewer than dpr.least_questions={least}: the "
            "retriever stays as it is")
  return None
