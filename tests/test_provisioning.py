"""What ``spark-rl assets`` tells and fetches: a real host on this machine, a stand-in for Isaac Lab's retriever."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

import asset_host
import stand_in
from asset_host import TREE
from fakes.lab import program
from spark_rl import launch, network, prepare, retrieving
from spark_rl.__main__ import run
from spark_rl.model import Request

if TYPE_CHECKING:
    from pathlib import Path

TASK = ("--task", "Isaac-Ant-Direct")
DRLEGS = ("--task", "IsaacContrib-DrLegs-HoldPose")

Cli = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder of one's own, with an Isaac Lab whose default host does not answer."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "cwd"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "cwd"))
    answers = network.answers
    monkeypatch.setattr(network, "answers", lambda url=network.ASSET_HOST: "127.0.0.1" in url and answers(url))
    return asset_host.python(tmp_path / "venv")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a tree and name it as the asset root; give its folder."""
    served = asset_host.tree(tmp_path / "served")
    with asset_host.serving(served) as address:
        monkeypatch.setenv("ISAACSIM_ASSET_ROOT", address)
        yield served


@pytest.fixture
def cli(lab: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command; return its exit code, its document and what it said."""

    def call(*words: str) -> tuple[int, dict[str, Any], str]:
        code = run([*words, "--isaaclab", str(lab), "--json"])
        told = capsys.readouterr()
        return code, json.loads(told.out), told.err

    return call


def states(document: dict[str, Any]) -> dict[str, str]:
    return {file["path"]: file["state"] for file in document["files"]}


def noted(lab: Path, name: str) -> list[str]:
    file = lab.with_name(name)
    return file.read_text().splitlines() if file.exists() else []


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def holds(folder: Path) -> dict[str, str]:
    """Return the files of a copy, revisions left out."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".retriever" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def test_status_of_a_folder_names_what_is_there_and_what_is_not(cli: Cli, tmp_path: Path) -> None:
    root = asset_host.tree(tmp_path / "root")
    code, document, _ = cli("assets", "status", *TASK, "--assets", str(root))
    assert (code, document["complete"]) == (0, True)
    assert states(document) == dict.fromkeys(("Isaac/arrow.usda", "Isaac/net.pt", "Isaac/robot.usda"), "present")
    assert document["roots"] == [{"name": "isaac", "path": str(root), "reason": "asked for"}]
    robot = document["files"][2]
    assert (robot["at"], robot["size"]) == (str(root / "Isaac/robot.usda"), len(TREE["Isaac/robot.usda"]))
    assert robot["keys"] == ["env.scene.robot.usd_path"]

    (root / "Isaac/net.pt").unlink()
    code, document, _ = cli("assets", "status", *TASK, "--assets", str(root))
    assert (code, document["complete"], states(document)["Isaac/net.pt"]) == (1, False, "missing")
    assert document["files"][1]["keys"] == ["env.scene.spare.1.network_file"]


def test_status_asks_the_host_for_each_file(cli: Cli, host: Path) -> None:
    (host / "Isaac/net.pt").unlink()
    code, document, _ = cli("assets", "status", *TASK)
    assert code == 1
    wanted = {"Isaac/arrow.usda": "reachable", "Isaac/net.pt": "missing", "Isaac/robot.usda": "reachable"}
    assert states(document) == wanted
    assert [file["size"] for file in document["files"]] == [9, None, len(TREE["Isaac/robot.usda"])]
    assert document["roots"][0]["reason"] == "your ISAACSIM_ASSET_ROOT"


def test_status_knows_isaac_labs_own_copies(cli: Cli, host: Path, tmp_path: Path, lab: Path) -> None:
    _, document, _ = cli("assets", "status", *TASK)
    scheme, _, name = document["roots"][0]["path"].partition("://")
    copy = tmp_path / "cwd" / scheme / name.replace(":", "_") / "Isaac/net.pt"
    copy.parent.mkdir(parents=True)
    copy.write_text("weights")
    (host / "Isaac/net.pt").unlink()
    code, document, _ = cli("assets", "status", *TASK)
    assert (code, states(document)["Isaac/net.pt"], document["files"][1]["at"]) == (0, "cached", str(copy))
    assert len(noted(lab, "asked")) == 1, "what was resolved is remembered"


def test_a_host_that_does_not_answer_is_said_once(
    cli: Cli, lab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(network, "sizes", lambda urls: dict.fromkeys(urls) and pytest.fail("a file was asked for"))
    code, document, _ = cli("assets", "status", *TASK)
    assert (code, set(states(document).values())) == (1, {"unreachable"})
    assert document["silent_hosts"] == ["https://assets.invalid"]
    assert run(["assets", "status", *TASK, "--isaaclab", str(lab)]) == 1
    told = capsys.readouterr()
    assert told.out.count("does not answer") == 1
    assert "3 files, 0 missing, 3 out of reach" in told.out
    assert "assets fetch --task Isaac-Ant-Direct --to" in told.err


def test_embedded_models_serve_where_nothing_answers(cli: Cli) -> None:
    _, document, _ = cli("assets", "status", "--task", "Isaac-Cartpole-Direct-v0")
    assert document["roots"][0]["reason"] == "those of spark-rl: NVIDIA's host does not answer"


def test_an_override_that_isaac_lab_refuses_is_an_error(cli: Cli) -> None:
    code, document, _ = cli("assets", "status", *TASK, "presets=nosuch")
    assert (code, document["error"]["message"]) == (1, "Isaac Lab cannot tell: ValueError: unknown preset: nosuch")


def test_fetch_copies_what_a_task_needs_with_all_that_it_refers_to(cli: Cli, host: Path, tmp_path: Path) -> None:
    copy = tmp_path / "a copy"
    code, document, said = cli("assets", "fetch", *TASK, "--to", str(copy))
    assert holds(copy) == TREE
    assert document["size"] == document["received"] == sum(map(len, TREE.values()))
    assert (code, document["failed"]) == (0, [])
    assert document["dangling"] == [{"path": "Isaac/gone.usda", "by": "Isaac/parts/leg.usda"}]
    assert document["elsewhere"] == ["https://other.invalid/a.usda"]
    assert "7 B  Isaac/net.pt" in said
    assert {path.stat().st_mode & 0o077 for path in (copy / "Isaac").glob("*.*")} == {0o066 & ~umask()}, (
        "others may read"
    )

    code, document, _ = cli("assets", "status", *TASK, "--assets", str(copy))
    assert (code, document["complete"]) == (0, True)


def test_a_file_that_the_configuration_names_and_nobody_has_fails_the_fetch(
    cli: Cli, host: Path, tmp_path: Path, lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "Isaac/net.pt").unlink()
    code, document, said = cli("assets", "fetch", *TASK, "--to", str(tmp_path / "copy"))
    assert (code, document["failed"]) == (1, [{"path": "Isaac/net.pt", "why": "is not there"}])
    assert "error: Isaac/net.pt: is not there" in said
    assert run(["assets", "fetch", *TASK, "--to", str(tmp_path / "copy"), "--isaaclab", str(lab)]) == 1
    told = capsys.readouterr().out
    assert "0 fetched (0 B), 7 were there" in told
    assert "the copy is not complete, 1 could not be had:\n  Isaac/net.pt: is not there" in told
    assert "use it" not in told


def test_a_host_that_goes_away_is_no_host_without_the_file(
    cli: Cli, host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter((True, False))
    monkeypatch.setattr(network, "answers", lambda _url: next(answers))
    (host / "Isaac/net.pt").unlink()
    code, document, _ = cli("assets", "fetch", *TASK, "--to", str(tmp_path / "copy"))
    assert code == 1
    assert "does not answer" in document["error"]["message"]


def test_what_is_whole_is_not_fetched_again(cli: Cli, host: Path, tmp_path: Path, lab: Path) -> None:
    (host / "Isaac/gone.usda").write_text("#usda 1.0")
    copy = tmp_path / "copy"
    code, document, _ = cli("assets", "fetch", *TASK, "--to", str(copy))
    assert (code, document["failed"]) == (0, [])
    before = noted(lab, "fetched")
    assert sorted(before) == sorted(path.rpartition("/")[2] for path in [*TREE, "Isaac/gone.usda"])

    (copy / "Isaac/net.pt").write_text("wei")
    (copy / "Isaac/skin.png").unlink()
    (host / "Isaac/arrow.usda").write_text("#usda 1.0 with news")
    code, document, said = cli("assets", "fetch", *TASK, "--to", str(copy))
    assert code == 0
    assert sorted(noted(lab, "fetched")[len(before) :]) == ["arrow.usda", "net.pt", "skin.png"]
    assert [file["path"] for file in document["files"] if not file["kept"]] == [
        *("Isaac/arrow.usda", "Isaac/net.pt", "Isaac/skin.png")
    ]
    assert holds(copy) == {file.relative_to(host).as_posix(): file.read_text() for file in host.rglob("*.*")}
    assert said.count("(was there)") == 6


def test_a_folder_is_an_asset_root_to_fetch_from(cli: Cli, tmp_path: Path) -> None:
    source, copy = asset_host.tree(tmp_path / "source"), tmp_path / "copy"
    cli("assets", "fetch", *TASK, "--assets", str(source), "--to", str(copy))
    assert holds(copy) == TREE

    code, document, _ = cli("assets", "fetch", *TASK, "--assets", str(source), "--to", str(source))
    assert (code, document["error"]["message"]) == (2, f"{source} is the asset root itself")


def test_nothing_is_fetched_from_a_host_that_does_not_answer(cli: Cli, tmp_path: Path) -> None:
    code, document, _ = cli("assets", "fetch", *TASK, "--to", str(tmp_path / "copy"))
    assert (code, document["error"]["message"]) == (1, "https://assets.invalid does not answer (limit 2 s)")
    assert not (tmp_path / "copy").exists()


def test_the_second_host_and_others_are_named(
    cli: Cli, host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = tmp_path / "second"
    (second / "legs").mkdir(parents=True)
    (second / "legs/legs.usda").write_text("#usda 1.0")
    monkeypatch.setenv("NEWTON_ASSET_DIR", str(second))
    copy = tmp_path / "copy"
    _, document, _ = cli("assets", "fetch", *DRLEGS, "--to", str(copy))
    assert [root["name"] for root in document["roots"]] == ["isaac", "newton"]
    assert holds(copy) == {**TREE, "newton-assets/legs/legs.usda": "#usda 1.0"}
    assert document["elsewhere"] == ["https://elsewhere.invalid/far.usda", "https://other.invalid/a.usda"]

    monkeypatch.delenv("NEWTON_ASSET_DIR")
    _, document, _ = cli("assets", "status", *DRLEGS, "--assets", str(copy))
    assert states(document)["legs/legs.usda"] == "present"
    assert document["roots"][1]["path"] == str(copy / "newton-assets")
    _, plan, _ = cli("train", *DRLEGS, "--assets", str(copy), "--dry-run")
    (finding,) = (finding for finding in plan["findings"] if finding["code"] == "assets-elsewhere")
    assert "https://elsewhere.invalid" in finding["message"]
    assert "newton.invalid" not in finding["message"]

    (copy / "newton-assets").rename(copy / "away")
    _, plan, _ = cli("train", *DRLEGS, "--assets", str(copy), "--dry-run")
    assert any("newton.invalid" in finding["message"] for finding in plan["findings"])


def test_missing_files_are_named_before_the_start_once_the_needs_are_known(cli: Cli, tmp_path: Path) -> None:
    root = asset_host.tree(tmp_path / "root")
    for name in ("robot.usda", "net.pt", "arrow.usda"):
        (root / "Isaac" / name).unlink()
    train = ("train", *TASK, "--library", "rsl_rl", "--assets", str(root))
    assert not found(cli(*train, "--dry-run")[1])

    cli("assets", "status", *TASK, "--assets", str(root))
    error, warning = found(cli(*train, "--dry-run", "agent.seed=3", "env.decimation=2")[1])
    assert (error["code"], error["level"]) == ("assets-missing", "error")
    assert error["message"].endswith(f"{root} does not hold: Isaac/net.pt, Isaac/robot.usda")
    assert error["hint"].endswith(f"spark-rl assets fetch --task Isaac-Ant-Direct --to {root}")
    assert (warning["level"], warning["message"].rpartition(" ")[2]) == ("warning", "Isaac/arrow.usda")
    code, document, _ = cli(*train)
    assert (code, document["error"]["message"]) == (1, error["message"])
    assert not found(cli(*train, "--dry-run", "--no-preflight")[1])
    assert not found(cli(*train, "--dry-run", "presets=other")[1]), "other presets may need other files"


def found(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [finding for finding in plan["findings"] if finding["code"].startswith("assets-")]


def test_of_isaac_lab_2_the_newest_run_tells_what_a_task_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    old, root = stand_in.checkout(tmp_path / "IsaacLab", "2.3.2"), tmp_path / "root"

    def cli(*words: str) -> tuple[int, dict[str, Any]]:
        code = run([*words, "--task", "Isaac-Ant-Direct-v0", "--isaaclab", str(old), "--json"])
        return code, json.loads(capsys.readouterr().out)

    (root / "Isaac/Robots").mkdir(parents=True)
    code, document = cli("assets", "status", "--assets", str(root))
    assert code == 1
    assert document["error"]["message"].startswith("the needs of Isaac-Ant-Direct-v0 are not known: Isaac Lab 2 tells")
    assert "--max-iterations 1" in document["error"]["hint"]

    run_folder = old / "logs/rsl_rl/ant_direct/2026-01-01_00-00-00/params"
    run_folder.mkdir(parents=True)
    (run_folder / "env.yaml").write_text(
        "scene: &scene\n  num_envs: 4\nrobot: !!python/object:isaaclab.Cfg\n  size: !!python/tuple\n  - 1\n  spawn:\n"
        "    usd_path: https://omniverse-content-production.s3.amazonaws.com/Assets/Isaac/5.1/Isaac/Robots/ant.usd\n"
    )
    code, document = cli("assets", "status", "--assets", str(root))
    assert (code, states(document)) == (1, {"Isaac/Robots/ant.usd": "missing"})
    assert document["files"][0]["keys"] == ["env.robot.spawn.usd_path"]
    assert document["source"] == str(run_folder / "env.yaml")
    (finding,) = found(cli("train", "--library", "rsl_rl", "--assets", str(root), "--dry-run")[1])
    assert (finding["code"], finding["level"]) == ("assets-missing", "error")

    (root / "Isaac/Robots/ant.usd").write_text("usd")
    assert cli("assets", "status", "--assets", str(root))[0] == 0
    code, document = cli("assets", "fetch", "--to", str(tmp_path / "copy"))
    assert (code, document["error"]["message"]) == (1, "Isaac Lab 2 fetches assets only inside the simulator")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'ImportError: no module' >&2; exit 1", "Isaac Lab's Python ended with status 1: ImportError: no module"),
        ("echo nonsense > $3", "Isaac Lab's Python wrote what makes no sense: nonsense"),
        ("""echo '{"task": "T"}' > $3""", "the answer of "),
        ("exit 0", "the answer of "),
    ],
)
def test_a_python_that_cannot_tell_is_an_error(cli: Cli, lab: Path, script: str, message: str) -> None:
    program(lab / "bin" / "python", f"#!/bin/sh\n{script}\n")
    code, document, _ = cli("assets", "status", *TASK)
    assert code == 1
    assert document["error"]["message"].startswith(message)


def test_a_fetch_that_ends_too_soon_is_an_error(cli: Cli, host: Path, lab: Path, tmp_path: Path) -> None:
    cli("assets", "status", *TASK)
    program(lab / "bin" / "python", """#!/bin/sh\necho '{"file": "a", "size": 1, "kept": false}' > $3\n""")
    code, document, said = cli("assets", "fetch", *TASK, "--to", str(tmp_path / "copy"))
    assert (code, document["error"]["message"]) == (1, "Isaac Lab's Python ended before all was fetched")
    assert "1 B  a" in said


def test_a_fetch_that_is_left_alone_leaves_nobody_behind(tmp_path: Path) -> None:
    line = json.dumps({"file": "a", "size": 1, "kept": False})
    python = program(tmp_path / "python", f"#!/bin/sh\necho $$ > pid\necho '{line}' > $3\nexec sleep 600\n")
    child = retrieving.Child(python=(str(python),), environ=dict(os.environ), cwd=tmp_path)
    lines = retrieving.copy("http://127.0.0.1:9", tmp_path, ["a"], child)
    assert next(lines)["file"] == "a"
    lines.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_two_fetches_do_not_write_to_one_folder(cli: Cli, host: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy" / ".retriever"
    folder.mkdir(parents=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, document, _ = cli("assets", "fetch", *TASK, "--to", str(tmp_path / "copy"))
    assert (code, document["error"]["message"]) == (
        *(1, f"Isaac Lab cannot tell: another fetch writes to {tmp_path / 'copy'}"),
    )


def test_what_changed_in_the_sources_is_resolved_anew(cli: Cli, lab: Path, tmp_path: Path) -> None:
    root = asset_host.tree(tmp_path / "root")
    for _ in range(2):
        cli("assets", "status", *TASK, "--assets", str(root))
    assert len(noted(lab, "asked")) == 1
    with (lab.with_name("modules") / "isaaclab_tasks/utils/hydra.py").open("a") as source:
        source.write("# changed\n")
    cli("assets", "status", *TASK, "--assets", str(root))
    assert len(noted(lab, "asked")) == 2


def test_sizes_of_files_come_from_their_host(tmp_path: Path) -> None:
    (tmp_path / "a b.usd").write_text("12345")
    with asset_host.serving(tmp_path) as address:
        wanted = [f"{address}/a b.usd", f"{address}/none.usd", "http://127.0.0.1:9/x.usd", "omniverse://box/x.usd"]
        assert network.sizes(wanted) == {wanted[0]: 5, wanted[1]: None}
    assert network.sizes(()) == {}


def test_a_copy_of_the_second_host_is_used_where_it_lies_beside(
    lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = asset_host.tree(tmp_path / "root")
    request = Request(action="train", cwd=str(tmp_path), task="Isaac-Ant-Direct", assets=str(root))
    facts = prepare.gather(prepare.Place(cwd=tmp_path, isaaclab=str(lab)))
    decided = prepare.decide(request, facts)
    assert "NEWTON_ASSET_DIR" not in dict(launch.settle(decided, request, facts).env)
    (root / "newton-assets").mkdir()
    assert dict(launch.settle(decided, request, facts).env)["NEWTON_ASSET_DIR"] == str(root / "newton-assets")
    monkeypatch.setenv("NEWTON_ASSET_DIR", "/mine")
    assert "NEWTON_ASSET_DIR" not in dict(launch.settle(decided, request, facts).env)
