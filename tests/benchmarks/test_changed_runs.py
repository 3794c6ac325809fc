"""What a change of config is worth, read from finished runs."""

import json
import pathlib
import subprocess
import sys

_SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "changed_runs.py"


def _run_folder(folder, rate, right):
  """As `realm evaluate` leaves it, of four questions, of which so many are right."""
  (folder / "evaluation").mkdir(parents=True)
  (folder / "config.json").write_text(json.dumps(
      {"seed": 0, "finetune": {"learning_rate": rate, "steps": 9},
       "encoder": {"weights": f"/models/of-{rate}"}}))
  (folder / "evaluation" / "finetune.predictions.jsonl").write_text("".join(json.dumps({
      "question": f"who is {i}?", "answers": ["Ada"], "ranks": {"answer": i, "substring": i},
      "prediction": "ada" if i < right else "Ben", "rows": [0]}) + "\n" for i in range(4)))
  return str(folder)


def test_runs_beside_their_base(tmp_path):
  base = _run_folder(tmp_path / "base", 1e-4, right=1)
  table = tmp_path / "tables.json"
  table.write_text('{"older": 1}')
  command = [sys.executable, str(_SCRIPT), f"--json={table}", "--table=new", base,
             f"better={_run_folder(tmp_path / 'better', 2e-4, right=3)}", f"same={base}"]
  subprocess.run(command, check=True, capture_output=True)
  written = json.loads(table.read_text())
  assert written["older"] == 1
  rows = written["new"]["rows"]
  assert rows["better"]["changes"] == {
      "finetune.learning_rate": 2e-4, "encoder.weights": "of-0.0002"}
  figures = "base, changed, difference, interval"
  assert rows["better"][figures]["exact_match"][:3] == [25.0, 75.0, 50.0]
  least, most = rows["better"][figures]["exact_match"][3:]
  assert least <= 50 <= most
  assert not rows["same"]["changes"] and rows["same"][figures]["exact_match"][2] == 0
