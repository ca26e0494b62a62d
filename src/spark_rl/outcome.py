"""What a run came to; apart from the other words, since planning does without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spark_rl.model import Plan
    from spark_rl.records import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayResult:
    """What bounded play measured: ``steps`` per environment, returns and lengths (env steps) of finished episodes.

    The means are None when no episode finished.
    """

    steps: int
    num_envs: int
    episodes: int
    mean_return: float | None
    mean_length: float | None
    mean_reward_per_step: float | None
    checkpoint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What happened to a started plan: its record, the judgement and what it left.

    ``seconds`` of wall clock over all attempts, ``checkpoint`` the newest one it wrote, ``exported`` policy files.
    """

    state: str
    message: str
    plan: Plan
    run: Run
    exit_status: int
    seconds: float
    stopped_by: int | None = None
    checkpoint: str | None = None
    log_dir: str | None = None
    hint: str | None = None
    videos: tuple[str, ...] = ()
    exported: tuple[str, ...] = ()
    played: PlayResult | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Computation:
    """What a small computation in Isaac Lab's Python showed; a field is None where its part failed or was left out.

    ``device`` is where torch computed, ``error`` its largest relative error, ``nvrtc`` whether torch compiled a kernel
    for the GPU, ``ranks`` how many GPUs exchanged numbers. ``problems`` are (part, message).
    """

    seconds: float
    python: str | None = None
    torch: str | None = None
    torch_cuda: str | None = None
    device: str | None = None
    gpu: str | None = None
    error: float | None = None
    nvrtc: bool | None = None
    warp: str | None = None
    warp_device: str | None = None
    ranks: int | None = None
    problems: tuple[tuple[str, str], ...] = ()
