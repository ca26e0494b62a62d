"""Plans from values alone: facts of a machine that exists nowhere, and a request, in one call."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from spark_rl import catalogues
from spark_rl.catalog import Catalog
from spark_rl.errors import RequestError
from spark_rl.model import ActiveEnvironment, CheckpointFile, Gpu, Host, Installation, Plan, Request, Task
from spark_rl.plan import Facts, plan, resolve

LAB, ENV, CWD = "/lab", "/env", "/work dir"
"""Where the checkout and the environment lie, and where the user is."""

HOSTS = Path(__file__).parent / "hosts"
"""Machines as ``doctor --json`` describes them."""

GPU = Gpu(index=0, name="GPU", memory_total_mib=24000)
RENAMES = catalogues.renames()
KITLESS_PACKAGES = (("isaaclab", "3.0.0"), ("moviepy", "1.0.3"))

shipped = cache(catalogues.shipped)


def host(*, gpus: int = 1, machine: str = "x86_64", environ: dict[str, str] | None = None, **values: Any) -> Host:
    """Describe a machine without a display, by default with one GPU."""
    base: dict[str, Any] = {
        "machine": machine,
        "os": "Linux",
        "cpu_count": 8,
        "memory_total_mib": 32000,
        "memory_available_mib": 30000,
        "libgomp": f"/lib/{machine}-linux-gnu/libgomp.so.1",
        "display": False,
        "gl": True,
        "gpus": (GPU,) * gpus,
        "environ": tuple((environ or {}).items()),
    }
    return Host(**base | values)


def checkout(version: str, **values: Any) -> Installation:
    """Describe a checkout at :data:`LAB` with Isaac Sim linked into it."""
    base: dict[str, Any] = {"version": version, "kind": "checkout", "path": LAB, "isaacsim": True}
    return Installation(**base | values)


def package(*, isaacsim: bool | None = False, **values: Any) -> Installation:
    """Describe an environment at :data:`ENV` with the 3.0.0 package in it."""
    base: dict[str, Any] = {
        "version": "3.0.0",
        "kind": "package",
        "path": ENV,
        "python": f"{ENV}/bin/python",
        "isaacsim": isaacsim,
        "packages": KITLESS_PACKAGES,
    }
    return Installation(**base | values)


def lab(name: str, **values: Any) -> Installation:
    """Return the installation that a test table calls ``2.3.2``, ``kitless`` or ``kit`` (3.0.0 with Isaac Sim)."""
    if name in ("kitless", "kit"):
        return package(isaacsim=name == "kit", **values)
    return checkout(name, **values)


def facts(
    installation: Installation,
    *,
    machine: Host | None = None,
    active: tuple[ActiveEnvironment, ...] = (),
    extra: tuple[Task, ...] = (),
) -> Facts:
    """Return the facts of an installation; its tasks are the shipped ones and ``extra``."""
    catalog = shipped(installation.version)
    return Facts(
        installation=installation,
        chosen="named by --isaaclab",
        host=machine or host(),
        catalog=Catalog(version=catalog.version, tasks=(*catalog.tasks, *extra)),
        renames=RENAMES,
        driver="/spark/play.py",
        wrapper="/cache/python-with-preload",
        embedded="/spark/assets",
        active=active,
    )


def planned(
    on: str | Installation,
    task: str,
    action: str = "train",
    *,
    machine: Host | None = None,
    active: tuple[ActiveEnvironment, ...] = (),
    extra: tuple[Task, ...] = (),
    checkpoints: tuple[CheckpointFile, ...] = (),
    **asked: Any,
) -> Plan:
    """Return the plan of a request; ``asked`` are fields of :class:`Request`."""
    known = facts(lab(on) if isinstance(on, str) else on, machine=machine, active=active, extra=extra)
    named: dict[str, Any] = {"action": action, "task": task, "cwd": CWD}
    request = Request(**named | asked)
    request, target = resolve(request, known)
    return plan(request, known, target, checkpoints)


def refused(on: str | Installation, task: str, action: str = "train", **asked: Any) -> RequestError:
    """Return the refusal of a request that must have no plan."""
    with pytest.raises(RequestError) as caught:
        planned(on, task, action, **asked)
    assert caught.value.exit_code == 2
    return caught.value


def words(value: Plan) -> list[str]:
    """Return the words that follow the task on the command line."""
    return list(value.argv[value.argv.index("--task") + 2 :])


def codes(value: Plan) -> dict[str, str]:
    """Return the findings as code to level."""
    return {finding.code: finding.level for finding in value.findings}


def reason(value: Plan, name: str) -> str | None:
    """Return why something was decided, None where no reason is given."""
    return dict(value.reasons).get(name)
