"""A real Slurm of two nodes, and the fake trainer in its jobs: what becomes of a run that is submitted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ranked
from fakes import lab, slurmd
from recorded import measured
from spark_rl import registry, runs
from spark_rl.engines import Submission, slurm
from spark_rl.selection import BadRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_rl.records import Run

pytestmark = pytest.mark.wide
PATIENCE_S = 300.0
"""A job waits 10 s before it is started again, and Slurm looks at time limits every 30 s."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurmd.Slurm]:
    if why := slurmd.lacking():
        pytest.skip(why)
    slurm = slurmd.Slurm(tmp_path_factory.mktemp("slurm"))
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.stop()


class Desk:
    """A folder from which trainings are submitted to the cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lab = lab.package(folder / "env")
        self.notes = lab.Notes(folder / "notes")
        self.named = ("--task", "Isaac-Cartpole-Direct", "--library", "rsl_rl", "--isaaclab", str(self.lab))

    def call(self, *words: str) -> tuple[int, str, str]:
        """Call spark-rl and return its exit code, stdout and stderr."""
        done = subprocess.run(
            [sys.executable, "-m", "spark_rl", *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        return done.returncode, done.stdout, done.stderr

    def submit(self, *words: str) -> Run:
        """Submit a training on the CPU."""
        small = ("--device", "cpu", "--num-envs", "64", "--engine", "slurm", "--json")
        code, out, err = self.call("train", *self.named, *small, *words)
        assert code == 0, err
        return registry.load(json.loads(out)["runs"][0]["id"])

    def until(self, run: Run, condition: Callable[[Run], bool]) -> Run:
        """Wait until a run is so, as ``runs show`` sees it."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition(seen := runs.get(run.id)):
            assert time.monotonic() < deadline, f"{seen}\n{log(run)}"
            time.sleep(0.2)
        return seen


def log(run: Run) -> str:
    """Return what a run's job has printed."""
    file = run.job.log if run.job else None
    return Path(file).read_text(encoding="utf-8") if file and Path(file).exists() else ""


