"""A run's folder: where each stage finds its input and leaves its result.

    config.json            the config; `run.claim` says when it may change
    commands/              who wrote here: command, versions, source, machine
    corpus/                the block store
    corpus.derived/        what follows from it: columns, near duplicates, salient sentences
    documents/             corpus.json, add.json: what was left out when documents were
                           read, and why; *.skipped.jsonl: each of them by name
    questions/             train.jsonl, held_out.jsonl
    ict/ pretrain/ ...     of a stage: model/, curves, checkpoints, settings.json, done.json
    finetune.1/ ...        what `--redo` has set aside: see `run.redo`
    index/<encoder>-<corpus>/  embeddings by one document tower
    pretrain/index/*/      those that were made while it trained
    pretrain/sentences/    the store of pretrain.corpus, where sentences are of another one
    evaluation/            <stage>.json, <stage>.predictions.jsonl, calibration.json;
                           <stage>-best.* of the best checkpoint; bm25.*, <stage>+bm25.*
    diagnosis/             <stage>.json, <stage>.html
    left_out.json          why `realm run` left a stage out
    export/1/ and so on    versions of the SavedModel
    report.html            all of it on a page; report.mistakes.html, .jsonl
    .lock                  while a command trains or changes documents: which one it is
"""

import contextlib
import dataclasses
import errno
import functools
import pathlib
import time
from typing import Any, Collection, Iterator, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from realm_tf import config as config_lib
from realm_tf import files, folders, locks
from realm_tf.config import RealmConfig
from realm_tf.config.owners import STAGES
from realm_tf.corpus.duplicates import stored_bans
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.datasets.questions import Question
from realm_tf.distribute.processes import is_chief
from realm_tf.errors import UserError
from realm_tf.evaluation import calibration
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.evaluation.calibration import Calibration
from realm_tf.index import stored_index
from realm_tf.index.build import build_index, rows_to_read
from realm_tf.index.embed import (
  CorpusEmbedder,
  OnRows,
  collect_rows,
  encoder_hash,
  find_or_store,
)
from realm_tf.index.interface import RowIndex
from realm_tf.index.stored_index import StoredIndex
from realm_tf.models import limits
from realm_tf.models.pretrained import MODEL
from realm_tf.models.realm import Realm
from realm_tf.progress import RestOf, progress
from realm_tf.run import computing
from realm_tf.run.claim import claim
from realm_tf.run.model import initial_model, saved_model
from realm_tf.run.question_splits import questions
from realm_tf.run.redo import recover_redo
from realm_tf.run.retrieval import retrieve_passages
from realm_tf.run.sentence_corpus import open_sentences
from realm_tf.text import tokenizer_files
from realm_tf.text.inputs import pack_single
from realm_tf.training.checkpoints import restore_best

