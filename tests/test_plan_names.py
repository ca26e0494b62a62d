"""Names, libraries and algorithms: what is meant, why, and what is refused."""

from __future__ import annotations

import pytest

from planning import planned, reason, refused, words

PENDULUM, HANDOVER = "Isaac-Cart-Double-Pendulum-Direct-v0", "Isaac-Shadow-Hand-Over-Direct-v0"
AMP = "Isaac-Humanoid-AMP-Walk-Direct-v0"


@pytest.mark.parametrize(
    ("on", "action", "task", "spelled", "note"),
    [
        ("2.3.2", "train", "Isaac-Reach-Franka-v0", "Isaac-Reach-Franka-v0", None),
        ("2.3.2", "train", "Isaac-Reach-Franka-Play-v0", "Isaac-Reach-Franka-Play-v0", "is the play variant of"),
        ("2.3.2", "play", "Isaac-Reach-Franka-v0", "Isaac-Reach-Franka-Play-v0", "play of Isaac-Reach-Franka-v0 uses"),
        ("2.3.2", "play", "Isaac-Reach-Franka-Play-v0", "Isaac-Reach-Franka-Play-v0", None),
        ("2.3.2", "play", "Isaac-Cartpole-Direct-v0", "Isaac-Cartpole-Direct-v0", None),
        ("2.3.2", "train", "Isaac-Reach-Franka", "Isaac-Reach-Franka-v0", "is Isaac-Reach-Franka-v0 in"),
        ("2.3.2", "play", "Isaac-Reach-Franka", "Isaac-Reach-Franka-Play-v0", "uses Isaac-Reach-Franka-Play-v0"),
        ("2.3.2", "train", "Isaac-Pendulum-MARL-Direct", PENDULUM, f"is {PENDULUM} in Isaac Lab 2.3.2"),
        ("kitless", "train", "Isaac-Reach-Franka-v0", "Isaac-Reach-Franka", "is Isaac-Reach-Franka in Isaac Lab 3.0.0"),
        ("kitless", "play", "Isaac-Reach-Franka-Play-v0", "Isaac-Reach-Franka", "is Isaac-Reach-Franka in"),
        ("kitless", "play", "Isaac-Reach-Franka", "Isaac-Reach-Franka", None),
        ("kitless", "train", PENDULUM, "Isaac-Pendulum-MARL-Direct", "is Isaac-Pendulum-MARL-Direct in"),
        ("kitless", "train", "cartpole direct".replace(" ", "_"), "Isaac-Cartpole-Direct", "cartpole_direct is"),
    ],
)
def test_a_name_of_either_generation_finds_its_task(
    on: str, action: str, task: str, spelled: str, note: str | None
) -> None:
    plan = planned(on, task, action)
    assert plan.argv[plan.argv.index("--task") + 1] == spelled
    assert plan.task.requested == task
    assert (plan.task.note is None) == (note is None)
    assert (note or "") in (plan.task.note or "")
    assert "\n" not in (plan.task.note or "")


def test_train_env_cfg_plays_the_training_task() -> None:
    plan = planned("2.3.2", "Isaac-Reach-Franka-v0", "play", options=("--train_env_cfg",))
    assert plan.argv[plan.argv.index("--task") + 1] == "Isaac-Reach-Franka-v0"
    assert "--train_env_cfg" not in plan.argv
    assert "--train_env_cfg" in planned("kitless", "Isaac-Reach-Franka-v0", "play", options=("--train_env_cfg",)).argv


@pytest.mark.parametrize(
    ("task", "presets"),
    [
        ("Isaac-Cartpole-RGB-v0", ["presets=rgb"]),
        ("Isaac-Cartpole-Depth-v0", ["presets=depth"]),
        ("Isaac-Cartpole-RGB-ResNet18-v0", ["presets=resnet18"]),
        ("Isaac-Cartpole-Showcase-Tuple-MultiDiscrete-Direct-v0", ["presets=tuple_multidiscrete"]),
    ],
)
def test_an_old_variant_is_a_preset_on_3(task: str, presets: list[str]) -> None:
    plan = planned("kitless", task)
    assert words(plan)[-len(presets) :] == presets
    assert presets[0] in (plan.task.note or "")


