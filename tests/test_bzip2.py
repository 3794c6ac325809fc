"""Streams of bzip2 by several threads are what one thread unpacks, damaged or not."""

import bz2
import io
import threading
import tracemalloc

import numpy as np
import pytest

from realm_tf import bzip2
from realm_tf.bzip2 import Unpacked
from tests.processes import LONG


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
  monkeypatch.setattr(bzip2, "_PIECE", 300)
  monkeypatch.setattr(bzip2, "_LONGEST", 1500)
  monkeypatch.setattr(bzip2, "_STEP", 64)


def _read(packed, workers):
  """What comes out, and how it ends."""
  parts = []
  with Unpacked(io.BytesIO(packed), workers) as file:
    try:
      while part := file.read(100):
        parts.append(part)
    except (OSError, EOFError) as error:
      return b"".join(parts), f"{type(error).__name__}: {error}"
  return b"".join(parts), ""


def _streams(rng, count=40):
  # Some are of one piece, some of many, some of nothing; what packs badly is long.
  sizes = rng.integers(0, 5000, count) * (rng.random(count) > 0.2)
  texts = [rng.integers(0, 256, size, np.uint8).tobytes() for size in sizes]
  return texts, [bz2.compress(text, 1 + number % 9) for number, text in enumerate(texts)]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_all_that_the_streams_hold(seed, workers):
  rng = np.random.default_rng(seed)
  texts, streams = _streams(rng)
  zeros = b"\0" * int(rng.integers(0, 9))
  assert _read(zeros.join(streams) + zeros, workers) == (b"".join(texts), "")
  assert bz2.decompress(b"".join(streams)) == b"".join(texts)


@pytest.mark.parametrize("seed", range(30))
def test_what_is_damaged_ends_where_it_does_for_one_thread(seed):
  rng = np.random.default_rng(seed)
  _, streams = _streams(rng)
  whole = b"".join(streams)
  cut = whole[:rng.integers(1, len(whole))]
  place = int(rng.integers(len(whole)))
  broken = whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1:]
  behind = whole + b"no stream"
  between = b"".join([*streams[:9], b"junk", *streams[9:]])
  short = b"".join([*streams[:9], streams[9][:-7], *streams[10:]])
  for packed in (cut, broken, behind, between, short, b"", b"BZh9"):
    expected = _read(packed, 1)
    assert _read(packed, 3) == expected
  assert _read(behind, 3) == (bz2.decompress(whole), "OSError: Invalid data stream")


def test_the_head_of_a_stream_within_another_begins_none(monkeypatch):
  # One block whose packed bytes hold what looks like a head: any two of its bytes, here.
  monkeypatch.setattr(bzip2, "_BEGIN", bzip2.re.compile(rb"[\x00-\x7f][\x00-\x7f]"))
  rng = np.random.default_rng(0)
  texts, streams = _streams(rng)
  assert _read(b"".join(streams), 4) == (b"".join(texts), "")


def test_several_threads_are_at_work_and_none_is_left(monkeypatch):
  both, names = threading.Barrier(2, timeout=LONG), set()
  unpack = bzip2._unpack_ahead  # pylint: disable=protected-access

  def waits(packed):
    if len(names) < 2:
      names.add(threading.current_thread().name)
      both.wait()  # passes where two are at work at the same time
    return unpack(packed)

  monkeypatch.setattr(bzip2, "_unpack_ahead", waits)
  texts, streams = _streams(np.random.default_rng(1))
  before = threading.active_count()
  file = io.BufferedReader(Unpacked(io.BytesIO(b"".join(streams)), 2))
  assert file.read(10) == b"".join(texts)[:10]
  file.close()
  assert len(names) == 2 and threading.active_count() == before


def test_a_bomb_takes_no_memory_ahead_of_its_turn(monkeypatch):
  monkeypatch.setattr(bzip2, "_MOST", 1 << 16)
  bombs = b"".join([bz2.compress(b"\0" * (1 << 24))] * 30)

  def peak(workers):
    tracemalloc.start()
    try:
      with Unpacked(io.BytesIO(bombs), workers) as file:
        assert sum(map(len, iter(lambda: file.read(1 << 16), b""))) == 30 << 24
      return tracemalloc.get_traced_memory()[1]
    finally:
      tracemalloc.stop()

  assert peak(4) < 1.3 * peak(1)
