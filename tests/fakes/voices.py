"""How each RL library trains, as seen from outside: its words, counts and files.

Counting is each library's own, taken from tests/recordings: ``first`` is the number of iterations that a resumed run
counts on from, ``last`` the one it ends at.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import ClassVar

from fakes import files
from fakes.voice import Voice, option, say


class RslRl(Voice):
    library = "rsl_rl"
    horizon = 16
    save = 50

    def find_checkpoint(self) -> Path | None:
        if self.generation >= 3:
            return super().find_checkpoint()
        if "--resume" not in self.argv:
            return None
        root = Path("logs", "rsl_rl", "cartpole_direct").resolve()
        wanted = option(self.argv, "--load_run") or ".*"
        run = max(path for path in root.iterdir() if re.match(wanted, path.name))
        name = option(self.argv, "--checkpoint") or "model_.*.pt"
        return max((path for path in run.iterdir() if re.match(name, path.name)), key=lambda path: f"{path.name:0>15}")

    def span(self) -> tuple[int, int]:
        start = int(str(self.content.get("iter", 0)))
        return start, start + self.iterations

    def run_name(self) -> str:
        name = option(self.argv, "--run_name")
        return f"_{name}" if name else ""

    def agent(self) -> str:
        return (
            f"seed: 42\nnum_steps_per_env: {self.horizon}\nmax_iterations: {self.iterations}\n"
            f"save_interval: {self.save_interval}\nexperiment_name: cartpole_direct\n"
        )

    def iteration(self, done: int, reward: float) -> None:
        number = done - 1
        say("#" * 80, f"\x1b[1m{f' Learning iteration {number}/{self.last} '.center(80)}\x1b[0m ", "")
        steps = (done - self.first) * self.horizon * self.num_envs
        values = self.values_5(steps) if self.generation >= 3 else self.values_3(steps)
        values |= {"Mean reward": f"{reward:.2f}", "Mean episode length": f"{self.length(done):.2f}"}
        values |= {"Mean action std": "0.97", "Iteration time": "0.29s"}
        values |= {} if self.generation >= 3 else {"Total timesteps": str(steps)}
        left = (self.last - done) * 0.3
        values |= {"Time elapsed": "00:00:02", "ETA": f"{left:.1f}s" if self.old else f"00:00:{left % 60:02.0f}"}
        say(*(f"{name + ':':>40} {value}" for name, value in values.items()), "")
        self.events.scalar("Perf/total_fps", 3493, number)
        self.events.scalar("Train/mean_reward", reward, number)
        self.events.scalar("Train/mean_episode_length", self.length(done), number)
        if number % self.save_interval == 0:
            self.store(f"model_{number}.pt", {"iter": number})

    def values_5(self, steps: int) -> dict[str, str]:
        return {"Total steps": f"{steps} ", "Steps per second": "3493 ", "Collection time": "0.237s "}

    def values_3(self, steps: int) -> dict[str, str]:
        return {"Computation": "3493 steps/s (collection: 0.237s, learning 0.054s)", "Mean action noise std": "0.97"}

    def end(self) -> None:
        self.store(f"model_{self.last - 1}.pt", {"iter": self.last - 1})
        self.time_told()


class RlGames(Voice):
    library = "rl_games"
    horizon = 32
    save = 50
    best_from: ClassVar[int] = 100

    def span(self) -> tuple[int, int]:
        start = int(str(self.content.get("epoch", 0)))
        return start, max(self.iterations, start + 1)

    def named(self) -> str:
        return str(self.run) if self.generation >= 3 else self.stamp

    def event_file(self) -> Path:
        return self.run / "summaries" / f"events.out.tfevents.{int(time.time())}.fake"

    def agent(self) -> str:
        return (
            f"params:\n  seed: 42\n  config:\n    name: cartpole_direct\n    max_epochs: {self.iterations}\n"
            f"    save_best_after: {self.best_from}\n    save_frequency: {self.save_interval}\n"
            f"    horizon_length: {self.horizon}\n    minibatch_size: 2048\n"
        )

    def begin(self) -> None:
        super().begin()
        say("Started to train", f"Exact experiment name requested from command line: {self.run.name}")
        if self.loaded:
            say(f"=> loading checkpoint '{self.loaded}'")

    def iteration(self, done: int, reward: float) -> None:
        frame = (done - 1) * self.horizon * self.num_envs
        speeds = "fps step: 4645 fps step and policy inference: 4321 fps total: 4111"
        say(f"{speeds} epoch: {done}/{self.iterations} frames: {frame}")
        self.events.scalar("performance/step_inference_rl_update_fps", 4111, frame)
        for name, value in (("rewards", reward), ("episode_lengths", self.length(done))):
            self.events.scalar(f"{name}/step", value, frame)
            self.events.scalar(f"{name}/iter", value, done)
        if done % self.save_interval == 0:
            self.keep(f"last_cartpole_direct_ep_{done}_rew_{reward}", done)
        if done >= self.best_from:
            say(f"saving next best rewards:  [{reward}]")
            self.keep("cartpole_direct", done)

    def keep(self, stem: str, done: int) -> None:
        say(f"=> saving checkpoint '{self.run / 'nn' / stem}.pth'")
        self.store(f"nn/{stem}.pth", {"epoch": done, "frame": done * self.horizon * self.num_envs})

    def end(self) -> None:
        self.keep(f"last_cartpole_direct_ep_{self.last}_rew__{self.reward(self.last)}_", self.last)
        say("MAX EPOCHS NUM!")
        self.time_told()


class Skrl(Voice):
    library = "skrl"
    horizon = 32
    save = 0

    def __init__(self, argv: list[str], *, iterations: int, save: int | None, generation: int, old: bool) -> None:
        self.suffix = f"_{(option(argv, '--algorithm') or 'ppo').lower()}_torch"
        super().__init__(argv, iterations=iterations, save=save, generation=generation, old=old)

    def agent(self) -> str:
        return (
            f"seed: 42\nagent:\n  class: PPO\n  rollouts: {self.horizon}\n  experiment:\n    directory: {self.root}\n"
            f"trainer:\n  class: SequentialTrainer\n  timesteps: {self.iterations * self.horizon}\n"
        )

    def loading(self) -> tuple[str, ...]:
        return (f"[INFO] Loading model checkpoint from: {self.loaded}",)

    def begin(self) -> None:
        super().begin()
        self.bar(0)

    def bar(self, done: int) -> None:
        now, total = done * self.horizon, self.iterations * self.horizon
        share = now / total
        full = "█" * int(share * 10)
        say(f"\r{share:>4.0%}|{full:<10}| {now}/{total} [00:02<00:06, 48.41it/s]", end="")

    def iteration(self, done: int, reward: float) -> None:
        self.bar(done)
        now = done * self.horizon
        own = int(option(self.argv, "agent.agent.experiment.checkpoint_interval") or self.save_interval * self.horizon)
        interval = own or max(1, self.iterations * self.horizon // 10)
        self.events.scalar("Reward / Total reward (mean)", reward, now)
        self.events.scalar("Episode / Total timesteps (mean)", self.length(done), now)
        for step in range(now - self.horizon + 1, now + 1):
            if step % interval == 0:
                self.store(f"checkpoints/agent_{step}.pt", {"policy": {}})
                self.store("checkpoints/best_agent.pt", {"policy": {}})

    def end(self) -> None:
        say("")
        self.time_told()
        if self.generation >= 3:
            self.store(f"checkpoints/agent_{self.iterations * self.horizon}.pt", {"policy": {}})
            say(f"[INFO] Saved final agent checkpoint to: {self.run}/checkpoints")


class Sb3(Voice):
    library = "sb3"
    horizon = 16
    save = 0
    done = 0

    def experiment(self) -> str:
        return self.task

    def event_file(self) -> Path:
        """Return the event file: a resumed model writes on in the run folder that it came from."""
        home = Path(str(self.content.get("tensorboard_log", self.run)))
        folder = home if self.old else home / f"PPO_{1 + len(list(home.glob('PPO_*')))}"
        return folder / f"events.out.tfevents.{int(time.time())}.fake.0"

    def agent(self) -> str:
        steps = self.iterations * self.horizon * self.num_envs
        return f"seed: 42\nn_timesteps: {steps}\npolicy: MlpPolicy\nn_steps: {self.horizon}\nbatch_size: 4096\n"

    def write_manifest(self) -> None:
        super().write_manifest()
        (self.run / "command.txt").write_text(" ".join(self.argv), encoding="utf-8")

    def loading(self) -> tuple[str, ...]:
        return ("== CURRENT SYSTEM INFO ==", "", "== SAVED MODEL SYSTEM INFO ==")

    def begin(self) -> None:
        super().begin()
        say(f"Logging to {self.event_folder}")

    def iteration(self, done: int, reward: float) -> None:
        self.done = done
        steps, interval = done * self.horizon * self.num_envs, self.save_interval * self.horizon or 1000
        every = 1 if self.old else int(option(self.argv, "--log_interval") or 100_000)
        if steps // every > (steps - self.horizon * self.num_envs) // every:
            self.table(done, steps, reward)
        for calls in range((done - 1) * self.horizon + 1, done * self.horizon + 1):
            if calls % interval == 0:
                path = self.run / f"model_{calls * self.num_envs}_steps.zip"
                self.model(path, calls * self.num_envs)
                say(f"Saving model checkpoint to {path}")

    def table(self, done: int, steps: int, reward: float) -> None:
        values = {"rollout/": "", "   ep_len_mean": f"{self.length(done):g}", "   ep_rew_mean": f"{reward:.3g}"}
        values |= {"time/": "", "   fps": "3559"} | ({"   iterations": str(done)} if self.old else {})
        values |= {"   total_timesteps": str(steps)}
        say("-" * 40, *(f"| {name:<24}| {value:<10}|" for name, value in values.items()), "-" * 40)
        self.events.scalar("rollout/ep_rew_mean", reward, steps)
        self.events.scalar("rollout/ep_len_mean", self.length(done), steps)

    def model(self, path: Path, steps: int) -> None:
        home = self.content.get("tensorboard_log", str(self.run))
        files.write_model(path, {"num_timesteps": steps, "tensorboard_log": home})

    def end(self) -> None:
        self.leave(self.iterations)

    def interrupted(self) -> None:
        """End as if training were over: the bar where it is, the last model, the time."""
        self.leave(self.done)

    def leave(self, done: int) -> None:
        size = self.horizon * self.num_envs
        bar = f"{done * size:,}/{self.iterations * size:,}  [ 0:00:03 < 0:00:00 , 3,559 it/s ]"
        if not self.old:
            say(f" {done * 100 // self.iterations:>3}% {'━' * (26 * done // self.iterations):<26} {bar}")
        self.model(self.run / "model.zip", done * size)
        say("Saving to:", str(self.run / "model.zip"))
        self.time_told()


VOICES: dict[str, type[Voice]] = {voice.library: voice for voice in (RslRl, RlGames, Skrl, Sb3)}
