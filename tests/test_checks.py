"""Every finding of the doctor and of the pre-flight, from facts that are made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from planning import ENV, GPU, LAB, checkout, host, package, planned
from spark_rl import checks
from spark_rl.checks import groups
from spark_rl.model import Finding, Folder, Gpu, GpuProcess, Host, Installation, Request
from spark_rl.outcome import Computation
from spark_rl.profiles import RELEASES
from spark_rl.profiles.requirements import older, requirements

CARTPOLE = "Isaac-Cartpole-Direct-v0"
OLD = {
    "moviepy": "2.2.1",
    "rl-games": "1.6.1",
    "rsl-rl-lib": "3.1.2",
    "skrl": "1.4.3",
    "stable-baselines3": "2.7.0",
    "torch": "2.7.0+cu128",
}
NEW = {
    "gym": "0.26.2",
    "moviepy": "1.0.3",
    "rl-games": "1.6.5",
    "rsl-rl-lib": "5.5.1",
    "skrl": "2.1.1",
    "stable-baselines3": "2.9.2",
    "torch": "2.11.0",
}


def old(version: str = "2.3.2", **values: Any) -> Installation:
    packages = tuple((OLD | values.pop("packages", {})).items())
    base: dict[str, Any] = {
        "packages": packages,
        "python_version": "3.11",
        "torch_cuda": "12.8",
        "sim_version": "5.1.0",
    }
    return checkout(version, **base | values)


def new(*, without: str = "", **values: Any) -> Installation:
    packages = {name: version for name, version in (NEW | values.pop("packages", {})).items() if name != without}
    base: dict[str, Any] = {"packages": tuple(packages.items()), "python_version": "3.12", "torch_cuda": "13.0"}
    return package(**base | values)


def machine(**values: Any) -> Host:
    base: dict[str, Any] = {"driver": "580.95.05", "cuda": "13.0", "glibc": "2.39"}
    gpus = values.pop("gpus", (GPU,))
    return replace(host(**base | values), gpus=gpus)


def doctor(facts: Host, *found: Installation) -> dict[str, Finding]:
    named = tuple((entry, "named") for entry in found)
    return {finding.code: finding for finding in groups.findings(groups.for_machine(facts, named))}


def preflight(on: Installation, facts: Host | None = None, **asked: Any) -> dict[str, Finding]:
    facts = facts or machine()
    task = asked.pop("task", CARTPOLE)
    action = asked.pop("action", "train")
    options: dict[str, Any] = {"library": "rsl_rl", "headless": True} | asked
    decided = planned(on, task, action, machine=facts, **options)
    request = Request(action=action, task=task, cwd="/work dir", **options)
    return {finding.code: finding for finding in checks.for_plan(decided, request, facts)}


@pytest.mark.parametrize("on", [old(), new(), new(isaacsim=True, sim_version="6.2.0", eula=True)])
def test_nothing_is_wrong_with_a_good_machine(on: Installation) -> None:
    assert doctor(machine(), on) == {}
    assert preflight(on) == {}
    assert preflight(on, gpus="all") == {}


def test_what_nobody_looked_at_is_not_wrong() -> None:
    """A document of an older spark-rl, or one written by hand, has the contract's fields alone."""
    facts = host(machine="x86_64", display=None, gl=None, memory_available_mib=30000)
    for on in (checkout("2.3.2"), package(packages=())):
        assert doctor(facts, on) == {}
        assert preflight(on, facts, video=on.generation < 3) == {}


# The machine


def test_an_architecture_without_isaac_lab() -> None:
    found = doctor(machine(machine="riscv64"), new())["architecture"]
    assert (found.level, found.message) == ("error", "Isaac Lab does not exist for riscv64")


def test_libgomp() -> None:
    found = doctor(machine(machine="aarch64", libgomp=None), new())["libgomp-missing"]
    assert found.hint == "sudo apt-get install libgomp1"
    assert "libgomp-missing" not in doctor(machine(machine="x86_64", libgomp=None), new())
    # Planning tells it already.
    assert "libgomp-missing" not in preflight(old(), machine(machine="aarch64", libgomp=None))


