"""Documents that come and go, against a store that is written anew."""

import numpy as np
import pytest

from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.changes import change_store, changed, compact_store
from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.readers import Document
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.store_writer import write_store
from realm_tf.errors import UserError
from realm_tf.text.salient_spans import RuleTagger
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny

_TOKENIZER = Tokenizer(tiny.vocabulary())


def _blocks(documents):
  return list(split_blocks(documents, _TOKENIZER, 32, RuleTagger()))


def _write(folder, documents):
  write_store(folder, _blocks(documents), tokenizer=_TOKENIZER, max_tokens=32,
              source="tiny")
  return folder


def _document(name, rng):
  cities = rng.choice(list(tiny.CITIES), rng.integers(1, 6))
  return Document(name, name, " ".join(
      f"{city} is the capital of {tiny.CITIES[city]}." for city in cities))


def _same(corpus, expected):
  assert corpus.document_ids == expected.document_ids
  for name in ("titles", "texts"):
    np.testing.assert_array_equal(getattr(corpus, name), getattr(expected, name))
  for name, value in vars(expected).items():
    if isinstance(value, Ragged):
      np.testing.assert_array_equal(getattr(corpus, name).values, value.values)
      np.testing.assert_array_equal(getattr(corpus, name).splits, value.splits)


def test_after_any_churn_the_store_is_as_if_written_anew(tmp_path):
  rng = np.random.default_rng(1)
  living = {f"d{i}": _document(f"d{i}", rng) for i in range(8)}
  store = _write(tmp_path / "store", living.values())
  hashes = []
  for turn in range(6):
    new = [_document(f"d{i}", rng) for i in rng.choice(20, 3, replace=False)]
    gone = [str(name) for name in rng.choice(list(living), 2, replace=False)]
    change_store(store, add=_blocks(new), delete=gone)
    for name in (*gone, *(document.id for document in new)):
      living.pop(name, None)  # what is added again stands at the end
    living |= {document.id: document for document in new}
    corpus = Corpus.open(store)
    rebuilt = Corpus.open(_write(tmp_path / f"rebuilt-{turn}", living.values()))
    _same(corpus, rebuilt)
    assert len(corpus.stored_rows) == corpus.num_blocks < corpus.num_stored_rows
    hashes.append((corpus.hash, corpus.rows_hash))
  assert len(set(hashes)) == 6
  (tmp_path / "compact").mkdir()
  compact_store(store, tmp_path / "compact")
  names = sorted(path.name for path in (tmp_path / "compact").iterdir())
  assert names == sorted(path.name for path in rebuilt.folder.iterdir())
  for name in names:
    assert (tmp_path / "compact" / name).read_bytes() == (rebuilt.folder / name).read_bytes()


def test_what_is_damaged_is_not_compacted(tmp_path):
  rng = np.random.default_rng(5)
  store = tmp_path / "store"
  write_store(store, _blocks([_document(f"d{i}", rng) for i in range(8)]), max_tokens=32,
              tokenizer=_TOKENIZER, source="tiny", blocks_per_shard=4)
  path = store / "blocks-00001.tfrecord"
  data = bytearray(path.read_bytes())
  for place in (len(data) // 2, 4):  # of a block, and of what says how long it is
    data[place] ^= 1
    path.write_bytes(data)
    target = tmp_path / f"target-{place}"
    target.mkdir()
    with pytest.raises(UserError, match="^.*blocks-00001.tfrecord: damaged: its SHA-256"):
      compact_store(store, target)
    assert not (target / "manifest.json").exists()


def test_without_a_change_no_file_is_touched(tmp_path):
  rng = np.random.default_rng(2)
  documents = [_document("a", rng), _document("b", rng)]
  store = _write(tmp_path / "store", documents)

  def stamps():
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns)
            for path in (store, *store.iterdir())}
  before = stamps()
  change_store(store)
  change_store(store, add=changed(_blocks(documents), Corpus.open(store)), source="again")
  assert stamps() == before
  change_store(store, add=changed(_blocks([_document("c", rng)]), Corpus.open(store)))
  assert stamps() != before


def test_an_index_of_before_fits_as_far_as_it_goes(tmp_path):
  rng = np.random.default_rng(2)
  store = _write(tmp_path / "store", [_document("a", rng), _document("b", rng)])
  before = Corpus.open(store)
  change_store(store, delete=["a"])
  deleted = Corpus.open(store)
  assert deleted.rows_hash == before.rows_hash and deleted.hash != before.hash
  change_store(store, add=_blocks([_document("c", rng)]))
  after = Corpus.open(store)
  assert after.rows_by_hash[before.rows_hash] == before.num_blocks
  assert after.rows_by_hash[after.rows_hash] == after.num_stored_rows > before.num_blocks
  assert after.stored_rows[0] == before.document_ids.index("b")


@pytest.mark.parametrize("gone, message", [
    (["a", "nobody"], "no document 'nobody'"), (["a", "b"], "no document would be left")])
def test_a_deletion_that_cannot_be_changes_nothing(tmp_path, gone, message):
  rng = np.random.default_rng(3)
  store = _write(tmp_path / "store", [_document("a", rng), _document("b", rng)])
  before = {path.name: path.read_bytes() for path in store.iterdir()}
  with pytest.raises(UserError, match=message):
    change_store(store, delete=gone)
  assert before == {path.name: path.read_bytes() for path in store.iterdir()}
  assert {path.name for path in tmp_path.iterdir()} == {"store", "store.derived"}


def test_a_reader_that_meets_a_swap_reads_the_store_after_it(tmp_path, monkeypatch):
  rng = np.random.default_rng(4)
  store = _write(tmp_path / "store", [_document("a", rng), _document("b", rng)])
  change_store(store, delete=["a"])
  (tmp_path / "compacted").mkdir()
  compact_store(store, tmp_path / "compacted")
  original, swapped = Corpus._read.__func__, []  # pylint: disable=protected-access

  def swap_then_read(cls, folder, *arguments):
    if not swapped:
      swapped.append(True)
      (tmp_path / "store").rename(tmp_path / "old")
      (tmp_path / "compacted").rename(store)
    return original(cls, folder, *arguments)

  monkeypatch.setattr(Corpus, "_read", classmethod(swap_then_read))
  corpus = Corpus.open(store)
  assert swapped and set(corpus.document_ids) == {"b"}
  assert corpus.num_stored_rows == corpus.num_blocks
