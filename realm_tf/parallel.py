"""Work by several threads, whose results come in the order of what they were made of."""

import collections
import concurrent.futures
import os
from typing import Callable, Generator, Iterable, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(function: Callable[[Item], Result], items: Iterable[Item],
             workers: int | None = None) -> Generator[Result, None, None]:
  """`map` by as many threads as there are cores, or as are asked for, a few items ahead.

  Once it is closed, none of them is at work.
  """
  workers = workers or len(os.sched_getaffinity(0))
  waiting: collections.deque[concurrent.futures.Future[Result]] = collections.deque()
  with concurrent.futures.ThreadPoolExecutor(workers) as pool:
    try:
      for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > 2 * workers:
          yield waiting.popleft().result()
      while waiting:
        yield waiting.popleft().result()
    finally:
      for future in waiting:
        future.cancel()
