"""Records that survive: several at once, full disks, garbage, owners that are gone."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import runs
from spark_rl import codec, registry
from spark_rl.errors import CheckError, RequestError
from spark_rl.records import Progress
from spark_rl.registry import files, owners, reading
from spark_rl.selection import Selection

EVERY = Selection(action="all")


def state(run_id: str) -> Path:
    return registry.path(run_id) / "state.json"


def listed() -> list[str]:
    return [run.id for run in registry.listing(EVERY).runs]


def test_the_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("SPARK_RL_STATE", raising=False)
    assert registry.folder() == Path(os.environ["HOME"], ".local", "state", "spark-rl")
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert registry.folder() == Path("/xdg/spark-rl")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPARK_RL_STATE", "mine")
    assert registry.folder() == tmp_path / "mine"
    assert registry.output("7") == tmp_path / "mine" / "runs" / "7" / "output.log"


def test_a_run_comes_back_as_it_was() -> None:
    run = registry.create({"request": {"seed": 7}}, runs.done(videos=("/a b.mp4",), argv=("x", "caf\udce9")))
    assert run.id == "1"
    assert registry.load("1") == run
    assert registry.load_start("1") == {"schema": "spark-rl/start/1", "id": "1", "request": {"seed": 7}}
    later = replace(run, progress=Progress(), attempts=(), run_name=None, message="over")
    assert registry.save(later) is None
    assert registry.load("1") == later
    assert sorted(file.name for file in registry.path("1").iterdir()) == ["start.json", "state.json"]


def test_nobody_else_may_look() -> None:
    run = runs.recorded()[0]
    assert registry.folder().stat().st_mode & 0o077 == 0
    shutil.rmtree(registry.folder())
    registry.save(run)
    assert registry.folder().stat().st_mode & 0o077 == 0


def test_numbers_that_json_has_no_word_for() -> None:
    run = registry.create({}, runs.done(progress=runs.progress(reward=float("nan"), fps=float("inf"))))
    json.loads(state("1").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert registry.load(run.id).progress == runs.progress(reward=None, fps=None)


_MAKE = """
import sys
import runs
from spark_rl import registry
sys.stdin.read()
for _ in range(25):
    run = registry.create({}, runs.done(run_name=sys.argv[1]))
    print(run.id, flush=True)
