"""Play a policy for a number of env steps and write what it earned.

Run by path inside Isaac Lab's Python (3.10 or later), never imported by spark-rl::

    python play.py --steps N -- isaaclab play --task T ...                        (Isaac Lab 3.0)
    isaaclab.sh -p play.py --steps N -- scripts/.../rsl_rl/play.py --task T ...   (2.x)

Isaac Lab's own play ends by itself only with ``--video`` and prints no return. Here its unchanged entry runs in this
process with the env's ``step`` counted: one count is one call for all environments. After N of them the result is
written and the play is ended so that the env, its video and the simulator close as they normally would.

The result goes to the file of ``--result``, else of ``SPARK_RL_RESULT``, else to ``play-result.json`` here.
Only finished episodes make the mean return: over fewer steps than ``max_episode_length`` it leans to short episodes.

Exit code: 0 after N steps, 1 when no step was played; else the entry's own.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import functools
import json
import math
import os
import runpy
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCHEMA = "spark-rl/play-result/1"
SUCCESS_KEYS = ("Metrics/success_rate", "successes")
CHECKPOINT_NAMES = ("resume_path", "checkpoint_path")


class Finished(BaseException):
    """The last env step is counted; not an ``Exception``, so that no one on the way treats it as a failure."""


class Tally:
    """Returns and lengths of the episodes of a vectorised env, from what its ``step`` returns.

    A multi-agent env gives dicts keyed by agent: the return of an episode is the team's, the sum over its agents, and
    an environment's episode is over when every agent terminated or every agent timed out, which is when Isaac Lab
    resets it.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.lengths: list[int] = []
        self.running: dict[str, list[float]] = {}
        self.rewards: dict[str, float] = {}
        self.episodes: list[tuple[dict[str, float], int]] = []
        self.successes = 0.0
        self.judged = 0

    def add(self, rewards: Any, terminated: Any, truncated: Any, extras: Any) -> None:
        """Count one step of all environments."""
        done = [a or b for a, b in zip(_by_all(terminated), _by_all(truncated), strict=True)]
        self.steps += 1
        self.lengths = [length + 1 for length in self.lengths or [0] * len(done)]
        for agent, column in _columns(rewards).items():
            running = self.running.get(agent) or [0.0] * len(done)
            self.running[agent] = [total + reward for total, reward in zip(running, column, strict=True)]
            self.rewards[agent] = self.rewards.get(agent, 0.0) + sum(column)
        ended = [index for index, over in enumerate(done) if over]
        for index in ended:
            self._end_episode(index)
        self._judge(extras, len(ended))

    def _end_episode(self, index: int) -> None:
        self.episodes.append(({agent: column[index] for agent, column in self.running.items()}, self.lengths[index]))
        self.lengths[index] = 0
        for column in self.running.values():
            column[index] = 0.0

    def _judge(self, extras: Any, ended: int) -> None:
        """Read the success rate of the episodes that ended in this step; between resets ``extras`` is stale."""
        rate = _success(extras) if ended else None
        if rate is not None:
            self.successes += rate * ended
            self.judged += ended

    def summary(self) -> dict[str, Any]:
        """Return the result's numbers; None where there is nothing to tell, NaN where the numbers are not finite."""
        num_envs = len(self.lengths)
        env_steps = self.steps * num_envs
        returns = [sum(episode.values()) for episode, _ in self.episodes]
        numbers: dict[str, Any] = {
            "steps": self.steps,
            "num_envs": num_envs,
            "env_steps": env_steps,
            "episodes": len(returns),
            **_spread(returns),
            "mean_length": _mean([length for _, length in self.episodes]),
            "partial_return": self._partial(self.running),
            "mean_reward_per_step": sum(self.rewards.values()) / env_steps if env_steps else None,
        }
        if self.judged:
            numbers["success_rate"] = self.successes / self.judged
        if len(self.running) > 1:
            numbers["agents"] = {agent: self._agent(agent, env_steps) for agent in self.running}
        return numbers

    def _agent(self, agent: str, env_steps: int) -> dict[str, Any]:
        return {
            "mean_return": _mean([episode.get(agent, 0.0) for episode, _ in self.episodes]),
            "partial_return": self._partial([agent]),
            "mean_reward_per_step": self.rewards[agent] / env_steps,
        }

    def _partial(self, agents: Any) -> float | None:
        """Return the mean return so far of the episodes that are still running."""
        unfinished = [index for index, length in enumerate(self.lengths) if length]
        return _mean([sum(self.running[agent][index] for agent in agents) for index in unfinished])


