"""Recall of labelled questions by gold passage, from the scores of all blocks."""

import numpy as np

from realm_tf.training.mining import LabelledQuestions

_DEPTHS = (1, 5, 20)


def recalls(scores: np.ndarray, questions: LabelledQuestions) -> dict[str, float]:
  """Of scores [Q, N]: for how many questions a right block is among the first k."""
  ranks = np.array([(row > row[questions.right(number)].max()).sum()
                    for number, row in zip(questions.usable, scores[questions.usable])])
  return {f"recall@{k}": round(float((ranks < k).mean()), 4) for k in _DEPTHS}
