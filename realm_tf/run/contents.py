"""What is in a run, in lines for people; no model is loaded for it."""

import time
from collections.abc import Iterator

from realm_tf import files
from realm_tf.corpus.manifest import MANIFEST
from realm_tf.index import stored_index
from realm_tf.index.stored_index import StoredIndex
from realm_tf.run.folder import STAGES, Run

_MARKER = "realm_export.json"  # of `serving.saved_model`


def contents(run: Run) -> Iterator[str]:
  """Documents and blocks, stages with their minutes, versions of the index, the export."""
  has_corpus = (run.path / "corpus" / MANIFEST).exists()
  yield _line("documents", f"{len(set(run.corpus.document_ids))} in {run.corpus.num_blocks} "
              "blocks" if has_corpus else f"not read yet: {run.config.corpus.source}")
  for stage in STAGES:
    line = _stage(run, stage)
    if line:
      yield _line(stage, line)
  for folder in sorted(stored_index.index_versions(run.index_root)):
    index = StoredIndex.open(folder)
    fits = has_corpus and index.origin.corpus_hash in run.corpus.rows_by_hash
    yield _line("index", f"{folder.name}: {index.num_rows} blocks, {index.origin.dtype}"
                + ("" if fits else ", of another corpus"))
  export = run.path / "export" / _MARKER
  yield _line("export", f"{files.read_json(export)['flavour']}, of {_when(export)}"
              if export.exists() else "none")


def _stage(run: Run, stage: str) -> str:
  """What became of a stage; nothing of one that is not to be."""
  if run.is_done(stage):
    facts = files.read_json(run.path / stage / "done.json")
    if "from" in facts:
      return f"the model of {facts['from']}, stage {facts['stage']}"
    return (f"done: {run.steps(stage)} steps in {run.minutes(stage):.1f} minutes, "
            f"{_when(run.path / stage / 'done.json')}")
  if (run.path / stage / "checkpoints").exists():
    return "half done"
  return "to do" if getattr(run.config, stage).steps else ""


def _when(path) -> str:
  return time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime))


def _line(name: str, facts: str) -> str:
  return f"{name:10s}  {facts}"
