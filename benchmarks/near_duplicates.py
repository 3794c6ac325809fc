"""Near duplicates beside datasketch's and rensa's, of the same shingles and as many hashes.

    python benchmarks/near_duplicates.py --documents=FILE \\
        --output=benchmarks/results/near_duplicates.json

Needs both (`pip install datasketch rensa`), which the package does not. A twentieth of the
blocks is there again with a few pieces changed. All pairs that any of them brings up are
compared in full: `found` is how many a library brings up of those that are alike,
`candidates` how many pairs it brings up. Each runs in a process of its own. Ours compares
candidates in full within its time, and works on the disk; the others do neither.
"""

import argparse
import itertools
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
from machine import processor, report

import realm_tf  # chooses Keras 2, before TensorFlow is imported
from realm_tf.corpus import duplicates
from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.readers import read_documents
from realm_tf.text.tokenizer import Tokenizer

_LIBRARIES = ("ours", "datasketch", "rensa")
_SIMILARITY, _BANDS, _ROWS = 0.5, 32, 3  # ours
_MOST = 100


class _Corpus:
  """What is looked at of a corpus."""
  knowledge = None

  def __init__(self, ids: Ragged):
    self.body_ids, self.num_blocks = ids, len(ids)


def _rows(documents: str, vocabulary: str, count: int) -> Ragged:
  blocks = itertools.islice(split_blocks(
      read_documents(documents), Tokenizer.from_file(vocabulary), 288), count)
  rows, rng = [block.body_ids for block in blocks], np.random.default_rng(0)
  for row in rng.choice(len(rows), len(rows) // 20, replace=False):
    copy = rows[row].copy()
    copy[rng.integers(len(copy), size=rng.integers(1, 9))] = 1
    rows.append(copy)
  return Ragged.from_rows(rows)


def _shingles(row: np.ndarray) -> set[bytes]:
  width = 5
  return {row[i:i + width].tobytes() for i in range(max(1, len(row) - width + 1))}


def _ours(rows: Ragged) -> set[tuple[int, int]]:
  table = duplicates.banned_rows(_Corpus(rows), _SIMILARITY, _MOST)
  return {(min(i, j), max(i, j)) for i, near in enumerate(table.tolist())
          for j in near[1:] if j >= 0}


def _datasketch(rows: Ragged) -> set[tuple[int, int]]:
  from datasketch import MinHash, MinHashLSH
  lsh = MinHashLSH(params=(_BANDS, _ROWS), num_perm=_BANDS * _ROWS)
  pairs = set()
  sets = (_shingles(rows.row(i)) for i in range(len(rows)))
  for i, minhash in enumerate(MinHash.generator(sets, num_perm=_BANDS * _ROWS)):
    pairs |= {(j, i) for j in lsh.query(minhash)}
    lsh.insert(i, minhash)
  return pairs


def _rensa(rows: Ragged) -> set[tuple[int, int]]:
  from rensa import RMinHash, RMinHashLSH
  lsh = RMinHashLSH(_SIMILARITY, _BANDS * _ROWS, _BANDS)
  pairs = set()
  for i in range(len(rows)):
    minhash = RMinHash(_BANDS * _ROWS, 42)
    minhash.update([shingle.hex() for shingle in _shingles(rows.row(i))])
    pairs |= {(j, i) for j in lsh.query(minhash)}
    lsh.insert(i, minhash)
  return pairs


def _measured(library: str, rows: Ragged) -> dict:
  begun, cpu = time.monotonic(), time.process_time()
  pairs = {"ours": _ours, "datasketch": _datasketch, "rensa": _rensa}[library](rows)
  return {"seconds": round(time.monotonic() - begun, 2),
          "cpu": round(time.process_time() - cpu, 2),
          "pairs": sorted((int(i), int(j)) for i, j in pairs)}


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--documents", required=True)
  parser.add_argument("--count", type=int, default=20_000, help="of blocks, before copies")
  parser.add_argument("--vocabulary", default="data/weights/minilm/vocab.txt")
  parser.add_argument("--output")
  parser.add_argument("--library", choices=_LIBRARIES, help="measure this alone")
  flags = parser.parse_args()
  rows = _rows(flags.documents, flags.vocabulary, flags.count)
  if flags.library:
    print("RESULT " + json.dumps(_measured(flags.library, rows)))
    return
  results, pairs_of = {}, {}
  for library in _LIBRARIES:
    completed = subprocess.run(
        [sys.executable, *sys.argv, f"--library={library}"], stdout=subprocess.PIPE,
        text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(
            [str(pathlib.Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])},
        check=True)
    results[library] = json.loads(completed.stdout.partition("RESULT ")[2])
    pairs_of[library] = set(map(tuple, results[library].pop("pairs")))
  sets: dict[int, set[bytes]] = {}
  alike = set()
  for pair in set().union(*pairs_of.values()):
    a, b = (sets.setdefault(row, _shingles(rows.row(row))) for row in pair)
    if len(a & b) >= _SIMILARITY * len(a | b):
      alike.add(pair)
  for library, pairs in pairs_of.items():
    results[library] |= {"candidates": len(pairs), "found": len(pairs & alike)}
  summary = {"blocks": len(rows), "alike": len(alike), "machine": processor(),
             "realm_tf": realm_tf.__version__, **results}
  report(summary, flags.output)


if __name__ == "__main__":
  main()
