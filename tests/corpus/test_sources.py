"""Where documents came from, through additions, deletions and compaction."""

import itertools

import numpy as np
import pytest

from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.changes import change_store, changed, compact_store
from realm_tf.corpus.manifest import read_store_manifest
from realm_tf.corpus.readers import Document
from realm_tf.corpus.sources import (
  documents_from,
  folder_above,
  live_sources,
  sources_of,
)
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.store_writer import write_store
from realm_tf.errors import UserError
from realm_tf.text.salient_spans import RuleTagger
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny

_TOKENIZER = Tokenizer(tiny.vocabulary())


def _blocks(names, text="Paris is old. The river is great. Many people live there."):
  documents = [Document(name, name, text) for name in names]
  return split_blocks(documents, _TOKENIZER, 16, RuleTagger())


def _write(folder, names, source):
  write_store(folder, _blocks(names), tokenizer=_TOKENIZER, max_tokens=16, source=source)
  return folder


def _by_document(folder):
  return {name: path for path, _ in sources_of(read_store_manifest(folder))
          for name in documents_from(folder, path)}


def test_sources_stay_with_their_documents(tmp_path):
  store = _write(tmp_path / "store", ["a", "b"], "/docs")
  change_store(store, add=_blocks(["b", "c"]), source="/more")
  change_store(store, add=_blocks(["d"]))
  change_store(store, delete=["a"])
  expected = {"b": "/more", "c": "/more", "d": "/docs"}
  assert _by_document(store) == expected
  (tmp_path / "compact").mkdir()
  compact_store(store, tmp_path / "compact")
  assert _by_document(tmp_path / "compact") == expected
  rows = Corpus.open(tmp_path / "compact").num_blocks
  assert sum(n for _, n in read_store_manifest(tmp_path / "compact")["sources"]) == rows


def test_sources_of_the_rows_that_live():
  rng = np.random.default_rng(3)
  for _ in range(50):
    rows = rng.choice(list("abc"), 12).tolist()
    sources = [(name, len(list(same))) for name, same in itertools.groupby(rows)]
    live = rng.random(12) < 0.5
    living = [name for name, is_live in zip(rows, live) if is_live]
    assert live_sources(sources, live) == [
        (name, len(list(same))) for name, same in itertools.groupby(living)]


@pytest.mark.parametrize("path, expected", [
    ("docs", {"a.txt", "sub/b.txt", "sub/c/d.txt", "sub-e.txt"}), ("docs/a.txt", {"a.txt"}),
    ("docs/sub", {"sub/b.txt", "sub/c/d.txt"}), ("docs/sub/", {"sub/b.txt", "sub/c/d.txt"}),
    ("docs/sub/../a.txt", {"a.txt"}), ("./docs//sub/c", {"sub/c/d.txt"}),
    ("list.jsonl", {"x"}), ("docs/su", None), ("doc", None), ("list.jsonl/x", {"x"}),
    (".", None), ("", None)])
@pytest.mark.parametrize("absolute", [False, True])
def test_what_came_from_a_path(tmp_path, monkeypatch, path, expected, absolute):
  monkeypatch.chdir(tmp_path)
  store = _write(tmp_path / "store", ["a.txt", "sub/b.txt", "sub/c/d.txt", "sub-e.txt"],
                 "docs")
  change_store(store, add=_blocks(["x"]), source=str(tmp_path / "list.jsonl"))
  path = str(tmp_path / path) if absolute else path
  if expected:
    assert documents_from(store, path) == expected
  else:
    with pytest.raises(UserError, match="no document came from there; .* docs"):
      documents_from(store, path)


def test_a_source_may_be_gone_or_named_by_a_link(tmp_path):
  (tmp_path / "real").mkdir()
  (tmp_path / "link").symlink_to("real")
  store = _write(tmp_path / "store", ["a.txt", "b.txt"], str(tmp_path / "link"))
  assert documents_from(store, str(tmp_path / "real" / "a.txt")) == {"a.txt"}
  assert documents_from(store, str(tmp_path / "link" / "b.txt")) == {"b.txt"}


def test_the_folder_that_a_path_lies_in(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "docs" / "sub" / "deep").mkdir(parents=True)
  (tmp_path / "link").symlink_to("docs")
  docs, sub = str(tmp_path / "docs"), str(tmp_path / "docs" / "sub")
  store = _write(tmp_path / "store", ["a.txt"], docs)
  change_store(store, add=_blocks(["x"]), source=str(tmp_path / "list.jsonl"))
  for path, expected in (("docs", None), ("docs/sub", docs), ("link/a.txt", docs),
                         (sub, docs), (".", None), ("docs2/a.txt", None), ("link", None),
                         ("list.jsonl", None)):
    assert folder_above(store, docs, path) == expected, path
  change_store(store, add=_blocks(["b.txt"]), source=sub)
  for path, expected in (("docs/sub", None), ("docs/sub/deep", sub), ("docs/c.txt", docs)):
    assert folder_above(store, "", path) == expected, path


def test_what_is_there_as_it_is_does_not_change(tmp_path):
  store = _write(tmp_path / "store", ["a", "b", "c"], "tiny")
  corpus = Corpus.open(store)

  def names(blocks):
    return sorted({block.document_id for block in changed(blocks, corpus)})

  assert names(_blocks(["c", "a", "b"])) == []
  assert names(_blocks(["c", "new", "a"])) == ["new"]
  assert names(_blocks(["a"], "Paris is old.")) == ["a"]
  assert names(_blocks(["a"], "Paris is old. The river is great. Many people live here.")
               ) == ["a"]
  more = [Document("b", "Other", next(_blocks(["b"])).text)]
  assert names(split_blocks(more, _TOKENIZER, 16, RuleTagger())) == ["b"]
