"""The index that `fit` trains with is of an allowed step, and of all documents."""

import numpy as np
import pytest
import tf_keras

from realm_tf.corpus.passages import Passages
from realm_tf.examples.pretraining import pretraining_batches
from realm_tf.index.exact import ExactIndex
from realm_tf.refresh.callback import RefreshIndex
from tests import tiny
from tests.models import small
from tests.training import stages


class Seen(tf_keras.callbacks.Callback):
  """Of each step, the step of the index, and what the document tower made of the corpus."""

  def __init__(self):
    super().__init__()
    self.index_steps, self.tables = [], []

  def on_train_batch_begin(self, batch, logs=None):
    documents = self.model.documents
    self.index_steps.append(int(documents.index.step))
    self.tables.append(stages.embed_all(self.model, documents.passages))


@pytest.mark.parametrize("wait", [
    True, pytest.param(False, marks=pytest.mark.stress)])
def test_the_index_is_of_an_allowed_step_and_as_the_tower_was_then(tmp_path, wait):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  model, passages = small.seeded(small.realm), Passages(corpus)
  index = ExactIndex()
  if not wait:
    index.assign(stages.embed_all(model, passages), 0)
  model.use(passages, index)
  model.compile(tf_keras.optimizers.Adam(1e-2))
  data = pretraining_batches(
      corpus, np.arange(corpus.num_blocks, dtype=np.int32)[:, None], batch_size=4,
      query_length=32, max_masks=4, support=(2, 0), seed=0, first_step=0, last_step=4)
  observed = Seen()
  history = model.fit(data, epochs=2, verbose=0, callbacks=[
      RefreshIndex(2, 3, wait, is_fresh=not wait, stays_stale=not wait), observed]).history
  assert len(observed.index_steps) == 8
  for step, index_step in enumerate(observed.index_steps):
    assert 0 <= step - index_step <= 3
  if wait:
    assert observed.index_steps == [0, 0, 2, 2, 4, 4, 6, 6]
    assert history["index_step"] == [2, 6] and history["index_staleness"] == [2, 2]
    expected = stages.embed_all(model, passages)
  else:  # a refresh that is ready is swapped in before the next step, if there is one
    expected = observed.tables[int(index.step)]
  np.testing.assert_allclose(index.rows(), expected, rtol=1e-5, atol=1e-5)
  assert np.abs(expected - observed.tables[0]).max() > 1e-3 or int(index.step) == 0


@pytest.mark.slow
def test_it_follows_a_fit_by_replicas(tmp_path, mirrored):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  with mirrored.scope():
    index = ExactIndex()
    model = small.seeded(small.realm)
    model.compile(tf_keras.optimizers.SGD(1e-2))
  model.use(Passages(corpus), index)
  history = model.fit(pretraining_batches(
      corpus, np.arange(corpus.num_blocks, dtype=np.int32)[:, None], batch_size=4,
      query_length=32, max_masks=4, support=(2, 0), seed=0, first_step=0, last_step=2),
      verbose=0, callbacks=[RefreshIndex(1, 1, wait=True)]).history
  assert history["index_step"] == [1] and int(index.step) == 2
