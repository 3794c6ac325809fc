"""Several hosts train together: one that is gone ends all, with one line; none is lost."""

import json
import re
import signal
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.run import stages
from realm_tf.run.folder import Run
from realm_tf.training.log import read_curves
from tests import tiny
from tests.hosts import Hosts
from tests.processes import LONG

_HEARTBEAT = 10  # seconds, of those that are to end
_PATIENT = 60  # of those that are to go on, on a busy machine too
_SLACK = 40  # seconds that an end may take longer than it says
_STEPS, _EVERY = 400, 20
_SHARED = {"index__kind": "sharded", "refresh__mode": "job", "refresh__every": 4,
           "refresh__max_staleness": 8, "pretrain__steps": 48}
_FAULTS = {"killed": lambda hosts, host, process: process.kill(),
           "stopped": lambda hosts, host, process: process.send_signal(signal.SIGSTOP),
           "unplugged": lambda hosts, host, process: hosts.pull(host)}


@pytest.fixture(name="make_run", scope="module")
def _make_run(tmp_path_factory):
  """Makes a run that has its corpus, and nothing else."""
  world = tmp_path_factory.mktemp("hosts")
  tiny.write_bert(world / "bert", hidden=16, layers=1)
  (world / "documents.jsonl").write_text("".join(
      json.dumps(vars(document)) + "\n" for document in tiny.documents()))

  def make(folder, **changes):
    config = tiny.make_config(
        world, write=False, corpus__source=str(world / "documents.jsonl"),
        deterministic=True, checkpoint_every=_EVERY, ict__steps=_STEPS, ict__batch_size=8,
        **changes)
    stages.corpus(Run(config, folder))
    return folder

  return make


@pytest.fixture(name="uninterrupted", scope="module")
def _uninterrupted(make_run, tmp_path_factory):
  """What so many hosts come to that nothing happens to."""
  found = {}

  def train(count):
    if count not in found:
      run = make_run(tmp_path_factory.mktemp("uninterrupted") / "run")
      with Hosts(count) as hosts:
        _end(_start(hosts, run, "ict", count), run)
      found[count] = _saved(run)
    return found[count]

  return train


def _start(hosts, run, stage, count, heartbeat=_PATIENT):
  return [hosts.start(host, [
      sys.executable, "-m", "realm_tf.cli.main", stage, f"--workdir={run}",
      "--strategy=multi_worker", f"--heartbeat_seconds={heartbeat}"], _log(run, host))
          for host in range(count)]


def _log(run, host):
  return run.with_name(f"{host}.log")


def _end(processes, run, code=0, within=LONG):
  """Each of them ends with this code."""
  deadline = time.monotonic() + within
  for host, process in enumerate(processes):
    assert process.wait(max(1, deadline - time.monotonic())) == code, (
        _log(run, host).read_text())


def _fails_by_one_line(process, log, within):
  assert process.wait(within) == 2, log.read_text()
  said = log.read_text()
  assert said.count("\nrealm: ") == 1 and "Traceback" not in said, said
  assert re.search(r"\nrealm: another of the processes that train together has failed or is "
                   r"gone \([^{\n]+\); run the same command in all", said), said


def _stated(begun):
  """Seconds within which all end. Who was long in beginning, on a busy machine, may be in the
  end, too; on others it is less than the default, by which all would end otherwise."""
  return _HEARTBEAT + max(_SLACK, time.monotonic() - begun)


def _wait_for_checkpoint(run, stage, processes, least=1):
  """The step of the newest whole one, when there is one of that step or later.

  TensorFlow names it in its state file when it is whole; its index is there earlier.
  """
  while True:
    newest = tf.train.latest_checkpoint(str(run / stage / "checkpoints"))
    step = int(newest.rpartition("-")[2]) if newest else 0
    if step >= least:
      return step
    for host, process in enumerate(processes):
      assert process.poll() is None, _log(run, host).read_text()
    time.sleep(0.02)


def _saved(run):
  reader = tf.train.load_checkpoint(str(run / "ict" / "checkpoints"))
  return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
          if name.startswith(("model/", "step/", "optimizer/")) or "/m/" in name}


def _assert_ended_alike(run, count, expected):
  actual = _saved(run)
  assert actual.keys() == expected.keys() and len(actual) > 20
  for name, value in expected.items():
    # Of more than two, who adds first decides the last digit.
    np.testing.assert_allclose(actual[name], value, *((0, 0) if count == 2 else (1e-2, 1e-4)),
                               err_msg=name)
  steps = [step for step, _ in read_curves(run / "ict" / "curves.csv")]
  assert steps == sorted(set(steps)) and steps[-1] == _STEPS


