"""The command itself, what a kit-less installation cannot do, the script's own options, and assets."""

from __future__ import annotations

from typing import Any

import pytest

from planning import CWD, checkout, codes, host, package, planned, reason, refused, words
from spark_rl import profiles
from spark_rl.errors import RequestError
from spark_rl.model import AgentConfig, Task

CARTPOLE, LIFT, A1 = "Isaac-Cartpole-Direct-v0", "Isaac-Lift-Cube-Franka-v0", "Isaac-Velocity-Flat-Unitree-A1-v0"


@pytest.mark.parametrize(
    ("installation", "action", "entry", "cwd"),
    [
        (
            checkout("2.3.2"),
            "train",
            ("/lab/isaaclab.sh", "-p", "scripts/reinforcement_learning/rsl_rl/train.py"),
            "/lab",
        ),
        (
            checkout("2.1.0"),
            "play",
            ("/lab/isaaclab.sh", "-p", "scripts/reinforcement_learning/rsl_rl/play.py"),
            "/lab",
        ),
        (checkout("3.0.0"), "train", ("/lab/isaaclab.sh", "train", "--rl_library", "rsl_rl"), CWD),
        (checkout("3.0.1"), "play", ("/lab/isaaclab.sh", "play", "--rl_library", "rsl_rl"), CWD),
        (
            checkout("3.0.0", python="/lab/.venv/bin/python"),
            "train",
            ("/lab/.venv/bin/python", "-m", "isaaclab", "train", "--rl_library", "rsl_rl"),
            CWD,
        ),
        (package(), "train", ("/env/bin/python", "-m", "isaaclab", "train", "--rl_library", "rsl_rl"), CWD),
        (package(python=None), "play", ("/env/bin/python", "-m", "isaaclab", "play", "--rl_library", "rsl_rl"), CWD),
    ],
)
def test_the_entry_of_each_kind(installation: Any, action: str, entry: tuple[str, ...], cwd: str) -> None:
    plan = planned(installation, CARTPOLE, action)
    assert plan.argv[: plan.argv.index("--task")] == entry
    assert plan.cwd == cwd


@pytest.mark.parametrize(
    ("installation", "before", "after"),
    [
        (checkout("2.3.2"), ["/lab/isaaclab.sh", "-p"], ["scripts/reinforcement_learning/rsl_rl/play.py"]),
        (checkout("3.0.0"), ["/lab/isaaclab.sh", "-p"], ["isaaclab", "play", "--rl_library", "rsl_rl"]),
        (package(), ["/env/bin/python"], ["isaaclab", "play", "--rl_library", "rsl_rl"]),
        (package(python=None), ["/env/bin/python"], ["isaaclab", "play", "--rl_library", "rsl_rl"]),
    ],
)
def test_bounded_play_starts_the_driver(installation: Any, before: list[str], after: list[str]) -> None:
    plan = planned(installation, CARTPOLE, "play", steps=100)
    driver = ["/spark/play.py", "--steps", "100", "--"]
    assert list(plan.argv[: plan.argv.index("--task")]) == [*before, *driver, *after]


def test_the_parts_come_in_a_fixed_order() -> None:
    asked: dict[str, Any] = {
        "library": "skrl",
        "algorithm": "PPO",
        "num_envs": 8,
        "video": True,
        "device": "cuda:0",
        "options": ("--ml_framework", "jax"),
        "overrides": ("env.a=1", "+agent.b=2", "~env.c"),
        "passthrough": ("--raw", "x y"),
    }
    plan = planned("2.3.2", CARTPOLE, **asked)
    assert words(plan) == [
        *("--algorithm", "PPO", "--headless", "--video", "--num_envs", "8", "--device", "cuda:0"),
        *("--ml_framework=jax", "env.a=1", "+agent.b=2", "~env.c", "--raw", "x y"),
    ]
    assert planned("2.3.2", CARTPOLE, **asked) == plan


def test_a_2_x_package_has_no_scripts() -> None:
    refusal = refused(package(version="2.3.2.post1"), CARTPOLE)
    assert "has no train and play scripts" in refusal.message
    assert "--isaaclab" in (refusal.hint or "")


