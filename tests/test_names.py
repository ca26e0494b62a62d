from __future__ import annotations

from collections import Counter

import pytest

from spark_rl import catalogues
from spark_rl.catalog import Catalog, plain_name
from spark_rl.errors import RequestError
from spark_rl.model import Action, Resolved, Task
from spark_rl.names import Rename, counterpart, related, resolve, spelled

RENAMES = catalogues.renames()
OLD = catalogues.shipped("2.3.2")
NEW = catalogues.shipped("3.0.0")

# action, RL library, task, algorithm, category of every command of the tutorial.
TUTORIAL: tuple[tuple[Action, str, str, str | None, str], ...] = (
    ("train", "rsl_rl", "Isaac-Reach-Franka-v0", None, "manipulation (reach)"),
    ("play", "rsl_rl", "Isaac-Reach-Franka-Play-v0", None, "manipulation (reach)"),
    ("train", "rsl_rl", "Isaac-Lift-Cube-Franka-v0", None, "manipulation (lift)"),
    ("train", "rsl_rl", "Isaac-Open-Drawer-Franka-v0", None, "manipulation (drawer)"),
    ("train", "rl_games", "Isaac-Factory-PegInsert-Direct-v0", None, "contact-rich"),
    ("train", "rl_games", "Isaac-Factory-GearMesh-Direct-v0", None, "contact-rich"),
    ("train", "rl_games", "Isaac-Factory-NutThread-Direct-v0", None, "contact-rich"),
    ("train", "skrl", "Isaac-Shadow-Hand-Over-Direct-v0", "MAPPO", "multi-agent"),
    ("train", "skrl", "Isaac-Cart-Double-Pendulum-Direct-v0", "IPPO", "multi-agent"),
    ("train", "skrl", "Isaac-Humanoid-AMP-Walk-Direct-v0", "AMP", "AMP (motion priors)"),
    ("train", "skrl", "Isaac-Humanoid-AMP-Run-Direct-v0", "AMP", "AMP (motion priors)"),
    ("train", "skrl", "Isaac-Humanoid-AMP-Dance-Direct-v0", "AMP", "AMP (motion priors)"),
    ("train", "rsl_rl", "Isaac-Velocity-Rough-H1-v0", None, "locomotion (rough)"),
    ("train", "rl_games", "Isaac-Velocity-Rough-Anymal-C-v0", None, "locomotion (rough)"),
    ("train", "skrl", "Isaac-Velocity-Rough-H1-v0", None, "locomotion (rough)"),
    ("train", "sb3", "Isaac-Velocity-Flat-Unitree-A1-v0", None, "locomotion (flat)"),
    ("train", "rsl_rl", "Isaac-Cartpole-Direct-v0", None, "classic control"),
    ("train", "rsl_rl", "Isaac-Velocity-Flat-Unitree-Go2-v0", None, "locomotion (flat)"),
    ("train", "rsl_rl", "Isaac-Navigation-Flat-Anymal-C-v0", None, "navigation"),
    ("train", "rsl_rl", "Isaac-Repose-Cube-Allegro-v0", None, "dexterous manipulation"),
)


def on_2(name: str, action: Action = "train", catalog: Catalog = OLD) -> Resolved:
    return resolve(name, action, catalog, 2, RENAMES)


def on_3(name: str, action: Action = "train", catalog: Catalog = NEW) -> Resolved:
    return resolve(name, action, catalog, 3, RENAMES)


def refusal(name: str, generation: int) -> RequestError:
    with pytest.raises(RequestError) as caught:
        resolve(name, "train", NEW if generation == 3 else OLD, generation, RENAMES)
    return caught.value


@pytest.mark.parametrize("version", ["2.1.0", "2.2.0", "2.3.0", "2.3.2", "3.0.0"])
@pytest.mark.parametrize(("action", "library", "task", "algorithm", "category"), TUTORIAL)
def test_every_command_of_the_tutorial_resolves_in_every_version(
    version: str, action: Action, library: str, task: str, algorithm: str | None, category: str
) -> None:
    found = resolve(task, action, catalogues.shipped(version), int(version[0]), RENAMES)
    assert found.task.category == category
    assert found.task.robot
    assert found.task.difficulty
    assert found.task.summary
    assert found.presets == ()
    if version[0] == "2":
        assert found.task.id == task
        assert found.note is None
    missing = (version, library) == ("2.1.0", "sb3")  # the A1 got its sb3 config in 2.2
    assert (found.task.agent(library, algorithm) is None) == missing


def test_the_table_is_complete_and_leads_somewhere() -> None:
    assert [row.old for row in RENAMES.rows if OLD.get(row.old) is None] == []
    assert [row.new for row in RENAMES.rows if row.new and NEW.get(row.new) is None] == []
    assert {plain_name(row.old) for row in RENAMES.rows} == {plain_name(task_id) for task_id in OLD.ids()}
    kept = {row.old for row in RENAMES.rows if row.old == row.new}
    assert kept == {task.id for task in NEW.tasks if task.package == "isaaclab_mimic"}
    kinds = Counter(row.kind for row in RENAMES.rows if row.old not in kept)
    assert kinds == {"renamed": 83, "preset": 32, "exact": 16, "removed": 3}


