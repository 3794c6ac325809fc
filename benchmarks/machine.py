"""What a benchmark ran on, and where it puts what it measured."""

import json
import pathlib
import platform
from typing import Any


def processor() -> str:
  """Number and name of the processors."""
  try:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
      names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
  except OSError:
    names = []
  return f"{len(names)} x {names[0]}" if names else platform.processor()


def report(result: dict[str, Any], path: str | None) -> None:
  """Prints a result, and writes it where a path is given; missing folders are made."""
  text = json.dumps(result, indent=1)
  print(text)
  if path:
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text(text + "\n")
