"""Commands that really run in two processes of one machine, as workers of a cluster."""

import json
import os
import pathlib
import socket
import subprocess

_ROOT = pathlib.Path(__file__).parents[1]


def in_two_processes(command, outputs=(subprocess.PIPE, subprocess.PIPE)):
  """Starts a command as both workers; their output goes to a pipe each, or to files."""
  sockets = [socket.socket() for _ in range(2)]
  for opened in sockets:
    opened.bind(("localhost", 0))
  workers = [f"localhost:{opened.getsockname()[1]}" for opened in sockets]
  for opened in sockets:
    opened.close()
  return [subprocess.Popen(
      command, cwd=_ROOT, stdout=output, stderr=subprocess.STDOUT, text=True,
      env={**os.environ, "PYTHONPATH": str(_ROOT), "TF_CONFIG": json.dumps({
          "cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})})
          for index, output in enumerate(outputs)]
