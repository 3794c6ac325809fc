"""The stages of the ablations, each made once, however many rows go through it.

A stage is known by the settings that it is made of (`config.owners.used`), so that rows
share what they have in common: one corpus, one ICT per seed, one pre-training for all label
budgets. Each has a run's folder of its own, with hard links to what came before:

    corpus-<hash>/  ict-<hash>/  pretrain-<hash>/  finetune-<hash>/  mixed-<hash>/

All are runs: `realm report --workdir=...` draws them. A stage that was killed goes on from
its checkpoint when the same command is run again. Several processes may make other rows of
one folder at the same time: who needs a stage that another one makes waits for it.
"""

import contextlib
import hashlib
import json
import pathlib
import shutil
import time
from collections.abc import Iterator, Sequence

import ablation_rows
import numpy as np
from machine import processor

from realm_tf import config as config_lib
from realm_tf import files, folders, locks
from realm_tf.config.owners import parts_of, used
from realm_tf.config.settings import RealmConfig
from realm_tf.datasets.questions import write_questions
from realm_tf.errors import UserError
from realm_tf.examples.salient_sentences import salient_sentences
from realm_tf.models.realm import Realm
from realm_tf.run import history, stages
from realm_tf.run.folder import STAGES, Run

Labels = int | str  # how many questions are learnt from, or "all"
_SHARED = ("corpus", "corpus.derived", "documents", "questions", *STAGES, "index")


