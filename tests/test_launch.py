"""From a decided plan to what happened: assets, evidence, exit codes, one document on stdout."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import stand_in
from fakes import lab
from spark_rl import examination, launch, network, prepare, registry
from spark_rl.errors import CheckError, RequestError
from spark_rl.launch import attempts
from spark_rl.live import Silent
from spark_rl.model import Finding, Request
from spark_rl.outcome import Outcome
from spark_rl.prepare import places

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_rl.model import Plan

TASK = ("--task", "Isaac-Cartpole-Direct-v0", "--library", "rsl_rl")


class Prepared:
    """A request for a stand-in of Isaac Lab, planned, with every answer of the network counted."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, answers: bool, **asked: Any) -> None:
        self.asked = 0
        self.folder = folder
        self.lab = asked.pop("lab", None) or lab.package(folder / "env")
        self.request = Request(action="train", cwd=str(folder), **{"task": "Isaac-Cartpole-Direct", **asked})
        self.facts = prepare.gather(prepare.Place(cwd=folder, isaaclab=str(self.lab)))
        self.plan = prepare.decide(self.request, self.facts)

        def answer() -> bool:
            self.asked += 1
            return answers

        monkeypatch.setattr(network, "answers", answer)

    def settled(self) -> Plan:
        return launch.settle(self.plan, self.request, self.facts)

    def start(self) -> tuple[Outcome, list[str]]:
        told: list[str] = []
        what = launch.Start(plan=self.plan, request=self.request, facts=self.facts)
        outcome = launch.start(what, show=lambda _run: Silent(), tell=told.append)
        assert isinstance(outcome, Outcome)
        return outcome, told


def test_the_users_own_assets_win_without_asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine" / "Isaac").mkdir(parents=True)
    monkeypatch.setenv("ISAACSIM_ASSET_ROOT", str(tmp_path / "mine"))
    prepared = Prepared(tmp_path, monkeypatch, answers=False)
    assert prepared.settled() == prepared.plan
    assert "ISAACSIM_ASSET_ROOT" not in dict(prepared.plan.env)
    assert prepared.asked == 0


def test_a_host_that_answers_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = Prepared(tmp_path, monkeypatch, answers=True)
    settled = prepared.settled()
    assert (settled.env, settled.findings) == (prepared.plan.env, prepared.plan.findings)
    assert dict(settled.reasons)["assets"] == "NVIDIA's host, which answers"
    assert prepared.asked == 1


def test_an_asset_root_that_holds_nothing_is_told_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISAACSIM_ASSET_ROOT", "/my/assets")
    settled = Prepared(tmp_path, monkeypatch, answers=False).settled()
    assert [finding.code for finding in settled.findings] == ["assets-empty"]


@pytest.mark.parametrize("choice", ["nvidia", "embedded"])
def test_a_choice_is_not_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: str) -> None:
    prepared = Prepared(tmp_path, monkeypatch, answers=False, assets=choice)
    assert prepared.settled() == prepared.plan
    assert prepared.asked == 0


def test_the_embedded_assets_serve_where_the_host_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = Prepared(tmp_path, monkeypatch, answers=False)
    outcome, told = prepared.start()
    assert outcome.state == "succeeded"
    assert dict(outcome.plan.env)["ISAACSIM_ASSET_ROOT"] == prepared.facts.embedded
    assert [line for line in told if line.startswith("note: ")] == [
        "note: NVIDIA's asset host does not answer: spark-rl's own simple model is used (not NVIDIA's model)"
    ]


@pytest.mark.parametrize("case", ["another task", "2.x"])
def test_without_assets_nothing_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    notes = lab.Notes(tmp_path / "notes")
    monkeypatch.setenv("FAKE_NOTES", str(notes.folder))
    old = {"lab": lab.checkout(tmp_path / "IsaacLab"), "task": "Isaac-Cartpole-Direct-v0"}
    prepared = Prepared(tmp_path, monkeypatch, answers=False, **(old if case == "2.x" else {"task": "Isaac-Ant"}))
    with pytest.raises(CheckError, match="NVIDIA's asset host cannot be reached") as caught:
        prepared.start()
    assert prepared.plan.task.task.id in caught.value.message
    assert "--assets PATH" in str(caught.value.hint)
    assert list(notes.folder.iterdir()) == []


