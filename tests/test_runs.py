"""Runs that are never lost: real processes, a trainer that misbehaves, and what the record says afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fakes import lab
from spark_rl import launch, network, prepare, registry, runs, supervisor
from spark_rl.errors import CheckError
from spark_rl.intake import BUDGET_BYTES
from spark_rl.judging import Verdict
from spark_rl.launch import attempts, watching
from spark_rl.live import Silent
from spark_rl.model import Request
from spark_rl.outcome import Outcome
from spark_rl.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Iterator

TASK = ("--task", "Isaac-Cartpole-Direct-v0")
LIBRARIES = ("rsl_rl", "rl_games", "skrl", "sb3")


class Desk:
    """A folder with a stand-in of Isaac Lab, in which commands are given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lab = lab.package(folder / "env")
        self.notes = lab.Notes(folder / "notes")

    def start(self, behaviour: str, *words: str, shell: str = "", **env: str) -> subprocess.Popen[str]:
        """Start ``spark-rl WORDS``."""
        environ = lab.environ(behaviour, self.notes, **env)
        return lab.spark_rl(*words, cwd=self.folder, env=environ, shell=shell)

    def train(self, behaviour: str, *words: str, library: str = "rsl_rl", **env: str) -> subprocess.Popen[str]:
        """Start a training."""
        return self.start(behaviour, *self.training(*words, library=library), **env)

    def training(self, *words: str, library: str = "rsl_rl") -> tuple[str, ...]:
        """Return the words of a training."""
        return ("train", *TASK, "--library", library, "--isaaclab", str(self.lab), "--num-envs", "64", *words)

    def call(self, behaviour: str, *words: str, **env: str) -> tuple[int, dict[str, Any]]:
        """Run ``spark-rl WORDS --json`` to its end in this process; return the exit code and the document."""
        environ = lab.environ(behaviour, self.notes, **env)
        code, out, err = lab.call(*words, "--json", cwd=self.folder, env=environ)
        assert out, err
        return code, json.loads(out)

    def outcome(self, behaviour: str, *words: str, library: str = "rsl_rl", **env: str) -> tuple[int, dict[str, Any]]:
        """Train to the end and return the exit code and the document."""
        return self.call(behaviour, *self.training(*words, library=library), **env)

    def resume(self, behaviour: str, run: str = "latest", *words: str) -> tuple[int, dict[str, Any]]:
        """Go on with a run to the end."""
        return self.call(behaviour, "runs", "resume", run, *words)

    def resume_elsewhere(self, behaviour: str, run: str = "latest") -> tuple[int, dict[str, Any]]:
        """Go on with a run to the end in a process of its own."""
        code, out, err = lab.finish(self.start(behaviour, "runs", "resume", run, "--json"))
        assert out, err
        return code, json.loads(out)

    def until(self, state: str, run: str = "1") -> None:
        """Wait until the record of a run says so."""
        record = registry.path(run) / "state.json"
        lab.eventually(lambda: record.exists() and registry.load(run).state == state, f"{run} {state}")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.notes.sweep()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_training_is_recorded_from_start_to_end(desk: Desk, library: str) -> None:
    words = ["--max-iterations", "12", "--save-every", "4"]
    if library == "rl_games":
        words.append("agent.params.config.minibatch_size=2048")
    code, out, _ = lab.finish(desk.train("train", *words, "--json", library=library))
    outcome = json.loads(out)
    assert (code, outcome["state"], outcome["iteration"], outcome["max_iterations"]) == (0, "succeeded", 12, 12)
    run = registry.load(outcome["run"])
    assert (run.state, run.library, run.progress.iteration, run.num_envs) == ("succeeded", library, 12, 64)
    assert (
        run.log_dir
        == outcome["log_dir"]
        == str(Path(outcome["checkpoint"]).parents[0 if library in ("rsl_rl", "sb3") else 1])
    )
    assert run.progress.checkpoint_iteration == 12
    start = registry.load_start(run.id)
    assert (start["request"]["library"], start["plan"]["schema"]) == (library, "spark-rl/plan/1")


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_killed_trainer_is_resumed_to_its_budget(desk: Desk, library: str) -> None:
    words = ["--max-iterations", "20", "--save-every", "4"]
    if library == "rl_games":
        words.append("agent.params.config.minibatch_size=2048")
    code, outcome = desk.outcome("die-at=11", *words, library=library)
    assert (code, outcome["state"]) == (1, "failed")
    assert "SIGKILL" in outcome["message"]
    code, outcome = desk.resume_elsewhere("train")
    assert (code, outcome["state"], outcome["iteration"], outcome["attempts"]) == (0, "succeeded", 20, 2), outcome
    run = registry.load("1")
    first, second = run.attempts
    assert first.iteration is not None
    assert second.from_checkpoint
    assert 0 <= first.iteration - second.first_iteration <= 5
    assert run.weights_only is (library == "skrl")


