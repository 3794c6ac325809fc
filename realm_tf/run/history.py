"""Who made a run's folder: a record of each command that writes into it.

    commands/<UTC time>-<command>-<process>.json
"""

import datetime
import os
import pathlib
import platform
import re
import subprocess
from typing import Any, Sequence

import tensorflow as tf

import realm_tf
from realm_tf import files, processor
from realm_tf.versions import versions

# What changes numbers or speed from outside.
_ENVIRONMENT = re.compile(r"TF_(CONFIG|XLA_FLAGS|(ENABLE|NUM|DETERMINISTIC)_\w+)"
                          r"|(ONEDNN|DNNL|OMP|REALM|CUDA|XLA)_\w+")


def record_command(folder: pathlib.Path, command: Sequence[str]) -> None:
  """Writes a record of the command that begins, whole or not at all."""
  now = datetime.datetime.now(datetime.UTC)
  name = f"{now:%Y%m%dT%H%M%S}-{command[0]}-{os.getpid()}.json"
  files.write_json(folder / "commands" / name, {
      "started": now.isoformat(timespec="seconds"), "command": ["realm", *command],
      **describe()})


def command_records(folder: pathlib.Path) -> list[dict[str, Any]]:
  """All records of a run, the oldest first."""
  return [files.read_object(path) for path in sorted((folder / "commands").glob("*.json"))]


def describe() -> dict[str, Any]:
  """Versions, source and machine of this process, as plain values."""
  return {
      "versions": versions(),
      "source": source(pathlib.Path(realm_tf.__file__).parent),
      "system": platform.platform(),
      "processor": _processor(), "processors": os.cpu_count(),
      "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
      "devices": [_device(device) for device in tf.config.list_physical_devices()],
      "environment": {name: value for name, value in sorted(os.environ.items())
                      if _ENVIRONMENT.fullmatch(name)}}


def source(package: pathlib.Path) -> dict[str, Any]:
  """The git commit that a package lies in, and whether it was changed since.

  Both None where git, or the repository, is not there: an installed package, or one that
  lies in a repository which does not know it.
  """
  unknown = {"git": None, "modified": None}
  if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
    return unknown
  commit = _git(package, "rev-parse", "HEAD")
  changes = _git(package, "status", "--porcelain", "--", ".")
  return unknown if commit is None else {"git": commit, "modified": bool(changes)}


def _device(device: Any) -> str:
  details = tf.config.experimental.get_device_details(device)
  return " ".join([device.name.removeprefix("/physical_device:"),
                   *([details["device_name"]] if "device_name" in details else [])])


def _git(folder: pathlib.Path, *words: str) -> str | None:
  try:
    result = subprocess.run(["git", "-C", str(folder), *words], capture_output=True,
                            text=True, check=False, timeout=30)
  except (OSError, subprocess.TimeoutExpired):
    return None
  return result.stdout.strip() if result.returncode == 0 else None


def _processor() -> str:
  return " ".join(processor.fields().get("model name", ())) or platform.processor()
