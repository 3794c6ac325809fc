"""Kills trainers, refresh jobs and commands that change documents; nothing may be lost.

    python benchmarks/faults.py --kills=100 --json=faults.json

In a small run a trainer (`realm pretrain`, refresh=job) and a `realm refresh` beside it
are killed by SIGKILL at random moments and started again, over and over; so are `realm
add`, `delete` and `compact` in a second run. All the while a reader opens the newest index.
Reported are

    kills           how many processes were killed
    lost            checkpoints, versions or documents that were there, and then not
    torn_reads      openings of index or corpus that failed, or gave something else
    failed_resumes  commands that did not go on when they were started again

The processes are forked from one that has TensorFlow loaded, which saves their start;
they run what the command line runs.
"""

import json
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import threading
import time

from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # for tests.tiny

_KILLS = flags.DEFINE_integer("kills", 100, "How many processes to kill.", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "File for the results.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the moments and the victims.")

_PATIENCE = 180  # seconds until a process that was started again must have got on
_PRELOAD = ["realm_tf.run.stages", "realm_tf.run.documents", "realm_tf.run.refresh_job",
            "realm_tf.cli.commands"]


def _command(arguments: list[str], log: str) -> None:
  """Runs in the child: one command line, its output in a file."""
  with open(log, "ab", buffering=0) as file:
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
  from realm_tf.cli.main import run  # pylint: disable=import-outside-toplevel
  code = run(arguments)
  sys.stdout.flush()
  os._exit(code)  # as a process's end; there is nothing to clean up


class Processes:
  """Starts commands, and knows how they ended."""

  def __init__(self, folder: pathlib.Path):
    self._context = multiprocessing.get_context("forkserver")
    self._context.set_forkserver_preload(_PRELOAD)
    self._folder = folder

  def start(self, *arguments: str) -> multiprocessing.Process:
    log = str(self._folder / f"{arguments[0]}.log")
    process = self._context.Process(target=_command, args=(list(arguments), log),
                                    daemon=True)  # it ends with the benchmark
    process.start()
    return process

  def finish(self, *arguments: str) -> int:
    process = self.start(*arguments)
    process.join(_PATIENCE)
    if process.is_alive():
      kill(process)
      return -1
    return process.exitcode


def kill(process) -> None:
  if process.is_alive():
    os.kill(process.pid, signal.SIGKILL)
  process.join()


class Tally:
  """What went wrong; each is printed as it happens."""

  def __init__(self):
    self.counts = dict.fromkeys(("kills", "lost", "torn_reads", "failed_resumes"), 0)
    self.reads = 0
    self.killed: dict[str, int] = {}

  def note(self, kind: str, event: str) -> None:
    self.counts[kind] += 1
    print(f"{kind}: {event}", flush=True)

  def kill(self, name: str) -> None:
    self.counts["kills"] += 1
    self.killed[name] = self.killed.get(name, 0) + 1


class Reader(threading.Thread):
  """Opens and reads the newest version without end, as trainers do."""

  def __init__(self, root: pathlib.Path, corpus_rows: dict[str, int], tally: Tally):
    super().__init__(daemon=True)
    self._root, self._rows, self._tally = root, corpus_rows, tally
    self.newest, self.stop = -1, threading.Event()

  def run(self) -> None:
    from realm_tf.index import stored_index  # pylint: disable=import-outside-toplevel
    while not self.stop.wait(0.02):
      try:
        version = stored_index.find_version(self._root, self._rows)
        if version is None:
          if self.newest >= 0:
            self._tally.note("lost", f"the index of step {self.newest}")
          continue
        try:
          version.read()
        except ValueError:
          if version.folder.exists():
            raise
          continue  # removed by its successor; the next look finds that
        self._tally.reads += 1
        if version.origin.step < self.newest:
          self._tally.note("lost", f"the index of step {self.newest}")
        self.newest = version.origin.step
      except Exception as error:  # pylint: disable=broad-except
        self._tally.note("torn_reads", str(error))


def _world(folder: pathlib.Path, processes: Processes) -> pathlib.Path:
  """A run whose retriever is warm; returns its folder."""
  from realm_tf import config as config_lib  # pylint: disable=import-outside-toplevel
  from tests import tiny  # pylint: disable=import-outside-toplevel
  with open(folder / "documents.jsonl", "w", encoding="utf-8") as file:
    for document in tiny.documents():
      file.write(json.dumps(vars(document)) + "\n")
  config = tiny.make_config(
      folder, corpus__source=str(folder / "documents.jsonl"), ict__steps=2,
      refresh__mode="job", refresh__every=3, refresh__max_staleness=6,
      pretrain__steps=1_000_000)
  run = folder / "run"
  run.mkdir()
  (run / "config.json").write_text(json.dumps(config_lib.to_dict(config)))
  for command in ("corpus", "ict", "index"):
    if processes.finish(command, f"--workdir={run}"):
      raise SystemExit(f"{command} failed: {(folder / f'{command}.log').read_text()[-2000:]}")
  return run


def _checkpoint(run: pathlib.Path) -> int:
  import tensorflow as tf  # pylint: disable=import-outside-toplevel
  newest = tf.train.latest_checkpoint(str(run / "pretrain" / "checkpoints"))
  return int(newest.rsplit("-", 1)[1]) if newest else -1


