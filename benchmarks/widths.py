"""What narrower vectors cost in recall, and what they save in bytes and milliseconds.

    python benchmarks/widths.py --workdir=runs/wiki26k --stage=dpr --json=widths.json

The learnt part of a stage's vectors is projected onto the directions that carry most of the
blocks' length (PCA without centring, which keeps inner products best; Karpukhin et al. 2020
lose 1.8 points of top 20 at 256 of 768 dimensions so, and 3.5 at 128). Nothing is trained
again. Recall of the held-out questions, by gold passage, of the learnt part alone and beside
the lexical part; searches by the op for the ten best, widths in turn, median of `--repeats`.
"""

import statistics
import time

import realm_tf  # noqa: F401  chooses Keras 2 before TensorFlow is imported

# isort: split
import numpy as np
import tensorflow as tf
from absl import app, flags
from gold_recall import recalls
from machine import processor, report

from realm_tf.ops.top_k import top_k_inner_product
from realm_tf.run.folder import WARM_START, Run
from realm_tf.run.held_out_questions import checked_questions
from realm_tf.text.inputs import pack_single
from realm_tf.training.mining import LabelledQuestions

_WORKDIR = flags.DEFINE_string("workdir", None, "A run.", required=True)
_STAGE = flags.DEFINE_string("stage", WARM_START, "Whose towers, of the run.")
_SIZES = flags.DEFINE_list("sizes", ["384", "256", "128", "64"], "Of the learnt part.")
_REPEATS = flags.DEFINE_integer("repeats", 30, "Of each search.")
_JSON = flags.DEFINE_string("json", None, "Where to write the figures.")
_AT_A_TIME = 64


def _asked(run: Run, model, questions: LabelledQuestions) -> np.ndarray:
  tokenizer, length = run.corpus.tokenizer, run.config.retriever.query_length
  packed = (pack_single(tokenizer.tokenize(questions.texts[first:first + _AT_A_TIME]), length,
                        tokenizer) for first in range(0, len(questions.texts), _AT_A_TIME))
  return np.concatenate([model.retriever.embed_queries(part).numpy() for part in packed])


def _milliseconds(tables: dict[int, tuple[tf.Tensor, tf.Tensor]], queries: int
                  ) -> dict[int, float]:
  """Of a search by so many queries, by width."""
  taken: dict[int, list[float]] = {size: [] for size in tables}
  for _ in range(_REPEATS.value + 1):  # the first is left out
    for size, (asked, table) in tables.items():
      begun = time.perf_counter()
      top_k_inner_product(asked[:queries], table, 10)
      taken[size].append(1000 * (time.perf_counter() - begun))
  return {size: round(statistics.median(times[1:]), 3) for size, times in taken.items()}


def main(_) -> None:
  run = Run.existing(_WORKDIR.value)
  questions = LabelledQuestions.of(checked_questions(run), run.corpus)
  model, learnt = run.model(_STAGE.value), run.config.retriever.projection_size
  table = np.asarray(run.embeddings(model, run.corpus.stored_rows), np.float32)
  asked = _asked(run, model, questions)
  by_words = asked[:, learnt:] @ table[:, learnt:].T
  held, directions = np.linalg.eigh(table[:, :learnt].T @ table[:, :learnt])
  rows, tables = {}, {}
  for size in map(int, _SIZES.value):
    kept = directions[:, learnt - size:]
    narrow, narrow_asked = table[:, :learnt] @ kept, asked[:, :learnt] @ kept
    tables[size] = tf.constant(narrow_asked), tf.constant(narrow)
    by_learnt = narrow_asked @ narrow.T
    rows[size] = {"alone": recalls(by_learnt, questions),
                  "share_of_squared_length": round(float(held[-size:].sum() / held.sum()), 4),
                  "bytes_of_a_block": 4 * size}
    if by_words.any():
      rows[size]["with_words"] = recalls(by_learnt + by_words, questions)
  for queries in (1, 64):
    for size, taken in _milliseconds(tables, queries).items():
      rows[size][f"ms_of_{queries}"] = taken
  report({"run": run.config.name, "stage": _STAGE.value, "machine": processor(),
          "repeats": _REPEATS.value, "questions": len(questions.usable),
          "blocks": len(table), "rows": rows}, _JSON.value)


if __name__ == "__main__":
  app.run(main)
