"""A run's folder: where each stage finds its input and leaves its result.

    config.json            the config; another one in the same folder is an error
    corpus/                the block store
    questions/             train.jsonl, held_out.jsonl
    ict/ pretrain/ finetune/   model/ (weights), curves, checkpoints, done.json
    index/<encoder hash>/  embeddings by one document tower
    evaluation/            <stage>.json, <stage>.predictions.jsonl
    export/                SavedModel
"""

import functools
import pathlib
import time
from typing import Any

import numpy as np
import tensorflow as tf

from realm_tf import config as config_lib
from realm_tf import files
from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.errors import UserError
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.evaluation.questions import Question, read_questions
from realm_tf.index.embed import CorpusEmbedder, collect
from realm_tf.index.exact import ExactIndex, Search
from realm_tf.index.store import encoder_hash, load_index, save_index
from realm_tf.index.top_k import top_k_inner_product
from realm_tf.models.realm import Realm
from realm_tf.progress import progress

STAGES = ("ict", "pretrain", "finetune")
WARM_START = "warm start"


class RunFolder:
  """One run: its config, and what its stages have made so far."""

  def __init__(self, config: RealmConfig, folder: files.PathLike):
    self.config, self.path = config, pathlib.Path(folder)
    self._claim()

  @classmethod
  def existing(cls, folder: files.PathLike) -> "RunFolder":
    """Opens a run by its folder alone."""
    path = pathlib.Path(folder) / "config.json"
    if not path.exists():
      raise UserError(f"{folder}: no config.json there; give --config for a new run")
    return cls(config_lib.from_dict(files.read_json(path)), folder)

  def _claim(self) -> None:
    """Writes the config into the folder, or compares it with the one there."""
    path = self.path / "config.json"
    if not path.exists():
      files.write_json(path, config_lib.to_dict(self.config))
      return
    there = config_lib.flatten(config_lib.to_dict(
        config_lib.from_dict(files.read_json(path))))
    ours = config_lib.flatten(config_lib.to_dict(self.config))
    different = [f"{key} ({there[key]} there, {ours[key]} now)"
                 for key in ours if there[key] != ours[key]]
    if different:
      raise UserError(f"{self.path}: made with another config: {', '.join(different)}; "
                      "give another --workdir, or the same values")

  @functools.cached_property
  def corpus(self) -> Corpus:
    return Corpus.open(self.path / "corpus")

  @functools.cached_property
  def passages(self) -> Passages:
    return Passages(self.corpus)

  def questions(self, part: str) -> list[Question]:
    """The questions of `part`, "train" or "held_out"."""
    stage = self.config.finetune if part == "train" else self.config.evaluate
    prepared = self.path / "questions" / f"{part}.jsonl"
    if stage.questions:
      return read_questions(stage.questions)
    if prepared.exists():
      return read_questions(prepared)
    name = "finetune" if part == "train" else "evaluate"
    raise UserError(f"config.{name}.questions: name a JSONL file with question and answer")

  # Stages.

  def is_done(self, stage: str) -> bool:
    return (self.path / stage / "done.json").exists()

  def finish(self, stage: str, model: Realm, started: float, **facts: Any) -> None:
    """Saves a stage's model, then marks the stage as done."""
    with files.new_folder(self.path / stage / "model") as new:
      model.save(new)
    files.write_json(self.path / stage / "done.json", {
        "minutes": (time.monotonic() - started) / 60, **facts})

  def minutes(self, stage: str) -> float:
    return files.read_json(self.path / stage / "done.json")["minutes"]

  def newest_stage(self) -> str:
    """The last stage that is done; the warm start if none is."""
    return next((s for s in reversed(STAGES) if self.is_done(s)), WARM_START)

  def stage_before(self, stage: str) -> str:
    before = STAGES[:STAGES.index(stage)]
    return next((s for s in reversed(before) if self.is_done(s)), WARM_START)

  def model(self, stage: str) -> Realm:
    """The model as it stands after a stage."""
    if stage == WARM_START:
      return Realm.from_weights(self.config, self.corpus.tokenizer.vocab_size)
    if not self.is_done(stage):
      raise UserError(f"{self.path / stage}: this stage is not done; run `realm {stage}`")
    return Realm.from_folder(self.config, self.path / stage / "model")

  # Index.

  def embedder(self, model: Realm) -> CorpusEmbedder:
    return CorpusEmbedder(self.passages, model.make_tower,
                          self.config.retriever.document_length,
                          self.config.embed_batch_tokens)

  def embeddings(self, model: Realm) -> np.ndarray:
    """[N, D]: read if this document tower has embedded the corpus, else made now."""
    encoder = encoder_hash(model.retriever.document_tower)
    folder = self.path / "index" / encoder[:16]
    if not folder.exists():
      embedder = self.embedder(model)
      embedder.snapshot(model.retriever.document_tower)
      with progress(embedder.num_rows, "embed", "block") as bar:
        table = collect(embedder.batches(), embedder.num_rows, bar.update)
      save_index(folder, table, dtype=self.config.embedding_dtype, step=0,
                 corpus_hash=self.corpus.hash, encoder=encoder)
    return load_index(folder, corpus_hash=self.corpus.hash, encoder=encoder)

  def index(self, model: Realm, search: Search = top_k_inner_product) -> ExactIndex:
    """The corpus as this model's document tower sees it, ready to be searched."""
    table = self.embeddings(model)
    rows, size = table.shape
    index = ExactIndex(rows, size, tf.as_dtype(self.config.embedding_dtype), search)
    index.assign(table, 0)
    return index

  def answerer(self, stage: str, search: Search = top_k_inner_product) -> QuestionAnswerer:
    model = self.model(stage)
    return QuestionAnswerer(model, self.corpus, self.passages, self.index(model, search),
                            self.config.evaluate.read_blocks)
