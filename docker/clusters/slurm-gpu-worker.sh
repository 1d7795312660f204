#!/bin/bash
# Workers of gpu-pool as a SLURM array: `sbatch docker/clusters/slurm-gpu-worker.sh`, one GPU and one flow run each.
# What a worker leaves when its time is over, another one takes up: units are claimed, not assigned.
#SBATCH --job-name=stitchpipe-gpu
#SBATCH --array=1-4
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=08:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --output=%x-%A_%a.log
set -euo pipefail

# PREFECT_API_URL, PREFECT_API_AUTH_STRING and the AWS_ variables; readable by its owner alone.
set -a
# shellcheck source=/dev/null
source "${STITCHPIPE_ENV:-$HOME/.config/stitchpipe.env}"
set +a
export PREFECT_CLIENT_MAX_RETRIES="${PREFECT_CLIENT_MAX_RETRIES:-7}" # four minutes for a server that starts again
export TMPDIR="${SLURM_TMPDIR:-/tmp/$USER-$SLURM_JOB_ID}"
mkdir -p "$TMPDIR"

# Ended by SLURM's SIGTERM two minutes before time: the flow run's units are given back, and it is reported as crashed.
prefect worker start --pool gpu-pool --type process --limit 1 \
    --name "slurm-$SLURM_ARRAY_JOB_ID-$SLURM_ARRAY_TASK_ID" &
worker=$!
trap 'kill -TERM "$worker"' TERM
wait "$worker" || wait "$worker"
