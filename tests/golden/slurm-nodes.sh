#!/bin/bash
#SBATCH --job-name=ant
#SBATCH --time=00:04:00
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gres=gpu:4
#SBATCH --chdir=/home/ada
#SBATCH --output=/state/jobs/%j.log
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@60
#SBATCH --requeue

# One spark-rl on each node. They meet at the first one's host, whose record counts; the others have a copy.
export head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export port=$((20000 + SLURM_JOB_ID % 5000 * 2))
node() {
  if [ "$SLURM_NODEID" != 0 ] && [ -n "$SPARK_RL_RUN" ]; then
    copy=$SPARK_RL_STATE/jobs/$SLURM_JOB_ID-node$SLURM_NODEID
    mkdir -p "$copy/runs/$SPARK_RL_RUN"
    cp "$SPARK_RL_STATE/runs/$SPARK_RL_RUN"/*.json "$copy/runs/$SPARK_RL_RUN"
    export SPARK_RL_STATE=$copy
  fi
  exec spark-rl train --task Isaac-Ant-Direct-v0 --num-envs 4096 --adopt env.decimation=2 \
    --nnodes "$SLURM_NNODES" --node-rank "$SLURM_NODEID" --master-addr "$head" --master-port "$port" \
    -- --note 'it'"'"'s'
}
export -f node
# Ahead of the time limit Slurm sends USR1, and scancel sends TERM: spark-rl ends its run in time.
trap 'heard=1; kill -USR1 $!' USR1
trap 'heard=1; kill -TERM $!' TERM
srun --kill-on-bad-exit=0 bash -c node &
run=$!
# A signal cuts a wait short.
while heard=; wait "$run"; code=$?; [ "$heard" ]; do :; done
# Stopped for the limit: back into the queue; the next start goes on from the newest checkpoint.
if [ "$code" = 138 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$code"
