"""What threads bring where a multistream dump of bzip2 is read, and what bounds it.

    python benchmarks/unpacking.py --output=benchmarks/results/unpacking.json

The dump is made of the leads that the demo has, a hundred pages a stream as Wikimedia packs
them. Each way is timed `--times` times in turn with the others; medians are of wall clock.
"""

import argparse
import bz2
import io
import json
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable
from xml.sax.saxutils import escape

from machine import processor

from realm_tf import assets
from realm_tf.bzip2 import Unpacked
from realm_tf.corpus.readers import read_documents
from realm_tf.corpus.readers.dump import read_pages
from realm_tf.lines import read_lines

_PAGES = 100  # of a stream


def _write_dump(path: pathlib.Path, copies: int) -> tuple[int, int]:
  """Writes the dump; how many pages and bytes it holds."""
  leads = list(read_documents(_leads()))
  size = number = 0
  with open(path, "wb") as file:
    def put(text: str) -> None:
      nonlocal size
      size += len(text.encode())
      file.write(bz2.compress(text.encode()))

    put("<mediawiki>\n")
    for _ in range(copies):
      for first in range(0, len(leads), _PAGES):
        pages = []
        for lead in leads[first:first + _PAGES]:
          number += 1
          pages.append(
              f"<page><title>{escape(lead.title)} {number}</title><ns>0</ns><id>{number}</id>"
              f"<revision><text>{escape(lead.text)}</text></revision></page>\n")
        put("".join(pages))
    put("</mediawiki>\n")
  return number, size


def _leads() -> pathlib.Path:
  return assets.fetch(["wiki-leads"], "data")["wiki-leads"] / "summaries.json"


def _unpack(path: pathlib.Path, workers: int) -> None:
  with open(path, "rb") as file, io.BufferedReader(Unpacked(file, workers), 1 << 16) as whole:
    while whole.read(1 << 20):
      pass


def _ways(path: pathlib.Path, cores: int) -> dict[str, Callable[[], object]]:
  return {
      "unpacked by one thread": lambda: _unpack(path, 1),
      "unpacked by all cores": lambda: _unpack(path, cores),
      "lines": lambda: sum(1 for _ in read_lines(path, "a dump")),
      "pages": lambda: sum(1 for _ in read_pages(read_lines(path, "a dump"), path)),
      "documents": lambda: sum(1 for _ in read_documents(path, format="mediawiki"))}


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--copies", type=int, default=4, help="of the leads")
  parser.add_argument("--times", type=int, default=3)
  parser.add_argument("--output", help="JSON file of results")
  flags = parser.parse_args()
  with tempfile.TemporaryDirectory() as folder:
    path, seconds = pathlib.Path(folder) / "dump.xml.bz2", {}
    pages, size = _write_dump(path, flags.copies)
    for _ in range(flags.times):
      for name, way in _ways(path, cores := len(os.sched_getaffinity(0))).items():
        begun = time.monotonic()
        way()
        seconds.setdefault(name, []).append(time.monotonic() - begun)
    result = {"machine": processor(), "cores": cores, "load": os.getloadavg()[0],
              "pages": pages, "bytes": size, "packed": path.stat().st_size, "ways": {
                  name: {"seconds": [round(value, 3) for value in values],
                         "mb_per_second": round(size / statistics.median(values) / 1e6, 1),
                         "pages_per_second": round(pages / statistics.median(values))}
                  for name, values in seconds.items()}}
  print(json.dumps(result, indent=1))
  if flags.output:
    pathlib.Path(flags.output).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
  main()
