"""Trains a tagger of names on files in CoNLL's format; see `models.tagger`.

    OUTPUT                    the tagger: whole or not there
    .<OUTPUT>.training/       settings, checkpoints and curves, until it is done

Shape letters: B batch, T tokens, L labels.
"""

import dataclasses
import json
import os
import pathlib
from typing import Any, Sequence

import numpy as np
import tensorflow as tf
import tf_keras
from absl import logging

from realm_tf import files, locks
from realm_tf.config.stage_settings import TaggerConfig
from realm_tf.datasets.conll import TaggedSentence, bio_tags, read_conll
from realm_tf.distribute import shares
from realm_tf.errors import UserError
from realm_tf.examples.order import shuffled_batches
from realm_tf.files import PathLike
from realm_tf.folders import check_replaceable, new_folder
from realm_tf.models import dropout
from realm_tf.models.bert import BertConfig
from realm_tf.models.tagger import TAGGER, BertTagger
from realm_tf.models.weights import load_bert
from realm_tf.text import tokenizer_files
from realm_tf.text.span_scores import SpanScores, span_scores
from realm_tf.training import schedule
from realm_tf.training.loop import Loop
from realm_tf.training.optimizer import make_optimizer
from realm_tf.working import WorkingKind, check_working, remove_working

_UNTAGGED = -1  # a piece that begins no word
_EVERY = 500  # steps from one checkpoint to the next
_SETTINGS = "tagger-training.json"
_WORKING = WorkingKind(
    "`realm tagger train`", r"checkpoints|curves\.csv|examples\.jsonl|tensorboard|"
    r"not-finite-\d+\.npz", _SETTINGS)


def train_tagger(output: PathLike, train: PathLike, held_out: PathLike, weights: PathLike,
                 config: TaggerConfig) -> dict[str, SpanScores]:
  """Trains a tagger and writes its folder; what was stopped goes on when called again.

  Args:
    output: the folder; see `models.tagger`.
    train, held_out: files in CoNLL's format. From the first it learns, by the second it is
      measured.
    weights: a folder with a BERT and its vocabulary.
    config: how it is trained.

  Returns:
    Scores on the held-out file, by type of entity; "" is of all types together.

  Raises:
    UserError: a file cannot be read, or `output` or the folder for what is half done is
      something else.
  """
  check_replaceable(output, TAGGER)
  folder = pathlib.Path(os.path.realpath(output))
  folder = folder.with_name(f".{folder.name}.training")
  check_working(folder, _WORKING)
  sentences, held_out_sentences = read_conll(train), read_conll(held_out)
  tokenizer = tokenizer_files.read_tokenizer(weights)
  types = sorted({entity.type for sentence in sentences for entity in sentence.entities})
  if not types:
    raise UserError(f"{train}: every tag is O; expected some entities to learn from")
  labels = ["O", *(f"{prefix}-{kind}" for kind in types for prefix in "BI")]
  bert = BertConfig.from_folder(weights, config.num_layers)
  tf_keras.utils.set_random_seed(config.seed)
  model = BertTagger(bert, labels, tokenizer, config.length, config.dropout)
  load_bert(weights, model.bert)
  settings = {**dataclasses.asdict(config), "labels": labels, "tokenizer": tokenizer.hash,
              "train": files.sha256(train),
              "weights": files.sha256(pathlib.Path(weights, "model.safetensors"))}
  with locks.lock(folder.with_name(f"{folder.name}.lock"), output, "`realm tagger train`"):
    _prepare(folder, settings)
    _learn(model, sentences, config, folder)
    scores = _scores(model, held_out_sentences)
    with new_folder(output, TAGGER) as new:
      model.save_to(new, held_out={
          kind or "all": score._asdict() for kind, score in scores.items()})
    remove_working(folder, _WORKING)
  return scores


