"""The trials of a sweep as an engine starts them, and the command of one on its node."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes import lab
from spark_rl import engines, registry, sweeps
from spark_rl.__main__ import run
from spark_rl.engines import Status, Submission, ray, slurm
from spark_rl.launch import trial as trials
from spark_rl.records import Job, Run
from swept import RATE, Array, Desk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    desk = Desk(tmp_path, monkeypatch, capsys)
    yield desk
    desk.notes.sweep()


@pytest.fixture
def array(monkeypatch: pytest.MonkeyPatch) -> Array:
    found = Array()
    monkeypatch.setattr(engines, "load", lambda _name: found)
    return found


# --- one trial


def test_a_trial_knows_its_job(desk: Desk, array: Array) -> None:
    desk.run("--engine", "slurm")
    assert array.run(1)[0] == 0
    folder = sweeps.newest(desk.cwd, "lr")
    (found,) = registry.entries()
    assert isinstance(found, Run)
    assert found.job == Job(engine="slurm", ident="1_2", waits=False, log=f"{folder}/trials-2.log")
    code = run(["trial", str(folder), "1", "--adopt"])
    assert (code, "--adopt is for the inside of a Slurm job" in desk.capsys.readouterr().err) == (2, True)


def test_a_trial_of_ray_in_somebodys_job_has_none(desk: Desk, array: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.run("--engine", "slurm")
    monkeypatch.setenv("SLURM_JOB_ID", "9")
    folder = sweeps.newest(desk.cwd, "lr")
    assert run(["trial", str(folder), "1"]) == 0
    (found,) = registry.entries()
    assert isinstance(found, Run)
    assert found.job is None


def test_a_trial_that_waits_for_its_next_start_is_told_and_taken_up(desk: Desk, array: Array) -> None:
    desk.run("--engine", "slurm")
    folder = sweeps.newest(desk.cwd, "lr")
    assert folder is not None
    argv, env = array.submissions[-1].commands[0], array.environ(0) | {"FAKE_TRAINER": f"scale={RATE} save=4 pace=0.3"}
    child = subprocess.Popen(argv, cwd=desk.cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lab.eventually(lambda: any(one.iteration >= 6 for one in sweeps.reports(folder, 1)), "reports")
    child.send_signal(signal.SIGUSR1)
    assert child.wait(lab.PATIENCE_S) == slurm.LIMIT_CODE
    array.state = "pending"
    _, found = desk.document("--results")
    assert [trial["state"] for trial in found["trials"]] == ["waiting", "waiting"]
    assert array.run(0)[0] == 0
    run_id = sweeps.run_of(folder, 1)
    assert run_id is not None
    assert [one.state for one in registry.load(run_id).attempts] == ["interrupted", "succeeded"]


def test_a_trial_that_went_on_outside_of_its_sweep_counts(desk: Desk, array: Array) -> None:
    desk.run("--engine", "slurm")
    folder = sweeps.newest(desk.cwd, "lr")
    assert folder is not None
    assert array.run(0)[0] == 0
    sweeps.reports_file(folder, 1).write_text('{"iteration": 8, "score": 0.1}\n', encoding="utf-8")
    trial = desk.document("--results")[1]["trials"][0]
    assert (trial["state"], trial["iteration"], trial["score"] > 0.1) == ("complete", 20, True)


def test_an_end_that_only_the_engine_saw_is_written_down(desk: Desk, array: Array) -> None:
    desk.run("--engine", "slurm")
    folder = sweeps.newest(desk.cwd, "lr")
    assert folder is not None
    assert array.run(0)[0] == 0
    run_id = sweeps.run_of(folder, 1)
    assert run_id is not None
    gone = replace(registry.load(run_id).owner, host="elsewhere")
    running = replace(registry.load(run_id), state="running", ended_at=None, owner=gone)
    registry.save(replace(running, job=replace(running.job, waits=True)))  # type: ignore[type-var]
    array.state = "cancelled"
    assert [trial["state"] for trial in desk.document("--results")[1]["trials"]] == ["unfinished", "waiting"]
    assert registry.load(run_id).state == "interrupted"


def begun(desk: Desk, array: Array, behaviour: str) -> tuple[Path, subprocess.Popen[bytes]]:
    """Start the first trial as Ray does: with a leash."""
    desk.run("--engine", "slurm")
    folder = sweeps.newest(desk.cwd, "lr")
    assert folder is not None
    argv = (*(word for word in array.submissions[-1].commands[0] if word != "--adopt"), "--leash")
    log = (folder / "trial.log").open("ab")
    env = os.environ | {"FAKE_TRAINER": behaviour}
    child = subprocess.Popen(argv, cwd=desk.cwd, env=env, stdin=subprocess.PIPE, stdout=log, stderr=log)
    log.close()
    lab.eventually(lambda: any(one.iteration >= 6 for one in sweeps.reports(folder, 1)), "reports")
    return folder, child


def test_a_trial_ends_with_who_started_it_and_goes_on_as_the_same_run(desk: Desk, array: Array) -> None:
    folder, child = begun(desk, array, f"scale={RATE} save=4 pace=0.3")
    trainer = desk.notes.started()["pid"]
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(lab.PATIENCE_S) == 130
    assert not lab.is_running(trainer)
    run_id = sweeps.run_of(folder, 1)
    assert run_id is not None
    assert registry.load(run_id).state == "interrupted"

    assert array.run(0)[0] == 0
    assert sweeps.run_of(folder, 1) == run_id
    first, second = registry.load(run_id).attempts
    assert (first.state, second.state) == ("interrupted", "succeeded")
    assert second.first_iteration >= 4
    assert sweeps.reports(folder, 1)[-1].iteration == 20


def test_a_trial_that_was_killed_goes_on(desk: Desk, array: Array) -> None:
    folder, child = begun(desk, array, f"scale={RATE} save=4 pace=0.3")
    child.kill()
    child.communicate()
    assert array.run(0)[0] == 0
    run_id = sweeps.run_of(folder, 1)
    assert run_id is not None
    assert [attempt.state for attempt in registry.load(run_id).attempts][1] == "succeeded"


def test_a_trial_that_is_done_stays_done(desk: Desk, array: Array) -> None:
    desk.run("--engine", "slurm")
    assert array.run(0)[0] == 0
    folder = sweeps.newest(desk.cwd, "lr")
    assert folder is not None
    run_id = sweeps.run_of(folder, 1)
    assert array.run(0)[0] == 0
    assert run_id is not None
    assert len(registry.load(run_id).attempts) == 1


def test_a_trial_whose_node_is_gone_is_taken_over(desk: Desk, array: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, child = begun(desk, array, f"scale={RATE} save=4 pace=0.3")
    assert child.stdin is not None
    child.stdin.close()
    child.wait()
    run_id = sweeps.run_of(folder, 1)
    assert run_id is not None
    before = registry.load(run_id)
    elsewhere = replace(before.owner, host="elsewhere")
    registry.save(replace(before, state="running", ended_at=None, owner=elsewhere, updated_at=before.updated_at - 60))
    assert not registry.load(run_id).over
    assert array.run(0)[0] == 0
    assert registry.load(run_id).state == "succeeded"


def test_a_trial_that_nobody_knows(desk: Desk, array: Array) -> None:
    desk.run("--engine", "slurm")
    folder = sweeps.newest(desk.cwd, "lr")
    code = run(["trial", str(folder), "7"])
    assert (code, "has no trial 7" in desk.capsys.readouterr().err) == (2, True)
    code = run(["trial", str(desk.cwd), "1"])
    assert (code, "is no folder of a sweep" in desk.capsys.readouterr().err) == (2, True)


def test_a_leash_is_an_int(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: heard.set())
    try:
        reading, writing = os.pipe()
        trials.leash(reading)
        os.write(writing, b"still here")
        assert not heard.wait(0.2)
        os.close(writing)
        assert heard.wait(10)
        os.close(reading)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("metric", "value"), [("reward", 1.5), ("length", 20.0), ("fps", 99.0), ("Loss/value", 7.0)])
def test_what_is_measured(metric: str, value: float) -> None:
    import runs

    run = runs.run(progress=runs.progress(reward=1.5, length=20.0, fps=99.0))
    assert trials.figure(metric, lambda _run: 7.0)(run) == value


# --- the command of a trial on its node


def submission(folder: Path, *argv: str) -> Submission:
    return Submission(
        name="one", commands=(argv,), cwd=str(folder), log=str(folder / "log" / "one.log"), env=(("A", "b"),)
    )


def test_a_command_is_started_told_of_and_stopped(tmp_path: Path) -> None:
    talk = "import os, signal, sys; print(os.environ['A'], flush=True); signal.pause()"
    ident = ray.submit(submission(tmp_path, sys.executable, "-c", talk))
    log = tmp_path / "log" / "one.log"
    lab.eventually(lambda: log.read_text() == "b\n", "its output")
    assert ray.poll(ident) == Status(state="running", native="running")
    ray.cancel(ident)
    ray.cancel(ident)
    assert ray.poll(ident).state == "cancelled"


@pytest.mark.parametrize(("code", "state"), [(0, "done"), (3, "failed")])
def test_a_command_that_ends_by_itself(tmp_path: Path, code: int, state: str) -> None:
    ident = ray.submit(submission(tmp_path, sys.executable, "-c", f"raise SystemExit({code})"))
    lab.eventually(lambda: ray.poll(ident).state != "running", "its end")
    assert ray.poll(ident) == Status(state=state, native=f"exit {code}")  # type: ignore[arg-type]
    assert ray.poll("1").state == "gone"


def test_a_submission_as_text(tmp_path: Path) -> None:
    assert ray.render(replace(submission(tmp_path, "train", "a b"), memory_mib=100)) == (
        f"# one: 1 CPUs, 0 GPUs, 100 MiB each\ncd {tmp_path}\nenv A=b train 'a b'"
    )
