#!/bin/bash
#SBATCH --job-name=ant
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --array=0-1
#SBATCH --chdir=/home/ada
#SBATCH --output="/state/sweep 3/trial-%a.log"
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
#SBATCH --requeue

case $SLURM_ARRAY_TASK_ID in
  0) set -- spark-rl train --task Isaac-Ant-Direct-v0 --num-envs 4096 --adopt env.decimation=2 agent.seed=1 ;;
  1) set -- spark-rl train --task Isaac-Ant-Direct-v0 --num-envs 4096 --adopt env.decimation=2 agent.seed=2 \
       'name=a b' ;;
esac
# Ahead of the time limit Slurm sends USR1, and scancel sends TERM: spark-rl ends its run in time.
trap 'heard=1; kill -USR1 $!' USR1
trap 'heard=1; kill -TERM $!' TERM
"$@" &
run=$!
# A signal cuts a wait short.
while heard=; wait "$run"; code=$?; [ "$heard" ]; do :; done
# Stopped for the limit: back into the queue; the next start goes on from the newest checkpoint.
if [ "$code" = 138 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$code"
