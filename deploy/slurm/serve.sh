#!/bin/bash
# Slurm job of a server: its addresses are in a file on the shared file system while it is ready, and it ends with the
# job's time limit or scancel. What comes after the file goes to `exatrkx serve`.
#
#   sbatch --gpus=1 deploy/slurm/serve.sh /shared/tracks/servers.json --gpus all --token-file ~/.exatrkx-token
#
#SBATCH --job-name=exatrkx-serve
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --time=08:00:00
#SBATCH --signal=B:TERM@60
set -euo pipefail
servers=${1:?the file for the addresses}
shift
# In the shell's place, so that the signal above, a minute before the time limit, comes to it.
exec exatrkx serve --host "${SLURMD_NODENAME}" --free-ports --ports-file "${servers}" \
    --log-file "tritonserver-${SLURM_JOB_ID}.log" "$@"
