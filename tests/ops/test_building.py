"""What setup.py says while it compiles."""

import pathlib
import runpy
import sys

import pytest

_SETUP = pathlib.Path(__file__).parents[2] / "setup.py"


class _Compiler:
  """Stands for one that compiles."""

  def __init__(self, folder, command=None):
    del folder, command

  def objects(self, flags):
    return [f"{name}.o" for name in flags]


@pytest.mark.parametrize("wanted", ["on", "off"])
def test_the_kernels_for_gpus_are_named_and_how_to_leave_them_out(
    tmp_path, monkeypatch, capsys, wanted):
  (tmp_path / "nvcc").touch(mode=0o755)
  monkeypatch.setattr(sys, "argv", ["setup.py", "build_op_test", "--help"])
  built = runpy.run_path(str(_SETUP))
  for_gpus = built["BuildOp"]._for_gpus
  monkeypatch.setitem(for_gpus.__globals__, "Compiler", _Compiler)
  monkeypatch.setenv("CUDACXX", str(tmp_path / "nvcc"))
  monkeypatch.setenv("REALM_GPU_OP", wanted)
  capsys.readouterr()
  linker, objects = for_gpus(None, ())
  told = capsys.readouterr().out
  assert bool(linker) == bool(objects) == (wanted == "on")
  assert (f"by {tmp_path}/nvcc (15 s of a processor; REALM_GPU_OP=off leaves it out)"
          in told) == (wanted == "on")