def test_own_assets_of_2x_are_kit_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = "--/persistent/isaac/asset_root/cloud=/my/assets"
    checkout = lab.checkout(tmp_path / "IsaacLab")
    prepared = Prepared(
        tmp_path, monkeypatch, answers=False, lab=checkout, task="Isaac-Ant-v0", options=("--kit_args", own)
    )
    assert prepared.settled() == prepared.plan
    assert prepared.asked == 0


@pytest.mark.parametrize(("code", "error"), [("checkpoint-missing", RequestError), ("gl-missing", CheckError)])
def test_an_error_forbids_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, error: type[Exception]
) -> None:
    prepared = Prepared(tmp_path, monkeypatch, answers=True)
    finding = Finding(code=code, level="error", message="no", hint="so")
    prepared.plan = replace(prepared.plan, findings=(finding,))
    with pytest.raises(error):
        prepared.start()
    assert prepared.asked == 0


def test_a_program_that_cannot_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = Prepared(tmp_path, monkeypatch, answers=True)
    python = prepared.lab / "bin" / "python"
    python.chmod(0o644)
    with pytest.raises(CheckError, match=f"{python} cannot be started: Permission denied"):
        prepared.start()
    python.unlink()
    with pytest.raises(CheckError, match=f"{python} cannot be started: No such file or directory"):
        prepared.start()
    prepared.plan = replace(prepared.plan, cwd=str(tmp_path / "gone"))
    with pytest.raises(CheckError, match=f"the run's folder {tmp_path}/gone cannot be used"):
        prepared.start()


def test_the_child_gets_the_plans_environment_and_nothing_that_was_unset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = lab.Notes(tmp_path / "notes")
    for name, value in {"FAKE_NOTES": str(notes.folder), "KEPT": "as it is", "DISPLAY": ":7"}.items():
        monkeypatch.setenv(name, value)
    prepared = Prepared(tmp_path, monkeypatch, answers=True)
    prepared.plan = replace(prepared.plan, env=(("SET", "with space"),), env_unset=("DISPLAY",))
    prepared.start()
    seen = notes.started()["environ"]
    assert (seen["SET"], seen["KEPT"]) == ("with space", "as it is")
    assert "DISPLAY" not in seen
    assert Path(seen["SPARK_RL_RESULT"]).parent == registry.path("1")
    assert os.environ["DISPLAY"] == ":7"


def test_an_old_checkpoint_does_not_count_and_a_new_one_counts_whatever_its_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = Prepared(tmp_path, monkeypatch, answers=True)
    monkeypatch.setenv("FAKE_TRAINER", "past")
    first, _ = prepared.start()
    assert first.state == "succeeded"
    assert Path(str(first.checkpoint)).stat().st_mtime < 2_000_000
    monkeypatch.setenv("FAKE_TRAINER", "nothing")
    second, _ = prepared.start()
    assert (second.state, second.checkpoint) == ("failed", None)


