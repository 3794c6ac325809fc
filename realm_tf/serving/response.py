"""What is said to a question: the answer, or that there is none, and the others beside it.

In the graph a response is a flat dict of columns, since a SavedModel's signature is: those of
the answer, [B], and with `top_` before their names those of all, [B, A]. Outside it is a list
of objects. Shape letters: B questions, A answers.
"""

from typing import Any, Mapping

import tensorflow as tf

from realm_tf.evaluation.answering import Answers

_TOP = "top_"


def respond(answers: Answers, threshold: tf.Tensor | float) -> dict[str, tf.Tensor]:
  """Columns of the answer, the first of each question's, with `answerable`, and of all.

  If it is less probable than the threshold, none is given: `answerable` is false,
  `answer` empty; probability, passage and the list of all stay for those who look closer.

  Args:
    answers: [B, N].
    threshold: float32, one for all or one for each question: [], [1] or [B].

  Raises:
    tf.errors.InvalidArgumentError: a threshold is not from 0 to 1.
  """
  threshold = tf.convert_to_tensor(threshold, tf.float32)
  within = tf.reduce_all((threshold >= 0) & (threshold <= 1))
  with tf.control_dependencies([tf.debugging.Assert(within, [
      "threshold must be from 0 to 1, but is", threshold])]):
    threshold = tf.broadcast_to(threshold, tf.shape(answers.answer)[:1])
  best = {name: value[:, 0] for name, value in answers._asdict().items()}
  answerable = (best["probability"] >= threshold) & (best["answer"] != "")
  best |= {"answerable": answerable, "answer": tf.where(answerable, best["answer"], ""),
           "end": tf.where(answerable, best["end"], best["start"]),
           "end_byte": tf.where(answerable, best["end_byte"], best["start_byte"])}
  return best | {_TOP + name: value for name, value in answers._asdict().items()}


def answer_records(columns: Mapping[str, tf.Tensor]) -> list[dict[str, Any]]:
  """[B] and [B, K] columns as B objects; what has `top_` before its name is a list of
  objects, `answers`, without the places where there were no more."""
  values = {name: column.numpy().tolist() for name, column in columns.items()}
  records = []
  for i in range(len(next(iter(values.values())))):
    record = {name: _plain(column[i]) for name, column in values.items()
              if not name.startswith(_TOP)}
    top = {name.removeprefix(_TOP): column[i] for name, column in values.items()
           if name.startswith(_TOP)}
    if top:
      record["answers"] = [
          {name: _plain(column[j]) for name, column in top.items()}
          for j, text in enumerate(top["answer"]) if text]
    records.append(record)
  return records


def passage_records(columns: Mapping[str, tf.Tensor]) -> list[list[dict[str, Any]]]:
  """[B, K] columns as B lists of K objects."""
  return [answer_records({name: column[i] for name, column in columns.items()})
          for i in range(len(columns["row"]))]


def _plain(value: Any) -> Any:
  return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