def test_resuming_what_is_done_is_refused_and_may_be_extended(desk: Desk) -> None:
    desk.outcome("train", "--max-iterations", "10")
    code, answer = desk.resume("train")
    assert (code, answer["error"]["message"]) == (2, "run 1 has all of its 10 iterations")
    code, outcome = desk.resume("train", "1", "--max-iterations", "15")
    assert (code, outcome["iteration"], outcome["max_iterations"]) == (0, 15, 15)


def test_a_run_has_one_supervisor(desk: Desk) -> None:
    desk.outcome("die-at=11", "--max-iterations", "20", "--save-every", "4")
    assert registry.claim("1")
    code, answer = desk.resume_elsewhere("train", "1")
    assert (code, answer["error"]["message"]) == (1, "run 1 goes on: another spark-rl resumed it")
    assert registry.load("1").state == "failed"
    registry.release("1")
    code, outcome = desk.resume("train", "1")
    assert (code, outcome["iteration"], outcome["attempts"]) == (0, 20, 2)


def test_train_resume_goes_on_with_the_newest_run(desk: Desk) -> None:
    desk.outcome("die-at=11", "--max-iterations", "20", "--save-every", "4")
    code, outcome = desk.outcome("train", "--resume")
    assert (code, outcome["run"], outcome["iteration"], outcome["attempts"]) == (0, "1", 20, 2)


def test_a_cut_checkpoint_is_passed_over(desk: Desk) -> None:
    desk.outcome("truncate=13", "--max-iterations", "20", "--save-every", "4")
    run = registry.load("1")
    newest = max(Path(str(run.log_dir)).glob("model_*.pt"), key=lambda file: int(file.stem.partition("_")[2]))
    code, outcome = desk.resume("train")
    assert (code, outcome["iteration"]) == (0, 20)
    (finding,) = (found for found in outcome["plan"]["findings"] if found["code"] == "checkpoint-damaged")
    assert str(newest) in finding["message"]
    assert registry.load("1").attempts[1].from_checkpoint != str(newest)


def test_a_kill_before_the_first_checkpoint_starts_over(desk: Desk) -> None:
    desk.outcome("die-at=0", "--max-iterations", "10", library="skrl")
    code, outcome = desk.resume("train")
    assert (code, outcome["iteration"], registry.load("1").attempts[1].first_iteration) == (0, 10, 0)
    assert "resume-from-nothing" in [finding["code"] for finding in outcome["plan"]["findings"]]


@pytest.mark.parametrize("detached", [False, True])
def test_a_killed_spark_rl_takes_its_child_along_and_is_lost(desk: Desk, *, detached: bool) -> None:
    child = desk.train("family deaf", *(("--detach",) if detached else ()))
    trainer, grandchild = desk.notes.started()["pid"], int(desk.notes.read("grandchild"))
    desk.until("running")
    owner = registry.load("1").owner.pid
    assert (owner == child.pid) is not detached
    os.kill(owner, signal.SIGKILL)
    lab.finish(child)
    lab.eventually(lambda: not lab.is_running(trainer) and not lab.is_running(grandchild), "the end of all")
    assert registry.load("1").state == "lost"


def test_a_detached_run_is_watched_and_stopped_from_elsewhere(desk: Desk) -> None:
    code, out, _ = lab.finish(desk.train("polite", "--detach", "--json"))
    assert (code, json.loads(out)["runs"][0]["id"]) == (0, "1")
    desk.notes.started()
    desk.until("running")
    attached = desk.start("", "runs", "attach", "1")
    code, out, _ = lab.finish(desk.start("", "runs", "stop", "1", "--json"))
    assert (code, json.loads(out)["runs"][0]["state"]) == (0, "interrupted")
    assert lab.finish(attached)[0] == 130


