"""`realm --version`: what is installed, and which kernels run here."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import realm_tf
from realm_tf import versions
from realm_tf.ops import library
from tests.command import realm


def _kernels_that_can_run(monkeypatch, variable, call):
  """Their names, best first, as the op itself gives them when asked for another."""
  monkeypatch.setenv(variable, "none")
  with pytest.raises(tf.errors.InvalidArgumentError) as refusal:
    call()
  monkeypatch.delenv(variable)
  return refusal.value.message.partition(" can run are ")[2].split(" [Op:")[0].split(", ")


def _search():
  return library.ops.realm_top_k_inner_product(
      tf.zeros([1, 2]), tf.zeros([3, 2]), tf.zeros([1, 0], tf.int32), 1)


def _activate():
  return library.ops.realm_bias_activation(tf.zeros([1, 2]), tf.zeros([2]), activation="relu")


def _update():
  """By AdamW: a step of one variable."""
  value, m, v = (tf.Variable(tf.zeros([2])) for _ in range(3))
  library.ops.realm_resource_adam_w(
      value=value.handle, m=m.handle, v=v.handle, grad=tf.ones([2]), rate=0.1, decay=0.0,
      scale=1.0, beta1=0.9, beta2=0.999, epsilon=1e-6)


@pytest.mark.parametrize("family, variable, call", [
    ("top-k", "REALM_TOP_K_KERNEL", _search),
    ("transformer", "REALM_TRANSFORMER_KERNEL", _activate),
    ("transformer", "REALM_TRANSFORMER_KERNEL", _update)])
def test_the_kernel_is_the_one_that_the_op_runs(monkeypatch, capsys, family, variable, call):
  monkeypatch.delenv(variable, raising=False)
  able = _kernels_that_can_run(monkeypatch, variable, call)
  assert able[-1] == "portable"
  for kernel, named in [(None, able[0]), ("portable", "portable"),
                        ("none", f"{variable} is none, but the kernels that this CPU can run "
                                 f"are {', '.join(able)}")]:
    if kernel is not None:
      monkeypatch.setenv(variable, kernel)
    assert realm("--version") == 0
    assert f"{family} kernel: {named}\n" in capsys.readouterr().out


def test_versions_are_those_of_what_is_imported(capsys):
  assert realm("--version") == 0
  lines = capsys.readouterr().out.splitlines()
  for line in (f"realm_tf {realm_tf.__version__}", f"tensorflow {tf.__version__}",
               f"numpy {np.__version__}", f"python {sys.version.split()[0]}"):
    assert line in lines
  for package in ("tensorflow-text", "scann", "tf_keras"):
    assert any(line.startswith(f"{package} ") for line in lines), package


def test_a_library_that_is_not_compiled_is_told(tmp_path):
  missing = tmp_path / "_realm_ops.so"
  assert all(str(missing) in kernel and kernel.startswith("none: ")
             for kernel in versions.kernels(missing).values())


def test_tensorflow_is_not_imported():
  code = "import sys; from realm_tf.cli.main import run; assert run(['--version']) == 0\n" \
         "assert 'tensorflow' not in sys.modules"
  run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                       check=False)
  assert run.returncode == 0, run.stderr
  assert "top-k kernel: " in run.stdout and "none" not in run.stdout