class Play:
    """One bounded play: counts the env's steps, writes the result once, then lets the play end."""

    def __init__(self, *, steps: int, result: Path, task: str | None, grace: float) -> None:
        self.limit = steps
        self.result = result
        self.task = task
        self.grace = grace
        self.tally = Tally()
        self.complete = False
        self.written = False
        self.app: Any = None
        self.env: Any = None
        self.checkpoint: str | None = None
        self.first = self.last = 0.0

    def watch_gymnasium(self) -> None:
        """Count the steps of the env that ``gymnasium.make`` will create."""
        import gymnasium

        gymnasium.make = self.watching(gymnasium.make)

    def watching(self, create: Any) -> Any:
        """Wrap a function that creates an env."""

        @functools.wraps(create)
        def make(*args: Any, **kwargs: Any) -> Any:
            env = create(*args, **kwargs)
            if self.env is None and hasattr(env.unwrapped, "num_envs"):
                self._watch_env(env)
            return env

        return make

    def _watch_env(self, env: Any) -> None:
        # On the instance, below all wrappers: each of them, and Isaac Lab's multi-agent conversions, ends up here once.
        self.env = env
        self.checkpoint = _checkpoint()
        inner = env.unwrapped
        inner.step = functools.partial(self._step, inner.step)
        inner.close = self._writing_before(inner.close)

    def _step(self, step: Any, *args: Any, **kwargs: Any) -> Any:
        if self.complete:
            raise Finished
        self.first = self.first or time.perf_counter()
        outcome = step(*args, **kwargs)
        self.tally.add(*outcome[1:5])
        self.last = time.perf_counter()
        if self.tally.steps >= self.limit:
            self._finish()
        return outcome

    def _finish(self) -> None:
        self.complete = True
        self.write("steps")
        watchdog = threading.Timer(self.grace, _leave, [0])
        watchdog.daemon = True
        watchdog.start()
        if self.app is None:
            raise Finished

    def watch_launcher(self) -> None:
        """Follow the app that 2.x' ``AppLauncher`` starts; gymnasium is imported only after it, as its scripts do."""
        from isaaclab.app import AppLauncher

        start = AppLauncher.__init__

        @functools.wraps(start)
        def started(launcher: Any, *args: Any, **kwargs: Any) -> None:
            start(launcher, *args, **kwargs)
            self._watch_app(launcher.app)
            self.watch_gymnasium()

        AppLauncher.__init__ = started

    def _watch_app(self, app: Any) -> None:
        self.app = app
        is_running = app.is_running
        # Every 2.x play loops while the app runs, then closes env and app itself: no exception needed.
        app.is_running = lambda: not self.complete and is_running()
        # Kit ends the process from inside close(), with 0 whatever happened: what matters must come before.
        app.close = self._writing_before(app.close)

    def _writing_before(self, close: Any) -> Any:
        @functools.wraps(close)
        def closing(*args: Any, **kwargs: Any) -> Any:
            self.write("early")
            if self.app is not None and not self.played:
                _complain_of_no_step()
                _leave(1)
            return close(*args, **kwargs)

        return closing

    @property
    def played(self) -> bool:
        """Whether a step was counted, here or by the process that Isaac Lab started in our place."""
        return self.tally.steps > 0 or self.result.exists()

    def write(self, ended: str) -> None:
        """Write the result, the first time with a counted step; later calls change nothing."""
        if self.written or not self.tally.steps:
            return
        self.written = True
        document, finite = _finite(self._document(ended))
        if not finite:
            document["nan"] = True
        draft = self.result.with_name(f".{self.result.name}.{os.getpid()}")
        draft.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        draft.replace(self.result)

    def _document(self, ended: str) -> dict[str, Any]:
        inner = self.env.unwrapped
        step_dt, horizon = (getattr(inner, name, None) for name in ("step_dt", "max_episode_length"))
        return {
            "schema": SCHEMA,
            "task": self.task,
            **self.tally.summary(),
            "max_episode_length": None if horizon is None else int(horizon),
            "step_dt": None if step_dt is None else float(step_dt),
            "wall_seconds": self.last - self.first,
            "checkpoint": self.checkpoint,
            "ended": ended,
        }

    def run(self, entry: str, args: list[str]) -> int | str | None:
        """Run Isaac Lab's entry to its end; return the exit code."""
        code: int | str | None = 0
        try:
            _enter(self, entry, args)
        except Finished:
            self._close()
        except SystemExit as stop:
            code = stop.code
        except BaseException as failure:
            self.write("early")
            if not self.complete:
                self._fail(failure)
                raise
            traceback.print_exc()
        self.write("early")
        if not self.played and code in (0, None):
            _complain_of_no_step()
            code = 1
        return code

    def _close(self) -> None:
        """Close what a 2.x script that never asked ``is_running`` left open; 3.0's contexts have closed theirs."""
        if self.app is not None:
            with contextlib.suppress(Exception):
                self.env.close()
            self.app.close()

    def _fail(self, failure: BaseException) -> None:
        """Leave a failed 2.x script with a code that says so, which Kit's own exit would not."""
        if self.app is not None:
            traceback.print_exc()
            _leave(130 if isinstance(failure, KeyboardInterrupt) else 1)


def _enter(play: Play, entry: str, args: list[str]) -> None:
    """Run ``isaaclab ARGS`` (3.0) or the script ``entry`` (2.x) as if it had been started itself."""
    sys.argv = [entry, *args]
    if entry != "isaaclab":
        sys.path[0] = str(Path(entry).resolve().parent)
        play.watch_launcher()
        runpy.run_path(entry, run_name="__main__")
        return
    sys.path[0] = str(Path.cwd())
    import isaaclab.cli

    _stay_in_charge(isaaclab.cli, play)
    play.watch_gymnasium()
    if _option(args, "--frontend") == "warp":
        from isaaclab_experimental.envs.frontend import WarpFrontend

        WarpFrontend.build_env = play.watching(WarpFrontend.build_env)
    isaaclab.cli.cli()