def test_a_lost_terminal_does_not_end_a_run(desk: Desk) -> None:
    child = desk.train("polite")
    desk.notes.started()
    desk.until("running")
    child.send_signal(signal.SIGHUP)
    lab.eventually(lambda: registry.load("1").unattended, "the record's word")
    assert child.poll() is None
    child.send_signal(signal.SIGTERM)
    assert lab.finish(child)[0] == 143
    assert registry.load("1").state == "interrupted"


def test_a_trainer_that_ignores_int_and_term_is_ended_by_impatience(desk: Desk) -> None:
    child = desk.train("deaf", "--json")
    desk.notes.started()
    desk.until("running")
    for heard in ("2", "2 15"):
        child.send_signal(signal.SIGINT)
        desk.notes.expect("heard", heard)
    child.send_signal(signal.SIGINT)
    code, out, _ = lab.finish(child)
    assert (code, json.loads(out)["state"], json.loads(out)["exit_status"]) == (130, "interrupted", -signal.SIGKILL)


def test_two_starts_in_one_second_do_not_meet(desk: Desk) -> None:
    children = [desk.train("pace=0.02", "--max-iterations", "20", "--json") for _ in range(3)]
    documents = [json.loads(lab.finish(child)[1]) for child in children]
    assert [document["state"] for document in documents] == ["succeeded"] * 3, documents
    assert {document["run"] for document in documents} == {"1", "2", "3"}
    assert len({document["log_dir"] for document in documents}) == 3


def test_a_traceback_with_status_0_is_a_failure(desk: Desk) -> None:
    code, outcome = desk.outcome("zero-after-traceback", "--max-iterations", "20")
    assert (code, outcome["state"], outcome["exit_status"]) == (1, "failed", 0)
    assert "Error" in outcome["message"]


@pytest.mark.parametrize(
    ("behaviour", "failure"),
    [
        ("oom-at=5", "out-of-memory"),
        ("segv-at=5", "native-crash"),
        ("crash-at=5", "unknown"),
        ("nan-at=9", "nan"),
    ],
)
def test_a_failure_has_a_class_and_a_remedy(desk: Desk, behaviour: str, failure: str) -> None:
    code, outcome = desk.outcome(behaviour, "--max-iterations", "20", "--save-every", "4")
    assert (code, outcome["state"], outcome["failure"]) == (1, "failed", failure), outcome
    assert outcome["hint"]
    if failure == "nan":
        assert f"the last finite checkpoint is {outcome['log_dir']}/model_" in outcome["hint"]


@pytest.mark.parametrize("behaviour", ["flood=100000000", "longline=10000000 latin1"])
def test_any_output_is_borne_in_80_megabytes(desk: Desk, behaviour: str) -> None:
    child = desk.train(behaviour, "--max-iterations", "5", "--json")
    code, out, err = lab.finish(child)
    assert code == 0, err
    assert json.loads(out)["iteration"] == 5
    size = registry.output("1").stat().st_size
    assert size > (10**8 if behaviour.startswith("flood") else 10**7)


def test_the_launcher_stays_small_in_a_flood(desk: Desk) -> None:
    """The largest of spark-rl and its reaper, each counted whole, twice over: their code is shared."""
    argv = (sys.executable, "-c", PEAK, "train", *TASK, "--library", "rsl_rl", "--isaaclab", str(desk.lab), "--json")
    child = lab.start(*argv, cwd=desk.folder, env=lab.environ("flood=30000000", desk.notes))
    code, out, err = lab.finish(child)
    assert code == 0, err
    assert int(out.splitlines()[-1]) < 80 * 1024 - 13 * 1024


PEAK = (
    "import sys; from spark_rl.__main__ import run; code = run(sys.argv[1:]);"
    "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'))); sys.exit(code)"
)


def test_a_full_disk_stops_no_run(desk: Desk) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = desk.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=True)
    try:
        words = ("--max-iterations", "30", "--json")
        child = desk.train("flood=2000000 pace=0.1", *words, SPARK_RL_STATE=str(disk))
        code, out, err = lab.finish(child)
        assert code == 0, err
        outcome = json.loads(out)
        assert (outcome["state"], outcome["iteration"]) == ("succeeded", 30)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_registry_that_cannot_be_written_is_told_before_the_start(desk: Desk) -> None:
    (desk.folder / "file").write_text("")
    code, out, _ = lab.finish(desk.train("train", "--json", SPARK_RL_STATE=str(desk.folder / "file")))
    assert code == 1
    assert "record" in json.loads(out)["error"]["message"]
    assert not (desk.notes.folder / "started").exists()


