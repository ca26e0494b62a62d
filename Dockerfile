# Kit-less Isaac Lab 3.0 with the four RL libraries and spark-rl: trains at once, on CUDA or on the CPU.
#   docker build -t spark-rl .
#   docker run --rm --gpus all -v "$PWD:/work" spark-rl train --task Isaac-Cartpole-Direct-v0
FROM python:3.12-slim-bookworm

RUN apt-get update \
 && apt-get install -y --no-install-recommends libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 robot

COPY . /src
RUN pip install --no-cache-dir "/src[isaaclab]" && rm -rf /src

USER robot
WORKDIR /work
ENTRYPOINT ["spark-rl"]
CMD ["--help"]
