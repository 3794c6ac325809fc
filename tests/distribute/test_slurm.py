"""The batch script of docs/launch.md, by SLURM itself: two nodes, a task on each."""

import json
import pathlib
import subprocess
import sys

import pytest

from realm_tf.run import stages
from realm_tf.run.folder import Run
from realm_tf.training.log import read_curves
from tests import tiny
from tests.processes import LONG
from tests.slurm import SlurmCluster

_ROOT = pathlib.Path(__file__).parents[2]
_STEPS = 400


@pytest.fixture(name="run")
def _run(tmp_path):
  (tmp_path / "documents.jsonl").write_text("".join(
      json.dumps(vars(document)) + "\n" for document in tiny.documents()))
  run = Run(tiny.make_config(tmp_path, ict__steps=_STEPS, checkpoint_every=20,
                             corpus__source=str(tmp_path / "documents.jsonl")),
            tmp_path / "run")
  stages.corpus(run)
  return run


@pytest.fixture(name="programs")
def _programs(tmp_path):
  """A `realm` that trains the first of the stages, and leaves the others out."""
  folder = tmp_path / "bin"
  folder.mkdir()
  (folder / "realm").write_text(
      f"#!/bin/bash\n[ $1 = ict ] || exit 0\nexport PYTHONPATH={_ROOT}\n"
      f'exec {sys.executable} -m realm_tf.cli.main "$@"\n')
  (folder / "realm").chmod(0o755)
  return folder


def _sbatch(cluster, programs, run) -> tuple[subprocess.Popen, str]:
  """Submits the script; `sbatch` ends when the job does, with its exit code."""
  submitted = subprocess.Popen(
      cluster.command("sbatch", "--wait", "--parsable", "--nodes=2", "--gpus-per-node=0",
                      "--cpus-per-task=1", "--time=60", f"--output={run.path}-%j.txt",
                      _ROOT / "launch" / "slurm.sh", run.path),
      env=cluster.environment(programs), stdout=subprocess.PIPE, text=True, cwd=_ROOT)
  return submitted, submitted.stdout.readline().strip()


def _wait_for_line(path, what, submitted):
  while not (path.exists() and what in path.read_text()):
    with pytest.raises(subprocess.TimeoutExpired):
      submitted.wait(0.1)


@pytest.mark.stress
def test_a_job_that_is_told_to_end_saves_and_the_same_sbatch_goes_on(run, programs, tmp_path):
  (tmp_path / "slurm").mkdir()
  with SlurmCluster(2, tmp_path / "slurm") as cluster:
    submitted, job = _sbatch(cluster, programs, run)
    state = run.path / "ict" / "checkpoints" / "checkpoint"
    _wait_for_line(state, "ckpt", submitted)
    # As `--signal=TERM@300` does when its time comes.
    subprocess.run(cluster.command("scancel", "--signal=TERM", job), check=True,
                   env=cluster.environment(programs))
    log = pathlib.Path(f"{run.path}-{job}.txt")
    assert submitted.wait(LONG) == 143, log.read_text()
    assert log.read_text().count("its state is saved: run the same command to go on") == 2
    submitted, job = _sbatch(cluster, programs, run)
    log = pathlib.Path(f"{run.path}-{job}.txt")
    assert submitted.wait(LONG) == 0, log.read_text()
  assert log.read_text().count("ict: going on from step") == 2
  assert "waiting for all workers: node1:" in log.read_text()
  chief, other = (read_curves(folder / "curves.csv")
                  for folder in (run.path / "ict", run.path / "ict" / "worker-1"))
  assert [step for step, _ in chief] == sorted({step for step, _ in chief})
  assert chief[-1][0] == other[-1][0] == _STEPS
  assert chief[-1][1]["loss"] == other[-1][1]["loss"]
