"""What raises a dense retriever's recall on own questions, and what does not: many, apart.

    python benchmarks/levers.py --data=../shared/data/wiki26k --run=runs/wiki26k \\
        --json=benchmarks/results/levers.json                     # on a machine with a GPU
    python benchmarks/levers.py --run=... --data=... --export=FOLDER  # only what it needs

Each lever is one short training in PyTorch (`hugging_face/two_towers.py`), less than a minute
on an H200, so that dozens can be compared; what helps becomes a setting of ours. FOLDER can
be carried to a machine that has PyTorch and no realm_tf, where `--experiment=FOLDER` runs it.
"""

import concurrent.futures
import json
import pathlib
import shutil
import subprocess
import sys

from absl import app, flags

_RUN = flags.DEFINE_string("run", None, "A run folder, whose corpus is taken.")
_DATA = flags.DEFINE_string("data", None, "qa.train, qa.dev and distant .jsonl.gz.")
_WEIGHTS = flags.DEFINE_string("weights", "data/weights/minilm", "MiniLM's folder.")
_EXPORT = flags.DEFINE_string("export", "build/levers", "Where what it needs is written.")
_EXPERIMENT = flags.DEFINE_string("experiment", None, "What was exported before.")
_PYTHON = flags.DEFINE_string("python", sys.executable, "One with torch and transformers.")
_AT_ONCE = flags.DEFINE_integer("at_once", 4, "Trainings at a time.")
_JSON = flags.DEFINE_string("json", None, "Where to write the figures.")
_ONLY = flags.DEFINE_list("only", [], "Names of rows; all by default.")

_FOUR = {"passes": 4, "mine_again": 1}  # as many passes, mined again at each
ROWS = {
    "as it comes": {"passes": 0},
    "one pass and a quarter": {},
    "two passes, mined again": {**_FOUR, "passes": 2},
    "four passes, mined again": _FOUR,
    "the same, seed 1": {**_FOUR, "seed": 1},
    "batches of 64": {**_FOUR, "batch": 64},
    "batches of 128, rate 1e-4": {**_FOUR, "batch": 128, "rate": 1e-4},
    "rate 2e-5": {**_FOUR, "rate": 2e-5},
    "rate 1e-4": {**_FOUR, "rate": 1e-4},
    "three negatives": {**_FOUR, "negatives": 3},
    "seven negatives of the first 20": {**_FOUR, "negatives": 7, "last": 20},
    "three negatives, BM25's too": {**_FOUR, "negatives": 3, "bm25_negatives": 5},
    "dropout .1": {**_FOUR, "dropout": 0.1},
    "neighbours in groups of 8": {**_FOUR, "neighbours": 8},
    "neighbours in groups of 32, batches of 64": {**_FOUR, "neighbours": 32, "batch": 64},
    "weights averaged over the second half": {**_FOUR, "average": 0.5},
    "ICT before": {**_FOUR, "ict": 1.0},
    "distant questions too": {**_FOUR, "distant": 1},
    "scores of 30 cosines": {**_FOUR, "scale": 30.0},
    "scores of 12 cosines": {**_FOUR, "scale": 12.0},
}


