"""Trains single stages of the tiny world: in this process or, by `main`, in another."""

import dataclasses
import json
import os
import pathlib
import sys

import numpy as np
import tensorflow as tf

from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.distribute.strategy import make_strategy
from realm_tf.index.build import build_index, rows_to_read
from realm_tf.index.embed import CorpusEmbedder, collect_rows
from realm_tf.index.interface import RowIndex
from realm_tf.models.realm import Realm
from realm_tf.ops.compiling import set_compiling
from realm_tf.run.model import initial_model
from realm_tf.training.cloze import train_cloze
from realm_tf.training.dpr import train_dpr
from realm_tf.training.finetune import train_finetune
from realm_tf.training.ict import train_ict
from realm_tf.training.loop import Loop
from realm_tf.training.pretrain import train_pretrain
from realm_tf.training.reading import train_reading
from tests import tiny

STAGES = ("ict", "reading", "pretrain", "dpr", "cloze", "finetune")


def train(stage: str, folder: pathlib.Path, corpus: Corpus, config,
          strategy: tf.distribute.Strategy | None = None):
  """Trains one stage from the first weights on; returns its loop and its model."""
  with (strategy or tf.distribute.get_strategy()).scope():
    model = initial_model(config, corpus.tokenizer)
  if stage == "ict":
    return train_ict(config, corpus, model, folder), model
  passages = Passages(corpus)
  index = make_index(config, model, passages)
  banned = np.arange(corpus.num_blocks, dtype=np.int32)[:, None]
  if stage == "reading":
    return train_reading(config, corpus, passages, model, index, banned, folder), model
  if stage == "cloze":
    return train_cloze(config, corpus, passages, model, index,
                       None if config.cloze.form == "question" else banned, folder), model
  if stage == "pretrain":
    return train_pretrain(config, corpus, passages, model, index, banned, folder)[0], model
  if stage == "dpr":
    return train_dpr(config, corpus, passages, model,
                     lambda on_rows: embed_all(model, passages), tiny.questions(), (),
                     folder), model
  questions = [dataclasses.replace(question, gold_passage="")
               for question in tiny.questions()]
  return train_finetune(config, corpus, passages, model, index, questions,
                        folder).loops[0], model


def make_index(config, model: Realm, passages: Passages) -> RowIndex:
  """Of the kind that the config names, by the document tower as it is, as of step 0."""
  table = embed_all(model, passages)
  rows = table[rows_to_read(config, len(table), model.strategy)]
  return build_index(config, rows, 0, strategy=model.strategy,
                     num_rows=len(table))


def embed_all(model: Realm, passages: Passages) -> np.ndarray:
  """All blocks by the document tower as it is: [N, D]."""
  embedder = CorpusEmbedder(passages, model.make_tower, 64, 1024)
  embedder.snapshot(model.retriever.document_tower)
  return collect_rows(embedder.batches(), embedder.num_rows)


def saved(folder: pathlib.Path) -> dict[str, np.ndarray]:
  """All that the newest checkpoint of a stage holds, by name."""
  reader = tf.train.load_checkpoint(str(folder / "checkpoints"))
  return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
          if name != "_CHECKPOINTABLE_OBJECT_GRAPH"}


def signal_at(step: int, number: int) -> None:
  """Lets this process send itself a signal within that step, counted from 0."""
  check = Loop._check  # pylint: disable=protected-access

  def signalled(loop, metrics, at, *inputs):
    if at == step:
      os.kill(os.getpid(), number)
    check(loop, metrics, at, *inputs)

  Loop._check = signalled  # pylint: disable=protected-access


def main(stage: str, world: str, folder: str, kind: str, changes: str, *signal: str) -> None:
  """Trains a stage on the corpus and BERT that lie in `world`, deterministically."""
  if signal:
    signal_at(*map(int, signal))
  strategy = make_strategy(kind)
  tf.config.experimental.enable_op_determinism()
  set_compiling("off")  # see tests/conftest.py
  changes = json.loads(changes)
  config = tiny.make_config(pathlib.Path(world), write=False, **changes)
  train(stage, pathlib.Path(folder), Corpus.open(pathlib.Path(world) / "corpus"), config,
        strategy)


if __name__ == "__main__":
  main(*sys.argv[1:])
