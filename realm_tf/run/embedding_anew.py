"""The corpus by a document tower that is being trained, whenever a stage asks for it."""

import numpy as np

from realm_tf.index import stored_index
from realm_tf.index.embed import OnRows, encoder_hash
from realm_tf.index.index_writer import remove_all_but, write_lock
from realm_tf.models.realm import Realm
from realm_tf.run.folder import Run


class EmbeddingAnew:
  """Embeds the corpus by the document tower as it is when called.

  The embeddings are kept in the run's index: what the last step needs is what comes after
  needs, and a version that was begun is gone on with. Of earlier steps none is kept longer
  than the next; what was there when the stage began stays.
  """

  def __init__(self, run: Run, model: Realm):
    self._run, self._model = run, model
    self._before = set(stored_index.index_versions(run.index_root))

  def __call__(self, on_rows: OnRows = lambda count: None) -> np.ndarray:
    """[N, D] of the dtype of `config.embedding_dtype`; `on_rows` is told how many blocks are
    done, and may raise to stop."""
    run = self._run
    table = run.embeddings(self._model, run.corpus.stored_rows, on_rows)
    encoder = encoder_hash(self._model.retriever.document_tower)
    with write_lock(run.index_root, wait=True):
      remove_all_but(run.index_root, lambda version: (
          version.folder in self._before or version.origin.encoder_hash == encoder))
    return table