def test_the_table_is_a_function() -> None:
    assert max(Counter(plain_name(row.old) for row in RENAMES.rows).values()) == 1
    plain = Counter(row.new for row in RENAMES.rows if row.new and not row.presets)
    assert max(plain.values()) == 1
    presets = Counter((row.new, row.presets) for row in RENAMES.rows if row.presets)
    assert max(presets.values()) == 1


def test_related_tasks_exist() -> None:
    known = {*OLD.ids(), *NEW.ids()}
    assert {task_id for task_id, _ in RENAMES.related} <= known
    assert {other for _, others in RENAMES.related for other in others} <= set(NEW.ids())


@pytest.mark.parametrize("row", [row for row in RENAMES.rows if row.new], ids=lambda row: row.old)
def test_a_renamed_task_is_found_and_found_back(row: Rename) -> None:
    old, new, presets = row.old, str(row.new), row.presets
    assert (on_3(old).task.id, on_3(old).presets) == (new, presets)
    assert counterpart(old, 3, RENAMES) == row
    if not presets:
        assert on_2(new).task.id == old
        assert counterpart(new, 2, RENAMES) == row


def test_a_play_id_of_2_is_the_training_id_in_3() -> None:
    removed = []
    for task in OLD.tasks:
        if task.play_id and counterpart(task.id, 3, RENAMES) is None:
            removed.append(refusal(task.play_id, 3).message)
        elif task.play_id:
            assert on_3(task.play_id, "play").task == on_3(task.id).task
    assert removed == ["Isaac-Repose-Cube-Allegro-NoVelObs-Play-v0 was removed in Isaac Lab 3.0"]


@pytest.mark.parametrize("catalog", [OLD, NEW], ids=["2.3.2", "3.0.0"])
def test_a_registered_id_is_taken_as_it_is(catalog: Catalog) -> None:
    for task in catalog.tasks:
        found = resolve(task.id, "train", catalog, int(catalog.version[0]), RENAMES)
        assert (found.task, found.presets) == (task, ())
        assert (found.note is None) == (task.train_id is None and task.replaced_by is None)


@pytest.mark.parametrize("catalog", [OLD, NEW], ids=["2.3.2", "3.0.0"])
def test_case_dashes_version_and_prefix_are_forgiven(catalog: Catalog) -> None:
    for task in catalog.tasks:
        bare = task.id.removesuffix("-v0").partition("-")[2].lower().replace("-", "_")
        if task.train_id is None and not task.replaced_by:
            found = resolve(bare, "train", catalog, int(catalog.version[0]), RENAMES)
            assert found.task == task
            assert found.note == f"{bare} is {task.id} in Isaac Lab {catalog.version}"


@pytest.mark.parametrize(
    ("name", "action", "task_id"),
    [
        ("Isaac-Reach-Franka-v0", "play", "Isaac-Reach-Franka-Play-v0"),
        ("Isaac-Reach-Franka", "play", "Isaac-Reach-Franka-Play-v0"),
        ("Isaac-Reach-Franka", "train", "Isaac-Reach-Franka-v0"),
        ("Isaac-Cartpole-v0", "play", "Isaac-Cartpole-v0"),
        ("Isaac-Reach-Franka-Play-v0", "train", "Isaac-Reach-Franka-Play-v0"),
        ("isaac-reach-franka-play", "train", "Isaac-Reach-Franka-Play-v0"),
        ("Isaac-Cartpole-Play-v0", "train", "Isaac-Cartpole-v0"),
        ("Isaac-Open-Drawer-Franka-Direct", "train", "Isaac-Franka-Cabinet-Direct-v0"),
        ("IsaacContrib-Velocity-Flat-AnymalC", "train", "Isaac-Velocity-Flat-Anymal-C-v0"),
        ("Isaac-Velocity-Flat-AnymalD", "play", "Isaac-Velocity-Flat-Anymal-D-Play-v0"),
    ],
)
def test_names_on_2(name: str, action: Action, task_id: str) -> None:
    assert on_2(name, action).task.id == task_id


@pytest.mark.parametrize(
    ("name", "task_id", "presets"),
    [
        ("Isaac-Cartpole-Direct-Play", "Isaac-Cartpole-Direct", ()),
        ("Isaac-Cartpole-RGB-TheiaTiny-v0", "Isaac-Cartpole-Camera", ("presets=theia_tiny",)),
        (
            "Isaac-Cartpole-Showcase-Tuple-MultiDiscrete-Direct-v0",
            "IsaacContrib-Cartpole-Showcase-Direct",
            ("presets=tuple_multidiscrete",),
        ),
        ("Isaac-Reach-Franka-IK-Abs-v0", "Isaac-Reach-Franka", ("physics=isaacsim_physx", "presets=diffik_abs")),
        ("Isaac-DrLegs-Walk", "IsaacContrib-DrLegs-Walk", ()),
        ("Isaac-Velocity-Rough-AnymalC", "IsaacContrib-Velocity-Rough-AnymalC", ()),
        ("Isaac-Lift-Cube-Franka-v0", "IsaacContrib-Lift-Cube-Franka", ()),
    ],
)
def test_names_on_3(name: str, task_id: str, presets: tuple[str, ...]) -> None:
    found = on_3(name, "play")
    assert (found.task.id, found.presets) == (task_id, presets)
    assert found.note == " ".join((name, "is", task_id, *presets, "in Isaac Lab 3.0.0"))


