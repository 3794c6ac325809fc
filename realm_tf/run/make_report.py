"""`realm report`: everything that a run's folder knows of itself, on one page."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from realm_tf import config as config_lib
from realm_tf import files
from realm_tf.evaluation import predictions
from realm_tf.evaluation.mistake_kinds import is_right
from realm_tf.jsonl import read_rows, write_rows
from realm_tf.report import curves, page, reliability
from realm_tf.report.mistakes_page import mistakes_page
from realm_tf.run import evaluations, history
from realm_tf.run.folder import STAGES, WARM_START, Run
from realm_tf.run.mistakes import find_mistakes
from realm_tf.run.worth import few_held_out, poor_answers, stage_rows
from realm_tf.training.log import read_curves, read_examples
from realm_tf.training.watching import Setup, collapses

_ANSWERS = 4  # shown of those that are right, and as many of the others


def make_report(run: Run, output: files.PathLike | None = None) -> pathlib.Path:
  """Writes the page; what the run does not have is left out.

  The mistakes of its newest stage are a page of their own beside it, `*.mistakes.html`, with
  all of them in `*.mistakes.jsonl`.

  Args:
    run: however far it has come.
    output: the file; `report.html` in the run's folder where None.
  """
  target = pathlib.Path(output or run.path / "report.html")
  examples = read_examples(run.path / "pretrain" / "examples.jsonl")
  curve = read_curves(run.path / "pretrain" / "curves.csv")
  judged = _judged(run)
  parts = [
      page.header(run.config.name, _facts(run, judged)),
      page.section("What each stage is worth", page.stages(stage_rows(run)), note=(
          "On held-out questions. recall@k: one of the first k blocks holds a right answer. "
          "Exact match: the answer is one of the listed ones, once capitals, punctuation and "
          "articles are set aside; F1: the words that it shares with the nearest of them. "
          "Masked words are pieces of "
          "sentences that were never trained on, predicted without and with the retrieved "
          "blocks. Below a share: its 95 % interval (bootstrap over the questions). gold@k: "
          "the question's own passage is among the first k. + BM25: both rankings fused, "
          "recall alone.")),
      page.section("What the answers are worth", page.wrong(list(filter(
          None, [few_held_out(run), poor_answers(run)])))),
      page.section("What went wrong in pre-training", page.wrong(_collapses(run)), note=(
          "By its curves; docs/diagnosis.md says what to do about each.")),
      page.section("By source of the question", page.sources(_by_source(run)), note=(
          f"Held-out questions, after {run.newest_stage()}.")),
      page.section("Answers", page.answers(_asked(run) + _some(judged)),
                   _mistakes(run, target)),
      page.section("How sure the answers are", reliability.charts(
          *_probabilities(judged)), note=(
          "Held-out questions; the probabilities were calibrated on other ones, or not at "
          "all, as `evaluation/calibration.json` says.")),
      page.section("Before and after pre-training", page.before_and_after(examples), note=(
          "The same masked sentences, which are not trained on, with the candidates that "
          "the index gave: p(z|x) is the retriever's choice among them, p(z|x,y) what the "
          "encoder makes of it once the masked words are known.")),
      page.section("The index", curves.index_age(
          curve, run.config.refresh.max_staleness)),
      page.section("The gradient of a truncated and stale retrieval",
                   *(page.diagnosis(diagnosis) for diagnosis in _diagnoses(run)), note=(
                       "Pre-training sums over K retrieved documents instead of all, and "
                       "an older index chooses them: what that does to the retriever's "
                       "gradient, against the full sum.")),
      page.section("Curves", *(
          curves.curves(name, read_curves(path / "curves.csv"))
          for name, path in _curve_folders(run).items())),
      page.section("Config", page.settings(*(
          config_lib.flatten(config_lib.to_dict(config))
          for config in (run.config, config_lib.RealmConfig())))),
      page.section("Commands", page.commands(history.command_records(run.path)))]
  with files.new_file(target, "w") as file:
    file.write(page.page(f"{run.config.name}: report", parts))
  return target


def _collapses(run: Run) -> list[str]:
  """What the curves of pre-training say of its retrieval where it went wrong."""
  curve = read_curves(run.path / "pretrain" / "curves.csv")
  if not curve:
    return []
  setup = Setup(run.corpus.num_blocks, run.config.pretrain.candidates)
  return [f"{collapse.kind}: step {collapse.step:,} to {collapse.until:,}: {collapse.text}"
          for collapse in collapses(curve, setup)]


def _mistakes(run: Run, target: pathlib.Path) -> str:
  """Writes the page of mistakes, and all of them as JSON lines; a link to it."""
  mistakes = find_mistakes(run)
  if mistakes is None or target.exists() and not target.is_file():  # a pipe has no neighbours
    return ""
  beside = pathlib.Path(os.path.realpath(target))  # of what a link or /dev/stdout names
  html, lines = (beside.with_suffix(f".mistakes.{kind}") for kind in ("html", "jsonl"))
  write_rows(lines, mistakes.mistakes)
  with files.new_file(html, "w") as file:
    file.write(mistakes_page(f"{run.config.name}: mistakes after {run.newest_stage()}",
                             mistakes.mistakes, mistakes.questions, lines.name))
  return page.file_link(html.name, f"{len(mistakes.mistakes):,} of {mistakes.questions:,} "
                        "held-out questions were not answered rightly: all mistakes, by kind")


def _judged(run: Run) -> list[dict[str, Any]]:
  """What the newest stage predicted for held-out questions, and whether it is `right`."""
  path = evaluations.predictions_path(run.path, run.newest_stage())
  records = [record for record in _lines(path) if "prediction" in record]
  return [{**record, "right": is_right(question, record["prediction"])} for question, record
          in zip(predictions.questions_of(path, records), records, strict=True)]


def _probabilities(judged: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[bool]]:
  """Of the answers, where they have any, and whether these are right."""
  sure = [record for record in judged if "probability" in record]
  return [record["probability"] for record in sure], [record["right"] for record in sure]


def _some(judged: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
  """Some right answers and some others."""
  chosen = {right: [record for record in judged if record["right"] is right][:_ANSWERS]
            for right in (True, False)}
  return chosen[True] + chosen[False]


def _by_source(run: Run) -> dict[str, Any]:
  path = evaluations.metrics_path(run.path, run.newest_stage())
  return files.read_object(path).get("by_source", {}) if path.exists() else {}


def _facts(run: Run, judged: Sequence[Mapping[str, Any]]) -> list[tuple[str, Any]]:
  facts: list[tuple[str, Any]] = []
  if (run.path / "corpus").exists():
    facts.append(("blocks", f"{run.corpus.num_blocks:,}"))
  if run.is_done("pretrain"):
    others = run.banned[:, 1:] >= 0
    facts.append(("near duplicates", f"{others.any(1).mean():.2%} of the blocks have some, "
                                     f"{others.sum():,} bans"))
  facts.append(("stages done", ", ".join(filter(run.is_done, STAGES)) or "none"))
  if judged:
    right = sum(record["right"] for record in judged)
    facts.append(("answered rightly", f"{right:,} of {len(judged):,} questions, "
                                      f"{right / len(judged) * 100:.1f} %"))
  minutes = sum(run.minutes(stage) for stage in STAGES if run.is_done(stage))
  if minutes:
    facts.append(("training", f"{minutes:.1f} minutes"))
  begun = history.command_records(run.path)
  if begun:
    last = begun[-1]
    facts += [("begun", f"{begun[0]['started'][:16].replace('T', ' ')} UTC"),
              ("source", page.source_in_words(last["source"])),
              ("versions", f"realm_tf {last['versions']['realm_tf']}, TensorFlow "
                           f"{last['versions']['tensorflow']}"),
              ("machine", f"{last['processors']} × {last['processor']}")]
  return facts


def _curve_folders(run: Run) -> dict[str, pathlib.Path]:
  folders = {}
  for stage in STAGES:
    if stage == "pretrain":
      folders["masked_lm"] = run.path / stage / "masked_lm"
      folders["reading"] = run.path / stage / "reading"
    folders[stage] = run.path / stage
  return folders


def _diagnoses(run: Run) -> list[dict[str, Any]]:
  paths = (run.path / "diagnosis" / f"{stage}.json"
           for stage in (WARM_START.replace(" ", "_"), *STAGES))
  return [files.read_object(path) for path in paths if path.exists()]


def _asked(run: Run) -> list[dict[str, Any]]:
  """The questions that were asked at the end of the run; nobody says what is right."""
  return [{**record, "prediction": record["answer"], "right": None}
          for record in _lines(run.path / "evaluation" / "asked.jsonl")]


def _lines(path: pathlib.Path) -> list[dict[str, Any]]:
  if not path.exists():
    return []
  return [row.fields for row in read_rows(path, "question and answers")]
