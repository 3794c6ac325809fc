"""Memory that is freed stays with a process that asked for it."""

import os
import subprocess
import sys

import pytest

from realm_tf.cli import main
from tests.command import realm

# Pages that the system gives for 64 MB that are written and freed, the second time.
_SCRIPT = """
import ctypes, resource, sys
from realm_tf.allocator import keep_freed_memory
if sys.argv[1] == "kept":
  keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, size = ctypes.c_void_p, 64 << 20
for _ in range(2):
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  block = libc.malloc(ctypes.c_size_t(size))
  ctypes.memset(block, 1, size)
  libc.free(ctypes.c_void_p(block))
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _pages(memory: str, **environment: str) -> int:
  kept = {name: value for name, value in os.environ.items()
          if not name.startswith("MALLOC_") and name != "GLIBC_TUNABLES"}
  return int(subprocess.run([sys.executable, "-c", _SCRIPT, memory], check=True, text=True,
                            stdout=subprocess.PIPE, env=kept | environment).stdout)


@pytest.mark.skipif("glibc" not in os.confstr("CS_GNU_LIBC_VERSION"), reason="of glibc alone")
def test_freed_memory_is_taken_again():
  assert _pages("kept") < 100 < 10_000 < _pages("given back")


@pytest.mark.skipif("glibc" not in os.confstr("CS_GNU_LIBC_VERSION"), reason="of glibc alone")
@pytest.mark.parametrize("environment", [
    {"MALLOC_ARENA_MAX": "2"}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}])
def test_what_the_environment_says_comes_first(environment):
  assert _pages("kept", **environment) > 10_000


@pytest.mark.parametrize("command, kept", [("finetune", 1), ("list", 1), ("serve", 0),
                                           ("mcp", 0)])
def test_commands_keep_it_but_servers(command, kept, monkeypatch, tmp_path):
  calls = []
  monkeypatch.setattr(main, "keep_freed_memory", lambda: calls.append(command))
  assert realm(command, f"--workdir={tmp_path}/none") == 2
  assert len(calls) == kept
