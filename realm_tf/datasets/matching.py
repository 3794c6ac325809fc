"""Where the answers stand in the corpus: once per data set, never in a training step.

An answer stands somewhere if its words do (`realm_tf.text.words`), as in evaluation: a
block has a place of an answer if and only if `metrics.has_answer` finds it in the text.

It is searched part by part, here or on other machines, and what is found is sorted by the
question on the disk: memory grows with the places of one question alone. Shape letters: Q
questions, F places found.
"""

import dataclasses
import hashlib
import json
import pathlib
from typing import Iterator, Sequence

import numpy as np

from realm_tf.corpus.buckets import Buckets
from realm_tf.corpus.derived import Share, Writer, derived, here
from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.store import Corpus
from realm_tf.datasets.answer_search import PLACE, AnswerSearch
from realm_tf.text.tokenizer import Tokenizer

_TOKENS_PER_PART = 1 << 20  # bounds memory: some hundred MB at the most
_VERSION = 1  # of what is found


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


class _Search:
  """Looks for answers in a part of a corpus, wherever it is sent.

  Args:
    path: where they are, with whether they are patterns; they may be too many to be sent.
    made: the search for them, where it is there already.
  """

  def __init__(self, path: pathlib.Path, made: AnswerSearch | None):
    self._path, self._made = path, made

  def __call__(self, corpus: Corpus, part: tuple[int, int]) -> np.ndarray:
    if self._made is None:  # it serves for all parts that come here
      answers, regex = json.loads(self._path.read_bytes())
      self._made = AnswerSearch(answers, corpus.tokenizer, regex)
    return self._made.part(corpus, *part)


def _asked(answers: Sequence[Sequence[str]], regex: Sequence[bool] | None) -> bytes:
  return json.dumps([[list(group) for group in answers], regex and list(map(bool, regex))]
                    ).encode()


def _write(answers: Sequence[Sequence[str]], corpus: Corpus, tokenizer: Tokenizer,
           regex: Sequence[bool] | None, new: Writer, share: Share | None = None) -> None:
  """Writes the fields of `Occurrences`; see `find_occurrences` and `stored_occurrences`."""
  regex = [False] * len(answers) if regex is None else regex
  parts, counts = list(_parts(corpus.body_ids)), np.zeros(len(answers), np.int64)
  new.append(**dict.fromkeys(("rows", "starts", "ends"), np.zeros(0, np.int32)))
  with new.scratch() as folder:
    asked = _asked(answers, regex)
    (folder / "answers.json").write_bytes(asked)
    search = _Search(folder / "answers.json",
                     None if share else AnswerSearch(answers, tokenizer, regex))
    key = f"places {_VERSION} {hashlib.sha256(asked).hexdigest()}"
    (folder / "places").mkdir()
    # As many as parts, so that a bucket is as large as what is found in one of these.
    by_question = Buckets(folder / "places", len(parts), PLACE)
    for places in (share or here(corpus))(key, search, parts):
      counts += np.bincount(places["question"], minlength=len(counts))
      by_question.append(places["question"].astype(int) * len(parts) // max(1, len(counts)),
                         places)
    for places in by_question:
      # Those of a part are sorted, and parts come in the order of their rows.
      places = places[np.argsort(places["question"], kind="stable")]
      new.append(rows=places["row"], starts=places["start"], ends=places["end"])
  new.append(splits=np.concatenate([[0], np.cumsum(counts)]))


def stored_occurrences(answers: Sequence[Sequence[str]], corpus: Corpus,
                       tokenizer: Tokenizer, regex: Sequence[bool] | None = None,
                       share: Share | None = None) -> Occurrences:
  """As `find_occurrences`, found once for a store and kept beside it.

  `share` works on parts of the corpus; by default this process does. What is kept is the
  same, byte for byte.
  """
  settings = {"version": _VERSION,
              "answers": hashlib.sha256(_asked(answers, regex)).hexdigest()}
  return Occurrences(**derived(corpus, "places_of_answers", settings, lambda new: _write(
      answers, corpus, tokenizer, regex, new, share)))


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