def test_the_users_presets_are_read_besides_those_of_the_old_name() -> None:
    plan = planned("kitless", "Isaac-Cartpole-Depth-v0", overrides=("presets=newton_mjwarp", "env.decimation=4"))
    assert words(plan) == ["presets=depth", "presets=newton_mjwarp", "env.decimation=4"]


def test_a_namespace_stays_in_front_of_the_id() -> None:
    plan = planned("kitless", "my_tasks:Isaac-Cartpole-Direct")
    assert plan.argv[plan.argv.index("--task") + 1] == "my_tasks:Isaac-Cartpole-Direct"
    assert plan.task.task.id == "Isaac-Cartpole-Direct"


@pytest.mark.parametrize(
    ("on", "task", "message", "hint"),
    [
        ("2.3.2", "Isaac-Cartpol-Direct-v0", "Isaac Lab 2.3.2 has no task Isaac-Cartpol-Direct-v0", "Isaac-Cartpole-D"),
        ("kitless", "Isaac-Quadcopter-Direct-v0", "was removed in Isaac Lab 3.0", "IsaacContrib-TrackPosition"),
        ("2.3.2", "Isaac-Lift-Cloth-Franka", "Isaac Lab 2.3.2 has no task", "nearest names"),
        ("2.1.0", "Isaac-Deploy-Reach-UR10e-v0", "(Isaac-Deploy-Reach-UR10e-v0 came with a later release)", "UR10"),
        ("2.3.2", "", "has no task", "list-envs"),
        ("2.3.2", "--headless", "has no task --headless", "list-envs"),
        ("2.3.2", "Isaac-Stack-Cube-Franka-v0", "no RL library has an agent config", "spark-rl list-envs"),
    ],
)
def test_an_unknown_task_is_refused_with_the_nearest_names(on: str, task: str, message: str, hint: str) -> None:
    refusal = refused(on, task)
    assert message in refusal.message
    assert hint in (refusal.hint or "")


@pytest.mark.parametrize(
    ("on", "task", "library", "why"),
    [
        ("2.3.2", "Isaac-Cartpole-Direct-v0", "rsl_rl", "the default where a task has a config for it"),
        ("2.3.2", AMP, "skrl", "adversarial motion priors (AMP) exist in skrl alone"),
        ("2.3.2", PENDULUM, "skrl", "multi-agent training exists in skrl alone"),
        ("2.3.2", HANDOVER, "skrl", "multi-agent training exists in skrl alone"),
        ("kitless", HANDOVER, "skrl", "multi-agent training exists in skrl alone"),
        ("2.3.2", "Isaac-Factory-NutThread-Direct-v0", "rl_games", "contact-rich assembly"),
        ("2.3.2", "Isaac-Forge-PegInsert-Direct-v0", "rl_games", "contact-rich assembly"),
        ("2.3.2", "Isaac-AutoMate-Assembly-Direct-v0", "rl_games", "contact-rich assembly"),
        ("kit", "IsaacContrib-Factory-PegInsert-Direct", "rl_games", "contact-rich assembly"),
        ("kit", "IsaacContrib-Factory-Franka", "rsl_rl", "the default where a task has a config for it"),
        ("2.3.2", "Isaac-Cartpole-RGB-Camera-Direct-v0", "skrl", "the first of rsl_rl, skrl, rl_games, sb3"),
        ("2.3.2", "Isaac-Cartpole-RGB-v0", "rl_games", "the first of rsl_rl, skrl, rl_games, sb3"),
        ("2.3.2", "Isaac-Cartpole-Showcase-Box-Box-Direct-v0", "skrl", "the first of rsl_rl, skrl, rl_games, sb3"),
    ],
)
def test_the_library_that_fits(on: str, task: str, library: str, why: str) -> None:
    plan = planned(on, task)
    assert plan.library == library
    assert why in (reason(plan, "library") or "")


