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
            passages: int) -> Iterator[dict[str, Any]]:
  """Answers questions by the batch; yields one record per question, in order.

  Args:
    answerer: the model with its index.
    questions: texts.
    batch_size: B.
    passages: how many retrieved passages each record lists, best first; at least those
      that are read, at most all.
  """
  count = min(max(passages, answerer.read_blocks), answerer.num_blocks)

  @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
  def run(batch):
    return answerer.answer_and_retrieve(batch, count)

  with progress(len(questions), "answer", "question") as bar:
    for first in range(0, len(questions), batch_size):
      batch = questions[first:first + batch_size]
      # Half of a surrogate pair, which is no text, is asked as a question mark.
      found = run(tf.constant([text.encode("utf-8", "replace") for text in batch]))
      answers, retrieved = tf.nest.map_structure(lambda t: t.numpy(), found)
      for i, question in enumerate(batch):
        yield _record(question, i, answers, retrieved)
      bar.update(len(batch))


def _record(question: str, i: int, answers, retrieved) -> dict[str, Any]:
  return {
      "question": question, "prediction": answers.answer[i].decode(),
      "score": float(answers.score[i]), "title": answers.title[i].decode(),
      "passage_id": answers.passage_id[i].decode(),
      "passage": answers.passage[i].decode(),
      "start": int(answers.start[i]), "end": int(answers.end[i]),
      "passages": [
          {"id": retrieved.passage_id[i, j].decode(), "row": int(retrieved.row[i, j]),
           "title": retrieved.title[i, j].decode(), "score": float(retrieved.score[i, j]),
           "text": retrieved.passage[i, j].decode()}
          for j in range(retrieved.row.shape[1])]}


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
  """JSON lines: question, answers, prediction, score, the best passages."""
  with new_file(path, "w") as file:
    for question, record in zip(questions, records, strict=True):
      record = {"id": question.id, "answers": list(question.answers), **record,
                "passages": record["passages"][:_PASSAGES_WRITTEN]}
      file.write(json.dumps(record, ensure_ascii=False) + "\n")
