"""In which blocks each salient span stands, however the spans were sorted."""

import dataclasses
import tracemalloc
import types

import numpy as np
import pytest

from realm_tf.corpus.derived import Writer
from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.store import Corpus
from realm_tf.examples import salient_support
from realm_tf.examples.salient_sentences import num_without_spans, salient_sentences
from realm_tf.examples.salient_support import supporting_blocks
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny


def _corpora():
  tokenizer = Tokenizer(tiny.vocabulary())
  whole = Corpus.from_documents(tiny.documents(), tokenizer, 24)
  half = Corpus.from_documents(tiny.documents()[4:13], tokenizer, 24)
  none = Corpus.from_documents(["no name in it at all"], tokenizer, 24)
  return {"own": whole, "of more": dataclasses.replace(half, knowledge=whole),
          "of less": dataclasses.replace(whole, knowledge=half), "none": none}


def _spans(corpus):
  return [(row, tuple(corpus.body_ids.row(row)[start:end].tolist()))
          for row in range(corpus.num_blocks) for start, end in zip(
              corpus.span_starts.row(row), corpus.span_ends.row(row))]


def _plain(corpus):
  """The same by sets: names by their width and pieces, their blocks in order."""
  held: dict[tuple[int, ...], set[int]] = {pieces: set() for _, pieces in _spans(corpus)}
  for row, pieces in _spans(corpus.knowledge or corpus):
    held.setdefault(pieces, set()).add(row)
  rows, first = [], {}
  for pieces in sorted(held, key=lambda pieces: (len(pieces), pieces)):
    first[pieces] = len(rows)
    rows += sorted(held[pieces])
  spans = _spans(corpus)
  return (rows, [first[pieces] for _, pieces in spans],
          [len(held[pieces]) for _, pieces in spans],
          [-1 if corpus.knowledge else sorted(held[pieces]).index(row)
           for row, pieces in spans])


@pytest.mark.parametrize("rows, in_bucket", [(1, 1), (3, 7), (1 << 14, 1 << 19)])
@pytest.mark.parametrize("which", _corpora())
def test_blocks_of_spans_equal_a_plain_loop(monkeypatch, which, rows, in_bucket):
  monkeypatch.setattr(salient_support, "_ROWS", rows)
  monkeypatch.setattr(salient_support, "_IN_BUCKET", in_bucket)
  corpus = _corpora()[which]
  support = supporting_blocks(corpus)
  assert {field.dtype for field in support} == {np.dtype(np.int64)}
  assert tuple(field.tolist() for field in support) == _plain(corpus)
  assert (which == "none") != (max(support.blocks, default=0) > 1)


@pytest.mark.parametrize("which", _corpora())
def test_sentences_do_not_depend_on_how_many_blocks_are_looked_at(monkeypatch, which):
  corpus = _corpora()[which]
  whole, without = salient_sentences(corpus, 4, (1, 3)), num_without_spans(corpus)
  monkeypatch.setattr(salient_support, "_ROWS", 3)
  parts = salient_sentences(corpus, 4, (1, 3))
  assert num_without_spans(corpus) == without
  for one, other in zip((*whole[:-1], *whole.support), (*parts[:-1], *parts.support)):
    assert one.dtype == other.dtype and one.tolist() == other.tolist()
  assert (which == "none") != (len(whole.row) > 3)


def _made_up(blocks, spans=4, width=2, words=1000):
  """As much of a corpus as is looked at."""
  rng, edges = np.random.default_rng(0), np.arange(blocks + 1)
  ids = rng.integers(words, size=blocks * spans * width).astype(np.uint16)
  starts = np.tile(np.arange(0, spans * width, width, dtype=np.int32), blocks)
  return types.SimpleNamespace(
      num_blocks=blocks, knowledge=None, tokenizer=types.SimpleNamespace(vocab_size=words),
      body_ids=Ragged(ids, edges * spans * width), span_starts=Ragged(starts, edges * spans),
      span_ends=Ragged(starts + rng.integers(1, width + 1, len(starts)).astype(np.int32),
                       edges * spans))


def test_memory_does_not_grow_with_the_corpus(monkeypatch, tmp_path):
  monkeypatch.setattr(salient_support, "_ROWS", 256)
  monkeypatch.setattr(salient_support, "_IN_BUCKET", 1024)
  peaks = []
  for blocks in (1024, 8192):
    corpus, folder = _made_up(blocks), tmp_path / str(blocks)
    folder.mkdir()
    writer = Writer(folder)
    tracemalloc.start()
    salient_support._write(corpus, writer)
    peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    writer.close()
  assert (folder / "first.bin").stat().st_size == 8 * 4 * blocks
  assert peaks[1] < 2 * peaks[0]
