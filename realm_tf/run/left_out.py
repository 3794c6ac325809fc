"""Stages that `realm run` leaves out, though the config has steps of them."""

from typing import Any

from realm_tf import files
from realm_tf.counted import counted
from realm_tf.errors import UserError
from realm_tf.examples.cloze_questions import asks, find_clozes
from realm_tf.run.commands_to_copy import command
from realm_tf.run.folder import STAGES, Run

_RECORD = "left_out.json"


def why_left_out(run: Run, stage: str) -> str | None:
  """What stands in the way of a stage; None where nothing does."""
  after = [name for name in STAGES[STAGES.index(stage) + 1:] if run.is_done(name)]
  if after and not run.is_done(stage):
    return (f"{after[0]} was trained without it, and would not begin with it; "
            f"{command('run', run.path, f'--redo={stage}')} makes both")
  if stage == "cloze":
    return _nothing_to_ask(run)
  return _too_few_questions(run) if stage == "dpr" else None


def note_left_out(run: Run, stage: str, why: str) -> None:
  """Keeps why a stage was left out, for those who ask what is in the run."""
  files.write_json(run.path / _RECORD, {
      **_record(run), stage: {"why": why, "of": _made_of(run, stage)}})


def known_obstacle(run: Run, stage: str) -> str | None:
  """As `why_left_out`, but only what is known without a look at the documents."""
  try:
    if stage == "dpr":
      return _too_few_questions(run)
    noted = _record(run).get(stage, {})
    return noted.get("why") if noted.get("of") == _made_of(run, stage) else None
  except UserError:  # there are no documents yet, or no questions: all is to be done
    return None


def _made_of(run: Run, stage: str) -> list[str]:
  """With other documents or settings nothing may stand in the way."""
  return [run.corpus.hash, str(getattr(run.config, stage))]


def _record(run: Run) -> dict[str, dict[str, Any]]:
  path = run.path / _RECORD
  return files.read_object(path) if path.exists() else {}


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
  count = len(run.questions("train")) if least else 0
  if count < least:
    return (f"{counted(count, 'question')} to train on "
            f"{'is' if count == 1 else 'are'} fewer than dpr.least_questions={least}: the "
            "retriever stays as it is")
  return None
