"""The stages of a run, each from a run folder to a run folder.

TensorFlow is imported here, and so only once a command really runs.
"""

import functools
import time
from typing import Any, Callable

import numpy as np
from absl import logging

from realm_tf import assets, files, folders
from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.manifest import MANIFEST
from realm_tf.corpus.readers import read_documents
from realm_tf.corpus.writer import write_store
from realm_tf.datasets import trivia
from realm_tf.datasets.matching import find_occurrences
from realm_tf.datasets.questions import Question, write_questions
from realm_tf.diagnosis.by_step import diagnose_by_step
from realm_tf.distribute.strategy import is_tpu
from realm_tf.errors import UserError
from realm_tf.evaluation import evaluate as evaluation
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.evaluation.calibration import UNCALIBRATED
from realm_tf.evaluation.masked_words import masked_words
from realm_tf.index.scann import ScannIndex
from realm_tf.models import limits
from realm_tf.models.pretrained import MODEL
from realm_tf.run import calibrate
from realm_tf.run.folder import STAGES, WARM_START, Run
from realm_tf.text import tokenizer_files
from realm_tf.text.salient import tagger
from realm_tf.training.finetune import train_finetune
from realm_tf.training.ict import train_ict
from realm_tf.training.pretrain import train_pretrain
from realm_tf.training.reading import train_reading

_TOP_N = 5  # answers that an evaluation keeps of each question


def _alone(stage: Callable[..., None]) -> Callable[..., None]:
  """A stage beside which no other process changes the run."""
  @functools.wraps(stage)
  def holding(run: Run, *arguments: Any) -> None:
    with run.at_work(stage.__name__):
      if stage.__name__ in STAGES:
        folders.check(run.path / stage.__name__ / "model", MODEL)  # not after hours only
      stage(run, *arguments)
  return holding


@_alone
def corpus(run: Run, strict: bool = False) -> None:
  """Fetches what the config names, writes the block store, makes the questions.

  Documents with a blank text are passed over, or refused where `strict`.
  """
  config = run.config
  if config.assets:
    assets.fetch(config.assets, config.data)
  if not config.corpus.source:
    raise UserError("config.corpus.source: name the documents: JSONL with id, title, text")
  if not (run.path / "corpus" / MANIFEST).exists():
    limits.check_weights(config)
    tokenizer = tokenizer_files.read_tokenizer(config.retriever.weights)
    tokenizer_files.check_tokenizer(config.encoder.weights, tokenizer)
    documents = read_documents(config.corpus.source, strict, config.corpus.format)
    blocks = split_blocks(documents, tokenizer, config.corpus.max_block_tokens,
                          tagger(config.corpus.tagger))
    write_store(run.path / "corpus", blocks, tokenizer=tokenizer,
                max_tokens=config.corpus.max_block_tokens, source=config.corpus.source)
  if config.trivia and not (run.path / "questions").exists():
    _write_trivia(run)


def _write_trivia(run: Run) -> None:
  """Keeps the questions whose answer stands in the corpus, but not everywhere."""
  questions = trivia.read_trivia(run.config.trivia)
  found = find_occurrences([q.answers for q in questions], run.corpus,
                           run.corpus.tokenizer)
  blocks = np.array([len(np.unique(found.rows[a:b]))
                     for a, b in zip(found.splits, found.splits[1:])])
  # An answer that stands in 1 % of all blocks is found by chance, not by reading.
  kept = np.flatnonzero((blocks > 0) & (blocks <= 0.01 * run.corpus.num_blocks))
  train, held_out = trivia.split([questions[i] for i in kept], 0.2, run.config.seed)
  with folders.new_folder(run.path / "questions") as new:
    write_questions(new / "train.jsonl", train)
    write_questions(new / "held_out.jsonl", held_out)


def check_candidates(run: Run) -> None:
  """Refuses to look for more candidates than the corpus has, those of reading too."""
  config, blocks = run.config, run.corpus.num_blocks
  most = blocks + 1 - run.banned.shape[1]  # with the null document
  if most < 2:
    raise UserError(f"config.corpus.source: {blocks} blocks, of which a sentence's own and "
                    "those like it are banned, are too few for masked sentences: give "
                    "more documents, or set --config.pretrain.steps=0")
  wanted = {"pretrain": config.pretrain.candidates,
            "reading": config.reading.candidates if config.reading.steps else 0}
  for stage, candidates in wanted.items():
    if candidates > most:
      raise UserError(f"config.{stage}.candidates: {candidates} are more than a corpus of "
                      f"{blocks} blocks has, less the banned ones; give {most} or fewer")


@_alone
def ict(run: Run) -> None:
  started = time.monotonic()
  model = run.model(WARM_START)
  train_ict(run.config, run.corpus, model, run.path / "ict")
  run.finish("ict", model, started)