@pytest.fixture
def desk(cluster: slurmd.Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    (tmp_path / "desk").mkdir()
    desk = Desk(tmp_path / "desk")
    for name, value in (lab.environ("train", desk.notes) | cluster.env).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SPARK_RL_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(desk.folder)
    yield desk
    cluster.ask("scancel", "--user=root")
    lab.eventually(lambda: not cluster.ask("squeue", "-h").strip(), "an empty queue")
    desk.notes.sweep()


def behave(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.setenv("FAKE_TRAINER", words)


def test_a_training_is_submitted_followed_and_finished(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    behave(monkeypatch, "train pace=0.1")
    run = desk.submit("--max-iterations", "20", "--run-name", "first")
    assert run.job is not None
    assert slurm.poll(run.job.ident).state in ("pending", "running")
    code, out, _ = desk.call("runs", "log", run.id, "-f")
    assert (code, "Learning iteration 19/20" in out) == (0, True)
    code, out, _ = desk.call("runs", "attach", run.id)
    assert (code, out) == (0, f"succeeded: run {run.id}, done\n")
    ended = registry.load(run.id)
    assert (ended.state, ended.progress.iteration, len(ended.attempts)) == ("succeeded", 20, 1)
    desk.until(run, lambda _: slurm.poll(run.job.ident).state == "done")  # type: ignore[union-attr]


def test_a_training_that_fails_fails_its_job(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    behave(monkeypatch, "crash-at=5")
    run = desk.submit("--max-iterations", "20")
    failed = desk.until(run, lambda seen: seen.over)
    assert (failed.state, failed.failure) == ("failed", "unknown")
    assert "the physics exploded" in (failed.message or "")
    desk.until(run, lambda _: slurm.poll(run.job.ident).native == "FAILED")  # type: ignore[union-attr]


def test_a_job_that_ends_before_its_run_begins(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_RL_SLURM_SETUP", "echo no such module; exit 3")
    run = desk.submit("--max-iterations", "20")
    failed = desk.until(run, lambda seen: seen.over)
    assert (failed.state, failed.attempts) == ("failed", ())
    assert (failed.message or "").endswith("ended before its run began: FAILED (NonZeroExitCode)")
    assert desk.call("runs", "log", run.id)[:2] == (0, "no such module\n")


def test_a_running_job_is_cancelled(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    behave(monkeypatch, "train pace=0.5")
    run = desk.submit("--max-iterations", "1000")
    desk.until(run, lambda seen: (seen.progress.iteration or 0) > 2)
    code, out, _ = desk.call("runs", "stop", run.id)
    assert (code, out.startswith(f"interrupted: run {run.id}, stopped on request after")) == (0, True)
    desk.until(run, lambda _: slurm.poll(run.job.ident).native == "CANCELLED")  # type: ignore[union-attr]
    assert not lab.is_running(desk.notes.started()["pid"])


def test_a_waiting_job_is_shown_with_its_reason_and_cancelled(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_RL_SLURM_SBATCH", "--begin=now+1hour")
    run = desk.submit("--max-iterations", "20")
    desk.until(run, lambda seen: seen.job is not None and seen.job.native == "PENDING")
    assert "PENDING (BeginTime)" in desk.call("runs", "list")[1]
    code, out, _ = desk.call("runs", "stop", run.id)
    assert (code, out) == (0, f"interrupted: run {run.id}, slurm job {run.job.ident} was cancelled\n")  # type: ignore[union-attr]
    assert registry.load(run.id).state == "interrupted"


def test_a_time_limit_is_survived_until_the_budget_is_done(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    behave(monkeypatch, "train pace=0.5")
    run = desk.submit("--max-iterations", "140", "--time", "1m")
    waiting = desk.until(run, lambda seen: seen.waits and bool(seen.attempts))
    assert (waiting.state, waiting.attempts[0].state) == ("starting", "interrupted")
    done = desk.until(run, lambda seen: seen.over)
    assert (done.state, done.progress.iteration, done.progress.max_iterations) == ("succeeded", 140, 140), log(run)
    assert len(done.attempts) >= 2
    for before, after in zip(done.attempts, done.attempts[1:], strict=False):
        assert before.checkpoint == after.from_checkpoint
        assert 0 <= (before.iteration or 0) - after.first_iteration <= 13  # 6 s of work, and what was on its way


def test_a_limit_in_which_nothing_is_saved_is_no_endless_loop(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    behave(monkeypatch, "train pace=0.5 save=1000")
    run = desk.submit("--max-iterations", "1000", "--time", "1m", "--save-every", "1000")
    failed = desk.until(run, lambda seen: seen.over)
    assert (failed.state, len(failed.attempts)) == ("failed", 2)
    assert failed.message == "2 starts in a row came to no new checkpoint ahead of the time limit"


def test_a_job_that_slurm_starts_again_goes_on(
    desk: Desk, cluster: slurmd.Slurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    behave(monkeypatch, "1:pace=0.5")
    run = desk.submit("--max-iterations", "30", "--save-every", "4")
    assert run.job is not None
    desk.until(run, lambda seen: (seen.progress.checkpoint_iteration or 0) > 4)
    supervisor = registry.load(run.id).owner.pid
    os.kill(supervisor, 19)  # a host that is gone says no last word
    cluster.ask("scontrol", "requeue", run.job.ident)
    os.kill(supervisor, 9)
    waiting = desk.until(run, lambda seen: seen.job is not None and seen.job.native == "PENDING")
    assert waiting.state == "starting"
    done = desk.until(run, lambda seen: seen.over)
    assert (done.state, done.progress.iteration, len(done.attempts)) == ("succeeded", 30, 2), log(run)
    assert done.attempts[1].from_checkpoint


def test_a_run_is_submitted_again_to_go_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    behave(monkeypatch, "1:die-at=11")
    run = desk.submit("--max-iterations", "20", "--save-every", "4")
    assert desk.until(run, lambda seen: seen.over).state == "failed"
    code, out, err = desk.call("runs", "resume", run.id)
    assert (code, out.startswith(f"run {run.id} is slurm job ")) == (0, True), err
    done = desk.until(run, lambda seen: seen.over)
    assert (done.state, done.progress.iteration, len(done.attempts)) == ("succeeded", 20, 2), log(run)
    assert done.job != run.job


def test_a_dry_run_is_a_script_that_sbatch_takes(
    desk: Desk, cluster: slurmd.Slurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    behave(monkeypatch, "1:pace=0.5")
    small = ("--device", "cpu", "--num-envs", "64", "--max-iterations", "30", "--save-every", "4")
    code, script, _ = desk.call("train", *desk.named, *small, "--engine", "slurm", "--dry-run")
    assert code == 0
    (Path(os.environ["SPARK_RL_STATE"]) / "jobs").mkdir(parents=True)
    Path("job.sh").write_text(script, encoding="utf-8")
    ident = cluster.ask("sbatch", "--parsable", "job.sh").strip()
    lab.eventually(lambda: bool([*registry.entries()]), "a record")
    run = runs.get("1")
    desk.until(run, lambda seen: (seen.progress.checkpoint_iteration or 0) > 4)
    cluster.ask("scontrol", "requeue", ident)
    done = desk.until(run, lambda seen: seen.state == "succeeded")
    assert (done.progress.iteration, len(done.attempts), len([*registry.entries()])) == (30, 2, 1), log(run)


def test_an_array_runs_every_command_as_a_run_of_its_own(desk: Desk) -> None:
    train = (sys.executable, "-m", "spark_rl", "train", *desk.named, "--device", "cpu", "--adopt", "--num-envs")
    told = Submission(
        name="sweep",
        commands=tuple((*train, count, "--max-iterations", "6") for count in ("32", "64", "128")),
        cwd=str(desk.folder),
        log=str(desk.folder / "trial.log"),
        env=(("SPARK_RL_STATE", os.environ["SPARK_RL_STATE"]),),
    )
    ident = slurm.submit(told)
    lab.eventually(lambda: slurm.poll(ident).state == "done", "the array")
    elements = [f"{ident}_{index}" for index in range(3)]
    assert {name: status.state for name, status in slurm.survey(elements).items()} == dict.fromkeys(elements, "done")
    found: dict[str, Any] = {run.job.ident: run for run in registry.entries() if run.job}  # type: ignore[union-attr]
    assert {name: (run.state, run.num_envs) for name, run in found.items()} == {
        name: ("succeeded", count) for name, count in zip(elements, (32, 64, 128), strict=True)
    }
    assert all("succeeded: run" in (desk.folder / f"trial-{index}.log").read_text() for index in range(3))


class Study:
    """A sweep over learning rates, submitted as an array."""

    def __init__(self, desk: Desk, rates: str, iterations: int, more: str = "") -> None:
        self.desk = desk
        named = 'task = "Isaac-Cartpole-Direct"\nlibrary = "rsl_rl"\nnum_envs = 64\ndevice = "cpu"\n'
        space = f'[space]\n"agent.algorithm.learning_rate" = {{ grid = {rates} }}\n'
        text = f"seeds = [1]\n[recipe]\n{named}max_iterations = {iterations}\n{space}{more}"
        (desk.folder / "lr.toml").write_text(text, encoding="utf-8")
        code, found = self.ask("--engine", "slurm")
        assert code == 0, found
        self.ident = str(found["job"]["ident"])

    def ask(self, *words: str) -> tuple[int, dict[str, Any]]:
        code, out, err = self.desk.call(
            "sweep", "lr.toml", "--isaaclab", str(self.desk.lab), "--no-check", "--json", *words
        )
        assert out, err
        found: dict[str, Any] = json.loads(out)
        return code, found

    def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while not condition(found := self.ask("--results")[1]):
            assert time.monotonic() < deadline, found
            time.sleep(1)
        return found


def test_a_sweep_is_an_array_whose_trials_survive_the_time_limit(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    behave(monkeypatch, "train pace=0.5 scale=agent.algorithm.learning_rate")
    monkeypatch.setenv("SPARK_RL_SLURM_TIME", "1m")
    study = Study(desk, "[1.0, 2.0]", 140)
    code, refused = study.ask("--resume")
    assert (code, "still goes on: slurm job" in refused["error"]["message"]) == (1, True)
    found = study.until(lambda found: found["state"] == "complete")
    assert [row["values"]["agent.algorithm.learning_rate"] for row in found["ranking"]] == [2.0, 1.0]
    trials = [run for run in registry.entries() if not isinstance(run, BadRecord)]
    assert [(run.state, run.progress.iteration, len(run.attempts) > 1) for run in trials] == [
        ("succeeded", 140, True)
    ] * 2


def test_a_trial_is_stopped_alone_and_a_sweep_as_a_whole(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    behave(monkeypatch, "train pace=0.3 save=4")
    study = Study(desk, "[1.0, 2.0, 3.0, 4.0]", 60, "[budget]\nparallel = 2\n")

    def far(found: dict[str, Any], *numbers: int) -> bool:
        return all((found["trials"][number - 1]["iteration"] or 0) > 5 for number in numbers)

    found = study.until(lambda found: far(found, 1, 2))
    run = registry.load(found["trials"][1]["run"])
    assert run.job is not None
    assert (run.job.ident, Path(run.job.log or "").name) == (f"{study.ident}_2", "trials-2.log")
    assert f"slurm job {study.ident}_2" in desk.call("runs", "list")[1]
    code, out, _ = desk.call("runs", "stop", run.id)
    assert (code, out.startswith(f"interrupted: run {run.id}, stopped on request after")) == (0, True)
    found = study.until(lambda found: far(found, 1, 3))
    assert [trial["state"] for trial in found["trials"][:3]] == ["running", "unfinished", "running"]

    code, found = study.ask("--stop")
    assert (code, found["job"]["native"]) == (0, "CANCELLED")
    assert [trial["state"] for trial in found["trials"]] == ["unfinished"] * 3 + ["waiting"]
    assert slurm.poll(study.ident).state == "cancelled"

    behave(monkeypatch, "train save=4")
    code, found = study.ask("--resume")
    assert (code, found["job"]["ident"] != study.ident) == (0, True)
    study.until(lambda found: found["state"] == "complete")
    assert sorted(len(run.attempts) for run in registry.entries() if not isinstance(run, BadRecord)) == [1, 2, 2, 2]


def test_auto_environments_and_secrets_are_settled_on_the_node(
    desk: Desk, cluster: slurmd.Slurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    behave(monkeypatch, "train pace=0.1")
    measured(32)
    words = ("--num-envs", "auto", "--max-iterations", "10", "--no-check", "agent.api_key=4f1d7cafe")
    run = desk.submit(*words)
    assert run.job is not None
    script = cluster.ask("scontrol", "write", "batch_script", run.job.ident, "-")
    assert ("--num-envs auto" in script, "4f1d7cafe" in script) == (True, False)
    done = desk.until(run, lambda seen: seen.over)
    assert (done.state, done.num_envs) == ("succeeded", 32), log(run)
    argv = desk.notes.started()["argv"]
    assert (argv[argv.index("--num_envs") + 1], "agent.api_key=4f1d7cafe" in argv) == ("32", True)
    assert "4f1d7cafe" not in log(run)


def test_several_nodes_are_told_their_place_and_of_the_limit(desk: Desk, cluster: slurmd.Slurm) -> None:
    write = 'echo "$SPARK_RL_STATE $*" > "$SLURMD_NODENAME.note"'
    wait = "trap 'touch \"$SLURMD_NODENAME.heard\"; exit 0' USR1; while :; do sleep 0.1; done"
    (desk.folder / "runs" / "5").mkdir(parents=True)
    (desk.folder / "runs" / "5" / "state.json").write_text("{}", encoding="utf-8")
    told = Submission(
        name="wide",
        commands=(("bash", "-c", f"{write}; {wait}", "train", "--", "--it's"),),
        cwd=str(desk.folder),
        log=str(desk.folder / "%j.log"),
        nodes=2,
        run="5",
        env=(("SPARK_RL_STATE", str(desk.folder)),),
    )
    ident = slurm.submit(told)
    notes = [desk.folder / f"{node}.note" for node in slurmd.NODES]
    lab.eventually(lambda: all(note.exists() and note.stat().st_size for note in notes), "both nodes")
    port = 20000 + int(ident) % 5000 * 2
    copy = desk.folder / "jobs" / f"{ident}-node1"
    for rank, (note, state) in enumerate(zip(notes, (desk.folder, copy), strict=True)):
        place = f"--nnodes 2 --node-rank {rank} --master-addr 127.0.0.1 --master-port {port}"
        assert note.read_text(encoding="utf-8") == f"{state} {place} -- --it's\n"
    assert (copy / "runs" / "5" / "state.json").read_text(encoding="utf-8") == "{}"
    cluster.ask("scancel", "--batch", "--signal=USR1", ident)
    lab.eventually(lambda: slurm.poll(ident).state == "done", "the job")
    assert all((desk.folder / f"{node}.heard").exists() for node in slurmd.NODES)


def test_two_nodes_train_one_run_through_a_time_limit(
    cluster: slurmd.Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hall = ranked.Hall(tmp_path / "hall", old=False)
    pretending = lab.program(
        tmp_path / "spark-rl", f'#!/bin/sh\nexec {sys.executable} {lab.FAKES}/with_gpus.py 1 "$@"\n'
    )
    own = {"SPARK_RL_STATE": str(tmp_path / "state"), "SPARK_RL_SLURM_CONTAINER": "env"}
    path = {"PATH": f"{pretending.parent}:{cluster.env['PATH']}"}
    for name, value in (hall.environ("train pace=0.5") | cluster.env | own | path).items():
        monkeypatch.setenv(name, value)
    words = ("--max-iterations", "240", "--nnodes", "2", "--gpus", "1", "--time", "2m", "--engine", "slurm", "--json")
    code, out, err = lab.finish(hall.train("train pace=0.5", *words, **cluster.env | own | path))
    assert code == 0, err
    run = registry.load(json.loads(out)["runs"][0]["id"])
    deadline = time.monotonic() + PATIENCE_S
    while not (run := runs.get(run.id)).over:
        assert time.monotonic() < deadline, f"{run}\n{log(run)}"
        time.sleep(0.2)
    assert (run.state, run.progress.iteration, run.world_size) == ("succeeded", 240, 2), log(run)
    assert len(run.attempts) >= 2
    assert [one for one in registry.entries() if not isinstance(one, BadRecord)] == [run]
    assert b"rank 1 of 2 trains" in b"".join(runs.log(run.id, follow=False, tail=None, tell=print, rank=1))
