"""What holds for the package as a whole."""

import ast
import os
import pathlib
import re
import subprocess
import sys
import textwrap

import pytest

import realm_tf
from realm_tf import processor

_PACKAGE = pathlib.Path(realm_tf.__file__).parent
_ROOT = pathlib.Path(__file__).parents[1]

# A module imports only from its own layer and those above it.
_LAYERS = ("processor", "allocator", "errors", "counted", "extras", "own_processes",
           "locks", "files", "folders", "working", "versions", "parallel", "bzip2", "lines",
           "jsonl", "progress", "assets", "registry", "config", "recipes", "ops",
           "distribute", "text", "corpus", "datasets", "examples", "models", "exchange",
           "index", "refresh", "training", "diagnosis", "evaluation", "report", "serving",
           "run", "server", "cli")


def _layer(module: str) -> int:
  return _LAYERS.index(module.split(".")[1])


def _imports(path: pathlib.Path):
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
      yield from ([f"{node.module}.{alias.name}" for alias in node.names]
                  if node.module == "realm_tf" else [node.module])


def test_imports_point_one_way():
  checked = 0
  for path in _PACKAGE.rglob("*.py"):
    module = ".".join(("realm_tf", *path.relative_to(_PACKAGE).with_suffix("").parts))
    if path == _PACKAGE / "__init__.py":
      continue
    for name in _imports(path):
      if name.startswith("realm_tf."):
        assert _layer(name) <= _layer(module), f"{module} imports {name}"
        checked += 1
  assert checked > 50


def test_keras_3_first_is_one_clear_sentence():
  code = "import tensorflow, realm_tf"
  run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                       check=False, env={"PYTHONPATH": str(_PACKAGE.parent)})
  assert run.returncode == 1
  assert "ImportError: realm_tf needs Keras 2" in run.stderr.splitlines()[-1]


def test_help_does_not_load_tensorflow():
  code = "import sys; from realm_tf.cli.main import run; run(['ask', '--help'])\n" \
         "assert 'tensorflow' not in sys.modules"
  run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                       check=False, env={"PYTHONPATH": str(_PACKAGE.parent)})
  assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("flags, leaf, capped", [
    ("fpu amx_tile", 28, True), ("fpu amx_tile", 32, False), ("fpu avx2", 13, False)])
def test_onednn_is_kept_off_amx_where_its_tiles_are_not_described(
    tmp_path, monkeypatch, flags, leaf, capped):
  monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
  cpuinfo = tmp_path / "cpuinfo"
  cpuinfo.write_text(textwrap.dedent(f"""\
      processor\t: 0
      cpuid level\t: {leaf}
      flags\t\t: {flags}

      processor\t: 1
      """))
  realm_tf._spare_onednn_from_half_described_amx(str(cpuinfo))  # pylint: disable=protected-access
  assert ("ONEDNN_MAX_CPU_ISA" in os.environ) == capped
  monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)


@pytest.mark.parametrize("flags, said, expected", [
    ("fpu avx avx2", None, "1"), ("fpu avx", None, None), ("fpu avx2", "0", "0")])
def test_products_are_by_onednn_where_there_is_avx2(
    tmp_path, monkeypatch, flags, said, expected):
  monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", said or "")
  if said is None:
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
  cpuinfo = tmp_path / "cpuinfo"
  cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\n")
  realm_tf._choose_onednn(str(cpuinfo))  # pylint: disable=protected-access
  assert os.environ.get("TF_ENABLE_ONEDNN_OPTS") == expected


@pytest.mark.parametrize("flags, multiplies", [
    ("fpu avx512f avx512_bf16", True), ("fpu amx_bf16 amx_tile", True),
    ("fpu avx512f avx512_vnni", False), ("", False)])
def test_which_processors_multiply_bfloat16(tmp_path, flags, multiplies):
  cpuinfo = tmp_path / "cpuinfo"
  cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\n")
  assert processor.multiplies_bfloat16(str(cpuinfo)) == multiplies
  assert not processor.multiplies_bfloat16(str(tmp_path / "none"))


# These are longer still; they may not grow, and none is added.
_LONGER: dict[str, int] = {}


def test_a_file_has_at_most_300_lines():
  sources = [path for pattern in ("realm_tf/**/*.py", "ops/**/*.cc", "ops/**/*.h")
             for path in _ROOT.glob(pattern)]
  lines = {path.relative_to(_ROOT).as_posix(): len(path.read_text().splitlines())
           for path in sources}
  assert len(lines) > 100
  assert {name: count for name, count in lines.items()
          if count > _LONGER.get(name, 300)} == {}


def test_code_names_no_host_and_no_path_of_one_machine():
  # What is downloaded comes by a package's name, from wherever its client is set up to look.
  foreign = re.compile(r"\w://\w|\b(?!(?:config|qa)\.dev\b)[\w-]+\.(?:org|com|net|dev)\b"
                       r"|(?<![\w.])/(?:work|root|home|opt|mnt|srv|media|Users|tmp|var)/")
  sources = [_ROOT / "setup.py",
             *(path for folder in ("realm_tf", "configs", "benchmarks", "docs")
               for path in (_ROOT / folder).rglob("*.py"))]
  assert len(sources) > 100
  assert [f"{path}: {match.group()}" for path in sources
          for match in foreign.finditer(path.read_text())] == []
