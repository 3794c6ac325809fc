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
