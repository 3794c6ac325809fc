import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

import realm_tf  # noqa: F401
from realm_tf.corpus import columns
from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.changes import change_store
from realm_tf.corpus.manifest import check_store, read_store_manifest
from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.readers import Document
from realm_tf.corpus.sources import documents_from
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.store_writer import write_store
from realm_tf.corpus.tables import Table
from realm_tf.errors import UserError
from realm_tf.files import read_manifest, write_manifest
from realm_tf.text.salient_spans import RuleTagger
from realm_tf.text.tokenizer import Tokenizer
from tests.vocabulary import small_vocabulary

FIELDS = ("title_ids", "body_ids", "body_starts", "body_ends", "sentence_starts",
          "span_starts", "span_ends")


@pytest.fixture(scope="module")
def tokenizer():
  return Tokenizer(small_vocabulary())


@pytest.fixture(scope="module")
def blocks(tokenizer):
  documents = [Document(f"d{i}", f"Title é{i}" if i % 3 else "",
                        f"The cat {i} sat in Paris. It was 😀 on the mat. " * (i % 4 + 1))
               for i in range(25)]
  return list(split_blocks(documents, tokenizer, 48, RuleTagger()))


def _write(folder, blocks, tokenizer, **settings):
  settings = {"max_tokens": 48, "source": "test", "blocks_per_shard": 16} | settings
  write_store(folder, blocks, tokenizer=tokenizer, **settings)
  return folder


@pytest.fixture
def store(tmp_path, blocks, tokenizer):
  return _write(tmp_path / "store", blocks, tokenizer)


def _edit_manifest(store, **changes):
  path = store / "manifest.json"
  manifest = json.loads(path.read_text()) | changes
  path.write_text(json.dumps({k: v for k, v in manifest.items() if v is not None}))


def test_what_is_written_is_read(store, blocks, tokenizer):
  assert len(blocks) > 33
  assert len(list(store.glob("blocks-*.tfrecord"))) > 2
  corpus = Corpus.open(store)
  assert corpus.num_blocks == len(blocks)
  assert (corpus.max_tokens, corpus.source) == (48, "test")
  assert corpus.tokenizer.hash == tokenizer.hash
  for i, block in enumerate(blocks):
    assert corpus.document_ids[i] == block.document_id
    assert corpus.titles[i].decode() == block.title
    assert corpus.texts[i].decode() == block.text
    for name in FIELDS:
      row = getattr(corpus, name).row(i)
      assert row.dtype == np.int32
      np.testing.assert_array_equal(row, getattr(block, name))


def test_ragged():
  ragged = Ragged(np.arange(5, dtype=np.int32), np.array([0, 2, 2, 5]))
  assert len(ragged) == 3
  assert ragged.lengths.tolist() == [2, 0, 3]
  assert ragged.to_tensor().to_list() == [[0, 1], [], [2, 3, 4]]
  both = Ragged.concatenate([ragged, ragged])
  assert both.to_tensor().to_list() == ragged.to_tensor().to_list() * 2


def test_the_same_blocks_give_the_same_bytes(store, blocks, tokenizer, tmp_path):
  again = _write(tmp_path / "again", iter(blocks), tokenizer)
  assert ({path.name: path.read_bytes() for path in again.iterdir()}
          == {path.name: path.read_bytes() for path in store.iterdir()})


def test_the_hash_tells_blocks_order_and_tokenizer(store, blocks, tokenizer, tmp_path):
  other = Tokenizer(small_vocabulary(["more"]))
  stores = [store, _write(tmp_path / "a", blocks[::-1], tokenizer),
            _write(tmp_path / "b", blocks[:-1], tokenizer),
            _write(tmp_path / "c", blocks, other)]
  assert len({Corpus.open(path).hash for path in stores}) == 4


def test_an_empty_corpus_leaves_what_was_there(store, tokenizer):
  before = (store / "manifest.json").read_bytes()
  with pytest.raises(UserError, match="store: an empty corpus"):
    _write(store, [], tokenizer)
  assert (store / "manifest.json").read_bytes() == before
  assert [path.name for path in store.parent.iterdir()] == ["store"]


def _without_derived(folder):
  return [path.name for path in folder.iterdir() if path.name != "store.derived"]


