"""Where the answers stand in the corpus: once per data set, never in a training step.

An answer stands somewhere if its words do (`realm_tf.text.words`), as in evaluation: a
block has a place of an answer if and only if `metrics.has_answer` finds it in the text.

It is searched part by part, and what is found is sorted by the question on the disk: memory
grows with the places of one question alone. Shape letters: Q questions, F places found.
"""

import dataclasses
import hashlib
import json
from typing import Iterator, Sequence

import numpy as np

from realm_tf.corpus.buckets import Buckets
from realm_tf.corpus.derived import Writer, derived
from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.store import Corpus
from realm_tf.datasets.answer_search import PLACE, AnswerSearch
from realm_tf.text.tokenizer import Tokenizer

_TOKENS_PER_PART = 1 << 20  # bounds memory: some hundred MB at the most


@dataclasses.dataclass(frozen=True, eq=False)
class Occurrences:
  """Places of answers, by question, then by row, start and end; none twice.

  Attributes:
    rows: `[F]` int32, the block.
    starts: `[F]` int32, index in the block's `body_ids` of the first piece; -1 where the
      answer stands in the block, but no pieces are just the answer ([UNK] is more).
    ends: `[F]` int32, and of the last (inclusive), or -1.
    splits: `[Q + 1]` int64; question q has the places `splits[q]:splits[q + 1]`.
  """
  rows: np.ndarray
  starts: np.ndarray
  ends: np.ndarray
  splits: np.ndarray


def _parts(body: Ragged) -> Iterator[tuple[int, int]]:
  """Ranges of rows with at most `_TOKENS_PER_PART` tokens, but one row at least."""
  first = 0
  while first < len(body):
    limit = body.splits[first] + _TOKENS_PER_PART
    end = max(first + 1, int(np.searchsorted(body.splits, limit, side="right")) - 1)
    yield first, end
    first = end


def _write(answers: Sequence[Sequence[str]], corpus: Corpus, tokenizer: Tokenizer,
           regex: Sequence[bool] | None, new: Writer) -> None:
  """Writes the fields of `Occurrences`; see `find_occurrences`."""
  search = AnswerSearch(answers, tokenizer,
                        regex if regex is not None else [False] * len(answers))
  parts, counts = list(_parts(corpus.body_ids)), np.zeros(len(answers), np.int64)
  new.append(**dict.fromkeys(("rows", "starts", "ends"), np.zeros(0, np.int32)))
  with new.scratch() as folder:
    # As many as parts, so that a bucket is as large as what is found in one of these.
    by_question = Buckets(folder, len(parts), PLACE)
    for part in parts:
      places = search.part(corpus, *part)
      counts += np.bincount(places["question"], minlength=len(counts))
      by_question.append(places["question"].astype(int) * len(parts) // max(1, len(counts)),
                         places)
    for places in by_question:
      # Those of a part are sorted, and parts come in the order of their rows.
      places = places[np.argsort(places["question"], kind="stable")]
      new.append(rows=places["row"], starts=places["start"], ends=places["end"])
  new.append(splits=np.concatenate([[0], np.cumsum(counts)]))


def stored_occurrences(answers: Sequence[Sequence[str]], corpus: Corpus,
                       tokenizer: Tokenizer, regex: Sequence[bool] | None = None
                       ) -> Occurrences:
  """As `find_occurrences`, found once for a store and kept beside it."""
  asked = json.dumps([[list(group) for group in answers], regex and list(map(bool, regex))])
  settings = {"version": 1, "answers": hashlib.sha256(asked.encode()).hexdigest()}
  return Occurrences(**derived(corpus, "places_of_answers", settings, lambda new: _write(
      answers, corpus, tokenizer, regex, new)))


def find_occurrences(answers: Sequence[Sequence[str]], corpus: Corpus,
                     tokenizer: Tokenizer, regex: Sequence[bool] | None = None
                     ) -> Occurrences:
  """Finds every place in the bodies of the corpus where an answer stands.

  Time is linear in the corpus for each length of answer, whatever the number of
  questions. Answers without words (empty, or of what is not seen) are never found.

  Args:
    answers: for each of Q questions, its answers.
    corpus: where to look.
    tokenizer: the one that made the corpus.
    regex: for each question, whether its answers are patterns (CuratedTREC): those are
      searched in the text, block by block and pattern by pattern, and a match counts
      that begins and ends with a word. None: no question has patterns.
  """
  new = Writer(None)
  _write(answers, corpus, tokenizer, regex, new)
  return Occurrences(**new.in_memory())
