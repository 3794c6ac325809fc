"""The stages of a run, each from a run folder to a run folder.

TensorFlow is imported here, and so only once a command really runs.
"""

import contextlib
import functools
import time
from typing import Any, Callable

import numpy as np
from absl import logging

from realm_tf import assets, files, folders
from realm_tf.config import cache
from realm_tf.corpus.manifest import MANIFEST
from realm_tf.counted import counted
from realm_tf.datasets import trivia
from realm_tf.datasets.questions import write_questions
from realm_tf.diagnosis.by_step import diagnose_by_step
from realm_tf.distribute.processes import is_chief
from realm_tf.distribute.strategy import is_tpu
from realm_tf.errors import UserError
from realm_tf.evaluation.calibration import UNCALIBRATED
from realm_tf.evaluation.masked_words import masked_words
from realm_tf.examples.cloze_questions import asks
from realm_tf.jsonl import write_rows
from realm_tf.models import limits
from realm_tf.models.pretrained import MODEL
from realm_tf.run import calibrate, evaluations, used
from realm_tf.run.beam_derived import answer_places, find_bans, find_places, find_related
from realm_tf.run.document_import import make_corpus, make_sentences
from realm_tf.run.embedding_anew import EmbeddingAnew
from realm_tf.run.folder import STAGES, WARM_START, WITHOUT_WORDS, Run
from realm_tf.run.held_out_events import write_events
from realm_tf.run.held_out_questions import (
  checked_questions,
  distant_questions,
  measured,
  same_measure,
)
from realm_tf.run.judge import make_judge
from realm_tf.run.scoring import lost_by_index, scored
from realm_tf.run.trained_reader import check_denoising, has_reader
from realm_tf.text import tokenizer_files
from realm_tf.training import schedule
from realm_tf.training.cloze import train_cloze
from realm_tf.training.dpr import train_dpr
from realm_tf.training.encoder_first import train_encoder_first
from realm_tf.training.finetune import train_finetune
from realm_tf.training.ict import train_ict
from realm_tf.training.pretrain import train_pretrain


def _alone(stage: Callable[..., None]) -> Callable[..., None]:
  """A stage beside which no other process changes the run."""
  @functools.wraps(stage)
  def holding(run: Run, *arguments: Any) -> None:
    with run.at_work(stage.__name__), contextlib.ExitStack() as context:
      if stage.__name__ in STAGES:
        folders.check_replaceable(run.path / stage.__name__ / "model", MODEL)  # not too late
        if is_chief(run.strategy):
          context.enter_context(used.recording(run.config, run.path, stage.__name__))
      stage(run, *arguments)
  return holding


@_alone
def corpus(run: Run, strict: bool = False, beam: str | None = None) -> None:
  """Fetches what the config names, writes the block store, makes the questions.

  Documents that cannot be read, or have a blank text, are passed over, or refused where
  `strict`. They are cut, and answers of trivia found in them, on this machine, or by Apache
  Beam with the options in `beam`.
  """
  config = run.config
  if config.assets:
    assets.fetch(config.assets, config.assets_folder or config.data or cache())
  if not config.corpus.source:
    raise UserError("config.corpus.source: name the documents: JSONL with id, title, text")
  if not (run.path / "corpus" / MANIFEST).exists():
    limits.check_weights(config)
    tokenizer = tokenizer_files.read_tokenizer(config.retriever.weights)
    tokenizer_files.check_tokenizer(config.encoder.weights, tokenizer)
    make_corpus(run, tokenizer, strict, beam)
    used.record_used(config, run.path, "corpus")
  if config.trivia and not (run.path / "questions").exists():
    _write_trivia(run, beam)


def _write_trivia(run: Run, beam: str | None) -> None:
  """Keeps the questions whose answer stands in the corpus, but not everywhere."""
  questions = trivia.read_trivia(run.config.trivia)
  occurrences = answer_places(questions, run.corpus, beam)
  blocks = np.array([len(np.unique(occurrences.rows[a:b]))
                     for a, b in zip(occurrences.splits, occurrences.splits[1:])])
  # An answer that stands in 1 % of all blocks is found by chance, not by reading.
  usable = np.flatnonzero((blocks > 0) & (blocks <= 0.01 * run.corpus.num_blocks))
  train, held_out = trivia.split_trivia([questions[i] for i in usable], 0.2, run.config.seed)
  with folders.new_folder(run.path / "questions") as new:
    write_questions(new / "train.jsonl", train)
    write_questions(new / "held_out.jsonl", held_out)


def check_candidates(run: Run, beam: str | None = None) -> None:
  """Refuses to look for more candidates than the corpus has, those of reading too."""
  make_sentences(run, beam)
  find_bans(run.config, run.sentences, beam)
  config, blocks = run.config, run.corpus.num_blocks
  most = blocks + 1 - run.sentence_bans.shape[1]  # with the null document
  if most < 2:
    raise UserError(f"config.corpus.source: {counted(blocks, 'block')}, of which a "
                    "sentence's own and those like it are banned, are too few for masked "
                    "sentences: give more documents, or set --config.pretrain.steps=0")
  candidates_of = {"pretrain": config.pretrain.candidates,
                   "reading": config.reading.candidates if config.reading.steps else 0}
  for stage, candidates in candidates_of.items():
    if candidates > most:
      raise UserError(f"config.{stage}.candidates: {candidates} are more than a corpus of "
                      f"{counted(blocks, 'block')} has, less the banned ones; give {most} or "
                      "fewer")