def test_3_always_gets_its_library_and_2_never() -> None:
    assert "--rl_library" not in planned("2.3.2", "Isaac-Cartpole-Direct-v0").argv
    for action in ("train", "play"):
        plan = planned("kitless", "Isaac-Cartpole-Direct-v0", action, library="skrl")
        assert plan.argv[:6] == ("/env/bin/python", "-m", "isaaclab", action, "--rl_library", "skrl")


@pytest.mark.parametrize(
    ("on", "task", "library", "message", "hint"),
    [
        ("2.1.0", "Isaac-Velocity-Flat-Unitree-A1-v0", "sb3", "sb3 has no agent config", "rsl_rl or skrl"),
        (
            "2.3.2",
            "Isaac-Factory-PegInsert-Direct-v0",
            "rsl_rl",
            "rsl_rl has no agent config",
            "use --library rl_games",
        ),
        ("2.3.2", AMP, "rl_games", "rl_games has no agent config", "use --library skrl"),
        ("2.3.2", "Isaac-Cartpole-v0", "rsl_lr", "unknown RL library: rsl_lr", "did you mean rsl_rl"),
        ("2.3.2", "Isaac-Cartpole-v0", "torchrl", "unknown RL library: torchrl", "rl"),
        ("2.3.2", "Isaac-Cartpole-v0", "", "unknown RL library", "rsl_rl, rl_games, skrl, sb3"),
    ],
)
def test_a_library_without_a_config_is_refused_naming_those_that_have_one(
    on: str, task: str, library: str, message: str, hint: str
) -> None:
    refusal = refused(on, task, library=library)
    assert message in refusal.message
    assert hint in (refusal.hint or "")


@pytest.mark.parametrize(
    ("on", "task", "library", "asked", "algorithm", "passed", "why"),
    [
        ("2.3.2", AMP, None, None, "AMP", ["AMP"], "made for adversarial motion priors"),
        ("2.3.2", AMP, "skrl", "AMP", "AMP", ["AMP"], "asked for"),
        ("2.3.2", AMP, "skrl", "amp", "AMP", ["AMP"], "asked for"),
        ("kit", AMP, None, None, "AMP", ["AMP"], "made for adversarial motion priors"),
        ("2.3.2", PENDULUM, None, None, "MAPPO", ["MAPPO"], "trains with MAPPO unless --algorithm says otherwise"),
        ("2.3.2", PENDULUM, "skrl", "IPPO", "IPPO", ["IPPO"], "asked for"),
        ("2.3.2", PENDULUM, "skrl", "PPO", "PPO", ["PPO"], "turned into a single-agent task"),
        ("kitless", PENDULUM, "skrl", "PPO", "PPO", ["PPO"], "turned into a single-agent task"),
        ("2.3.2", PENDULUM, "rl_games", None, "PPO", [], "rl_games trains one agent"),
        ("kitless", HANDOVER, "rsl_rl", None, "PPO", [], "turned into a single-agent task"),
        ("2.3.2", "Isaac-Cartpole-v0", "skrl", None, "PPO", [], "the task's own agent config"),
        ("2.3.2", "Isaac-Cartpole-v0", "skrl", "PPO", "PPO", ["PPO"], "asked for"),
        ("2.3.2", "Isaac-Cartpole-v0", "rsl_rl", "PPO", "PPO", [], "asked for"),
        ("2.3.2", "Isaac-Cartpole-v0", "sb3", None, "PPO", [], "the task's own agent config"),
    ],
)
def test_the_algorithm_and_why(
    on: str, task: str, library: str | None, asked: str | None, algorithm: str, passed: list[str], why: str
) -> None:
    plan = planned(on, task, library=library, algorithm=asked)
    assert plan.algorithm == algorithm
    assert [value for name, value in zip(plan.argv, plan.argv[1:], strict=False) if name == "--algorithm"] == passed
    assert why in (reason(plan, "algorithm") or "")


