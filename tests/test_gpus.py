"""Which GPUs a run sees, which one ``--device auto`` takes, and what makes one busy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from planning import codes, host, planned, reason, words
from spark_rl import gpus
from spark_rl.model import Gpu, GpuProcess, Host

CARTPOLE = "Isaac-Cartpole-Direct-v0"


def gpu(index: int, free: int | None = 23000, *held: GpuProcess, **values: Any) -> Gpu:
    base: dict[str, Any] = {"name": "RTX 4090", "memory_total_mib": 24000, "uuid": f"GPU-{index}{index}aa"}
    return Gpu(index=index, memory_free_mib=free, processes=held, **base | values)


def machine(*seen: Gpu, mask: str | None = None, **environ: str) -> Host:
    named = environ if mask is None else {**environ, "CUDA_VISIBLE_DEVICES": mask}
    return replace(host(environ=named), gpus=seen)


TRAINER = GpuProcess(pid=4242, name="python", memory_mib=18000)
FOUR = tuple(gpu(index) for index in range(4))


@pytest.mark.parametrize(
    ("mask", "seen"),
    [
        (None, [0, 1, 2, 3]),
        ("", []),
        ("-1", []),
        ("2", [2]),
        ("3, 1", [3, 1]),
        ("1,-1,2", [1]),
        ("0,9,1", [0]),
        ("GPU-22aa", [2]),
        ("GPU-33,GPU-0", [3, 0]),
        ("GPU-99", []),
        ("GPU-", []),
        ("1,banana,2", [1]),
    ],
)
def test_the_mask_is_read_as_cuda_reads_it(mask: str | None, seen: list[int]) -> None:
    assert [found.index for found in gpus.visible(machine(*FOUR, mask=mask))] == seen


def test_a_mig_device_counts_and_nothing_more_is_known_of_it() -> None:
    (found,) = gpus.visible(machine(*FOUR, mask="MIG-5f1c"))
    assert (found.name, found.memory_total_mib) == ("MIG-5f1c", None)


def test_uuids_of_a_document_without_any_count() -> None:
    old = tuple(replace(found, uuid=None) for found in FOUR)
    assert len(gpus.visible(machine(*old, mask="GPU-ab,GPU-cd"))) == 2


@pytest.mark.parametrize(
    ("found", "held"),
    [
        (gpu(0), None),
        (gpu(0, 6000, TRAINER), "python (pid 4242) holds 18 GiB"),
        (gpu(0, 23000, GpuProcess(pid=1, name="compositor", memory_mib=90)), None),
        (gpu(0, None, GpuProcess(pid=7)), "a process of another container or user (pid 7) holds memory"),
        (gpu(0, 9000), "15 GiB are held by what cannot be seen from here"),
        (gpu(0, 19000), None),
        (gpu(0, None, memory_total_mib=None, unified=True), None),
        (
            gpu(0, 0, *(GpuProcess(pid=pid, name="python", memory_mib=300 + pid) for pid in range(5))),
            "python (pid 4) holds 0.3 GiB, python (pid 3) holds 0.3 GiB, python (pid 2) holds 0.3 GiB and 2 more",
        ),
    ],
)
def test_what_makes_a_gpu_busy(found: Gpu, held: str | None) -> None:
    assert gpus.busy(found) == held


@pytest.mark.parametrize(
    ("seen", "mask", "device", "why"),
    [
        ((), None, "cpu", "no GPU can be seen"),
        ((gpu(0),), None, "cuda:0", "GPU 0 (RTX 4090), with 22 GiB free: the only one that can be seen"),
        ((gpu(0, 20000), gpu(1, 23000)), None, "cuda:1", "GPU 1 (RTX 4090), with 22 GiB free: the most of 2"),
        ((gpu(0), gpu(1)), None, "cuda:0", "the most of 2"),
        (
            (gpu(0, 6000, TRAINER), gpu(1, 5000)),
            "0,1",
            "cuda:0",
            "none of 2 is free, and it has most memory left",
        ),
        (
            (gpu(0, 23900, TRAINER), gpu(1, 21000), gpu(2, 22000)),
            None,
            "cuda:2",
            "the most of those that are free (1 of 3 busy)",
        ),
        (FOUR, "3,2", "cuda:0", "GPU 3 "),
        ((gpu(0), gpu(1, 6000, TRAINER), gpu(2)), "1,GPU-22", "cuda:1", "GPU 2 "),
        ((gpu(0), gpu(1, 6000, TRAINER), gpu(2)), "GPU-11,GPU-22", "cuda:1", "GPU 2 "),
    ],
)
def test_the_free_gpu_with_most_memory_is_taken(seen: tuple[Gpu, ...], mask: str | None, device: str, why: str) -> None:
    chosen, reasons = gpus.choose(machine(*seen, mask=mask))
    assert chosen == device
    assert why in reasons


def test_memory_shared_with_the_cpu_is_the_systems() -> None:
    spark = gpu(0, None, name="NVIDIA GB10", memory_total_mib=None, unified=True)
    assert gpus.choose(machine(spark))[1] == (
        "auto: GPU 0 (NVIDIA GB10), with 29 GiB free of shared memory: the only one that can be seen"
    )


# In a plan.

AUTO: dict[str, Any] = {"device": "auto", "headless": True}


def test_auto_moves_simulation_and_agent() -> None:
    plan = planned("2.3.2", CARTPOLE, machine=machine(gpu(0, 6000, TRAINER), gpu(1)), **AUTO)
    assert words(plan) == ["--headless", "--device", "cuda:1", "agent.device=cuda:1"]
    assert reason(plan, "device") == (
        "auto: GPU 1 (RTX 4090), with 22 GiB free: the most of those that are free (1 of 2 busy)"
    )
    assert plan.env == ()


def test_auto_without_a_gpu_is_the_cpu() -> None:
    plan = planned("kitless", CARTPOLE, machine=machine(), **AUTO)
    assert words(plan) == ["--device", "cpu", "agent.device=cpu"]
    assert codes(planned("2.3.2", CARTPOLE, machine=machine(), **AUTO)) == {"gpu-missing": "warning"}


def test_ranks_have_gpus_of_their_own() -> None:
    plan = planned("kitless", CARTPOLE, machine=machine(*FOUR), gpus="2", **AUTO)
    assert "--device" not in plan.argv
    assert reason(plan, "device") == "auto: each rank has a GPU of its own"


def test_a_play_that_cannot_move_its_agent_takes_the_first() -> None:
    seen = machine(gpu(0, 6000, TRAINER), gpu(1))
    plan = planned("2.1.0", CARTPOLE, "play", library="rsl_rl", machine=seen, checkpoint="pretrained", **AUTO)
    assert "cuda:0" in plan.argv
    assert reason(plan, "device") == "auto: play of Isaac Lab 2.1.0 leaves the agent on cuda:0"


@pytest.mark.parametrize(
    ("mask", "order", "env"),
    [
        (None, None, (("CUDA_DEVICE_ORDER", "PCI_BUS_ID"),)),
        ("GPU-00,GPU-11", None, (("CUDA_DEVICE_ORDER", "PCI_BUS_ID"),)),
        ("0,1", None, ()),
        (None, "PCI_BUS_ID", ()),
    ],
)
def test_unlike_gpus_are_numbered_as_the_driver_does(
    mask: str | None, order: str | None, env: tuple[tuple[str, str], ...]
) -> None:
    environ = {} if order is None else {"CUDA_DEVICE_ORDER": order}
    seen = machine(gpu(0, name="GTX 1660"), gpu(1), mask=mask, **environ)
    assert planned("kitless", CARTPOLE, machine=seen, **AUTO).env == env


def test_the_same_host_gives_the_same_choice() -> None:
    seen = machine(*FOUR)
    assert planned("kitless", CARTPOLE, machine=seen, **AUTO) == planned("kitless", CARTPOLE, machine=seen, **AUTO)


@pytest.mark.parametrize(
    ("device", "ranks", "mask", "indices"),
    [
        (None, 1, None, (0,)),
        ("cuda:2", 1, None, (2,)),
        ("cuda:1", 1, "3,1", (1,)),
        (None, 2, "3,1,0", (3, 1)),
        ("cpu", 1, None, ()),
        ("cuda:9", 1, None, ()),
    ],
)
def test_the_gpus_of_a_run(device: str | None, ranks: int, mask: str | None, indices: tuple[int, ...]) -> None:
    assert gpus.used(machine(*FOUR, mask=mask), device, ranks) == indices


@pytest.mark.parametrize(
    ("device", "mask", "index"),
    [
        (None, None, 0),
        ("cuda", None, 0),
        ("cuda:2", None, 2),
        ("cuda:1", "3,1", 1),
        (None, "3,1", 3),
        ("cuda:9", None, None),
        ("cpu", None, None),
        (None, "", None),
        ("auto", "2", 2),
        ("auto", "", None),
    ],
)
def test_the_gpu_that_a_device_means(device: str | None, mask: str | None, index: int | None) -> None:
    found = gpus.of_device(machine(*FOUR, mask=mask), device)
    assert (found.index if found else None) == index