"""


def test_several_processes_never_share_an_id() -> None:
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(Path(__file__).parent), *sys.path)))}
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", _MAKE, f"maker-{number}"],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.close()
        maker.stdin = None
    made = {f"maker-{number}": maker.communicate(timeout=60)[0].split() for number, maker in enumerate(makers)}
    assert all(len(ids) == 25 for ids in made.values())
    assert sorted(int(run_id) for ids in made.values() for run_id in ids) == list(range(1, 101))
    assert all(registry.load(run_id).run_name == name for name, ids in made.items() for run_id in ids)


@pytest.mark.parametrize("content", [None, b"", b"2\n", b"garbage", b"\xff\xfe", b"-7", b"9" * 400, "٣".encode()])
def test_a_counter_is_only_a_hint(content: bytes | None) -> None:
    runs.recorded(3)
    counter = registry.folder() / "last"
    counter.unlink()
    if content is not None:
        counter.write_bytes(content)
    assert runs.recorded()[0].id == "4"


def test_a_counter_that_is_a_folder_does_no_harm() -> None:
    runs.recorded()
    (registry.folder() / "last").unlink()
    (registry.folder() / "last").mkdir()
    assert [run.id for run in runs.recorded(2)] == ["2", "3"]


def test_the_counter_remembers_records_that_somebody_deleted() -> None:
    runs.recorded(3)
    shutil.rmtree(registry.folder() / "runs")
    assert runs.recorded()[0].id == "4"


def test_what_is_no_id_is_left_alone() -> None:
    runs.recorded(2)
    for name in ("notes", "007", "12x", "9" * 30, "-3"):
        (registry.folder() / "runs" / name).mkdir()
    (registry.folder() / "runs" / "5").write_text("a file", encoding="utf-8")
    assert listed() == ["2", "1"]
    assert runs.recorded()[0].id == "6"


def test_the_newest_comes_first() -> None:
    runs.recorded(12)
    assert listed() == [str(number) for number in range(12, 0, -1)]
    assert [run.id for run in registry.listing(Selection(limit=3)).runs] == ["12", "11", "10"]


def test_a_removed_folder_is_made_again() -> None:
    run = runs.recorded()[0]
    shutil.rmtree(registry.folder())
    assert registry.save(run) is None
    assert registry.load("1") == run
    assert registry.load_start("1") == {}


def test_a_disk_that_is_full_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs.recorded()[0]
    before = state("1").read_bytes()

    def full(file: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        assert registry.save(replace(run, message="new")) == (
            "the record of run 1 cannot be written: No space left on device"
        )
        assert [file.name for file in registry.path("1").iterdir() if file.name.startswith(".")] == []
        with pytest.raises(CheckError, match="No space left on device"):
            registry.create({}, runs.run())
    assert state("1").read_bytes() == before
    assert listed() == ["1"]
    assert registry.save(replace(run, message="new")) is None
    assert registry.load("1").message == "new"


def test_a_disk_that_is_really_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("NOT CHECKED: a full disk takes the right to mount one")
    try:
        monkeypatch.setenv("SPARK_RL_STATE", str(disk))
        run = runs.recorded()[0]
        filler = disk / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(b"x" * 100_000)
        long = replace(run, message="x" * 8000)
        assert registry.save(long) == "the record of run 1 cannot be written: No space left on device"
        assert registry.load("1") == run
        with pytest.raises(CheckError, match="No space left on device"):
            registry.create({"long": "x" * 8000}, long)
        assert listed() == ["1"]
        filler.unlink()
        assert registry.save(long) is None
        assert registry.load("1") == long
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPARK_RL_STATE", str(tmp_path / "file" / "state"))
    with pytest.raises(CheckError, match="Not a directory") as caught:
        registry.create({}, runs.run())
    assert "SPARK_RL_STATE" in (caught.value.hint or "")
    assert "cannot be written" in (registry.save(runs.run(id="1")) or "")


def test_a_folder_that_may_not_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    runs.recorded()

    def locked(_path: Path) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "scandir", locked)
    with pytest.raises(CheckError, match="cannot be read: Permission denied"):
        registry.listing(EVERY)


GOOD = codec.encode(runs.done(id="2"))
BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "Expecting value"),
    "cut off": (json.dumps(GOOD).encode()[:200], "line 1"),
    "no text": (b"\xff\xfe\x00", "decode"),
    "garbage": (b"}{", "Expecting value"),
    "a list": (b"[1, 2]", "the record is not an object"),
    "deep": (b"[" * 100_000, "recursion"),
    "a key is missing": (json.dumps({k: v for k, v in GOOD.items() if k != "task"}).encode(), "has no task"),
    "a part is missing": (json.dumps(GOOD | {"owner": {"host": "h"}}).encode(), "owner has no boot, pid, start_ticks"),
    "a wrong type": (json.dumps(GOOD | {"started_at": "today"}).encode(), "started_at is 'today'"),
    "a yes for a number": (json.dumps(GOOD | {"num_envs": True}).encode(), "num_envs is True"),
    "a wrong list": (json.dumps(GOOD | {"argv": "python"}).encode(), "argv is not a list"),
    "a wrong item": (json.dumps(GOOD | {"argv": ["python", 3]}).encode(), "argv is 3"),
    "an unknown state": (json.dumps(GOOD | {"state": "dreaming"}).encode(), "state is 'dreaming'"),
    "a null": (json.dumps(GOOD | {"task": None}).encode(), "task is None"),
    "a bad phase": (json.dumps(GOOD | {"progress": {"phases": [["training"]]}}).encode(), "phases is"),
    "another's": (json.dumps(GOOD | {"id": "7"}).encode(), "it is the record of run 7"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_record_is_reported_and_the_others_are_listed(name: str) -> None:
    content, reason = BAD[name]
    runs.recorded(3)
    state("2").write_bytes(content)
    found = registry.listing(EVERY)
    assert [run.id for run in found.runs] == ["3", "1"]
    assert [(bad.id, bad.path) for bad in found.bad] == [("2", str(state("2")))]
    assert reason in found.bad[0].reason
    with pytest.raises(RequestError, match="the record of run 2 cannot be read"):
        registry.load("2")
    assert registry.resolve("latest", Path("/")).id == "3"
    registry.remove("2")
    assert listed() == ["3", "1"]


def test_a_newer_record_is_read_as_far_as_it_is_understood() -> None:
    runs.recorded(2)
    newer: dict[str, Any] = GOOD | {"schema": "spark-rl/state/9", "colour": "red", "failure": "heat", "ended_at": None}
    newer["progress"] |= {"entropy": 3}
    state("2").write_text(json.dumps(newer), encoding="utf-8")
    run = registry.load("2")
    assert (run.failure, run.ended_at, run.progress) == ("unknown", None, runs.done().progress)


def test_a_record_that_is_being_made_is_no_bad_record() -> None:
    runs.recorded()
    registry.path("2").mkdir()
    assert registry.listing(EVERY).bad == ()
    old = time.time() - 3600
    os.utime(registry.path("2"), (old, old))
    assert [(bad.id, bad.reason) for bad in registry.listing(EVERY).bad] == [("2", "it is not there")]


def test_a_start_document_that_cannot_be_read_is_empty() -> None:
    runs.recorded(2)
    (registry.path("1") / "start.json").write_bytes(b"{")
    (registry.path("2") / "start.json").write_bytes(b"[]")
    assert registry.load_start("1") == registry.load_start("2") == registry.load_start("3") == {}


def test_removing() -> None:
    runs.recorded(3)
    registry.output("2").write_bytes(b"text")
    registry.remove("2")
    assert not registry.path("2").exists()
    registry.remove("3")
    assert listed() == ["1"]
    (registry.folder() / "last").unlink()
    assert runs.recorded()[0].id == "4", "the id of a removed run is not given again"
    for gone in ("2", "3", "77", "x"):
        with pytest.raises(RequestError):
            registry.remove(gone)


def test_a_live_run_is_not_removed() -> None:
    run = registry.create({}, runs.run())
    with pytest.raises(RequestError, match="run 1 still runs"):
        registry.remove(run.id)
    assert listed() == ["1"]


def test_this_process_is_alive() -> None:
    owner = registry.owner_now()
    assert owner.pid == os.getpid()
    assert owner.boot.startswith(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    assert registry.is_alive(owner) is True
    assert registry.is_alive(runs.owner(boot=owner.boot.partition("/")[0])) is True


@pytest.mark.parametrize(
    ("values", "alive"),
    [
        ({"start_ticks": 1}, False),
        ({"pid": 2**22 + 1}, False),
        ({"boot": "another"}, False),
        ({"host": "another"}, None),
        ({"boot": f"{owners._boot().partition('/')[0]}/17"}, None),
    ],
)
def test_another_owner(values: dict[str, Any], alive: bool | None) -> None:
    assert registry.is_alive(runs.owner(**values)) is alive


def test_a_strange_name_does_not_hide_when_a_process_started() -> None:
    name = ") R 1 1 (a"
    child = subprocess.Popen(
        [sys.executable, "-c", f"open('/proc/self/comm', 'w').write({name!r}); print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.readline()
    assert f"({name})" in Path(f"/proc/{child.pid}/stat").read_text(encoding="ascii")
    ticks = owners._start_ticks(child.pid)
    assert ticks is not None
    assert ticks >= (owners._start_ticks(os.getpid()) or 0)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert registry.is_alive(runs.owner(pid=child.pid, start_ticks=ticks)) is False, "only its remains are there"
    child.communicate()


@pytest.mark.parametrize(
    ("owner", "silent", "seen"),
    [
        (runs.owner(), 99999, "running"),
        (runs.owner(start_ticks=1), 0, "lost"),
        (runs.owner(boot="another"), 0, "lost"),
        (runs.owner(host="another"), 590, "running"),
        (runs.owner(host="another"), 620, "lost"),
    ],
)
def test_a_run_without_its_owner_is_lost(owner: Any, silent: float, seen: str) -> None:
    registry.create({}, runs.run(owner=owner, updated_at=time.time() - silent))
    assert registry.load("1").state == registry.listing(EVERY).runs[0].state == seen
    assert codec.decode(json.loads(state("1").read_bytes())).state == "running", "reading writes nothing"
    assert registry.load("1").over == (seen == "lost")


def test_a_run_that_is_over_needs_no_owner() -> None:
    runs.recorded(owner=runs.owner(start_ticks=1))
    assert registry.load("1").state == "succeeded"


def test_what_a_person_types(tmp_path: Path) -> None:
    folder = tmp_path / "logs" / "2027-01-15_08-00-00"
    folder.mkdir(parents=True)
    attempt = replace(runs.done().attempts[0], log_dir=str(folder))
    run = registry.create({}, runs.done(attempts=(attempt,), run_name="walk"))
    other = registry.create({}, runs.done(attempts=(), progress=Progress()))
    for text in ("1", "walk", str(folder), "logs/2027-01-15_08-00-00/", folder.name, "./logs/2027-01-15_08-00-00/m.pt"):
        assert registry.resolve(text, tmp_path) == run
    assert registry.resolve("latest", tmp_path) == other
    with pytest.raises(RequestError, match="there is no run 3"):
        registry.resolve("3", tmp_path)


MANY = 1000
"""Enough for an index."""

ALL = [str(number) for number in range(MANY, 0, -1)]


def fill(folder: Path, count: int) -> None:
    """Make the records of many runs."""
    for number in range(1, count + 1):
        record = folder / "runs" / str(number)
        record.mkdir(parents=True)
        (record / "state.json").write_text(json.dumps(GOOD | {"id": str(number)}), encoding="utf-8")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    fill(folder, MANY)
    return folder


@pytest.fixture
def counted(many: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count the records that are read whole."""
    monkeypatch.setenv("SPARK_RL_STATE", str(many))
    opened: list[str] = []
    read = files.read

    def counting(run_id: str, where: str) -> Any:
        opened.append(run_id)
        return read(run_id, where)

    monkeypatch.setattr(files, "read", counting)
    (many / "index.json").unlink(missing_ok=True)
    return opened


