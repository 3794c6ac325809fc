"""What Linux says of the processor."""

import functools

CPUINFO = "/proc/cpuinfo"


def fields(cpuinfo: str = CPUINFO) -> dict[str, list[str]]:
  """The words of each field of the first core, such as "flags"; none where there is no such
  file."""
  try:
    with open(cpuinfo, encoding="utf-8", errors="replace") as file:
      first = file.read().split("\n\n")[0]
  except OSError:
    return {}
  lines = (line.split(":", 1) for line in first.splitlines() if ":" in line)
  return {name.strip(): words.split() for name, words in lines}


@functools.cache
def multiplies_bfloat16(cpuinfo: str = CPUINFO) -> bool:
  """Whether it has products of bfloat16 numbers, twice and more as fast as float32's.

  Of AVX-512 or AMX: of what else there is (AVX10, Arm's) oneDNN's products were not tried.
  """
  return not {"avx512_bf16", "amx_bf16"}.isdisjoint(fields(cpuinfo).get("flags", ()))
