# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""What pre-training costs: hours, devices that refresh, disk; from measured rates.

    python benchmarks/paper_cost.py
    python benchmarks/paper_cost.py --of=H100 --devices=64
    python benchmarks/paper_cost.py --rates=benchmarks/results/gpu.json

A file of rates is a JSON object with the fields of `Rates`, or what benchmarks/gpu.py wrote,
all of it. docs/launch.md has the tables and says where the rates come from. Needs no
TensorFlow.
"""

import argparse
import dataclasses
import json
import pathlib

_GIGA, _TERA, _HOUR = 1e9, 1e12, 3600


@dataclasses.dataclass(frozen=True)
class Rates:
  """What one device sustains, of what is trained on many.

  Attributes:
    name: of it.
    train, encode: TFLOP/s of a training step and of embedding documents.
    search: TFLOP/s of exact search for many queries, on the host or device that searches.
    read: GB/s at which that one reads its table.
  """
  name: str
  train: float
  encode: float
  search: float
  read: float


# Two cores of an Intel Xeon with AMX, bfloat16 (docs/speed.md, docs/top_k.md): a step of 0.72
# TFLOP in 0.92 s; 467 passages/s of 84 pieces by 10.6 M weights in layers; 512 queries over
# 13,353,718 rows of 128 in 0.637 s, and those rows read in 0.094 s.
XEON = Rates("2 Xeon cores with AMX", 0.72 / 0.92, 467 * 84 * 2 * 10.6e6 / _TERA,
             2 * 512 * 13_353_718 * 128 / 0.637 / _TERA, 13_353_718 * 256 / 0.094 / _GIGA)


# One NVIDIA H100, bfloat16 (docs/speed.md): a step of BERT-base of 17.9 TFLOP in 0.0915 s;
# 512 passages of 224 pieces, 20.4 TFLOP, in 0.0610 s; 64 queries over 13,353,718 rows of 128
# in 1.64 ms, and one in 1.28 ms.
H100 = Rates("H100", 17.9 / 0.0915, 20.4 / 0.0610,
             2 * 64 * 13_353_718 * 128 / 1.64e-3 / _TERA,
             13_353_718 * 256 / 1.28e-3 / _GIGA)
KNOWN = {"Xeon": XEON, "H100": H100}


def rates_of(written: dict) -> Rates:
  """What a file of rates holds, or one of benchmarks/gpu.py."""
  if "figures" not in written:
    return Rates(**written)
  sizes, figures = written["sizes"], written["figures"]

  def seconds(*path: str) -> float:
    found = figures
    for name in (*path, "seconds"):
      if name not in found:
        raise SystemExit(f"--rates: it has no figure '{', '.join(path)}': benchmarks/gpu.py "
                         "was not run whole, or failed there")
      found = found[name]
    return found

  layer = 24 * sizes["hidden"] ** 2 + 4 * sizes["document"] * sizes["hidden"]
  search = "search 13353718 bfloat16"
  step, encoding = "step bfloat16 compiled", "encode bfloat16 compiled"
  return Rates(
      written["card"], train=figures.get(step, {}).get("teraflop", 0) / seconds(step),
      encode=(figures.get(encoding, {}).get("passages", 0) * sizes["document"]
              * sizes["layers"] * layer / seconds(encoding) / _TERA),
      search=2 * 64 * 13_353_718 * 128 / seconds(search, "64 queries") / _TERA,
      read=13_353_718 * 256 / seconds(search, "1 queries") / _GIGA)


@dataclasses.dataclass(frozen=True)
class Run:
  """A pre-training. K counts the null document, of which nothing is read."""
  name: str
  steps: int
  batch: int
  blocks: int
  weights: float = 85e6  # in the layers of one BERT
  embeddings: float = 24e6
  layers: int = 12
  hidden: int = 768
  candidates: int = 8
  query: int = 96
  document: int = 288
  refresh_every: int = 500
  projection: int = 128

  @property
  def step_flop(self) -> float:
    others = self.candidates - 1
    pair = self.query + self.document
    return 3 * self.batch * (2 * self._forward(self.query)  # by the tower, and the null pair
                             + others * (self._forward(self.document) + self._forward(pair)))

  def _forward(self, length: int) -> float:
    """Of one sequence: products with weights, and attention."""
    return length * (2 * self.weights + 4 * self.layers * self.hidden * length)

  @property
  def refresh_flop(self) -> float:
    return self.blocks * self._forward(self.document)

  def search_seconds(self, rates: Rates) -> float:
    multiplied = 2 * self.batch * self.blocks * self.projection / (rates.search * _TERA)
    return max(multiplied, self.index_bytes / (rates.read * _GIGA))

  @property
  def index_bytes(self) -> float:
    return 2 * self.blocks * self.projection  # bfloat16

  @property
  def checkpoint_bytes(self) -> float:
    """Three BERTs with two moments, in float32, and the index."""
    return 3 * 3 * 4 * (self.weights + self.embeddings) + self.index_bytes


RUNS = (
    Run("the paper's", 200_000, 512, 13_353_718),
    Run("a tenth of its steps, a quarter of its batch", 20_000, 128, 13_353_718),
    Run("a million blocks, BERT-base", 20_000, 64, 1_000_000),
    Run("a million blocks, MiniLM-L6", 20_000, 64, 1_000_000, 10.6e6, 12e6, 6, 384),
    Run("wiki26k, MiniLM-L6", 5_000, 32, 26_937, 10.6e6, 12e6, 6, 384, query=64,
        document=128))


def costs(run: Run, rates: Rates, devices: int, searchers: int) -> dict[str, float]:
  """Hours and so on, where steps and search take turns, and the refresh is elsewhere.

  Args:
    run: what is trained.
    rates: of a device.
    devices: that train.
    searchers: that share the rows; they are other ones where search is on hosts.
  """
  update = run.step_flop / (rates.train * _TERA * devices)
  search = run.search_seconds(rates) / searchers
  refresh = run.refresh_flop / (rates.encode * _TERA)
  return {"update_seconds": update, "search_seconds": search,
          "hours": run.steps * (update + search) / _HOUR,
          "refresh_device_hours": refresh / _HOUR,
          "refresh_devices": refresh / (run.refresh_every * (update + search)),
          "index_gb": run.index_bytes / _GIGA,
          # Two checkpoints, the best, and one that is being written; two versions and one.
          "disk_gb": (4 * run.checkpoint_bytes + 3 * run.index_bytes) / _GIGA}


def table(rates: Rates, devices: int, searchers: int) -> str:
  lines = [
      f"{rates.name} x {devices}, search by {searchers}; TFLOP/s of one: {rates.train:.2f} "
      f"in training, {rates.encode:.2f} in embedding, {rates.search:.2f} in search", "",
      "| run | PFLOP a step | update | search | hours | a refresh, device hours | "
      "devices that refresh | index | disk |", "|---|---|---|---|---|---|---|---|---|"]
  for run in RUNS:
    cost = costs(run, rates, devices, searchers)
    lines.append(
        f"| {run.name}: {run.steps:,} x {run.batch}, {run.blocks:,} blocks "
        f"| {run.step_flop / 1e15:.2g} | {cost['update_seconds']:,.3g} s "
        f"| {cost['search_seconds']:,.3g} s | {cost['hours']:,.3g} "
        f"| {cost['refresh_device_hours']:,.3g} | {cost['refresh_devices']:,.3g} "
        f"| {cost['index_gb']:,.3g} GB | {cost['disk_gb']:,.3g} GB |")
  return "\n".join(lines)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--of", choices=KNOWN, default="Xeon", help="whose rates")
  parser.add_argument("--rates", type=pathlib.Path, help="a JSON file, instead")
  parser.add_argument("--devices", type=int, default=1, help="that train")
  parser.add_argument("--searchers", type=int, help="by default as many")
  arguments = parser.parse_args()
  rates = (rates_of(json.loads(arguments.rates.read_text())) if arguments.rates
           else KNOWN[arguments.of])
  print(table(rates, arguments.devices, arguments.searchers or arguments.devices))


if __name__ == "__main__":
  main()