def test_a_record_removed_under_a_run_comes_back(desk: Desk) -> None:
    child = desk.train("polite", "--json")
    desk.notes.started()
    desk.until("running")
    subprocess.run(["rm", "-r", registry.path("1")], check=True)
    lab.eventually((registry.path("1") / "state.json").exists, "the record")
    child.send_signal(signal.SIGINT)
    assert lab.finish(child)[0] == 130
    assert registry.load("1").state == "interrupted"
    assert runs.request_of(registry.load("1"))[0].task == TASK[1]


def test_a_run_folder_removed_under_a_run_is_a_failure_that_is_told(desk: Desk) -> None:
    child = desk.train("pace=0.1", "--max-iterations", "20", "--json")
    desk.until("running")
    lab.eventually(lambda: registry.load("1").log_dir is not None, "the run folder")
    subprocess.run(["rm", "-r", desk.folder / "logs"], check=True)
    code, out, err = lab.finish(child)
    assert code in (0, 1), err
    assert json.loads(out)["schema"] == "spark-rl/outcome/1"


def test_no_secret_reaches_a_record(desk: Desk) -> None:
    secret = "wandb0123456789abcdef0123456789abcdef0123"
    env = {"WANDB_API_KEY": secret}
    desk.outcome("train", "--max-iterations", "5", f"agent.wandb_api_key={secret}", **env)
    records = [file.read_text() for file in registry.path("1").glob("*.json")]
    assert len(records) >= 2
    assert not any(secret in record for record in records)
    assert secret in " ".join(desk.notes.started()["argv"])
    code, answer = desk.resume("train", "1", "--max-iterations", "9")
    assert code == 2
    assert "does not hold" in answer["error"]["message"]
    again = ("--resume", "--max-iterations", "9", f"agent.wandb_api_key={secret}")
    code, outcome = desk.outcome("train", *again, **env)
    assert (code, outcome["run"], outcome["iteration"]) == (0, "1", 9)


def play(desk: Desk, *words: str, library: str = "rsl_rl") -> dict[str, Any]:
    """Plan a play and return the plan."""
    named = () if "--run" in words else (*TASK, "--library", library)
    argv = ("play", *named, "--isaaclab", str(desk.lab), "--steps", "5", "--dry-run", *words)
    code, plan = desk.call("", *argv)
    assert code == 0, plan
    return plan


def played_from(plan: dict[str, Any]) -> str:
    argv: list[str] = plan["argv"]
    return argv[argv.index("--checkpoint") + 1]


def test_play_takes_the_newest_run_that_succeeded(desk: Desk) -> None:
    _, good = desk.outcome("train", "--max-iterations", "8", "--save-every", "4")
    _, bad = desk.outcome("crash-at=6", "--max-iterations", "8", "--save-every", "2")
    plan = play(desk)
    assert played_from(plan) == good["checkpoint"]
    assert "run 1, succeeded" in plan["reasons"]["checkpoint"]
    assert played_from(play(desk, "--run", bad["run"])).startswith(bad["log_dir"])
    elsewhere = desk.folder / "elsewhere"
    elsewhere.mkdir()
    desk.folder = elsewhere
    assert played_from(play(desk)) == good["checkpoint"]


def test_play_takes_what_there_is_when_nothing_succeeded(desk: Desk) -> None:
    _, bad = desk.outcome("crash-at=6", "--max-iterations", "8", "--save-every", "2")
    plan = play(desk)
    assert played_from(plan).startswith(bad["log_dir"])
    assert "run 1, failed" in plan["reasons"]["checkpoint"]


def test_a_newer_run_that_nobody_recorded_is_played(desk: Desk) -> None:
    _, recorded = desk.outcome("train", "--max-iterations", "8")
    other = Path(recorded["log_dir"]).with_name("2030-01-01_00-00-00")
    other.mkdir()
    (other / "run.json").write_text(json.dumps({"task": "Isaac-Cartpole-Direct"}))
    (other / "model_3.pt").write_text("weights")
    assert played_from(play(desk)) == str(other / "model_3.pt")


