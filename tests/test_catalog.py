from __future__ import annotations

from dataclasses import replace
from textwrap import dedent

import pytest

from spark_rl.catalog import Catalog, Rules, overlaid, plain_name
from spark_rl.model import AgentConfig, Task
from spark_rl.scanning import Scan, scan

INIT = "isaaclab_tasks/direct/cartpole/__init__.py"
HEAD = "import gymnasium as gym\nfrom . import agents\n"


def scanned(text: str, *others: tuple[str, str]) -> Scan:
    return scan([(INIT, HEAD + dedent(text)), *((path, dedent(body)) for path, body in others)])


def ids(found: Scan) -> tuple[str, ...]:
    return tuple(task.id for task in found.tasks)


CARTPOLE = """
    gym.register(
        id="Isaac-Cartpole-Direct-v0",
        entry_point=f"{__name__}.cartpole_env:CartpoleEnv",
        disable_env_checker=True,
        kwargs={
            "env_cfg_entry_point": f"{__name__}.cartpole_env:CartpoleEnvCfg",
            "skrl_ippo_cfg_entry_point": f"{agents.__name__}:skrl_ippo.yaml",
            "rsl_rl_with_symmetry_cfg_entry_point": f"{agents.__name__}.rsl_rl_cfg:SymmetryRunnerCfg",
            "skrl_cfg_entry_point": f"{agents.__name__}:skrl.yaml",
            "rsl_rl_cfg_entry_point": f"{agents.__name__}.rsl_rl_cfg:RunnerCfg",
            "rl_games_cfg_entry_point": f"{agents.__name__}:rl_games.yaml",
            "torchrl_cfg_entry_point": f"{agents.__name__}.torchrl:Cfg",
            "default_agent": "rsl_rl",
        },
    )
"""
FILES = (
    (
        "isaaclab_tasks/direct/cartpole/agents/skrl.yaml",
        "{agent: {class: PPO, rollouts: 32}, trainer: {timesteps: 4800}}",
    ),
    (
        "isaaclab_tasks/direct/cartpole/agents/skrl_ippo.yaml",
        "{agent: {class: IPPO, rollouts: 16, experiment: {directory: cartpole}}}",
    ),
    (
        "isaaclab_tasks/direct/cartpole/agents/rl_games.yaml",
        "{params: {config: {name: cart, max_epochs: 150, horizon_length: 32, minibatch_size: 16384}}}",
    ),
    (
        "isaaclab_tasks/direct/cartpole/agents/rsl_rl_cfg.py",
        """
        from .base import BaseCfg
        class RunnerCfg(BaseCfg):
            experiment_name = "cartpole_direct"
            def __post_init__(self):
                super().__post_init__()
                self.max_iterations = 300
        class SymmetryRunnerCfg(RunnerCfg):
            pass
        """,
    ),
    (
        "isaaclab_tasks/direct/cartpole/agents/base.py",
        """
        STEPS = 8
        class BaseCfg(RslRlOnPolicyRunnerCfg):
            num_steps_per_env: int = STEPS * 2
            max_iterations = 150
            experiment_name = "base"
        """,
    ),
    (
        "isaaclab_tasks/direct/cartpole/cartpole_env.py",
        """
        class CartpoleEnvCfg(DirectRLEnvCfg):
            scene: InteractiveSceneCfg = InteractiveSceneCfg(num_envs=4096, env_spacing=4.0)
        """,
    ),
)


def test_a_registration_becomes_a_task() -> None:
    found = scanned(CARTPOLE, *FILES)
    (task,) = found.tasks
    assert found.undecided == ()
    assert task.package == "isaaclab_tasks"
    assert task.entry_point == "isaaclab_tasks.direct.cartpole.cartpole_env:CartpoleEnv"
    assert task.env_cfg == "isaaclab_tasks.direct.cartpole.cartpole_env:CartpoleEnvCfg"
    assert (task.num_envs, task.default_agent, task.multi_agent, task.amp, task.cameras) == (
        4096,
        "rsl_rl",
        True,
        False,
        False,
    )
    assert task.libraries == ("rsl_rl", "rl_games", "skrl")


