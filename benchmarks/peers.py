"""Runs ours and Hugging Face's side by side: processes of their own, taking turns."""

import json
import pathlib
import statistics
import subprocess
import sys
from typing import Any

_HERE = pathlib.Path(__file__).parent
_REQUIREMENTS = _HERE / "hugging_face" / "requirements.txt"
_PLACE = _HERE.parent / "build" / "hugging_face"


def hugging_face_python() -> str:
  """An interpreter with what `hugging_face/requirements.txt` names; made where missing."""
  python, made = _PLACE / "bin" / "python", _PLACE / "made_from.txt"
  wanted = _REQUIREMENTS.read_text()
  if not made.exists() or made.read_text() != wanted:
    print(f"making {_PLACE} (once, some minutes) ...", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(_PLACE)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "-qq",
                    "--disable-pip-version-check", "-r", str(_REQUIREMENTS)], check=True)
    made.write_text(wanted)
  return str(python)


def peer_script(name: str) -> str:
  return str(_HERE / "hugging_face" / name)


def take_turns(commands: dict[str, list[str]], rounds: int
               ) -> dict[str, list[dict[str, Any]]]:
  """The last line that each command printed, read as JSON, once for every round."""
  results: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}
  for number in range(rounds):
    for name, command in commands.items():
      print(f"\rround {number + 1}/{rounds}: {name:30s}", end="", file=sys.stderr,
            flush=True)
      finished = subprocess.run(command, capture_output=True, text=True, check=False)
      if finished.returncode:
        raise SystemExit(f"\n{name} failed:\n{finished.stderr[-2000:]}")
      results[name].append(json.loads(finished.stdout.splitlines()[-1]))
  print("\r" + " " * 50, end="\r", file=sys.stderr)
  return results


def pooled(ones: list[dict[str, Any]], key: str = "seconds"
           ) -> tuple[float, float, float, int]:
  """Median, least, most and number of what all rounds measured."""
  values = [value for result in ones for value in result[key]]
  return statistics.median(values), min(values), max(values), len(values)
