"""What is packed for a machine with a GPU: only the code of its card stays."""

import fnmatch
import importlib.metadata
import os
import pathlib
import shutil
import struct
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))

import gpu_bundle  # noqa: E402

_CODE, _TEXT = 2, 1


def _entry(kind, architecture, code):
  return struct.pack("<HHIIIIIII", kind, 1, 64, len(code), 0, len(code), 0, 0,
                     architecture).ljust(64, b"\1") + code


def _fat_binary(*entries):
  body = b"".join(_entry(*entry) for entry in entries)
  return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


@pytest.mark.skipif(not shutil.which("readelf"), reason="binutils are missing")
def test_only_the_code_of_one_architecture_is_kept(tmp_path):
  binaries = (_fat_binary((_CODE, 80, b"a" * 24), (_CODE, 90, b"b" * 40)) + bytes(8)
              + _fat_binary((_TEXT, 90, b"c" * 16), (_CODE, 90, b"d" * 8)))
  source = tmp_path / "code.c"
  values = ",".join(map(str, binaries))
  source.write_text('__attribute__((section(".nv_fatbin"), used))\n'
                    f'const unsigned char binary[] = {{{values}}};\n'
                    'int outside = 0x61616161;')
  library = tmp_path / "libcode.so"
  subprocess.run(["cc", "-shared", "-o", library, source], check=True)
  before = library.read_bytes()
  gpu_bundle.keep_only(library, 90)
  after = library.read_bytes()
  expected = binaries.replace(b"a" * 24, bytes(24)).replace(b"c" * 16, bytes(16))
  assert after == before.replace(binaries, expected) != before


def test_a_library_without_gpu_code_stays_as_it_is(tmp_path):
  library = tmp_path / "libplain.so"
  source = tmp_path / "plain.c"
  source.write_text("int value = 1;")
  subprocess.run(["cc", "-shared", "-o", library, source], check=True)
  before = library.read_bytes()
  gpu_bundle.keep_only(library, 90)
  assert library.read_bytes() == before


def test_only_an_earlier_bundle_is_replaced(tmp_path):
  for name in ("part.00", "part.01", "unpack.sh"):
    (tmp_path / name).write_text("")
  assert gpu_bundle._empty(tmp_path) == tmp_path and not list(tmp_path.iterdir())
  for name in ("part.00", "letter.txt"):
    (tmp_path / name).write_text("")
  with pytest.raises(SystemExit, match="letter.txt"):
    gpu_bundle._empty(tmp_path)
  assert len(list(tmp_path.iterdir())) == 2


def _stays(name):
  return not any(fnmatch.fnmatch(name, pattern) for pattern in gpu_bundle._LEFT_OUT)


def test_what_draws_and_what_pytest_loads_is_packed():
  drawn = subprocess.run(
      [sys.executable, "-c", "import sys, matplotlib.pyplot; print(*sys.modules)"],
      capture_output=True, text=True, check=True).stdout.split()
  top = {name for name in drawn if "." not in name and not name.startswith("__editable__")}
  assert "fontTools" in top and all(map(_stays, top))
  plugins = importlib.metadata.entry_points(group="pytest11")
  for plugin in set(plugins.names) - {"schemathesis"}:  # pyproject.toml loads it not
    needs = {plugins[plugin].module.partition(".")[0], plugins[plugin].dist.name}
    assert all(map(_stays, needs)), plugin


@pytest.mark.skipif(not shutil.which("xz"), reason="xz is missing")
def test_what_was_unpacked_keeps_the_flags_of_xla_that_are_given(tmp_path):
  """Where there are no libraries of CUDA: `find` says that all are there."""
  stage, bundle, tools = (tmp_path / name for name in ("stage", "bundle", "tools"))
  for folder in (stage / "python_home" / "bin", stage / "lib", bundle, tools):
    folder.mkdir(parents=True)
  for path, script in ((stage / "python_home" / "bin" / "python3",
                        'echo "$XLA_FLAGS, $TF_FORCE_GPU_ALLOW_GROWTH, $1"'),
                       (tools / "find", 'echo "/cuda/nvvm/$3"')):
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
  subprocess.run(f"tar c -C {stage} . | xz > {bundle}/part.00", shell=True, check=True)
  (bundle / "unpack.sh").write_text(gpu_bundle._UNPACK)
  path = f"{tools}:{os.environ['PATH']}"
  subprocess.run(["sh", bundle / "unpack.sh", tmp_path / "gpu"], check=True,
                 env={"PATH": path}, capture_output=True)
  for given, expected in (({}, ""), ({"XLA_FLAGS": "--xla_a --xla_b"}, "--xla_a --xla_b")):
    said = subprocess.run([tmp_path / "gpu" / "python", "word"], env={"PATH": path, **given},
                          check=True, capture_output=True, text=True).stdout
    assert said == f"--xla_gpu_cuda_data_dir=/cuda {expected}, true, word\n"
