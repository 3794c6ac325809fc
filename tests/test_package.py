"""What holds for the package as a whole."""

import ast
import pathlib
import subprocess
import sys
import textwrap

import pytest

import realm_tf

_PACKAGE = pathlib.Path(realm_tf.__file__).parent

# A module imports only from its own layer and those above it.
_LAYERS = ("errors", "files", "lines", "jsonl", "progress", "assets", "config", "native",
           "text", "corpus", "examples", "models", "index", "training", "evaluation",
           "serving", "cli")


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
    own = ".".join(("realm_tf", *path.relative_to(_PACKAGE).with_suffix("").parts))
    if path == _PACKAGE / "__init__.py":
      continue
    for name in _imports(path):
      if name.startswith("realm_tf."):
        assert _layer(name) <= _layer(own), f"{own} imports {name}"
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
  import os  # pylint: disable=import-outside-toplevel
  assert ("ONEDNN_MAX_CPU_ISA" in os.environ) == capped
  monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