@pytest.mark.parametrize(
    ("available", "unified", "low"), [(4096, False, False), (4095, False, True), (9000, True, True)]
)
def test_memory(available: int, unified: bool, low: bool) -> None:
    facts = machine(memory_available_mib=available, gpus=(replace(GPU, unified=unified),))
    assert ("memory-low" in preflight(new(), facts)) is low
    assert ("memory-low" in doctor(facts, new())) is low
    if unified:
        assert "CPU and GPU share" in preflight(new(), facts)["memory-low"].message


# GPUs


def gpu(name: str = "RTX", capability: str | None = "8.9", index: int = 0, **values: Any) -> Gpu:
    base: dict[str, Any] = {"memory_total_mib": 24000, "memory_free_mib": 23000}
    return Gpu(index=index, name=name, compute_capability=capability, **base | values)


def test_no_gpu() -> None:
    assert doctor(machine(gpus=()), new())["gpu-missing"].level == "note"


@pytest.mark.parametrize(
    ("capability", "cuda", "wrong"),
    [
        ("8.9", "11.8", False),
        ("9.0", "11.7", True),
        ("9.0", "12.4", False),
        ("10.0", "12.6", True),
        ("12.0", "12.6", True),
        ("12.0", "12.8", False),
        ("12.1", "12.8", True),
        ("12.1", "13.0", False),
        ("7.0", "12.8", False),
        ("7.0", "13.0", True),
        ("8.9", "cpu", True),
        (None, "13.0", False),
        ("8.9", None, False),
    ],
)
def test_torch_knows_the_gpu(capability: str | None, cuda: str | None, wrong: bool) -> None:
    facts, on = machine(gpus=(gpu(capability=capability),)), new(torch_cuda=cuda)
    assert ("torch-cuda" in preflight(on, facts)) is wrong
    assert ("torch-cuda" in doctor(facts, on)) is wrong
    assert "torch-cuda" not in preflight(on, facts, device="cpu")


@pytest.mark.parametrize(
    ("capability", "driver", "wheel"), [("12.1", "13.0", "cu130"), ("12.0", "12.9", "cu128"), ("7.0", "13.0", "cu126")]
)
def test_the_torch_to_install_is_named(capability: str, driver: str, wheel: str) -> None:
    on = new(torch_cuda="13.0" if wheel == "cu126" else "12.4")
    found = preflight(on, machine(gpus=(gpu(capability=capability),), cuda=driver))["torch-cuda"]
    assert found.hint == (
        f"{ENV}/bin/python -m pip install 'torch==2.11.0' --index-url https://download.pytorch.org/whl/{wheel}"
    )


@pytest.mark.parametrize(
    ("driver", "cuda", "built", "old_driver"),
    [
        ("550.120", "12.4", "13.0", True),
        ("550.120", "12.4", "12.8", False),
        ("525.60", "12.0", "11.8", False),
        ("580.95.05", "13.0", "13.0", False),
        ("550.120", None, "13.0", False),
    ],
)
def test_the_driver_runs_the_cuda_of_torch(driver: str, cuda: str | None, built: str, old_driver: bool) -> None:
    facts, on = machine(gpus=(gpu(),), driver=driver, cuda=cuda), new(torch_cuda=built)
    assert ("driver-old" in preflight(on, facts)) is old_driver
    assert "driver-old" not in preflight(on, facts, device="cpu")
    if old_driver:
        assert "sudo apt-get install nvidia-driver-580-open" in (doctor(facts, on)["driver-old"].hint or "")


@pytest.mark.parametrize(
    ("driver", "cuda", "wrong"),
    [("580.82.07", "13.0", False), ("575.51.03", "12.9", True), ("580.95.05", "12.9", True), ("590.44", None, False)],
)
def test_a_spark_needs_driver_580_and_cuda_13(driver: str, cuda: str | None, wrong: bool) -> None:
    spark = gpu("NVIDIA GB10", "12.1", memory_total_mib=None, memory_free_mib=None, unified=True)
    facts = machine(machine="aarch64", gpus=(spark,), driver=driver, cuda=cuda)
    found = preflight(old(torch_cuda="13.0"), facts)
    assert ("driver-old" in found) is wrong
    if wrong:
        assert found["driver-old"].message.startswith("NVIDIA GB10 needs driver 580 with CUDA 13.0")