WITHOUT_WORDS = ("cloze", "finetune")  # stages after which masked words are not predicted
WARM_START = "warm start"
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class Run:
  """One run: its config, of which see `claim`, and what its stages have made so far."""

  def __init__(self, config: RealmConfig, folder: files.PathLike,
               redo: Collection[str] = (), kept: bool = True, makes: Collection[str] = ()):
    self.config, self.path = config_lib.resolved(config, "."), pathlib.Path(folder)
    # By which models are trained; what they learn does not depend on it.
    self.strategy = tf.distribute.get_strategy()
    # Which model of a stage is meant: the "last", or the "best" by `config.best_metric`.
    self.checkpoint = "last"
    self._is_at_work = False
    computing.set_up(config)
    for part in ("corpus", "export", *(f"{stage}/model" for stage in STAGES)):
      folders.recover(self.path / part)
    claim(self.config, self.path, redo, kept, makes)

  @classmethod
  def existing(cls, folder: files.PathLike) -> "Run":
    """Opens a run by its folder alone."""
    recover_redo(folder)
    return cls(config_lib.read_folder(folder), folder)

  @contextlib.contextmanager
  def at_work(self, command: str) -> Iterator[None]:
    """Holds the run: no other process trains in it or changes its corpus meanwhile.

    Of processes that train together the chief holds it. A second time is no harm.

    Raises:
      UserError: names the process that is at work.
    """
    if self._is_at_work or not is_chief(self.strategy):
      yield
      return
    with locks.lock(self.path / ".lock", self.path, f"`realm {command}`"):
      self._is_at_work = True
      files.remove_leftovers(self.path / "documents")
      try:
        yield
      finally:
        self._is_at_work = False

  @functools.cached_property
  def corpus(self) -> Corpus:
    return Corpus.open(self.path / "corpus")

  def forget_corpus(self) -> None:
    """Lets the next use read it again, after a change."""
    for name in ("corpus", "passages", "banned", "sentences", "sentence_bans"):
      self.__dict__.pop(name, None)

  @functools.cached_property
  def passages(self) -> Passages:
    return Passages(self.corpus)

  @functools.cached_property
  def banned(self) -> np.ndarray:
    """[N, R] int32: the blocks from which those of a sentence must not be predicted."""
    return stored_bans(self.corpus, self.config.pretrain.ban_similarity)

  @functools.cached_property
  def sentences(self) -> Corpus:
    """What is masked in pre-training: see `sentence_corpus.open_sentences`."""
    return open_sentences(self.config, self.path, self.corpus)

  @functools.cached_property
  def sentence_bans(self) -> np.ndarray:
    """[N, R] int32, as `banned` of the blocks of `sentences`."""
    if self.sentences is self.corpus:
      return self.banned
    return stored_bans(self.sentences, self.config.pretrain.ban_similarity)

  def questions(self, part: str) -> list[Question]:
    """The questions of `part`, "train", "dev" or "held_out"; see `run.question_splits`."""
    return questions(self.config, self.path / "questions", part, lambda: self.corpus)

  # Stages.

  def is_done(self, stage: str) -> bool:
    return (self.path / stage / "done.json").exists()

  def finish(self, stage: str, model: Realm, started: float, **facts: Any) -> None:
    """Saves a stage's model, then marks the stage as done; only the chief does."""
    if not is_chief(self.strategy):
      return
    with folders.new_folder(self.path / stage / "model", MODEL) as new:
      model.save_pretrained(new)
    files.write_json(self.path / stage / "done.json", {
        "minutes": (time.monotonic() - started) / 60, **facts})

  def minutes(self, stage: str) -> float:
    return self._facts(stage)["minutes"]

  def steps(self, stage: str) -> int:
    """How many a stage that is done had: fewer than its config says where data are few."""
    return self._facts(stage).get("steps", getattr(self.config, stage).steps)

  def _facts(self, stage: str) -> dict[str, Any]:
    return files.read_object(self.path / stage / "done.json")

  def newest_stage(self) -> str:
    """The last stage that is done; the warm start if none is."""
    return next((s for s in reversed(STAGES) if self.is_done(s)), WARM_START)

  def stage_before(self, stage: str) -> str:
    before = STAGES[:STAGES.index(stage)]
    return next((s for s in reversed(before) if self.is_done(s)), WARM_START)

  def model(self, stage: str) -> Realm:
    """The model as it stands after a stage, on the devices of the strategy."""
    with self.strategy.scope():
      if stage == WARM_START and self.checkpoint == "best":
        raise UserError(f"{self.path}: --checkpoint=best needs a stage that is done")
      if stage == WARM_START:
        limits.check_weights(self.config, self.corpus.tokenizer.vocab_size)
        for part in (self.config.retriever, self.config.encoder):
          tokenizer_files.check_tokenizer(part.weights, self.corpus.tokenizer)
        return initial_model(self.config, self.corpus.tokenizer, self.corpus)
      if stage not in STAGES:
        raise UserError(f"'{stage}': no such stage; expected one of {', '.join(STAGES)}")
      if not self.is_done(stage):
        raise UserError(f"{self.path / stage}: this stage is not done; run `realm {stage}`")
      model = saved_model(self.config, self.path / stage / "model", self.corpus.tokenizer)
    if self.checkpoint == "best":
      parts = {"retriever": model.retriever} if stage in ("ict", "dpr") else {"model": model}
      restore_best(self.path / stage / "checkpoints", **parts)
    return model

  # Index.

  def embedder(self, model: Realm) -> CorpusEmbedder:
    """Embeds the corpus by the model's own document tower, or by a less precise copy of it
    as it is now."""
    retriever = model.retriever
    own = retriever.embed_precision in ("", retriever.precision)
    embedder = CorpusEmbedder(self.passages,
                              (lambda: retriever.document_tower) if own else model.make_tower,
                              self.config.retriever.document_length,
                              self.config.embed_batch_tokens)
    embedder.snapshot(retriever.document_tower)
    return embedder

  @property
  def index_root(self) -> pathlib.Path:
    return self.path / "index"

  def stored_index(self, model: Realm, on_rows: OnRows = lambda count: None) -> StoredIndex:
    """This tower's embeddings: as they lie there, with new blocks added, or made now.

    `on_rows` is told how many blocks are done; it may raise to stop.
    """
    with RestOf(self.corpus.num_blocks, "embed", "block") as bar:
      def tell(count: int) -> None:
        bar.add(count)
        on_rows(count)

      return find_or_store(self.index_root, self.corpus,
                           encoder_hash(model.retriever.document_tower),
                           lambda: self.embedder(model), self.config.embedding_dtype, tell)

  def embeddings(self, model: Realm, rows: np.ndarray,
                 on_rows: OnRows = lambda count: None) -> np.ndarray:
    """[n, D] of these stored rows; where the run cannot be written they are not kept."""
    try:
      return self.stored_index(model, on_rows).read(rows)
    except OSError as error:
      if error.errno not in _READ_ONLY:
        raise
      logging.warning("%s: cannot be written (%s): the embeddings of the corpus are made "
                      "for this command alone", self.index_root, error.strerror)
    embedder = self.embedder(model)
    with progress(embedder.num_rows, "embed", "block") as bar:
      table = collect_rows(embedder.batches(), embedder.num_rows, bar.update)
    places = np.searchsorted(self.corpus.stored_rows, rows)
    return table[places].astype(stored_index.DTYPES[self.config.embedding_dtype])

  def index(self, model: Realm, exact: bool = False) -> RowIndex:
    """The corpus as this model's document tower sees it, searched as the config says."""
    config = (dataclasses.replace(self.config, index=config_lib.IndexConfig()) if exact
              else self.config)
    rows = self.corpus.stored_rows
    own = rows[rows_to_read(config, len(rows), self.strategy)]
    return build_index(config, self.embeddings(model, own), 0,
                       lambda: self._sample_queries(model), self.strategy, len(rows))

  def _sample_queries(self, model: Realm) -> np.ndarray:
    """[Q, D]: questions that were held out; where there are none, blocks' beginnings."""
    try:
      texts = [question.question for question in self.questions("held_out")]
    except UserError:
      rows = np.random.default_rng(self.config.seed).permutation(self.corpus.num_blocks)
      texts = self.corpus.texts[rows].tolist()
    tokens = self.corpus.tokenizer.tokenize(texts[:self.config.index.recall_queries])
    packed = pack_single(tokens, self.config.retriever.query_length, self.corpus.tokenizer)
    return model.retriever.embed_queries(packed).numpy()

  @property
  def calibration_path(self) -> pathlib.Path:
    which = "" if self.checkpoint == "last" else f"-{self.checkpoint}"
    return self.path / "evaluation" / f"calibration{which}.json"

  def calibration(self, stage: str) -> Calibration:
    """How answers of a stage's model are scored: as `realm calibrate` found, if it ran."""
    if self.calibration_path.exists():
      rule = calibration.read_calibration(self.calibration_path)
      if rule.model == stage:
        return rule
    return Calibration()

  def search(self, questions: Sequence[str], k: int = 5) -> list[list[dict[str, Any]]]:
    """The k best passages for each question by the newest retriever: see `run.retrieval`."""
    return retrieve_passages(self.answerer(self.newest_stage()), questions, k)

  def answerer(self, stage: str, exact: bool = False) -> QuestionAnswerer:
    """The model of a stage with its index; see `index`."""
    model = self.model(stage)
    return QuestionAnswerer(model, self.corpus, self.passages, self.index(model, exact),
                            self.config.evaluate.read_blocks, self.calibration(stage),
                            self.config.retriever.exact_words)