def _stay_in_charge(cli: Any, play: Play) -> None:
    """Let 3.0's CLI, where it restarts itself under a local Isaac Sim's ``python.sh``, restart this driver instead."""
    start = cli.run_python_command
    bounds = ["--steps", str(play.limit), "--result", str(play.result), "--grace", str(play.grace)]
    words = [*bounds, "--", *sys.argv]

    def restart(*_: Any, **__: Any) -> None:
        sys.exit(start(Path(__file__).resolve(), words).returncode)

    cli.run_python_command = restart


def _columns(values: Any) -> dict[str, list[Any]]:
    """Return one list per agent of a tensor, or of a dict of tensors; a single agent has the name ''."""
    named = values if isinstance(values, Mapping) else {"": values}
    return {agent: column.tolist() for agent, column in named.items()}


def _by_all(flags: Any) -> list[bool]:
    """Return, per environment, whether the flag is set for every agent."""
    return [all(row) for row in zip(*_columns(flags).values(), strict=True)]


def _success(extras: Any) -> float | None:
    """Return the success rate that 3.0's tasks log (2.x: the factory tasks), None where there is none."""
    for source in (extras.get("log"), extras) if isinstance(extras, Mapping) else ():
        for key in SUCCESS_KEYS:
            if isinstance(source, Mapping) and key in source:
                with contextlib.suppress(TypeError, ValueError, RuntimeError):
                    return float(source[key])
    return None


def _checkpoint() -> str | None:
    """Return the checkpoint path as Isaac Lab's play functions hold it when they create the env."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        for name in CHECKPOINT_NAMES:
            value = frame.f_locals.get(name)
            if isinstance(value, (str, os.PathLike)):
                return os.path.abspath(value)  # noqa: PTH100 - a link stays the path that was asked for
        frame = frame.f_back
    return None


def _mean(values: list[Any]) -> float | None:
    return sum(values) / len(values) if values else None


def _spread(returns: list[float]) -> dict[str, float | None]:
    """Return mean, population standard deviation and extremes; all NaN when any return is not finite."""
    names = ("mean_return", "std_return", "min_return", "max_return")
    if not returns:
        return dict.fromkeys(names)
    if not all(map(math.isfinite, returns)):
        return dict.fromkeys(names, math.nan)
    mean = sum(returns) / len(returns)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in returns) / len(returns))
    return dict(zip(names, (mean, deviation, min(returns), max(returns)), strict=True))


def _finite(value: Any) -> tuple[Any, bool]:
    """Return the value with every NaN and infinity as None, and whether there was none of them."""
    if isinstance(value, dict):
        pairs = {key: _finite(item) for key, item in value.items()}
        return {key: item for key, (item, _) in pairs.items()}, all(finite for _, finite in pairs.values())
    if isinstance(value, float) and not math.isfinite(value):
        return None, False
    return value, True


def _option(words: list[str], name: str) -> str | None:
    """Return the value of ``--name VALUE`` or ``--name=VALUE``, the last one given."""
    found = None
    for index, word in enumerate(words):
        if word == name and index + 1 < len(words):
            found = words[index + 1]
        elif word.startswith(f"{name}="):
            found = word.partition("=")[2]
    return found


def _complain_of_no_step() -> None:
    sys.stderr.write("play ended without a single env step: no checkpoint to play, or it failed before (see above)\n")


def _leave(code: int) -> None:
    """End the process now: nothing after this changes the exit code."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(usage="play.py --steps N [--result FILE] -- ENTRY ...", allow_abbrev=False)
    here = os.environ.get("SPARK_RL_RESULT") or "play-result.json"
    parser.add_argument("--steps", type=int, required=True, help="env steps, each of all environments")
    parser.add_argument(
        "--result", type=Path, default=Path(here), help="JSON file to write (default: $SPARK_RL_RESULT)"
    )
    parser.add_argument("--grace", type=float, default=60.0, help="seconds to close in, after the result is written")
    cut = argv.index("--") if "--" in argv else len(argv)
    options = parser.parse_args(argv[:cut])
    if options.steps < 1 or not argv[cut + 1 :]:
        parser.error("--steps must be at least 1, and an entry must follow --")
    options.entry, *options.args = argv[cut + 1 :]
    return options


def main(argv: list[str]) -> int | str | None:
    """Run the driver; return the exit code."""
    options = _parse(argv)
    options.result = options.result.absolute()
    options.result.unlink(missing_ok=True)
    task = _option(options.args, "--task")
    play = Play(steps=options.steps, result=options.result, task=task, grace=options.grace)
    # First in is last out: after everyone else's, the exit code of a play that reached its steps is 0.
    atexit.register(lambda: _leave(0) if play.complete else None)
    return play.run(options.entry, options.args)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
