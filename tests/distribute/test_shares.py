"""Loss and gradients do not depend on how many replicas and parts there are."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context as eager_context

from realm_tf.distribute import shares
from realm_tf.distribute.processes import ProcessGroup, naming_who_failed, process_group
from realm_tf.distribute.strategy import HEARTBEAT_SECONDS, make_strategy
from realm_tf.errors import UserError
from realm_tf.index.exact import ExactIndex
from realm_tf.training.log import read_curves
from tests import tiny
from tests.processes import LONG, WITHOUT_GPU
from tests.training import stages

_ROOT = pathlib.Path(__file__).parents[2]
_CHANGES = {f"{stage}__{field}": value for stage in stages.STAGES
            for field, value in (("steps", 1), ("batch_size", 8), ("clip_norm", 0.1))}
# More than there are blocks: some stand twice, and must not be each other's negatives.
_CHANGES["ict__batch_size"] = 32


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  folder = tmp_path_factory.mktemp("replicas")
  tiny.write_bert(folder / "bert", hidden=16, layers=1)
  return folder, tiny.make_corpus(folder / "corpus")


def _gradients(stage, world, folder, strategy=None, **changes):
  """The loss of the first step, and its clipped gradient: Adam's first moment x 10."""
  config = tiny.make_config(world[0], write=False, checkpoint_every=1, **_CHANGES,
                            **changes)
  loop, _ = stages.train(stage, folder, world[1], config, strategy)
  moments = {name: value for name, value in stages.saved(folder).items()
             if ".OPTIMIZER_SLOT" in name and "/m/" in name}
  assert len(moments) > 20
  return loop.log.rows[-1][1], moments


@pytest.mark.parametrize("stage", [
    "ict", "pretrain", pytest.param("finetune", marks=pytest.mark.slow),
    *(pytest.param(stage, marks=pytest.mark.stress) for stage in ("reading", "cloze"))])
def test_two_replicas_with_two_parts_each_are_one_device(
    world, mirrored, tmp_path, monkeypatch, stage):
  on_replica = []
  search = ExactIndex.search

  def watched(self, *arguments, **named):
    on_replica.append(tf.distribute.get_replica_context().num_replicas_in_sync > 1)
    return search(self, *arguments, **named)

  loss = {"pretrain__loss": "per_mask"}
  metrics, gradients = _gradients(stage, world, tmp_path / "one", **loss)
  with monkeypatch.context() as patch:
    patch.setattr(ExactIndex, "search", watched)
    actual, by_replicas = _gradients(stage, world, tmp_path / "two", mirrored, **loss,
                                     **{f"{stage}__accumulate": 2})
  assert bool(on_replica) == (stage != "ict") and not any(on_replica)
  metrics = {name: value for name, value in metrics.items() if "second" not in name}
  assert {name: actual[name] for name in metrics} == pytest.approx(metrics, 2e-4, 1e-5)
  assert by_replicas.keys() == gradients.keys()
  for name, expected in gradients.items():
    np.testing.assert_allclose(by_replicas[name], expected, rtol=1e-3, atol=1e-6,
                               err_msg=name)


def test_own_first_has_the_gradient_of_a_plain_concatenation(mirrored):
  rng = np.random.default_rng(0)
  values, weights = rng.normal(size=[4, 3]), rng.normal(size=[2, 4, 3])

  def step():
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    share = tf.constant(values)[2 * replica:2 * replica + 2]
    with tf.GradientTape() as tape:
      tape.watch(share)
      everything = shares.own_first(share)
      loss = tf.reduce_sum(everything ** 2 * tf.gather(weights, replica))
    return everything, tape.gradient(loss, share)

  everything, gradients = tf.function(lambda: mirrored.run(step))()
  orders = [[0, 1, 2, 3], [2, 3, 0, 1]]
  for replica, order in enumerate(orders):
    np.testing.assert_array_equal(everything.values[replica], values[order])
    # Its rows stand first with itself, last with the other.
    share = values[order[:2]]
    expected = 2 * share * (weights[replica, :2] + weights[1 - replica, 2:])
    np.testing.assert_allclose(gradients.values[replica], expected)


@pytest.mark.parametrize("rows", [1, 4, 5])
def test_shares_are_put_together_in_their_order(mirrored, rows):
  traces = []

  @tf.function
  def doubled(values, others):
    def compute(share):
      traces.append(share[0].shape[0])
      return share[0] * 2 + share[1]
    return shares.map_shares(mirrored, compute, (values, others))

  values = tf.reshape(tf.range(rows * 3), [rows, 3])
  np.testing.assert_array_equal(doubled(values, values + 1), values * 3 + 1)
  assert traces == ([2, 2] if rows == 4 else [rows])