def test_play_asks_for_the_same_algorithm_as_training() -> None:
    plan = planned("2.3.2", PENDULUM, "play")
    assert plan.argv[plan.argv.index("--algorithm") + 1] == "MAPPO"


@pytest.mark.parametrize(
    ("task", "library", "algorithm", "message", "hint"),
    [
        ("Isaac-Cartpole-v0", "skrl", "MAPPO", "MAPPO trains several agents", "leave --algorithm out to train PPO"),
        ("Isaac-Cartpole-v0", None, "IPPO", "IPPO trains several agents", "leave --algorithm out"),
        ("Isaac-Cartpole-v0", "skrl", "AMP", "skrl has no AMP config for Isaac-Cartpole-v0", "skrl has PPO for it"),
        ("Isaac-Cartpole-v0", "rsl_rl", "AMP", "rsl_rl has no AMP config", "rsl_rl has PPO for it"),
        (PENDULUM, "rl_games", "MAPPO", "rl_games has no MAPPO config", "use --library skrl"),
        (PENDULUM, "skrl", "AMP", "skrl has no AMP config", "skrl has PPO, IPPO or MAPPO for it"),
        (AMP, "skrl", "PPO", "skrl has no PPO config", "skrl has AMP for it"),
        ("Isaac-Cartpole-v0", "skrl", "SAC", "unknown algorithm: SAC", "PPO, MAPPO, IPPO, AMP"),
        ("Isaac-Cartpole-v0", "skrl", "MAPO", "unknown algorithm: MAPO", "did you mean MAPPO"),
        ("Isaac-Cartpole-v0", "skrl", "", "unknown algorithm", "PPO, MAPPO, IPPO, AMP"),
    ],
)
def test_an_algorithm_that_does_not_fit_is_refused(
    task: str, library: str | None, algorithm: str, message: str, hint: str
) -> None:
    refusal = refused("2.3.2", task, library=library, algorithm=algorithm)
    assert message in refusal.message
    assert hint in (refusal.hint or "")


def test_an_agent_config_is_chosen_by_its_entry_point() -> None:
    entry = "rsl_rl_with_symmetry_cfg_entry_point"
    plan = planned("2.3.2", "Isaac-Cartpole-v0", options=("--agent", entry))
    assert words(plan) == ["--headless", f"--agent={entry}"]
    assert reason(plan, "algorithm") == f"the agent config {entry}"
    mappo = planned("2.3.2", PENDULUM, library="skrl", options=("--agent", "skrl_mappo_cfg_entry_point"))
    assert mappo.algorithm == "MAPPO"
    assert "--algorithm" not in mappo.argv


@pytest.mark.parametrize(
    ("on", "entry", "message", "hint"),
    [
        ("2.3.2", "rsl_rl_symmetry_cfg_entry_point", "has no agent config entry point", "rsl_rl_with_symmetry_cfg_"),
        (
            "2.3.2",
            "skrl_cfg_entry_point",
            "has no agent config entry point skrl_cfg_entry_point for rsl_rl",
            "rsl_rl_cfg",
        ),
        ("2.2.0", "rsl_rl_with_symmetry_cfg_entry_point", "rsl_rl train has it since 2.2.1", ""),
    ],
)
def test_an_agent_config_that_is_not_there_is_refused(on: str, entry: str, message: str, hint: str) -> None:
    refusal = refused(on, "Isaac-Cartpole-v0", options=("--agent", entry))
    assert message in refusal.message
    assert hint in (refusal.hint or "")


@pytest.mark.parametrize("spelling", ["rsl_rl", "rsl-rl", "RSL_RL", "rslrl"])
def test_a_library_is_known_however_it_is_spelled(spelling: str) -> None:
    assert planned("2.3.2", "Isaac-Cartpole-v0", library=spelling).library == "rsl_rl"
