"""A small world for tests: a corpus, random BERTs, a config, no downloads."""

import json
import pathlib
from typing import Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from realm_tf import config as config_lib
from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.readers import Document
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.store_writer import write_store
from realm_tf.datasets.questions import Question
from realm_tf.models.bert import Bert, BertConfig
from realm_tf.models.weights import bert_names, save_names
from realm_tf.text.inputs import Packed
from realm_tf.text.salient_spans import RuleTagger
from realm_tf.text.tokenizer import Tokenizer
from tests.vocabulary import small_vocabulary

CITIES = {
    "Paris": "France", "Berlin": "Germany", "Rome": "Italy", "Madrid": "Spain",
    "Lisbon": "Portugal", "Vienna": "Austria", "Oslo": "Norway", "Athens": "Greece",
    "Warsaw": "Poland", "Dublin": "Ireland", "Prague": "Czechia", "Cairo": "Egypt"}
_WORDS = [word.lower() for pair in CITIES.items() for word in pair] + [
    "lies", "by", "river", "many", "people", "live", "there", "what", "where", "which"]


def documents() -> list[Document]:
  """Two documents per city that say the same fact in other words, and an odd one."""
  odd = Document("odd", "Tower", "The great old tower by the river was old, they and Ona "
                 "sat on it. It is great.")
  return [odd] + [document for city, country in CITIES.items() for document in (
      Document(f"city-{city}", city,
               f"{city} is the capital of {country}. Many people live in {city} and it "
               "is old. The river is great."),
      Document(f"country-{country}", country,
               f"The old capital of {country} lies by the river. It is {city}. "
               f"Many people live in {country} by the river."))]


def questions() -> list[Question]:
  """One per city; every other one names its gold passage."""
  return [Question(str(number), f"what is the capital of {country}", (city,),
                   gold_passage="" if number % 2 else f"country-{country}")
          for number, (city, country) in enumerate(CITIES.items())]


def vocabulary() -> list[str]:
  return small_vocabulary(_WORDS)


def make_corpus(folder: pathlib.Path, max_tokens: int = 64) -> Corpus:
  tokenizer = Tokenizer(vocabulary())
  write_store(folder, split_blocks(documents(), tokenizer, max_tokens, RuleTagger()),
              tokenizer=tokenizer, max_tokens=max_tokens, source="tiny")
  return Corpus.open(folder)


def write_bert(folder: pathlib.Path, hidden: int = 32, layers: int = 2,
               positions: int = 128) -> pathlib.Path:
  """A random BERT as a folder of weights, with its vocabulary."""
  sizes = {"vocab_size": len(vocabulary()), "hidden_size": hidden,
           "num_hidden_layers": layers, "num_attention_heads": 2,
           "intermediate_size": 2 * hidden, "max_position_embeddings": positions}
  tf_keras.utils.set_random_seed(7)
  bert = Bert(BertConfig(**sizes))
  folder.mkdir(parents=True, exist_ok=True)
  (folder / "config.json").write_text(json.dumps(sizes))
  (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in vocabulary()))
  save_names(folder / "model.safetensors", bert_names(bert))
  return folder


def write_fast_vocabulary(folder: pathlib.Path, words: Sequence[str],
                          lower_case: bool = True) -> None:
  """Writes the `tokenizer.json` of a BERT with these words."""
  (folder / "tokenizer.json").write_text(json.dumps({
      "normalizer": {"type": "BertNormalizer", "lowercase": lower_case},
      "pre_tokenizer": {"type": "BertPreTokenizer"},
      "model": {"type": "WordPiece", "vocab": {word: i for i, word in enumerate(words)}}}))


def make_config(folder: pathlib.Path, write: bool = True, **changes
                ) -> config_lib.RealmConfig:
  """A config for the tiny world: seconds per stage; its BERT is written, or there."""
  weights = str(write_bert(folder / "bert") if write else folder / "bert")
  values = config_lib.to_dict(config_lib.RealmConfig(
      name="tiny", checkpoint_every=0,
      corpus=config_lib.CorpusConfig(max_block_tokens=64),
      retriever=config_lib.RetrieverConfig(
          weights=weights, pooling="mean", projection_size=16, query_length=32,
          document_length=64),
      encoder=config_lib.EncoderConfig(weights=weights, span_hidden_size=16,
                                       max_span_width=4),
      ict=config_lib.ICTConfig(steps=20, batch_size=8, learning_rate=1e-3,
                               warmup_steps=2),
      reading=config_lib.ReadingConfig(batch_size=4, learning_rate=1e-3, warmup_steps=2,
                                       candidates=1),
      pretrain=config_lib.PretrainConfig(
          steps=12, batch_size=4, candidates=3, query_length=32, encoder_length=96,
          learning_rate=1e-3, warmup_steps=2),
      refresh=config_lib.RefreshConfig(every=4, max_staleness=8),
      dpr=config_lib.DPRConfig(batch_size=4, learning_rate=1e-3, warmup_steps=2,
                               hard_negatives=2, mine_every=5),
      cloze=config_lib.ClozeConfig(batch_size=4, learning_rate=1e-3, warmup_steps=2,
                                   read_blocks=2, beam_size=8),
      finetune=config_lib.FinetuneConfig(
          steps=20, batch_size=4, beam_size=8, read_blocks=2, reader_length=96,
          learning_rate=1e-3, warmup_steps=2),
      evaluate=config_lib.EvaluateConfig(read_blocks=2, recall_at=(1, 5, 20))))
  for path, value in changes.items():
    config_lib.set_field(values, path.replace("__", "."), value)
  return config_lib.from_dict(values)


def with_random_weights(bert: Bert, scale: float) -> Bert:
  """With normal numbers in place of all its weights, the same each time."""
  rng = np.random.default_rng(0)
  for variable in bert.variables:
    variable.assign(rng.normal(size=variable.shape, scale=scale))
  return bert


def random_packed(rng: np.random.Generator, rows: int, length: int) -> Packed:
  """Random ids with random lengths, as `pack_pair` would give them."""
  lengths = rng.integers(4, length + 1, rows)
  mask = np.arange(length) < lengths[:, None]
  ids = np.where(mask, rng.integers(5, len(vocabulary()), [rows, length]), 0)
  starts = rng.integers(2, lengths - 1)
  segments = (np.arange(length) >= starts[:, None]) & mask
  return Packed(tf.constant(ids, tf.int32), tf.constant(mask),
                tf.constant(segments, tf.int32), tf.constant(starts, tf.int32))
