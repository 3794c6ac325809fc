"""What was freed is given back, and version after version leaves nothing behind."""

import ctypes
import json
import pathlib
import platform
import shutil

import pytest
from tensorflow.python.eager import context

from realm_tf.server.lifecycle import Lifecycle
from realm_tf.server.memory import give_back
from realm_tf.server.served import Served
from realm_tf.server.source import FolderSource
from realm_tf.serving import numbered

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
_MB = 1 << 20


class _Heaps(ctypes.Structure):
  """`struct mallinfo2`, of all heaps."""
  _fields_ = [(name, ctypes.c_size_t) for name in (
      "arena", "ordblks", "smblks", "hblks", "mapped", "usmblks", "fsmblks", "used",
      "free", "keepcost")]


def _allocated():
  """Bytes that the program has, and not the allocator."""
  mallinfo = ctypes.CDLL(None).mallinfo2
  mallinfo.restype = _Heaps
  heaps = mallinfo()
  return heaps.used + heaps.mapped


def _resident():
  return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_freed_memory_goes_back_to_the_system():
  blocks = [bytearray(8192) for _ in range(8192)]
  kept = blocks[::32]  # which are spread over the heap, its top included
  blocks.clear()
  before = _resident()
  give_back()
  assert before - _resident() > 32 * _MB and len(kept) == 256


@pytest.mark.slow
def test_swaps_leave_nothing_behind(exported, tmp_path):
  """Each is of another model, and has some 100 MB of graph in pieces."""
  lifecycle = Lifecycle(FolderSource(tmp_path), Served, "DIR")
  used = []
  for number in range(1, 5):
    record = shutil.copytree(exported, tmp_path / str(number)) / numbered.MARKER
    facts = json.loads(record.read_text())
    facts["variables"] = [f"{number} {own_hash}" for own_hash in facts["variables"]]
    record.write_text(json.dumps(facts))
    if number == 1:
      lifecycle.start()
    else:
      assert [lifecycle.look(), lifecycle.look()] == [False, True]
    lifecycle.look()  # forgets the old version
    lifecycle.look()
    used.append((len(context.context().list_function_names()), _allocated(), _resident()))
  functions, allocated, resident = zip(*used)
  assert 0 < functions[3] <= functions[0]
  assert allocated[3] - allocated[1] < 10 * _MB
  assert resident[3] - resident[1] < 50 * _MB
