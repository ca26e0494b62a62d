from __future__ import annotations

import shlex
from typing import Any

import pytest

import planning
from spark_rl import catalogues, names
from spark_rl.description import Description, describe
from spark_rl.errors import RequestError
from spark_rl.model import AgentConfig, Resolved, Task

RENAMES = catalogues.renames()
CONTRACT = {
    *("id", "category", "robot", "libraries", "algorithms", "multi_agent", "amp", "cameras", "physics", "trainable"),
    *("play_id", "train_id", "difficulty", "summary", "package"),
}


def described(name: str, on: str = "kitless") -> Description:
    lab = planning.lab(on)
    catalog = planning.shipped(lab.version)
    resolved = names.resolve(name, "train", catalog, lab.generation, RENAMES)
    return describe(resolved, version=lab.version, renames=RENAMES, installation=lab, origin=catalog.origin)


def commands(value: Description, action: str = "train") -> list[str]:
    return [command.text for command in value.commands if command.action == action]


def test_a_task_with_many_agents() -> None:
    assert commands(described("Isaac-Pendulum-MARL-Direct")) == [
        "spark-rl train --task Isaac-Pendulum-MARL-Direct --library skrl --algorithm MAPPO",
        "spark-rl train --task Isaac-Pendulum-MARL-Direct --library skrl --algorithm PPO",
        "spark-rl train --task Isaac-Pendulum-MARL-Direct --library skrl --algorithm IPPO",
        "spark-rl train --task Isaac-Pendulum-MARL-Direct --library rl_games",
    ]


def test_an_agent_config_that_is_no_algorithm_of_its_own_is_named() -> None:
    found = commands(described("Isaac-Velocity-Flat-AnymalD"), "play")
    head = "spark-rl play --task Isaac-Velocity-Flat-AnymalD --library rsl_rl"
    assert found[0] == head
    assert f"{head} --agent rsl_rl_with_symmetry_cfg_entry_point" in found
    assert f"{head} --agent rsl_rl_distillation_cfg_entry_point" in found


def test_the_default_is_marked_and_first() -> None:
    for on in ("2.3.2", "kit"):
        for task in planning.shipped(planning.lab(on).version).tasks:
            defaults = [command.default for command in described(task.id, on).commands]
            assert defaults.count(True) == (2 if task.trainable else 0)
            assert not defaults or defaults[0]


def _asked(text: str) -> tuple[str, str, dict[str, Any]]:
    """Return action, task and the request's values of a command line that ``describe`` offers."""
    program, action, option, task, *words = shlex.split(text)
    assert (program, option) == ("spark-rl", "--task")
    asked: dict[str, Any] = {"options": (), "overrides": ()}
    while words:
        word = words.pop(0)
        if word in ("--library", "--algorithm"):
            asked[word[2:]] = words.pop(0)
        elif word == "--agent":
            asked["options"] = (word, words.pop(0))
        else:
            asked["overrides"] += (word,)
    return action, task, asked


@pytest.mark.parametrize("on", ["2.1.0", "2.2.0", "2.3.2", "kit", "kitless"])
def test_every_command_can_be_planned(on: str) -> None:
    """All commands of all tasks: what is offered to be pasted trains what it says."""
    for task in planning.shipped(planning.lab(on).version).tasks:
        value = described(task.id, on)
        for command in value.commands:
            if on == "kitless" and value.isaac_sim and value.instead is None:
                continue
            action, name, asked = _asked(command.text)
            plan = planning.planned(on, name, action, **asked)
            assert (plan.library, plan.algorithm) == (command.library, command.algorithm)
            if command.default:
                plain = planning.planned(on, name, action, overrides=asked["overrides"])
                assert (plain.library, plain.algorithm) == (command.library, command.algorithm)


@pytest.mark.parametrize("on", ["2.1.0", "2.2.0", "2.3.0", "2.3.2", "kit", "kitless"])
def test_a_task_for_demonstrations_has_no_command_and_no_plan(on: str) -> None:
    tasks = planning.shipped(planning.lab(on).version).tasks
    names_of_mimic = [task.id for task in tasks if task.package == "isaaclab_mimic"]
    assert names_of_mimic
    for name in names_of_mimic:
        assert described(name, on).commands == ()
        for action in ("train", "play"):
            with pytest.raises(RequestError, match=f"{name} cannot be trained: no RL library has an agent config"):
                planning.planned(on, name, action, library="rsl_rl", options=("--agent", "rsl_rl_cfg_entry_point"))


def test_a_play_variant_is_trained_by_its_training_id() -> None:
    value = described("Isaac-Reach-Franka-Play-v0", "2.3.2")
    assert commands(value)[0] == "spark-rl train --task Isaac-Reach-Franka-v0 --library rsl_rl"
    assert value.task.train_id == "Isaac-Reach-Franka-v0"


