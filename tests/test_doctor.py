"""The doctor, and the pre-flight that is a part of it: six machines from their documents, and this one.

``pytest --update-golden`` writes the golden files.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import stand_in
from fakes import lab
from planning import HOSTS
from spark_rl import documents, examination, host, network
from spark_rl.__main__ import run
from spark_rl.errors import RequestError
from spark_rl.gauges import system
from spark_rl.model import Folder

GOLDEN = Path(__file__).parent / "golden"
MACHINES = {
    "dgx-spark": 0,
    "server-8gpu": 0,
    "x86-workstation": 0,
    "laptop-no-gpu": 0,
    "conda-base": 1,
    "disk-full": 1,
}
"""Machines and the exit code of their doctor."""

CARTPOLE = ("--task", "Isaac-Cartpole-Direct-v0", "--library", "rsl_rl")


def test_every_machine_has_a_golden_file() -> None:
    assert {file.stem for file in HOSTS.glob("*.json")} == set(MACHINES)


@pytest.fixture
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Stand among the documents, in the shell that one of them was written in."""
    name = str(request.param)
    document = json.loads((HOSTS / f"{name}.json").read_text(encoding="utf-8"))
    for variable in host.VARIABLES:
        if variable != "HOME":
            monkeypatch.delenv(variable, raising=False)
    for variable, value in document["environ"].items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(HOSTS)
    return name


