"""Exports a SavedModel from question strings to answers (for TensorFlow Serving).

`serving.signatures` says what it is asked, `serving.numbered` where it is put. Tokenising,
search, reading and cutting the answer out of the original text are all in the graph; there
is no Python in it. Texts and tables are in its variables, so the graph stays small. The
calibration is in the graph too, and beside it as `calibration.json`. Three flavours:

* `portable`: stock TensorFlow and TF Text ops only;
* `native`: searches and reads by our ops, which the server must have loaded; the weights
  of its BERTs are packed for them (`ops.bert`), in float32 or eight bits;
* `scann`: searches by ScaNN's, and scores as the others do; approximate.
"""

import importlib
import os
import pathlib
from typing import Any, Mapping, Sequence

import tensorflow as tf

from realm_tf.evaluation import calibration
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.files import PathLike
from realm_tf.ops import portable
from realm_tf.ops.bert import computing
from realm_tf.ops.compiling import compiling
from realm_tf.serving import numbered, record, variables, warmup
from realm_tf.serving.packing import packed_berts
from realm_tf.serving.response import answer_records, passage_records
from realm_tf.serving.signatures import Signatures

_CALIBRATION = "calibration.json"
# The modules that register what a flavour needs besides TensorFlow and TF Text.
_OPS: dict[str, tuple[str, ...]] = {
    "portable": (), "native": ("realm_tf.ops.library",),
    "scann": ("scann.scann_ops.py.scann_ops",)}


def export(answerer: QuestionAnswerer, base: PathLike, flavour: str = "portable",
           questions: Sequence[str] = (), reads: bool = True, precision: str = ""
           ) -> pathlib.Path:
  """Writes the next version in `base`, whole or not at all; returns its folder.

  Args:
    answerer: what is exported.
    base: see `numbered.next_version`.
    flavour: is recorded. With "native" it computes and searches by our ops.
    questions: to warm up by; by default beginnings of the corpus's texts.
    reads: whether the model's reader was trained; without one it only finds passages.
    precision: "float32" or "int8", of the BERTs of the flavour "native"; by default that of
      each, where "bfloat16" is not packed.
  """
  with numbered.next_version(base) as (new, version):
    write_model(answerer, new, flavour, questions, reads, precision)
  return version


def write_model(answerer: QuestionAnswerer, folder: pathlib.Path, flavour: str = "portable",
                questions: Sequence[str] = (), reads: bool = True, precision: str = "",
                **model: str) -> None:
  """Writes a SavedModel and what belongs to it into an empty folder.

  Args:
    answerer, flavour, questions, reads, precision: see `export`.
    folder: the empty one.
    **model: see `record.write_record`.
  """
  parts = [folder / "variables", folder / "assets"]
  for part in parts:
    part.mkdir()  # TensorFlow would, but with permissions of its own
  packed = packed_berts(answerer, precision) if flavour == "native" else {}
  if packed and precision:
    model["precision"] = precision
  # Nothing in it is for XLA, wherever it is written.
  with computing(packed) if flavour == "native" else portable(), compiling("off"):
    served = Signatures(answerer, list(packed.values()), reads)
    tf.saved_model.save(served, str(folder), signatures=served.functions)

    def answer(asked: Sequence[str], top_n: int) -> list[dict[str, Any]]:
      return answer_records(
          served.answer(tf.constant(asked, tf.string), tf.constant([top_n])))

    def retrieve(asked: Sequence[str], k: int) -> list[list[dict[str, Any]]]:
      return passage_records(served.retrieve(
          tf.constant(asked, tf.string), tf.constant([min(k, answerer.num_blocks)])))

    warmup.write_warmup(folder, served.functions, questions or _beginnings(answerer),
                        answer if reads else None, retrieve)
  for part in parts:
    if not os.listdir(part):
      part.rmdir()
  calibration.write_calibration(folder / _CALIBRATION, answerer.calibration)
  record.write_record(folder, answerer, flavour,
                      variables.hashes(getattr(served, variables.ATTRIBUTE)), **model)


def _beginnings(answerer: QuestionAnswerer) -> list[str]:
  texts = answerer.corpus.texts[:warmup.MOST_QUESTIONS].tolist()
  return [" ".join(text.decode().split()[:8]) for text in texts]


def load_saved_model(path: PathLike):
  """The SavedModel of an export, or of its newest version: see `serving.signatures`.

  Its functions are `answer(questions, top_n, read_blocks, threshold)`, `retrieve(questions,
  k)`, `embed(questions)` and `embed_documents(texts, titles)`, of tensors. Registers TF
  Text's ops first, and those that its flavour needs.

  Raises:
    UserError: there is no export.
  """
  return load_sharing(path, {})[0]


def load_sharing(path: PathLike, known: Mapping[str, tf.Variable]
                 ) -> tuple[Any, variables.Hashed]:
  """The same, with its variables by their hashes; those that are known are not read again.

  Of an export that is older than these hashes, no variables are named.
  """
  folder = numbered.find(path)
  facts = record.read_record(folder)
  for module in ("tensorflow_text",
                 *_OPS.get(facts.get("flavour", ""), sum(_OPS.values(), ()))):
    importlib.import_module(module)
  if "variables" not in facts:
    return tf.saved_model.load(str(folder)), {}
  return variables.load_with_shared(folder, facts["variables"], known)


def load_calibration(path: PathLike) -> calibration.Calibration:
  """That of an export; of one that is older than calibrations, none."""
  file = numbered.find(path) / _CALIBRATION
  return calibration.read_calibration(file) if file.exists() else calibration.Calibration()
