"""How many blocks hold a word, beside a count in plain Python."""

import numpy as np

from realm_tf.corpus import word_statistics as statistics
from realm_tf.corpus.ragged import Ragged
from tests import tiny


def test_blocks_are_counted_once_whichever_part_holds_a_word(tmp_path, monkeypatch):
  monkeypatch.setattr(statistics, "_ROWS", 7)  # so that the 25 blocks come in four parts
  corpus = tiny.make_corpus(tmp_path / "corpus")
  counted = statistics.word_statistics(corpus)
  blocks = [[*corpus.title_ids.row(row), *corpus.body_ids.row(row)]
            for row in range(corpus.num_blocks)]
  expected = [sum(piece in block for block in blocks)
              for piece in range(corpus.tokenizer.vocab_size)]
  for special in corpus.tokenizer.special_ids:
    expected[special] = 0
  np.testing.assert_array_equal(counted.holding, expected)
  assert counted.num_blocks == len(blocks) and max(expected) > 7
  np.testing.assert_allclose(counted.mean_length, np.mean([len(block) for block in blocks]))


def test_no_rows():
  none = Ragged(np.zeros([0], np.int32), np.zeros([1], np.int64))
  np.testing.assert_array_equal(statistics.blocks_holding([none], 3), [0, 0, 0])
