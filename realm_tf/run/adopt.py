"""Published embeddings of the blocks as a run's index, instead of embedding the corpus."""

import numpy as np

from realm_tf.errors import UserError
from realm_tf.exchange.layouts import BLOCKS
from realm_tf.files import PathLike
from realm_tf.index.embed import encoder_hash
from realm_tf.index.index_writer import save_table
from realm_tf.index.stored_index import Origin, version_name
from realm_tf.models.realm import Realm
from realm_tf.models.tensors import read_tensors
from realm_tf.run.folder import Run

# How many are embedded anew, and how far they may be off, relative to the largest value:
# they were made on other hardware, perhaps in bfloat16.
_SAMPLE, _TOLERANCE = 64, 0.02


def adopt(run: Run, source: PathLike) -> None:
  """Stores `block_emb` [N, D] of a folder or checkpoint as the newest model's index.

  Nothing in it says which corpus and which tower made it, so a sample is compared.

  Raises:
    UserError: it is of another corpus, or of another document tower.
  """
  published = read_tensors(source)
  if BLOCKS not in published:
    raise UserError(f"{source}: no tensor '{BLOCKS}' in it")
  model, table = run.model(run.newest_stage()), published[BLOCKS]
  _check(run, model, table, source)
  # A store may hold deleted blocks, whose rows nobody reads.
  rows = np.zeros([run.corpus.num_stored_rows, table.shape[1]], np.float32)
  rows[run.corpus.stored_rows] = table
  origin = Origin(run.corpus.rows_hash, encoder_hash(model.retriever.document_tower), 0,
                  run.config.embedding_dtype)
  save_table(run.index_root, version_name(origin.encoder_hash, origin.corpus_hash), rows,
             origin, adopted=str(source))


def _check(run: Run, model: Realm, table: np.ndarray, source: PathLike) -> None:
  embedder, size = run.embedder(model), model.retriever.vector_size
  if table.shape != (embedder.num_rows, size):
    raise UserError(f"{source}: embeddings of {len(table)} blocks in {table.shape[-1]} "
                    f"dimensions; the corpus has {embedder.num_rows} blocks, and the "
                    f"document tower makes {size} dimensions")
  rows = np.unique(np.linspace(0, len(table) - 1, _SAMPLE).astype(np.int32))
  fresh = np.concatenate([embedder.embed(rows[i:i + 1]) for i in range(len(rows))])
  difference = np.abs(fresh - table[rows]).max(axis=1)
  if not difference.max() <= _TOLERANCE * np.abs(fresh).max():
    raise UserError(f"{source}: row {rows[difference.argmax()]} is not what the document "
                    f"tower makes of that block (difference {difference.max():.2g}): "
                    "another corpus or another model")