def test_a_process_may_be_silent_for_longer_than_tensorflow_lets_it(monkeypatch):
  calls, context = [], eager_context.context()
  monkeypatch.setattr(context, "configure_coordination_service",
                      lambda kind, **arguments: calls.append(arguments))
  monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", lambda: len(calls))
  monkeypatch.setenv("TF_CONFIG", json.dumps({
      "cluster": {"worker": ["a:1", "b:1", "c:1"]}, "task": {"type": "worker", "index": 2}}))
  handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)]
  assert make_strategy("multi_worker") == 1  # configured before it is made
  assert calls[0]["heartbeat_timeout_in_ms"] == 1000 * HEARTBEAT_SECONDS
  make_strategy("multi_worker", heartbeat_seconds=7)
  assert calls[1]["heartbeat_timeout_in_ms"] == 7000
  assert signal.alarm(0) == 0  # all have come, so that nothing ends it any more
  assert handlers == [signal.getsignal(number) for number in (signal.SIGTERM,
                                                              signal.SIGALRM)]
  assert calls[0]["coordinated_jobs"][0].num_tasks == 3


@pytest.mark.parametrize("text", [
    "", "{}", "[]", "5", "[" * 100_000, '{"cluster": 5, "task": {}}',
    "9" * 5000, '{"cluster": {"worker": 5}, "task": {"type": "worker", "index": 0}}',
    '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}'])
def test_a_cluster_that_is_none_is_refused(monkeypatch, text):
  monkeypatch.setenv("TF_CONFIG", text)
  with pytest.raises(UserError, match="^TF_CONFIG: expected "):
    make_strategy("multi_worker")


def test_one_process_agrees_with_itself(mirrored):
  processes = ProcessGroup(mirrored)
  assert processes.all_agree(True) and not processes.all_agree(False)
  assert processes.broadcast(7) == 7 and processes.broadcast(-1) == -1
  assert process_group(mirrored).broadcast(3) == 3


def test_that_another_process_has_failed_is_said_in_one_line(mirrored, monkeypatch):
  def gone(*_, **__):
    raise tf.errors.AbortedError(None, None, "Collective ops is aborted by: a heartbeat")

  processes = ProcessGroup(mirrored)
  monkeypatch.setattr(processes, "_total", gone)
  with pytest.raises(UserError, match="another of the processes .*a heartbeat.*run the same"):
    processes.all_agree(True)


@pytest.mark.parametrize("message, said", [
    ("{{function_node __inference_f_1}} Collective ops is aborted by: Collective ops is "
     "aborted by: recvmsg:Connection reset by peer\nAdditional GRPC error information from "
     "remote target /job:worker/replica:0/task:3 while calling\n/job:worker/replica:0/"
     "task:0", "(worker 3: recvmsg:Connection reset by peer)"),
    ("Collective ops is aborted by: Error reported from /job:worker/task:1: The following "
     "tasks are unhealthy (stopped sending heartbeats):\n/job:worker/replica:0/task:1",
     "(worker 1: The following tasks are unhealthy (stopped sending heartbeats))"),
    ("{{function_node __inference_f_1}} Collective ops is aborted by: Deadline Exceeded\n\n"
     "RPC: /tensorflow.CoordinationService/Heartbeat", "(worker 0: Deadline Exceeded)"),
    ("", "(TensorFlow does not say why)")])
def test_what_tensorflow_says_of_another_process_is_cut_to_one_line(message, said):
  with pytest.raises(UserError) as raised, naming_who_failed():
    raise tf.errors.InternalError(None, None, message)
  assert said in str(raised.value) and "\n" not in str(raised.value)


def test_a_process_that_waits_for_others_ends_by_itself():
  script = ("import realm_tf, absl.logging\nfrom realm_tf.distribute import strategy\n"
            "absl.logging.set_verbosity(absl.logging.INFO)\n"
            "strategy.START_SECONDS = 1\nstrategy.make_strategy('multi_worker')")
  workers = [f"localhost:{port}" for port in _free_ports(2)]
  finished = subprocess.run(
      [sys.executable, "-c", script], cwd=_ROOT, capture_output=True, text=True, timeout=LONG,
      env={**os.environ, **WITHOUT_GPU, "PYTHONPATH": str(_ROOT), "TF_CONFIG": json.dumps({
          "cluster": {"worker": workers}, "task": {"type": "worker", "index": 0}})})
  assert finished.returncode == -signal.SIGALRM, finished.stderr
  assert f"waiting for all workers: {', '.join(workers)}" in finished.stderr