def test_agent_configs_come_plain_first_with_the_figures_of_their_files() -> None:
    (task,) = scanned(CARTPOLE, *FILES).tasks
    facts = [(a.entry_point, a.algorithm, a.experiment, a.max_iterations, a.horizon, a.minibatch) for a in task.agents]
    assert facts == [
        ("rsl_rl_cfg_entry_point", "PPO", "cartpole_direct", 300, 16, None),
        ("rsl_rl_with_symmetry_cfg_entry_point", "PPO", "cartpole_direct", 300, 16, None),
        ("rl_games_cfg_entry_point", "PPO", "cart", 150, 32, 16384),
        ("skrl_cfg_entry_point", "PPO", None, 150, 32, None),
        ("skrl_ippo_cfg_entry_point", "IPPO", "cartpole", None, 16, None),
    ]


def test_the_plain_skrl_key_of_an_amp_task_is_amp_because_its_config_says_so() -> None:
    text = """
        gym.register(id="Walk", kwargs={
            "skrl_cfg_entry_point": f"{agents.__name__}:amp.yaml",
            "rsl_rl_distillation_cfg_entry_point": f"{agents.__name__}.d:D",
        })
    """
    (task,) = scanned(text, ("isaaclab_tasks/direct/cartpole/agents/amp.yaml", "agent: {class: AMP}")).tasks
    assert task.amp
    assert task.algorithms("skrl") == ("AMP",)
    assert task.algorithms("rsl_rl") == ("Distillation",)


WRITTEN = {
    "loop": """
        for name in ("A", "B"):
            gym.register(id=f"Isaac-{name}-v0", entry_point="m:E")
    """,
    "table": """
        TABLE = {"A": 1, "B": 2}
        for name, _ in TABLE.items():
            gym.register(id="Isaac-" + name + "-v0")
    """,
    "function": """
        def add(name, version="v0"):
            gym.register(id=f"Isaac-{name}-{version}")
        add("A")
        add(name="B")
    """,
    "imported name": """
        from gymnasium import register
        register("Isaac-A-v0")
        register("Isaac-B-v0")
    """,
    "try and if": """
        try:
            gym.register(id="Isaac-A-v0")
        except ImportError:
            pass
        if True:
            gym.register(id="Isaac-B-v0")
    """,
    "EnvSpec": """
        from gymnasium.envs.registration import EnvSpec, registry
        registry.update({"Isaac-A-v0": EnvSpec(id="Isaac-A-v0")})
        registry["Isaac-B-v0"] = EnvSpec("Isaac-B-v0", entry_point="m:E")
    """,
    "common arguments": """
        COMMON = dict(default_agent="skrl")
        REST = {"entry_point": "m:E"}
        for name in ["A", "B"]:
            gym.register(id=f"Isaac-{name}-v0", kwargs={**COMMON, "x": 1}, **REST)
    """,
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_registrations_are_found_however_they_are_written(text: str) -> None:
    found = scanned(text)
    assert ids(found) == ("Isaac-A-v0", "Isaac-B-v0")
    assert found.undecided == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("for name in names():\n    gym.register(id=name)", "a loop over something that is not a constant"),
        ('if have_pinocchio():\n    gym.register(id="A")', "under a condition"),
        ("gym.register(id=make_id())", "an id that is not a constant"),
        ('gym.register(id="A", kwargs=make())', "the arguments of A"),
        ('gym.register(id="A", **make())', "the arguments of A"),
        ('from .names import PREFIX\ngym.register(id=f"{PREFIX}-v0")', "an id that is not a constant"),
        ('T = {"a": make()}\ngym.register(id=T["a"])', "an id that is not a constant"),
        ("def add(name):\n    gym.register(id=name)", "in add(), which this file does not call"),
        ("gym.register(id=", "not readable as Python"),
    ],
)
def test_what_the_text_does_not_say_is_reported_and_not_guessed(text: str, why: str) -> None:
    found = scanned(text)
    assert found.tasks == ()
    (line,) = found.undecided
    assert why in line
    assert line.startswith(INIT)


