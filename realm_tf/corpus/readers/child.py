"""The process in which documents are parsed: `python -m realm_tf.corpus.readers.child`.

It reads requests, a line `<module>:<function> <seconds> <bytes>` and these bytes, and
answers each with a line of JSON: {"value": ...} or {"reason": ..., "detail": ...}. Past its
seconds of processor time the kernel ends it, wherever it is; its memory has a limit.
"""

import importlib
import json
import os
import resource
import signal
import sys
from typing import Any

from realm_tf.corpus.readers.unreadable import Unreadable

OUT_OF_MEMORY = 77  # exit code
MOST_BYTES = 2 << 30  # of address space


def _parsed(name: str, data: bytes) -> dict[str, Any]:
  module, _, function = name.partition(":")
  parse = getattr(importlib.import_module(module), function)
  try:
    return {"value": parse(data)}
  except Unreadable as problem:
    return {"reason": problem.reason, "detail": problem.detail}
  except MemoryError:
    os._exit(OUT_OF_MEMORY)
  except RecursionError:
    return {"reason": "nested too deep", "detail": ""}
  except Exception as error:  # noqa: BLE001 - whatever a library raises of damaged input
    return {"reason": "damaged", "detail": f"{type(error).__name__}: {error}"[:200]}


def serve_requests() -> None:
  resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
  signal.signal(signal.SIGPROF, signal.SIG_DFL)
  requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
  os.dup2(2, 1)  # for libraries that print
  answers.write(b"ready\n")
  answers.flush()
  while request := requests.readline().split():
    name, seconds, size = request
    data = requests.read(int(size))
    signal.setitimer(signal.ITIMER_PROF, float(seconds))
    answer = json.dumps(_parsed(name.decode(), data)).encode()
    signal.setitimer(signal.ITIMER_PROF, 0)
    answers.write(answer + b"\n")
    answers.flush()


if __name__ == "__main__":
  serve_requests()
