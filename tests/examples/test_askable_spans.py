"""What questions may ask for, against plain loops over the words."""

import collections

import pytest

from realm_tf.corpus.store import Corpus
from realm_tf.examples import salient_support
from realm_tf.examples.askable_spans import Kind, askable_spans, kind_of
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny

_TEXTS = [
    "Many people live in Ona and it is by the river. The old tower is great, by the river.",
    "The old tower of Ona Great Bona is great and old. It is by the river there.",
    "There is a tower, which is old and great. What was by the river there was Ona.",
    "", "A cat."]


@pytest.fixture(name="corpus", scope="module")
def _corpus():
  return Corpus.from_documents([text for text in _TEXTS if text] * 10,
                               Tokenizer(tiny.vocabulary()), 64)


def _words(corpus, row):
  """Each word of a block: its first piece, its end, and its pieces."""
  body, words = corpus.body_ids.row(row).tolist(), []
  for place, piece in enumerate(body):
    if place and corpus.tokenizer.continuation[piece]:
      words[-1][1] += 1
      words[-1][2].append(piece)
    else:
      words.append([place, place + 1, [piece]])
  return words


def _common(corpus):
  """The most frequent pieces, which are 45 % of the text."""
  counts = collections.Counter(piece for row in range(corpus.num_blocks)
                               for piece in corpus.body_ids.row(row).tolist())
  total, common = 0, set()
  for piece in sorted(counts, key=lambda piece: (-counts[piece], piece)):
    total += counts[piece]
    if total > 0.45 * counts.total():
      break
    common.add(piece)
  return common


def _runs(corpus, row, common):
  """Runs of up to three words between common words, punctuation and ends of sentences."""
  starts, run = set(corpus.sentence_starts.row(row).tolist()), []
  for start, end, pieces in [*_words(corpus, row), (None, None, [])]:
    text = corpus.tokenizer.vocabulary[pieces[0]] if pieces else "."
    is_inner = text.isalnum() and pieces[0] not in common
    if run and (not is_inner or start in starts):
      if len(run) <= 3:
        yield row, run[0][0], run[-1][1]
      run = []
    if is_inner:
      run.append((start, end))


@pytest.mark.parametrize("together", [1, 3, 1 << 14])
def test_salient_spans_and_what_stands_between_frequent_words(corpus, together, monkeypatch):
  monkeypatch.setattr(salient_support, "_ROWS", together)
  askable, common = askable_spans(corpus), _common(corpus)
  found = list(zip(*(field.tolist() for field in askable)))
  salient = {(row, start, end) for row in range(corpus.num_blocks)
             for start, end in zip(corpus.span_starts.row(row), corpus.span_ends.row(row))}
  phrases = {run for row in range(corpus.num_blocks) for run in _runs(corpus, row, common)}
  assert common and salient and phrases - salient
  assert len({end - start for _, start, end in phrases}) > 2
  assert {span[:3] for span in found if not span[3]} == salient
  assert {span[:3] for span in found if span[3]} == phrases - salient
  assert found == sorted(found) and len(found) == len(salient | phrases)


@pytest.mark.parametrize("text, kind", [
    ("Ona Great Bona", Kind.NAME), ("May 1945", Kind.DATE), ("1862", Kind.DATE),
    ("19th century", Kind.DATE), ("300 miles", Kind.NUMBER), ("$3", Kind.NUMBER),
    ("1,234,567", Kind.NUMBER), ("Apollo 11", Kind.NUMBER)])
def test_kinds(text, kind):
  assert kind_of(text) is kind
