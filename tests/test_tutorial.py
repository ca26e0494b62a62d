"""The tutorial's 20 commands, pasted in its own spelling, on every Isaac Lab: a plan or a true refusal.

``pytest --update-golden`` writes the golden files; each line was checked by hand against the real scripts.
"""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

import stand_in
from planning import HOSTS
from spark_rl.__main__ import run

HERE = Path(__file__).parent
VERSIONS = ("2.1.0", "2.2.0", "2.3.0", "2.3.2", "3.0.0")

Row = dict[str, str]


def read_table() -> list[Row]:
    lines = (HERE / "tutorial.tsv").read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(lines, delimiter="\t"))


ROWS = read_table()


def tutorial_options(row: Row) -> list[str]:
    """Return the options as the tutorial writes them for the script."""
    options = [f"--task={row['task']}"]
    options += ["--headless"] * (row["headless"] == "yes")
    options += [f"--num_envs={row['num_envs']}"] * bool(row["num_envs"])
    if row["algorithm"]:
        options += ["--algorithm", row["algorithm"]]
    return options


def pasted(row: Row) -> list[str]:
    """Return the tutorial's command with its script replaced by ``spark-rl ACTION --library L``."""
    return [row["action"], "--library", row["library"], *tutorial_options(row)]


@pytest.fixture(params=VERSIONS)
def lab(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a stand-in of one version, with a trained policy for the tutorial's play command."""
    version = str(request.param)
    path = tmp_path / "lab" / version
    stand_in.kitless(path) if version == "3.0.0" else stand_in.checkout(path, version)
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    logs = cwd / "logs/rsl_rl/reach_franka" if version == "3.0.0" else path / "logs/rsl_rl/franka_reach"
    checkpoint = logs / "2026-01-02_03-04-05" / "model_999.pt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text("weights", encoding="utf-8")
    return path


def outcome(row: Row, lab: Path, capsys: pytest.CaptureFixture[str], *extra: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the document of a pasted command's dry run on a workstation with one GPU."""
    place = ["--isaaclab", str(lab), "--host", str(HOSTS / "x86-workstation.json")]
    code = run([*pasted(row), *place, "--dry-run", "--json", *extra])
    return code, json.loads(capsys.readouterr().out)


def told(row: Row, code: int, document: dict[str, Any], lab: Path) -> str:
    """Return one line: what was pasted, and the command or the refusal, without this machine's paths."""
    if code:
        error = document["error"]
        text = f"exit {code}: {error['message']} ({error['hint']})"
    else:
        text = " ".join((f"[{document['task']['resolved']}, {document['algorithm']}]", shlex.join(document["argv"])))
        text += "".join(f" !{finding['code']}" for finding in document["findings"])
    line = f"{shlex.join(pasted(row))}  ->  {text}"
    return line.replace(str(lab), "ISAACLAB").replace(str(Path.cwd()), "CWD")


def test_the_table_is_the_whole_tutorial() -> None:
    assert len(ROWS) == 20
    assert {row["library"] for row in ROWS} == {"rsl_rl", "rl_games", "skrl", "sb3"}
    assert [row["task"] for row in ROWS if row["action"] == "play"] == ["Isaac-Reach-Franka-Play-v0"]


KIT_ONLY = (
    *("Isaac-Lift-Cube-Franka-v0", "Isaac-Velocity-Flat-Unitree-A1-v0", "Isaac-Navigation-Flat-Anymal-C-v0"),
    *(f"Isaac-Factory-{part}-Direct-v0" for part in ("PegInsert", "GearMesh", "NutThread")),
    *(f"Isaac-Humanoid-AMP-{gait}-Direct-v0" for gait in ("Walk", "Run", "Dance")),
)
TRUE_REFUSALS = {"2.1.0": ("Isaac-Velocity-Flat-Unitree-A1-v0",), "3.0.0": KIT_ONLY}
"""What cannot run: 2.1.0 has no sb3 config for the A1; kit-less 3.0 has no PhysX."""


def test_every_command(lab: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> None:
    outcomes = [(row, *outcome(row, lab, capsys)) for row in ROWS]
    assert {row["task"] for row, code, _ in outcomes if code == 2} == {*TRUE_REFUSALS.get(lab.name, ())}
    assert {code for _, code, _ in outcomes} <= {0, 2}
    lines = [told(row, code, document, lab) for row, code, document in outcomes]
    golden = HERE / "golden" / f"tutorial-{lab.name}.txt"
    if request.config.getoption("--update-golden"):
        golden.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert golden.is_file(), f"{golden.name} is missing: pytest --update-golden writes it"
    assert lines == golden.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("lab", ["2.3.2"], indirect=True)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join((row["action"], row["library"], row["task"])))
def test_on_2_3_2_the_script_gets_the_same_options(row: Row, lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = outcome(row, lab, capsys)
    script = f"scripts/reinforcement_learning/{row['library']}/{row['action']}.py"
    assert code == 0
    assert document["argv"][:3] == [f"{lab}/isaaclab.sh", "-p", script]
    assert document["cwd"] == str(lab)
    assert (document["env"], document["env_unset"]) == ({}, [])
    given, wanted = pairs(document["argv"][3:]), pairs(tutorial_options(row))
    added = given - wanted
    assert wanted <= given
    assert {name.removeprefix("--") for name, _ in added} <= set(document["reasons"])
    assert {name for name, _ in added} == ({"--checkpoint"} if row["action"] == "play" else set())


def pairs(words: list[str]) -> set[tuple[str, str | None]]:
    """Return command-line words as a set of (option, value), however they are joined."""
    found: dict[str, str | None] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            found[name] = value if equals else None
        else:
            assert found[name] is None
            found[name] = word
    return set(found.items())


@pytest.mark.parametrize("lab", ["2.3.2", "3.0.0"], indirect=True)
def test_the_multi_gpu_command(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"action": "train", "library": "rsl_rl", "task": "Isaac-Cartpole-Direct-v0", "num_envs": "", "algorithm": ""}
    code = run(
        [
            *pasted(row | {"headless": "yes"}),
            *("--distributed", "--nproc_per_node=2", "--dry-run", "--json"),
            *("--isaaclab", str(lab), "--host", str(HOSTS / "server-8gpu.json")),
        ]
    )
    argv = json.loads(capsys.readouterr().out)["argv"]
    assert code == 0
    if lab.name == "3.0.0":
        multigpu = ["train_multigpu", "--rl_library", "rsl_rl", "--num_gpus", "2"]
        assert argv[3:] == [*multigpu, "--task", "Isaac-Cartpole-Direct"]
    else:
        torchrun = ["-m", "torch.distributed.run", "--nnodes=1", "--nproc_per_node=2"]
        assert argv[2:7] == [*torchrun, "scripts/reinforcement_learning/rsl_rl/train.py"]
        assert pairs(argv[7:]) == {
            ("--task", "Isaac-Cartpole-Direct-v0"),
            ("--headless", None),
            ("--distributed", None),
        }
