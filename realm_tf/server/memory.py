"""Memory that was freed goes back to the system.

glibc keeps what is freed in heaps, two and more for each processor, and returns the top of a
heap alone. A version is loaded by one thread and freed by others, with what lives on between
its pieces, so after a swap some hundred megabytes of freed memory would stay with the
process: more at each of the first swaps, until every heap has held a version once.
"""

import ctypes
import gc


def give_back() -> None:
  """Collects cycles, and returns whole free pages to the system.

  Threads that allocate meanwhile may wait for a heap: 500 MB take 80 ms. Where the C
  library is another than glibc, cycles are collected and nothing else is done.
  """
  gc.collect()
  trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
  if trim is not None:
    trim(0)
