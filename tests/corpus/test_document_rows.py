"""Documents of a corpus by their ids, against plain loops."""

import gc
import tracemalloc

import numpy as np
import pytest

from realm_tf.corpus import document_rows as module
from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.changes import change_store
from realm_tf.corpus.derived import derived_root
from realm_tf.corpus.document_rows import document_rows
from realm_tf.corpus.readers import Document
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.store_writer import write_store
from realm_tf.errors import UserError
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny

_TOKENIZER = Tokenizer(tiny.vocabulary())


def _blocks(names, longest=4):
  text = "Paris is old. The river is great. "
  documents = [Document(name, "", text * (1 + number % longest))
               for number, name in enumerate(names)]
  return split_blocks(documents, _TOKENIZER, 16)


def _store(folder, names, longest=4):
  write_store(folder, _blocks(names, longest), tokenizer=_TOKENIZER, max_tokens=16,
              source="toy")
  return Corpus.open(folder)


def _check(corpus, absent):
  documents, names = document_rows(corpus), list(corpus.document_ids)
  assert len(documents) == len(set(names))
  for name in (*names, *absent):
    expected = [row for row, other in enumerate(names) if other == name]
    np.testing.assert_array_equal(documents.of(name), expected)
    assert (name in documents) == bool(expected)


@pytest.fixture(name="small")
def _small(monkeypatch):
  monkeypatch.setattr(module, "_IN_BUCKET", 5)
  monkeypatch.setattr(module, "_AT_A_TIME", 7)


def test_blocks_by_id(tmp_path, small):
  corpus = _store(tmp_path / "store", [f"d{number}" for number in range(40)])
  _check(corpus, ["", "d", "d40", "caf\udce9", "\ud83d"])
  with pytest.raises(UserError, match=r"no document 'caf\udce9'; nothing was deleted"):
    change_store(corpus.folder, delete=["caf\udce9"])
  assert 7 not in document_rows(corpus)
  change_store(corpus.folder, add=_blocks(["d3", "new"]), delete=["d7"])
  _check(Corpus.open(corpus.folder), ["d7"])
  (folder,) = derived_root(corpus.folder).glob("documents-*")
  assert sorted(path.name for path in folder.iterdir()) == [
      "blocks.bin", "documents.bin", "first.bin", "hash.bin", "manifest.json"]


def test_ids_of_one_hash_are_told_apart(monkeypatch, small):
  # Blocks that a program puts together may be in any order.
  blocks = list(_blocks([f"d{number}" for number in range(12)]))
  order = np.random.default_rng(0).permutation(len(blocks))
  corpus = Corpus.from_blocks([blocks[i] for i in order], _TOKENIZER, 16)
  monkeypatch.setattr(module, "_hash", lambda name: np.uint64(len(name) << 60))
  _check(corpus, ["d12", "x"])


def test_memory_does_not_grow_with_the_documents(tmp_path, monkeypatch):
  monkeypatch.setattr(module, "_IN_BUCKET", 128)
  monkeypatch.setattr(module, "_AT_A_TIME", 64)

  def once(count, time):
    corpus = _store(tmp_path / f"{count}-{time}", [f"document {i}" for i in range(count)], 1)
    gc.collect()
    tracemalloc.start()
    try:
      assert len(document_rows(corpus)) == count
      return tracemalloc.get_traced_memory()[1]
    finally:
      tracemalloc.stop()

  def peak(count):  # threads of other tests may take some, too
    return min(once(count, time) for time in range(3))

  peak(100)  # what is loaded once
  assert peak(4000) < 2 * peak(400)  # all at a time, three times as much and more
