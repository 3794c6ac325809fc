"""Whether an export with a million passages is written, loads and answers; what it takes.

    python benchmarks/export_scale.py --blocks=1000000 --weights=data/weights/minilm \\
        --folder=build/export_scale --output=benchmarks/results/export_scale.json

The passages are short texts, made up or of a file, over and over, each under an id of its
own, with random vectors: nothing is embedded, and answers mean nothing. Writing and loading
are processes of their own;
`peak` is the most memory that each had resident, its start included.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

import numpy as np
from machine import processor

import realm_tf  # chooses Keras 2, before TensorFlow is imported

_DISTINCT = 1000  # texts
_LENGTH = 224  # word pieces of a block, and of a question and a block
_LOADS = 20  # questions that are asked once more, for the time of one


def _documents(sentences: int, padding: int):
  from realm_tf.corpus.readers import Document
  texts = [" ".join([*(f"The river number {i} is {i + j} km long and lies in Norway."
                       for j in range(sentences)), "x" * padding])
           for i in range(_DISTINCT)]
  return [Document(str(i), f"River {i}", text) for i, text in enumerate(texts)]


def _corpus(blocks: int, documents: list, tokenizer):
  """A corpus in memory: some texts, tiled."""
  from realm_tf.corpus import blocks as block_fields
  from realm_tf.corpus.store import Corpus
  from realm_tf.corpus.strings import Strings
  few = Corpus.from_documents(documents, tokenizer, _LENGTH)
  times = -(-blocks // few.num_blocks)

  def strings(values) -> Strings:
    parts = [bytes(value) for value in values]
    splits = np.concatenate([[0], np.cumsum(np.tile([len(part) for part in parts], times))])
    return Strings(np.tile(np.frombuffer(b"".join(parts), np.uint8), times), splits)

  def rows(ragged):
    splits = np.concatenate([[0], np.cumsum(np.tile(ragged.lengths, times))])
    return type(ragged)(np.tile(ragged.values, times), splits)

  count = times * few.num_blocks
  name = f"{count:064x}"
  return Corpus(
      folder=None, hash=name, stored_rows=np.arange(count), rows_by_hash={name: count},
      max_tokens=_LENGTH, source="made up", tokenizer=few.tokenizer,
      document_ids=Strings.of((f"d{i}" for i in range(count)), decoded=True),
      titles=strings(few.titles), texts=strings(few.texts),
      **{field: rows(getattr(few, field)) for field in block_fields.INTEGERS})


def _vectors(count: int, flags: argparse.Namespace):
  """Random ones, mapped from a file as those of an index are."""
  from realm_tf.corpus.mapped import as_tensor, map_array
  generator, path = np.random.default_rng(1), pathlib.Path(flags.folder, "vectors")
  path.parent.mkdir(parents=True, exist_ok=True)
  with open(path, "wb") as file:
    for first in range(0, count, 10_000):
      generator.standard_normal(
          (min(10_000, count - first), flags.width), np.float32).tofile(file)
  vectors = map_array(path, np.dtype(np.float32), (count, flags.width))
  path.unlink()  # it is there for as long as it is mapped
  return as_tensor(vectors)


def _write(flags: argparse.Namespace) -> dict:
  from realm_tf import config as config_lib
  from realm_tf.corpus.passages import Passages
  from realm_tf.corpus.readers import read_documents
  from realm_tf.evaluation.answering import QuestionAnswerer
  from realm_tf.index.exact import ExactIndex
  from realm_tf.run.model import initial_model
  from realm_tf.serving.saved_model import export
  from realm_tf.text.tokenizer_files import read_tokenizer
  begun = time.monotonic()
  documents = (list(read_documents(flags.documents)) if flags.documents
               else _documents(flags.sentences, flags.padding))
  corpus = _corpus(flags.blocks, documents, read_tokenizer(flags.weights))
  weights = os.path.abspath(flags.weights)
  model = initial_model(config_lib.RealmConfig(
      name="scale", retriever=config_lib.RetrieverConfig(
          weights=weights, pooling="mean", projection_size=flags.width),
      encoder=config_lib.EncoderConfig(weights=weights),
      finetune=config_lib.FinetuneConfig(reader_length=_LENGTH)), corpus.tokenizer)
  index = ExactIndex()
  index.assign(_vectors(corpus.num_blocks, flags), 0)
  made = time.monotonic() - begun
  begun = time.monotonic()
  version = export(QuestionAnswerer(model, corpus, Passages(corpus), index, 5),
                   pathlib.Path(flags.folder, flags.flavour), flags.flavour,
                   ["where is the river"], precision=flags.precision)
  return {"blocks": corpus.num_blocks, "text_bytes": int(corpus.texts._splits[-1]),
          "made_seconds": round(made, 1),
          "export_seconds": round(time.monotonic() - begun, 1),
          "disk": {path.name: path.stat().st_size for path in sorted(version.rglob("*"))
                   if path.is_file() and path.stat().st_size > 1e6},
          "graph": (version / "saved_model.pb").stat().st_size}


def _load(flags: argparse.Namespace) -> dict:
  begun = time.monotonic()
  model = realm_tf.load(str(pathlib.Path(flags.folder, flags.flavour)))
  loaded = time.monotonic() - begun
  begun = time.monotonic()
  answer, = model.answer(["where is the river number 7"])
  first = time.monotonic() - begun
  begun = time.monotonic()
  for number in range(_LOADS):
    model.answer([f"where is the river number {number}"])
  return {"load_seconds": round(loaded, 1), "first_answer_seconds": round(first, 2),
          "answer_seconds": round((time.monotonic() - begun) / _LOADS, 4),
          "passage": answer["passage_id"]}


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--blocks", type=int, default=1_000_000)
  parser.add_argument("--sentences", type=int, default=8, help="of a block, of 60 bytes")
  parser.add_argument("--padding", type=int, default=0, help="bytes of one word more in each "
                      "text, for texts of more than 2 GB that are few word pieces")
  parser.add_argument("--documents", help="file of real ones, which are repeated instead")
  parser.add_argument("--width", type=int, default=128, help="of a vector")
  parser.add_argument("--precision", default="", help="float32 or int8, of the BERTs")
  parser.add_argument("--weights", default="data/weights/minilm")
  parser.add_argument("--folder", default="build/export_scale")
  parser.add_argument("--flavour", default="native")
  parser.add_argument("--output")
  parser.add_argument("--stage", choices=["write", "load"], help="measure this alone")
  flags = parser.parse_args()
  if flags.stage:
    result = (_write if flags.stage == "write" else _load)(flags)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print("RESULT " + json.dumps(result | {"peak": peak}))
    return
  results = {"machine": processor(), "flavour": flags.flavour, "width": flags.width,
             "precision": flags.precision or "float32",
             "documents": flags.documents and os.path.basename(flags.documents)}
  for stage in ("write", "load"):
    completed = subprocess.run(
        [sys.executable, *sys.argv, f"--stage={stage}"], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[1])}, check=True)
    results[stage] = json.loads(completed.stdout.partition("RESULT ")[2])
    print(stage, json.dumps(results[stage]), flush=True)
  if flags.output:
    path = pathlib.Path(flags.output)
    before = json.loads(path.read_text()) if path.exists() else []
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([*before, results], indent=1) + "\n")


if __name__ == "__main__":
  main()
