"""What questions may ask for, against plain loops over the words."""

import collections

import pytest

from realm_tf.corpus.store import Corpus
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


def test_salient_spans_are_all_there_and_phrases_are_runs_of_words(corpus):
  askable, common = askable_spans(corpus, seed=3), _common(corpus)
  found = list(zip(*(field.tolist() for field in askable)))
  salient = {(row, start, end, False) for row in range(corpus.num_blocks)
             for start, end in zip(corpus.span_starts.row(row), corpus.span_ends.row(row))}
  phrases = [span for span in found if span[3]]
  assert salient == {span for span in found if not span[3]}
  assert common and len(phrases) > 30 and len(set(phrases)) == len(phrases)
  assert [span[:2] for span in found] == sorted(span[:2] for span in found)
  widths = set()
  for row, start, end, _ in phrases:
    words = [word for word in _words(corpus, row) if start <= word[0] < end]
    assert words[0][0] == start and words[-1][1] == end
    text = [corpus.tokenizer.vocabulary[piece] for word in words for piece in word[2]]
    assert not {".", ","} & set(text)
    assert not {words[0][2][0], words[-1][2][-1]} & common
    widths.add(len(words))
  assert widths <= {1, 2, 3, 4} and len(widths) > 2


def test_phrases_are_a_function_of_the_seed(corpus):
  first, same, other = (askable_spans(corpus, seed).start.tolist() for seed in (3, 3, 40))
  assert first == same != other


@pytest.mark.parametrize("text, kind", [
    ("Ona Great Bona", Kind.NAME), ("May 1945", Kind.DATE), ("1862", Kind.DATE),
    ("19th century", Kind.DATE), ("300 miles", Kind.NUMBER), ("$3", Kind.NUMBER),
    ("1,234,567", Kind.NUMBER), ("Apollo 11", Kind.NUMBER)])
def test_kinds(text, kind):
  assert kind_of(text) is kind