def test_a_config_that_is_not_a_constant_leaves_the_task_and_a_note() -> None:
    found = scanned('gym.register(id="A", kwargs={"rsl_rl_cfg_entry_point": make(), "robomimic_bc": join("a")})')
    assert found.tasks[0].libraries == ("rsl_rl",)
    assert found.undecided == (f"{INIT}:3: rsl_rl_cfg_entry_point of A is not a constant",)


def test_importing_from_a_submodule_binds_it_in_the_package() -> None:
    found = scanned(
        """
        from .env import Env
        from isaaclab_tasks.direct.cartpole.env_cfg import Other
        from .same import same
        gym.register(id="A", entry_point=env.Env, kwargs={"env_cfg_entry_point": env_cfg.Cfg})
        gym.register(id="B", entry_point=same, kwargs={"env_cfg_entry_point": elsewhere.Cfg})
        """
    )
    package = "isaaclab_tasks.direct.cartpole"
    assert [(task.entry_point, task.env_cfg) for task in found.tasks] == [
        (f"{package}.env:Env", f"{package}.env_cfg:Cfg"),
        (f"{package}.same:same", None),
    ]
    assert found.undecided == (f"{INIT}:8: env_cfg_entry_point of B is not a constant",)
    inner = (INIT.replace("__init__", "inner"), "import gymnasium as gym\nfrom .env import Env\n")
    unbound = scan([(inner[0], f'{inner[1]}gym.register(id="A", entry_point=env.Env)')])
    assert unbound.tasks[0].entry_point is None


def test_an_id_of_two_packages_is_the_one_that_train_imports() -> None:
    agent = 'gym.register(id="{}", kwargs={{"rsl_rl_cfg_entry_point": "m:C"}})'
    register = f"import gymnasium as gym\n{agent}"
    for package in ("isaaclab_tasks", "a_project"):
        found = scan(
            [
                ("isaaclab_mimic/envs/__init__.py", f"{register.format('A')}\n{agent.format('B')}"),
                (f"{package}/__init__.py", register.format("A")),
            ]
        )
        assert [(task.id, task.package, task.libraries) for task in found.tasks] == [
            ("A", package, ("rsl_rl",)),
            ("B", "isaaclab_mimic", ()),
        ]


@pytest.mark.parametrize(
    "text",
    [
        'class Table:\n    def register(self, id): ...\ntable = Table()\ntable.register(id="A")',
        'from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    gym.register(id="A")',
        'if __name__ == "__main__":\n    gym.register(id="A")',
        'class Table:\n    def add(self):\n        gym.register(id="A")',
    ],
)
def test_what_import_would_not_register_is_no_task(text: str) -> None:
    assert scanned(text) == Scan(tasks=(), undecided=())


def test_twins_and_replacements_are_linked() -> None:
    found = scanned("""
        gym.register(id="Isaac-Reach-v0")
        gym.register(id="Isaac-Reach-Play-v0")
        gym.register(id="Isaac-Alone-Play-v0")
        gym.register(id="Isaac-Old", kwargs={"deprecated": {"alias": "--task Isaac-New presets=depth"}})
    """)
    links = {task.id: (task.play_id, task.train_id, task.replaced_by) for task in found.tasks}
    assert links == {
        "Isaac-Reach-v0": ("Isaac-Reach-Play-v0", None, None),
        "Isaac-Reach-Play-v0": (None, "Isaac-Reach-v0", None),
        "Isaac-Alone-Play-v0": (None, None, None),
        "Isaac-Old": (None, None, "Isaac-New presets=depth"),
    }


ENV = """
    gym.register(id="A", kwargs={"env_cfg_entry_point": f"{__name__}.env:EnvCfg"})
"""
BASE = """
class BaseCfg(DirectRLEnvCfg):
    scene: SceneCfg = SceneCfg(num_envs=4096)

class HalvedCfg(BaseCfg):
    def __post_init__(self):
        super().__post_init__()
        self.scene.num_envs = 2

class SeeingCfg(BaseCfg):
    camera: TiledCameraCfg = make("rgb")

class SeeingSceneCfg:
    eye = sensors.CameraCfg()
"""