def test_names_of_both_generations() -> None:
    new = described("Isaac-Reach-Franka")
    assert [(name.id, name.presets) for name in new.names_2] == [
        ("Isaac-Reach-Franka-IK-Abs-v0", ("physics=isaacsim_physx", "presets=diffik_abs")),
        ("Isaac-Reach-Franka-IK-Rel-v0", ("physics=isaacsim_physx", "presets=diffik")),
        ("Isaac-Reach-Franka-v0", ()),
    ]
    old = described("Isaac-Cartpole-RGB-TheiaTiny-v0", "2.3.2")
    assert [(name.id, name.presets) for name in old.names_3] == [("Isaac-Cartpole-Camera", ("presets=theia_tiny",))]
    assert described("Isaac-Quadcopter-Direct-v0", "2.3.2").names_3 == ()
    assert [name.id for name in described("Isaac-DrLegs-Walk-v0").names_3] == ["Isaac-DrLegs-Walk-v0"]


def test_presets_of_an_old_name_are_in_the_commands() -> None:
    value = described("Isaac-Cartpole-RGB-TheiaTiny-v0", "kit")
    assert commands(value)[0].endswith("--task Isaac-Cartpole-Camera --library rsl_rl presets=theia_tiny")


@pytest.mark.parametrize(
    ("name", "on", "needed", "instead", "ending"),
    [
        ("Isaac-Cartpole", "kitless", False, None, "--library rsl_rl"),
        ("IsaacContrib-Velocity-Flat-AnymalB", "kit", True, "newton_mjwarp", "--library rsl_rl"),
        ("IsaacContrib-Velocity-Flat-AnymalB", "kitless", True, "newton_mjwarp", "rsl_rl physics=newton_mjwarp"),
        ("IsaacContrib-Factory-PegInsert-Direct", "kitless", True, None, "--library rl_games"),
        ("Isaac-Cartpole-v0", "2.3.2", True, None, "--library rsl_rl"),
    ],
)
def test_what_a_task_needs(name: str, on: str, needed: bool, instead: str | None, ending: str) -> None:
    value = described(name, on)
    assert (value.isaac_sim, value.instead) == (needed, instead)
    assert commands(value)[0].endswith(ending)


def test_embedded_assets_are_those_of_3() -> None:
    assert described("Isaac-Cartpole").embedded
    assert not described("Isaac-Ant").embedded
    assert not described("Isaac-Cartpole-v0", "2.3.2").embedded


def test_a_task_of_a_project_says_where_it_comes_from() -> None:
    agent = AgentConfig(
        entry_point="skrl_cfg_entry_point", library="skrl", algorithm="PPO", target="mine.agents:s.yaml"
    )
    task = Task(id="Mine", package="mine", entry_point="isaaclab.envs:E", env_cfg="mine.tasks.cfg:C", agents=(agent,))
    value = describe(
        Resolved(requested="mine", task=task), version="3.0.0", renames=RENAMES, origin="here", project="/my/project"
    )
    assert value.isaac_sim is None
    assert value.to_document()["source"] == {
        "package": "mine",
        "project": "/my/project",
        "modules": ["mine.tasks.cfg", "mine.agents"],
    }


def test_the_document() -> None:
    document = described("shadow-handover-direct", "kitless").to_document()
    assert (document["schema"], document["isaaclab"]) == ("spark-rl/task/1", "3.0.0")
    assert set(document) >= CONTRACT
    assert document["requested"] == "shadow-handover-direct"
    assert document["names"] == {
        "2": [{"id": "Isaac-Shadow-Hand-Over-Direct-v0", "presets": []}],
        "3": [{"id": "Isaac-Shadow-Handover-Direct", "presets": []}],
    }
    assert document["needs"] == {
        "isaac_sim": False,
        "instead": None,
        "refused": False,
        "cameras": False,
        "assets": "nvidia",
    }
    assert document["agents"][0]["max_iterations"] == 3500
    assert document["commands"][0] == {
        "action": "train",
        "library": "skrl",
        "algorithm": "MAPPO",
        "agent": "skrl_mappo_cfg_entry_point",
        "default": True,
        "command": "spark-rl train --task Isaac-Shadow-Handover-Direct --library skrl --algorithm MAPPO",
    }


@pytest.mark.parametrize(("on", "refused"), [("kitless", True), ("kit", False)])
def test_a_task_that_this_installation_refuses_is_told(on: str, refused: bool) -> None:
    found = described("Isaac-Lift-Cube-Franka-v0", on)
    assert found.refused is found.to_document()["needs"]["refused"] is refused
