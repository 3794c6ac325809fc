"""Two processes of one machine, as workers of a cluster; or two threads in their stead."""

import json
import os
import pathlib
import socket
import subprocess
import threading

from realm_tf.distribute.processes import SingleProcess

LONG = 1800  # seconds: a deadlock fails a test instead of hanging it, on a busy machine too
# Of processes that would share one, which NCCL refuses.
WITHOUT_GPU = {"CUDA_VISIBLE_DEVICES": "-1"}
_ROOT = pathlib.Path(__file__).parents[1]


def in_two_processes(command, outputs=(subprocess.PIPE, subprocess.PIPE)):
  """Starts a command as both workers; their output goes to a pipe each, or to files."""
  sockets = [socket.socket() for _ in range(2)]
  for opened in sockets:
    opened.bind(("localhost", 0))
  workers = [f"localhost:{opened.getsockname()[1]}" for opened in sockets]
  for opened in sockets:
    opened.close()
  return [subprocess.Popen(
      command, cwd=_ROOT, stdout=output, stderr=subprocess.STDOUT, text=True,
      env={**os.environ, **WITHOUT_GPU, "PYTHONPATH": str(_ROOT), "TF_CONFIG": json.dumps({
          "cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})})
          for index, output in enumerate(outputs)]


class Hangs(Exception):
  """A process waits for another that does not come, or is at another point."""


class Member(SingleProcess):
  """A thread that stands for a process; process 0 is the chief."""

  def __init__(self, number, arrived):
    self.number, self._calls = number, []
    self._arrived, self._other, self._left = arrived, self, False

  def all_agree(self, flag):
    return all(self._exchanged("all_agree", flag))

  def broadcast(self, value):
    return self._exchanged("broadcast", value)[0]

  def leave(self):
    with self._arrived:
      self._left = True
      self._arrived.notify_all()

  def _exchanged(self, *call):
    """What both gave in this call, by process."""
    place, members = len(self._calls), sorted((self, self._other), key=lambda m: m.number)
    with self._arrived:
      self._calls.append(call)
      self._arrived.notify_all()
      self._arrived.wait_for(
          lambda: len(self._other._calls) > place or self._other._left, LONG)
      calls = [member._calls[place:place + 1] for member in members]
      if not all(calls) or calls[0][0][0] != calls[1][0][0]:
        raise Hangs(calls)
    return [call[0][1] for call in calls]


def as_two_processes(work):
  """What `work` returns or raises in each of two threads, given its `Member`."""
  arrived, results = threading.Condition(), [None, None]
  members = [Member(number, arrived) for number in range(2)]
  for member, other in zip(members, members[::-1]):
    member._other = other

  def run(member):
    try:
      results[member.number] = work(member)
    except Exception as error:  # pylint: disable=broad-except
      results[member.number] = error
    finally:
      member.leave()

  threads = [threading.Thread(target=run, args=(member,)) for member in members]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  return results