@pytest.mark.parametrize("machine", MACHINES, indirect=True)
def test_what_is_told_of_a_machine(
    machine: str, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    code = run(["doctor", "--host", f"{machine}.json"])
    told = capsys.readouterr().out
    golden = GOLDEN / f"doctor-{machine}.txt"
    if request.config.getoption("--update-golden"):
        golden.write_text(told, encoding="utf-8")
    assert golden.is_file(), f"{golden.name} is missing: pytest --update-golden writes it"
    assert told == golden.read_text(encoding="utf-8")
    assert code == MACHINES[machine]


@pytest.mark.parametrize("machine", ["dgx-spark", "x86-workstation"], indirect=True)
def test_a_healthy_machine_is_one_screen(machine: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(["doctor", "--host", f"{machine}.json"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(len(line) for line in lines) <= 80
    assert lines[-1] == "ready: nothing found that stops training"


@pytest.mark.parametrize("machine", MACHINES, indirect=True)
def test_the_document_comes_back_whole(machine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["doctor", "--host", f"{machine}.json", "--json"])
    first = capsys.readouterr().out
    copy = tmp_path / f"{machine}.json"
    copy.write_text(first, encoding="utf-8")
    assert host.load(copy) == host.load(HOSTS / f"{machine}.json")
    document = json.loads(first)
    assert (code == 1) == any(finding["level"] == "error" for finding in document["findings"])
    assert {"code", "level", "message", "hint"} == set(document["findings"][0]) if document["findings"] else True


@pytest.mark.parametrize("machine", ["conda-base"], indirect=True)
def test_the_shell_is_told_and_not_taken(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.loads((HOSTS / f"{machine}.json").read_text(encoding="utf-8"))
    facts, _ = host.load(HOSTS / f"{machine}.json", {})
    assert facts.environ == ()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    written = documents.doctor(host.probe(system.memory()), (), ())
    assert {**document["environ"]}.items() <= written["environ"].items()
    assert "secret" not in json.dumps(written)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand beside a kit-less Isaac Lab, with a network that answers."""
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    monkeypatch.setenv("SPARK_RL_ISAACLAB", str(stand_in.kitless(tmp_path / "env")))
    monkeypatch.setattr(network, "answers", lambda **_: True)
    return cwd


def test_this_machine(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["doctor", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["host"]["asset_host"] is True
    assert document["host"]["glibc"] == os.confstr("CS_GNU_LIBC_VERSION").split()[1]  # type: ignore[union-attr]
    folders = {folder["purpose"]: folder for folder in document["host"]["folders"]}
    assert folders["logs"]["path"] == f"{here}/logs"
    assert folders["logs"]["writable"] is True
    free = os.statvfs(here)
    assert folders["logs"]["free_mib"] == pytest.approx(free.f_bavail * free.f_frsize / 2**20, rel=0.2)
    assert document["isaaclab"][0]["reason"] == "named by SPARK_RL_ISAACLAB"


def test_an_own_asset_root_asks_nobody(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(network, "answers", lambda **_: pytest.fail("the network was asked"))
    monkeypatch.setenv("ISAACSIM_ASSET_ROOT", str(tmp_path))
    run(["doctor", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert (document["host"]["asset_host"], document["host"]["asset_root"]) == (None, False)
    assert "assets-empty" in {finding["code"] for finding in document["findings"]}


def test_an_installation_that_is_broken_is_told(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = stand_in.checkout(tmp_path / "broken", "2.3.2")
    (broken / "VERSION").unlink()
    monkeypatch.setenv("ISAACLAB_PATH", str(broken))
    run(["doctor", "--json"])
    found = {finding["code"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert found["isaaclab-broken"]["message"] == f"{broken} has no VERSION file"


def test_a_named_isaac_lab_is_the_one_in_use(here: Path, tmp_path: Path) -> None:
    other = stand_in.checkout(tmp_path / "other", "2.2.0")
    seen = examination.examine(here, str(other))
    first, why = seen.installations[0]
    assert (first.path, why) == (str(other), "named by --isaaclab")
    with pytest.raises(RequestError):
        examination.examine(here, str(tmp_path / "none"))


def test_deep_is_for_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--deep", "--host", str(HOSTS / "dgx-spark.json")]) == 2
    assert "--deep computes on this machine" in capsys.readouterr().err


# Pre-flight: the same findings before a run.


@pytest.fixture
def full_disk(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    full = Folder(purpose="logs", path=f"{here}/logs", free_mib=3, writable=True)
    monkeypatch.setattr(host, "look", lambda _: (full,))
    return here


def told(*words: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run([*words, "--dry-run", "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return {finding["code"]: finding for finding in document["findings"]}


def test_a_dry_run_shows_what_would_stop_the_start(full_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told("train", *CARTPOLE, capsys=capsys)
    assert found["disk-full"]["message"] == f"only 3 MiB are left for logs in {full_disk}/logs"
    assert "disk-full" not in told("train", *CARTPOLE, "--no-preflight", capsys=capsys)


@pytest.mark.parametrize("action", ["train", "play"])
def test_an_error_stops_the_start_with_1(
    action: str, full_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "model_1.pt"
    checkpoint.write_text("weights")
    words = [action, *CARTPOLE, *(("--checkpoint", str(checkpoint)) if action == "play" else ())]
    assert run([*words, "--json"]) == 1
    out, _ = capsys.readouterr()
    assert json.loads(out)["error"]["kind"] == "check"
    assert json.loads(out)["error"]["hint"] == f"free some: du -xh -d1 {full_disk}/logs | sort -h | tail"


@pytest.mark.parametrize(("words", "code"), [((), 1), (("--no-preflight",), 0)])
def test_no_preflight_starts_all_the_same(words: tuple[str, ...], code: int, tmp_path: Path) -> None:
    notes = lab.Notes(tmp_path / "notes")
    env = lab.package(tmp_path / "env")
    site = next(env.glob("lib/python*/site-packages"))
    for name in ("torch-2.11.0", "rsl_rl_lib-2.3.3"):
        (site / f"{name}.dist-info").mkdir()
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    variables = lab.environ("train", notes, SPARK_RL_ISAACLAB=str(env))
    ended, _, err = lab.finish(lab.spark_rl("train", *CARTPOLE, *words, cwd=cwd, env=variables))
    assert ended == code, err
    assert (notes.folder / "started").exists() is (code == 0)
    assert ("error: rsl_rl 2.3.3 is too old for Isaac Lab 3.0.0" in err) is (code == 1)
