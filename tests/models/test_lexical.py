"""The words in a vector, beside BM25 and its codes written out in plain Python."""

import math

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.word_statistics import word_statistics
from realm_tf.errors import UserError
from realm_tf.exchange.exporting import checkpoint_contents
from realm_tf.index.embed import make_index
from realm_tf.models.bert import BertConfig
from realm_tf.models.lexical import Lexical, code_bits
from realm_tf.models.reader import Reader
from realm_tf.models.realm import Realm
from realm_tf.models.retriever import Retriever
from realm_tf.run.model import initial_model, saved_model
from realm_tf.text.inputs import pack_pair, pack_single
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny
from tests.bm25 import bm25

_TOKENIZER = Tokenizer(tiny.vocabulary())
_SIZE = 4096  # the error of a score is its 64th part
_TEXTS = [("Paris", "Paris is old. Paris lies by the river."), ("Rome", "Rome is old."),
          ("Oslo", "many people live there by the great river"), ("", "the the the river")]
_QUESTION = "what river lies by paris"


def _corpus():
  return Corpus.from_documents([{"title": title, "text": text} for title, text in _TEXTS],
                               _TOKENIZER, max_tokens=64)


def _pieces(text):
  return _TOKENIZER.tokenize([text]).to_list()[0]


def test_products_are_those_ofbm25():
  corpus = _corpus()
  layer = Lexical(_TOKENIZER.vocab_size, _SIZE, 2.0)
  layer.adapt(word_statistics(corpus))
  documents = [_pieces(title) + _pieces(text) for title, text in _TEXTS]
  packed = pack_pair(*(_TOKENIZER.tokenize(list(column)) for column in zip(*_TEXTS)), 64,
                     _TOKENIZER)
  question = pack_single(_TOKENIZER.tokenize([_QUESTION]), 64, _TOKENIZER)
  scores = tf.matmul(layer(question), layer(packed), transpose_b=True)[0].numpy()
  expected = 2.0 * bm25(_pieces(_QUESTION), documents, documents)
  assert expected.max() > 0.5 and expected.min() < 0.2
  np.testing.assert_allclose(scores, expected, atol=0.06)


def test_padding_and_special_tokens_are_no_words():
  layer = Lexical(_TOKENIZER.vocab_size, 64, 1.0)
  layer.adapt(word_statistics(_corpus()))
  short, long = (pack_single(_TOKENIZER.tokenize(["the river"]), 64, _TOKENIZER, multiple)
                 for multiple in (1, 32))
  np.testing.assert_allclose(layer(short), layer(long), rtol=1e-6, atol=1e-6)
  assert long.ids.shape[1] > short.ids.shape[1]
  for ids in ([], [_TOKENIZER.mask_id, _TOKENIZER.unk_id]):
    special = pack_single(tf.ragged.constant([ids], tf.int32, ragged_rank=1), 64, _TOKENIZER)
    np.testing.assert_array_equal(layer(special), np.zeros([1, 64]))


def test_nothing_weighs_before_a_corpus_is_seen():
  packed = tiny.random_packed(np.random.default_rng(0), 2, 9)
  np.testing.assert_array_equal(Lexical(_TOKENIZER.vocab_size, 64, 1.0)(packed),
                                np.zeros([2, 64]))


def _split_mix(number):
  mask = 2 ** 64 - 1
  z = (number + 1) * 0x9E3779B97F4A7C15 & mask
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
  z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
  return (z ^ z >> 31) >> 32


@pytest.mark.parametrize("size", [32, 40, 384])
def test_codes_are_those_of_split_mix(size):
  ids = [0, 1, 5, 30_521]
  groups = math.ceil(size / 32)
  expected = [[_split_mix(number * groups + place // 32) >> place % 32 & 1
               for place in range(size)] for number in ids]
  np.testing.assert_array_equal(code_bits(tf.constant(ids), size), expected)
  compiled = tf.function(lambda x: code_bits(x, size), jit_compile=True)
  np.testing.assert_array_equal(compiled(tf.constant(ids)), expected)


def test_codes_are_nearly_orthogonal():
  codes = 2 * code_bits(tf.range(3000), 384).numpy().astype(np.float32) - 1
  products = (codes @ codes.T / 384)[np.triu_indices(3000, 1)]
  assert abs(products.mean()) < 1e-3
  np.testing.assert_allclose(products.std(), 384 ** -0.5, rtol=0.01)
  assert np.abs(products).max() < 6 * 384 ** -0.5


def _model(folder, **changes):
  config = tiny.make_config(folder, retriever__lexical_size=96, **changes)
  return config, initial_model(config, _TOKENIZER, tiny.make_corpus(folder / "corpus"))


@pytest.mark.parametrize("shared", [True, False])
def test_a_saved_model_embeds_the_same(tmp_path, shared):
  config, model = _model(tmp_path, retriever__shared_towers=shared)
  texts = ["what is the capital of France", "the river"]
  vectors = model.retriever.embed_queries(texts).numpy()
  assert vectors.shape == (2, 16 + 96) and np.abs(vectors[:, 16:]).sum(1).min() > 0.1
  model.save_pretrained(tmp_path / "saved")
  for again in (saved_model(config, tmp_path / "saved", _TOKENIZER),
                Realm.from_pretrained(tmp_path / "saved")):
    np.testing.assert_array_equal(again.retriever.embed_queries(texts), vectors)
  model.retriever.untie_towers()
  np.testing.assert_array_equal(model.retriever.embed_queries(texts), vectors)
  assert not any("lexical" in variable.name
                 for variable in model.retriever.trainable_variables)


def test_published_size_is_without():
  retriever = Retriever({"vocab_size": 30, "hidden_size": 8, "num_hidden_layers": 1,
                         "num_attention_heads": 2, "intermediate_size": 8,
                         "max_position_embeddings": 16})
  assert retriever.vector_size == 128 and retriever.document_tower.lexical is None
  retriever.adapt(_corpus())  # there is nothing to adapt


def test_an_index_finds_by_words(tmp_path):
  """Random towers know nothing; the word that a question shares with one block does."""
  corpus = tiny.make_corpus(tmp_path / "corpus")
  config = tiny.make_config(tmp_path, retriever__lexical_size=512,
                            retriever__lexical_weight=50.0)
  titles = [title.decode() for title in corpus.titles.tolist()]
  for words in (corpus, None):
    retriever = initial_model(config, _TOKENIZER, words).retriever
    index = make_index(retriever, Passages(corpus))
    vectors = retriever.embed_queries([f"is {city} old" for city in tiny.CITIES])
    best = index.search(vectors, 1)[1][:, 0].numpy()
    right = sum(titles[row] in pair for row, pair in zip(best, tiny.CITIES.items()))
    assert right == len(tiny.CITIES) if words else right < len(tiny.CITIES) / 2


def test_transformers_has_no_such_dimensions(tmp_path):
  sizes = BertConfig.from_folder(tiny.write_bert(tmp_path / "bert"))
  model = Realm(Retriever(sizes, lexical_size=96), Reader(sizes))
  for kind in ("embedder", "scorer", "openqa"):
    with pytest.raises(UserError, match=f"{kind}: .*lexical_size is 96"):
      checkpoint_contents(model, kind)
  checkpoint_contents(model, "reader")