def test_blocks_that_fail_half_way_leave_what_was_there(store, blocks, tokenizer):
  def failing():
    yield from blocks[:20]
    raise UserError("a.jsonl:21: field 'text' is empty")

  with pytest.raises(UserError, match="a.jsonl:21"):
    _write(store, failing(), tokenizer)
  assert Corpus.open(store).num_blocks == len(blocks)
  assert _without_derived(store.parent) == ["store"]


@pytest.mark.parametrize("name", ["blocks-00001.tfrecord", "vocab.txt"])
def test_a_damaged_file_is_named(store, name):
  content = bytearray((store / name).read_bytes())
  content[len(content) // 2] ^= 1
  (store / name).write_bytes(content)
  with pytest.raises(UserError, match=f"{name}: damaged: its SHA-256"):
    Corpus.open(store)


def test_a_truncated_shard_is_named_even_unverified(store):
  path = store / "blocks-00001.tfrecord"
  path.write_bytes(path.read_bytes()[:-7])
  shard = read_store_manifest(store)["shards"][1]
  with pytest.raises(UserError, match="blocks-00001.tfrecord: damaged"):
    list(columns._parse(store, shard))
  with pytest.raises(UserError, match="blocks-00001.tfrecord: damaged"):
    Corpus.open(store)


def test_a_shard_cut_between_records_is_named_even_unverified(store):
  (store / "blocks-00001.tfrecord").write_bytes(b"")
  with pytest.raises(UserError, match="blocks-00001.tfrecord: 0 blocks; manifest.json"):
    list(columns._parse(store, read_store_manifest(store)["shards"][1]))


def test_a_shard_is_read_once_and_checked_by_verify(store):
  opened = Corpus.open(store)
  (store / "blocks-00001.tfrecord").write_bytes(b"")
  again = Corpus.open(store)
  assert again.texts == opened.texts and again.num_blocks == len(opened.texts)
  with pytest.raises(UserError, match="blocks-00001.tfrecord: damaged: its SHA-256"):
    check_store(store)


def test_tokens_are_narrow_where_they_fit(tmp_path, tokenizer):
  """Offsets do not in a block of a word that is a text of its own."""
  documents = [Document("a", "", "the cat sat."), Document("b", "", "q" * 70_000),
               Document("c", "", "on the mat.")]
  corpus = Corpus.open(_write(tmp_path / "store", split_blocks(documents, tokenizer, 48),
                              tokenizer))
  assert corpus.body_ids.values.dtype == corpus.title_ids.values.dtype == np.uint16
  assert corpus.body_ends.row(1).tolist() == [70_000]
  assert corpus.body_ends.row(0).tolist() == [3, 7, 11, 12]
  assert corpus.body_ends.row(2).tolist()[0] == 2
  in_memory = Corpus.from_blocks(split_blocks(documents, tokenizer, 48), tokenizer, 48)
  for rows in (corpus.body_ids, corpus.body_ends, in_memory.body_ids):
    table = Table(rows.with_empty_row())
    for row in range(3):
      expected = [rows.row(row).tolist(), rows.row(0).tolist()]
      assert Table(rows).gather(tf.constant([row, 0])).to_list() == expected
      assert table.gather(tf.constant([row, 0, 3])).to_list() == [*expected, []]
      assert table.at(tf.constant([row]), tf.constant([0])).numpy() == expected[0][0]


def test_strings_are_looked_up_where_they_lie(store, blocks):
  texts, ids = Corpus.open(store).texts, Corpus.open(store).document_ids
  expected = [block.text.encode() for block in blocks]
  assert list(texts) == texts.tolist() == expected and len(texts) == len(blocks)
  assert texts[-1] == expected[-1] and texts[np.int64(3)] == expected[3]
  assert texts[3:30:4].tolist() == expected[3:30:4]
  assert texts[np.array([5, 0, 5])].tolist() == [expected[5], expected[0], expected[5]]
  assert texts[np.array([], int)].tolist() == texts[:0].tolist() == []
  assert tf.constant(texts[:2]).numpy().tolist() == expected[:2]
  assert ids.index("d3") == [block.document_id for block in blocks].index("d3")
  assert "d3" in ids and "none" not in ids and ids != texts
  for row in (len(blocks), -len(blocks) - 1):
    with pytest.raises(IndexError):
      texts[row]


def test_a_missing_shard_is_named(store):
  (store / "blocks-00001.tfrecord").unlink()
  with pytest.raises(UserError, match="blocks-00001.tfrecord: missing"):
    Corpus.open(store)


def test_half_a_store(store):
  (store / "manifest.json").unlink()
  with pytest.raises(UserError, match="store: no manifest.json.*half copied"):
    Corpus.open(store)


def test_no_store(tmp_path):
  with pytest.raises(UserError, match="nowhere: no such folder"):
    Corpus.open(tmp_path / "nowhere")


def test_a_newer_format(store):
  _edit_manifest(store, format_version=99)
  with pytest.raises(UserError, match="'format_version' is 99; this realm_tf reads"):
    Corpus.open(store)


@pytest.mark.parametrize("field", [
    "format_version", "shards", "tokenizer", "num_blocks", "corpus_hash"])
def test_a_field_missing_from_the_manifest(store, field):
  _edit_manifest(store, **{field: None})
  with pytest.raises(UserError, match=f"manifest.json: field '{field}' is missing"):
    Corpus.open(store)


def test_shards_in_another_order(store):
  manifest = read_manifest(store / "manifest.json")
  write_manifest(store / "manifest.json", manifest | {"shards": manifest["shards"][::-1]})
  with pytest.raises(UserError, match="field 'corpus_hash'"):
    Corpus.open(store)


@pytest.mark.parametrize("fields", [
    {"shards": None}, {"shards": 3}, {"tokenizer": []}, {"max_tokens": "48"}, {"deleted": 1},
    {"shards": [{"name": "blocks-00000.tfrecord"}]}, {"more": 1}])
@pytest.mark.parametrize("use", [
    Corpus.open, check_store, change_store, lambda store: documents_from(store, "test")])
def test_a_manifest_that_people_changed_is_damaged(store, fields, use):
  path = store / "manifest.json"
  path.write_text(json.dumps(json.loads(path.read_text()) | fields))
  with pytest.raises(UserError, match="manifest.json: damaged: its fields are not those"):
    use(store)


@pytest.mark.parametrize("text", ["[" * 100_000, "5", "[]", "9" * 5000, '{"shards": 5}'])
def test_a_folder_with_another_manifest_is_not_replaced(tmp_path, blocks, tokenizer, text):
  (tmp_path / "mine").mkdir()
  (tmp_path / "mine" / "manifest.json").write_text(text)
  with pytest.raises(UserError, match="mine: "):
    _write(tmp_path / "mine", blocks, tokenizer)
  assert (tmp_path / "mine" / "manifest.json").read_text() == text


def test_another_tokenizer(store, tokenizer):
  assert Corpus.open(store, tokenizer=tokenizer).tokenizer is tokenizer
  with pytest.raises(UserError, match="made with another tokenizer"):
    Corpus.open(store, tokenizer=Tokenizer(small_vocabulary(["more"])))


def test_a_full_disk_leaves_the_earlier_store(store, blocks):
  # A limit on the size of files stands in for the end of the disk.
  script = textwrap.dedent(f"""
      import resource, signal
      import realm_tf
      from realm_tf.corpus.blocks import split_blocks
      from realm_tf.corpus.readers import Document
      from realm_tf.corpus.store_writer import write_store
      from realm_tf.errors import UserError
      from realm_tf.text.tokenizer import Tokenizer

      tokenizer = Tokenizer.from_file({str(store / "vocab.txt")!r})
      documents = [Document(str(i), "", "the cat sat on the mat. " * 50)
                   for i in range(400)]
      blocks = list(split_blocks(documents, tokenizer, 64))
      signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
      resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
      try:
        write_store({str(store)!r}, blocks, tokenizer=tokenizer, max_tokens=64,
                    source="big")
      except UserError as error:
        print(error)
  """)
  run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                       check=True)
  assert "cannot be written" in run.stdout, run.stdout + run.stderr
  assert "what was there before is unchanged" in run.stdout
  assert run.stdout.count("\n") == 1
  assert Corpus.open(store).num_blocks == len(blocks)
  assert _without_derived(store.parent) == ["store"]
