# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""What measures a GPU runs, on a CPU and at tiny sizes, and ends when its time is over."""

import json
import os
import pathlib
import subprocess
import sys

_FOLDER = pathlib.Path(__file__).parents[2] / "benchmarks"
_SIZES = {"vocabulary": 1500, "hidden": 16, "layers": 1, "heads": 2, "batch": 2,
          "candidates": 2, "query": 6, "document": 8, "masks": 2}


def _python(script, *arguments, **environment):
  return subprocess.run(
      [sys.executable, "-c", script, *arguments], capture_output=True, text=True,
      env={**os.environ, "PYTHONPATH": f"{_FOLDER.parent}:{_FOLDER}", **environment})


def test_each_measurement_runs():
  done = _python(f"""
import json, gpu
gpu.SIZES, gpu._REPEATS, gpu._COMPARED = {_SIZES}, 3, 4
gpu._timed.__defaults__ = (3,)
print(json.dumps([gpu._MEASURES[what]("float32", "plain")
                  for what in ("step", "encode", "refresh")]))""")
  assert not done.returncode, done.stderr
  step, encoding, refresh = json.loads(done.stdout)
  assert step["seconds"] > 0 and step["teraflop"] > 0 and step["repeats"] == 3
  assert encoding["passages"] == 512 and encoding["least_cosine"] > 0.999
  assert refresh["alone"]["seconds"] > 0 and refresh["beside"]["seconds"] > 0
  assert refresh["passages_a_second"] > 0 and "failed" not in refresh


def test_what_does_not_fit_into_the_time_is_told(tmp_path):
  """Of a measurement that takes an hour, one that fails, and two that come too late.

  By a clock of their own, so that the good one is in time on any machine.
  """
  (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho A card\n")
  (tmp_path / "nvidia-smi").chmod(0o755)
  out = tmp_path / "gpu.json"
  done = _python("""
import sys, types, gpu
gpu._LEAST_SECONDS = 1
times = iter([0, 0, 0, 598.5, 599.5, 600])  # in the beginning, and before each
gpu.time = types.SimpleNamespace(monotonic=lambda: next(times))
run = lambda script: [sys.executable, "-c", script]
gpu._commands = lambda: {
    "good": run("print('{\\"seconds\\": 1}')"), "bad": run("raise SystemExit('broken')"),
    "long": run("import time; time.sleep(3600)"), "late": run("print('{}')"),
    "later": run("print('{}')")}
gpu.app.run(gpu.main)""", f"--json={out}", "--seconds=600", "--limit=600",
                 PATH=f"{tmp_path}:{os.environ['PATH']}")
  assert not done.returncode, done.stderr
  result = json.loads(out.read_text())
  assert result["card"] == "A card" and result["figures"]["good"] == {"seconds": 1}
  failed = {name: figure["failed"] for name, figure in result["figures"].items()
            if name != "good"}
  assert failed["bad"].strip() == "broken" and failed["long"] == "took more than 2 s"
  assert failed["late"] == failed["later"] == "not measured: 600 s are over"
  assert "later" in done.stdout
