"""What a corpus of a given size costs: making, opening, what is derived, training, disk.

    python benchmarks/corpus_scale.py --blocks=100000 --folder=build/scale \
        --output=benchmarks/results/corpus_scale.json

Stages that are done in a folder are not measured again. The result holds each size that was
measured, and what follows for `--extrapolate` blocks: time and memory by the straight line
through the two largest sizes, disk by what a block takes in the largest.

Documents are made up, and written as JSON lines before anything is measured: words of a Zipf
distribution, names and years among them, one document in twenty a copy of an earlier one with
a few words changed. Each measurement is a process of
its own, so that its memory is its own: `peak` is the most that it had resident, less what it
had once TensorFlow was there; mapped files count as far as their pages were touched.
What is asked for are the spans and phrases of `cloze`, and the spans of Spider's windows;
BM25 is the one that runs are compared with.
A batch is the texts of pre-training alone; a step is one of pre-training by BERT-tiny, from a
table of random vectors (4 D bytes a block) that is searched by all sentences of the batch.
`anonymous` is the most that was no file's, looked at every 10 ms: the system cannot take that
back. `cpu` is the processor time of the process and its children, imports too: what to go by
on a machine that others use.
"""

import argparse
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import threading
import time
from typing import Any, Iterator

import numpy as np
from machine import processor

_STAGES = ("make", "open_first", "open", "near_duplicates", "sentences", "answers", "asked",
           "bm25", "batches", "steps")
_DOCUMENTS = "documents.jsonl"
_BATCHES, _BATCH, _CANDIDATES = 20, 16, 8
_QUESTIONS = 950  # sentences that BM25 looks for
_SENTENCES, _WORDS = 6, 16  # of a document, of a sentence


def _documents(count: int) -> Iterator[dict[str, str]]:
  rng = np.random.default_rng(0)
  letters = np.array(list("etaoinshrdlucmfwypvbgk"))
  words = ["".join(rng.choice(letters[:12 + i % 10], 2 + i % 7)) for i in range(20_000)]
  names = [word.capitalize() for word in words[2000:6000]]
  shares = np.cumsum(1.0 / np.arange(1, len(words) + 1))
  earlier: list[list[str]] = []
  for number in range(count):
    if number % 20 == 19:
      chosen = list(earlier[int(rng.integers(len(earlier)))])
      for place in rng.integers(len(chosen), size=3):
        chosen[place] = words[int(rng.integers(len(words)))]
    else:
      drawn = rng.uniform(0, shares[-1], _SENTENCES * _WORDS)
      chosen = [words[i] for i in np.searchsorted(shares, drawn)]
      for place in range(3, len(chosen), 11):
        chosen[place] = names[int(rng.integers(len(names)))]
      chosen[5] = str(int(rng.integers(1800, 2000)))
      earlier = earlier[-4999:] + [chosen]
    text = " ".join(" ".join(chosen[i:i + _WORDS]).strip().capitalize() + "."
                    for i in range(0, len(chosen), _WORDS))
    yield {"id": f"d{number}", "title": f"{names[number % len(names)]} {number}",
           "text": text}


def _write_documents(path: pathlib.Path, count: int) -> None:
  with open(path, "w", encoding="utf-8") as file:
    file.writelines(json.dumps(document) + "\n" for document in _documents(count))


def _memory() -> int:
  """Bytes that are resident now."""
  return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096


def _anonymous() -> int:
  """Bytes of these that are no file's."""
  status = pathlib.Path("/proc/self/status").read_text()
  return int(re.findall(r"RssAnon:\s*(\d+) kB", status)[0]) * 1024


def _peak(who: int) -> int:
  return resource.getrusage(who).ru_maxrss * 1024


class _Measurement(threading.Thread):
  """What this process takes from now on."""

  def __init__(self) -> None:
    super().__init__(daemon=True)
    self._before, self._begun = _memory(), time.monotonic()
    self._most = self._first = _anonymous()
    self.start()

  def run(self) -> None:
    while True:
      self._most = max(self._most, _anonymous())
      time.sleep(0.01)

  def result(self) -> dict[str, float]:
    """So far."""
    return {"seconds": round(time.monotonic() - self._begun, 4), "before": self._before,
            "peak": max(0, _peak(resource.RUSAGE_SELF) - self._before),
            "anonymous": self._most - self._first,
            "children": _peak(resource.RUSAGE_CHILDREN),
            "cpu": round(sum(os.times()[:4]), 2)}