def _export(folder: pathlib.Path) -> None:
  """Writes token ids, right blocks and BM25's for all questions; the weights beside them."""
  import numpy as np  # noqa: I001 -- realm_tf comes before TensorFlow
  import realm_tf  # noqa: F401
  import tensorflow as tf

  from realm_tf.corpus.passages import Passages
  from realm_tf.corpus.store import Corpus
  from realm_tf.datasets.questions import read_questions
  from realm_tf.evaluation.bm25 import bm25_rows
  from realm_tf.text.inputs import pack_single
  from realm_tf.text.sentences import split_sentences
  from realm_tf.training.mining import LabelledQuestions
  corpus = Corpus.open(pathlib.Path(_RUN.value) / "corpus")
  passages, length = Passages(corpus), 224
  documents = [passages.documents(tf.range(first, min(first + 1000, corpus.num_blocks)),
                                  length, 0)
               for first in range(0, corpus.num_blocks, 1000)]
  data = {"ids": np.concatenate([packed.ids for packed in documents]).astype(np.uint16),
          "lengths": np.concatenate([packed.padding_mask.numpy().sum(1)
                                     for packed in documents]),
          "starts": np.concatenate([packed.second_start for packed in documents])}
  texts = [text.decode() for text in corpus.texts]
  whole = [f"{title.decode()} {text}" for title, text in zip(corpus.titles, texts)]

  def tokens(name, strings):
    packed = pack_single(corpus.tokenizer.tokenize(strings), 64, corpus.tokenizer, 0)
    data[f"{name}_ids"] = packed.ids.numpy().astype(np.uint16)
    data[f"{name}_lengths"] = packed.padding_mask.numpy().sum(1)

  for name, file in (("train", "qa.train"), ("dev", "qa.dev"), ("distant", "distant")):
    questions = read_questions(pathlib.Path(_DATA.value) / f"{file}.jsonl.gz")
    labelled = LabelledQuestions.of(questions, corpus)
    usable, splits = labelled.usable, labelled.occurrences.splits
    strings = [labelled.texts[i] for i in usable]
    tokens(name, strings)
    for field, rows in (
        ("gold", [labelled.right(i)[:8] for i in usable]),
        ("right", [labelled.occurrences.rows[splits[i]:splits[i + 1]] for i in usable])):
      data[f"{name}_{field}"] = np.concatenate(rows).astype(np.int32)
      data[f"{name}_{field}_counts"] = np.array([len(part) for part in rows])
    data[f"{name}_bm25"] = bm25_rows(strings, whole, 50).astype(np.int32)
  rng, sentences, rows = np.random.default_rng(0), [], []
  for row, text in enumerate(texts):
    long_enough = [text[first:end] for first, end in split_sentences(text)
                   if 5 <= len(text[first:end].split()) <= 40]
    for i in rng.permutation(len(long_enough))[:2]:
      sentences.append(long_enough[i])
      rows.append(row)
  tokens("sentence", sentences)
  data["sentence_rows"] = np.array(rows)
  folder.mkdir(parents=True, exist_ok=True)
  np.savez_compressed(folder / "data.npz", **data)
  shutil.copytree(_WEIGHTS.value, folder / "minilm", dirs_exist_ok=True)


def _run(folder: pathlib.Path, name: str) -> dict:
  script = pathlib.Path(__file__).parent / "hugging_face" / "two_towers.py"
  done = subprocess.run([_PYTHON.value, script, folder, json.dumps(ROWS[name])],
                        capture_output=True, text=True)
  if done.returncode:
    return {"failed": done.stderr[-500:]}
  return {"levers": ROWS[name], **json.loads(done.stdout.splitlines()[-1])}


def main(_) -> None:
  folder = pathlib.Path(_EXPERIMENT.value or _EXPORT.value)
  if not _EXPERIMENT.value:
    _export(folder)
    print(f"{folder}: written")
    if flags.FLAGS["export"].present:
      return
  names = _ONLY.value or list(ROWS)
  with concurrent.futures.ThreadPoolExecutor(_AT_ONCE.value) as pool:
    results = dict(zip(names, pool.map(lambda name: _run(folder, name), names)))
  print(f"{'':44s}   R@1    R@5   R@20, best pass and last")
  for name, result in results.items():
    curve = result.get("by_pass") or [result.get("before", {})]
    best = max(curve, key=lambda recalls: recalls.get("recall@1", 0))
    print(f"{name:44s}" + "  ".join(f"{100 * value:5.1f}" for recalls in (best, curve[-1])
                                    for value in recalls.values()))
  if _JSON.value:
    pathlib.Path(_JSON.value).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
  app.run(main)