@_alone
def pretrain(run: Run) -> None:
  started = time.monotonic()
  if run.config.reading.steps and is_tpu(run.strategy):
    raise UserError("--strategy=tpu: the reading warm-up (config.reading.steps) packs at "
                    "lengths that follow the data, which a TPU cannot run; set it to 0, or "
                    "use another strategy")
  check_candidates(run)
  model = run.model(run.stage_before("pretrain"))
  index = run.index(model)
  if run.config.reading.steps:
    train_reading(run.config, run.corpus, run.passages, model, index, run.banned,
                  run.path / "pretrain" / "reading")
  _, refresher = train_pretrain(
      run.config, run.corpus, run.passages, model, index, run.banned, run.path / "pretrain",
      before_step=[diagnose_by_step(run.config, run.corpus, run.passages, model, index,
                                    run.banned)])
  run.finish("pretrain", model, started, refreshes=refresher.swaps)


@_alone
def finetune(run: Run) -> None:
  model = run.model(run.stage_before("finetune"))
  index = run.index(model)
  started = time.monotonic()
  questions = run.questions("train")
  train_finetune(run.config, run.corpus, run.passages, model, index,
                 [q.question for q in questions], [q.answers for q in questions],
                 run.path / "finetune", [q.regex for q in questions])
  run.finish("finetune", model, started)


def index(run: Run) -> None:
  """Embeds the corpus by the newest model; builds the index.

  What an approximate one misses is measured, logged, and kept in `index/scann.json`.
  """
  stage = run.newest_stage()
  if run.config.index.kind != "scann":
    run.index(run.model(stage))
    return
  answerer = run.answerer(stage)
  facts = {"stage": stage, "queries": run.config.index.recall_queries,
           **_of_scann(answerer)}
  try:
    questions = run.questions("held_out")[:run.config.index.recall_queries]
  except UserError:  # there are none; recall is of the beginnings of blocks
    questions = []
  if questions:
    facts |= _lost_by_index(run, stage, questions, _scored(run, answerer, questions)[0])
  logging.info("scann: %s", ", ".join(f"{name} {value}" for name, value in facts.items()))
  files.write_json(run.index_root / "scann.json", facts)


def evaluate(run: Run, stage: str) -> dict[str, Any]:
  """Evaluates the model of a stage on the held-out questions, once."""
  which = "" if run.checkpoint == "last" else f"-{run.checkpoint}"
  path = run.path / "evaluation" / f"{stage.replace(' ', '_')}{which}.json"
  if stage == "finetune":  # the others have no reader of questions yet
    calibrate.calibrate_if_possible(run, stage)
  rule = run.calibration(stage).rule
  if path.exists():
    metrics = files.read_json(path)
    if (metrics.get("corpus") == run.corpus.hash[:16]  # else documents came or went
        and metrics.get("answers", UNCALIBRATED.rule) == rule):
      return metrics
  with_words = run.config.evaluate.masked_sentences and stage != "finetune"  # no word head
  if with_words:
    check_candidates(run)
  questions = run.questions("held_out")
  answerer = run.answerer(stage)
  metrics, records = _scored(run, answerer, questions)
  if stage == "finetune":
    metrics |= calibrate.figures(run, answerer, questions, records)
  metrics |= {"corpus": run.corpus.hash[:16], "answers": rule}
  if run.config.index.kind == "scann":
    metrics |= _of_scann(answerer) | _lost_by_index(run, stage, questions, metrics)
  if with_words:
    metrics.update(masked_words(run.config, run.corpus, run.passages, answerer.model,
                                answerer.index, run.banned))
  evaluation.write_predictions(path.with_suffix(".predictions.jsonl"), questions, records)
  files.write_json(path, metrics)
  return metrics


def _of_scann(answerer: QuestionAnswerer) -> dict[str, Any]:
  """How an approximate index was made, and what share of the exact top K it finds."""
  index = answerer.index
  assert isinstance(index, ScannIndex)
  return {"leaves": index.config.leaves, "searched_leaves": index.config.searched_leaves,
          "rescored": index.config.rescored,
          f"index_recall@{index.config.recall_at}": index.recall}


def _lost_by_index(run: Run, stage: str, questions: list[Question],
                   metrics: dict[str, Any]) -> dict[str, float]:
  """What the approximation costs in answers: those of an exact search, less `metrics`."""
  exactly, _ = _scored(run, run.answerer(stage, exact=True), questions)
  return {f"{name}_lost_by_index": exactly[name] - metrics[name] for name in metrics
          if name == "exact_match" or name.startswith("recall@")}


def _scored(run: Run, answerer: QuestionAnswerer, questions: list[Question]
            ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
  """The metrics of a model's answers, and the answers."""
  config = run.config.evaluate
  records = list(evaluation.predict(
      answerer, [q.question for q in questions], batch_size=config.batch_size,
      passages=min(max(config.recall_at), run.corpus.num_blocks), top_n=_TOP_N))
  return evaluation.score(questions, records, config.recall_at,
                          answerer.read_blocks), records
