"""Checkpoints: which file is meant, and how each library of each version is told so."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

import stand_in
from planning import CWD, HOSTS, LAB, codes, planned, reason, refused, words
from spark_rl import checkpoints
from spark_rl.__main__ import run as run_cli
from spark_rl.model import CheckpointFile

REAL = Path(__file__).parent / "checkpoints"
CARTPOLE = "Isaac-Cartpole-Direct-v0"
EXPERIMENT = {"rsl_rl": "cartpole_direct", "rl_games": "cartpole_direct", "skrl": "cartpole_direct", "sb3": CARTPOLE}
NEWEST = "2026-03-01_00-00-00"


def file(
    library: str,
    run: str,
    name: str,
    *,
    modified: float = 1.0,
    root: str = LAB,
    experiment: str | None = None,
    task: str | None = None,
) -> CheckpointFile:
    experiment = experiment or EXPERIMENT[library]
    return CheckpointFile(
        path=f"{root}/logs/{library}/{experiment}/{run}/{name}",
        run=run,
        name=name,
        experiment=experiment,
        modified=modified,
        task=task,
    )


def run_of(library: str, run: str, *names: str, modified: float = 1.0, **values: Any) -> tuple[CheckpointFile, ...]:
    return tuple(file(library, run, name, modified=modified, **values) for name in names)


def chosen_word(library: str, names: tuple[str, ...], asked: str) -> str:
    """Return the file that play is handed on 2.3.2, below its run folder."""
    files = run_of(library, f"{NEWEST}_ppo_torch" if library == "skrl" else NEWEST, *names)
    plan = planned("2.3.2", CARTPOLE, "play", library=library, checkpoint=asked, checkpoints=files)
    path = plan.argv[plan.argv.index("--checkpoint") + 1]
    assert path in {file.path for file in files}
    return next(file.name for file in files if file.path == path)


@pytest.mark.parametrize(
    ("library", "names", "latest", "best"),
    [
        ("rsl_rl", ("model_0.pt", "model_999.pt", "model_50.pt", "model_1000.pt"), "model_1000.pt", "model_1000.pt"),
        ("rsl_rl", ("model_9.pt", "model_10.pt", "model_100000000.pt"), "model_100000000.pt", "model_100000000.pt"),
        (
            "rl_games",
            ("nn/cartpole.pth", "nn/last_cartpole_ep_50_rew_9.5.pth", "nn/last_cartpole_ep_100_rew__4.0_.pth"),
            "nn/last_cartpole_ep_100_rew__4.0_.pth",
            "nn/cartpole.pth",
        ),
        ("rl_games", ("nn/last_c_ep_50_rew_9.5.pth",), "nn/last_c_ep_50_rew_9.5.pth", "nn/last_c_ep_50_rew_9.5.pth"),
        (
            "rl_games",
            ("nn/last_c_ep_9_rew_-1.5.pth", "nn/last_c_ep_10_rew_-9.pth"),
            "nn/last_c_ep_10_rew_-9.pth",
            "nn/last_c_ep_10_rew_-9.pth",
        ),
        ("rl_games", ("nn/reach_franka.pth",), "nn/reach_franka.pth", "nn/reach_franka.pth"),
        (
            "skrl",
            ("checkpoints/agent_9000.pt", "checkpoints/agent_16000.pt", "checkpoints/best_agent.pt"),
            "checkpoints/agent_16000.pt",
            "checkpoints/best_agent.pt",
        ),
        ("skrl", ("checkpoints/best_agent.pt",), "checkpoints/best_agent.pt", "checkpoints/best_agent.pt"),
        ("skrl", ("checkpoints/agent_5.pickle",), "checkpoints/agent_5.pickle", "checkpoints/agent_5.pickle"),
        ("sb3", ("model_200000_steps.zip", "model_1000000_steps.zip"), *["model_1000000_steps.zip"] * 2),
        ("sb3", ("model_200000_steps.zip", "model.zip", "model_1000000_steps.zip"), "model.zip", "model.zip"),
    ],
)
def test_latest_and_best_of_a_run(library: str, names: tuple[str, ...], latest: str, best: str) -> None:
    for order in (names, names[::-1]):
        assert chosen_word(library, order, "latest") == latest
        assert chosen_word(library, order, "best") == best


@pytest.mark.parametrize("library", ["rsl_rl", "sb3"])
def test_best_of_a_library_that_keeps_none_says_so(library: str) -> None:
    name = "model_10.pt" if library == "rsl_rl" else "model.zip"
    files = run_of(library, NEWEST, name)
    plan = planned("2.3.2", CARTPOLE, "play", library=library, checkpoint="best", checkpoints=files)
    assert f"{library} kept no best checkpoint" in (reason(plan, "checkpoint") or "")
    plan = planned("2.3.2", CARTPOLE, "play", library=library, checkpoint="latest", checkpoints=files)
    assert "kept no best" not in (reason(plan, "checkpoint") or "")


def test_the_run_that_wrote_last_counts_whatever_its_name() -> None:
    files = (
        *run_of("rsl_rl", "2026-01-01_00-00-00", "model_5.pt", modified=30.0),
        *run_of("rsl_rl", "2026-02-01_00-00-00", "model_900.pt", modified=20.0),
        *run_of("rsl_rl", "2026-03-01_00-00-00", "events.out", "model_x.pt", "model_1.pt.tmp", modified=90.0),
        *run_of("rsl_rl", "2026-04-01_00-00-00", "model_7.pt", modified=99.0, experiment="humanoid"),
    )
    plan = planned("2.3.2", CARTPOLE, "play", checkpoints=files)
    assert plan.argv[-1] == files[0].path


def test_of_two_runs_written_at_once_the_later_name_counts() -> None:
    files = run_of("rsl_rl", "2026-01-02_00-00-00", "model_5.pt") + run_of(
        "rsl_rl", "2026-01-03_00-00-00", "model_1.pt"
    )
    for order in (files, files[::-1]):
        assert planned("2.3.2", CARTPOLE, "play", checkpoints=order).argv[-1] == files[1].path


@pytest.mark.parametrize("algorithm", ["PPO", "IPPO", "MAPPO"])
def test_a_policy_of_another_algorithm_is_never_taken(algorithm: str) -> None:
    task, experiment = "Isaac-Cart-Double-Pendulum-Direct-v0", "cart_double_pendulum_direct"
    files = tuple(
        file("skrl", run, "checkpoints/agent_10.pt", modified=float(at), experiment=experiment)
        for at, run in enumerate(
            ("t_ippo_torch", "t_mappo_torch_like_ppo_torch", "t_ppo_torch_not_mappo", "t_PPO_jax", "t_amp_torch")
        )
    )
    plan = planned("2.3.2", task, "play", library="skrl", algorithm=algorithm, checkpoints=files)
    expected = {"IPPO": "t_ippo_torch", "MAPPO": "t_mappo_torch_like_ppo_torch", "PPO": "t_PPO_jax"}
    assert f"/{expected[algorithm]}/" in plan.argv[-1]


def test_the_task_in_the_manifest_counts_more_than_the_folder() -> None:
    files = (
        *run_of("rsl_rl", "a", "model_1.pt", modified=1.0, root=CWD, task="Isaac-Cartpole-Direct", experiment="mine"),
        *run_of("rsl_rl", "b", "model_2.pt", modified=2.0, root=CWD, task="Isaac-Ant-Direct"),
        *run_of("rsl_rl", "c", "model_3.pt", modified=0.5, root=CWD),
    )
    assert planned("kitless", CARTPOLE, "play", checkpoints=files).argv[-1] == files[0].path
    assert planned("kitless", CARTPOLE, "play", checkpoints=files[1:]).argv[-1] == files[2].path


@pytest.mark.parametrize(
    ("library", "name", "override"),
    [
        ("rl_games", "nn/cartpole.pth", "agent.params.config.name=mine"),
        ("skrl", "checkpoints/agent_1.pt", "++agent.agent.experiment.directory=mine"),
    ],
)
def test_the_experiment_of_each_library_can_be_overridden(library: str, name: str, override: str) -> None:
    files = (*run_of(library, "a", name, experiment="mine"), *run_of(library, "b", name, modified=2.0))
    plan = planned("2.3.2", CARTPOLE, "play", library=library, checkpoints=files, overrides=(override,))
    assert files[0].path in plan.argv


@pytest.mark.parametrize(
    ("on", "asked"),
    [
        ("2.3.2", {"overrides": ("agent.experiment_name=mine",)}),
        ("2.3.2", {"options": ("--experiment_name", "mine")}),
        ("kitless", {"options": ("--experiment_name=mine",)}),
    ],
)
def test_the_users_experiment_is_looked_into(on: str, asked: dict[str, Any]) -> None:
    root = LAB if on == "2.3.2" else CWD
    files = (
        *run_of("rsl_rl", "a", "model_1.pt", root=root, experiment="mine"),
        *run_of("rsl_rl", "b", "model_2.pt", modified=2.0, root=root),
    )
    plan = planned(on, CARTPOLE, "play", checkpoints=files, **asked)
    assert plan.argv[plan.argv.index("--checkpoint") + 1] == files[0].path


def test_a_play_id_of_sb3_is_looked_up_under_its_training_id() -> None:
    task = "Isaac-Velocity-Flat-Unitree-A1-v0"
    files = run_of("sb3", NEWEST, "model.zip", experiment=task)
    plan = planned("2.3.2", task, "play", library="sb3", checkpoints=files)
    assert plan.task.task.id == "Isaac-Velocity-Flat-Unitree-A1-Play-v0"
    assert plan.argv[-1] == files[0].path


# Handing it over


@pytest.mark.parametrize(
    ("on", "library", "name"),
    [
        ("2.1.0", "rl_games", "nn/cartpole.pth"),
        ("2.3.2", "rl_games", "nn/cartpole.pth"),
        ("2.3.2", "skrl", "checkpoints/agent_10.pt"),
        ("2.2.1", "sb3", "model.zip"),
        ("kitless", "rsl_rl", "model_10.pt"),
        ("kitless", "rl_games", "nn/cartpole.pth"),
        ("kitless", "skrl", "checkpoints/agent_10.pt"),
    ],
)
@pytest.mark.parametrize("asked", [{"checkpoint": "latest"}, {"resume": True}, {"resume": True, "checkpoint": "best"}])
def test_training_goes_on_from_a_path(on: str, library: str, name: str, asked: dict[str, Any]) -> None:
    files = run_of(library, NEWEST, name, root=CWD if on == "kitless" else LAB)
    plan = planned(on, CARTPOLE, library=library, checkpoints=files, **asked)
    assert plan.argv[plan.argv.index("--checkpoint") + 1] == files[0].path
    assert not {"--resume", "--load_run"} & {*plan.argv}
    assert files[0].path in (reason(plan, "checkpoint") or "")


@pytest.mark.parametrize(
    "run",
    [
        NEWEST,
        f"{NEWEST}_walk.v2+fast",
        f"{NEWEST}_(a|b)[c]",
        "run$",
        "a",
        "aa",
        "über lauf",
        "-dash",
    ],
)
@pytest.mark.parametrize("name", ["model_1.pt", "model_10.pt"])
@pytest.mark.parametrize("on", ["2.1.0", "2.2.0", "2.3.2"])
def test_rsl_rl_of_2_is_told_by_patterns_that_match_one_file_alone(on: str, run: str, name: str) -> None:
    runs = [NEWEST, f"{NEWEST}_walk.v2+fast", f"{NEWEST}_walkxv2+fast", f"{NEWEST}_walk.v2+fast2", "a", "aa", "run$"]
    names = ["model_1.pt", "model_10.pt", "model_100.pt", "model_1xpt", "model_1.pt.old", "my_model_1.pt"]
    files = run_of("rsl_rl", run, name)
    plan = planned(on, CARTPOLE, checkpoints=files, resume=True)
    assert words(plan)[1] == "--resume"
    load_run, checkpoint = words(plan)[3], words(plan)[5]
    assert words(plan)[2:6] == ["--load_run", load_run, "--checkpoint", checkpoint]
    assert [other for other in {*runs, run} if re.match(load_run, other)] == [run]
    assert [other for other in {*names, name} if re.match(checkpoint, other)] == [name]
    assert not load_run.startswith("-")


def test_play_of_rsl_rl_of_2_is_told_a_path() -> None:
    files = run_of("rsl_rl", NEWEST, "model_10.pt")
    assert words(planned("2.3.2", CARTPOLE, "play", checkpoints=files)) == [
        "--headless",
        "--checkpoint",
        files[0].path,
    ]


def test_rsl_rl_of_2_refuses_a_file_outside_its_log_root() -> None:
    outside = CheckpointFile(path="/data/model_5.pt", run="data", name="model_5.pt", experiment="")
    refusal = refused("2.3.2", CARTPOLE, checkpoint="/data/model_5.pt", checkpoints=(outside,))
    assert "/data/model_5.pt lies outside /lab/logs/rsl_rl/cartpole_direct" in refusal.message
    assert "/lab/logs/rsl_rl/cartpole_direct/" in (refusal.hint or "")
    other = run_of("rsl_rl", NEWEST, "model_5.pt", experiment="ant")
    assert "lies outside" in refused("2.3.2", CARTPOLE, checkpoint=other[0].path, checkpoints=other).message
    assert planned("2.3.2", CARTPOLE, "play", checkpoint="/data/model_5.pt", checkpoints=(outside,)).argv[-1] == (
        "/data/model_5.pt"
    )
    assert planned("kitless", CARTPOLE, checkpoint="/data/model_5.pt", checkpoints=(outside,)).argv[-1] == (
        "/data/model_5.pt"
    )


@pytest.mark.parametrize("on", ["2.1.0", "2.2.0"])
def test_sb3_cannot_train_on_before_2_2_1(on: str) -> None:
    files = run_of("sb3", NEWEST, "model.zip")
    refusal = refused(on, CARTPOLE, library="sb3", resume=True, checkpoints=files)
    assert "cannot train on from a checkpoint" in refusal.message
    assert planned(on, CARTPOLE, "play", library="sb3", checkpoints=files).argv[-1] == files[0].path


def test_a_named_file_may_have_any_name() -> None:
    strange = CheckpointFile(path="/data/policy final.pt", run="data", name="policy final.pt", experiment="")
    plan = planned("2.3.2", CARTPOLE, "play", checkpoint="/data/policy final.pt", checkpoints=(strange,))
    assert plan.argv[-2:] == ("--checkpoint", "/data/policy final.pt")


@pytest.mark.parametrize("on", ["2.3.2", "kitless"])
def test_the_trio_of_2(on: str) -> None:
    root = LAB if on == "2.3.2" else CWD
    files = (
        *run_of("rsl_rl", "2026-01-01_00-00-00", "model_50.pt", "model_100.pt", root=root),
        *run_of("rsl_rl", "2026-02-01_00-00-00", "model_50.pt", "model_500.pt", modified=2.0, root=root),
    )
    asked: dict[str, Any] = {"resume": True, "options": ("--load_run", "2026-01.*"), "checkpoints": files}
    for checkpoint, name in (("model_50.pt", "model_50.pt"), (None, "model_100.pt"), ("model_.*.pt", "model_100.pt")):
        plan = planned(on, CARTPOLE, checkpoint=checkpoint, **asked)
        given = plan.argv[plan.argv.index("--checkpoint") + 1]
        if on == "kitless":
            assert given == f"{CWD}/logs/rsl_rl/cartpole_direct/2026-01-01_00-00-00/{name}"
        else:
            assert re.match(given, name)
            assert re.match(plan.argv[plan.argv.index("--load_run") + 1], "2026-01-01_00-00-00")
            assert plan.argv.count("--load_run") == plan.argv.count("--resume") == 1
    without = {**asked, "resume": False}
    assert words(planned(on, CARTPOLE, **without)) == words(planned(on, CARTPOLE, **asked))
    assert "no checkpoint" in refused(on, CARTPOLE, **{**asked, "options": ("--load_run=2027.*",)}).message


@pytest.mark.parametrize(
    "asked", [{"options": ("--load_run", "*")}, {"checkpoint": "*.pt"}, {"checkpoint": "model_[.pt"}]
)
def test_a_pattern_that_is_none_is_refused(asked: dict[str, Any]) -> None:
    options = asked.get("options", ("--load_run", ".*"))
    refusal = refused("2.3.2", CARTPOLE, resume=True, **{"options": options, **asked})
    culprit = "--checkpoint" if "checkpoint" in asked else "--load_run"
    assert refusal.message.startswith(f"{culprit} is read as a regular expression")
    assert refusal.hint


def test_play_knows_the_old_spellings_of_latest_and_pretrained() -> None:
    files = run_of("sb3", NEWEST, "model_10_steps.zip")
    plan = planned(
        "2.3.2", CARTPOLE, "play", library="sb3", options=("--use_last_checkpoint",), checkpoints=files, headless=False
    )
    assert words(plan) == ["--checkpoint", files[0].path]
    for asked in ({"options": ("--use_pretrained_checkpoint",)}, {"checkpoint": "pretrained"}):
        assert words(planned("2.3.2", CARTPOLE, "play", headless=False, **asked)) == ["--use_pretrained_checkpoint"]
        assert words(planned("kitless", CARTPOLE, "play", **asked)) == ["--checkpoint", "pretrained"]
    assert "published checkpoint" in refused("kitless", CARTPOLE, checkpoint="pretrained").message


@pytest.mark.parametrize("name", ["wandb:me/project/run", "https://wandb.ai/me/project/runs/x"])
def test_a_run_on_weights_and_biases(name: str) -> None:
    assert words(planned("kitless", CARTPOLE, checkpoint=name)) == ["--checkpoint", name]
    assert "rsl_rl of Isaac Lab 3.0 alone" in refused("2.3.2", CARTPOLE, checkpoint=name).message
    assert "rsl_rl of Isaac Lab 3.0 alone" in refused("kitless", CARTPOLE, library="skrl", checkpoint=name).message


def test_a_missing_checkpoint() -> None:
    plan = planned("2.3.2", CARTPOLE, "play")
    assert codes(plan) == {"checkpoint-missing": "error"}
    assert "--checkpoint" not in plan.argv
    assert "spark-rl train --task Isaac-Cartpole-Direct-v0" in (plan.findings[0].hint or "")
    for action, asked in (
        ("play", {"checkpoint": "latest"}),
        ("train", {"resume": True}),
        ("train", {"checkpoint": "best"}),
    ):
        assert "no checkpoint of" in refused("2.3.2", CARTPOLE, action, **asked).message


def test_training_starts_anew_unless_asked() -> None:
    files = run_of("rsl_rl", NEWEST, "model_10.pt")
    assert words(planned("2.3.2", CARTPOLE, checkpoints=files)) == ["--headless"]


def test_skrl_says_what_it_does_not_resume() -> None:
    files = run_of("skrl", f"{NEWEST}_ppo_torch", "checkpoints/agent_10.pt")
    assert codes(planned("2.3.2", CARTPOLE, library="skrl", resume=True, checkpoints=files)) == {
        "skrl-resume": "warning"
    }
    assert codes(planned("2.3.2", CARTPOLE, "play", library="skrl", checkpoints=files)) == {}
    other = run_of("rsl_rl", NEWEST, "model_10.pt")
    assert codes(planned("2.3.2", CARTPOLE, resume=True, checkpoints=other)) == {}


# The name of a run


@pytest.mark.parametrize(
    ("on", "library", "name", "passed"),
    [
        ("2.3.2", "rsl_rl", "walk", ["--run_name", "walk"]),
        ("kitless", "rsl_rl", "2024", ["--run_name", "2024"]),
        ("2.3.2", "rl_games", "walk", ["++agent.params.config.full_experiment_name=walk"]),
        ("kitless", "rl_games", "walk", ["agent.params.config.full_experiment_name=walk"]),
        ("2.3.2", "skrl", "walk-2.v1", ["agent.agent.experiment.experiment_name=walk-2.v1"]),
        ("kitless", "skrl", "2024", ["agent.agent.experiment.experiment_name='2024'"]),
        ("kitless", "skrl", "true", ["agent.agent.experiment.experiment_name='true'"]),
        ("2.3.2", "skrl", "1e5", ["agent.agent.experiment.experiment_name='1e5'"]),
        ("2.3.2", "skrl", "a b", ["agent.agent.experiment.experiment_name='a b'"]),
        ("2.3.2", "sb3", "walk", []),
        ("kitless", "sb3", "walk", []),
    ],
)
def test_the_name_of_a_run(on: str, library: str, name: str, passed: list[str]) -> None:
    plan = planned(on, CARTPOLE, library=library, run_name=name, headless=True)
    assert [word for word in words(plan) if word != "--headless"] == passed
    assert ("own label" in (reason(plan, "run_name") or "")) == (library == "sb3")


@pytest.mark.parametrize(
    "name", ["", "a/b", "..", ".", "-x", "--video", "a\nb", "a=b", "a,b", "a'b", "${x}", "_", "a\0"]
)
@pytest.mark.parametrize("library", ["rsl_rl", "skrl", "sb3"])
def test_a_name_that_is_no_folder_name_is_refused(library: str, name: str) -> None:
    assert "no name for a folder" in refused("2.3.2", CARTPOLE, library=library, run_name=name).message


# What really lies on disk, through the command line


@pytest.mark.parametrize("version", ["2.3.2", "3.0.0"])
def test_a_newest_folder_without_a_checkpoint_does_not_count(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab, cwd = tmp_path / "lab", tmp_path / "cwd"
    stand_in.kitless(lab) if version == "3.0.0" else stand_in.checkout(lab, version)
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    runs = (cwd if version == "3.0.0" else lab) / "logs" / "rsl_rl" / "cartpole_direct"
    for run, names in {
        "2026-01-01": ("model_9.pt", "model_10.pt"),
        "2026-02-01": (),
        "2026-03-01": ("run.json",),
    }.items():
        (runs / run).mkdir(parents=True)
        for name in names:
            (runs / run / name).write_text("{}")
            os.utime(runs / run / name, (1e9, 1e9))
    place = ["--isaaclab", str(lab), "--host", str(HOSTS / "x86-workstation.json")]
    command = ["play", "--task", CARTPOLE, *place, "--dry-run", "--json"]
    assert run_cli(command) == 0
    expected = str(runs / "2026-01-01" / "model_10.pt")
    assert json.loads(capsys.readouterr().out)["argv"][-1] == expected
    for path in (expected, str(runs / "2026-01-01"), os.path.relpath(expected, cwd)):
        assert run_cli([*command, "--checkpoint", path]) == 0
        assert json.loads(capsys.readouterr().out)["argv"][-1] == expected
    assert run_cli([*command, "--checkpoint", str(runs / "2026-02-01")]) == 2
    assert "holds no checkpoint of rsl_rl" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_every_glob_finds_what_the_patterns_name() -> None:
    from fnmatch import fnmatch

    for library, globs in checkpoints.GLOBS.items():
        names = {
            "rsl_rl": ("model_10.pt",),
            "rl_games": ("nn/cartpole.pth", "nn/last_cartpole_ep_50_rew_9.5.pth"),
            "skrl": ("checkpoints/agent_10.pt", "checkpoints/best_agent.pickle"),
            "sb3": ("model.zip", "model_10_steps.zip"),
        }[library]
        for name in names:
            assert checkpoints.is_checkpoint(name, library)
            assert any(fnmatch(name, glob) for glob in globs)
    assert not checkpoints.is_checkpoint("model_vecnormalize.pkl", "sb3")
    assert not checkpoints.is_checkpoint("policy.pt", "rsl_rl")


@pytest.mark.parametrize(("library", "warned"), [("rl_games", True), ("rsl_rl", False), ("skrl", False)])
def test_a_run_name_that_replaces_the_time_stamp_is_warned_of(library: str, warned: bool) -> None:
    plan = planned("kitless", "Isaac-Cartpole-Direct", library=library, run_name="walk")
    assert ("run-name-replaces" in codes(plan)) is warned


def trained_run(root: Path, library: str, whole: tuple[str, ...], cut: tuple[str, ...] = (), run: str = NEWEST) -> Path:
    """Make a run folder with files of torch that are whole, and some that are cut in half."""
    folder = root / "logs" / library / EXPERIMENT[library] / (f"{run}_ppo_torch" if library == "skrl" else run)
    content = (REAL / "finite.pt").read_bytes()
    for index, name in enumerate((*whole, *cut)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if name in whole else content[: len(content) // 2])
        os.utime(path, (1000 + index, 1000 + index))
    return folder


def decided(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the document of a dry run on a checkout at ``root``."""
    code = run_cli([*words, "--task", CARTPOLE, "--isaaclab", str(root), "--dry-run", "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("library", "asked", "whole", "cut", "note"),
    [
        (
            "rsl_rl",
            "latest",
            ("model_0.pt", "model_100.pt"),
            ("model_150.pt",),
            "model_150.pt is incomplete: model_100.pt",
        ),
        (
            *("rsl_rl", "latest", ("model_100.pt",), ("model_140.pt", "model_150.pt")),
            "model_150.pt and model_140.pt are incomplete: model_100.pt",
        ),
        ("rsl_rl", "best", ("model_100.pt",), ("model_150.pt",), "model_150.pt is incomplete: model_100.pt"),
        (
            *("rl_games", "best", ("nn/last_c_ep_50_rew_9.5.pth",), ("nn/cartpole.pth",)),
            "nn/cartpole.pth is incomplete: nn/last_c_ep_50_rew_9.5.pth",
        ),
        (
            *("skrl", "latest", ("checkpoints/agent_32.pt",), ("checkpoints/agent_64.pt",)),
            "checkpoints/agent_64.pt is incomplete: checkpoints/agent_32.pt",
        ),
        ("sb3", "latest", ("model_1000_steps.zip",), ("model.zip",), "model.zip is incomplete: model_1000_steps.zip"),
    ],
)
def test_an_incomplete_checkpoint_is_passed_over_and_told(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    library: str,
    asked: str,
    whole: tuple[str, ...],
    cut: tuple[str, ...],
    note: str,
) -> None:
    root = stand_in.checkout(tmp_path / "lab", "2.3.2")
    folder = trained_run(root, library, whole, cut)
    code, plan = decided(root, capsys, "play", "--library", library, "--checkpoint", asked)
    assert code == 0
    assert plan["argv"][plan["argv"].index("--checkpoint") + 1] == str(folder / whole[-1])
    assert note in plan["reasons"]["checkpoint"]
    (finding,) = [one for one in plan["findings"] if one["code"] == "checkpoint-incomplete"]
    assert (finding["level"], finding["message"]) == ("warning", f"{note} is used")


def test_training_goes_on_from_the_newest_whole_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = stand_in.checkout(tmp_path / "lab", "2.3.2")
    trained_run(root, "rsl_rl", ("model_100.pt",), ("model_150.pt",))
    for asked in (("--resume",), ("--checkpoint", "latest"), ("--resume", "--load-run", NEWEST)):
        code, plan = decided(root, capsys, "train", "--library", "rsl_rl", *asked)
        assert code == 0
        assert r"^model_100\.pt$" in plan["argv"]


def test_a_run_without_a_whole_checkpoint_does_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = stand_in.checkout(tmp_path / "lab", "2.3.2")
    older = trained_run(root, "rsl_rl", ("model_5.pt",), run="2026-01-01_00-00-00")
    os.utime(older / "model_5.pt", (1, 1))
    trained_run(root, "rsl_rl", (), ("model_0.pt",))
    code, plan = decided(root, capsys, "play", "--library", "rsl_rl")
    assert code == 0
    assert str(older / "model_5.pt") in plan["argv"]
    assert f"{NEWEST}/model_0.pt is incomplete: 2026-01-01_00-00-00/model_5.pt is used" in plan["reasons"]["checkpoint"]


def test_no_whole_checkpoint_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = stand_in.checkout(tmp_path / "lab", "2.3.2")
    trained_run(root, "rsl_rl", (), ("model_0.pt",))
    code, document = decided(root, capsys, "train", "--library", "rsl_rl", "--resume")
    assert (code, document["schema"]) == (2, "spark-rl/error/1")
    assert document["error"]["message"].startswith(f"no complete checkpoint of {CARTPOLE}")


@pytest.mark.parametrize("action", ["train", "play"])
@pytest.mark.parametrize("whole", [("model_50.pt", "model_100.pt"), ()])
@pytest.mark.parametrize("named", ["model_150.pt", "my policy.pt", "."])
def test_an_incomplete_file_that_was_named_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str, whole: tuple[str, ...], named: str
) -> None:
    root = stand_in.checkout(tmp_path / "lab", "2.3.2")
    cut = ("model_150.pt",) if named == "." else (named,)
    folder = trained_run(root, "rsl_rl", () if named == "." else whole, cut)
    code, document = decided(root, capsys, action, "--library", "rsl_rl", "--checkpoint", str(folder / named))
    assert (code, document["error"]["code"]) == (2, 2)
    assert document["error"]["message"] == f"the checkpoint {folder / cut[0]} is incomplete"
    next_one = f"this one is whole: --checkpoint {folder / 'model_100.pt'}"
    expected = next_one if whole and named != "." else "its run folder holds no whole one"
    assert document["error"]["hint"] == expected


def test_as_few_files_as_will_do_are_looked_into() -> None:
    asked: list[str] = []
    files = run_of("rsl_rl", NEWEST, "model_0.pt", "model_50.pt", "model_100.pt", "model_150.pt")

    def whole(one: CheckpointFile) -> bool:
        asked.append(one.name)
        return one.name != "model_150.pt"

    choice = checkpoints.latest(files, "rsl_rl", whole)
    assert choice is not None
    assert choice.file.name == "model_100.pt"
    assert asked == ["model_150.pt", "model_100.pt"]
