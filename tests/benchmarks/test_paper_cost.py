"""The arithmetic of what pre-training costs, against docs/distributed.md's."""

import json
import pathlib
import subprocess
import sys

_SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "paper_cost.py"


def test_the_papers_run_on_64_devices(tmp_path):
  rates = {"name": "a device", "train": 100, "encode": 100, "search": 50, "read": 1000}
  (tmp_path / "rates.json").write_text(json.dumps(rates))
  said = subprocess.run([sys.executable, _SCRIPT, f"--rates={tmp_path / 'rates.json'}",
                         "--devices=64"], capture_output=True, text=True, check=True).stdout
  row = next(line for line in said.splitlines() if line.startswith("| the paper's"))
  _, _, petaflop, update, _, hours, refresh, refreshing, index, _, _ = row.split("|")
  assert petaflop.strip() == "1.4" and index.strip() == "3.42 GB"
  tokens, layer = 96 + 7 * 288 + 7 * 384 + 96, 2 * 85e6
  attention = 12 * 4 * 768 * (2 * 96**2 + 7 * 288**2 + 7 * 384**2)
  seconds = 3 * 512 * (tokens * layer + attention) / 64e14
  assert abs(float(update.split()[0]) / seconds - 1) < 0.01
  assert abs(float(hours) / (200_000 * seconds / 3600) - 1) < 0.02
  embedding = 13_353_718 * 288 * (layer + 12 * 4 * 768 * 288) / 1e14
  assert abs(float(refresh) / (embedding / 3600) - 1) < 0.01
  assert abs(float(refreshing) / (embedding / (500 * seconds)) - 1) < 0.02


def _paper_cost(*arguments):
  return subprocess.run([sys.executable, _SCRIPT, *arguments], capture_output=True, text=True)


def test_rates_come_from_what_was_measured_on_a_gpu(tmp_path):
  """A card that computes 2 TFLOP/s in training, 4 in encoding, and reads 100 GB/s."""
  sizes = {"hidden": 10, "layers": 3, "document": 20}
  passage = 3 * 20 * (24 * 100 + 4 * 20 * 10)
  figures = {"step bfloat16 compiled": {"seconds": 0.5, "teraflop": 1.0},
             "encode bfloat16 compiled": {"seconds": 7 * passage / 4e12, "passages": 7},
             "search 13353718 bfloat16": {
                 "64 queries": {"seconds": 128 * 13_353_718 * 128 / 5e12},
                 "1 queries": {"seconds": 13_353_718 * 256 / 100e9},
                 "64 queries by the twin": {"seconds": 100.0}}}
  path = tmp_path / "gpu.json"
  path.write_text(json.dumps({"card": "A card", "sizes": sizes, "figures": figures}))
  said = _paper_cost(f"--rates={path}").stdout
  assert said.startswith("A card x 1, search by 1; TFLOP/s of one: 2.00 in training, 4.00 in "
                         "embedding, 5.00 in search\n")
  # Few queries: the table is read in no less time.
  wiki = next(line for line in said.splitlines() if line.startswith("| wiki26k"))
  assert abs(float(wiki.split("|")[4].split()[0]) / (26_937 * 256 / 100e9) - 1) < 0.01
  for missing, failed in (("step bfloat16 compiled", {"failed": "took more than 120 s"}),
                          ("encode bfloat16 compiled", None)):
    some = {name: figure for name, figure in figures.items() if name != missing}
    path.write_text(json.dumps({"card": "A card", "sizes": sizes, "figures": (
        some | {missing: failed} if failed else some)}))
    refused = _paper_cost(f"--rates={path}")
    assert refused.returncode == 1 and f"no figure '{missing}'" in refused.stderr


def test_the_table_of_docs_is_what_the_script_says():
  docs = (_SCRIPT.parents[1] / "docs" / "launch.md").read_text()
  rows = [[cell.strip() for cell in line.split("|")] for line in docs.splitlines()]
  told = {row[2]: row for row in rows if len(row) > 7 and row[2] in ("1", "8", "64")
          and (row[1] == "" or row[1].startswith("the paper's"))}
  assert len(told) == 3
  for devices, row in told.items():
    said = _paper_cost("--of=H100", f"--devices={devices}").stdout
    line = next(line for line in said.splitlines() if line.startswith("| the paper's"))
    assert [cell.strip() for cell in line.split("|")][3:8] == row[3:8]
