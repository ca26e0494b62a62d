from __future__ import annotations

from typing import Any

import pytest

from spark_rl import catalogues
from spark_rl.catalog import Catalog
from spark_rl.errors import RequestError
from spark_rl.model import AgentConfig, Task
from spark_rl.search import Query, find, grouped, suggest

OLD = catalogues.shipped("2.3.2")
NEW = catalogues.shipped("3.0.0")


def found(text: str, catalog: Catalog = NEW, **filters: Any) -> tuple[str, ...]:
    return find(catalog, Query(words=tuple(text.split()), **filters)).ids()


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("franka lift", "Isaac-Lift-Cube-Franka-v0", "Isaac-Lift-Franka"),
        ("LIFT Franka", "Isaac-Lift-Cube-Franka-v0", "Isaac-Lift-Franka"),
        ("go2 rough", "Isaac-Velocity-Rough-Unitree-Go2-v0", "Isaac-Velocity-Rough-UnitreeGo2"),
        ("unitree-go2 flat", "Isaac-Velocity-Flat-Unitree-Go2-v0", "Isaac-Velocity-Flat-UnitreeGo2"),
        ("handover", "Isaac-Shadow-Hand-Over-Direct-v0", "Isaac-Shadow-Handover"),
        ("shadow hand over", "Isaac-Shadow-Hand-Over-Direct-v0", "Isaac-Shadow-Handover"),
        ("anymal c flat", "Isaac-Velocity-Flat-Anymal-C-v0", "IsaacContrib-Velocity-Flat-AnymalC"),
        ("h1 rough", "Isaac-Velocity-Rough-H1-v0", "Isaac-Velocity-Rough-H1"),
        ("peg", "Isaac-Factory-PegInsert-Direct-v0", "IsaacContrib-Forge-PegInsert-Direct"),
        ("cartpole", "Isaac-Cartpole-v0", "Isaac-Cartpole"),
        ("humanoid dance", "Isaac-Humanoid-AMP-Dance-Direct-v0", "IsaacContrib-Humanoid-AMP-Dance-Direct"),
        ("crazyflie", "Isaac-Quadcopter-Direct-v0", None),
        ("socket peg", "Isaac-Factory-PegInsert-Direct-v0", "IsaacContrib-Forge-PegInsert-Direct"),
    ],
)
def test_words_find_what_they_mean_first(text: str, old: str, new: str | None) -> None:
    assert old in found(text, OLD)[:2]
    assert (found(text)[:2] if new is None else new in found(text)[:2]) == (() if new is None else True)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("cartpole camra", "cartpole camera"),
        ("cartpole cmaera", "cartpole camera"),
        ("cartpole caamera", "cartpole camera"),
        ("cartpole kamera", "cartpole camera"),
        ("crtpole camra", "cartpole camera"),
        ("hnadover", "handover"),
        ("anynal rough", "anymal rough"),
    ],
)
def test_each_word_may_have_one_slip(text: str, right: str) -> None:
    assert found(text) == found(right) != ()


def test_slips_are_forgiven_only_where_nothing_is_spelled_so() -> None:
    tasks = tuple(Task(id=f"Mine-{name}", package="mine") for name in ("Walks", "Talks"))
    catalog = Catalog(version="3.0.0", tasks=tasks)
    assert found("walks", catalog) == ("Mine-Walks",)
    assert found("walk", catalog) == ("Mine-Walks",)
    assert set(found("balks", catalog)) == {"Mine-Walks", "Mine-Talks"}
    assert found("bolks", catalog) == ()
    assert found("wxl", catalog) == ()


def test_a_word_finds_the_robot_and_the_category() -> None:
    assert "Isaac-Navigation-Flat-Anymal-C-v0" in found("anymal", OLD)
    assert {task.category for task in find(NEW, Query(words=("locomotion",))).tasks} == {
        "locomotion (flat)",
        "locomotion (rough)",
    }


