from __future__ import annotations

import re
import sys

import pytest

from spark_rl import catalogues, names, tables
from spark_rl.catalog import Catalog
from spark_rl.description import describe
from spark_rl.model import AgentConfig, Task
from spark_rl.search import Query, find
from spark_rl.tables import Screen

RENAMES = catalogues.renames()
CATALOGS = {version: catalogues.shipped(version) for version in ("2.3.2", "3.0.0")}
HEADS = ("task", "libraries", "notes", "robot", "difficulty", "physics", "what it is")
AGENT = AgentConfig(entry_point="skrl_cfg_entry_point", library="skrl", algorithm="PPO", target="t")


def listed(version: str, width: int, *words: str) -> list[str]:
    return tables.listing(find(CATALOGS[version], Query(words=words)), Screen(width=width)).split("\n")


@pytest.mark.parametrize("version", CATALOGS)
@pytest.mark.parametrize("width", [80, 120, 200])
def test_no_line_is_too_long_and_no_id_is_broken(version: str, width: int) -> None:
    lines = listed(version, width)
    assert max(map(len, lines)) <= width
    starts = [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "]
    assert sorted(starts) == sorted(CATALOGS[version].ids())


@pytest.mark.parametrize("version", CATALOGS)
def test_every_column_is_there_at_200(version: str) -> None:
    lines = listed(version, 200)
    assert tuple(re.split(r"\s{2,}", lines[0])) == HEADS
    text = "\n".join(lines)
    for task in CATALOGS[version].tasks:
        for cell in (task.robot, task.difficulty, task.physics):
            assert (cell or "") in text
    assert "KUKA arm with an Allegro hand" in text
    assert "newton_mjwarp_vbd_proxy" in text or version == "2.3.2"


def test_the_least_important_columns_go_first() -> None:
    heads = {width: tuple(re.split(r"\s{2,}", listed("3.0.0", width)[0])) for width in (60, 80, 100, 140, 200)}
    assert heads[60] == HEADS[:1]
    assert heads[80] == HEADS[:2]
    assert HEADS[:2] == heads[80] < heads[140] < heads[200] == HEADS
    assert all(HEADS[: len(shown)] == shown for shown in heads.values())


def test_a_row_says_what_a_task_is() -> None:
    lines = listed("3.0.0", 200, "go2", "rough")
    assert lines[2] == "locomotion (rough) (1)"
    cells = re.split(r"\s{2,}", lines[3].strip())
    assert cells == [
        "Isaac-Velocity-Rough-UnitreeGo2",
        "rsl_rl skrl",
        "Unitree Go2",
        "hard",
        "newton_mjwarp",
        "follow velocity commands on rough terrain",
    ]


def test_cells_stand_under_their_heads() -> None:
    lines = listed("2.3.2", 200)
    rows = [line for line in lines if line.startswith("  ") and "  " in line.strip()]
    for head in HEADS[1:]:
        at = lines[0].index(head)
        assert {line[at - 2 : at] for line in rows} == {"  "}
        assert any(line[at : at + 1].strip() for line in rows)


def test_a_long_id_has_a_line_of_its_own_and_keeps_its_cells() -> None:
    lines = listed("2.3.2", 200)
    long = "  Isaac-Stack-Cube-Galbot-Left-Arm-Gripper-Visuomotor-Joint-Position-Play-v0"
    cells = lines[lines.index(long) + 1].split("  ")
    assert [cell.strip() for cell in cells if cell.strip()][:3] == ["none", "cameras", "Galbot"]


def test_groups_and_what_cannot_be_trained_are_marked_with_colours_alone_on_a_terminal() -> None:
    tasks = (Task(id="Mine-Walk", package="mine", agents=(AGENT,)), Task(id="Mine-Look", package="mine"))
    catalog = Catalog(version="3.0.0", tasks=tasks)
    colours = tables.listing(catalog, Screen(width=80, colour=True)).split("\n")
    assert "\033[1mmine (2)\033[0m" in colours
    assert (
        [line for line in colours if line.startswith("\033[2m")] == [line for line in colours if "Look" in line] != []
    )
    plain = tables.listing(catalog, Screen(width=80))
    assert plain == re.sub(r"\033\[\d?m", "", "\n".join(colours))


def test_plain_lines_have_five_fields() -> None:
    for catalog in CATALOGS.values():
        rows = [line.split("\t") for line in tables.plain(catalog).split("\n")]
        assert [row[0] for row in rows] == list(catalog.ids())
        assert {len(row) for row in rows} == {5}
    assert tables.plain(find(CATALOGS["3.0.0"], Query(words=("pendulum",), multi_agent=True))) == (
        "Isaac-Pendulum-MARL-Direct\tmulti-agent\tcart double pendulum\trl_games,skrl\tmulti-agent,kit-less"
    )
    assert tables.plain(Catalog(version="3.0.0", tasks=(Task(id="A", package="mine"),))) == "A\t-\t-\t-\tnot-trainable"


def test_the_footer_counts_and_names_the_source() -> None:
    shown = find(CATALOGS["2.3.2"], Query(words=("stack",), category="stack"))
    assert tables.footer(shown, 192) == (
        f"{len(shown.tasks)} of 192 tasks, 0 with an agent config; "
        "Isaac Lab 2.3.2, the list of 2.3.2 that comes with spark-rl"
    )
    whole = Catalog(version="3.0.0", tasks=(), origin="the sources of /x", undecided=("a", "b"))
    assert tables.footer(whole, 0) == (
        "0 tasks, 0 with an agent config; Isaac Lab 3.0.0, the sources of /x; 2 registrations could not be read"
    )


def page(name: str, version: str) -> str:
    catalog = CATALOGS[version]
    resolved = names.resolve(name, "train", catalog, int(version[0]), RENAMES)
    return tables.page(describe(resolved, version=version, renames=RENAMES, origin="the list"), Screen(width=100))


def test_a_page_says_everything() -> None:
    text = page("Isaac-Cartpole", "3.0.0")
    assert text.startswith("Isaac-Cartpole: balance a pole on a cart\n")
    facts = dict(re.findall(r"^  (\w+(?: \S+)?)\s{2,}(.+)$", text, re.MULTILINE))
    assert facts["robot"] == "cartpole"
    assert (facts["in 2.x"], facts["in 3.0"]) == ("Isaac-Cartpole-v0", "Isaac-Cartpole")
    assert facts["needs"] == "no Isaac Sim"
    assert facts["assets"] == "NVIDIA's, or those of spark-rl (--assets embedded)"
    assert facts["environments"] == "4096"
    assert facts["source"] == "isaaclab_tasks.core.cartpole.cartpole_manager_env_cfg"
    assert re.search(r"rl_games +PPO +cartpole +150 +16 +8192 +9\.8 M +rl_games_cfg_entry_point", text)
    assert re.search(r"sb3 +PPO +- +- +16 +- +- +sb3_cfg_entry_point", text)
    assert "\n  spark-rl train --task Isaac-Cartpole --library rsl_rl   # the default\n" in text
    assert text.endswith("\n  spark-rl play --task Isaac-Cartpole --library sb3")


@pytest.mark.parametrize(
    ("name", "version", "line"),
    [
        ("Isaac-Reach-Franka-v0", "2.3.2", "twin          Isaac-Reach-Franka-Play-v0 (play takes it by itself)"),
        ("Isaac-Reach-Franka-Play-v0", "2.3.2", "twin          the play variant of Isaac-Reach-Franka-v0"),
        ("Isaac-Quadcopter-Direct-v0", "2.3.2", "in 3.0        no such task"),
        ("Isaac-NutPour-GR1T2-Pink-IK-Abs-Mimic-v0", "2.3.2", "none: isaaclab_mimic generates demonstrations; train"),
        ("Isaac-NutPour-GR1T2-Pink-IK-Abs-Mimic", "3.0.0", "in 2.x        Isaac-NutPour-GR1T2-Pink-IK-Abs-Mimic-v0"),
        ("Isaac-Stack-Cube-Franka-v0", "2.3.2", "none: no RL library has an agent config for this task"),
        ("Isaac-Humanoid-AMP-Run-Direct-v0", "2.3.2", "kind          AMP (motion priors)"),
        ("Isaac-Pendulum-MARL-Direct", "3.0.0", "kind          multi-agent"),
        ("Isaac-Cartpole-Camera", "3.0.0", "needs         no Isaac Sim, a GPU that renders camera images"),
        ("IsaacContrib-Velocity-Flat-AnymalB", "3.0.0", "needs         Isaac Sim (or physics=newton_mjwarp)"),
        ("Isaac-Lift-Franka", "3.0.0", "alike         IsaacContrib-Lift-Cube-Franka (a different task)"),
        ("isaac-cartpole-v0", "3.0.0", "(isaac-cartpole-v0 is Isaac-Cartpole in Isaac Lab 3.0.0)"),
    ],
)
def test_lines_of_a_page(name: str, version: str, line: str) -> None:
    assert line in page(name, version)


def test_a_page_names_the_presets_of_other_names() -> None:
    found = "Isaac-Cartpole-RGB-v0 (with presets=rgb in 3.0)"
    assert found in page("Isaac-Cartpole-Camera", "3.0.0")


def test_a_page_of_an_unknown_task_guesses_nothing() -> None:
    resolved = names.resolve(
        "Mine", "train", Catalog(version="3.0.0", tasks=(Task(id="Mine", package="mine"),)), 3, RENAMES
    )
    text = tables.page(describe(resolved, version="3.0.0", renames=RENAMES, project="/p"), Screen(width=80))
    assert "robot         not known" in text
    assert "needs         it is not known whether Isaac Sim" in text
    assert "package       mine, project /p" in text
    assert "assets        those its config names" in text
    assert "in 2.x" not in text
    assert "train" not in text.split("agents")[1].replace("trained", "")


@pytest.mark.parametrize(
    ("environ", "tty", "expected"),
    [
        ({"COLUMNS": "90"}, False, Screen(width=90)),
        ({"COLUMNS": ""}, False, Screen(width=200)),
        ({"COLUMNS": "90", "NO_COLOR": ""}, True, Screen(width=90, colour=True)),
        ({"COLUMNS": "90", "NO_COLOR": "1"}, True, Screen(width=90)),
        ({"COLUMNS": "90", "NO_COLOR": "", "TERM": "dumb"}, True, Screen(width=90)),
    ],
)
def test_the_screen(environ: dict[str, str], tty: bool, expected: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TERM": "xterm", **environ}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: tty)
    assert tables.screen() == expected
