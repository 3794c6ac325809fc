import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import realm_tf  # noqa: F401
from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.readers import Document
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.store_writer import write_store
from realm_tf.errors import UserError
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


def test_blocks_that_fail_half_way_leave_what_was_there(store, blocks, tokenizer):
  def failing():
    yield from blocks[:20]
    raise UserError("a.jsonl:21: field 'text' is empty")

  with pytest.raises(UserError, match="a.jsonl:21"):
    _write(store, failing(), tokenizer)
  assert Corpus.open(store).num_blocks == len(blocks)
  assert [path.name for path in store.parent.iterdir()] == ["store"]


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
  for verify in (True, False):
    with pytest.raises(UserError, match="blocks-00001.tfrecord: damaged"):
      Corpus.open(store, verify=verify)


def test_a_shard_cut_between_records_is_named_even_unverified(store):
  (store / "blocks-00001.tfrecord").write_bytes(b"")
  with pytest.raises(UserError, match="blocks-00001.tfrecord: 0 blocks; manifest.json"):
    Corpus.open(store, verify=False)


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
  shards = json.loads((store / "manifest.json").read_text())["shards"]
  _edit_manifest(store, shards=shards[::-1])
  with pytest.raises(UserError, match="field 'corpus_hash'"):
    Corpus.open(store)


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
  assert [path.name for path in store.parent.iterdir()] == ["store"]
