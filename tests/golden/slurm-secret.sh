#!/bin/bash
#SBATCH --job-name=ant
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --chdir=/home/ada
#SBATCH --output=/state/jobs/%j.log
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
#SBATCH --requeue

# Not in this script, but in the environment that sbatch passes on: SPARK_RL_SECRET_1, SPARK_RL_SECRET_2
# Ahead of the time limit Slurm sends USR1, and scancel sends TERM: spark-rl ends its run in time.
trap 'heard=1; kill -USR1 $!' USR1
trap 'heard=1; kill -TERM $!' TERM
spark-rl train --task Isaac-Ant-Direct-v0 --num-envs 4096 --adopt env.decimation=2 \
  agent.api_key="${SPARK_RL_SECRET_1:?}" --api-key "${SPARK_RL_SECRET_2:?}" &
run=$!
# A signal cuts a wait short.
while heard=; wait "$run"; code=$?; [ "$heard" ]; do :; done
# Stopped for the limit: back into the queue; the next start goes on from the newest checkpoint.
if [ "$code" = 138 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$code"