@pytest.mark.parametrize(
    ("version", "planned_as"), [("2.3.3", "2.3.2"), ("2.9", "2.3.2"), ("3.1.0", "3.0.0"), ("2.1.1", "2.1.0")]
)
def test_a_version_without_a_profile_takes_the_nearest_lower_one(version: str, planned_as: str) -> None:
    plan = planned(checkout(version), CARTPOLE)
    warnings = [finding for finding in plan.findings if finding.level == "warning"]
    assert [warning.code for warning in warnings] == ["version-unknown"]
    assert planned_as in warnings[0].message


@pytest.mark.parametrize("version", ["4.0.0", "1.4.1", "banana"])
def test_a_version_of_another_major_is_refused(version: str) -> None:
    with pytest.raises(RequestError) as caught:
        profiles.profile(version)
    assert caught.value.hint


# Kit-less


@pytest.mark.parametrize(
    ("task", "hints"),
    [
        (LIFT, ("spark-rl[isaacsim]", "train Isaac-Lift-Franka, a different task")),
        (A1, ("add physics=newton_mjwarp", "spark-rl[isaacsim]")),
        ("Isaac-Factory-PegInsert-Direct-v0", ("install Isaac Sim: pip install 'spark-rl[isaacsim]'",)),
        ("Isaac-Navigation-Flat-Anymal-C-v0", ("install Isaac Sim: pip install 'spark-rl[isaacsim]'",)),
    ],
)
@pytest.mark.parametrize("action", ["train", "play"])
def test_a_task_that_needs_isaac_sim(task: str, hints: tuple[str, ...], action: str) -> None:
    refusal = refused("kitless", task, action)
    assert "needs Isaac Sim (PhysX through Kit), and /env is kit-less" in refusal.message
    for hint in hints:
        assert hint in (refusal.hint or "")
    assert planned("kit", task, action).argv
    assert planned(package(isaacsim=None), task, action).argv


@pytest.mark.parametrize(
    "words_given",
    [
        ("physics=newton_mjwarp",),
        ("physics=newton",),
        ("physics=newton_kamino",),
        ("physics=kamino",),
        ("env.sim.physics=newton_mjwarp",),
        ("presets=newton_mjwarp",),
        ("presets=newton",),
        ("presets=flat,newton_mjwarp",),
    ],
)
def test_the_newton_option_plans(words_given: tuple[str, ...]) -> None:
    plan = planned("kitless", A1, library="sb3", overrides=words_given)
    assert words(plan) == [*words_given]


@pytest.mark.parametrize(
    ("task", "override", "message", "hint"),
    [
        (CARTPOLE, "physics=isaacsim_physx", "physics=isaacsim_physx needs Isaac Sim", "spark-rl[isaacsim]"),
        (CARTPOLE, "presets=isaacsim_physx", "physics=isaacsim_physx needs Isaac Sim", "spark-rl[isaacsim]"),
        (CARTPOLE, "physics=physx", "physics=physx needs OvPhysX here", "isaaclab[ovphysx]"),
        (CARTPOLE, "physics=ovphysx", "physics=ovphysx needs OvPhysX here", "isaaclab[ovphysx]"),
        (CARTPOLE, "physics=bullet", "has no physics=bullet", "newton_mjwarp"),
        (CARTPOLE, "physics=", "has no physics=", "newton_mjwarp"),
        (
            "Isaac-Factory-PegInsert-Direct-v0",
            "physics=newton_mjwarp",
            "has no physics=newton_mjwarp",
            "leave physics=",
        ),
        (CARTPOLE, "renderer=isaacsim_rtx", "renderer=isaacsim_rtx needs Isaac Sim", "spark-rl[isaacsim]"),
        (CARTPOLE, "renderer=isaacsim_rtx_renderer", "renderer=isaacsim_rtx_renderer needs", "spark-rl[isaacsim]"),
        (A1, "presets=flat", "needs Isaac Sim (PhysX through Kit)", "physics=newton_mjwarp"),
        ("Isaac-Reach-Franka-IK-Abs-v0", "env.decimation=2", "physics=isaacsim_physx needs Isaac Sim", "isaacsim"),
    ],
)
def test_a_physics_that_is_not_there_is_refused(task: str, override: str, message: str, hint: str) -> None:
    refusal = refused("kitless", task, overrides=(override,))
    assert message in refusal.message
    assert hint in (refusal.hint or "")