@pytest.mark.stress
@pytest.mark.parametrize("stage, changes", [
    *((stage, {}) for stage in stages.STAGES),
    ("pretrain", {"index__kind": "sharded"}), ("finetune", {"index__kind": "sharded"})])
def test_two_processes_are_one_device(world, tmp_path, stage, changes):
  metrics, gradients = _gradients(stage, world, tmp_path / "one")
  folder = tmp_path / "two"
  for process in _two_processes(stage, world, folder, checkpoint_every=1,
                                **{**_CHANGES, **changes}):
    log, _ = process.communicate(timeout=LONG)
    assert process.returncode == 0, log
  for curves in (folder / "curves.csv", folder / "worker-1" / "curves.csv"):
    actual = read_curves(curves)[-1][1]
    metrics = {name: value for name, value in metrics.items() if "second" not in name}
    assert {name: actual[name] for name in metrics} == pytest.approx(metrics, 2e-4, 1e-5)
  actual = stages.saved(folder)
  for name, expected in gradients.items():
    np.testing.assert_allclose(actual[name], expected, rtol=1e-3, atol=1e-6, err_msg=name)
  assert not (folder / "worker-1" / "checkpoints").exists()


@pytest.mark.slow
def test_a_stop_of_one_process_stops_both_at_the_same_step(world, tmp_path):
  folder = tmp_path / "two"
  processes = _two_processes("ict", world, folder, checkpoint_every=2, ict__steps=100000)
  while not (folder / "checkpoints" / "checkpoint").exists():
    assert processes[0].poll() is None, processes[0].communicate()[0]
    time.sleep(0.01)
  processes[1].send_signal(signal.SIGTERM)
  logs = [process.communicate(timeout=LONG)[0] for process in processes]
  stopped = [re.search(r"Interrupted: stopped at step (\d+) of 100000", log) for log in logs]
  assert stopped[0] and stopped[1], logs
  step = int(stopped[0][1])
  assert step == int(stopped[1][1])
  assert int(stages.saved(folder)["step/.ATTRIBUTES/VARIABLE_VALUE"]) == step


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_replicas(world, mirrored, tmp_path):
  for name, strategy in (("same", None), ("other", mirrored)):
    for steps, replicas in ((1, None), (2, strategy)):
      config = tiny.make_config(world[0], write=False, checkpoint_every=1,
                                **{**_CHANGES, "ict__steps": steps})
      loop, _ = stages.train("ict", tmp_path / name, world[1], config, replicas)
    assert [step for step, _ in loop.log.rows] == [1, 2]
  same, other = (stages.saved(tmp_path / name) for name in ("same", "other"))
  assert same.keys() == other.keys()
  for name, value in same.items():
    if "/m/" in name:
      np.testing.assert_allclose(other[name], value, rtol=1e-2, atol=1e-5, err_msg=name)


def _two_processes(stage, world, folder, **changes):
  workers = [f"localhost:{port}" for port in _free_ports(2)]
  return [subprocess.Popen(
      [sys.executable, "-m", "tests.training.stages", stage, str(world[0]), str(folder),
       "multi_worker", json.dumps(changes)], cwd=_ROOT, stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT, text=True, env={
          **os.environ, **WITHOUT_GPU, "PYTHONPATH": str(_ROOT), "TF_CONFIG": json.dumps({
              "cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})})
      for index in range(2)]


def _free_ports(count):
  sockets = [socket.socket() for _ in range(count)]
  for opened in sockets:
    opened.bind(("localhost", 0))
  ports = [opened.getsockname()[1] for opened in sockets]
  for opened in sockets:
    opened.close()
  return ports


def test_a_batch_that_cannot_be_shared_out_is_an_error(mirrored):
  with pytest.raises(UserError, match="batch_size: 6 is not a multiple of 2 replicas x 2"):
    shares.replicated(mirrored, lambda batch: {}, None, 6, 2)


@pytest.mark.parametrize("value", ["", "{}", "not json", '{"cluster": {"worker": ["a:1"]}, '
                                   '"task": {"type": "worker", "index": 1}}'])
def test_bad_tf_config_is_an_error(monkeypatch, value):
  monkeypatch.setenv("TF_CONFIG", value)
  with pytest.raises(UserError, match="TF_CONFIG: expected"):
    make_strategy("multi_worker")
