#!/bin/bash
# Trains a run on several nodes, a process on each, which takes all of its GPUs:
#   sbatch launch/slurm.sh /shared/run
# The corpus is there already (realm corpus). Submitted again, it goes on.
#SBATCH --job-name=realm
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --distribution=block
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
# Five minutes before the end: each process saves and ends with code 143.
#SBATCH --signal=TERM@300
set -euo pipefail
workdir=${1:?"usage: sbatch launch/slurm.sh WORKDIR"}
for stage in ict pretrain finetune; do
  srun --label realm "$stage" --workdir="$workdir" --strategy=multi_worker
done
