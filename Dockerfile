# spark-rl in a container, on linux/amd64 and linux/arm64. README.md, "Containers", says how to run it.
#   docker build -t spark-rl .                                        kit-less Isaac Lab 3.0.0, all four RL libraries
#   docker build -t spark-rl:isaaclab --target isaaclab .             spark-rl on NVIDIA's Isaac Lab image
# A package index of your own: --secret id=pip,src=pip.conf, and --secret id=ca,src=FILE for `cert = /run/secrets/ca`.
ARG PYTHON_IMAGE=python:3.12.14-slim-bookworm@sha256:0f5b26b9518d002b6173fd61daad821fa340635ebfec5bba471013f9ca114579
ARG ISAACLAB_IMAGE=nvcr.io/nvidia/isaac-lab:2.3.2@sha256:388dbc806f48359a964cb9f807feb226da95d0a107f470fdcad9780ea10fe6f2

# What is to be installed, apart from the source: Isaac Lab's layer outlives every change of spark-rl itself.
# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS requirements
COPY pyproject.toml /
RUN python3 -c "import tomllib; project = tomllib.load(open('/pyproject.toml', 'rb'))['project']; \
print(*project['dependencies'], *project['optional-dependencies']['isaaclab'], sep='\n')" >/requirements.txt

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS wheel
COPY pyproject.toml README.md LICENSE /spark-rl/
COPY src /spark-rl/src
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=pip --mount=type=secret,id=ca \
    PIP_CONFIG_FILE=/run/secrets/pip python3 -m pip wheel --no-deps --wheel-dir /dist /spark-rl

# hadolint ignore=DL3006
FROM ${ISAACLAB_IMAGE} AS isaaclab
USER 0
# Isaac Sim's Python carries the launcher, in an environment of its own: nothing of Isaac Lab's changes.
COPY --from=wheel /dist /opt/spark-rl/dist
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=pip --mount=type=secret,id=ca \
    /isaac-sim/kit/python/bin/python3 -m venv /opt/spark-rl \
 && PIP_CONFIG_FILE=/run/secrets/pip /opt/spark-rl/bin/python -m pip install /opt/spark-rl/dist/*.whl
# NVIDIA's image is made for root: other users may not enter /isaac-sim, and Kit writes into these folders of it.
RUN useradd --non-unique --uid 1000 --home-dir /home/robot --no-log-init robot \
 && chmod o+rx /isaac-sim \
 && for folder in /home/robot /isaac-sim/kit/cache /isaac-sim/kit/data /isaac-sim/kit/logs \
        /workspace/isaaclab/logs /workspace/isaaclab/outputs; do \
        mkdir -p "$folder" && chmod -R a+rwX "$folder" || exit 1; \
    done
ENV PATH=/opt/spark-rl/bin:$PATH HOME=/home/robot USER=robot ISAACLAB_PATH=/workspace/isaaclab
USER 1000
WORKDIR /workspace/isaaclab
VOLUME ["/home/robot", "/isaac-sim/kit/cache", "/workspace/isaaclab/logs"]
ENTRYPOINT ["spark-rl"]
CMD ["--help"]

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS kitless
# GL and EGL record videos, and rsl_rl asks for git. Their versions are the base image's Debian's: it serves the newest only.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends git libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri libgomp1 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=requirements /requirements.txt /opt/spark-rl/
# psutil 5.9 and PyOpenGL-accelerate have no wheels for arm64: a compiler comes and goes.
# hadolint ignore=DL3008
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=pip --mount=type=secret,id=ca \
    apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev \
 && python3 -m venv /opt/spark-rl \
 && PIP_CONFIG_FILE=/run/secrets/pip /opt/spark-rl/bin/python -m pip install -r /opt/spark-rl/requirements.txt \
 && apt-get purge -y --auto-remove gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY --from=wheel /dist /opt/spark-rl/dist
RUN /opt/spark-rl/bin/python -m pip install --no-cache-dir --no-deps /opt/spark-rl/dist/*.whl
# Any user may run it (docker run --user): the folders are everybody's, and torch asks for a name.
RUN useradd --uid 1000 --home-dir /home/robot --no-log-init robot \
 && mkdir -p /home/robot /work && chmod 1777 /home/robot /work
ENV PATH=/opt/spark-rl/bin:$PATH HOME=/home/robot USER=robot NVIDIA_DRIVER_CAPABILITIES=compute,graphics,utility,video
USER 1000
WORKDIR /work
VOLUME ["/home/robot", "/work"]
ENTRYPOINT ["spark-rl"]
CMD ["--help"]
