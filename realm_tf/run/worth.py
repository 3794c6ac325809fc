"""What each stage of a run is worth, and a warning where it is worth less than nothing."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from absl import logging

from realm_tf import files
from realm_tf.counted import counted
from realm_tf.datasets import dev
from realm_tf.evaluation import compare, figures, predictions
from realm_tf.evaluation.compare import Difference
from realm_tf.report.tables import Stage
from realm_tf.run import evaluations
from realm_tf.run.baselines import BM25, hybrid_name
from realm_tf.run.commands_to_copy import command
from realm_tf.run.folder import STAGES, WARM_START, Run
from realm_tf.run.held_out_questions import same_measure
from realm_tf.run.left_out import why_left_out
from realm_tf.run.trained_reader import has_reader

FEW = 20  # held-out questions: of fewer, one that is lost is no sign of anything
_POOR = 1 / 3  # of the questions whose answer was read: fewer right ones are few
CHOSEN = ("dpr", "finetune")  # stages that end as the best that they were, by dev questions
_DEPTHS = (1, 5, 20)  # of the recall that a stage must not lose


def stage_rows(run: Run) -> list[Stage]:
  """The table of what has been evaluated so far; both together come last, apart."""
  ranked = [WARM_START, *STAGES]
  rows = []
  for name in (BM25, *ranked, *map(hybrid_name, ranked)):
    measured = _figures(run, name)
    if measured:
      minutes = run.minutes(name) if name in STAGES and run.is_done(name) else None
      rows.append(Stage(name, measured, minutes, tuple(warnings(run, name))))
  return rows


def warn(run: Run, stage: str) -> None:
  """Logs where a stage lost, a line for each figure, and what is to be done where nothing
  but its last step could be its model."""
  lost = list(warnings(run, stage))
  for warning in lost:
    logging.warning("%s", warning)
  if lost and stage in CHOSEN and not run.questions("dev"):
    logging.warning(
        "%s: no dev questions chose its best model; %s leaves it out", stage,
        command("run", run.path, f"--config.{stage}.steps=0", f"--redo={stage}"))


def few_held_out(run: Run) -> str:
  """Says where so few questions are held out that one more or less changes the figures."""
  count = _figures(run, run.newest_stage()).get("questions", FEW)
  if count >= FEW:
    return ""
  off = 98 / math.sqrt(count)  # half a 95 % interval of a share of a half, where it is widest
  more = (f"write {FEW} or more into {run.config.evaluate.questions}"
          if run.config.evaluate.questions else
          f"hold out {FEW} or more, with more in {run.config.finetune.questions} or a higher "
          f"config.evaluate.share than {run.config.evaluate.share:g}")
  tell = "tells" if count == 1 else "tell"
  return (f"{counted(count, 'held-out question')} {tell} little: these figures may be off by "
          f"{off:.0f} points; {more}")


def unjudged(run: Run) -> str:
  """Says where no dev questions are there to choose the best model of a stage by."""
  if not run.config.dev.share or run.questions("dev"):
    return ""
  stages = [stage for stage in CHOSEN
            if getattr(run.config, stage).steps and not why_left_out(run, stage)]
  return (f"no dev questions ({dev.FEWEST} or more to train on give some, or "
          "config.dev.questions): nothing chooses the best model, and "
          f"{' and '.join(stages)} {'ends' if len(stages) == 1 else 'end'} with the last "
          "step, be it better or not")


def poor_answers(run: Run) -> str:
  """Says where the newest reader answers few questions right, or where nobody knows."""
  stage = run.newest_stage()
  if not has_reader(run, stage):
    return ""
  of_now = _figures(run, stage)
  if "exact_match" not in of_now:
    return (f"no held-out question was answered after {stage}, so nobody knows how many "
            "answers of this reader are right; where there was little to learn from they are "
            "few. Ask it some; write 30 questions or more with answers, and "
            f"{command('evaluate', run.path, '--questions=FILE')} measures it "
            "(docs/training.md has figures)")
  right, read = of_now["exact_match"], of_now.get("reader_oracle", 0.0)
  if right >= _POOR * read:
    return ""
  return (f"after {stage} {right * 100:.1f} % of the answers are right, though a right one "
          f"stands in what was read for {read * 100:.1f} %: more questions of people to "
          "train on help most, and sometimes a reader that was trained before (realm init "
          "--reader; docs/training.md has figures)")


def warnings(run: Run, stage: str) -> Iterator[str]:
  """Says where a stage is worse than that before it, or than BM25, in recall and answers.

  Answers are compared where both models can read. Whether that may be chance is said by
  the paired bootstrap over the questions; of few held-out questions nothing that may be is
  said (`few_held_out`). Evaluations of other questions, or of another corpus, are not
  compared.
  """
  if stage not in STAGES:
    return
  earlier = [WARM_START, *STAGES[:STAGES.index(stage)]]
  before = next((name for name in reversed(earlier) if _figures(run, name)), None)
  is_few = _figures(run, stage).get("questions", FEW) < FEW
  for other, than in ((before, f"after {before}"), (BM25, "of BM25")):
    for name, change in _differences(run, other, stage).items() if other else ():
      if change.difference < 0 and (change.is_beyond_chance or not is_few):
        lost, least, most = (0 - points * 100
                             for points in (change.difference, change.high, change.low))
        yield (f"after {stage} {name.replace('_', ' ')} is {change.b * 100:.1f} %, less than "
               f"{change.a * 100:.1f} % {than}: by {lost:.1f} points, 95 % interval "
               f"{least:.1f} to {most:.1f}, which "
               + ("excludes 0" if change.is_beyond_chance else "does not exclude 0"))


def _figures(run: Run, name: str) -> dict[str, Any]:
  path = evaluations.metrics_path(run.path, name)
  return files.read_object(path) if path.exists() else {}


def _differences(run: Run, before: str, stage: str) -> Mapping[str, Difference]:
  """Of the figures that must not fall, from one evaluation to another."""
  totals = [_figures(run, name) for name in (before, stage)]
  paths = [evaluations.predictions_path(run.path, name) for name in (before, stage)]
  if not all(totals) or not same_measure(*totals) or not all(path.exists() for path in paths):
    return {}
  recall_at = run.config.evaluate.recall_at
  depths = [k for k in recall_at if k in _DEPTHS] or [min(recall_at)]
  records = [predictions.read_predictions(path) for path in paths]
  questions = predictions.questions_of(paths[1], records[1])
  compared = [f"recall@{k}{rule}" for k in depths for rule in ("", "_by_gold")]
  compared += ["exact_match", "f1"]
  columns = []
  for path, listed in zip(paths, records):
    values = figures.per_question(
        questions, predictions.check_same(questions, path, listed, str(paths[1])),
        depths, None)
    columns.append({name: values[name] for name in compared if name in values})
  return compare.compare(columns[0], columns[1], samples=1000)
