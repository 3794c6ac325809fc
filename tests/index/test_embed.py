"""The order in which a corpus is embedded, and in which its rows are put."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.readers import Document
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.store_writer import write_store
from realm_tf.index.embed import (
  CorpusEmbedder,
  collect_rows,
  length_batches,
  recompute_error,
  store_embeddings,
)
from realm_tf.index.index_writer import write_lock
from realm_tf.index.stored_index import NotFinite
from realm_tf.models.bert import BertConfig
from realm_tf.models.retriever import Retriever
from realm_tf.ops.compiling import compiling
from realm_tf.text.salient_spans import RuleTagger
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny


def _table(seed=0, rows=40):
  return np.random.default_rng(seed).integers(-9, 10, [rows, 8]).astype(np.float32)


def test_length_batches_hold_every_row_once_and_like_lengths_together():
  lengths = np.random.default_rng(0).integers(3, 60, 200)
  batches = list(length_batches(lengths, 256))
  assert sorted(np.concatenate(batches).tolist()) == list(range(200))
  assert all(len(rows) * lengths[rows].max() <= 256 for rows in batches)
  assert sum(len(b) * lengths[b].max() for b in batches) < 1.15 * lengths.sum()


def test_collect_orders_rows_and_refuses_nan():
  table = _table()
  parts = [(rows, table[rows]) for rows in np.array_split(np.random.permutation(40), 7)]
  np.testing.assert_array_equal(collect_rows(iter(parts), 40), table)
  parts[3][1][0, 0] = np.nan
  with pytest.raises(NotFinite, match="lower the learning rate"):
    collect_rows(iter(parts), 40)


def test_a_corpus_is_embedded_in_few_shapes_where_xla_compiles(tmp_path):
  rng = np.random.default_rng(0)
  documents = [Document(str(i), "Tower", " ".join(rng.choice(["old", "great"], size)))
               for i, size in enumerate(rng.integers(3, 118, 50))]
  tokenizer = Tokenizer(tiny.vocabulary())
  write_store(tmp_path, split_blocks(documents, tokenizer, 120, RuleTagger()),
              tokenizer=tokenizer, max_tokens=120, source="random")
  passages = Passages(Corpus.open(tmp_path))
  tower = Retriever(BertConfig(len(tiny.vocabulary()), 16, 1, 2, 24, 128)).document_tower
  call, shapes = tower.call, []

  def recorded(packed):
    tf.numpy_function(lambda shape: shapes.append(tuple(shape)), [tf.shape(packed.ids)], [])
    return call(packed)

  tower.call = recorded
  tables = []
  for mode in ("off", "on"):
    shapes.clear()
    with compiling(mode):
      embedder = CorpusEmbedder(passages, lambda: tower, 100, 512)
      tables.append(collect_rows(embedder.batches(), embedder.num_rows))
      assert len(embedder.embed(np.arange(3, dtype=np.int32))) == 3
  np.testing.assert_allclose(tables[1], tables[0], rtol=1e-4, atol=1e-5)
  # 512 pieces are 5 rows of 100 or 8 of 64, to which none are added: see `bucketed`.
  assert set(shapes) == {(5, 100), (8, 64)} and len(shapes) > 6


@pytest.mark.parametrize("sample", [1, 7, 1000])
def test_a_sample_is_embedded_again_in_batches(tmp_path, sample):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  tower = Retriever(BertConfig(len(tiny.vocabulary()), 16, 1, 2, 24, 64)).document_tower
  embedder = CorpusEmbedder(Passages(corpus), lambda: tower, 64, 128)
  with write_lock(tmp_path / "index"):
    stored = store_embeddings(tmp_path / "index", "v", corpus, embedder, step=0,
                              dtype="float32")
  tower.trainable_variables[0].assign_add(tf.random.stateless_normal(
      tower.trainable_variables[0].shape, [1, 2], stddev=0.1))
  embed, sizes = embedder.embed, []

  def recorded(rows):
    sizes.append(len(rows) * int(embedder._lengths[rows].max()))  # pylint: disable=protected-access
    return embed(rows)

  embedder.embed = recorded
  error = recompute_error(stored, corpus, embedder, sample, seed=3)
  assert max(sizes) <= 128 and (sample == 1 or len(sizes) > 1)
  drawn = np.random.default_rng(3).choice(corpus.num_blocks, min(sample, corpus.num_blocks),
                                          False)
  by_hand = [(np.abs(stored.read()[row] - fresh).max() / np.sqrt((fresh ** 2).sum()))
             for row in drawn for fresh in embed(np.array([row], np.int32))]
  assert error == pytest.approx(max(by_hand), rel=1e-4) and error > 1e-3