TRAINER = GpuProcess(pid=4242, name="python", memory_mib=18000)
BUSY, FREE = gpu(memory_free_mib=6000, processes=(TRAINER,)), gpu(index=1)


@pytest.mark.parametrize(
    ("asked", "environ", "busy"),
    [
        ({}, {}, ["0"]),
        ({"device": "cuda:0"}, {}, ["0"]),
        ({"device": "cuda"}, {}, ["0"]),
        ({"device": "cuda:1"}, {}, []),
        ({"device": "auto"}, {}, []),
        ({"device": "cpu"}, {}, []),
        ({}, {"CUDA_VISIBLE_DEVICES": "1"}, []),
        ({"device": "cuda:1"}, {"CUDA_VISIBLE_DEVICES": "1,0"}, ["0"]),
        ({"gpus": "2"}, {}, ["0"]),
        ({"gpus": "all"}, {}, ["0"]),
        ({"gpus": "2"}, {"LOCAL_RANK": "1", "WORLD_SIZE": "2"}, []),
        ({"gpus": "2"}, {"LOCAL_RANK": "0", "WORLD_SIZE": "2"}, ["0"]),
    ],
)
@pytest.mark.parametrize("on", [old(), new()])
def test_a_busy_gpu_is_told_when_it_is_the_one(
    on: Installation, asked: dict[str, Any], environ: dict[str, str], busy: list[str]
) -> None:
    found = preflight(on, machine(gpus=(BUSY, FREE), environ=environ), **asked)
    assert [finding.message.split()[1] for code, finding in found.items() if code == "gpu-busy"] == busy


def test_who_holds_a_gpu_is_told() -> None:
    found = preflight(new(), machine(gpus=(BUSY, FREE)))["gpu-busy"]
    assert (found.level, found.message) == (
        "warning",
        "GPU 0 is busy: python (pid 4242) holds 18 GiB; 5.9 GiB are free",
    )
    assert found.hint == "take a free one with --device auto, or choose with CUDA_VISIBLE_DEVICES"
    several = preflight(new(), machine(gpus=(BUSY, FREE, replace(FREE, index=2))), gpus="3")["gpu-busy"]
    assert several.hint == "leave it to whoever has it: CUDA_VISIBLE_DEVICES=1,2"
    alone = preflight(new(), machine(gpus=(BUSY,)))["gpu-busy"]
    assert alone.hint == "wait for it, or stop it if it is yours: nvidia-smi"


def test_a_small_gpu() -> None:
    small = gpu(memory_total_mib=4000, memory_free_mib=3500)
    assert "has little memory; 3.4 GiB are free" in preflight(new(), machine(gpus=(small,)))["gpu-memory-low"].message
    assert "gpu-memory-low" not in preflight(new(), machine(gpus=(gpu(),)))


