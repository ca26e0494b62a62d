"""Real children, real signals: everything stops, and nothing outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from fakes import lab
from spark_rl import supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG, SHORT = "60", "0.2"
TRAINER = (sys.executable, "-I", "-S", lab.TRAINER)


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[lab.Notes]:
    notes = lab.Notes(tmp_path / "notes")
    yield notes
    notes.sweep()


class Supervised:
    """A child of a child: this test, the supervisor's process, the trainer."""

    def __init__(self, behaviour: str, notes: lab.Notes, grace: str, *argv: str | Path, shell: str = "") -> None:
        self.notes = notes
        words = (sys.executable, lab.FAKES / "supervise.py", grace, *(argv or TRAINER))
        self.child: subprocess.Popen[str] = lab.start(
            *words, cwd=notes.folder, env=lab.environ(behaviour, notes), shell=shell
        )

    def signal(self, number: signal.Signals) -> None:
        self.child.send_signal(number)

    def ended(self) -> dict[str, Any]:
        code, out, err = lab.finish(self.child)
        assert code == 0, err
        document: dict[str, Any] = json.loads(out)
        return document


def test_an_interrupt_reaches_the_child_once(notes: lab.Notes) -> None:
    run = Supervised("polite", notes, LONG)
    notes.started()
    run.signal(signal.SIGINT)
    ended = run.ended()
    assert (ended["status"], ended["sent"], ended["stopped_by"]) == (0, ["SIGINT"], signal.SIGINT)
    assert notes.read("heard") == "2"


def test_a_second_interrupt_skips_ahead_and_a_third_kills(notes: lab.Notes) -> None:
    run = Supervised("deaf", notes, LONG)
    notes.started()
    run.signal(signal.SIGINT)
    notes.expect("heard", "2")
    run.signal(signal.SIGINT)
    notes.expect("heard", "2 15")
    run.signal(signal.SIGINT)
    ended = run.ended()
    assert (ended["status"], ended["sent"]) == (-signal.SIGKILL, ["SIGINT", "SIGTERM", "SIGKILL"])
    assert ended["seconds"] < float(LONG)


def test_the_ladder_climbs_by_itself_when_the_time_is_up(notes: lab.Notes) -> None:
    run = Supervised("deaf", notes, SHORT)
    notes.started()
    run.signal(signal.SIGINT)
    ended = run.ended()
    assert (ended["status"], ended["sent"]) == (-signal.SIGKILL, ["SIGINT", "SIGTERM", "SIGKILL"])
    assert notes.read("heard") == "2 15"
    assert ended["seconds"] >= 2 * float(SHORT)


def test_a_repeated_request_climbs_after_a_passed_deadline_too() -> None:
    stop = supervisor.Stop(grace_s=30)
    assert stop.due(0) is None
    stop.request(signal.SIGINT, None)
    assert [stop.due(0), stop.due(29), stop.due(30), stop.due(31)] == [signal.SIGINT, None, signal.SIGTERM, None]
    stop.request(signal.SIGINT, None)
    assert [stop.due(32), stop.due(99)] == [signal.SIGKILL, None]


def test_a_stop_by_a_program_is_in_a_hurry_at_first() -> None:
    stop = supervisor.Stop(grace_s=30)
    stop.request(signal.SIGTERM, None)
    assert [stop.due(0), stop.due(4), stop.due(5)] == [signal.SIGINT, None, signal.SIGTERM]
    assert [stop.due(34), stop.due(35)] == [None, signal.SIGKILL]


def test_waiting_for_what_cannot_be_killed_does_not_spin() -> None:
    stop = supervisor.Stop(grace_s=30)
    assert stop.pause(0) > 0
    for moment in (0, 30, 60):
        stop.request(signal.SIGINT, None)
        assert stop.due(moment) is not None
        assert stop.pause(moment) > 0
    stop.request(signal.SIGINT, None)
    assert (stop.due(99), stop.pause(99) > 0) == (None, True)


def test_a_stop_by_a_program_starts_with_int_too(notes: lab.Notes) -> None:
    run = Supervised("hang", notes, LONG)
    notes.started()
    run.signal(signal.SIGTERM)
    ended = run.ended()
    assert (ended["status"], ended["sent"], ended["stopped_by"]) == (-signal.SIGINT, ["SIGINT"], signal.SIGTERM)


def test_a_lost_terminal_is_told_and_stops_nothing(notes: lab.Notes) -> None:
    run = Supervised("polite", notes, LONG)
    notes.started()
    run.signal(signal.SIGHUP)
    notes.expect("hung-up", "yes")
    assert not (notes.folder / "heard").exists()
    run.signal(signal.SIGINT)
    assert run.ended()["stopped_by"] == signal.SIGINT