def env_cfg(base: str, body: str = "pass", after: str = "") -> Task:
    """Return the task whose env config is this class; ``after`` stands in its post-init."""
    function = f"\n    def __post_init__(self):\n        {after}" if after else ""
    text = f"{BASE}\nclass EnvCfg({base}):\n    {body}{function}\n"
    (task,) = scan([(INIT, HEAD + dedent(ENV)), ("isaaclab_tasks/direct/cartpole/env.py", text)]).tasks
    return task


@pytest.mark.parametrize(
    ("task", "num_envs"),
    [
        (env_cfg("BaseCfg"), 4096),
        (env_cfg("BaseCfg", "scene = SceneCfg(num_envs=8)"), 8),
        (env_cfg("BaseCfg", after="self.scene.num_envs = 50"), 50),
        (env_cfg("BaseCfg", after="self.scene = SceneCfg(num_envs=7)"), 7),
        (env_cfg("BaseCfg", after="self.scene = make()"), None),
        (env_cfg("BaseCfg", after="if fast: self.scene.num_envs = 5"), None),
        (env_cfg("BaseCfg", after="self.scene.num_envs //= 2"), None),
        (env_cfg("BaseCfg", "scene = make(num_envs=8)(1)"), None),
        (env_cfg("Unknown"), None),
        (env_cfg("HalvedCfg"), 2),
        (env_cfg("HalvedCfg", "scene = SceneCfg(num_envs=8)"), 2),
        (env_cfg("HalvedCfg", after="super().__post_init__()"), 2),
        (env_cfg("HalvedCfg", after="self.x = 1"), 4096),
    ],
)
def test_num_envs_is_what_python_would_make_of_the_class(task: Task, num_envs: int | None) -> None:
    assert task.num_envs == num_envs


@pytest.mark.parametrize(
    ("task", "cameras"),
    [
        (env_cfg("SeeingCfg"), True),
        (env_cfg("BaseCfg", "scene = SeeingSceneCfg(num_envs=1)"), True),
        (env_cfg("BaseCfg", after="self.scene.eye = CameraCfg()"), True),
        (env_cfg("BaseCfg", "view = PinholeCameraCfg()"), False),
        (env_cfg("SeeingCfg", after="self.camera = None"), False),
    ],
)
def test_cameras_are_seen_in_the_config_and_its_scene(task: Task, *, cameras: bool) -> None:
    assert task.cameras is cameras


def test_a_class_that_is_its_own_ancestor_ends_the_search() -> None:
    (task,) = scanned(ENV, ("isaaclab_tasks/direct/cartpole/env.py", "class EnvCfg(EnvCfg):\n    pass")).tasks
    assert task.num_envs is None


AGENT = AgentConfig(entry_point="rsl_rl_cfg_entry_point", library="rsl_rl", algorithm="PPO", target="m:C", horizon=24)
REACH = Task(
    id="Isaac-Reach-v0",
    package="p",
    agents=(AGENT,),
    physics="newton_mjwarp",
    physics_options=("isaacsim_physx", "newton_mjwarp"),
    kitless=True,
    num_envs=4096,
    play_id="Isaac-Reach-Play-v0",
    robot="Franka",
)
CATALOG = Catalog(version="3.0.0", tasks=(REACH, Task(id="Isaac-Lift", package="p")), origin="here", undecided=("x",))


def test_a_catalogue_survives_its_document() -> None:
    assert Catalog.from_document(CATALOG.to_document()) == CATALOG


