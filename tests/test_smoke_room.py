"""How many cells run at once: one on each GPU, and what the memory holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import planning
from proven import ANT
from spark_rl.smoke.room import KITLESS_MIB, Berth, Room, usual_jobs

CPU = Berth(need_mib=KITLESS_MIB)


def room(*, gpus: int = 0, jobs: int = 4, available: int | None = 20000, **values: Any) -> Room:
    host = planning.host(gpus=gpus)
    host = replace(host, gpus=tuple(replace(gpu, index=at, uuid=f"GPU-{at}") for at, gpu in enumerate(host.gpus)))
    return Room(host=replace(host, **values), jobs=jobs, isaacsim=False, available=lambda: available)


def test_no_more_cells_than_jobs() -> None:
    assert room(jobs=2).berth(ANT, "cpu", [(CPU, 0)]) is not None
    assert room(jobs=2).berth(ANT, "cpu", [(CPU, 0)] * 2) is None


def test_each_gpu_has_one_cell() -> None:
    two = room(gpus=2)
    first = two.berth(ANT, None, [])
    assert first is not None
    assert first.gpu == two.host.gpus[0]
    assert dict(first.env)["CUDA_VISIBLE_DEVICES"] == "GPU-0"
    second = two.berth(ANT, None, [(first, 0)])
    assert second is not None
    assert second.gpu == two.host.gpus[1]
    assert two.berth(ANT, None, [(first, 0), (second, 0)]) is None
    assert two.berth(ANT, "cpu", [(first, 0), (second, 0)]) is not None


def test_a_gpu_that_is_named_is_waited_for() -> None:
    two = room(gpus=2)
    second = two.berth(ANT, "cuda:1", [])
    assert second is not None
    assert (second.gpu, second.env) == (two.host.gpus[1], ())
    assert two.berth(ANT, "cuda:1", [(second, 0)]) is None


def test_the_only_gpu_needs_no_choosing() -> None:
    berth = room(gpus=1).berth(ANT, None, [])
    assert berth is not None
    assert (berth.gpu is not None, berth.env) == (True, ())


@pytest.mark.parametrize(
    ("available", "held", "fits"),
    [(8000, KITLESS_MIB, True), (8000, 0, False), (5000, KITLESS_MIB, False), (None, 0, True)],
)
def test_a_cell_waits_for_memory_that_others_have_yet_to_take(available: int | None, held: int, fits: bool) -> None:
    # 3072 MiB for the new one, as much for the other less what it holds, and the reserve of 2048 MiB.
    berth = room(available=available).berth(ANT, "cpu", [(CPU, held)])
    assert (berth is not None) is fits


def test_a_cell_alone_gets_what_there_is() -> None:
    assert room(available=100).berth(replace(ANT, memory_mib=10**6), "cpu", []) is not None


def test_a_cell_with_isaac_sim_needs_more() -> None:
    berth = replace(room(), isaacsim=True).berth(ANT, "cpu", [])
    assert berth is not None
    assert berth.need_mib > 3 * KITLESS_MIB


def test_cells_on_the_cpu_share_its_cores() -> None:
    berth = room(jobs=4).berth(ANT, "cpu", [])
    assert berth is not None
    assert berth.env == (("OMP_NUM_THREADS", "2"),)
    alone = room(jobs=1).berth(ANT, "cpu", [])
    chosen = room(jobs=4, environ=(("OMP_NUM_THREADS", "3"),)).berth(ANT, "cpu", [])
    assert alone is not None
    assert chosen is not None
    assert (alone.env, chosen.env) == ((), ())


@pytest.mark.parametrize(("gpus", "cores", "jobs"), [(3, 64, 3), (0, 2, 2), (0, 1, 1), (0, 64, 4)])
def test_usual_jobs(gpus: int, cores: int, jobs: int) -> None:
    assert usual_jobs(room(gpus=gpus, cpu_count=cores).host) == jobs