def test_ovphysx_plans_where_it_is_installed() -> None:
    with_ovphysx = package(packages=(("moviepy", "1.0.3"), ("ovphysx", "0.6.4")))
    for name in ("physx", "ovphysx"):
        assert words(planned(with_ovphysx, CARTPOLE, overrides=(f"physics={name}",))) == [f"physics={name}"]


def test_with_isaac_sim_every_physics_of_the_task_plans_and_no_other() -> None:
    for name in ("isaacsim_physx", "physx", "newton_mjwarp", "newton"):
        assert words(planned("kit", CARTPOLE, overrides=(f"physics={name}",))) == [f"physics={name}"]
    assert "has no physics=bullet" in refused("kit", CARTPOLE, overrides=("physics=bullet",)).message


def test_a_task_nothing_is_known_of_is_left_to_isaac_lab() -> None:
    agent = AgentConfig(entry_point="rsl_rl_cfg_entry_point", library="rsl_rl", algorithm="PPO", target="mine:Cfg")
    mine = Task(id="My-Task", package="mine", agents=(agent,))
    assert planned("kitless", "My-Task", extra=(mine,)).argv[-1] == "My-Task"
    assert planned("kitless", "My-Task", extra=(mine,), overrides=("physics=mine",)).argv[-1] == "physics=mine"


@pytest.mark.parametrize("override", ["physics=newton_mjwarp", "presets=rgb", "renderer=ovrtx"])
def test_2_refuses_what_3_alone_has(override: str) -> None:
    assert override in refused("2.3.2", CARTPOLE, overrides=(override,)).message
    assert codes(planned("2.3.2", CARTPOLE, overrides=("physics=physx",))) == {"option-dropped": "note"}


# The script's own options, by their own names


@pytest.mark.parametrize(
    ("on", "action", "library", "options", "passed"),
    [
        ("2.3.2", "train", "rsl_rl", ("--logger", "wandb"), ["--logger=wandb"]),
        ("2.3.2", "train", "rsl_rl", ("--log-project-name", "x y"), ["--log_project_name=x y"]),
        ("2.3.2", "train", "skrl", ("--ml_framework", "jax"), ["--ml_framework=jax"]),
        ("2.3.2", "train", "skrl", ("--ml-framework=jax-numpy",), ["--ml_framework=jax-numpy"]),
        ("2.3.2", "train", "rl_games", ("--track", "--wandb-entity", "me"), ["--track", "--wandb-entity=me"]),
        ("2.3.2", "train", "rl_games", ("--sigma", "0.5"), ["--sigma=0.5"]),
        ("2.3.2", "train", "sb3", ("--log_interval", "9", "--keep_all_info"), ["--log_interval=9", "--keep_all_info"]),
        ("2.3.2", "train", "rsl_rl", ("--kit_args", "--/app/x=1 --/y=2"), ["--kit_args=--/app/x=1 --/y=2"]),
        ("2.3.2", "train", "rsl_rl", ("--rendering_mode", "quality"), ["--rendering_mode=quality"]),
        ("2.3.2", "train", "rsl_rl", ("-rid", "3"), ["--ray-proc-id=3"]),
        ("2.3.2", "train", "rsl_rl", ("--experiment_name", "mine"), ["agent.experiment_name=mine"]),
        ("2.3.2", "play", "rsl_rl", ("--real-time", "--disable_fabric"), ["--real-time", "--disable_fabric"]),
        ("2.3.2", "play", "rsl_rl", ("--real_time",), ["--real-time"]),
        ("kitless", "play", "skrl", ("--real-time", "--ml_framework=torch"), ["--real-time", "--ml_framework=torch"]),
        ("kitless", "train", "rsl_rl", ("--experiment_name", "mine"), ["--experiment_name=mine"]),
        ("kitless", "train", "rsl_rl", ("--frontend", "torch", "--info"), ["--frontend=torch", "--info"]),
        ("kitless", "train", "rsl_rl", ("--logger", "tensorboard"), ["--logger=tensorboard"]),
        ("kitless", "train", "rsl_rl", ("--no-resume_optimizer_state",), ["--no-resume_optimizer_state"]),
    ],
)
def test_an_option_is_taken_by_its_own_name(
    on: str, action: str, library: str, options: tuple[str, ...], passed: list[str]
) -> None:
    plan = planned(on, CARTPOLE, action, library=library, options=options, headless=False, machine=host(display=True))
    assert [word for word in words(plan) if word not in ("--viz", "newton_gl")] == passed


