"""The ablations: rows that are configs, results that are added to, intervals, a tiny run."""

import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from realm_tf import config as config_lib
from realm_tf.evaluation import metrics

_ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(_ROOT / "benchmarks"))

import ablation_results  # noqa: E402
import ablation_rows  # noqa: E402


def _entry(row="realm", seed=0, labels=0, **changes):
  return {"row": row, "seed": seed, "labels": labels, "recall@5": 0.5, "recall@20": 1.0,
          "exact_match": None, "sentences": 3840, "hours": 0.5, "machine": "2 x A",
          "commit": "abc", "config": f"benchmarks/ablation_rows.py:{row},short", **changes}


@pytest.mark.parametrize("size", ablation_rows.SIZES)
def test_each_row_is_a_config_that_can_be_read(size):
  path = _ROOT / "benchmarks" / "ablation_rows.py"
  base = config_lib.flatten(config_lib.to_dict(ablation_rows.base(size)))
  for row, of_row in ablation_rows.ROWS.items():
    config = config_lib.read(f"{path}:{row},{size}")
    values = config_lib.flatten(config_lib.to_dict(config))
    changed = {field for field, value in values.items() if value != base[field]}
    paths = {field for field in changed if config_lib.SETTINGS[field].leads_to(values[field])}
    assert changed - paths == set(of_row.changes), row
  assert all(ablation_rows.SIZES[size].pretrain * ablation_rows.SIZES[size].batch >= 500_000
             for size in ("full", "gpu"))


def test_rows_change_what_they_say():
  short = ablation_rows.base("short")

  def of(row):
    return ablation_rows.config_of(row, short, 7)

  assert of("stale").refresh.every == 30 * short.refresh.every
  assert of("frozen").pretrain.freeze_retriever_steps == 333
  assert of("reading").reading.steps == 7 and of("windows").pretrain.candidates == 32
  assert of("ict").pretrain.steps == 0 and of("realm") == short


def test_results_are_added_to_and_the_log_keeps_each_measurement(tmp_path):
  path = tmp_path / "results" / "ablations.json"
  results = ablation_results.Results(path)
  results.add(_entry(), {"recall@5": "10"})
  results.add(_entry(), {"recall@5": "10"})  # nothing new: no second line
  results.add(_entry(commit="def"), {"recall@5": "01"})
  assert json.loads(path.read_text()) == {"rows": [_entry(commit="def")]}
  other = ablation_results.Results(tmp_path / "other.json")
  other.add(_entry(machine="64 x B", **{"recall@5": 0.25}), {"recall@5": "1000"})
  assert results.append(tmp_path / "other.json") == 1
  again = ablation_results.Results(path)
  assert [entry["machine"] for entry in again.entries.values()] == ["2 x A", "64 x B"]
  assert list(again.hits.values()) == [{"recall@5": "01"}, {"recall@5": "1000"}]
  lines = path.with_suffix(".log.md").read_text().splitlines()
  measured = [line for line in lines if re.match(r"\| 20\d\d-", line)]
  assert [line.split(" | ")[1:3] for line in measured] == [
      ["abc", "2 x A"], ["def", "2 x A"], ["abc", "64 x B"]]
  assert measured[2].endswith("| 25.0 | 100.0 |  |")


def test_what_another_process_adds_meanwhile_stays(tmp_path):
  path = tmp_path / "ablations.json"
  first, second = ablation_results.Results(path), ablation_results.Results(path)
  first.add(_entry("ict"), {"recall@5": "10"})
  second.add(_entry("realm"), {"recall@5": "11"})
  first.add(_entry("stale"), {"recall@5": "01"})
  assert [entry["row"] for entry in ablation_results.Results(path).entries.values()] == [
      "ict", "realm", "stale"]
  assert first.entries.keys() == first.hits.keys() and len(first.entries) == 3


def test_what_is_no_results_file_is_refused(tmp_path):
  path = tmp_path / "ablations.json"
  for text in ("[]", '{"rows": [{"row": "ict"}]}', '{"rows": 3}', "no JSON"):
    path.write_text(text)
    with pytest.raises(ablation_results.UserError, match="ablations.json: expected"):
      ablation_results.Results(path)


def test_a_row_is_compared_with_the_baseline_of_its_seed_and_machine(tmp_path):
  results = ablation_results.Results(tmp_path / "ablations.json")
  for row, seed, machine, hits in (
      ("ict", 0, "a", "1000"), ("realm", 0, "a", "1100"), ("ict", 1, "a", "0000"),
      ("realm", 1, "a", "1110"), ("realm", 2, "a", "1111"), ("ict", 3, "b", "0000"),
      ("realm", 3, "a", "1111")):
    results.add(_entry(row, seed, machine=machine), {"recall@5": hits})
  results.add(_entry("realm", labels=128, config="benchmarks/ablation_rows.py:realm,full"),
              {"recall@5": "1"})
  change = ablation_results.changes(results, "short")["0"]["realm"]["recall@5"]
  assert change.mean == pytest.approx((0.5 + 0.75 + 1 + 1) / 4)
  assert change.gain == pytest.approx((0.25 + 0.75) / 2) and change.seeds == 4
  assert change.low <= change.gain <= change.high
  table = ablation_results.as_table(ablation_results.changes(results, "short"))
  assert "| 0 | ict | 3 | 8.3 |" in table and "| 0 | realm | 4 | 81.2 (+50.0, " in table
  assert "128" not in table