def _run(stage: str, folder: pathlib.Path, blocks: int, vocabulary: str) -> dict:
  """One measurement, in this process."""
  from realm_tf.corpus.duplicates import stored_bans
  from realm_tf.corpus.making import make_store
  from realm_tf.corpus.passages import Passages
  from realm_tf.corpus.readers import read_documents
  from realm_tf.corpus.store import Corpus
  from realm_tf.datasets.matching import stored_occurrences
  from realm_tf.evaluation.bm25 import bm25_rows
  from realm_tf.examples.askable_spans import askable_spans
  from realm_tf.examples.pretraining import pretraining_batches
  from realm_tf.examples.recurring import recurring_spans
  from realm_tf.examples.salient_sentences import salient_sentences
  from realm_tf.text.tokenizer import Tokenizer
  store = folder / "corpus"
  if stage == "make":
    tokenizer = Tokenizer.from_file(vocabulary)
    tokenizer.tokenize(["once"])
    measurement = _Measurement()
    make_store(store, read_documents(folder / _DOCUMENTS), tokenizer=tokenizer,
               max_tokens=288, source="made up")
    return measurement.result()
  measurement = _Measurement()
  corpus = Corpus.open(store)
  if stage in ("open_first", "open"):
    return measurement.result()
  banned = (stored_bans(corpus, 0.5) if stage in ("batches", "steps") else
            np.arange(corpus.num_blocks, dtype=np.int32)[:, None])
  measurement = _Measurement()
  if stage == "near_duplicates":
    table = stored_bans(corpus, 0.5)
    return measurement.result() | {
        "with_some": float((table[:, 1:2] >= 0).mean()) if table.shape[1] > 1 else 0.0}
  if stage == "sentences":
    sentences = salient_sentences(corpus, 10, (2, 0))
    return {"sentences": len(sentences.row), **measurement.result()}
  if stage == "answers":
    words = [[title.decode().split()[0]] for title in corpus.titles[:1000]]  # names
    occurrences = stored_occurrences(words, corpus, corpus.tokenizer)
    return {"places": len(occurrences.rows), **measurement.result()}
  if stage == "asked":
    asked = len(askable_spans(corpus).row) + len(recurring_spans(corpus, (2, 60)).row)
    return {"asked": asked, **measurement.result()}
  if stage == "bm25":
    questions = [text.decode().split(".")[0] for text in corpus.texts[:_QUESTIONS]]
    rows = bm25_rows(questions, (text.decode() for text in corpus.texts), 20,
                     scratch=folder)
    return {"found": int((rows[:, 0] == np.arange(len(rows))).sum()), **measurement.result()}
  begun, passages = time.monotonic(), Passages(corpus)
  if stage == "steps":
    seconds = _steps(corpus, banned, passages, pathlib.Path(vocabulary).parents[1])
    return measurement.result() | {"seconds": round(float(np.median(seconds)), 4)}
  batches = iter(pretraining_batches(
      corpus, banned, batch_size=_BATCH, query_length=96, max_masks=10, support=(2, 0),
      seed=0, first_step=0, last_step=_BATCHES + 1))
  next(batches)
  ready = time.monotonic() - begun
  rng, begun = np.random.default_rng(0), time.monotonic()
  for _ in batches:
    rows = rng.integers(corpus.num_blocks, size=_BATCH * _CANDIDATES).astype(np.int32)
    passages.documents(rows, 288)
    passages.bodies.gather(rows)
  return {"ready_seconds": ready, **measurement.result(),
          "seconds": round((time.monotonic() - begun) / _BATCHES, 4)}


def _steps(corpus: Any, banned: np.ndarray, passages: Any, weights: pathlib.Path
           ) -> list[float]:
  """Seconds of each step of a pre-training, after two."""
  import tensorflow as tf

  from realm_tf import config as config_lib
  from realm_tf.examples.pretraining import pretraining_batches
  from realm_tf.index.exact import ExactIndex
  from realm_tf.run.model import initial_model
  from realm_tf.training.pretrain_step import PretrainStep, make_optimizers
  from realm_tf.training.watching import Retrieved
  bert_tiny = str(weights / "bert-tiny")
  config = config_lib.RealmConfig(
      retriever=config_lib.RetrieverConfig(
          weights=bert_tiny, pooling="mean", score_scale=20.0),
      encoder=config_lib.EncoderConfig(weights=bert_tiny),
      pretrain=config_lib.PretrainConfig(
          steps=_BATCHES + 2, batch_size=_BATCH, candidates=_CANDIDATES, span_blocks=(2, 0)))
  model, index = initial_model(config, corpus.tokenizer), ExactIndex()
  index.assign(tf.random.stateless_normal(
      [corpus.num_blocks, config.retriever.projection_size], [0, 0]), 0)
  pretrain = config.pretrain
  batches = pretraining_batches(
      corpus, banned, batch_size=_BATCH, query_length=pretrain.query_length,
      max_masks=pretrain.max_masks, support=pretrain.span_blocks, seed=0, first_step=0,
      last_step=pretrain.steps)
  step = PretrainStep(config, model, index, passages, make_optimizers(config, model),
                      batches.element_spec, Retrieved(), 0)
  seconds = []
  for batch in batches:
    begun = time.monotonic()
    float(step(batch)["loss"])  # waits for it
    seconds.append(time.monotonic() - begun)
  return seconds[2:]