class Ablations:
  """All rows of one base config, in one folder.

  Args:
    folder: for the runs.
    of_all: the base config, with absolute paths.
    warm_up: steps of the warm-ups, in the rows that have one.
  """

  def __init__(self, folder: pathlib.Path, base: RealmConfig, warm_up: int):
    self._folder, self._base, self._warm_up = folder, base, warm_up

  def config(self, row: str, seed: int) -> RealmConfig:
    return config_lib.with_changes(
        ablation_rows.config_of(row, self._base, self._warm_up), {"seed": seed})

  def _before(self, part: str, row: str, seed: int) -> RealmConfig:
    """The config of a stage that rows share: what concerns later ones is that of the base."""
    concerned = {"corpus", "ict"} if part == "ict" else {"corpus"}
    values = config_lib.flatten(config_lib.to_dict(self.config(row, seed)))
    return config_lib.with_changes(self._base, {
        field: value for field, value in values.items()
        if concerned & set(parts_of(field)) or field == "seed"})

  def evaluated(self, row: str, seed: int, labels: Labels) -> tuple[Run, str]:
    """A row's run with so many labels, measured on the held-out questions, and its stage."""
    run = self._pretrained(row, seed)
    if labels != 0:
      run = self._finetuned(row, seed, labels, run)
    stage = run.newest_stage()
    with self._alone_in(run.path):
      stages.evaluate(run, stage)
    return run, stage

  def _corpus(self, row: str, seed: int) -> Run:
    with self._run("corpus", self._before("corpus", row, seed)) as run:
      stages.corpus(run)
      if run.config.pretrain.steps:  # what each pre-training would derive for itself
        pretrain = run.config.pretrain
        salient_sentences(run.corpus, pretrain.max_masks, pretrain.span_blocks)
        _ = run.banned
    return run

  def _warm(self, row: str, seed: int) -> Run:
    """After ICT."""
    config, before = self._before("ict", row, seed), self._corpus(row, seed)
    if not config.ict.steps:
      return before
    with self._run("ict", config, before) as run:
      if not run.is_done("ict"):
        stages.ict(run)
    return run

  def _pretrained(self, row: str, seed: int) -> Run:
    """After pre-training, or what stands for it: that is what questions are learnt from."""
    parts, config = ablation_rows.ROWS[row].parts, self.config(row, seed)
    if parts:
      return self._mixed(row, seed, [self._pretrained(part, seed) for part in parts])
    before = self._warm(row, seed)
    if not config.pretrain.steps:
      return before
    with self._run("pretrain", config, before) as run:
      if not run.is_done("pretrain"):
        stages.pretrain(run)
    return run

  def _mixed(self, row: str, seed: int, parts: Sequence[Run]) -> Run:
    """The retriever of one run with the encoder of another, as a pre-trained model."""
    before = self._corpus(row, seed)
    with self._run("mixed", self.config(row, seed), before, row) as run:
      if not run.is_done("pretrain"):
        begun = time.monotonic()
        first, second = (part.model(part.newest_stage()) for part in parts)
        seconds = 60 * max(minutes(part) for part in parts)
        run.finish("pretrain", Realm(first.retriever, second.encoder, **first.parameters()),
                   begun - seconds, steps=max(map(pretrained_steps, parts)))
    return run

  def _finetuned(self, row: str, seed: int, labels: Labels, before: Run) -> Run:
    config = config_lib.with_changes(self.config(row, seed), {
        "finetune.questions": str(self._labelled(before, seed, labels))})
    with self._run("finetune", config, before,
                   row if ablation_rows.ROWS[row].parts else "") as run:
      if not run.is_done("finetune"):
        stages.finetune(run)
    return run

  def _labelled(self, run: Run, seed: int, labels: Labels) -> pathlib.Path:
    """A file of so many of the training questions: of a seed, fewer are among more."""
    path = self._folder / "questions" / f"{labels}-of-seed-{seed}.jsonl"
    known = run.questions("train")
    count = len(known) if labels == "all" else int(labels)
    if count > len(known):
      raise UserError(f"--labels={labels}: there are {len(known)} questions to train on")
    if not path.exists():
      path.parent.mkdir(parents=True, exist_ok=True)
      order = np.random.default_rng(seed).permutation(len(known))[:count]
      write_questions(path, [known[i] for i in sorted(order)])
    return path

  @contextlib.contextmanager
  def _run(self, part: str, config: RealmConfig, before: Run | None = None, row: str = ""
           ) -> Iterator[Run]:
    """The run of a stage, with what came before it; no other process makes it meanwhile."""
    tree = config_lib.portable_paths(config, self._folder)
    made_of = [used(tree, name)
               for name in ("corpus", "pretrain" if part == "mixed" else part)]
    digest = hashlib.sha256(json.dumps([row, *made_of], sort_keys=True).encode())
    path = self._folder / f"{part}-{digest.hexdigest()[:12]}"
    with self._alone_in(path):
      run = Run(config, path)
      for name in _SHARED if before else ():
        source, target = before.path / name, run.path / name
        if name != part and source.exists() and not target.exists():
          with folders.new_folder(target) as new:
            shutil.copytree(source, new, copy_function=files.link_or_copy,
                            dirs_exist_ok=True)
      yield run

  def _alone_in(self, path: pathlib.Path) -> contextlib.AbstractContextManager[None]:
    """Waits until no other process is making that run."""
    return locks.lock(path.with_name(f".{path.name}.making"), path, "ablations", wait=True)


def measured_by(run: Run) -> dict[str, str]:
  """`commit` and `machine`, its GPUs too, of when a run was first measured, which stay when
  it is asked again later: a "+" stands behind the commit of a changed working tree."""
  path = run.path / "measured.json"
  if not path.exists():
    made_by = history.describe()
    source = made_by["source"]
    cards = [card for device in made_by["devices"] if (card := device.partition(" ")[2])]
    files.write_json(path, {
        "commit": f"{(source['git'] or 'unknown')[:12]}{'+' * bool(source['modified'])}",
        "machine": ", ".join([processor(), *cards])})
  return files.read_json(path)


def minutes(run: Run) -> float:
  """Of all stages that a run went through."""
  return sum(run.minutes(stage) for stage in STAGES if run.is_done(stage))


def pretrained_steps(run: Run) -> int:
  """How many steps of pre-training its model has seen."""
  return run.steps("pretrain") if run.is_done("pretrain") else 0