class Training:
  """The trainer and its refresh job, of which now one and now the other is killed."""

  def __init__(self, run: pathlib.Path, processes: Processes, tally: Tally):
    from realm_tf.corpus.store import Corpus  # pylint: disable=import-outside-toplevel
    self._run, self._processes, self._tally = run, processes, tally
    rows = Corpus.open(run / "corpus").rows_by_hash
    self._reader = Reader(run / "pretrain" / "index", rows, tally)
    self._progress = {"pretrain": lambda: _checkpoint(run),
                      "refresh": lambda: self._reader.newest}
    self._alive = {name: self._start(name) for name in self._progress}
    self._reader.start()
    for name in self._progress:
      self._wait(name, -1)

  def kill_one(self, chance: random.Random) -> None:
    name = chance.choice(list(self._alive))
    time.sleep(chance.uniform(0, 1.5))
    before = self._progress[name]()
    kill(self._alive[name])
    self._tally.kill(name)
    after = self._progress[name]()
    if after < before:
      self._tally.note("lost", f"{name}: step {before} was there, {after} is")
    self._alive[name] = self._start(name)
    self._wait(name, after)

  def close(self) -> None:
    self._reader.stop.set()
    self._reader.join()
    for process in self._alive.values():
      kill(process)

  def _start(self, name: str):
    return self._processes.start(name, f"--workdir={self._run}")

  def _wait(self, name: str, before: int) -> None:
    """Until a process has got further than `before`."""
    begun = time.monotonic()
    while self._progress[name]() <= before:
      late = time.monotonic() - begun > _PATIENCE
      if late or not self._alive[name].is_alive():
        self._tally.note("failed_resumes", f"{name} from step {before}: "
                         + ("no progress" if late else
                            f"exit code {self._alive[name].exitcode}"))
        if late:
          kill(self._alive[name])
        self._alive[name] = self._start(name)
        return
      time.sleep(0.05)


class Changing:
  """Commands that change documents, and are killed."""

  def __init__(self, run: pathlib.Path, processes: Processes, tally: Tally):
    from realm_tf.corpus.store import Corpus  # pylint: disable=import-outside-toplevel
    self._corpus, self._run, self._tally = Corpus, run, tally
    self._processes = processes
    self._ids = set(Corpus.open(run / "corpus").document_ids)
    self._number, self._seconds = 0, 0.0

  def kill_one(self, chance: random.Random) -> None:
    command, name = self._next(chance)
    if not self._seconds:  # how long it takes is not known before one was let live
      self._finish(command, name)
      command, name = self._next(chance)
    process = self._processes.start(*command)
    process.join(chance.uniform(0.1, 1.0) * self._seconds)
    if not process.is_alive():
      self._ended(command, name, process.exitcode)
      return
    kill(process)
    self._tally.kill(command[0])
    present = self._open()
    if present is not None and present - {name} != self._ids - {name}:
      self._tally.note("lost", f"documents {sorted(present ^ self._ids)}")
    if present is not None and command[0] == "delete" and name not in present:
      self._ids.discard(name)  # it was done, and could not be done again
    else:
      self._finish(command, name)

  def _next(self, chance: random.Random) -> tuple[list[str], str]:
    where = f"--workdir={self._run}"
    if chance.random() < 0.2 and self._number:
      return ["compact", where], ""
    if chance.random() < 0.4 and self._number:
      name = chance.choice(sorted(self._ids))
      return ["delete", where, name], name
    self._number += 1
    name = f"new-{self._number}"
    path = self._run.parent / f"{name}.jsonl"
    path.write_text(json.dumps({"id": name, "title": "Paris", "text":
                                f"Paris has {self._number} old towers by the river."}))
    return ["add", where, f"--documents={path}"], name

  def _finish(self, command: list[str], name: str) -> None:
    begun = time.monotonic()
    code = self._processes.finish(*command)
    self._seconds = time.monotonic() - begun
    self._ended(command, name, code)

  def _ended(self, command: list[str], name: str, code: int) -> None:
    if command[0] == "add":
      self._ids.add(name)
    self._ids -= {name} if command[0] == "delete" else set()
    present = self._open()
    if code:
      self._tally.note("failed_resumes", f"{' '.join(command)}: exit code {code}")
    elif present is not None and present != self._ids:
      self._tally.note("lost", f"documents {sorted(present ^ self._ids)}")

  def _open(self) -> set[str] | None:
    self._tally.reads += 1
    try:
      return set(self._corpus.open(self._run / "corpus").document_ids)
    except ValueError as error:
      self._tally.note("torn_reads", str(error))
      return None


def main(_) -> None:
  begun, chance, tally = time.monotonic(), random.Random(_SEED.value), Tally()
  signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that daemons are ended
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    processes = Processes(folder)
    run = _world(folder, processes)
    shutil.copytree(run, folder / "documents")
    changing = Changing(folder / "documents", processes, tally)
    training = Training(run, processes, tally)
    try:
      while tally.counts["kills"] < _KILLS.value:
        (changing if chance.random() < 0.25 else training).kill_one(chance)
        print(f"\r{tally.counts}", end="", file=sys.stderr, flush=True)
    finally:
      training.close()
    for tested in (run, folder / "documents"):
      if processes.finish("verify", f"--workdir={tested}"):
        tally.note("torn_reads", (folder / "verify.log").read_text()[-300:])
  result = {**tally.counts, "killed": tally.killed, "reads": tally.reads,
            "seed": _SEED.value, "seconds": round(time.monotonic() - begun)}
  print("\n" + json.dumps(result))
  if _JSON.value:
    pathlib.Path(_JSON.value).write_text(json.dumps(result, indent=2) + "\n")
  sys.exit(1 if any(tally.counts[k] for k in ("lost", "torn_reads", "failed_resumes")) else 0)


if __name__ == "__main__":
  app.run(main)
