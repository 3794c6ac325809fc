"""Where words begin and end among the pieces of a block."""

import numpy as np
import tensorflow as tf

from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.readers import Document
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.store_writer import write_store
from realm_tf.text.tokenizer import Tokenizer
from tests import answers, tiny


def test_words_are_those_that_answers_are_matched_by(tmp_path):
  """Kana and symbols are words each, though BERT takes them with what is beside them."""
  more = [*"はの£", *(f"##{char}" for char in "トヨタの°é")]
  tokenizer = Tokenizer([*tiny.vocabulary(), *more])
  write_store(tmp_path / "corpus", split_blocks(
      [Document("1", "", "はトヨタの river £5 5°cab unseen, aのa.")], tokenizer, 64),
      tokenizer=tokenizer, max_tokens=64, source="test")
  corpus = Corpus.open(tmp_path / "corpus")
  passages = Passages(corpus)
  packed = passages.after(tf.ragged.constant([[7]], tf.int32), tf.constant([[0]]), 96)
  begins, ends = (set(np.flatnonzero(flags.numpy()[0, 3:-1]).tolist())
                  for flags in passages.word_edges(packed, tf.constant([0])))
  pieces = [tokenizer.vocabulary[piece] for piece in corpus.body_ids.row(0)]
  inside = {i for i in range(len(pieces)) if pieces[i] in (
      "##a", "##b", "##n", "##s", "##e") and pieces[i - 1] not in ("##°", "##の")}
  everywhere = set(range(len(pieces)))
  assert begins & everywhere == everywhere - inside == answers.edges(corpus, 0)[0]
  assert ends & everywhere == answers.edges(corpus, 0)[1]