def test_the_document_keeps_the_contract() -> None:
    document = CATALOG.to_document()
    assert (document["schema"], document["isaaclab"]) == ("spark-rl/tasks/1", "3.0.0")
    contract = "id category robot libraries algorithms multi_agent amp cameras physics trainable play_id train_id"
    row = document["tasks"][0]
    assert {*contract.split(), "difficulty", "summary", "package"} <= set(row)
    assert (row["libraries"], row["algorithms"], row["trainable"]) == (["rsl_rl"], {"rsl_rl": ["PPO"]}, True)
    assert document["tasks"][1]["trainable"] is False


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"schema": "spark-rl/plan/1", "isaaclab": "3.0.0", "tasks": []},
        {"schema": "spark-rl/tasks/1", "tasks": []},
        {"schema": "spark-rl/tasks/1", "isaaclab": "3.0.0", "tasks": ["x"]},
        {"schema": "spark-rl/tasks/1", "isaaclab": "3.0.0", "tasks": [{"id": "x", "package": "p", "agents": [{}]}]},
    ],
)
def test_a_document_that_is_no_catalogue_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="spark-rl/tasks/1"):
        tuple(Catalog.from_document(document).tasks)


def test_a_task_of_a_document_is_built_when_it_is_asked_for() -> None:
    rows = [{"id": "A", "package": "p"}, {"id": "B", "package": "p", "agents": [{}]}, {"id": "C"}]
    catalog = Catalog.from_document({"schema": "spark-rl/tasks/1", "isaaclab": "3.0.0", "tasks": rows[:2]})
    assert (catalog.ids(), len(catalog.tasks)) == (("A", "B"), 2)
    assert catalog.get("A") is catalog.tasks[0]
    assert (catalog.get("C"), list(catalog.named("isaac-a"))) == (None, [Task(id="A", package="p")])
    with pytest.raises(ValueError, match="damaged"):
        catalog.get("B")


def test_tasks_of_a_document_are_a_tuple_to_those_who_read_them() -> None:
    document = Catalog(version="3.0.0", tasks=(REACH, Task(id="Mine", package="p"))).to_document()
    read = Catalog.from_document(document)
    assert read.tasks == (REACH, Task(id="Mine", package="p"))
    assert (read.tasks[-1].id, read.tasks[:1], read.tasks[5:]) == ("Mine", (REACH,), ())
    assert read != Catalog(version="3.0.0", tasks=(REACH,))
    assert {read} == {Catalog(version="3.0.0", tasks=tuple(read.tasks))}
    with pytest.raises(IndexError):
        read.tasks[len(read.ids())]


def test_overlaid_fills_what_the_text_did_not_say() -> None:
    plain = replace(REACH, physics=None, physics_options=(), kitless=None, num_envs=None)
    other = replace(plain, id="Mine")
    edited = replace(plain, num_envs=16, agents=(replace(AGENT, horizon=None),))
    assert overlaid([plain, other], CATALOG) == (REACH, other)
    assert overlaid([edited], CATALOG) == (replace(REACH, num_envs=16),)


def test_figures_of_another_agent_config_are_not_taken() -> None:
    mine = replace(AGENT, target="m:Mine", horizon=None)
    assert overlaid([replace(REACH, agents=(mine,))], CATALOG)[0].agents == (mine,)


def test_rules_fill_what_is_missing_by_the_first_match() -> None:
    rules = Rules(
        categories=(("^reach", "reach"), ("", "other")), robots=(("", "UR10"),), difficulties=(), summaries=()
    )
    described = rules.describe(REACH)
    assert (described.category, described.robot, described.difficulty) == ("reach", "Franka", None)


@pytest.mark.parametrize(
    ("task_id", "name"),
    [
        ("Isaac-Reach-Franka-Play-v0", "reachfranka"),
        ("IsaacContrib-Velocity-Flat-AnymalC", "velocityflatanymalc"),
        ("pkg.tasks:Isaac_Velocity_Flat_Anymal_C_v0", "velocityflatanymalc"),
        ("Isaac", "isaac"),
        ("v0", "v0"),
    ],
)
def test_plain_name(task_id: str, name: str) -> None:
    assert plain_name(task_id) == name


def test_nearest_prefers_the_training_id() -> None:
    found = scanned('gym.register(id="Isaac-Reach-Play-v0")\ngym.register(id="Isaac-Reach-v0")').tasks
    catalog = Catalog(version="2.3.2", tasks=found)
    assert catalog.nearest("isaac-raech") == ("Isaac-Reach-v0",)
    assert catalog.nearest("zzz") == ()
