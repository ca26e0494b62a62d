"""Overrides in a plan: no flag says otherwise, and what is known of the task's configuration decides."""

from __future__ import annotations

from typing import Any

import pytest

from fakes.configured import document
from planning import CWD, codes, facts, lab, planned, reason, refused
from spark_rl.configuration import Configuration
from spark_rl.errors import RequestError
from spark_rl.model import Finding, Plan, Request
from spark_rl.plan import Knowledge, plan, resolve, surroundings

CARTPOLE = "Isaac-Cartpole-Direct"


@pytest.mark.parametrize(
    ("library", "asked", "flag", "word"),
    [
        ("rsl_rl", {"num_envs": 4}, "--num-envs", "env.scene.num_envs=8"),
        ("rsl_rl", {"num_envs": 4}, "--num-envs", "env.scene.num_envs=4"),
        ("rsl_rl", {"num_envs": 4}, "--num-envs", "++env.scene.num_envs=4"),
        ("rsl_rl", {"seed": 1}, "--seed", "agent.seed=1"),
        ("sb3", {"seed": 1}, "--seed", "env.seed=1"),
        ("rl_games", {"seed": 1}, "--seed", "agent.params.seed=1"),
        ("rsl_rl", {"max_iterations": 1}, "--max-iterations", "agent.max_iterations=1"),
        ("rl_games", {"max_iterations": 1}, "--max-iterations", "agent.params.config.max_epochs=1"),
        ("skrl", {"max_iterations": 1}, "--max-iterations", "agent.trainer.timesteps=1"),
        ("sb3", {"max_iterations": 1}, "--max-iterations", "agent.n_timesteps=1"),
        ("rsl_rl", {"device": "cuda:0"}, "--device", "env.sim.device=cpu"),
        ("rsl_rl", {"run_name": "x"}, "--run-name", "agent.run_name=y"),
        ("skrl", {"run_name": "x"}, "--run-name", "agent.agent.experiment.experiment_name=y"),
        ("rsl_rl", {"options": ("--experiment_name", "x")}, "--experiment_name", "agent.experiment_name=y"),
    ],
)
def test_a_flag_and_an_override_of_the_same_field_are_refused(
    library: str, asked: dict[str, Any], flag: str, word: str
) -> None:
    refusal = refused("kitless", CARTPOLE, library=library, overrides=(word,), **asked)
    assert refusal.message == f"{flag} and {word} set the same"


@pytest.mark.parametrize("asked", [{"device": "cpu", "overrides": ("agent.device=cpu",)}, {"seed": 1}, {"num_envs": 8}])
def test_what_does_not_meet_is_no_contradiction(asked: dict[str, Any]) -> None:
    assert planned("kitless", CARTPOLE, **asked).argv


def test_an_env_seed_is_warned_of() -> None:
    assert codes(planned("kitless", CARTPOLE, overrides=("env.seed=3",)))["env-seed"] == "warning"
    assert "env-seed" not in codes(planned("kitless", CARTPOLE, overrides=("agent.seed=3",)))


def known(knowledge: Knowledge, *overrides: str) -> Plan:
    there = facts(lab("kitless"))
    request, target = resolve(Request(action="train", task=CARTPOLE, cwd=CWD, overrides=overrides), there)
    return plan(request, there, target, (), knowledge)


CONFIGURATION = Configuration.from_document(document(), "Isaac Lab's own configuration")


def test_a_known_configuration_decides() -> None:
    knowledge = Knowledge(configuration=CONFIGURATION)
    good = known(knowledge, "env.decimation=3")
    assert reason(good, "overrides") == "checked against Isaac Lab's own configuration"
    assert "env.decimation=3" in good.argv
    with pytest.raises(RequestError, match=r"there is no env\.decimatoin"):
        known(knowledge, "env.decimatoin=3")


def test_what_spark_rl_adds_itself_is_not_checked() -> None:
    assert "agent.device=cpu" in planned("kitless", CARTPOLE, device="cpu", overrides=("env.decimation=3",)).argv


def test_what_cannot_be_checked_is_said() -> None:
    note = Finding(code="overrides-unchecked", level="note", message="not checked")
    plan = known(Knowledge(lacking=note), "env.nope=3")
    assert codes(plan)["overrides-unchecked"] == "note"
    assert reason(plan, "overrides") is None


def test_where_nobody_looked_nothing_is_said() -> None:
    plan = known(Knowledge(), "env.nope=3")
    assert "overrides-unchecked" not in codes(plan)
    assert reason(plan, "overrides") is None


@pytest.mark.parametrize(
    ("on", "python"),
    [("kitless", ("/env/bin/python",)), ("2.3.2", ("/lab/isaaclab.sh", "-p")), ("3.0.0", ("/lab/isaaclab.sh", "-p"))],
)
def test_a_child_gets_the_python_of_the_plan(on: str, python: tuple[str, ...]) -> None:
    there = facts(lab(on))
    request, target = resolve(Request(action="train", task=CARTPOLE, cwd=CWD), there)
    around = surroundings(request, there, target)
    assert around.python == python
    assert set(around.env) <= set(plan(request, there, target).env)
