"""The examples that TensorBoard shows."""

import numpy as np

from realm_tf.examples.pretraining import pretraining_batches
from realm_tf.training.retrieved import retrieved_examples
from tests import tiny


def test_table_of_candidates(tmp_path):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  batch = next(iter(pretraining_batches(
      corpus, np.zeros([corpus.num_blocks, 0], np.int32), batch_size=3, query_length=32,
      max_masks=4, support=(2, 0), seed=0, first_step=0, last_step=1)))
  rows = np.array([[corpus.num_blocks, 3], [corpus.num_blocks, 5], [corpus.num_blocks, 1]])
  prior = np.array([[0.25, 0.75]] * 3)
  text = retrieved_examples(corpus, batch, rows, prior, prior[:, ::-1], most=2)
  first, second = text.split("\n\n**")
  answer = batch.labels[0].numpy()[batch.weights[0].numpy() > 0]
  word = corpus.tokenizer.vocabulary[answer[0]]
  assert f"answer: *{word}" in first and "[MASK]" in first
  assert "| 0.250 | 0.750 | (null document) |" in first
  assert f"| 0.750 | 0.250 | {corpus.titles[3].decode()} |" in first
  assert corpus.titles[5].decode() in second and corpus.titles[1].decode() not in second
