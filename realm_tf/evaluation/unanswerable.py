"""Questions that the corpus cannot answer, made of those that it can.

The blocks in which an answer stands, by the rule of `text.words`, are taken out of the index
for its question: whatever is said then is wrong, and "no answer" would be right. Questions
whose answers stand nowhere are so already. Shape letters: Q questions.
"""

from typing import Sequence

import numpy as np

from realm_tf.datasets.matching import find_occurrences
from realm_tf.datasets.questions import Question
from realm_tf.evaluation import confidence
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.evaluation.evaluate import predict_records


def blocks_with_answers(answerer: QuestionAnswerer, questions: Sequence[Question]
                        ) -> list[np.ndarray]:
  """For each question, the blocks in which an answer stands: [E] int32."""
  occurrences = find_occurrences([question.answers for question in questions],
                                 answerer.corpus, answerer.corpus.tokenizer,
                                 [question.regex for question in questions])
  return [np.unique(occurrences.rows[first:end])
          for first, end in zip(occurrences.splits, occurrences.splits[1:])]


def unanswerable_figures(answerer: QuestionAnswerer, questions: Sequence[Question],
                         probabilities: Sequence[float], threshold: float | None,
                         batch_size: int) -> dict[str, float]:
  """How well probabilities separate questions with an answer in the corpus from others.

  Args:
    answerer: the model with its index.
    questions: Q of them; those whose answers leave too few blocks to read are left out.
    probabilities: [Q], of the answers that `answerer` gave with all blocks.
    threshold: of "no answer", for which the shares of refused questions are reported;
      None: they are not.
    batch_size: questions at a time.

  Returns:
    `unanswerable_auc`, and with a threshold `refused_unanswerable` (wanted: 1) and
    `refused_answerable` (wanted: 0); what is undefined is left out.
  """
  holding = blocks_with_answers(answerer, questions)
  chosen = [i for i, rows in enumerate(holding)
            if len(rows) + answerer.read_blocks <= answerer.num_blocks]
  records = predict_records(answerer, [questions[i].question for i in chosen],
                            batch_size=batch_size, passages=answerer.read_blocks,
                            banned=[holding[i] for i in chosen])
  lacking = np.array([record["probability"] for record in records])
  answered = np.array([probabilities[i] for i in chosen if len(holding[i])])
  measured = {"unanswerable_auc": confidence.auc(
      [*answered, *lacking], [True] * len(answered) + [False] * len(lacking))}
  if threshold is not None:
    for name, values in (("unanswerable", lacking), ("answerable", answered)):
      measured[f"refused_{name}"] = (
          float(np.mean(values < threshold)) if len(values) else np.nan)
  return {name: value for name, value in measured.items() if np.isfinite(value)}