def test_a_mask_that_hides_or_mixes() -> None:
    unlike = (gpu("GTX 1660", "7.5"), gpu(index=1))
    hidden = doctor(machine(gpus=unlike, environ={"CUDA_VISIBLE_DEVICES": "-1"}), new(torch_cuda="12.8"))
    assert hidden["gpu-hidden"].message == "CUDA_VISIBLE_DEVICES='-1' hides every GPU"
    mask = {"CUDA_VISIBLE_DEVICES": "1"}
    mixed = preflight(new(), machine(gpus=unlike, environ=mask))
    assert mixed["gpu-order"].hint == "export CUDA_DEVICE_ORDER=PCI_BUS_ID"
    assert "gpu-order" not in preflight(new(), machine(gpus=(gpu(), gpu(index=1)), environ=mask))
    ordered = mask | {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert "gpu-order" not in preflight(new(), machine(gpus=unlike, environ=ordered))


# Isaac Lab and its Python


def test_no_isaac_lab() -> None:
    assert doctor(machine())["isaaclab-missing"].level == "error"


@pytest.mark.parametrize(
    ("on", "level"),
    [
        (new(python_version="3.13"), "error"),
        (new(python_version="3.11"), "error"),
        (old(python_version="3.10"), None),
        (old(python_version="3.13"), "warning"),
        (old("2.1.0", python_version="3.11", packages={"rsl-rl-lib": "2.3.1"}, sim_version="4.5.0"), "warning"),
        (new(python_version=None), None),
    ],
)
def test_the_python_of_each_version(on: Installation, level: str | None) -> None:
    for found in (doctor(machine(), on), preflight(on)):
        assert (found["python-version"].level if "python-version" in found else None) == level


# Libraries


@pytest.mark.parametrize(
    ("on", "library", "said"),
    [
        (old(packages={"rsl-rl-lib": "5.0.1"}), "rsl_rl", "too new for"),
        (old(packages={"rsl-rl-lib": "2.3.3"}), "rsl_rl", "too old for"),
        (old(packages={"rsl-rl-lib": "3.0.1"}), "rsl_rl", None),
        (old(packages={"skrl": "2.0.0"}), "skrl", "too new for"),
        (old(packages={"skrl": "1.4.2"}), "skrl", "too old for"),
        (old(packages={"stable-baselines3": "2.5.0"}), "sb3", "too old for"),
        (old(packages={"stable-baselines3": "2.9.2"}), "sb3", None),
        (old(packages={"rl-games": "1.6.0"}), "rl_games", "too old for"),
        (new(packages={"rsl-rl-lib": "3.1.2"}), "rsl_rl", "too old for"),
        (new(packages={"rsl-rl-lib": "5.6.0"}), "rsl_rl", None),
        (new(packages={"skrl": "1.4.3"}), "skrl", "too old for"),
    ],
)
def test_the_version_of_a_library(on: Installation, library: str, said: str | None) -> None:
    found = preflight(on, library=library)
    assert ("library-version" in found) is (said is not None)
    if said:
        assert found["library-version"].level == "error"
        assert said in found["library-version"].message
        assert "library-version" in doctor(machine(), on)
        other = "rl_games" if library != "rl_games" else "skrl"
        assert "library-version" not in preflight(on, library=other)


@pytest.mark.parametrize(
    ("on", "hint"),
    [
        (old(packages={"rsl-rl-lib": "5.0.1"}), f"{LAB}/isaaclab.sh -p -m pip install 'rsl-rl-lib==3.1.2'"),
        (new(packages={"rsl-rl-lib": "3.1.2"}), f"{ENV}/bin/python -m pip install 'rsl-rl-lib==5.5.1'"),
    ],
)
def test_the_remedy_goes_into_the_right_python(on: Installation, hint: str) -> None:
    assert preflight(on)["library-version"].hint == hint


def test_a_library_that_is_missing() -> None:
    on = new(without="skrl")
    found = preflight(on, library="skrl")["library-missing"]
    assert (found.level, found.hint) == ("error", f"{ENV}/bin/python -m pip install 'skrl==2.1.1'")
    assert preflight(on) == {}
    assert doctor(machine(), on)["library-missing"].level == "note"


def test_no_library_at_all_stops_training() -> None:
    bare = package(packages=(("torch", "2.11.0"), ("moviepy", "1.0.3")), python_version="3.12", torch_cuda="13.0")
    assert doctor(machine(), bare)["library-missing"].level == "error"


def test_a_list_without_torch_is_not_the_whole() -> None:
    part = package(packages=(("isaaclab", "3.0.0"), ("moviepy", "1.0.3")))
    assert preflight(part) == {}
    assert doctor(machine(), part) == {}


def test_rl_games_of_3_0_needs_gym() -> None:
    found = preflight(new(without="gym"), library="rl_games", num_envs=4096)["library-missing"]
    assert found.message == "rl_games needs gym, which is not installed"
    assert preflight(new(without="gym")) == {}


def test_jax_is_not_brought_by_anybody() -> None:
    asked: dict[str, Any] = {"library": "skrl", "options": ("--ml_framework=jax",)}
    found = preflight(new(), **asked)["library-missing"]
    assert found.message == "--ml_framework jax needs jax, flax, optax: not installed beside Isaac Lab"
    assert (found.hint or "").endswith(" -m pip install 'jax[cuda13]' 'flax' 'optax'")
    whole = {"jax": "0.12.0", "flax": "0.12.12", "optax": "0.2.8"}
    assert "library-missing" not in preflight(new(packages=whole), **asked)
    assert "library-missing" not in preflight(new(), library="skrl", options=("--ml_framework=torch",))


def test_rsl_rl_needs_git() -> None:
    bare = machine(git=False)
    assert doctor(bare, new())["git-missing"].level == "error"
    assert preflight(new(), bare)["git-missing"].hint == "sudo apt-get install git"
    assert "git-missing" not in preflight(new(), bare, library="skrl")
    assert "git-missing" not in preflight(new(), machine(git=False, environ={"GIT_PYTHON_REFRESH": "quiet"}))


def test_an_old_torch() -> None:
    found = preflight(new(packages={"torch": "2.9.1"}))["torch-version"]
    assert (found.level, found.message) == (
        "warning",
        "torch 2.9.1 is older than Isaac Lab 3.0.0 is made for (2.11.0)",
    )
    assert "torch-version" not in preflight(old(packages={"torch": "2.9.0+cu130"}))


def test_moviepy_counts_with_video_alone() -> None:
    on = new(isaacsim=True, eula=True, without="moviepy")
    assert preflight(on, video=True)["moviepy"].hint == f"{ENV}/bin/python -m pip install 'moviepy<2'"
    assert "moviepy" not in preflight(on)
    assert doctor(machine(), on)["moviepy"].level == "note"
    too_new = new(isaacsim=True, eula=True, packages={"moviepy": "2.2.1"})
    assert preflight(too_new, video=True)["moviepy"].message == "a video cannot be written: moviepy 2.2.1 is too new"
    assert preflight(old(), video=True) == {}
    # Without Isaac Sim planning tells it.
    assert "moviepy" not in preflight(new(without="moviepy"), video=True)


def test_every_release_has_requirements() -> None:
    for release in RELEASES:
        wanted = requirements(release)
        for _, requirement in wanted.libraries:
            assert requirement.accepts(requirement.tested)
    assert requirements("2.3.1").library("rsl_rl").tested == "3.0.1"
    assert requirements("2.2.1").pythons == ("3.10", "3.11")


@pytest.mark.parametrize(
    ("version", "other", "is_older"),
    [("2.9", "2.11", True), ("2.11.0+cu130", "2.11", False), ("1.4.3.post1", "1.4.3", False), ("580", "580.65", True)],
)
def test_versions_are_compared_by_number(version: str, other: str, is_older: bool) -> None:
    assert older(version, other) is is_older


# The simulator

KIT_TASK = "Isaac-Factory-PegInsert-Direct-v0"
KIT = new(isaacsim=True, eula=True, packages={"isaacsim": "6.2.0.0"})


@pytest.mark.parametrize(
    ("on", "level"), [(old(), "error"), (old("2.1.0", sim_version="4.5.0"), "warning"), (KIT, "error"), (new(), None)]
)
def test_an_old_c_library(on: Installation, level: str | None) -> None:
    facts = machine(glibc="2.31")
    found = doctor(facts, on)
    assert (found["glibc-old"].level if "glibc-old" in found else None) == level


def test_a_device_that_was_passed_through_counts_as_far_as_it_can_be_read() -> None:
    facts = machine(gpus=(BUSY, FREE))
    assert preflight(new(), facts, passthrough=("--device", "cuda:0")).keys() == {"gpu-busy"}
    assert preflight(new(), facts, passthrough=("--device", "cuda:x")) == {}


def test_a_newton_task_starts_no_simulator() -> None:
    facts = machine(glibc="2.31")
    assert "glibc-old" not in preflight(KIT, facts)
    assert "glibc-old" in preflight(KIT, facts, task=KIT_TASK, library="rl_games")
    assert "glibc-old" in preflight(KIT, facts, headless=False)
    assert "glibc-old" in preflight(KIT, facts, overrides=("physics=isaacsim_physx",))
    assert "glibc-old" in preflight(KIT, facts, video=True)
    assert "glibc-old" in preflight(old(), facts)


@pytest.mark.parametrize(
    ("on", "environ", "level"),
    [
        (replace(KIT, eula=False), {}, "error"),
        (replace(KIT, eula=False), {"OMNI_KIT_ACCEPT_EULA": "YES"}, None),
        (replace(KIT, eula=False), {"OMNI_KIT_ACCEPT_EULA": "no"}, "error"),
        (KIT, {}, None),
        (replace(KIT, eula=None), {}, None),
        (old(eula=False), {}, "warning"),
    ],
)
def test_the_licence_is_for_the_user_to_accept(on: Installation, environ: dict[str, str], level: str | None) -> None:
    facts = machine(environ=environ)
    decided = planned(on, KIT_TASK, machine=facts)
    assert "OMNI_KIT_ACCEPT_EULA" not in dict(decided.env)
    for found in (doctor(facts, on), preflight(on, facts, task=KIT_TASK, library="rl_games")):
        assert (found["eula"].level if "eula" in found else None) == level
    if level:
        assert (found["eula"].hint or "").endswith("export OMNI_KIT_ACCEPT_EULA=YES")


def test_a_run_without_the_simulator_needs_no_licence() -> None:
    assert "eula" not in preflight(replace(KIT, eula=False))


@pytest.mark.parametrize(
    ("on", "told"),
    [
        (old(sim_version="5.1.0"), False),
        (old(sim_version="4.5.0"), False),
        (old(sim_version="6.0.1"), True),
        (old("2.1.0", sim_version="5.0.0", packages={"rsl-rl-lib": "2.3.1"}), True),
        (KIT, False),
        (new(isaacsim=True, eula=True, packages={"isaacsim": "5.1.0.0"}), True),
    ],
)
def test_the_isaac_sim_of_each_version(on: Installation, told: bool) -> None:
    assert ("isaacsim-version" in doctor(machine(), on)) is told


def test_a_checkout_without_isaac_sim() -> None:
    lost = checkout("2.3.2", isaacsim=None)
    assert doctor(machine(), lost)["isaacsim-missing"].level == "error"
    found_in_environment = old(isaacsim=None, sim_version=None, packages={"isaacsim": "5.1.0"})
    assert "isaacsim-missing" not in doctor(machine(), found_in_environment)


def test_rendering_needs_rt_cores() -> None:
    facts = machine(gpus=(gpu("NVIDIA H100 80GB HBM3", "9.0"),))
    assert doctor(facts, old())["rt-cores-missing"].level == "note"
    assert "rt-cores-missing" not in preflight(old(), facts)
    assert preflight(old(), facts, video=True)["rt-cores-missing"].level == "warning"
    camera = preflight(old(), facts, task="Isaac-Cartpole-RGB-v0", library="rl_games", num_envs=512)
    assert "rt-cores-missing" in camera
    assert "rt-cores-missing" not in preflight(new(), facts, video=True)
    assert "rt-cores-missing" not in doctor(machine(gpus=(gpu("NVIDIA RTX A6000"),)), old())


def test_gl() -> None:
    assert doctor(machine(gl=False), new())["gl-missing"].level == "note"
    assert "gl-missing" not in preflight(new(), machine(gl=False))


# Assets


@pytest.mark.parametrize(
    ("values", "environ", "code"),
    [
        ({"asset_host": False}, {}, "asset-host"),
        ({"asset_host": True}, {}, None),
        ({"asset_host": None}, {}, None),
        ({"asset_root": False}, {"ISAACSIM_ASSET_ROOT": "/assets"}, "assets-empty"),
        ({"asset_root": True}, {"ISAACSIM_ASSET_ROOT": "/assets"}, None),
        ({"asset_host": False}, {"ISAACSIM_ASSET_ROOT": "https://mirror/assets"}, None),
    ],
)
def test_assets(values: dict[str, Any], environ: dict[str, str], code: str | None) -> None:
    found = doctor(machine(environ=environ, **values), new())
    assert list(found) == ([code] if code else [])


# Storage


def folder(purpose: str, free: int = 100_000, *, path: str = "/work dir/logs", writable: bool = True) -> Folder:
    return Folder(purpose=purpose, path=path, free_mib=free, writable=writable)


@pytest.mark.parametrize(
    ("place", "code", "level"),
    [
        (folder("logs"), None, None),
        (folder("logs", 5119), "disk-low", "warning"),
        (folder("logs", 511), "disk-full", "error"),
        (folder("logs", writable=False), "logs-unwritable", "error"),
        (folder("logs", 0, path="/elsewhere"), None, None),
        (folder("cache", 2047), "disk-low", "warning"),
        (folder("cache", 255), "disk-full", "error"),
        (folder("cache", writable=False), "cache-unwritable", "warning"),
        (folder("temp", 500), "disk-low", "warning"),
        (folder("temp", 63), "disk-full", "error"),
        (folder("temp", writable=False), "temp-unwritable", "warning"),
        (folder("shm", 64), None, None),
    ],
)
def test_folders(place: Folder, code: str | None, level: str | None) -> None:
    found = preflight(new(), machine(folders=(place,)))
    assert {code: finding.level for code, finding in found.items()} == ({code: level} if code else {})


def test_shared_memory_counts_for_several_gpus() -> None:
    facts = machine(gpus=(gpu(), gpu(index=1)), folders=(folder("shm", 64),))
    assert preflight(new(), facts, gpus="2")["shm-small"].hint == "start the container with --ipc=host or --shm-size=8g"
    assert "shm-small" not in preflight(new(), facts)
    assert "shm-small" in doctor(facts, new())
    assert "shm-small" not in doctor(machine(folders=(folder("shm", 64),)), new())


# The shell


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/opt/ros/humble/lib/python3.10/site-packages", "ROS's packages"),
        ("/home/me/lib/python3.10/site-packages", "packages of another Python"),
        ("/home/me/lib/python3.12/site-packages", None),
        ("/home/me/project", None),
        ("", None),
    ],
)
def test_a_search_path(path: str, told: str | None) -> None:
    facts = machine(environ={"PYTHONPATH": path})
    for found in (preflight(new(), facts), doctor(facts, new())):
        assert ("pythonpath" in found) is (told is not None)
        assert told is None or told in found["pythonpath"].message