def test_intervals_over_one_seed_are_those_over_questions_and_more_seeds_are_drawn_too():
  rng = np.random.default_rng(0)
  single = rng.normal(size=[1, 50])
  assert ablation_results.interval(single, 3) == metrics.interval(single[0], 3, 10_000)
  same = np.repeat(single, 4, 0)  # equal seeds tell nothing new
  np.testing.assert_allclose(ablation_results.interval(same, 3),
                             metrics.interval(single[0], 4, 10_000), atol=0.02)
  # Seeds that differ by 2 while questions agree: of two drawn from two, none, one or both.
  apart = np.stack([np.zeros(500), np.full(500, 2.0)])
  assert ablation_results.interval(apart, 3) == (0.0, 2.0)


def _ablations(*flags, python_path=()):
  folders = os.pathsep.join(map(str, [*python_path, _ROOT]))
  return subprocess.run(
      [sys.executable, "benchmarks/ablations.py", "--size=smoke", *flags], cwd=_ROOT,
      env={**os.environ, "PYTHONPATH": folders}, capture_output=True, text=True,
      check=False, timeout=1200)


def test_where_no_picture_can_be_drawn_all_else_is_written(tmp_path):
  measured = ablation_results.Results(tmp_path / "measured.json")
  for row, hits in (("ict", "10"), ("realm", "11")):
    measured.add(_entry(row), {"recall@5": hits})
  (tmp_path / "broken").mkdir()
  (tmp_path / "broken" / "fontTools.py").write_text("")  # matplotlib needs a package
  path = tmp_path / "ablations.json"
  ran = _ablations(f"--append={tmp_path / 'measured.json'}", f"--results={path}",
                   python_path=[tmp_path / "broken"])
  assert ran.returncode == 0, ran.stderr[-3000:]
  assert "ablations.short.png: not drawn: ModuleNotFoundError: No module named" in ran.stderr
  assert ablation_results.Results(path).entries == measured.entries
  table = ablation_results.as_table(ablation_results.changes(measured, "short"))
  assert table in ran.stdout and table in path.with_suffix(".md").read_text()
  assert len(path.with_suffix(".log.md").read_text().splitlines()) == 8
  assert not list(tmp_path.glob("*.png"))


def test_the_baseline_alone_is_no_picture(tmp_path):
  results = ablation_results.Results(tmp_path / "ablations.json")
  results.add(_entry("ict"), {"recall@5": "10"})
  picture = tmp_path / "ict.png"
  ablation_results.draw(ablation_results.changes(results, "short"), picture, "")
  assert not picture.exists()
  results.add(_entry("realm"), {"recall@5": "11"})
  ablation_results.draw(ablation_results.changes(results, "short"), picture, "")
  assert picture.read_bytes()[:4] == b"\x89PNG"


def test_the_recorded_results_are_read_back_and_their_table_follows_from_them():
  path = _ROOT / "benchmarks" / "results" / "ablations.json"
  results = ablation_results.Results(path)
  assert results.entries.keys() == results.hits.keys() and results.entries
  for name, entry in results.entries.items():
    row, _, size = entry["config"].partition(":")[2].partition(",")
    assert row == entry["row"] in ablation_rows.ROWS and size in ablation_rows.SIZES
    for figure in ablation_results.FIGURES:
      shown = results.hits[name].get(figure)
      assert entry[figure] == (pytest.approx(shown.count("1") / len(shown)) if shown
                               else None)
    table = ablation_results.as_table(ablation_results.changes(results, size))
    assert table in path.with_suffix(".md").read_text(encoding="utf-8")
    assert f"| {entry['commit']} | {entry['machine']} | {entry['config']} |" in (
        path.with_suffix(".log.md").read_text(encoding="utf-8"))


def test_a_mistyped_row_is_refused_at_once(tmp_path):
  refused = _ablations("--rows=ict,relm", f"--workdir={tmp_path}")
  assert refused.returncode == 1
  assert "--rows: 'relm': expected one of ict, realm" in refused.stderr
  assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_rows_run_and_share_what_they_can(tmp_path):
  """As `make ablations-smoke`, then a row once more: nothing is made again."""
  names = ["ict", "realm", "together", "realm_encoder"]
  ran = _ablations(f"--rows={','.join(names)}", "--labels=0,6", f"--workdir={tmp_path}")
  assert ran.returncode == 0, ran.stderr[-3000:]
  rows = json.loads((tmp_path / "ablations.json").read_text())["rows"]
  assert [(row["row"], row["labels"]) for row in rows] == [
      (row, labels) for row in names for labels in (0, 6)]
  assert [row["sentences"] for row in rows] == [
      24 * (row != "ict") for row in names for _ in range(2)]
  for row in rows:
    assert (row["exact_match"] is None) == (row["labels"] == 0)
    assert 0 <= row["recall@5"] <= row["recall@20"] <= 1 and row["hours"] > 0
  made = sorted(path.name.split("-")[0] for path in tmp_path.iterdir() if path.is_dir())
  assert made == sorted(["bert", "corpus", "ict", "questions", "mixed", *["pretrain"] * 2,
                         *["finetune"] * 4])
  assert "| 6 | realm | 1 |" in (tmp_path / "ablations.md").read_text()
  assert (tmp_path / "ablations.smoke.png").read_bytes()[:4] == b"\x89PNG"
  marks = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*/done.json")}
  again = _ablations("--rows=realm", "--labels=6", f"--workdir={tmp_path}")
  assert again.returncode == 0, again.stderr[-3000:]
  assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*/done.json")} == marks
  assert json.loads((tmp_path / "ablations.json").read_text())["rows"] == rows
