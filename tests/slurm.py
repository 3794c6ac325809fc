"""A SLURM cluster on this machine: each node is a network namespace with its own slurmd."""

import os
import pathlib
import shutil
import signal
import subprocess
import textwrap

import pytest

from tests.hosts import Hosts
from tests.processes import WITHOUT_GPU

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "scontrol")
_CONFIG = """
    ClusterName=realm
    SlurmctldHost=control({control})
    SlurmUser=root
    AuthInfo=socket={folder}/munge.socket
    StateSaveLocation={folder}/state
    SlurmdSpoolDir={folder}/%n
    SlurmctldPidFile={folder}/control.pid
    SlurmdPidFile={folder}/%n.pid
    SlurmctldLogFile={folder}/control.log
    SlurmdLogFile={folder}/%n.log
    MailProg=/bin/true
    ProctrackType=proctrack/linuxproc
    TaskPlugin=task/none
    SwitchType=switch/none
    SelectType=select/cons_tres
    SelectTypeParameters=CR_Core
    GresTypes=gpu
    ReturnToService=2
    {nodes}
    PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
    """


class SlurmCluster(Hosts):
  """So many nodes, node1 and on, without GPUs, and a host that controls them.

  Skips the test where nobody may make name spaces or SLURM is not installed. Nothing outside
  of `folder` is written. To be used by `with`, at whose end all is gone that runs there.
  """

  def __init__(self, nodes: int, folder: pathlib.Path):
    super().__init__(nodes, others=1)
    self._nodes, self._folder = nodes, folder

  def __enter__(self) -> "SlurmCluster":
    missing = [name for name in _PROGRAMS if not shutil.which(name, path=self._path())]
    if missing:
      pytest.skip(f"no {', '.join(missing)} here (apt-get install slurm-wlm munge)")
    super().__enter__()
    self._write_config()
    munge = self._folder / "munge"
    self._keep("munged", "--foreground", "--force", f"--socket={munge}.socket", *(
        f"--{name}-file={munge}.{name}" for name in ("key", "pid", "log", "seed")))
    self._on(self._nodes, "control", "slurmctld", "-D", "-c")
    for node in range(self._nodes):
      self._on(node, f"node{node + 1}", "slurmd", "-D", "-N", f"node{node + 1}")
    return self

  def __exit__(self, *_) -> None:
    # What a job started is no child of ours.
    for host in range(self._count):
      found = subprocess.run(["ip", "netns", "pids", self._name(host)], capture_output=True,
                             text=True, check=False).stdout
      for process in map(int, found.split()):
        try:
          os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
          pass
    super().__exit__()

  def command(self, *command) -> list[str]:
    """What runs it on the host that controls the others, with `environment`."""
    return ["ip", "netns", "exec", self._name(self._nodes), *map(str, command)]

  def environment(self, programs: pathlib.Path) -> dict[str, str]:
    """Of who submits a job; `programs`: a folder in front of all others of the path."""
    variables = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    return {**variables, **WITHOUT_GPU, "SLURM_CONF": f"{self._folder}/slurm.conf",
            "PATH": f"{programs}:{self._path()}"}

  def _path(self) -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"

  def _write_config(self) -> None:
    (self._folder / "state").mkdir()
    key = self._folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    processors = os.cpu_count()
    names = {f"node{node + 1}": self.address(node) for node in range(self._nodes)}
    names["control"] = self.address(self._nodes)
    for name in names:
      (self._folder / name).mkdir()
    (self._folder / "hosts").write_text("127.0.0.1 localhost\n" + "".join(
        f"{address} {name}\n" for name, address in names.items()))
    (self._folder / "slurm.conf").write_text(textwrap.dedent(_CONFIG).format(
        folder=self._folder, control=names.pop("control"), nodes="\n".join(
            f"NodeName={name} NodeAddr={address} CPUs={processors} Boards=1 "
            f"SocketsPerBoard=1 CoresPerSocket={processors} ThreadsPerCore=1"
            for name, address in names.items())))

  def _on(self, host: int, name: str, *command: str) -> None:
    """Starts a daemon on a host that has this name and knows those of all."""
    # `ip netns exec` would hide what slurmd looks for in /sys.
    script = f'mount --bind {self._folder}/hosts /etc/hosts; hostname {name}; exec "$@"'
    self._keep("nsenter", f"--net=/var/run/netns/{self._name(host)}", "unshare", "--uts",
               "--mount", "sh", "-c", script, "sh", *command)

  def _keep(self, *command: str) -> None:
    with open(self._folder / "daemons.log", "ab") as log:
      self._processes.append(subprocess.Popen(
          command, stdout=log, stderr=log, env={
              **os.environ, "PATH": self._path(),
              "SLURM_CONF": f"{self._folder}/slurm.conf"}))