def _prepare(folder: pathlib.Path, settings: dict[str, Any]) -> None:
  """Keeps what a stopped training left if it had these settings."""
  path = folder / _SETTINGS
  if not path.exists() or files.read_json(path) != json.loads(json.dumps(settings)):
    remove_working(folder, _WORKING)
    files.write_json(path, settings)


def _examples(model: BertTagger, sentences: Sequence[TaggedSentence]
              ) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
  """Pieces and their labels, [N, (T)] int32 each: a row for each that is read at once."""
  number_of = {label: number for number, label in enumerate(model.labels)}
  tokenizer = model.tokenizer
  words = tokenizer.tokenize([word for sentence in sentences for word in sentence.words])
  pieces = np.split(words.values.numpy(), words.row_splits.numpy()[1:-1])
  rows, row_labels, first = [], [], 0
  for sentence in sentences:
    parts = pieces[first:first + len(sentence.words)]
    first += len(parts)
    labels = []  # of what begins with a piece: a word may have several such parts
    for ids, tag in zip(parts, bio_tags(sentence.entities, len(parts))):
      inside = f"I{tag[1:]}" if tag != "O" else tag
      labels += [tag if not part else inside for part in range(len(model.word_starts(ids)))]
    at = 0
    for window in model.windows(np.concatenate(parts)):
      row = np.full(len(window.ids), _UNTAGGED, np.int32)
      row[window.words] = [number_of[label] for label in labels[at:at + len(window.words)]]
      at += len(window.words)
      rows.append(window.ids)
      row_labels.append(row)
  lengths = [len(row) for row in rows]
  return tuple(tf.RaggedTensor.from_row_lengths(np.concatenate(values), lengths)
               for values in (rows, row_labels))


def _learn(model: BertTagger, sentences: Sequence[TaggedSentence], config: TaggerConfig,
           folder: pathlib.Path) -> None:
  ids, labels = _examples(model, sentences)
  config = schedule.fitted_section(config, "tagger", int(ids.nrows()))
  variables = model.trainable_variables
  optimizer = make_optimizer(config, [model.bert]).build(variables)
  loop = Loop("tagger", folder, config.steps, {"tagger": model, "optimizer": optimizer},
              _EVERY)
  batches = shuffled_batches(int(ids.nrows()), config.batch_size, config.seed,
                             loop.first_step, config.steps)

  @tf.function(input_signature=[batches.element_spec])
  def step(batch: tuple[tf.Tensor, tf.Tensor]) -> shares.Metrics:
    _, rows = batch
    packed = model.pack(tf.gather(ids, rows))
    # Behind [CLS]; what is padded, [SEP] included, is untagged.
    right = tf.gather(labels, rows).to_tensor(_UNTAGGED)
    right = tf.pad(right, [[0, 0], [1, tf.shape(packed.ids)[1] - 1 - tf.shape(right)[1]]],
                   constant_values=_UNTAGGED)
    tagged = tf.where(right != _UNTAGGED)
    with tf.GradientTape() as tape, dropout.drawn(config.seed, optimizer.iterations):
      nats = tf.nn.sparse_softmax_cross_entropy_with_logits(
          tf.gather_nd(right, tagged), tf.gather_nd(model(packed), tagged))
      loss = tf.reduce_mean(nats)
    norm = optimizer.apply(tape.gradient(loss, variables), variables)
    return {"loss": loss, "gradient_norm": norm}

  loop.run(batches, step)


def _scores(model: BertTagger, sentences: Sequence[TaggedSentence]) -> dict[str, SpanScores]:
  right = [sentence.entities for sentence in sentences]
  found = model.entities([sentence.words for sentence in sentences])
  types = sorted({entity.type for entities in right for entity in entities})
  scores = {kind: span_scores(*([[entity for entity in entities if entity.type == kind]
                                 for entities in side] for side in (right, found)))
            for kind in types}
  scores[""] = span_scores(right, found)
  logging.info("tagger: on %d held-out sentences: %s", len(sentences), scores[""])
  return scores
