"""What a benchmark ran on."""

import platform


def processor() -> str:
  """Number and name of the processors."""
  try:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
      names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
  except OSError:
    names = []
  return f"{len(names)} x {names[0]}" if names else platform.processor()
