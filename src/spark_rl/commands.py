"""From a request back to the words of a command that means it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spark_rl.model import Plan, Request

_NAMED = (
    *("task", "library", "algorithm", "num_envs", "max_iterations", "seed", "device", "run_name", "checkpoint"),
    *("gpus", "save_every"),
)
"""Fields of a request that are options with a value."""


def train(request: Request, more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the words of ``spark-rl train`` that mean a request, and ``more`` options.

    Nothing of it hangs on a recipe any more. What spark-rl has a default for is left out.
    """
    named = ((name, "auto" if name == "num_envs" and request.auto_envs else getattr(request, name)) for name in _NAMED)
    window = {True: ("--headless",), False: ("--no-headless",), None: ()}[request.headless]
    return (
        "train",
        *(word for name, value in named if value is not None for word in (f"--{name.replace('_', '-')}", str(value))),
        *window,
        *(("--video",) if request.video else ()),
        *(("--assets", request.assets) if request.assets != "auto" else ()),
        *(("--no-preflight",) if not request.preflight else ()),
        *more,
        *request.options,
        *request.overrides,
        *(("--", *request.passthrough) if request.passthrough else ()),
    )


def with_options(plan: Plan, more: tuple[str, ...]) -> Plan:
    """Return a plan whose commands for other hosts have ``more`` options, which no request holds."""
    nodes = tuple(replace(one, command=(*one.command[:2], *more, *one.command[2:])) for one in plan.nodes)
    return replace(plan, nodes=nodes)