@_alone
def ict(run: Run) -> None:
  started = time.monotonic()
  model = run.model(WARM_START)
  loop = train_ict(run.config, run.corpus, model, run.path / "ict")
  run.finish("ict", model, started - loop.earlier_seconds, **loop.facts())


@_alone
def pretrain(run: Run, beam: str | None = None) -> None:
  started = time.monotonic()
  reading = run.config.reading
  if (reading.steps or reading.masked_lm_steps) and is_tpu(run.strategy):
    raise UserError("--strategy=tpu: the warm-up of the encoder (config.reading.steps, "
                    "config.reading.masked_lm_steps) packs at lengths that follow the data, "
                    "which a TPU cannot run; set it to 0, or use another strategy")
  check_candidates(run, beam)
  find_related(run.config, run.sentences, beam)
  model = run.model(run.stage_before("pretrain"))
  index, sentences, bans = run.index(model), run.sentences, run.sentence_bans
  config = schedule.fitted_to_sentences(run.config, "pretrain", sentences)
  if not config.pretrain.ban:
    bans = np.full_like(bans[:, :1], -1)
  started -= train_encoder_first(config, sentences, run.passages, model, index, bans,
                                 run.path / "pretrain")
  loop, refresher = train_pretrain(
      config, run.corpus, run.passages, model, index, bans, run.path / "pretrain",
      before_step=[diagnose_by_step(config, sentences, run.passages, model, index, bans)],
      sentences=sentences)
  run.finish("pretrain", model, started - loop.earlier_seconds, refreshes=refresher.swaps,
             **loop.facts())


@_alone
def dpr(run: Run, beam: str | None = None) -> None:
  started = time.monotonic()
  check_denoising(run)
  train, dev = checked_questions(run, "train"), run.questions("dev")
  for questions in (train, dev):
    find_places(questions, run.corpus, beam)
  model = run.model(run.stage_before("dpr"))
  loop = train_dpr(run.config, run.corpus, run.passages, model, EmbeddingAnew(run, model),
                   train, dev, run.path / "dpr")
  run.finish("dpr", model, started - loop.earlier_seconds, **loop.facts())


@_alone
def cloze(run: Run, beam: str | None = None) -> None:
  started = time.monotonic()
  about_own_block = asks(run.config)
  if not about_own_block:
    find_bans(run.config, run.corpus, beam)
  model = run.model(run.stage_before("cloze"))
  loop = train_cloze(run.config, run.corpus, run.passages, model, run.index(model),
                     None if about_own_block else run.banned, run.path / "cloze")
  run.finish("cloze", model, started - loop.earlier_seconds, **loop.facts())


@_alone
def finetune(run: Run, beam: str | None = None) -> None:
  questions = checked_questions(run, "train") + distant_questions(run)
  find_places(questions, run.corpus, beam)
  model = run.model(run.stage_before("finetune"))
  index = run.index(model)
  started = time.monotonic()
  trained = train_finetune(run.config, run.corpus, run.passages, model, index, questions,
                           run.path / "finetune", make_judge(run, model, index))
  run.finish("finetune", model, started - trained.earlier_seconds, **trained.facts)


def index(run: Run) -> None:
  """Embeds the corpus by the newest model; builds the index.

  What an approximate one misses is measured, logged, and kept in `index/KIND.json`.
  """
  stage = run.newest_stage()
  answerer = run.answerer(stage)
  if answerer.index.is_exact():
    return
  facts = {"stage": stage, "queries": run.config.index.recall_queries,
           **answerer.index.facts()}
  try:
    questions = run.questions("held_out")[:run.config.index.recall_queries]
  except UserError:  # there are none; recall is of the beginnings of blocks
    questions = []
  if questions:
    metrics, _ = scored(run, answerer, questions, has_reader(run, stage))
    facts |= lost_by_index(run, stage, questions, metrics)
  kind = run.config.index.kind
  logging.info("%s: %s", kind, ", ".join(f"{name} {value}" for name, value in facts.items()))
  files.write_json(run.index_root / f"{kind}.json", facts)


def evaluate(run: Run, stage: str) -> dict[str, Any]:
  """Evaluates a stage by the held-out questions, once; reads only where it has learnt to."""
  which = "" if run.checkpoint == "last" else f"-{run.checkpoint}"
  path = evaluations.metrics_path(run.path, f"{stage}{which}")
  if stage == "finetune":  # the others have no reader of questions yet
    calibrate.calibrate_if_possible(run, stage)
  rule = run.calibration(stage).rule
  if path.exists():
    metrics = files.read_object(path)
    if (same_measure(metrics, measured(run, run.questions("held_out")))
        and metrics.get("answers", UNCALIBRATED.rule) == rule):
      return metrics  # else documents came or went, or these are other questions
  with_words = run.config.evaluate.masked_sentences and stage not in WITHOUT_WORDS
  if with_words:
    check_candidates(run)
  questions = checked_questions(run)
  answerer = run.answerer(stage)
  metrics, records = scored(run, answerer, questions, has_reader(run, stage))
  if stage == "finetune":
    metrics |= calibrate.probability_figures(run, answerer, questions, records)
  metrics |= measured(run, questions) | {"answers": rule}
  if not answerer.index.is_exact():
    metrics |= answerer.index.facts() | lost_by_index(run, stage, questions, metrics)
  if with_words:
    metrics.update(masked_words(run.config, run.sentences, run.passages, answerer.model,
                                answerer.index, run.sentence_bans))
  used.record_used(run.config, run.path, "evaluate")
  write_events(run, f"{stage}{which}", metrics)
  write_rows(evaluations.predictions_path(run.path, f"{stage}{which}"), records)
  files.write_json(path, metrics)
  return metrics
