"""File systems of a test's own, in a name space of its own."""

import os
import pathlib
import subprocess

import pytest

_ROOT = pathlib.Path(__file__).parents[1]


def with_mounts(mount: str, *command) -> subprocess.CompletedProcess:
  """Runs a command where the shell commands of `mount` hold; skips where nobody may mount."""
  script = f'{{ {mount}; }} || exit 77\nexec "$@"'
  try:
    finished = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh",
         *map(str, command)], cwd=_ROOT, env={**os.environ, "PYTHONPATH": str(_ROOT)},
        capture_output=True, text=True, check=False)
  except FileNotFoundError:
    pytest.skip("there is no `unshare` here")
  if finished.returncode == 77 or "unshare" in finished.stderr:
    pytest.skip(f"this system lets nobody mount: {finished.stderr}")
  return finished
