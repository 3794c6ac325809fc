"""The judge of fine-tuning: what the model answers to the dev questions, as it trains."""

from typing import Any

import tensorflow as tf

from realm_tf.evaluation import evaluate
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.index.exact import ExactIndex
from realm_tf.index.interface import RowIndex
from realm_tf.models.realm import Realm
from realm_tf.run.embedding_anew import EmbeddingAnew
from realm_tf.run.folder import Run
from realm_tf.training.judging import Judge

_DEEPEST = 20  # of the K of recall@K: the texts of more take long to look through
_UPDATE = 3.0  # what a training step costs, as a multiple of reading its pairs


def make_judge(run: Run, model: Realm, index: RowIndex) -> Judge | None:
  """Measures exact match, F1 and recall of the model as it is; None without dev questions.

  The best model is that of the highest `dev_score`, the mean of exact match and F1: of few
  questions exact match alone is often the same. Where the document tower learns, each
  measurement embeds the corpus by it as it is, and searches that, exactly, not `index`.
  """
  config, questions = run.config, run.questions("dev")
  if not questions:
    return None
  learns = config.finetune.fresh_blocks > 0  # the document tower
  if learns:
    embed, index = EmbeddingAnew(run, model), ExactIndex()
  answerer = QuestionAnswerer(model, run.corpus, run.passages, index,
                              config.evaluate.read_blocks,
                              exact_words=config.retriever.exact_words)
  depth = min(run.corpus.num_blocks, max(answerer.read_blocks, _DEEPEST))
  ks = [k for k in config.evaluate.recall_at if k <= depth] or [depth]

  @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
  def answer(batch: tf.Tensor) -> Any:
    answers, retrieved = answerer.answer_and_retrieve(batch, depth)
    return answers.answer, retrieved.row

  def measure(step: int) -> dict[str, float]:
    if learns:
      index.assign(index.prepare(embed()), step)
    records = list[dict[str, Any]]()
    size = config.evaluate.batch_size
    for first in range(0, len(questions), size):
      texts = [q.question.encode("utf-8", "replace") for q in questions[first:first + size]]
      predictions, rows = (part.numpy() for part in answer(tf.constant(texts)))
      records += [{"prediction": prediction.decode(),
                   "passages": [{"id": run.corpus.document_ids[row],
                                 "text": run.corpus.texts[row].decode()} for row in found]}
                  for prediction, found in zip(predictions, rows, strict=True)]
    scored = evaluate.score_records(questions, records, ks, answerer.read_blocks)
    return {"dev_score": (scored["exact_match"] + scored["f1"]) / 2,
            **{f"dev_{name}": scored[name]
               for name in ("exact_match", "f1", *(f"recall@{k}" for k in ks))}}

  finetune = config.finetune
  # To embed a block costs about as much as to read it with a question.
  cost = ((len(questions) * answerer.read_blocks + learns * run.corpus.num_blocks)
          / (_UPDATE * finetune.batch_size * (finetune.read_blocks + finetune.fresh_blocks)))
  return Judge(measure, "dev_score", config.dev.every, config.dev.patience, cost)
