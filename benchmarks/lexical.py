"""What lexical dimensions add to a dense retriever: recall by their number and weight.

    realm run --config=configs/wiki26k.py:short --workdir=runs/short ...
    python benchmarks/lexical.py --workdir=runs/short --stage=dpr --json=lexical.json

The learnt part of the vectors is that of a stage; beside it the lexical part is made anew for
each row, with nothing trained. Recall of the held-out questions, by gold passage.
"""

import json
import pathlib

import realm_tf  # noqa: F401  chooses Keras 2 before TensorFlow is imported

# isort: split
import numpy as np
import tensorflow as tf
from absl import app, flags
from gold_recall import recalls

from realm_tf.corpus.word_statistics import word_statistics
from realm_tf.models.lexical import Lexical
from realm_tf.run.folder import WARM_START, Run
from realm_tf.run.held_out_questions import checked_questions
from realm_tf.text.inputs import pack_single
from realm_tf.training.mining import LabelledQuestions

_WORKDIR = flags.DEFINE_string("workdir", None, "A run.", required=True)
_STAGE = flags.DEFINE_string("stage", WARM_START, "Whose towers, of the run.")
_SIZES = flags.DEFINE_list(
    "sizes", ["128", "256", "384", "512", "768", "1024"], "Lexical dimensions.")
_WEIGHTS = flags.DEFINE_list("weights", ["0.3", "0.6", "1.0"], "Of lexical scores.")
_JSON = flags.DEFINE_string("json", None, "Where to write the figures.")
_AT_A_TIME = 64


class _Texts:
  """All blocks and questions, packed as the towers read them."""

  def __init__(self, run: Run, questions: LabelledQuestions):
    self._run, self._texts = run, questions.texts
    self._blocks = run.corpus.num_blocks
    self._length = run.config.retriever.document_length

  def blocks(self):
    for first in range(0, self._blocks, _AT_A_TIME):
      yield self._run.passages.documents(
          tf.range(first, min(first + _AT_A_TIME, self._blocks)), self._length)

  def questions(self):
    tokenizer = self._run.corpus.tokenizer
    for first in range(0, len(self._texts), _AT_A_TIME):
      yield pack_single(tokenizer.tokenize(self._texts[first:first + _AT_A_TIME]),
                        self._run.config.retriever.query_length, tokenizer)

  def vectors(self, embed) -> tuple[np.ndarray, np.ndarray]:
    """Of questions [Q, L] and blocks [N, L]."""
    embed = tf.function(embed, reduce_retracing=True)
    return tuple(np.concatenate([embed(packed).numpy() for packed in batches])
                 for batches in (self.questions(), self.blocks()))


def main(_) -> None:
  run = Run.existing(_WORKDIR.value)
  questions = LabelledQuestions.of(checked_questions(run), run.corpus)
  model, texts = run.model(_STAGE.value), _Texts(run, questions)
  learnt = run.config.retriever.projection_size
  table = np.asarray(run.embeddings(model, run.corpus.stored_rows, lambda count: None))
  asked = np.concatenate([model.retriever.embed_queries(packed).numpy()
                          for packed in texts.questions()])
  dense = asked[:, :learnt] @ table[:, :learnt].T
  rows = {"learnt alone": recalls(dense, questions)}
  if table.shape[1] > learnt:
    rows["as in the run"] = recalls(asked @ table.T, questions)
  statistics = word_statistics(run.corpus)
  for size in map(int, _SIZES.value):
    layer = Lexical(run.corpus.tokenizer.vocab_size, size, 1.0)
    layer.adapt(statistics)
    asked_words, block_words = texts.vectors(layer)
    by_words = asked_words @ block_words.T
    rows[f"{size} alone"] = recalls(by_words, questions)
    for weight in map(float, _WEIGHTS.value):
      rows[f"{size}, weight {weight}"] = recalls(dense + weight * by_words, questions)
    print(json.dumps({name: row for name, row in rows.items() if name.startswith(str(size))}),
          flush=True)
  result = {"run": run.config.name, "stage": _STAGE.value,
            "questions": len(questions.usable), "blocks": run.corpus.num_blocks, "rows": rows}
  print(json.dumps(result, indent=1))
  if _JSON.value:
    path = pathlib.Path(_JSON.value)
    earlier = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(earlier | {_STAGE.value: result}, indent=1) + "\n")


if __name__ == "__main__":
  app.run(main)
