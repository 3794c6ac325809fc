"""docs/tutorial.md as a user goes through it: an installed wheel, an empty directory."""

import importlib.metadata
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys

import pytest

from tests.cached_encoder import put_encoder

_ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(name="site", scope="session")
def _site(tmp_path_factory):
  """A folder in which the wheel of this checkout is installed, and nothing else."""
  folder = tmp_path_factory.mktemp("installed")
  pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
  subprocess.run([*pip, "wheel", str(_ROOT), "--no-deps", "--no-build-isolation",
                  "--wheel-dir", str(folder / "wheel")], check=True, cwd=folder)
  (wheel,) = (folder / "wheel").iterdir()
  subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)],
                 check=True, cwd=folder)
  return folder / "site"


def _free_port():
  with socket.create_server(("127.0.0.1", 0)) as listener:
    return listener.getsockname()[1]


@pytest.mark.slow
def test_what_the_wheel_brings(site, tmp_path):
  """Ops and configs; extras, pinned; and `realm` finds them away from the source tree."""
  assert (site / "realm_tf" / "_realm_ops.so").exists() and not (site / "tests").exists()
  (metadata,) = (path for path in importlib.metadata.distributions(path=[str(site)])
                 if path.name == "realm_tf")
  assert {"serve", "mcp", "beam", "documents", "spacy", "cuda"} <= set(
      metadata.metadata.get_all("Provides-Extra"))
  unpinned = [requirement for requirement in metadata.requires if "==" not in
              requirement.partition(";")[0]]
  assert all(re.search('extra == "(spacy|beam|torch)"', name) for name in unpinned), unpinned
  found = subprocess.run(
      [sys.executable, str(site / "bin" / "realm"), "config", "--config=demo", "--json"],
      cwd=tmp_path, capture_output=True, text=True, check=False,
      env={**os.environ, "PYTHONPATH": str(site)})
  assert found.returncode == 0 and '"finetune.steps"' in found.stdout, found.stderr
  assert not list(tmp_path.iterdir())


@pytest.mark.stress
def test_the_tutorial(site, tmp_path):
  """Its commands work, one after the other, and say what the text says of them."""
  put_encoder(tmp_path / "cache")
  (tmp_path / "here").mkdir()
  played = subprocess.run(
      [sys.executable, shutil.copy(_ROOT / "tests" / "tutorial_player.py", tmp_path),
       str(_ROOT / "docs" / "tutorial.md"), str(_free_port())],
      cwd=tmp_path / "here", capture_output=True, text=True, check=False,
      env={**os.environ, "PYTHONPATH": str(site), "XDG_CACHE_HOME": str(tmp_path / "cache"),
           "PATH": f"{site / 'bin'}:{os.environ['PATH']}"})
  assert played.returncode == 0, played.stdout[-3000:] + played.stderr[-3000:]
  outputs = dict(_by_command(played.stdout))
  assert outputs["realm list --workdir=runs/first"].startswith("documents   25 in 25 blocks")
  assert "9 held-out questions" in outputs["realm run --workdir=runs/asked"]
  assert "1 document added" in outputs["realm add --workdir=runs/asked --documents=news"]
  assert "no reader is trained yet" in played.stderr
  runs = tmp_path / "here" / "runs"
  assert {"finetune.1", "export.1", "evaluation.1", "export"} <= set(
      os.listdir(runs / "asked"))
  assert (runs / "asked" / "evaluation.1" / "report.html").exists()
  record = next((runs / "asked" / "commands").iterdir())
  assert json.loads(record.read_text())["source"]["git"] is None  # not this checkout


def _by_command(printed):
  """What each command printed; of one that is there twice, the first time."""
  pieces = printed.split("\n$ ")
  return [piece.removeprefix("$ ").split("\n", 1) for piece in reversed(pieces)
          if "\n" in piece]
