"""Questions to measure by, taken out of those to train on: always the same ones.

Whether a question is one is said by a hash, so a file that grows keeps those it had.
Questions of one group, such as those about one document, are all on one side.
"""

import collections
import hashlib
from typing import Sequence

from realm_tf.datasets.questions import Question

FEWEST = 100  # a tenth of less says little


def take_out(questions: Sequence[Question], groups: Sequence[str], share: float, most: int,
             salt: str = "", fewest: int = FEWEST) -> tuple[list[Question], list[Question]]:
  """Those to train on, and those that are taken out.

  Args:
    questions: all, in the order of their file.
    groups: of each the name of its group. One that holds more than `share` of all questions
      is never taken.
    share: of the groups that is taken, about.
    most: dev questions. Where there are more, the first groups of the file are taken; what
      the last of them has beyond is neither trained on nor asked.
    salt: another one takes others, whichever the first took.
    fewest: of fewer questions none are taken.
  """
  if len(questions) < fewest:
    return list(questions), []
  sizes, largest = collections.Counter(groups), max(1.0, share * len(questions))
  taken, dev, train = set[str](), list[Question](), list[Question]()
  for question, group in zip(questions, groups, strict=True):
    if len(dev) < most and _hashed(salt + group) < share and sizes[group] <= largest:
      taken.add(group)
    (dev if group in taken else train).append(question)
  return train, dev[:most]


def _hashed(text: str) -> float:
  """From 0 to 1, evenly."""
  digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
  return int.from_bytes(digest[:8], "big") / 2**64
