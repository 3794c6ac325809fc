"""The examples of what was retrieved."""

import numpy as np
import pytest

from realm_tf.examples.pretraining import pretraining_batches
from realm_tf.training.retrieved import as_markdown, retrieved_examples
from tests import tiny


@pytest.fixture(name="retrieved")
def _retrieved(tmp_path):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  batch = next(iter(pretraining_batches(
      corpus, np.zeros([corpus.num_blocks, 0], np.int32), batch_size=3, query_length=32,
      max_masks=4, support=(2, 0), seed=0, first_step=0, last_step=1)))
  rows = np.array([[corpus.num_blocks, 3], [corpus.num_blocks, 5], [corpus.num_blocks, 1]])
  prior = np.array([[0.25, 0.75]] * 3)
  return corpus, batch, retrieved_examples(corpus, batch, rows, prior, prior[:, ::-1], 2)


def test_each_sentence_has_its_candidates(retrieved):
  corpus, batch, examples = retrieved
  assert len(examples) == 2
  for i, row in enumerate([3, 5]):
    answer = batch.labels[i].numpy()[batch.weights[i].numpy() > 0]
    assert examples[i]["answer"].split()[0] == corpus.tokenizer.vocabulary[answer[0]]
    assert "[MASK]" in examples[i]["sentence"]
    assert examples[i]["candidates"] == [
        {"title": "", "text": "", "prior": 0.25, "posterior": 0.75},
        {"title": corpus.titles[row].decode(), "text": corpus.texts[row].decode(),
         "prior": 0.75, "posterior": 0.25}]


def test_table_of_candidates(retrieved):
  corpus, _, examples = retrieved
  first, second = as_markdown(examples).split("\n\n**")
  assert f"answer: *{examples[0]['answer']}" in first and "[MASK]" in first
  assert "| 0.250 | 0.750 | (null document) |" in first
  assert f"| 0.750 | 0.250 | {corpus.titles[3].decode()} |" in first
  assert corpus.titles[5].decode() in second and corpus.titles[1].decode() not in second
