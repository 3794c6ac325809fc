"""How many blocks a second `realm corpus` makes, once its processes have started.

    python benchmarks/cutting.py --documents=FILE,FILE --packages=OLD,. --repeats=3 \
        --output=benchmarks/results/cutting.json

`packages` are folders with a `realm_tf` each, which are measured in turn, `repeats` times:
what other work does to a machine it then does to all of them. Of each run:
- `blocks_per_second`, by the clock, and how many `cores` there were for it: on a machine that
  others use it is less than all;
- `cutting_us` and `reading_us`, the processor time of a block, in the processes that cut and
  in the one that reads, hashes and writes. What so many cores can make at most follows.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from machine import processor, report

_EDGE = 2  # batches at the start and at the end in which not all are at work


class _Mark(NamedTuple):
  """Where it is after a batch: blocks so far, and seconds."""
  blocks: int
  clock: float
  reading: float
  cutting: float


def _cutting() -> float:
  """Processor time of the processes that this one has started."""
  ticks = 0
  for task in pathlib.Path("/proc/self/task").iterdir():
    for child in (task / "children").read_text().split():
      fields = pathlib.Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
      ticks += int(fields[11]) + int(fields[12])
  return ticks / os.sysconf("SC_CLK_TCK")


def _measure(documents: str, vocabulary: str, processes: int) -> dict:
  """One measurement, in this process."""
  from realm_tf.corpus.cutting import cut_in_order
  from realm_tf.corpus.making import make_store
  from realm_tf.corpus.manifest import read_store_manifest
  from realm_tf.corpus.readers import read_documents
  from realm_tf.text.tokenizer import Tokenizer
  marks = [_Mark(0, 0.0, 0.0, 0.0)]

  def cut(batches, cutter):
    for batch, records in cut_in_order(batches, cutter, processes):
      yield batch, records
      marks.append(_Mark(marks[-1].blocks + len(records.sizes), time.monotonic(),
                         time.process_time(), _cutting()))

  with tempfile.TemporaryDirectory() as folder:
    store = pathlib.Path(folder) / "corpus"
    make_store(store, read_documents(documents), tokenizer=Tokenizer.from_file(vocabulary),
               max_tokens=288, source="", cut=cut)
    corpus_hash = read_store_manifest(store)["corpus_hash"]
  spent = _Mark(*(after - before for before, after in zip(marks[_EDGE], marks[-_EDGE])))
  return {"blocks": marks[-1].blocks, "blocks_per_second": round(spent.blocks / spent.clock),
          "cores": round((spent.reading + spent.cutting) / spent.clock, 2),
          "cutting_us": round(1e6 * spent.cutting / spent.blocks),
          "reading_us": round(1e6 * spent.reading / spent.blocks), "hash": corpus_hash}


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--documents", required=True, help="files, of 50,000 or more each")
  parser.add_argument("--vocabulary", default="data/weights/minilm/vocab.txt")
  parser.add_argument("--packages", default=".", help="folders")
  parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
  parser.add_argument("--repeats", type=int, default=3)
  parser.add_argument("--output", help="JSON file of results")
  parser.add_argument("--here", action="store_true", help="measure once, in this process")
  flags = parser.parse_args()
  if flags.here:
    measured = _measure(flags.documents, flags.vocabulary, flags.processes)
    print("RESULT " + json.dumps(measured))
    return
  runs = []
  for documents in flags.documents.split(",") * flags.repeats:
    for package in flags.packages.split(","):
      completed = subprocess.run(
          [sys.executable, os.path.abspath(__file__), "--here",
           f"--documents={os.path.abspath(documents)}", f"--processes={flags.processes}",
           f"--vocabulary={os.path.abspath(flags.vocabulary)}"], check=True, cwd=package,
          env={**os.environ, "PYTHONPATH": os.path.abspath(package)},
          stdout=subprocess.PIPE, text=True)
      runs.append({"documents": documents, "package": package, "load": os.getloadavg()[0],
                   **json.loads(completed.stdout.partition("RESULT ")[2])})
      print(runs[-1], file=sys.stderr, flush=True)
  report({"machine": processor(), "processes": flags.processes, "runs": runs}, flags.output)


if __name__ == "__main__":
  main()
