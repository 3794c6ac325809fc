"""What is in a run, in lines for people; no model is loaded for it."""

import pathlib
import time
from collections.abc import Iterator, Sequence

from realm_tf import files, locks
from realm_tf.corpus.document_rows import document_rows
from realm_tf.corpus.manifest import MANIFEST
from realm_tf.corpus.store import Corpus
from realm_tf.counted import counted
from realm_tf.index import stored_index
from realm_tf.index.stored_index import StoredIndex
from realm_tf.run import redo
from realm_tf.run.folder import STAGES, Run
from realm_tf.run.left_out import known_obstacle
from realm_tf.run.old_export import old_export
from realm_tf.serving import numbered, record
from realm_tf.training.checkpoints import newest_step
from realm_tf.training.log import read_curves


def contents(run: Run) -> Iterator[str]:
  """Documents and blocks, stages with their minutes, versions of the index, the export."""
  has_corpus = (run.path / "corpus" / MANIFEST).exists()
  yield _line("documents", f"{len(document_rows(run.corpus))} in "
              f"{counted(run.corpus.num_blocks, 'block')}" if has_corpus
              else f"not read yet: {run.config.corpus.source}")
  at_work = locks.holder(run.path / ".lock")
  if at_work:
    yield _line("at work", str(at_work))
  for stage in STAGES:
    line = _stage(run, stage, at_work.work if at_work else "")
    if line:
      yield _line(stage, line)
  for line in _indexes(run, run.corpus if has_corpus else None):
    yield _line("index", line)
  changed = old_export(run) if has_corpus else ""
  yield _line("export", _export(run.path / "export") + (f"; {changed}" if changed else ""))
  for old in redo.set_aside(run.path):
    yield _line(old.path.name, _set_aside(old))


def _indexes(run: Run, corpus: Corpus | None) -> Iterator[str]:
  """Each version: how many blocks are searched, deleted ones stay in it until `realm
  compact`. Each is of another document tower, and beside one that has every block no other
  waits for more."""
  stored = [StoredIndex.open(folder)
            for folder in sorted(stored_index.index_versions(run.index_root))]
  held = [_held(index, corpus) for index in stored]
  is_whole = corpus is not None and corpus.num_blocks in held
  for index, count in zip(stored, held, strict=True):
    yield f"{index.folder.name}: {_index(index, corpus, count, is_whole)}"


def _index(index: StoredIndex, corpus: Corpus | None, held: int | None, is_replaced: bool
           ) -> str:
  """One version, `held` of whose rows are blocks of the corpus; None: it is of another."""
  rows, dtype = index.num_rows, index.origin.dtype
  if corpus is None or held is None:
    return f"{counted(rows, 'block')}, {dtype}, of another corpus"
  deleted = f", {rows - held} deleted" if rows > held else ""
  missing = corpus.num_blocks - held
  added = (f", of another model, without {missing} newer" if is_replaced
           else f", {missing} not yet embedded") if missing > 0 else ""
  return f"{counted(held, 'block')}, {dtype}{deleted}{added}"


def _held(index: StoredIndex, corpus: Corpus | None) -> int | None:
  """How many blocks of the corpus are in it; None where it is of another."""
  if corpus is None or index.origin.corpus_hash not in corpus.rows_by_hash:
    return None
  return int((corpus.stored_rows < corpus.rows_by_hash[index.origin.corpus_hash]).sum())


def _export(folder: pathlib.Path) -> str:
  export = numbered.newest(folder)
  return "none" if export is None else (
      f"{record.read_record(export).get('flavour')}, {export.relative_to(folder.parent)}, of "
      f"{_when(export / numbered.MODEL_FILE)}")


def _set_aside(old: redo.SetAside) -> str:
  """What is kept of what was made again since, or is to be."""
  if old.name == "export":
    described = _export(old.path)
  elif old.name in STAGES:
    described = (_done(old.path) if (old.path / "done.json").exists() else
                 f"half done: {counted(newest_step(old.path / 'checkpoints'), 'step')}")
  else:
    names = sorted({path.name.split(".")[0] for path in old.path.glob("*.predictions.jsonl")})
    described = ", ".join((*names, *(path.name for path in old.path.glob("report.html"))))
  return f"set aside by --redo: {described}".removesuffix(": ")


def _done(folder: pathlib.Path) -> str:
  facts = files.read_object(folder / "done.json")
  if "from" in facts:
    return f"the model of {facts['from']}, stage {facts['stage']}"
  steps = f"{counted(facts['steps'], 'step')} in " if "steps" in facts else ""
  return f"done: {steps}{facts['minutes']:.1f} minutes, {_when(folder / 'done.json')}"


def _stage(run: Run, stage: str, at_work: str) -> str:
  """What became of a stage; nothing of one that is not to be.

  Args:
    at_work: the command that writes into the run now, "" for none.
  """
  folder = run.path / stage
  if run.is_done(stage):
    return _done(folder)
  has_begun = (folder / "checkpoints").exists()
  if at_work == f"`realm {stage}`" or (has_begun and at_work == "`realm run`"):
    seen = [step for step, _ in read_curves(folder / "curves.csv")]
    return f"running: {_steps(run, stage, seen)}"
  if has_begun:
    return f"half done: {_steps(run, stage)}"
  if not getattr(run.config, stage).steps:
    return ""
  obstacle = known_obstacle(run, stage)
  return f"left out: {obstacle}" if obstacle else "to do"


def _steps(run: Run, stage: str, seen: Sequence[int] = ()) -> str:
  """How many steps are done: those of the newest checkpoint, or further ones that are
  `seen`."""
  section = getattr(run.config, stage)
  done = max(newest_step(run.path / stage / "checkpoints"), *seen[-1:], 0)
  most = "at most " if section.passes else ""  # as many as passes over the data take
  return f"{done} of {most}{counted(section.steps, 'step')}"


def _when(path) -> str:
  return time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime))


def _line(name: str, facts: str) -> str:
  return f"{name:10s}  {facts}"