def test_thousands_of_runs_come_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a process may have open, or nest calls."""
    fill(tmp_path, 3000)
    monkeypatch.setenv("SPARK_RL_STATE", str(tmp_path))
    for _ in ("from records", "from the index"):
        assert listed() == [str(number) for number in range(3000, 0, -1)]
    assert runs.recorded()[0].id == "3001"
    assert [run.id for run in registry.listing(Selection(limit=2)).runs] == ["3001", "3000"]


def test_records_are_read_once_and_no_more_than_wanted(counted: list[str]) -> None:
    first = registry.listing(EVERY)
    assert [run.id for run in first.runs] == counted == ALL
    counted.clear()
    assert registry.listing(EVERY) == first
    assert len(counted) == reading.UNINDEXED
    counted.clear()
    assert len(registry.listing(Selection(limit=20)).runs) == len(counted) == 20


def test_a_record_that_changed_is_read_again(counted: list[str]) -> None:
    registry.listing(EVERY)
    run = registry.load("77")
    try:
        registry.save(replace(run, state="failed"))
        counted.clear()
        found = registry.listing(Selection(states=("failed",)))
        assert [run.id for run in found.runs] == ["77"]
        assert "77" in counted
        assert len(counted) == reading.UNINDEXED + 1
        state("77").write_bytes(b"garbage")
        assert [bad.id for bad in registry.listing(EVERY).bad] == ["77"]
    finally:
        registry.save(run)


@pytest.mark.parametrize(
    "content",
    [
        b"garbage",
        b"[]",
        b'{"schema": "spark-rl/index/1", "fields": ["id"], "rows": {}}',
        b'{"schema": "spark-rl/index/1", "rows": [1]}',
    ],
)
def test_a_wrong_index_is_made_anew(counted: list[str], content: bytes) -> None:
    (registry.folder() / "index.json").write_bytes(content)
    assert listed() == ALL
    counted.clear()
    assert listed() == ALL
    assert len(counted) == reading.UNINDEXED


def test_wrong_rows_of_an_index_do_not_count(counted: list[str]) -> None:
    registry.listing(EVERY)
    file = registry.folder() / "index.json"
    index = json.loads(file.read_bytes())
    rows = index["rows"]
    rows["5"], rows["6"], rows["7"], rows["8"] = "x", [1], rows["9"], [*rows["8"][:13], "argv", *rows["8"][14:]]
    file.write_text(json.dumps(index), encoding="utf-8")
    counted.clear()
    assert listed() == ALL
    assert set(counted) >= {"5", "6", "7", "8"}
    assert len(counted) == reading.UNINDEXED + 4


def test_an_index_that_cannot_be_written_is_done_without(counted: list[str]) -> None:
    (registry.folder() / "index.json").mkdir()
    try:
        assert listed() == ALL
    finally:
        (registry.folder() / "index.json").rmdir()


def test_runs_that_go_on_are_not_indexed(counted: list[str]) -> None:
    run = registry.load("5")
    try:
        registry.save(replace(run, state="running", owner=runs.owner(start_ticks=1)))
        registry.listing(EVERY)
        counted.clear()
        assert registry.listing(Selection(states=("lost",))).runs[0].id == "5"
        assert "5" in counted
    finally:
        registry.save(run)