@pytest.mark.parametrize(
    ("on", "action", "library", "options", "message"),
    [
        ("kitless", "train", "skrl", ("--ml_framework", "jax-numpy"), "jax-numpy"),
        ("kitless", "train", "rsl_rl", ("--rendering_mode", "quality"), "has no rendering modes"),
        ("2.0.2", "train", "rsl_rl", ("--rendering_mode", "quality"), "since 2.1.0"),
        ("2.2.0", "train", "rsl_rl", ("--export_io_descriptors",), "since 2.2.1"),
        ("2.3.2", "train", "rsl_rl", ("--ml_framework", "jax"), "skrl"),
        ("2.3.2", "train", "rsl_rl", ("--deterministic",), "no such switch"),
        ("2.3.2", "train", "rsl_rl", ("--capture_env_sensors", "2"), "since 3.0.0"),
        ("2.3.2", "train", "rsl_rl", ("--disable_fabric",), "rsl_rl play"),
        ("2.3.2", "train", "rsl_rl", ("--logger", "mlflow"), "--logger takes wandb, tensorboard or neptune"),
        ("2.3.2", "train", "rsl_rl", ("--video_length", "abc"), "--video_length takes a whole number"),
        ("2.3.2", "train", "rsl_rl", ("--video_length",), "--video_length needs a value"),
        ("2.3.2", "train", "rsl_rl", ("--kitargs", "x"), "unknown option --kitargs"),
        ("2.3.2", "train", "rsl_rl", ("--verbose=yes",), "--verbose takes no value"),
    ],
)
def test_an_option_this_version_lacks_is_refused_with_the_reason(
    on: str, action: str, library: str, options: tuple[str, ...], message: str
) -> None:
    assert message in refused(on, CARTPOLE, action, library=library, options=options).message


# Assets


def test_assets_auto_is_settled_at_the_start() -> None:
    for on in ("2.3.2", "kitless"):
        plan = planned(on, CARTPOLE)
        assert plan.env == ()
        assert reason(plan, "assets") == "auto: settled when the run starts"
    own = host(environ={"ISAACSIM_ASSET_ROOT": "/nas/assets"})
    plan = planned("kitless", CARTPOLE, machine=own)
    assert (plan.env, plan.env_unset) == ((), ())
    assert reason(plan, "assets") == "your ISAACSIM_ASSET_ROOT"


def test_assets_of_a_folder() -> None:
    plan = planned("kitless", CARTPOLE, assets="/nas/my assets")
    assert plan.env == (("ISAACSIM_ASSET_ROOT", "/nas/my assets"),)
    assert reason(plan, "assets") == "/nas/my assets, asked for"
    plan = planned("2.3.2", CARTPOLE, assets="/nas/assets")
    assert words(plan)[-1] == "--kit_args=--/persistent/isaac/asset_root/cloud=/nas/assets"
    assert "blank" in refused("2.3.2", CARTPOLE, assets="/nas/my assets").message
    refusal = refused("2.3.2", CARTPOLE, assets="/nas/assets", options=("--kit_args", "--/x=1"))
    assert "--/persistent/isaac/asset_root/cloud=/nas/assets" in (refusal.hint or "")


def test_assets_embedded_and_nvidia() -> None:
    assert planned("kitless", CARTPOLE, assets="embedded").env == (("ISAACSIM_ASSET_ROOT", "/spark/assets"),)
    assert "made for Isaac Lab 3.0" in refused("2.3.2", CARTPOLE, assets="embedded").message
    plan = planned("kitless", CARTPOLE, assets="nvidia", machine=host(environ={"ISAACSIM_ASSET_ROOT": "/nas"}))
    assert plan.env_unset == ("ISAACSIM_ASSET_ROOT",)
    assert reason(plan, "assets") == "NVIDIA's host, asked for"


def test_embedded_assets_that_do_not_cover_the_task_are_refused() -> None:
    refusal = refused("kitless", "Isaac-Reach-Franka", assets="embedded")
    assert "the embedded assets have no model for Isaac-Reach-Franka" in refusal.message
