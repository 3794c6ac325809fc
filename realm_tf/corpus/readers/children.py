"""Parses in processes of their own, on all cores, within limits of time and memory.

Some documents take parsers minutes and tens of gigabytes (mwparserfromhell#286: 30 GB for a
page of 80 kB). Such a one costs its process, not the corpus.
"""

import json
import signal
import subprocess
import sys
from typing import Any

from realm_tf import own_processes
from realm_tf.corpus.readers.child import MOST_BYTES
from realm_tf.corpus.readers.unreadable import Unreadable

_CHILD = "realm_tf.corpus.readers.child"


class _Child:
  """One process."""

  def __init__(self) -> None:
    self._process = subprocess.Popen(
        own_processes.command(_CHILD), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env=own_processes.environment())
    assert self._process.stdin and self._process.stdout
    self._requests, self._answers = self._process.stdin, self._process.stdout
    if self._answers.readline() != b"ready\n":
      raise RuntimeError(f"`{sys.executable} -m {_CHILD}` does not start")

  def call(self, function: str, data: bytes, seconds: float) -> Any:
    """What the function makes of the data.

    Raises:
      Unreadable: says why there is nothing.
      EOFError: so does it, and this process is no more.
    """
    try:
      self._requests.write(f"{function} {seconds} {len(data)}\n".encode())
      self._requests.write(data)
      self._requests.flush()
      answer = self._answers.readline()
    except BrokenPipeError:
      answer = b""
    if not answer.endswith(b"\n"):
      self.close()
      raise EOFError("takes too long" if self._process.returncode == -signal.SIGPROF
                     else f"takes more than {MOST_BYTES >> 30} GiB of memory")
    fields = json.loads(answer)
    if "value" not in fields:
      raise Unreadable(fields["reason"], fields["detail"])
    return fields["value"]

  def close(self) -> None:
    for pipe in (self._requests, self._answers):
      try:
        pipe.close()
      except BrokenPipeError:
        pass
    self._process.wait()


class Children:
  """Processes that parse; one for each call at the same time, started when needed."""

  def __init__(self) -> None:
    self._free: list[_Child] = []

  def __enter__(self) -> "Children":
    return self

  def __exit__(self, *error: Any) -> None:
    for child in self._free:
      child.close()

  def call(self, function: str, data: bytes, seconds: float) -> Any:
    """`function`, "module:name", of the data, from any thread.

    Args:
      function: from bytes to what JSON holds; may raise `Unreadable`.
      data: its argument.
      seconds: of processor time that it may take.

    Raises:
      Unreadable: it cannot be read, or only past the limits.
    """
    try:
      child = self._free.pop()
    except IndexError:
      child = _Child()
    try:
      value = child.call(function, data, seconds)
    except EOFError as end:
      raise Unreadable(str(end)) from None
    except Unreadable:
      self._free.append(child)
      raise
    self._free.append(child)
    return value
