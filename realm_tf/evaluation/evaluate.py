"""Evaluates open-domain question answering: recall, exact match, F1.

Recall counts a passage as right if the words of an answer stand in it, as for training:
they may do so by chance. Shape letters: B batch, K passages.
"""

from typing import Any, Iterator, Sequence

import tensorflow as tf

from realm_tf.datasets.questions import Question
from realm_tf.evaluation import figures
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.progress import progress


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
          recall_at: Sequence[int], read_blocks: int) -> dict[str, Any]:
  """The metrics of records, one per question, as `figures.summary` tells them.

  Two figures each, since two rules say what is right (`metrics`): `recall@k` by words and
  `recall@k_by_substring` as published, `exact_match` as published and
  `exact_match_by_words`.
  """
  if not questions:
    raise ValueError("no questions to score")
  return figures.summary(questions, figures.per_question(
      questions, records, recall_at, read_blocks))
