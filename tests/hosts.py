"""Several hosts on this machine: network namespaces whose cables end in one switch."""

import itertools
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from tests.processes import WITHOUT_GPU

_ROOT = pathlib.Path(__file__).parents[1]
_PORT = 2222
_numbers = itertools.count()


class Hosts:
  """So many hosts, 10.77.0.1 and on, which see the same files and share nothing else.

  The first of them are workers of one cluster. Skips the test where nobody may make name
  spaces. To be used by `with`, at whose end the
  hosts and all that runs there are gone.
  """

  def __init__(self, workers: int, others: int = 0):
    self._prefix = f"realm-{os.getpid()}-{next(_numbers)}"
    self._switch, self._workers = f"{self._prefix}-switch", workers
    self._count = workers + others
    self._processes: list[subprocess.Popen] = []

  def __enter__(self) -> "Hosts":
    if os.geteuid() != 0:
      pytest.skip("only root makes hosts of network name spaces")
    if not shutil.which("ip"):
      pytest.skip("there is no `ip` here (apt-get install iproute2)")
    try:
      _ip("netns", "add", self._switch)
      _ip("-n", self._switch, "link", "add", "switch", "type", "bridge")
      _ip("-n", self._switch, "link", "set", "switch", "up")
      for host in range(self._count):
        self._add(host)
    except subprocess.CalledProcessError as error:
      self.__exit__()
      pytest.skip(f"this system makes no network name spaces: {error.stderr.strip()}")
    return self

  def _add(self, host: int) -> None:
    name = self._name(host)
    _ip("netns", "add", name)
    _ip("-n", self._switch, "link", "add", f"port{host}", "type", "veth", "peer", "name",
        "cable", "netns", name)
    _ip("-n", self._switch, "link", "set", f"port{host}", "master", "switch", "up")
    _ip("-n", name, "address", "add", f"{self.address(host)}/24", "dev", "cable")
    for device in ("lo", "cable"):
      _ip("-n", name, "link", "set", device, "up")

  def __exit__(self, *_) -> None:
    for process in self._processes:
      process.kill()
      process.wait()
    for name in (*map(self._name, range(self._count)), self._switch):
      subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)

  def _name(self, host: int) -> str:
    return f"{self._prefix}-{host}"

  def address(self, host: int) -> str:
    return f"10.77.0.{host + 1}"

  def start(self, host: int, command, log: pathlib.Path) -> subprocess.Popen:
    """Starts a command there as the worker of that number; all it says goes to `log`."""
    workers = [f"{self.address(other)}:{_PORT}" for other in range(self._workers)]
    with open(log, "ab") as output:
      process = subprocess.Popen(
          ["ip", "netns", "exec", self._name(host), *map(str, command)], cwd=_ROOT,
          stdout=output, stderr=subprocess.STDOUT, env={
              **os.environ, **WITHOUT_GPU, "PYTHONPATH": str(_ROOT),
              "TF_CONFIG": json.dumps({
                  "cluster": {"worker": workers},
                  "task": {"type": "worker", "index": host}})})
    self._processes.append(process)
    return process

  def pull(self, host: int) -> None:
    """Pulls its cable out of the switch."""
    _ip("-n", self._switch, "link", "set", f"port{host}", "down")

  def plug(self, host: int) -> None:
    """Puts it in again."""
    _ip("-n", self._switch, "link", "set", f"port{host}", "up")

  def slow(self, host: int, rate: str) -> None:
    """Lets no more than `rate`, such as "8mbit", leave it or reach it."""
    for name, device in ((self._name(host), "cable"), (self._switch, f"port{host}")):
      _run("ip", "netns", "exec", name, "tc", "qdisc", "add", "dev", device, "root", "tbf",
           "rate", rate, "burst", "32k", "latency", "400ms")


def _ip(*arguments: str) -> None:
  _run("ip", *arguments)


def _run(*command: str) -> None:
  subprocess.run(command, capture_output=True, text=True, check=True)