@pytest.mark.parametrize("library", ["rsl_rl", "sb3"])
def test_the_best_is_where_the_best_reward_was_recorded(desk: Desk, library: str) -> None:
    words = ("--max-iterations", "20", "--save-every", "4")
    _, outcome = desk.outcome("train", *words, library=library)
    plan = play(desk, "--checkpoint", "best", library=library)
    assert f"{library} keeps no best: the mean reward was" in plan["reasons"]["checkpoint"]
    assert played_from(plan).startswith(outcome["log_dir"])


def test_exported_policies_are_told(desk: Desk) -> None:
    _, trained = desk.outcome("train", "--max-iterations", "8")
    exported = Path(trained["log_dir"], "exported")
    exported.mkdir()
    behaviour = f"steps=5 export={exported}"
    argv = ("play", *TASK, "--library", "rsl_rl", "--isaaclab", str(desk.lab), "--steps", "5")
    code, played = desk.call(behaviour, *argv)
    assert code == 0, played
    assert [Path(file).name for file in played["exported"]] == ["policy.onnx", "policy.pt"]


class Inside:
    """A training inside this process that is looked at often, with limits and clocks of the test's own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, behaviour: str, iterations: int = 20) -> None:
        self.notes = lab.Notes(folder / "notes")
        for name, value in {"FAKE_TRAINER": behaviour, "FAKE_NOTES": str(self.notes.folder)}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(network, "answers", lambda: True)
        monkeypatch.setattr(launch, "BACK_OFF_S", 0.0)
        monkeypatch.setattr(supervisor, "TICK_S", 0.1)
        request = Request(
            action="train",
            cwd=str(folder),
            task="Isaac-Cartpole-Direct",
            library="rsl_rl",
            max_iterations=iterations,
            save_every="4",
        )
        facts = prepare.gather(prepare.Place(cwd=folder, isaaclab=str(lab.package(folder / "env"))))
        self.what = launch.Start(plan=prepare.decide(request, facts), request=request, facts=facts)

    def run(self, limits: launch.Limits | None = None, max_restarts: int = 0) -> Outcome:
        what = replace(self.what, limits=limits or launch.Limits(), max_restarts=max_restarts)
        outcome = launch.start(what, show=lambda _run: Silent(), tell=lambda _line: None)
        assert isinstance(outcome, Outcome)
        return outcome


def test_a_native_crash_is_restarted_from_the_newest_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = Inside(tmp_path, monkeypatch, "1:segv-at=10 2:segv-at=15").run(max_restarts=3)
    assert (outcome.state, outcome.run.progress.iteration) == ("succeeded", 20)
    assert [(one.state, one.failure) for one in outcome.run.attempts] == [
        ("failed", "native-crash"),
        ("failed", "native-crash"),
        ("succeeded", None),
    ]
    assert [one.first_iteration for one in outcome.run.attempts] == [0, 8, 12]


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_a_stop_before_the_child_starts_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = Inside(tmp_path, monkeypatch, "train")
    monkeypatch.setattr(Silent, "__init__", lambda _self: interrupt())
    outcome = inside.run()
    assert (outcome.state, launch.exit_code(outcome), outcome.run.attempts) == ("interrupted", 130, ())
    assert registry.load("1").state == "interrupted"
    assert not (inside.notes.folder / "started").exists()


def test_a_stop_between_two_attempts_is_a_stop_and_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "pause", lambda _seconds: interrupt())
    outcome = Inside(tmp_path, monkeypatch, "segv-at=10").run(max_restarts=3)
    assert (outcome.state, launch.exit_code(outcome)) == ("interrupted", 130)
    run = registry.load("1")
    assert (run.state, run.failure, run.hint) == ("interrupted", None, "go on with: spark-rl runs resume 1")
    assert len(run.attempts) == 1


def test_a_restart_that_cannot_be_planned_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise CheckError("the installation is gone", "install it again")

    inside = Inside(tmp_path, monkeypatch, "segv-at=10")
    monkeypatch.setattr(launch, "resumed", gone)
    outcome = inside.run(max_restarts=3)
    assert (outcome.state, outcome.hint) == ("failed", "install it again")
    assert outcome.message.endswith("no restart: the installation is gone")
    assert registry.load("1").failure == "native-crash"


@pytest.mark.parametrize(("file", "state"), [("nan.pt", "failed"), ("finite.pt", "succeeded")])
def test_an_end_that_is_no_number_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, state: str
) -> None:
    outcome = Inside(tmp_path, monkeypatch, "train").run()
    weights = str(Path(__file__).parent / "checkpoints" / file)
    run = replace(outcome.run, progress=replace(outcome.run.progress, checkpoint=weights))
    verdict = attempts._helpful(Verdict(state="succeeded", message="done"), run)
    assert (verdict.state, verdict.failure) == (state, "nan" if state == "failed" else None)
    if state == "failed":
        assert f"the last finite checkpoint is {outcome.checkpoint}" in (verdict.hint or "")


def test_a_stall_is_ended_and_restarted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = launch.Limits(stall=1.0, grace=0.2)
    outcome = Inside(tmp_path, monkeypatch, "1:stall-at=10").run(limits, max_restarts=1)
    assert (outcome.state, [one.failure for one in outcome.run.attempts]) == ("succeeded", ["stall", None])


@pytest.mark.parametrize("behaviour", ["crash-at=5", "nan-at=9", "oom-at=5"])
def test_what_would_only_come_again_is_not_restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviour: str
) -> None:
    outcome = Inside(tmp_path, monkeypatch, behaviour).run(max_restarts=3)
    assert (outcome.state, len(outcome.run.attempts)) == ("failed", 1)


def test_restarts_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Inside(tmp_path, monkeypatch, "segv-at=10").run(max_restarts=2)
    assert (outcome.state, len(outcome.run.attempts)) == ("failed", 3)


def test_a_trainer_that_hangs_when_all_is_done_has_succeeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Inside(tmp_path, monkeypatch, "hang-at-end").run(launch.Limits(hang=0.5, grace=0.2))
    assert (outcome.state, outcome.message) == ("succeeded", "done; it did not close by itself and was ended")


@pytest.mark.parametrize("stall", [None, 300.0])
def test_ten_silent_minutes_are_no_reason_to_end_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stall: float | None
) -> None:
    """Before the first iteration a stall limit has a floor: kernels and large scenes take their time."""
    began, ticks = time.monotonic(), []

    def clock() -> float:
        return began + (time.monotonic() - began) * 3000

    class Told(Silent):
        def update(self, run: Any, at: float) -> None:
            ticks.append(at)

    inside = Inside(tmp_path, monkeypatch, "silent pace=0.03")
    monkeypatch.setattr(watching.Attending.__init__, "__kwdefaults__", {"clock": clock, "devices": ()})
    monkeypatch.setattr(watching, "STALL_S", 1e9)
    what = replace(inside.what, limits=launch.Limits(stall=stall))
    outcome = launch.start(what, show=lambda _run: Told(), tell=lambda _line: None)
    assert isinstance(outcome, Outcome)
    assert outcome.exit_status == 0
    assert max(ticks) > 600


def test_of_a_flood_a_few_budgets_are_read_between_two_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, looks = [], []

    class Reading(Witness):
        def feed(self, line: str) -> None:
            read.append(len(line))
            super().feed(line)

    class Told(Silent):
        def update(self, run: Any, at: float) -> None:
            looks.append(at)

    inside = Inside(tmp_path, monkeypatch, "flood=20000000")
    monkeypatch.setattr(watching, "Witness", Reading)
    monkeypatch.setattr(supervisor, "TICK_S", 1.0)
    outcome = launch.start(inside.what, show=lambda _run: Told(), tell=lambda _line: None)
    assert isinstance(outcome, Outcome)
    assert (outcome.state, outcome.run.progress.iteration) == ("succeeded", 20)
    assert sum(read) < 3 * BUDGET_BYTES * (len(looks) + 1)


def test_a_mistake_of_ours_does_not_end_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Silent):
        def update(self, run: Any, at: float) -> None:
            raise ZeroDivisionError("the view is wrong")

    inside = Inside(tmp_path, monkeypatch, "pace=0.01")
    outcome = launch.start(inside.what, show=lambda _run: Broken(), tell=lambda _line: None)
    assert isinstance(outcome, Outcome)
    assert outcome.state == "succeeded"
    assert "the view is wrong" in (registry.path("1") / "bug.log").read_text()


def test_the_list_knows_every_run(desk: Desk) -> None:
    desk.outcome("train", "--max-iterations", "5")
    desk.outcome("crash-at=2", "--max-iterations", "5")
    code, listed = desk.call("", "runs", "list")
    assert code == 0
    assert [(run["id"], run["state"]) for run in listed["runs"]] == [("2", "failed"), ("1", "succeeded")]
    assert [run.id for run in runs.select(state="failed").runs] == ["2"]
