"""What one line of a trainer's output tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spark_rl.records import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What one line of a trainer's output tells; None stands for what it does not tell.

    Counts are the RL library's own, made to start at 1 and to end at their total:

    - ``iteration`` of ``max_iterations`` (rsl_rl, rl_games, and sb3's table) is an iteration that is done. Resumed
      runs of rsl_rl and rl_games count on from their checkpoint, and their total does too: rsl_rl resumed at
      ``model_5.pt`` for 4 more tells 6 of 9 first (it does iteration 5 again) and 9 of 9 last. sb3 starts at 1 again.
    - ``timesteps`` of ``timesteps_total`` (skrl, sb3) are env steps of one environment in skrl and of all of them in
      sb3: an iteration is ``rollouts`` of the former, ``n_steps`` times ``num_envs`` of the latter. Both start at 0
      again when resumed.

    ``env_steps`` counts those of all environments and ranks since this child's start, ``fps`` is in the same per
    second. ``reward`` and ``length`` (env steps) are means over finished episodes; a reward can be NaN. A ``phase``
    may come late or again: only one that is further on than the last one counts.

    ``run_folder`` is the run folder's name below ``log_root``, or its beginning (rsl_rl adds ``_<run_name>``, skrl
    ``_<experiment_name>``). ``checkpoint`` is a file that is being written or has just been, ``loaded`` the one that
    the child goes on from (sb3 names none). ``finished`` is the trainer's own word that training is over; sb3 says so
    when it was interrupted too, and skrl writes its last checkpoint afterwards.
    """

    phase: Phase | None = None
    iteration: int | None = None
    max_iterations: int | None = None
    timesteps: int | None = None
    timesteps_total: int | None = None
    env_steps: int | None = None
    fps: float | None = None
    iteration_seconds: float | None = None
    reward: float | None = None
    length: float | None = None
    log_root: str | None = None
    run_folder: str | None = None
    checkpoint: str | None = None
    loaded: str | None = None
    finished: bool = False