def test_the_watcher_may_end_the_run(notes: lab.Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("END_IT", "1")
    ended = Supervised("deaf", notes, SHORT).ended()
    assert (ended["stopped_by"], ended["ended_by"]) == (None, "stall")
    assert ended["sent"] == ["SIGINT", "SIGTERM", "SIGKILL"]


@pytest.mark.parametrize("victim", ["supervisor", "reaper", "both"])
def test_nothing_outlives_a_supervisor_that_is_killed(notes: lab.Notes, tmp_path: Path, victim: str) -> None:
    lab.checkout(tmp_path / "IsaacLab")
    run = Supervised("family deaf", notes, LONG, tmp_path / "IsaacLab" / "isaaclab.sh", "-p", "train.py")
    trainer, grandchild = notes.started()["pid"], int(notes.read("grandchild"))
    shell = lab.parent(trainer)
    reaper = lab.parent(shell)
    assert lab.parent(reaper) == run.child.pid
    for pid in {"supervisor": (run.child.pid,), "reaper": (reaper,), "both": (run.child.pid, reaper)}[victim]:
        os.kill(pid, signal.SIGKILL)
    gone = (shell,) if victim == "both" else (trainer, grandchild, shell, reaper)
    lab.eventually(lambda: not any(map(lab.is_running, gone)), "the end of all")
    if victim == "reaper":
        assert run.ended()["status"] == -signal.SIGKILL
    else:
        lab.finish(run.child)


def test_a_daemon_of_its_own_session_is_gone_too(notes: lab.Notes) -> None:
    run = Supervised("nothing", notes, LONG, "/bin/sh", "-c", "setsid sleep 1000 & echo $! >$FAKE_NOTES/daemon")
    assert run.ended()["status"] == 0
    daemon = int(notes.read("daemon"))
    lab.eventually(lambda: not lab.is_running(daemon), "the daemon's end")


def test_nohup_is_respected(notes: lab.Notes) -> None:
    run = Supervised("polite", notes, LONG, shell="trap '' HUP")
    notes.started()
    run.signal(signal.SIGHUP)
    run.signal(signal.SIGINT)
    assert run.ended()["stopped_by"] == signal.SIGINT


def test_a_child_of_a_background_shell_stops_too(notes: lab.Notes) -> None:
    run = Supervised("hang", notes, LONG, shell="trap '' INT QUIT")
    notes.started()
    run.signal(signal.SIGINT)
    assert run.ended()["status"] == -signal.SIGINT


def test_a_grandchild_that_ignores_everything_is_gone_too(notes: lab.Notes) -> None:
    run = Supervised("family hang", notes, SHORT)
    notes.started()
    grandchild = int(notes.read("grandchild"))
    assert lab.is_running(grandchild)
    run.signal(signal.SIGINT)
    ended = run.ended()
    assert (ended["status"], ended["sent"]) == (-signal.SIGINT, ["SIGINT", "SIGTERM", "SIGKILL"])
    lab.eventually(lambda: not lab.is_running(grandchild), "the grandchild's end")


def test_what_a_finished_child_leaves_behind_is_killed_at_once(notes: lab.Notes) -> None:
    ended = Supervised("family nothing", notes, LONG).ended()
    assert (ended["status"], ended["sent"], ended["stopped_by"]) == (0, [], None)
    assert ended["seconds"] < float(LONG)
    grandchild = int(notes.read("grandchild"))
    lab.eventually(lambda: not lab.is_running(grandchild), "the grandchild's end")


def test_a_trainer_behind_a_shell_may_close(notes: lab.Notes, tmp_path: Path) -> None:
    lab.checkout(tmp_path / "IsaacLab")
    run = Supervised("slow-close", notes, LONG, tmp_path / "IsaacLab" / "isaaclab.sh", "-p", "train.py")
    assert notes.started()["group"] != notes.started()["pid"]
    run.signal(signal.SIGTERM)
    ended = run.ended()
    assert (ended["status"], ended["sent"]) == (0, ["SIGINT"])
    assert (notes.folder / "closed").exists()


def test_a_member_that_has_ended_is_not_waited_for(notes: lab.Notes) -> None:
    run = Supervised("zombie hang", notes, LONG)
    notes.started()
    zombie = int(notes.read("zombie"))
    lab.eventually(lambda: lab.state(zombie) == "Z", "the member's end")
    run.signal(signal.SIGINT)
    assert run.ended()["sent"] == ["SIGINT"]


def test_the_child_has_its_own_session_and_no_input(notes: lab.Notes) -> None:
    run = Supervised("hang", notes, LONG)
    seen = notes.started()
    assert seen["input"] == ""
    assert seen["group"] == seen["pid"] == os.getsid(seen["pid"]) != os.getsid(run.child.pid)
    run.signal(signal.SIGTERM)
    run.ended()


def test_a_callback_that_cannot_speak_does_not_shorten_the_stop(notes: lab.Notes) -> None:
    run = Supervised("slow-close", notes, LONG)
    notes.started()
    assert run.child.stderr is not None
    run.child.stderr.close()
    run.signal(signal.SIGTERM)
    assert run.child.stdout is not None
    assert json.loads(run.child.stdout.read())["status"] == 0
    assert (notes.folder / "closed").exists()
    run.child.wait(lab.PATIENCE_S)
    run.child.stdout.close()


def test_signal_handlers_are_given_back(tmp_path: Path) -> None:
    used = (*supervisor.REQUESTS, signal.SIGHUP)
    before = [signal.getsignal(number) for number in used]
    ended = supervisor.run(["/bin/sh", "-c", "exit 7"], cwd=tmp_path, environ={}, watcher=supervisor.Watcher())
    assert (ended.status, ended.sent, ended.stopped_by) == (7, (), None)
    assert [signal.getsignal(number) for number in used] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_reaper_that_is_told_to_end_at_once_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hasty(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                self.send_signal(number)

    monkeypatch.setattr(subprocess, "Popen", Hasty)
    ended = supervisor.run(("true",), cwd=tmp_path, environ=os.environ, watcher=supervisor.Watcher(), grace_s=1.0)
    assert (ended.status, ended.stopped_by) == (0, None)


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(FileNotFoundError):
        supervisor.run([str(tmp_path / "none")], cwd=tmp_path, environ={}, watcher=supervisor.Watcher())
    assert signal.getsignal(signal.SIGINT) == before