class Command:
    """spark-rl on a stand-in whose Python is the fake trainer, as a real child or in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lab = lab.package(folder / "env")
        self.notes = lab.Notes(folder / "notes")

    def start(self, behaviour: str, *words: str, shell: str = "", **env: str) -> Any:
        environ = lab.environ(behaviour, self.notes, **env)
        return lab.spark_rl(*self.words(*words), cwd=self.folder, env=environ, shell=shell)

    def words(self, action: str, *rest: str) -> tuple[str, ...]:
        return (action, *TASK, "--isaaclab", str(self.lab), *rest)

    def run(self, behaviour: str, *words: str) -> tuple[int, str, str]:
        return lab.finish(self.start(behaviour, *words))

    def call(self, behaviour: str, *words: str) -> tuple[int, dict[str, Any]]:
        environ = lab.environ(behaviour, self.notes)
        code, out, err = lab.call(*self.words(*words), "--json", cwd=self.folder, env=environ)
        assert "Traceback" not in err or behaviour == "crash"
        return code, json.loads(out)


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path)
    yield command
    command.notes.sweep()


def test_stdout_is_one_document_while_the_child_floods_both_streams(command: Command) -> None:
    code, out, err = command.run("flood train", "train", "--json")
    assert code == 0, err[-2000:]
    document = json.loads(out)
    assert (document["schema"], document["state"]) == ("spark-rl/outcome/1", "succeeded")
    assert document["checkpoint"].endswith("/model_149.pt")
    assert document["plan"]["schema"] == "spark-rl/plan/1"
    output = registry.output(document["run"]).read_text(encoding="utf-8")
    assert output.count("not yours") == 2 * 8 * 5000
    assert "not yours" not in err
    assert "Learning iteration 149/150" in output


def test_raw_shows_what_the_child_prints(command: Command) -> None:
    code, _, err = command.run("flood train", "train", "--json", "--raw")
    assert code == 0
    assert err.count("not yours") == 2 * 8 * 5000
    assert "Learning iteration 149/150" in err


def test_a_person_reads_the_outcome(command: Command) -> None:
    code, out, err = command.run("train", "train")
    assert code == 0
    assert out.startswith("succeeded: run 1, done, after ")
    assert f"checkpoint: {command.folder}/logs/rsl_rl/" in out
    assert err.startswith("train: Isaac-Cartpole-Direct with rsl_rl (PPO) on Isaac Lab 3.0.0 in ")
    assert command.notes.started()["argv"][:5] == ["-m", "isaaclab", "train", "--rl_library", "rsl_rl"]


@pytest.mark.parametrize(
    ("behaviour", "words", "message"),
    [
        ("crash", ("train",), "training ended with status 1: RuntimeError: the physics exploded"),
        ("nothing", ("train",), "training ended with status 0"),
        ("train empty-video", ("train", "--video"), "no video was written"),
    ],
)
def test_a_failure_is_1_and_says_why(command: Command, behaviour: str, words: tuple[str, ...], message: str) -> None:
    # On a machine without GL a recording would not start at all.
    host = command.folder / "host.json"
    host.write_text(json.dumps(HOST), encoding="utf-8")
    code, document = command.call(behaviour, *words, "--host", str(host))
    assert (code, document["state"], document["message"]) == (1, "failed", message)


HOST = {
    "schema": "spark-rl/doctor/1",
    "host": {"machine": "x86_64", "os": "Ubuntu", "cpu_count": 2, "memory_total_mib": 1, "memory_available_mib": 1}
    | {"gl": True, "display": False},
}


def test_a_video_counts(command: Command) -> None:
    host = command.folder / "host.json"
    host.write_text(json.dumps(HOST), encoding="utf-8")
    code, out, err = command.run("train video", "train", "--video", "--json", "--host", str(host))
    assert code == 0, err
    assert f"warning: this runs here, by the plan for the machine of {host}" in err
    (video,) = json.loads(out)["videos"]
    assert Path(video).read_text() == "frames"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_is_passed_on_and_told(command: Command, number: signal.Signals, code: int) -> None:
    child = command.start("polite" if number == signal.SIGINT else "hang", "train", "--json")
    pid = command.notes.started()["pid"]
    child.send_signal(number)
    ended, out, err = lab.finish(child)
    document = json.loads(out)
    assert (ended, document["state"]) == (code, "interrupted")
    assert "stopping: sent INT to the run" in err
    assert not lab.is_running(pid)


def test_ctrl_c_in_a_terminal_reaches_the_child_once(command: Command) -> None:
    child = command.start("polite", "train")
    command.notes.started()
    os.killpg(child.pid, signal.SIGINT)
    assert lab.finish(child)[0] == 130
    assert command.notes.read("heard") == "2"


def test_a_run_in_the_background_of_a_script_stops_too(command: Command) -> None:
    child = command.start("hang", "train", shell="trap '' INT")
    command.notes.started()
    child.send_signal(signal.SIGINT)
    assert lab.finish(child)[0] == 130


@pytest.fixture
def trained(command: Command) -> Command:
    run = command.folder / "logs" / "rsl_rl" / "cartpole_direct" / "2026-01-01_00-00-00"
    run.mkdir(parents=True)
    (run / "model_9.pt").write_text("weights")
    return command


def test_bounded_play_tells_what_was_measured(trained: Command) -> None:
    code, document = trained.call("train", "play", "--steps", "300")
    assert code == 0, document
    played = document["played"]
    assert (played["steps"], played["episodes"], played["mean_return"], played["mean_length"]) == (300, 2, 4.5, 290.0)
    assert played["checkpoint"].endswith("/model_9.pt")
    assert trained.notes.started()["argv"][:4] == [places.DRIVER, "--steps", "300", "--"]


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("steps=7", "only 7 of 300 steps were played"),
        ("steps=0", "only 0 of 300 steps were played"),
        (
            "crash",
            "only 0 of 300 steps were played: the script ended with status 1: RuntimeError: the physics exploded",
        ),
    ],
)
def test_bounded_play_that_ends_early_failed(trained: Command, behaviour: str, message: str) -> None:
    code, document = trained.call(behaviour, "play", "--steps", "300")
    assert (code, document["message"]) == (1, message)


def test_play_without_a_checkpoint_is_a_wrong_request(command: Command) -> None:
    code, document = command.call("train", "play", "--steps", "5")
    assert (code, document["error"]["code"]) == (2, 2)
    assert not (command.notes.folder / "started").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"steps": 3}', "null"])
def test_a_result_that_is_not_whole_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "play.json").write_text(text)
    assert attempts._played(tmp_path / "play.json") is None
    assert attempts._played(tmp_path / "none.json") is None


class Answering(BaseHTTPRequestHandler):
    """Answers every HEAD with the status that its path names, or with something else."""

    def do_HEAD(self) -> None:
        word = self.path.strip("/")
        if word == "garbage":
            self.wfile.write(b"this is not HTTP\r\n\r\n")
        elif word == "hang":
            HANGING.wait(lab.PATIENCE_S)
        else:
            self.send_response(int(word))
            self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


HANGING = threading.Event()


@pytest.fixture
def server() -> Iterator[str]:
    HANGING.clear()
    server = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    HANGING.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "answered"), [("200", True), ("403", True), ("404", True), ("500", True), ("garbage", False)]
)
def test_any_status_is_an_answer(server: str, path: str, answered: bool) -> None:
    assert network.answers(f"{server}/{path}", timeout_s=lab.PATIENCE_S) is answered


def test_a_host_that_hangs_does_not_answer(server: str) -> None:
    assert network.answers(f"{server}/hang", timeout_s=0.1) is False


def test_a_name_that_is_looked_up_for_ever_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    release, finished = threading.Event(), threading.Event()

    def look_up(*_: object, **__: object) -> None:
        release.wait(lab.PATIENCE_S)
        finished.set()
        raise OSError("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert network.answers("http://slow.invalid/", timeout_s=0.1) is False
    assert not finished.is_set()
    release.set()
    assert finished.wait(lab.PATIENCE_S)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://no-such-host.invalid/", "nonsense"])
def test_no_server_is_no_answer(url: str) -> None:
    assert network.answers(url, timeout_s=1.0) is False


def test_doctor_looks_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = stand_in.kitless(tmp_path / "env")
    monkeypatch.setenv("VIRTUAL_ENV", str(env))
    seen = examination.examine(tmp_path)
    assert (str(env), "the active environment ($VIRTUAL_ENV)") in [(it.path, why) for it, why in seen.installations]
    assert "isaaclab-missing" not in [finding.code for finding in seen.findings]


def test_doctor_names_the_isaac_lab_of_the_settings_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = stand_in.checkout(tmp_path / "elsewhere", "2.3.0")
    monkeypatch.setenv("SPARK_RL_ISAACLAB", str(lab))
    seen = examination.examine(tmp_path)
    first, why = seen.installations[0]
    assert (first.path, why) == (str(lab), "named by SPARK_RL_ISAACLAB")
    assert "isaaclab-missing" not in {finding.code for finding in seen.findings}
