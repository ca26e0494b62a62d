"""Facts of this machine, and of another one from its ``doctor --json`` document."""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import pytest

import stand_in
from fakes.nvml import Driver
from spark_rl import host
from spark_rl.__main__ import run
from spark_rl.errors import RequestError
from spark_rl.gauges import system
from spark_rl.model import Gpu, GpuProcess

HOSTS = sorted((Path(__file__).parent / "hosts").glob("*.json"))
SPARK = json.loads((Path(__file__).parent / "hosts" / "dgx-spark.json").read_text(encoding="utf-8"))


def test_the_facts_of_this_machine() -> None:
    facts = host.probe(system.memory(), {"DISPLAY": ":0", "LD_PRELOAD": "/x.so", "PATH": "/bin"})
    assert facts.machine == platform.machine()
    assert facts.cpu_count == len(os.sched_getaffinity(0))
    assert 0 < facts.memory_available_mib <= facts.memory_total_mib
    assert facts.memory_total_mib == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    assert facts.display is True
    assert facts.environ == (("DISPLAY", ":0"), ("LD_PRELOAD", "/x.so"))
    assert facts.libgomp is None or Path(facts.libgomp).exists()


@pytest.mark.parametrize(
    ("environ", "display"), [({}, False), ({"DISPLAY": ""}, False), ({"WAYLAND_DISPLAY": "wayland-0"}, True)]
)
def test_a_display(environ: dict[str, str], display: bool) -> None:
    assert host.probe(system.memory(), environ).display is display


def test_a_library_is_found_where_systems_keep_it(tmp_path: Path) -> None:
    libc = next(
        line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libc.so" in line.split()[-1]
    )
    found = host.find_library(Path(libc).name, platform.machine())
    assert found is not None
    assert Path(found).samefile(libc)
    assert host.find_library("libnone.so.1", platform.machine()) is None


def with_driver(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: str(path) == "/dev/nvidiactl" or exists(path))


