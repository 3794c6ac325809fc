"""Evaluates open-domain question answering: recall, exact match, F1.

Recall counts a passage as right if the words of an answer stand in it, as for training:
they may do so by chance. Shape letters: B batch, K passages.
"""

import json
from typing import Any, Iterator, Sequence

import numpy as np
import tensorflow as tf

from realm_tf.datasets.questions import Question
from realm_tf.evaluation import metrics
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.files import PathLike, new_file
from realm_tf.progress import progress

_PASSAGES_WRITTEN = 5


def predict(answerer: QuestionAnswerer, questions: Sequence[str], *, batch_size: int,
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
    banned: for each question, [X] int32: blocks that are passed over.
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
      found = run(texts, tf.ragged.constant(rows, tf.int32, ragged_rank=1).to_tensor(-1))
      answers, retrieved = tf.nest.map_structure(lambda t: t.numpy(), found)
      for i, question in enumerate(batch):
        yield _record(question, i, answers, retrieved)
      bar.update(len(batch))


def _record(question: str, i: int, answers, retrieved) -> dict[str, Any]:
  best = _answer(answers, i, 0)
  return {
      "question": question, "prediction": best.pop("answer"),
      "score": float(answers.score[i, 0]), **best,
      "passage": answers.passage[i, 0].decode(),
      "answers": [_answer(answers, i, j) for j in range(answers.row.shape[1])
                  if answers.answer[i, j]],
      "passages": [
          {"id": retrieved.passage_id[i, j].decode(), "row": int(retrieved.row[i, j]),
           "title": retrieved.title[i, j].decode(), "score": float(retrieved.score[i, j]),
           "text": retrieved.passage[i, j].decode()}
          for j in range(retrieved.row.shape[1])]}


def _answer(answers, i: int, j: int) -> dict[str, Any]:
  return {
      "answer": answers.answer[i, j].decode(),
      "probability": float(answers.probability[i, j]), "title": answers.title[i, j].decode(),
      "passage_id": answers.passage_id[i, j].decode(), "start": int(answers.start[i, j]),
      "end": int(answers.end[i, j])}


def score(questions: Sequence[Question], records: Sequence[dict[str, Any]],
          recall_at: Sequence[int], read_blocks: int) -> dict[str, float]:
  """The metrics of records, one per question; a missing one would count as wrong.

  Two figures each, since two rules say what is right (`metrics`): `recall@k` by words and
  `recall@k_by_substring` as published, `exact_match` as published and
  `exact_match_by_words`.
  """
  if not questions:
    raise ValueError("no questions to score")
  ranks, published_ranks, exact, same, overlap = [], [], [], [], []
  for question, record in zip(questions, records, strict=True):
    answers, regex, prediction = question.answers, question.regex, record["prediction"]
    texts = [passage["text"] for passage in record["passages"]]
    ranks.append(metrics.rank_of_answer(texts, answers, regex))
    published_ranks.append(metrics.rank_of_substring(texts, answers, regex))
    exact.append((metrics.regex_match if regex else metrics.exact_match)(
        prediction, answers))
    same.append(metrics.same_words(prediction, answers, regex))
    overlap.append(0.0 if regex else metrics.f1(prediction, answers))
  low, high = metrics.interval(exact, seed=0)
  published = metrics.recall_at(published_ranks, recall_at)
  return {
      **{f"recall@{k}": share for k, share in metrics.recall_at(ranks, recall_at).items()},
      **{f"recall@{k}_by_substring": share for k, share in published.items()},
      "exact_match": float(np.mean(exact)), "exact_match_low": low,
      "exact_match_high": high, "exact_match_by_words": float(np.mean(same)),
      "f1": float(np.mean(overlap)),
      "reader_oracle": metrics.recall_at(ranks, [read_blocks])[read_blocks],
      "questions": len(questions)}


def write_predictions(path: PathLike, questions: Sequence[Question],
                      records: Sequence[dict[str, Any]]) -> None:
  """JSON lines: question, prediction, score, the best passages; `answers` are the right
  ones, and those that `predict` found are `predictions`."""
  with new_file(path, "w") as file:
    for question, record in zip(questions, records, strict=True):
      record = {"id": question.id, **record, "answers": list(question.answers),
                "predictions": record["answers"],
                "passages": record["passages"][:_PASSAGES_WRITTEN]}
      file.write(json.dumps(record, ensure_ascii=False) + "\n")
