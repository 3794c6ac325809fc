"""A server under load: requests fail, memory grows, a swap is felt, or none of it.

    python benchmarks/serving_load.py --model=runs/demo/export/1 --png=docs/serving_load.png

Starts `realm serve` on a copy of an export, at a free port of 127.0.0.1, and has clients ask
it without a pause, each over a connection of its own, until so many requests are answered.
After a fifth of them each a version appears: another one, a broken one, and two more. The
second is `--other`, where it is given; all others are copies. Prints how many failed (any but
200, and an answer that is not the one that its version gave to that question before), seconds
until a version took over, percentiles of the latency, in all and within a second of a swap,
and the memory of the server. At most `--minutes`; its files are removed.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, Iterator

import numpy as np
from absl import app, flags
from machine import processor

_MODEL = flags.DEFINE_string("model", None, "Folder of one version of an export.",
                             required=True)
_OTHER = flags.DEFINE_string("other", None, "Another one, which takes over in between.")
_REQUESTS = flags.DEFINE_integer("requests", 10_000, "How many are answered.")
_CLIENTS = flags.DEFINE_integer("clients", 64, "How many ask at a time.")
_MINUTES = flags.DEFINE_float("minutes", 20.0, "After which it stops, whatever is missing.")
_JSON = flags.DEFINE_string("json", None, "File for the results.")
_PNG = flags.DEFINE_string("png", None, "File for a picture of latencies and memory.")

_QUESTIONS = 200  # different ones
_NEAR = 1.0  # seconds around a swap


class Load:
  """What the clients and the watchers of one server note down."""

  def __init__(self, port: int, questions: list[str]):
    self._port, self._questions = port, questions
    self._answers: dict[tuple[int, str], str] = {}
    self.begun = time.monotonic()
    self.answered: list[tuple[float, float, int]] = []  # when, seconds, version
    self.failed: list[str] = []
    self.memory: list[tuple[float, int]] = []  # when, bytes
    self.stopped = threading.Event()

  def now(self) -> float:
    """Seconds since the beginning."""
    return time.monotonic() - self.begun

  def ask(self, number: int) -> None:
    """One client, until it is stopped."""
    connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
    while not self.stopped.is_set():
      question = self._questions[number % len(self._questions)]
      number += 7
      begun = time.monotonic()
      try:
        connection.request("POST", "/answer", json.dumps({"question": question}))
        response = connection.getresponse()
        content = response.read()
        if response.status != 200:
          raise ValueError(f"{response.status} {content[:100]!r}")
        record = json.loads(content)
        version, answer = int(record["version"]), record["answer"]
        if self._answers.setdefault((version, question), answer) != answer:
          raise ValueError(f"version {version} says {answer!r} to {question!r}, and before "
                           f"{self._answers[version, question]!r}")
      except (OSError, ValueError, LookupError, http.client.HTTPException) as error:
        self.failed.append(f"{type(error).__name__}: {error}")
        connection.close()
        continue
      self.answered.append((self.now(), time.monotonic() - begun, version))

  def watch(self, pid: int) -> None:
    """Notes the memory of the server, until it is stopped."""
    while not self.stopped.wait(0.1):
      self.memory.append((self.now(), resident(pid)))


def resident(pid: int, name: str = "VmRSS") -> int:
  """Bytes of a process that are in memory; VmHWM: the most that ever were."""
  status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
  return 1024 * int(re.search(rf"{name}:\s+(\d+)", status)[1])


@contextlib.contextmanager
def serving(base: pathlib.Path) -> Iterator[tuple[subprocess.Popen, int]]:
  """The process of a server over a folder, and its port, once it answers."""
  command = [sys.executable, "-m", "realm_tf.cli.main", "serve", f"--model={base}",
             "--port=0", "--poll_seconds=0.2"]
  with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                        start_new_session=True) as process:
    try:
      line = process.stdout.readline()
      address = re.search(r"127\.0\.0\.1:(\d+)", line)
      if not address:
        raise RuntimeError(f"the server did not start: {line}")
      yield process, int(address[1])
    finally:
      process.terminate()
      process.wait(60)


def put(export: str, base: pathlib.Path, number: int, broken: bool = False) -> None:
  """A version appears whole, of hard links where that can be."""
  new = base / f".{number}.new"
  shutil.copytree(export, new, copy_function=_link)
  if broken:
    index = new / "variables" / "variables.index"
    index.unlink()
    index.write_bytes(b"")
  new.rename(base / str(number))


def _link(source: str, target: str) -> None:
  try:
    os.link(source, target)
  except OSError:
    shutil.copy2(source, target)


def states(port: int) -> dict[int, str]:
  """The state of each version that the server knows."""
  connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
  with contextlib.closing(connection):
    connection.request("GET", "/v1/models/realm")
    listed = json.loads(connection.getresponse().read())["model_version_status"]
  return {int(status["version"]): status["state"] for status in listed}


def swap(load: Load, base: pathlib.Path, port: int, until: float) -> list[dict[str, Any]]:
  """Has versions appear as the load goes on; what became of each."""
  share = _REQUESTS.value // 5
  swaps = []
  for number, export in enumerate(
      (_OTHER.value or _MODEL.value, "broken", _MODEL.value, _MODEL.value), 2):
    while len(load.answered) < share * (number - 1) and load.now() < until:
      time.sleep(0.01)
    broken = export == "broken"
    appeared = load.now()
    put(_MODEL.value if broken else export, base, number, broken)
    expected = "END" if broken else "AVAILABLE"
    while states(port).get(number) != expected and load.now() < until:
      time.sleep(0.02)
    swaps.append({"version": number, "broken": broken, "appeared": appeared,
                  "settled": load.now()})
  while len(load.answered) < _REQUESTS.value and load.now() < until:
    time.sleep(0.01)
  return swaps


def percentiles(seconds: np.ndarray) -> dict[str, float]:
  """In milliseconds."""
  if not len(seconds):
    return {}
  values = 1000 * np.percentile(seconds, [50, 95, 99, 100])
  return dict(zip(("p50", "p95", "p99", "max"), values.round(1).tolist()))


def results(load: Load, swaps: list[dict[str, Any]], most: int) -> dict[str, Any]:
  """All that is printed."""
  times, seconds, versions = (np.array(column) for column in zip(*load.answered))
  near = np.zeros(len(times), bool)
  for event in swaps:
    near |= (times > event["appeared"] - _NEAR) & (times < event["settled"] + _NEAR)
  _, memory = zip(*load.memory)
  return {
      "processor": processor(), "date": time.strftime("%Y-%m-%d"), "model": _MODEL.value,
      "clients": _CLIENTS.value, "answered": len(times), "failed": len(load.failed),
      "failures": sorted(set(load.failed))[:5], "a second": round(len(times) / times[-1], 1),
      "milliseconds": percentiles(seconds), "around swaps": percentiles(seconds[near]),
      "otherwise": percentiles(seconds[~near]),
      "answered by": {str(number): int((versions == number).sum())
                      for number in sorted(set(versions.tolist()))},
      "swaps": [{"version": event["version"], "broken": event["broken"],
                 "seconds": round(event["settled"] - event["appeared"], 2)}
                for event in swaps],
      "MB": {name: round(value / 1e6) for name, value in (
          ("first", memory[0]), ("last", memory[-1]), ("most", most))}}


def draw(load: Load, swaps: list[dict[str, Any]], path: str) -> None:
  """Latencies and memory over time, with the swaps."""
  import matplotlib  # pylint: disable=import-outside-toplevel
  matplotlib.use("Agg")
  from matplotlib import pyplot  # pylint: disable=import-outside-toplevel
  figure, (above, below) = pyplot.subplots(2, 1, sharex=True, figsize=(8, 5.5),
                                           height_ratios=(2, 1), layout="constrained")
  times, seconds, _ = (np.array(column) for column in zip(*load.answered))
  above.plot(times, 1000 * seconds, ".", markersize=1.5, alpha=.4)
  above.set_ylabel("milliseconds")
  above.set_yscale("log")
  below.plot(*zip(*((at, size / 1e6) for at, size in load.memory)))
  below.set_ylabel("MB of the server")
  below.set_ylim(bottom=0)
  below.set_xlabel("seconds")
  for event in swaps:
    for axes in (above, below):
      axes.axvspan(event["appeared"], event["settled"], alpha=.25,
                   color="tab:red" if event["broken"] else "tab:green")
    above.annotate(f"version {event['version']}{' (broken)' if event['broken'] else ''}",
                   (event["appeared"], 1), xycoords=("data", "axes fraction"), fontsize=8,
                   xytext=(2, -10), textcoords="offset points")
  above.set_title(f"{_CLIENTS.value} clients, {len(times)} requests, "
                  f"{len(load.failed)} failed", fontsize=10)
  figure.savefig(path, dpi=110)


def asked(export: str) -> list[str]:
  """Different questions: those that the export warms itself up by, with a word before."""
  path = pathlib.Path(export, "assets.extra", "realm_warmup.json")
  known = json.loads(path.read_text(encoding="utf-8"))["questions"]
  return [f"{number} {known[number % len(known)]}" for number in range(_QUESTIONS)]


def main(_) -> None:
  with tempfile.TemporaryDirectory(dir=pathlib.Path(_MODEL.value).resolve().parent) as folder:
    base = pathlib.Path(folder)
    put(_MODEL.value, base, 1)
    with serving(base) as (process, port):
      load = Load(port, asked(_MODEL.value))
      threads = [threading.Thread(target=load.ask, args=(number,))
                 for number in range(_CLIENTS.value)]
      threads.append(threading.Thread(target=load.watch, args=(process.pid,)))
      for thread in threads:
        thread.start()
      try:
        swaps = swap(load, base, port, 60 * _MINUTES.value)
      finally:
        load.stopped.set()
        for thread in threads:
          thread.join()
      most = resident(process.pid, "VmHWM")
  figures = results(load, swaps, most)
  print(json.dumps(figures, indent=2))
  if _JSON.value:
    pathlib.Path(_JSON.value).write_text(json.dumps(figures, indent=2) + "\n",
                                         encoding="utf-8")
  if _PNG.value:
    draw(load, swaps, _PNG.value)


if __name__ == "__main__":
  app.run(main)
