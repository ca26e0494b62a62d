"""Counts, seeds and devices, and the arithmetic that a library insists on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from spark_rl import gpus
from spark_rl.errors import RequestError
from spark_rl.model import Finding
from spark_rl.plan.parts import NOTHING, Part, because, join

if TYPE_CHECKING:
    from spark_rl.plan.parts import Context, Target

_DEVICE = re.compile(r"cpu|cuda(:\d+)?")
_HORIZON = "agent.params.config.horizon_length"
_MINIBATCH = "agent.params.config.minibatch_size"


def counts(context: Context) -> Part:
    """Pass the env count, the seed and the iterations on.

    Raises:
        RequestError: This version's play has no ``--seed``, or a number makes no sense.
    """
    request = context.request
    for name, value in (("--num-envs", request.num_envs), ("--max-iterations", request.max_iterations)):
        if value is not None and value < 1:
            raise RequestError(f"{name} must be at least 1, not {value}", "leave it out for the task's own number")
    if request.seed is not None and not -1 <= request.seed < 2**32:
        raise RequestError(f"--seed must be from 0 to 2^32 - 1, not {request.seed}", "--seed -1 draws one")
    if request.seed is not None and request.action == "play" and not context.target.profile.play_takes_seed:
        raise RequestError(
            f"play of Isaac Lab {context.facts.installation.version} has no --seed",
            "leave it out, or use 2.2.1 or newer",
        )
    given = (
        ("--num_envs", request.num_envs),
        ("--seed", request.seed),
        ("--max_iterations", request.max_iterations),
    )
    words = tuple(word for name, value in given if value is not None for word in (name, str(value)))
    return Part(words=words, reasons=_chosen_count(context), findings=_other_batch(context))


def _chosen_count(context: Context) -> tuple[tuple[str, str], ...]:
    reason = context.request.num_envs_reason
    return because("num_envs", reason) if reason else ()


def _other_batch(context: Context) -> tuple[Finding, ...]:
    """Say what an env count that nobody named does to the learning."""
    count, usual = context.request.num_envs, context.target.task.task.num_envs
    if context.request.num_envs_reason is None or not (count and usual) or count == usual:
        return ()
    return (
        Finding(
            code="env-count-auto",
            level="note",
            message=f"{count} environments instead of the task's {usual} make each batch {count / usual:.3g} times as "
            "large, and the learning another one",
            hint=f"--num-envs {usual} learns as the task was tuned to",
        ),
    )


def device(context: Context) -> Part:
    """Put simulation and agent on one device: ``--device`` alone moves the simulation only.

    Raises:
        RequestError: There is no such device, or this version's play cannot move the agent to it.
    """
    if context.request.device == "auto":
        return _chosen(context)
    asked = context.request.device
    if asked is not None:
        return _moved(context, asked, "asked for", _no_such_gpu(context, asked))
    if context.visible_gpus or context.distributed:
        return NOTHING
    return _moved(context, "cpu", "no GPU can be seen", (_NO_GPU,) if context.old else ())


def _chosen(context: Context) -> Part:
    """Return what ``--device auto`` means on this machine."""
    if context.distributed:
        return Part(reasons=because("device", "auto: each rank has a GPU of its own"))
    host = context.facts.host
    chosen, why = gpus.choose(host)
    if not _moves_agent(context) and chosen != "cpu":
        why = f"auto: play of Isaac Lab {context.facts.installation.version} leaves the agent on cuda:0"
        return _moved(context, "cuda:0", why)
    part = _moved(context, chosen, why, (_NO_GPU,) if chosen == "cpu" and context.old else ())
    if not gpus.own_order(host) or gpus.numbered_mask(host):
        return part
    order = because("CUDA_DEVICE_ORDER", "unlike GPUs: CUDA would number the fastest first")
    return join((part, Part(env=(("CUDA_DEVICE_ORDER", "PCI_BUS_ID"),), reasons=order)))


def _moves_agent(context: Context) -> bool:
    """Say whether play can have its agent on another device than ``cuda:0``; train always can."""
    profile, library = context.target.profile, context.target.library
    fixed = context.request.action == "play" and not profile.play_takes_overrides
    return not fixed or not profile.agent_device_overrides(library)


def _moved(context: Context, chosen: str, why: str, findings: tuple[Finding, ...] = ()) -> Part:
    """Return the words that put simulation and agent on ``chosen``."""
    if not _DEVICE.fullmatch(chosen):
        raise RequestError(f"--device must be cpu, cuda, cuda:N or auto, not {chosen!r}", "for example --device cuda:1")
    words, reasons = ("--device", chosen), because("device", why)
    if chosen in ("cuda", "cuda:0"):
        return Part(words=words, reasons=reasons, findings=findings)
    target = context.target
    if context.request.action == "play" and not target.profile.play_takes_overrides:
        if context.request.device not in (None, "auto") and target.profile.agent_device_overrides(target.library):
            raise RequestError(
                f"play of Isaac Lab {context.facts.installation.version} leaves {target.library}'s agent on cuda:0",
                "leave --device out, or use Isaac Lab 2.2.1 or newer",
            )
        return Part(words=words, reasons=reasons, findings=findings)
    keys = target.profile.agent_device_overrides(target.library, context.request.action)
    missing = tuple(f"{key}={chosen}" for key in keys if target.override(key.lstrip("+")) is None)
    return Part(words=words, overrides=missing, reasons=reasons, findings=findings)


def _no_such_gpu(context: Context, chosen: str) -> tuple[Finding, ...]:
    number = chosen.partition(":")[2] or "0"
    index = int(number) if number.isdecimal() else 0
    if chosen == "cpu" or index < context.visible_gpus:
        return ()
    count = context.visible_gpus
    seen = "no GPU can be seen" if not count else "1 GPU can be seen" if count == 1 else f"{count} GPUs can be seen"
    return (
        Finding(code="device-missing", level="warning", message=f"--device {chosen}: {seen}", hint="spark-rl doctor"),
    )


_NO_GPU = Finding(
    code="gpu-missing",
    level="warning",
    message="this machine has no NVIDIA GPU that can be seen, and Isaac Sim needs one",
    hint="check the driver: nvidia-smi",
)


def batches(context: Context) -> Part:
    """Check rl_games' rule: env count times horizon is a multiple of the minibatch.

    Raises:
        RequestError: It is not; the hint names the nearest counts and minibatches that are valid.
    """
    target = context.target
    if target.library != "rl_games" or context.request.action != "train":
        return NOTHING
    envs = context.request.num_envs or _whole(target.override("env.scene.num_envs")) or target.task.task.num_envs
    horizon, minibatch = batch_rule(target)
    if not (envs and horizon and minibatch) or envs * horizon % minibatch == 0:
        return NOTHING
    near = " or ".join(f"--num-envs {count}" for count in valid_counts(envs, horizon, minibatch))
    raise RequestError(
        f"rl_games needs env count x horizon ({envs} x {horizon} = {envs * horizon}) to be a multiple of its "
        f"minibatch size, {minibatch}",
        f"use {near}, or add {_MINIBATCH}={valid_minibatch(envs, horizon, minibatch)} (and the same in "
        "central_value_config, where the config has one)",
    )


def batch_rule(target: Target) -> tuple[int | None, int | None]:
    """Return rl_games' horizon and the minibatch that env count times horizon must be a multiple of, where known.

    The other libraries have no such rule.
    """
    if target.library != "rl_games":
        return None, None
    horizon = _whole(target.override(_HORIZON)) or target.agent.horizon
    return horizon, _whole(target.override(_MINIBATCH)) or target.agent.minibatch


def valid_counts(envs: int, horizon: int, minibatch: int) -> tuple[int, ...]:
    """Return the nearest env counts below and above ``envs`` whose batch is a multiple of ``minibatch``."""
    from math import gcd

    step = minibatch // gcd(minibatch, horizon)
    below = envs // step * step
    return (below, below + step) if below else (step,)


def valid_minibatch(envs: int, horizon: int, minibatch: int) -> int:
    """Return the largest size up to ``minibatch`` that the batch is a multiple of.

    It is a multiple of ``horizon`` where it can be: a recurrent policy needs whole sequences.
    """
    whole = (count * horizon for count in range(min(envs, minibatch // horizon), 0, -1) if envs % count == 0)
    largest = (size for size in range(min(envs * horizon, minibatch), 0, -1) if envs * horizon % size == 0)
    return next(whole, None) or next(largest)


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
