"""What is in a run, in lines for people; no model is loaded for it."""

import time
from collections.abc import Iterator

from realm_tf import files
from realm_tf.corpus.manifest import MANIFEST
from realm_tf.index import store
from realm_tf.index.store import StoredIndex
from realm_tf.run.folder import STAGES, Run
from realm_tf.serving import numbered, record


def contents(run: Run) -> Iterator[str]:
  """Documents and blocks, stages with their minutes, versions of the index, the export."""
  has_corpus = (run.path / "corpus" / MANIFEST).exists()
  yield _line("documents", f"{len(set(run.corpus.document_ids))} in {run.corpus.num_blocks} "
              "blocks" if has_corpus else f"not read yet: {run.config.corpus.source}")
  for stage in STAGES:
    told = _stage(run, stage)
    if told:
      yield _line(stage, told)
  for folder in sorted(store.versions(run.index_root)):
    index = StoredIndex.open(folder)
    fits = has_corpus and index.origin.corpus_hash in run.corpus.rows_by_hash
    yield _line("index", f"{folder.name}: {index.num_rows} blocks, {index.origin.dtype}"
                + ("" if fits else ", of another corpus"))
  export = numbered.newest(run.path / "export")
  yield _line("export", "none" if export is None else
              f"{record.read(export).get('flavour')}, {export.relative_to(run.path)}, of "
              f"{_when(export / numbered.MODEL)}")


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


def _line(name: str, told: str) -> str:
  return f"{name:10s}  {told}"
