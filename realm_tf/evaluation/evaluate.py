"""Evaluates open-domain question answering: recall, exact match, F1.

Recall counts a passage as right if the words of an answer stand in it, as for training:
they may do so by chance. Shape letters: B batch, K passages.
"""

from typing import Any, Iterator, Sequence

import numpy as np
import tensorflow as tf

from realm_tf.datasets.questions import Question
from realm_tf.evaluation import figures
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.progress import progress


def predict_records(answerer: QuestionAnswerer, questions: Sequence[str], *, batch_size: int,
                    passages: int, top_n: int = 1, banned: Sequence[np.ndarray] | None = None
                    ) -> Iterator[dict[str, Any]]:
  """Answers questions by the batch; yields one record per question, in order.

  Args:
    answerer: the model with its index.
    questions: texts.
    batch_size: B.
    passages: how many retrieved passages each record lists, best first; at least those
      that are read, at most all.
    top_n: how many answers each record lists, at most.
    banned: for each question, [E] int32: blocks that are passed over.
  """
  count = min(max(passages, answerer.read_blocks), answerer.num_blocks)

  @tf.function(input_signature=[tf.TensorSpec([None], tf.string),
                                tf.TensorSpec([None, None], tf.int32)])
  def run(batch, passed_over):
    return answerer.answer_and_retrieve(batch, count, top_n,
                                        None if banned is None else passed_over)

  with progress(len(questions), "answer", "question") as bar:
    for first in range(0, len(questions), batch_size):
      batch = questions[first:first + batch_size]
      # Half of a surrogate pair, which is no text, is asked as a question mark.
      texts = tf.constant([text.encode("utf-8", "replace") for text in batch])
      rows = [] if banned is None else banned[first:first + batch_size]
      tensors = run(texts, tf.ragged.constant(rows, tf.int32, ragged_rank=1).to_tensor(-1))
      answers, retrieved = tf.nest.map_structure(lambda t: t.numpy(), tensors)
      for i, question in enumerate(batch):
        yield _record(question, i, answers, retrieved)
      bar.update(len(batch))


def retrieve_records(answerer: QuestionAnswerer, questions: Sequence[str], *, batch_size: int,
                     passages: int) -> Iterator[dict[str, Any]]:
  """As `predict_records`, of a model that cannot read: passages alone, and no answer."""
  run = tf.function(answerer.retrieve, input_signature=[
      tf.TensorSpec([None], tf.string), tf.TensorSpec([], tf.int32)])
  for first in range(0, len(questions), batch_size):
    batch = questions[first:first + batch_size]
    texts = [text.encode("utf-8", "replace") for text in batch]
    retrieved = tf.nest.map_structure(lambda t: t.numpy(), run(
        tf.constant(texts), min(passages, answerer.num_blocks)))
    for i, question in enumerate(batch):
      yield {"question": question, "passages": _passages(retrieved, i)}


def _record(question: str, i: int, answers, retrieved) -> dict[str, Any]:
  best = _answer(answers, i, 0)
  return {
      "question": question, "prediction": best.pop("answer"),
      "score": float(answers.score[i, 0]), **best,
      "passage": answers.passage[i, 0].decode(),
      "answers": [_answer(answers, i, j) for j in range(answers.row.shape[1])
                  if answers.answer[i, j]],
      "passages": _passages(retrieved, i)}


def _passages(retrieved, i: int) -> list[dict[str, Any]]:
  return [{"id": retrieved.passage_id[i, j].decode(), "row": int(retrieved.row[i, j]),
           "title": retrieved.title[i, j].decode(), "score": float(retrieved.score[i, j]),
           "text": retrieved.passage[i, j].decode()}
          for j in range(retrieved.row.shape[1])]


def _answer(answers, i: int, j: int) -> dict[str, Any]:
  return {
      "answer": answers.answer[i, j].decode(),
      "probability": float(answers.probability[i, j]), "title": answers.title[i, j].decode(),
      "passage_id": answers.passage_id[i, j].decode(), "start": int(answers.start[i, j]),
      "end": int(answers.end[i, j])}


def score_records(questions: Sequence[Question], records: Sequence[dict[str, Any]],
                  recall_at: Sequence[int], read_blocks: int) -> dict[str, Any]:
  """The metrics of records, one per question, as `figures.summary` states them.

  Two figures each, since two rules say what is right (`metrics`): `recall@k` by words and
  `recall@k_by_substring` as published, `exact_match` as published and
  `exact_match_by_words`.
  """
  if not questions:
    raise ValueError("no questions to score")
  return figures.summary(questions, figures.per_question(
      questions, records, recall_at, read_blocks))
