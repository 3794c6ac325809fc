"""Passages for questions, without a reader."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.models.texts import as_list


def retrieve_passages(answerer: QuestionAnswerer, questions: Sequence[str], k: int
                      ) -> list[list[dict[str, Any]]]:
  """The k best passages for each question, best first; all where there are fewer.

  Each has `id` of its document, `title`, `text` and `score`, the retriever's inner product.

  Raises:
    ValueError: it is a single question, and no list.
  """
  retrieved = answerer.retrieve(tf.constant(as_list(questions), tf.string),
                                min(k, answerer.num_blocks))
  columns = (retrieved.passage_id, retrieved.title, retrieved.passage, retrieved.score)
  return [[{"id": name.decode("utf-8", "replace"), "title": title.decode("utf-8", "replace"),
            "text": text.decode("utf-8", "replace"), "score": float(score)}
           for name, title, text, score in zip(*passages)]
          for passages in zip(*(column.numpy().tolist() for column in columns))]
