"""ICT examples against the text that they were cut from."""

import numpy as np
import pytest

from realm_tf.examples.ict_pairs import ict_batches
from tests import tiny


@pytest.fixture(name="corpus", scope="module")
def _corpus(tmp_path_factory):
  return tiny.make_corpus(tmp_path_factory.mktemp("ict") / "corpus")


def _batches(corpus, rate):
  return ict_batches(corpus, batch_size=8, removal_rate=rate, query_length=64,
                     document_length=96, seed=1, first_step=0, last_step=12)


def _bodies(packed):
  """The second part of each row, without its [SEP]."""
  lengths = packed.padding_mask.numpy().sum(1)
  return [row[start:length - 1].tolist() for row, start, length in
          zip(packed.ids.numpy(), packed.second_start.numpy(), lengths)]


def _sentences(corpus, row):
  starts = [*corpus.sentence_starts.row(row), len(corpus.body_ids.row(row))]
  body = corpus.body_ids.row(row).tolist()
  return [(body[:a] + body[b:], body[a:b]) for a, b in zip(starts, starts[1:])]


def test_sentence_and_rest_make_the_block(corpus):
  for batch in _batches(corpus, 1.0):
    queries = [row[1:length - 1].tolist() for row, length in
               zip(batch.queries.ids.numpy(), batch.queries.padding_mask.numpy().sum(1))]
    for row, query, rest in zip(batch.rows.numpy(), queries, _bodies(batch.documents)):
      assert (rest, query) in _sentences(corpus, row)


def test_block_is_whole_where_nothing_is_removed(corpus):
  for batch in _batches(corpus, 0.0):
    for row, body in zip(batch.rows.numpy(), _bodies(batch.documents)):
      assert body == corpus.body_ids.row(row).tolist()


def test_removal_rate(corpus):
  is_complete = [body == corpus.body_ids.row(row).tolist() for batch in _batches(corpus, 0.9)
                 for row, body in zip(batch.rows.numpy(), _bodies(batch.documents))]
  assert 0.02 < np.mean(is_complete) < 0.25  # 96 draws at 0.1
