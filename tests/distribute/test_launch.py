"""What launch/ has for clusters, as far as it can be tried without one."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
import yaml

from realm_tf.distribute.slurm import set_tf_config
from realm_tf.errors import UserError
from realm_tf.run import stages
from realm_tf.run.folder import Run
from realm_tf.training.log import read_curves
from tests import tiny
from tests.processes import LONG

_ROOT = pathlib.Path(__file__).parents[2]
_LAUNCH = _ROOT / "launch"


@pytest.fixture(name="slurm")
def _slurm(monkeypatch):
  """What `srun` sets for the third of four tasks, on two nodes."""
  monkeypatch.delenv("TF_CONFIG", raising=False)
  variables = {"SLURM_JOB_ID": "40007", "SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "4",
               "SLURM_STEP_NODELIST": "node[07-08]", "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
               "SLURMD_NODENAME": "node08"}
  for name, value in variables.items():
    monkeypatch.setenv(name, value)
  monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
  yield monkeypatch
  os.environ.pop("TF_CONFIG", None)


def test_slurm_says_who_the_workers_are(slurm):
  set_tf_config()
  assert json.loads(os.environ["TF_CONFIG"]) == {
      "cluster": {"worker": ["node07:12007", "node07:12008", "node08:12007",
                             "node08:12008"]},
      "task": {"type": "worker", "index": 2}}
  assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"  # as SLURM gave it


@pytest.mark.parametrize("nodes, counts, expected", [
    ("gpu01", "1", ["gpu01:12007"]), ("a1,b[2,4]", "1(x3)", ["a1:12007", "b2:12007",
                                                            "b4:12007"]),
    ("n1,n2", "2,1", ["n1:12007", "n1:12008", "n2:12007"])])
def test_other_allocations(slurm, nodes, counts, expected):
  slurm.setenv("SLURM_STEP_NODELIST", nodes)
  slurm.setenv("SLURM_STEP_TASKS_PER_NODE", counts)
  slurm.setenv("SLURM_STEP_NUM_TASKS", str(len(expected)))
  slurm.setenv("SLURM_PROCID", "0")
  slurm.delenv("SLURMD_NODENAME")
  set_tf_config()
  assert json.loads(os.environ["TF_CONFIG"])["cluster"]["worker"] == expected


def test_what_tf_config_says_goes_before_slurm(slurm):
  slurm.setenv("TF_CONFIG", "{}")
  set_tf_config()
  assert os.environ["TF_CONFIG"] == "{}"


@pytest.mark.parametrize("name, value, said", [
    ("SLURM_STEP_NUM_TASKS", "5", "do not say which workers"),
    ("SLURM_STEP_NUM_TASKS", None, "do not say which workers"),
    ("SLURM_PROCID", None, "do not say which workers"),
    # In the order of their names the third task would be on node9.
    ("SLURM_STEP_NODELIST", "node[9-10]", "task 2 is on node08, not on node9")])
def test_what_slurm_says_may_not_do(slurm, name, value, said):
  slurm.delenv(name) if value is None else slurm.setenv(name, value)
  with pytest.raises(UserError, match=said):
    set_tf_config()
  assert "TF_CONFIG" not in os.environ


def _program(folder, name, script):
  folder.mkdir(exist_ok=True)
  (folder / name).write_text(f"#!/bin/bash\n{script}\n")
  (folder / name).chmod(0o755)


def _sbatch(bin_folder, *arguments):
  """Runs the batch script with an `srun` that starts two tasks on this host."""
  _program(bin_folder, "srun", """
      shift  # --label
      export SLURM_JOB_ID=$$ SLURM_STEP_NUM_TASKS=2 SLURM_STEP_NODELIST=localhost
      export SLURM_STEP_TASKS_PER_NODE=2 SLURMD_NODENAME=localhost
      for task in 0 1; do SLURM_PROCID=$task "$@" & tasks="$tasks $!"; done
      for task in $tasks; do wait $task || exit; done""")
  environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
  return subprocess.run(
      [_LAUNCH / "slurm.sh", *arguments], capture_output=True, text=True, timeout=LONG,
      env={**environment, "PATH": f"{bin_folder}:{os.environ['PATH']}"}, cwd=_ROOT)


def test_the_batch_script_trains_stage_by_stage_and_ends_with_the_first_that_fails(tmp_path):
  _program(tmp_path / "bin", "realm",
           'echo "$SLURM_PROCID $*" >> log.$SLURM_PROCID; [ $1 != pretrain ] || exit 2'
           .replace("log", str(tmp_path / "log")))
  finished = _sbatch(tmp_path / "bin", "/shared/my run")
  assert finished.returncode == 2
  for task in range(2):
    assert (tmp_path / f"log.{task}").read_text().splitlines() == [
        f"{task} {stage} --workdir=/shared/my run --strategy=multi_worker"
        for stage in ("ict", "pretrain")]
  assert "usage: sbatch" in _sbatch(tmp_path / "bin").stderr


@pytest.mark.stress
def test_the_batch_script_trains(tmp_path):
  """A stage of it; the others are started in the same way."""
  (tmp_path / "documents.jsonl").write_text("".join(
      json.dumps(vars(document)) + "\n" for document in tiny.documents()))
  run = Run(tiny.make_config(tmp_path, ict__steps=4,
                             corpus__source=str(tmp_path / "documents.jsonl")),
            tmp_path / "run")
  stages.corpus(run)
  _program(tmp_path / "bin", "realm",
           f"[ $1 = ict ] || exit 0\nPYTHONPATH={_ROOT} exec {sys.executable} -m "
           'realm_tf.cli.main "$@"')
  finished = _sbatch(tmp_path / "bin", run.path)
  assert finished.returncode == 0, finished.stderr
  rows = [read_curves(folder / "curves.csv")[-1]
          for folder in (run.path / "ict", run.path / "ict" / "worker-1")]
  assert rows[0][0] == rows[1][0] == 4 and rows[0][1]["loss"] == rows[1][1]["loss"]


@pytest.fixture(name="manifest", scope="module")
def _manifest():
  return {part["kind"]: part for part in yaml.safe_load_all(
      (_LAUNCH / "kubernetes.yaml").read_text())}


@pytest.mark.parametrize("version", ["1.27", "1.33"])
def test_the_manifest_has_the_schema_of_kubernetes(manifest, version):
  checker = pytest.importorskip(
      "kubernetes_validate", reason="pip install kubernetes-validate checks the manifest")
  for part in manifest.values():
    checker.validate(part, version, strict=True)


@pytest.mark.parametrize("index", [0, 3])
def test_the_pods_find_each_other(manifest, tmp_path, index):
  service, job = manifest["Service"], manifest["Job"]
  pod, name = job["spec"]["template"]["spec"], job["metadata"]["name"]
  container, = pod["containers"]
  assert service["spec"]["selector"] == {"job-name": name}  # a label that Job gives its pods
  assert pod["subdomain"] == service["metadata"]["name"]
  assert service["spec"]["clusterIP"] == "None" and job["spec"]["completionMode"] == "Indexed"
  variables = {variable["name"]: variable["value"] for variable in container["env"]}
  count = int(variables["WORKERS"])
  assert count == job["spec"]["completions"] == job["spec"]["parallelism"]
  volumes = {volume["name"] for volume in pod["volumes"]}
  assert {mount["name"] for mount in container["volumeMounts"]} == volumes
  _program(tmp_path / "bin", "realm", 'echo "$TF_CONFIG"')
  said = subprocess.run(container["command"], capture_output=True, text=True, check=True,
                        env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
                             "JOB_COMPLETION_INDEX": str(index), **variables}).stdout
  port = service["spec"]["ports"][0]["port"]
  assert port == container["ports"][0]["containerPort"]
  assert json.loads(said) == {
      "cluster": {"worker": [f"{name}-{pod_index}.{pod['subdomain']}:{port}"
                             for pod_index in range(count)]},
      "task": {"type": "worker", "index": index}}