CONDA = {"CONDA_DEFAULT_ENV": "base", "CONDA_PREFIX": "/conda"}


def test_condas_base() -> None:
    facts = machine(environ=CONDA)
    assert (doctor(facts, old())["conda-base"].hint or "").startswith("conda deactivate")
    assert "conda-base" in preflight(old(), facts)
    # This one is started by its own Python, whatever is active.
    assert "conda-base" not in preflight(new(), facts)
    assert "conda-base" not in doctor(machine(environ=CONDA | {"CONDA_DEFAULT_ENV": "lab"}), old())


# What was computed

COMPUTED = Computation(
    seconds=9.6, torch="2.11.0", torch_cuda="13.0", device="cuda:0", gpu="RTX", error=3e-7, nvrtc=True, warp="1.17.0"
)


def computed(on: Installation, gpus: int = 1, **values: Any) -> tuple[tuple[str, ...], dict[str, Finding]]:
    section = groups.for_computation(replace(COMPUTED, warp_device="cuda:0", **values), on, gpus)
    return section.lines, {finding.code: finding for finding in section.findings}


def test_a_gpu_that_computes() -> None:
    lines, found = computed(new(), ranks=2)
    assert lines == (
        "torch 2.11.0 computes on cuda:0 (RTX), error 3e-07, and compiles for it",
        "Warp 1.17.0 compiles for and computes on cuda:0",
        "2 ranks reduce 4 MiB over their GPUs",
        "took 10 s",
    )
    assert found == {}


def test_a_gpu_that_is_not_used() -> None:
    _, found = computed(new(), device="cpu")
    assert found["gpu-unused"].message == "there is a GPU, and torch computes on the CPU"
    assert found["gpu-unused"].level == "error"
    assert list(computed(new(), gpus=0, device="cpu", error=2e-6)[1]) == ["deep-cpu"]


def test_wrong_numbers() -> None:
    assert computed(new(), error=0.02)[1]["deep-wrong"].level == "error"
    assert computed(new(), error=9e-4)[1] == {}


@pytest.mark.parametrize("part", ["python", "torch", "nvrtc", "warp", "ranks"])
def test_a_part_that_fails(part: str) -> None:
    found = computed(new(), problems=((part, "RuntimeError: no"),))[1][f"deep-{part}"]
    assert found.level == "error"
    assert found.message.endswith(": RuntimeError: no")
    assert found.hint


def test_2_x_has_warp_inside_the_simulator() -> None:
    problem = ("warp", "ModuleNotFoundError: No module named 'warp'")
    assert computed(old(), problems=(problem,))[1]["deep-warp"].level == "note"
    assert computed(new(), problems=(problem,))[1]["deep-warp"].level == "error"
