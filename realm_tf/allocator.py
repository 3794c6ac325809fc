"""Memory that one step of a training frees stays with the process, for the next one.

A step's tensors are of some megabytes each, and of other sizes in the next. glibc gives such
back to the system as soon as they are freed and asks for new pages, which the system clears
first: with a small model a sixth of the processor time of a step
(`benchmarks/process_settings.py`).
"""

import ctypes
import os

# Of malloc.h: the free end of the heap that is given back, how many blocks are mapped by
# themselves, how many heaps there are. Further heaps are of 64 MB and always given back.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> None:
  """Has this process keep what it frees; for trainings, to be called before TensorFlow loads.

  All threads then share one heap. What the environment says of it (`MALLOC_...`,
  `GLIBC_TUNABLES`) comes first; with another C library than glibc nothing happens.
  """
  choose = getattr(ctypes.CDLL(None), "mallopt", None)
  said = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
  if choose is not None and not said:
    choose(_ARENA_MAX, 1)
    choose(_MMAP_MAX, 0)
    choose(_TRIM_THRESHOLD, 2**31 - 1)
