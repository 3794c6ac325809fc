"""How long an index takes to open, and how much memory beyond its table.

    python benchmarks/index_open.py --rows=13353718 --json=open.json

Writes rows of random numbers as `realm index` would (13,353,718 x 128 bfloat16 is the
paper's Wikipedia, 3.4 GB), then opens them in a fresh process: manifest, every shard read
and its SHA-256 compared, the exact index over it, one search. The files are in the
system's cache.
"""

import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import app, flags
from machine import processor

_ROWS = flags.DEFINE_integer("rows", 13_353_718, "N.")
_SIZE = flags.DEFINE_integer("size", 128, "D.")
_FOLDER = flags.DEFINE_string("folder", None,
                              "Where to write; else where temporary files go.")
_JSON = flags.DEFINE_string("json", None, "File for the results.")


def _write(root: str) -> float:
  from realm_tf.index import stored_index  # pylint: disable=import-outside-toplevel
  from realm_tf.index.index_writer import IndexWriter, write_lock  # pylint: disable=import-outside-toplevel
  begun = time.monotonic()
  rng = np.random.default_rng(0)
  origin = stored_index.Origin("c" * 64, "e" * 64, 0, "bfloat16")
  with write_lock(root):
    writer = IndexWriter(root, "v", origin, (_ROWS.value, _SIZE.value))
    for first, end in writer.missing():
      writer.write(rng.standard_normal([end - first, _SIZE.value], np.float32))
    writer.commit()
  return time.monotonic() - begun


def _resident() -> int:
  with open("/proc/self/statm", encoding="ascii") as file:
    return int(file.read().split()[1]) * resource.getpagesize()


def _open(root: str, rows: int) -> dict:
  import tensorflow as tf  # pylint: disable=import-outside-toplevel

  from realm_tf.config import RealmConfig  # pylint: disable=import-outside-toplevel
  from realm_tf.index import stored_index  # pylint: disable=import-outside-toplevel
  from realm_tf.index.build import build_index  # pylint: disable=import-outside-toplevel
  tf.zeros([1])
  before, begun = _resident(), time.monotonic()
  table = stored_index.find_version(root, {"c" * 64: rows}).read()
  read = time.monotonic() - begun
  index = build_index(RealmConfig(embedding_dtype="bfloat16"), table, 0)
  opened = time.monotonic() - begun
  size = table.shape[1]
  del table
  index.search(tf.ones([1, size]), 10)
  return {"read_seconds": read, "open_seconds": opened,
          "first_search_seconds": time.monotonic() - begun - opened,
          "table_bytes": 2 * rows * size,
          "peak_bytes_beyond": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
                               - before - 2 * rows * size}


def main(argv) -> None:
  if argv[1:]:  # the fresh process
    print(json.dumps(_open(argv[1], _ROWS.value)))
    return
  with tempfile.TemporaryDirectory(dir=_FOLDER.value) as root:
    written = _write(root)
    child = subprocess.run([sys.executable, __file__, f"--rows={_ROWS.value}", root],
                           stdout=subprocess.PIPE, text=True, check=True)
  result = {"rows": _ROWS.value, "size": _SIZE.value, "written_seconds": written,
            **json.loads(child.stdout.splitlines()[-1]), "processor": processor()}
  print(json.dumps(result))
  if _JSON.value:
    pathlib.Path(_JSON.value).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
  sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
  app.run(main)