@pytest.mark.parametrize("as_bytes", [True, False])
def test_gpus_with_and_without_memory_of_their_own(as_bytes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver((24 * 2**30, None), as_bytes=as_bytes)
    with_driver(driver, monkeypatch)
    facts = host.probe(system.memory(), {})
    common: dict[str, Any] = {"compute_capability": "12.1", "utilization": 7}
    assert (facts.driver, facts.cuda) == ("580.95.05", "13.0")
    assert facts.gpus == (
        Gpu(index=0, name="NVIDIA 0", memory_total_mib=24576, memory_free_mib=12288, uuid="GPU-0", **common),
        Gpu(index=1, name="NVIDIA 1", memory_total_mib=None, unified=True, uuid="GPU-1", **common),
    )
    assert driver.closed


@pytest.mark.parametrize(
    "broken", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetName", "nvmlSystemGetDriverVersion"]
)
def test_a_broken_driver_is_no_gpu(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_driver(Driver((1,), broken=broken), monkeypatch)
    facts = host.probe(system.memory(), {})
    assert (facts.gpus, facts.driver) == ((), None)


@pytest.mark.parametrize("file", HOSTS, ids=lambda file: file.stem)
def test_a_host_document(file: Path) -> None:
    document = json.loads(file.read_text(encoding="utf-8"))
    facts, found = host.load(file, {"LD_PRELOAD": "/mine.so", "HOME": "/home/me"})
    assert facts.machine == document["host"]["machine"]
    assert [gpu.name for gpu in facts.gpus] == [gpu["name"] for gpu in document["host"]["gpus"]]
    assert facts.variable("LD_PRELOAD") == "/mine.so"
    assert [(entry.version, entry.path) for entry in found] == [
        (entry["version"], entry["path"]) for entry in document["isaaclab"]
    ]


def test_a_newer_spark_rl_may_say_more(tmp_path: Path) -> None:
    document = json.loads(json.dumps(SPARK))
    document["host"]["weather"] = "fine"
    document["host"]["gpus"][0]["fans"] = 2
    document["isaaclab"][0]["colour"] = {"a": 1}
    assert host.load(written(tmp_path, document))[0].machine == "aarch64"


def test_what_doctor_writes_plans_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = str(stand_in.kitless(tmp_path / "env"))
    run(["doctor", "--json"])
    file = tmp_path / "host.json"
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    words = ["train", "--task", "Isaac-Cartpole-Direct", "--isaaclab", lab, "--dry-run", "--json"]
    assert run(words) == 0
    here = capsys.readouterr().out
    assert run([*words, "--host", str(file)]) == 0
    assert capsys.readouterr().out == here


def test_the_installations_of_a_document_come_back_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = stand_in.kitless(tmp_path / "env")
    monkeypatch.setenv("VIRTUAL_ENV", str(lab))
    entry: dict[str, Any] = {
        "version": "3.0.0",
        "kind": "package",
        "path": str(lab),
        "packages": [["moviepy", "1.0.3"]],
    }
    _, (found,) = host.load(written(tmp_path, SPARK | {"isaaclab": [entry]}))
    assert (found.packages, found.isaacsim) == ((("moviepy", "1.0.3"),), False)


def test_an_installation_there_is_planned_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = {"version": "2.1.0", "kind": "checkout", "path": "/opt/old/IsaacLab"}
    file = str(written(tmp_path, SPARK | {"isaaclab": [*SPARK["isaaclab"], other]}))
    words = ["train", "--task", "Isaac-Cartpole-Direct-v0", "--host", file, "--dry-run", "--json"]
    assert run(words) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["isaaclab"]["path"], first["reasons"]["isaaclab"]) == (
        "/home/nvidia/IsaacLab",
        f"the first of {file}",
    )
    assert run([*words, "--isaaclab", "/opt/old/IsaacLab"]) == 0
    named = json.loads(capsys.readouterr().out)
    assert named["isaaclab"] == other
    assert named["reasons"]["isaaclab"] == "named by --isaaclab"


def test_a_setting_names_an_installation_there_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = {"version": "2.1.0", "kind": "checkout", "path": "/opt/old/IsaacLab"}
    file = str(written(tmp_path, SPARK | {"isaaclab": [*SPARK["isaaclab"], other]}))
    monkeypatch.setenv("SPARK_RL_ISAACLAB", "/opt/old/IsaacLab")
    assert run(["train", "--task", "Isaac-Cartpole-Direct-v0", "--host", file, "--dry-run", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["isaaclab"] == other
    assert document["reasons"]["isaaclab"] == "named by SPARK_RL_ISAACLAB"
    monkeypatch.setenv("SPARK_RL_ISAACLAB", "/opt/none")
    assert run(["train", "--task", "Isaac-Cartpole-Direct-v0", "--host", file, "--dry-run"]) == 2


WRONG: dict[str, Any] = {
    "no JSON": "{",
    "a list": "[]",
    "another schema": json.dumps(SPARK | {"schema": "spark-rl/plan/1"}),
    "no host": json.dumps({"schema": "spark-rl/doctor/1"}),
    "no machine": json.dumps(SPARK | {"host": {"os": "Linux"}}),
    "a number for the machine": json.dumps(SPARK | {"host": SPARK["host"] | {"machine": 5}}),
    "a text for a count": json.dumps(SPARK | {"host": SPARK["host"] | {"cpu_count": "many"}}),
    "text for the GPUs": json.dumps(SPARK | {"host": SPARK["host"] | {"gpus": "two"}}),
    "a GPU without a name": json.dumps(SPARK | {"host": SPARK["host"] | {"gpus": [{"index": 0}]}}),
    "a folder without room": json.dumps(
        SPARK | {"host": SPARK["host"] | {"folders": [{"purpose": "logs", "path": "/"}]}}
    ),
    "a process in words": json.dumps(
        SPARK | {"host": SPARK["host"] | {"gpus": [{"index": 0, "name": "X", "processes": ["python"]}]}}
    ),
    "an unknown kind": json.dumps(SPARK | {"isaaclab": [{"version": "2.3.2", "kind": "docker", "path": "/x"}]}),
    "no version": json.dumps(SPARK | {"isaaclab": [{"kind": "checkout", "path": "/x"}]}),
    "a version in words": json.dumps(SPARK | {"isaaclab": [{"version": "main", "kind": "checkout", "path": "/x"}]}),
    "an installation in words": json.dumps(SPARK | {"isaaclab": ["2.3.2"]}),
    "no list of installations": json.dumps(SPARK | {"isaaclab": 3}),
    "not text": b"\xff",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_document_is_told(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "host.json"
    file.write_bytes(WRONG[name] if isinstance(WRONG[name], bytes) else WRONG[name].encode())
    assert run(["train", "--task", "Isaac-Cartpole-Direct-v0", "--host", str(file), "--dry-run"]) == 2
    out, err = capsys.readouterr()
    message, hint = err.splitlines()
    assert out == ""
    assert message.startswith(f"error: {file} is not a spark-rl/doctor/1 document")
    assert hint == "hint: write one there with: spark-rl doctor --json > host.json"


@pytest.mark.parametrize("kind", ["missing", "folder", "unreadable"])
def test_a_document_that_cannot_be_read(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "host.json"
    if kind == "folder":
        file.mkdir()
    if kind == "unreadable":
        file.symlink_to("/proc/self/mem")
    with pytest.raises(RequestError, match="cannot be read: "):
        host.load(file)


def written(folder: Path, document: Any) -> Path:
    file = folder / "host.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def test_what_computes_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = 2**22 + 7  # above the highest number a process can have
    with_driver(Driver((24 * 2**30,), processes=((os.getpid(), 3 * 2**30), (gone, None))), monkeypatch)
    (gpu,) = host.probe(system.memory(), {}).gpus
    name = Path("/proc/self/comm").read_text().strip()
    assert gpu.processes == (
        GpuProcess(pid=os.getpid(), name=name, memory_mib=3072),
        GpuProcess(pid=gone, name=None, memory_mib=None),
    )


@pytest.mark.parametrize(
    ("unanswered", "field"),
    [
        ("nvmlDeviceGetUUID", "uuid"),
        ("nvmlDeviceGetUtilizationRates", "utilization"),
        ("nvmlDeviceGetMemoryInfo", "memory_free_mib"),
    ],
)
def test_what_the_driver_does_not_answer_is_unknown(
    unanswered: str, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_driver(Driver((1,), broken=unanswered), monkeypatch)
    (gpu,) = host.probe(system.memory(), {}).gpus
    assert getattr(gpu, field) is None


def test_a_driver_that_does_not_tell_its_cuda_or_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    with_driver(Driver((1,), broken="nvmlSystemGetCudaDriverVersion_v2"), monkeypatch)
    assert host.probe(system.memory(), {}).cuda is None
    with_driver(Driver((1,), broken="nvmlDeviceGetComputeRunningProcesses", processes=((1, 1),)), monkeypatch)
    assert host.probe(system.memory(), {}).gpus[0].processes == ()


def test_folders_as_they_are_and_as_they_will_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tmp_path / "not" / "yet"
    there, later = host.look({"logs": (tmp_path,), "cache": (made,)})
    assert (there.purpose, there.path, there.writable) == ("logs", str(tmp_path), True)
    assert (later.purpose, later.path, later.writable) == ("cache", str(made), True)
    assert later.free_mib == pytest.approx(there.free_mib, rel=0.2)
    assert 0 < there.free_mib <= os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize // 2**20
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert [folder.writable for folder in host.look({"logs": (tmp_path,)})] == [False]


def test_a_file_system_that_does_not_tell_its_room_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = os.statvfs_result((4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: nothing)
    assert host.look({"logs": (tmp_path,)}) == ()


def test_an_asset_root_holds_the_folder_isaac(tmp_path: Path) -> None:
    assert host.probe(system.memory(), {}).asset_root is None
    assert host.probe(system.memory(), {"ISAACSIM_ASSET_ROOT": "https://mirror"}).asset_root is None
    assert host.probe(system.memory(), {"ISAACSIM_ASSET_ROOT": str(tmp_path)}).asset_root is False
    (tmp_path / "Isaac").mkdir()
    assert host.probe(system.memory(), {"ISAACSIM_ASSET_ROOT": str(tmp_path)}).asset_root is True


def test_a_document_of_an_older_spark_rl_says_less(tmp_path: Path) -> None:
    document = json.loads(json.dumps(SPARK))
    for name in ("glibc", "cuda", "asset_host", "folders", "gl"):
        del document["host"][name]
    for name in ("uuid", "memory_free_mib", "utilization", "processes"):
        del document["host"]["gpus"][0][name]
    document["isaaclab"] = [{"version": "2.3.2", "kind": "checkout", "path": "/home/nvidia/IsaacLab"}]
    facts, (found,) = host.load(written(tmp_path, document))
    assert (facts.folders, facts.glibc, facts.gpus[0].processes) == ((), None, ())
    assert (found.torch_cuda, found.eula) == (None, None)
