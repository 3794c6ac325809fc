"""All stages of a config in order, then what they were worth."""

import pathlib
import shlex
import time

from absl import logging

from realm_tf.counted import counted
from realm_tf.errors import UserError
from realm_tf.files import new_file
from realm_tf.jsonl import write_rows
from realm_tf.report.tables import stage_table
from realm_tf.run import stages
from realm_tf.run.ask import by_export
from realm_tf.run.baselines import bm25, hybrid
from realm_tf.run.commands_to_copy import command
from realm_tf.run.export import export_run
from realm_tf.run.folder import STAGES, WARM_START, Run
from realm_tf.run.held_out_questions import checked_questions
from realm_tf.run.left_out import note_left_out, why_left_out
from realm_tf.run.make_report import make_report
from realm_tf.run.question_splits import NoneHeldOut
from realm_tf.run.trained_reader import check_denoising, has_reader
from realm_tf.run.worth import few_held_out, poor_answers, stage_rows, unjudged, warn
from realm_tf.serving import numbered

_STEPS = 2000  # at most, as in recipes/own.py: `passes` ends them before


def whole_run(run: Run, strict: bool = False) -> None:
  """Makes what is not there yet; prints the table of stages and asks the export.

  Where a config names no questions, to train on or to be measured by, nothing is measured:
  a run can be of documents alone. Nor is it where those to train on are too few to hold
  some out. `strict` is that of `stages.corpus`.
  """
  started = time.monotonic()
  _check_questions_are_used(run)
  _say("corpus")
  stages.corpus(run, strict)
  if run.config.pretrain.steps:
    stages.check_candidates(run)  # now, and not when ICT is done
  if run.config.dpr.steps and not run.is_done("dpr"):
    check_denoising(run)
  measured = _count(run)
  if measured:
    bm25(run)
    stages.evaluate(run, WARM_START)
  for stage in STAGES:
    if getattr(run.config, stage).steps or run.is_done(stage):
      _train(run, stage, measured)
  if measured:
    hybrid(run, run.newest_stage())
  _say("export")
  if numbered.newest(run.path / "export") is None:
    export_run(run)
  _finish(run, time.monotonic() - started, measured)


def _check_questions_are_used(run: Run) -> None:
  """A run that was begun without questions has no stage that learns from them."""
  config = run.config
  if config.finetune.questions and not config.dpr.steps and not config.finetune.steps:
    raise UserError(
        f"config.finetune.questions: '{config.finetune.questions}' would not be learnt from, "
        "since finetune.steps is 0, as in runs that were begun without questions; " +
        command("run", run.path, f"--config.finetune.questions={config.finetune.questions}",
                f"--config.finetune.steps={_STEPS}") + " trains the reader by them")


def _count(run: Run) -> bool:
  """Prints how many blocks and questions there are; whether some are to measure by."""
  config, counts = run.config, [counted(run.corpus.num_blocks, "block")]
  train = bool(config.dpr.steps or config.finetune.steps)
  measured = train or bool(config.evaluate.questions or config.trivia)
  if train:
    counts.append(f"{counted(len(checked_questions(run, 'train')), 'question')} to train on")
  try:
    counts.append(f"{len(checked_questions(run))} " + (
        "to measure by" if config.evaluate.questions else "held out") if measured else
                  "no questions: nothing is measured")
  except NoneHeldOut:
    counts.append("too few to hold some out: nothing is measured")
    measured = False
  print(", ".join(counts))
  if train and unjudged(run):
    print(unjudged(run))
  return measured


def _train(run: Run, stage: str, measured: bool) -> None:
  _say(stage)
  if not run.is_done(stage):
    obstacle = why_left_out(run, stage)
    if obstacle:
      print(f"left out: {obstacle}")
      note_left_out(run, stage, obstacle)
      return
    getattr(stages, stage)(run)
  if measured:
    stages.evaluate(run, stage)
    warn(run, stage)


def _say(heading: str) -> None:
  print(f"\n=== {heading}", flush=True)


def _finish(run: Run, seconds: float, measured: bool) -> None:
  if measured:
    table = stage_table(stage_rows(run))
    with new_file(run.path / "table.txt", "w") as file:
      file.write(table + "\n")
    count = len(run.questions("held_out"))
    held_out = (f"{counted(count, 'question')} to measure by" if run.config.evaluate.questions
                else counted(count, "held-out question"))
    print(f"\n{held_out}:\n\n{table}\n")
  for doubt in filter(None, [few_held_out(run), poor_answers(run)]):
    logging.warning("%s", doubt)
  trained = sum(run.minutes(stage) for stage in STAGES if run.is_done(stage))
  print(f"this command took {seconds / 60:.1f} minutes; training took {trained:.1f} in all, "
        "earlier commands counted")
  if run.config.demo_questions:
    records = by_export(run.path / "export", as_json=False)(run.config.demo_questions)
    write_rows(run.path / "evaluation" / "asked.jsonl", records)
  _say_what_next(run, make_report(run))


def _say_what_next(run: Run, report: pathlib.Path) -> None:
  folder = shlex.quote(str(run.path))
  asks = "ask" if has_reader(run) else "search"  # what there is to be had
  print(f"\nreport: {report}\nexport: {numbered.newest(run.path / 'export')}\n"
        f"curves: tensorboard --logdir={folder}\n"
        f"{asks}: realm {asks} --workdir={folder} \"...\"")
