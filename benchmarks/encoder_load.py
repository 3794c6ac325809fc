"""What is measured of every encoder: ours and others' run this same code.

Knows nothing of realm_tf, and is imported where that is not installed.
"""

import json
import threading
import time
from typing import Any, Callable

import numpy as np

# Ids, mask and segments, [B, T] int64 each -> vectors [B, H].
Embed = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

_BATCH = 32  # passages, which are sorted by length
_READ = 5  # rows that are read for an answer


def rows_of(file: str) -> list[tuple[np.ndarray, int]]:
  """Ids of each row, and where its second segment begins."""
  data = np.load(file)
  ends = np.cumsum(data["lengths"])
  return [(data["values"][end - length:end], int(first)) for end, length, first in zip(
      ends, data["lengths"], data["first_lengths"], strict=True)]


def padded(rows: list[tuple[np.ndarray, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Ids, mask and segments, as long as the longest of the rows."""
  shape = len(rows), max(len(ids) for ids, _ in rows)
  ids, mask, segments = (np.zeros(shape, np.int64) for _ in range(3))
  for place, (row, first) in enumerate(rows):
    ids[place, :len(row)], mask[place, :len(row)] = row, 1
    segments[place, first:len(row)] = 1
  return ids, mask, segments


def measure(embed: Embed, folder: str, name: str, clients: list[int], seconds: float
            ) -> None:
  """Prints all measurements as JSON, and saves the passages' vectors."""
  questions = [padded([row]) for row in rows_of(f"{folder}/questions.npz")]
  passages = rows_of(f"{folder}/passages.npz")
  vectors, rate = _embed_all(embed, passages)
  np.save(f"{folder}/{name}.npy", vectors)
  read = [padded(passages[i:i + _READ]) for i in range(0, len(passages) - _READ, _READ)]
  print(json.dumps({
      "passages_per_second": rate, "question": ask(embed, questions, clients, seconds),
      "five_passages": ask(embed, read, [1], seconds)}))


def _embed_all(embed: Embed, rows: list[tuple[np.ndarray, int]]) -> tuple[np.ndarray, float]:
  order = sorted(range(len(rows)), key=lambda i: -len(rows[i][0]))
  batches = [order[i:i + _BATCH] for i in range(0, len(order), _BATCH)]
  embed(*padded([rows[i] for i in batches[0]]))  # warms up
  vectors: list[Any] = [None] * len(rows)
  begun = time.perf_counter()
  for batch in batches:
    for i, vector in zip(batch, embed(*padded([rows[i] for i in batch])), strict=True):
      vectors[i] = vector
  return np.stack(vectors), len(rows) / (time.perf_counter() - begun)


def ask(call: Callable[..., Any], inputs: list[tuple], clients: list[int], seconds: float
        ) -> dict[str, dict[str, float]]:
  """Latencies in milliseconds and requests per second, by the number of clients."""
  results = {}
  for count in clients:
    for arguments in inputs[:5]:
      call(*arguments)
    latencies: list[list[float]] = [[] for _ in range(count)]
    begun = time.perf_counter()

    def ask_on(which: int, own: list[float], end: float) -> None:
      while time.perf_counter() < end or not own:
        start = time.perf_counter()
        call(*inputs[(which + len(own)) % len(inputs)])
        own.append(time.perf_counter() - start)

    threads = [threading.Thread(target=ask_on, args=[i, own, begun + seconds])
               for i, own in enumerate(latencies)]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    elapsed = time.perf_counter() - begun
    values = np.concatenate(latencies) * 1e3
    results[str(count)] = {"p50": float(np.percentile(values, 50)),
                           "p95": float(np.percentile(values, 95)),
                           "p99": float(np.percentile(values, 99)),
                           "least": float(values.min()), "requests": len(values),
                           "per_second": len(values) / elapsed}
  return results