def test_tasks_come_by_category_and_the_best_group_first() -> None:
    names = [category for category, _ in grouped(find(NEW, Query()).tasks)]
    assert names[:4] == ["classic control", "locomotion (flat)", "locomotion (rough)", "navigation"]
    assert len(names) == len(set(names))
    assert [category for category, _ in grouped(find(NEW, Query(words=("rough",))).tasks)] == ["locomotion (rough)"]
    assert next(iter(grouped(find(NEW, Query(words=("franka", "lift"))).tasks)))[0] == "manipulation (lift)"


def test_without_words_every_task_is_there_once() -> None:
    for catalog in (OLD, NEW):
        assert sorted(found("", catalog)) == sorted(catalog.ids())


def test_tasks_without_a_category_are_grouped_by_their_package() -> None:
    tasks = (Task(id="A", package="mine"), Task(id="B", package="isaaclab_tasks"), Task(id="C", package="mine"))
    catalog = find(Catalog(version="3.0.0", tasks=tasks), Query())
    assert [(name, [task.id for task in group]) for name, group in grouped(catalog.tasks)] == [
        ("mine", ["A", "C"]),
        ("other", ["B"]),
    ]


@pytest.mark.parametrize(
    ("filters", "old", "new"),
    [
        ({"category": "loco"}, 49, 31),
        ({"category": "AMP"}, 3, 3),
        ({"robot": "unitree go2"}, 4, 2),
        ({"robot": "go2", "category": "rough"}, 2, 1),
        ({"library": "sb3"}, 10, 7),
        ({"algorithm": "mappo"}, 2, 2),
        ({"algorithm": "MAPPO", "library": "rl_games"}, 0, 0),
        ({"algorithm": "AMP", "library": "skrl"}, 3, 3),
        ({"multi_agent": True}, 2, 2),
        ({"amp": True}, 3, 3),
        ({"cameras": True}, 31, 32),
        ({"physics": "kitless"}, 0, 62),
        ({"physics": "kit-less"}, 0, 62),
        ({"physics": "newton"}, 0, 106),
        ({"physics": "physx"}, 192, 134),
        ({"trainable": True}, 140, 103),
    ],
)
def test_filters(filters: dict[str, Any], old: int, new: int) -> None:
    assert (len(found("", OLD, **filters)), len(found("", NEW, **filters))) == (old, new)


def test_a_filter_and_a_word_must_both_fit() -> None:
    agent = AgentConfig(entry_point="skrl_cfg_entry_point", library="skrl", algorithm="PPO", target="t")
    tasks = (Task(id="Mine-Walk", package="mine", agents=(agent,)), Task(id="Mine-Run", package="mine"))
    catalog = Catalog(version="3.0.0", tasks=tasks)
    assert found("mine", catalog, trainable=True) == ("Mine-Walk",)
    assert found("run", catalog, trainable=True) == ()


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        (Query(words=("catpoole",)), "nearest names: Isaac-Cartpole"),
        (Query(words=("zzzzzz",)), "list-envs without words shows all tasks"),
        (Query(category="locomtion"), "did you mean --category 'loco-manipulation'"),
        (Query(robot="frnka"), "did you mean --robot 'Franka'?"),
        (Query(robot="zebra"), "robot: ANYmal B, ANYmal C"),
        (Query(physics="bullet"), "physics: isaacsim_physx, kitless"),
        (Query(cameras=True, library="sb3"), "without --library there are 32"),
        (Query(words=("go2",), multi_agent=True), "without --multi-agent there are 2"),
    ],
)
def test_what_to_ask_for_instead(query: Query, hint: str) -> None:
    assert find(NEW, query).tasks == ()
    assert suggest(NEW, query).startswith(hint)


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        (Query(library="sklr"), "did you mean skrl"),
        (Query(algorithm="mapo"), "did you mean MAPPO"),
        (Query(library="x"), "libraries: rsl_rl"),
    ],
)
def test_a_library_or_algorithm_that_is_none_is_refused(query: Query, hint: str) -> None:
    with pytest.raises(RequestError) as caught:
        find(NEW, query)
    assert str(caught.value.hint).startswith(hint)


def test_what_was_found_is_not_taken_for_a_fresh_scan() -> None:
    assert find(Catalog(version="3.0.0", tasks=(), stamp="1"), Query()).stamp is None