def test_a_play_twin_without_an_agent_config_is_not_taken() -> None:
    task_id = "Isaac-Deploy-GearAssembly-UR10e-2F85-v0"
    twin = on_2("Isaac-Deploy-GearAssembly-UR10e-2F85-Play-v0").task
    assert (twin.train_id, twin.libraries) == (task_id, ())
    assert on_2(task_id, "play").task.id == task_id


def test_a_deprecated_id_is_taken_and_its_successor_named() -> None:
    found = on_3("Isaac-DrLegs-Walk-v0")
    assert found.task.id == "Isaac-DrLegs-Walk-v0"
    assert found.note == "Isaac-DrLegs-Walk-v0 is deprecated: use IsaacContrib-DrLegs-Walk"


def test_a_removed_task_is_refused_with_one_that_is_alike() -> None:
    error = refusal("isaac-quadcopter-direct", 3)
    assert error.message == "isaac-quadcopter-direct was removed in Isaac Lab 3.0"
    assert error.hint == "a different task that is alike: IsaacContrib-TrackPositionNoObstacles-ARL-Robot-1"


def test_presets_of_3_cannot_be_guessed_on_2() -> None:
    error = refusal("Isaac-Cartpole-Camera-Direct", 2)
    assert error.message == "Isaac-Cartpole-Camera-Direct can mean 2 tasks"
    assert error.hint == "name one of Isaac-Cartpole-Depth-Camera-Direct-v0, Isaac-Cartpole-RGB-Camera-Direct-v0"
    assert counterpart("Isaac-Cartpole-Camera-Direct", 2, RENAMES) is None


@pytest.mark.parametrize(
    ("name", "generation", "near"),
    [
        ("Isaac-Catpole-v0", 2, "Isaac-Cartpole-v0"),
        ("Isaac-Catpole", 3, "Isaac-Cartpole"),
        ("Isaac-Lift-Franka", 2, "Isaac-Lift-Cube-Franka-v0"),
        ("franka", 3, "Isaac-Lift-Franka"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, generation: int, near: str) -> None:
    error = refusal(name, generation)
    assert error.message.endswith(f"has no task {name}")
    assert near in str(error.hint)


@pytest.mark.parametrize("name", ["", "zzzzzz", ":", "Isaac-"])
def test_nonsense_is_refused(name: str) -> None:
    assert refusal(name, 3).hint
    assert refusal(name, 2).hint


def test_a_task_of_a_later_2_release_is_said_to_be_one() -> None:
    with pytest.raises(RequestError, match="came with a later release"):
        on_2("Isaac-Velocity-Flat-Digit-v0", catalog=Catalog(version="2.0.0", tasks=()))


def test_a_name_the_table_knows_is_looked_up_when_a_later_3_has_no_such_id() -> None:
    own = Task(id="Isaac-Repose-Cube-Allegro", package="mine")
    assert on_3("Isaac-Repose-Cube-Allegro-v0", catalog=Catalog(version="3.9.0", tasks=(own,))).task is own


def test_two_versions_of_a_task_need_the_version() -> None:
    tasks = tuple(Task(id=f"Mine-Walk-v{n}", package="mine") for n in (0, 1))
    catalog = Catalog(version="2.3.2", tasks=tasks)
    assert on_2("mine-walk-v1", catalog=catalog).task.id == "Mine-Walk-v1"
    with pytest.raises(RequestError, match="Mine-Walk can mean 2 tasks"):
        on_2("Mine-Walk", catalog=catalog)


def test_a_namespace_is_kept_for_the_command_line() -> None:
    found = on_3("my_tasks:Isaac-Cartpole-v0")
    assert found.task.id == "Isaac-Cartpole"
    assert spelled(found) == "my_tasks:Isaac-Cartpole"
    assert spelled(on_3("Isaac-Cartpole")) == "Isaac-Cartpole"


def test_counterpart_and_related() -> None:
    assert counterpart("Isaac-Quadcopter-Direct-v0", 3, RENAMES) is None
    assert counterpart("Isaac-Lift-Franka", 2, RENAMES) is None
    assert counterpart("Isaac-Fourbar-Pole-Swingup", 3, RENAMES) is None
    assert related("IsaacContrib-Lift-Cube-Franka", RENAMES) == ("Isaac-Lift-Franka",)
    assert related("Isaac-Cartpole", RENAMES) == ()
