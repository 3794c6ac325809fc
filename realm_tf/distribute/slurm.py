"""TF_CONFIG of processes that SLURM started, by `srun realm ... --strategy=multi_worker`."""

import json
import os

import tensorflow as tf

from realm_tf.errors import UserError

_FIRST_PORT, _PORTS = 12000, 20000  # below those that Linux gives to whoever asks


def set_tf_config() -> None:
  """Sets TF_CONFIG from what `srun` set, where it did and TF_CONFIG is not set.

  There is a worker for each task; ports follow from the job's number, so that two jobs on a
  host seldom meet.

  Raises:
    UserError: the variables of SLURM do not say which workers there are.
  """
  environment = os.environ
  if environment.get("TF_CONFIG") or "SLURM_STEP_NODELIST" not in environment:
    return
  try:
    count = int(environment["SLURM_STEP_NUM_TASKS"])
    port = _FIRST_PORT + int(environment.get("SLURM_JOB_ID", 0)) % _PORTS
    # SLURM gives GPUs to tasks itself; asked how many there are, the resolver fails without.
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
        port_base=port, gpus_per_node=count, gpus_per_task=1, auto_set_gpu=False)
    workers = resolver.cluster_spec().as_dict()["worker"]
    kind, index = resolver.get_task_info()
  except (KeyError, ValueError, RuntimeError) as error:
    raise UserError(f"SLURM_*: the variables do not say which workers there are ({error}); "
                    "start by `srun`, or set TF_CONFIG") from error
  host = workers[index].rpartition(":")[0]
  if environment.get("SLURMD_NODENAME", host) != host:
    raise UserError(
        f"SLURM_STEP_NODELIST: task {index} is on {environment['SLURMD_NODENAME']}, not on "
        f"{host}: TensorFlow counts nodes in the order of their names (node10 before node2) "
        "and tasks node by node; ask for nodes whose names are of one length, with `srun "
        "--distribution=block`, or set TF_CONFIG")
  environment["TF_CONFIG"] = json.dumps(
      {"cluster": {"worker": workers}, "task": {"type": kind, "index": index}})
