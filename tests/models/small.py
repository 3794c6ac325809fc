"""Models of one layer for tests of what Keras does with them, and texts to learn from."""

import tf_keras

from realm_tf.models.bert import BertConfig
from realm_tf.models.reader import Reader
from realm_tf.models.realm import Realm
from realm_tf.models.retriever import Retriever
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny

TOKENIZER = Tokenizer(tiny.vocabulary())
BERT = BertConfig(len(tiny.vocabulary()), 16, 1, 2, 32, 128)

QUESTIONS = [f"what is the capital of {country}" for country in tiny.CITIES.values()]
ANSWERS = list(tiny.CITIES)
PASSAGES = [f"The old capital of {country} lies by the river. It is {city}. Many people "
            f"live in {country}." for city, country in tiny.CITIES.items()]


def retriever(**arguments) -> Retriever:
  return Retriever(BERT, **{"pooling": "mean", "projection_size": 8, "query_length": 32,
                            "document_length": 64, "tokenizer": TOKENIZER, **arguments})


def reader(**arguments) -> Reader:
  return Reader(BERT, **{"span_hidden_size": 8, "max_span_width": 3, "max_length": 96,
                         "tokenizer": TOKENIZER, **arguments})


def realm(**arguments) -> Realm:
  return Realm(retriever(**arguments), reader(), candidates=3, beam_size=100, read_blocks=4)


def seeded(make, seed=0, **arguments):
  """A model whose random values are always the same."""
  tf_keras.utils.set_random_seed(seed)
  return make(**arguments)
