"""What a benchmark ran on, and where it puts what it measured."""

import json
import pathlib
import platform
import time
from typing import Any, Callable, Mapping


def processor() -> str:
  """Number and name of the processors."""
  try:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
      names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
  except OSError:
    names = []
  return f"{len(names)} x {names[0]}" if names else platform.processor()


def in_turns(runs: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
  """Seconds of each, `repeats` times in turns, after two to warm up."""
  seconds: dict[str, list[float]] = {name: [] for name in runs}
  for _ in range(repeats + 2):
    for name, run in runs.items():
      begun = time.perf_counter()
      run()
      seconds[name].append(time.perf_counter() - begun)
  return {name: values[2:] for name, values in seconds.items()}


def report(result: dict[str, Any], path: str | None) -> None:
  """Prints a result, and writes it where a path is given; missing folders are made."""
  text = json.dumps(result, indent=1)
  print(text)
  if path:
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text(text + "\n")
