"""Is everything in a run what was once written there?"""

import functools
import pathlib
from typing import Callable

from realm_tf.corpus.derived import check_derived
from realm_tf.corpus.manifest import check_store
from realm_tf.corpus.store import Corpus
from realm_tf.counted import counted
from realm_tf.errors import UserError
from realm_tf.index import stored_index
from realm_tf.index.embed import encoder_hash, recompute_error
from realm_tf.index.stored_index import StoredIndex
from realm_tf.models.realm import Realm
from realm_tf.run import sentence_corpus
from realm_tf.run.commands_to_copy import command
from realm_tf.run.folder import STAGES, Run
from realm_tf.serving import numbered, record

# Of a component, as a share of its row's norm: rounding of the stored type, and what
# other batches or another processor may change in the last bits.
_TOLERANCE = {"float32": 1e-3, "bfloat16": 8e-3}


def verify(run: Run, sample: int) -> list[str]:
  """Checks corpus, models and indexes; a line for each.

  Every file is compared with its checksum, those of exports too. Of each index whose
  document tower is one of the run's stages, `sample` rows are embedded again and compared.

  Raises:
    UserError: something is damaged; all of it is named.
  """
  lines: list[str] = []
  damages: list[str] = []

  def check(name: str, work: Callable[[], str]) -> None:
    try:
      lines.append(f"{name}: {work()}")
    except UserError as error:
      damages.append(str(error))

  check("corpus", lambda: _store(run.path / "corpus", lambda: run.corpus))
  if sentence_corpus.has_sentences(run.path):
    check("pretrain/sentences",
          lambda: _store(sentence_corpus.sentences_path(run.path), lambda: run.sentences))
  towers: dict[str, Realm] = {}
  for stage in filter(run.is_done, [] if damages else STAGES):
    check(f"{stage}/model", functools.partial(_model, run, stage, towers))
  for root in (run.index_root, run.path / "pretrain" / "index"):
    for folder in sorted(stored_index.index_versions(root)):
      check(str(folder.relative_to(run.path)),
            functools.partial(_index, run, folder, towers, sample))
  for folder in _exports(run.path / "export"):
    check(str(folder.relative_to(run.path)), functools.partial(record.check_export, folder))
  if damages:
    raise UserError("; ".join(damages))
  return lines


def _store(folder: pathlib.Path, opened: Callable[[], Corpus]) -> str:
  """Checks a store, and what is derived from it."""
  check_store(folder)
  blocks = counted(opened().num_blocks, "block")
  return f"{blocks}, {counted(check_derived(folder), 'part')} derived, ok"


def _exports(base: pathlib.Path) -> list[pathlib.Path]:
  """The versions in it; itself, if it is an export of before there were versions."""
  versions = list(numbered.numbered_versions(base).values())
  return ([base] if (base / numbered.MODEL_FILE).exists() else []) + versions


def _model(run: Run, stage: str, towers: dict[str, Realm]) -> str:
  model = run.model(stage)
  towers[encoder_hash(model.retriever.document_tower)] = model
  return "ok"


def _index(run: Run, folder: pathlib.Path, towers: dict[str, Realm], sample: int
           ) -> str:
  stored = StoredIndex.open(folder)
  stored.check()
  if not (run.path / "corpus").exists():
    return "checksums ok, but its corpus is not there"
  name, origin = folder.relative_to(run.path), stored.origin
  if run.corpus.rows_by_hash.get(origin.corpus_hash) != stored.num_rows:
    return "whole, but of another corpus: not used"
  facts = f"{stored.num_rows} x {stored.shape[1]} {origin.dtype}, step {origin.step}"
  model = towers.get(origin.encoder_hash)
  if model is None or stored.num_rows < run.corpus.num_stored_rows:
    return f"{facts}, checksums ok"
  error = recompute_error(stored, run.corpus, run.embedder(model), sample)
  if not error <= _TOLERANCE[origin.dtype]:
    raise UserError(
        f"{name}: rows differ from what the document tower makes of the same blocks (by "
        f"{error:.2g} of a row's norm); delete the folder and run "
        f"{command('index', run.path)}")
  rows = counted(min(sample, run.corpus.num_blocks), "row")
  return (f"{facts}, checksums ok, {rows} embedded again: different by at most {error:.1e}")