def _size(folder: pathlib.Path) -> int:
  return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--blocks", type=int, default=10_000)
  parser.add_argument("--folder", default="build/corpus_scale")
  parser.add_argument("--vocabulary", default="data/weights/minilm/vocab.txt")
  parser.add_argument("--output", help="JSON file of results, to which this size is added")
  parser.add_argument("--extrapolate", type=int, default=13_400_000)
  parser.add_argument("--stage", help="measure this alone, in a folder that is there")
  flags = parser.parse_args()
  folder = pathlib.Path(flags.folder)
  if flags.stage:
    print("RESULT " + json.dumps(_run(flags.stage, folder, flags.blocks, flags.vocabulary)))
    return
  folder.mkdir(parents=True, exist_ok=True)
  measured = _measure(folder, flags)
  if flags.output:
    _note(pathlib.Path(flags.output), flags, measured)


def _measure(folder: pathlib.Path, flags: argparse.Namespace) -> dict[str, dict]:
  """What each stage takes, each measured once in a folder."""
  path, root = folder / "measured.json", str(pathlib.Path(__file__).parents[1])
  measured = json.loads(path.read_text()) if path.exists() else {}
  if "make" not in measured:
    _write_documents(folder / _DOCUMENTS, flags.blocks)
  for stage in _STAGES:
    if stage not in measured:
      completed = subprocess.run(
          [sys.executable, __file__, f"--stage={stage}", f"--blocks={flags.blocks}",
           f"--folder={folder}", f"--vocabulary={flags.vocabulary}"], check=True,
          env={**os.environ, "PYTHONPATH": root}, stdout=subprocess.PIPE, text=True)
      measured[stage] = json.loads(completed.stdout.partition("RESULT ")[2]) | {
          "load": os.getloadavg()[0]}
      path.write_text(json.dumps(measured))
    print(json.dumps({"stage": stage, "blocks": flags.blocks, **measured[stage]}), flush=True)
  if "disk" not in measured:
    measured["disk"] = {entry.name: _size(entry) for entry in sorted(folder.iterdir())
                        if entry.is_dir()}
    path.write_text(json.dumps(measured))
  return measured


def _note(path: pathlib.Path, flags: argparse.Namespace, measured: dict[str, dict]) -> None:
  result = json.loads(path.read_text()) if path.exists() else {"sizes": {}}
  result["sizes"][str(flags.blocks)] = measured
  sizes = sorted(map(int, result["sizes"]))
  result |= {"machine": processor(), "sizes": {
      str(size): result["sizes"][str(size)] for size in sizes}}
  if len(sizes) > 1:
    result["extrapolated"] = {"blocks": flags.extrapolate, **_extrapolated(
        *((size, result["sizes"][str(size)]) for size in sizes[-2:]), flags.extrapolate)}
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps(result, indent=1) + "\n")


def _extrapolated(small: tuple[int, dict], large: tuple[int, dict], blocks: int) -> dict:
  """Seconds, memory and disk of each stage for so many blocks, as a straight line gives."""
  def line(before: float, after: float) -> float:
    growth = (after - before) / (large[0] - small[0])
    return after + max(0.0, growth) * (blocks - large[0])

  stages = {stage: {key: round(line(small[1][stage][key], large[1][stage][key]), 2)
                    for key in ("seconds", "cpu", "peak", "anonymous")
                    if all(key in result[stage] for _, result in (small, large))}
              for stage in _STAGES if all(stage in result for _, result in (small, large))}
  return stages | {"disk": {name: round(size / large[0] * blocks)
                            for name, size in large[1]["disk"].items()}}


if __name__ == "__main__":
  main()