def _vanish(run, count, host, fault):
  """Ends a run by a fault of one host; the step of the checkpoint that was there."""
  with Hosts(count) as hosts:
    processes, begun = _start(hosts, run, "ict", count, _HEARTBEAT), time.monotonic()
    kept = _wait_for_checkpoint(run, "ict", processes)
    within = _stated(begun)
    _FAULTS[fault](hosts, host, processes[host])
    for other, process in enumerate(processes):
      if other != host or fault == "unplugged":
        _fails_by_one_line(process, _log(run, other), within)
    if fault == "stopped":
      processes[host].send_signal(signal.SIGCONT)
      _fails_by_one_line(processes[host], _log(run, host), within)
  return kept


@pytest.mark.slow
def test_a_pulled_cable_ends_both_with_one_line_each(make_run, tmp_path):
  assert _vanish(make_run(tmp_path / "run"), 2, 1, "unplugged") >= _EVERY


@pytest.mark.stress
@pytest.mark.parametrize("count, host, fault", [
    (2, 1, "killed"), (2, 0, "killed"), (2, 1, "stopped"), (2, 0, "stopped"),
    (2, 0, "unplugged"), (4, 3, "killed"), (4, 0, "killed"), (4, 2, "unplugged")])
def test_a_host_that_vanishes_ends_all_and_all_go_on(make_run, uninterrupted, tmp_path,
                                                     count, host, fault):
  run = make_run(tmp_path / "run")
  kept = _vanish(run, count, host, fault)
  with Hosts(count) as hosts:
    _end(_start(hosts, run, "ict", count), run)
  for other in range(count):
    went_on = re.findall(r"ict: going on from step (\d+)", _log(run, other).read_text())
    assert len(went_on) == 1 and int(went_on[0]) >= kept
  _assert_ended_alike(run, count, uninterrupted(count))


@pytest.mark.stress
@pytest.mark.parametrize("host", [0, 1])
def test_silence_that_is_shorter_than_the_heartbeat_changes_nothing(
    make_run, uninterrupted, tmp_path, host):
  run = make_run(tmp_path / "run")
  with Hosts(2) as hosts:
    processes = _start(hosts, run, "ict", 2)
    kept = _wait_for_checkpoint(run, "ict", processes)
    processes[host].send_signal(signal.SIGSTOP)
    time.sleep(_PATIENT / 3)
    processes[host].send_signal(signal.SIGCONT)
    _wait_for_checkpoint(run, "ict", processes, kept + _EVERY)
    # Half of the heartbeat is what an answer to one may take; TCP, which tries again at twice
    # the time, may take twice as long as there was no cable.
    hosts.pull(host)
    time.sleep(_PATIENT / 5)
    hosts.plug(host)
    _end(processes, run)
  _assert_ended_alike(run, 2, uninterrupted(2))


@pytest.mark.stress
def test_a_slow_link_changes_nothing(make_run, uninterrupted, tmp_path):
  run = make_run(tmp_path / "run")
  with Hosts(2) as hosts:
    hosts.slow(1, "4mbit")
    _end(_start(hosts, run, "ict", 2), run)
  _assert_ended_alike(run, 2, uninterrupted(2))


@pytest.mark.stress
def test_a_shared_index_and_its_refresh_job_are_on_hosts_of_their_own(make_run, tmp_path):
  """The job needs files only: its host is cut off, and it dies; so does a worker, later."""
  run = make_run(tmp_path / "run", **_SHARED)
  job = [sys.executable, "-m", "realm_tf.cli.main", "refresh", f"--workdir={run}"]
  with Hosts(2, others=1) as hosts:
    hosts.pull(2)
    processes, begun = _start(hosts, run, "pretrain", 2, _HEARTBEAT), time.monotonic()
    first = hosts.start(2, job, _log(run, 2))
    _wait_for_checkpoint(run, "pretrain", processes, least=12)
    first.kill()  # the trainers then wait for the next
    second = hosts.start(2, job, _log(run, 2))
    kept = _wait_for_checkpoint(run, "pretrain", processes, least=24)
    processes[1].kill()
    _fails_by_one_line(processes[0], _log(run, 0), _stated(begun))
    assert second.poll() is None  # it waits for them
    processes = _start(hosts, run, "pretrain", 2)
    _end([*processes, second], run)
  assert f"going on from step {kept}" in _log(run, 1).read_text()
  curves = [read_curves(folder / "curves.csv")
            for folder in (run / "pretrain", run / "pretrain" / "worker-1")]
  assert [dict(rows)[48]["loss"] for rows in curves][0] == dict(curves[1])[48]["loss"]
  assert [step for step, _ in curves[0]] == sorted({step for step, _ in curves[0]})
  assert all(means["index_staleness"] <= 8 for _, means in curves[0])
  assert curves[0][-1][1]["index_step"] > 24
