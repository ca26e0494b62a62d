from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from spark_rl import catalogues, external, projects, settings
from spark_rl.errors import RequestError
from spark_rl.external import Project
from spark_rl.model import Installation, Setting, Settings, Task

TASK = """
import gymnasium as gym
from . import agents

gym.register(
    id="{id}",
    entry_point="isaaclab.envs:ManagerBasedRLEnv",
    kwargs={{
        "env_cfg_entry_point": f"{{__name__}}.env_cfg:EnvCfg",
        "rsl_rl_cfg_entry_point": f"{{agents.__name__}}.rsl_rl_ppo_cfg:PPORunnerCfg",
    }},
)
"""
PYPROJECT = '[project]\nname = "my_robot"\n\n[project.entry-points."isaaclab.tasks"]\nmy_robot = "my_robot.tasks"\n'


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def package(root: Path, task_id: str) -> None:
    write(root / "my_robot" / "__init__.py")
    write(root / "my_robot" / "tasks" / "__init__.py")
    write(root / "my_robot" / "tasks" / "walk" / "__init__.py", TASK.format(id=task_id))
    write(root / "my_robot" / "tasks" / "walk" / "agents" / "__init__.py")


def template_3(folder: Path) -> Path:
    """Make what the template of Isaac Lab 3.0 makes: ``src``, and an entry point in pyproject.toml."""
    write(folder / "pyproject.toml", PYPROJECT)
    write(folder / "scripts" / "list_envs.py")
    write(folder / "tests" / "__init__.py")
    package(folder / "src", "MyRobot-Walk")
    return folder


def template_2(folder: Path) -> Path:
    """Make what the template of Isaac Lab 2 makes: ``source/NAME/NAME``, and scripts for each library."""
    write(folder / "source" / "my_robot" / "setup.py")
    write(folder / "source" / "my_robot" / "config" / "extension.toml")
    for script in ("rsl_rl/train.py", "rsl_rl/play.py", "skrl/train.py", "list_envs.py"):
        write(folder / "scripts" / script)
    package(folder / "source" / "my_robot", "Template-My-Robot-v0")
    return folder


def test_a_project_of_3(tmp_path: Path) -> None:
    folder = template_3(tmp_path / "p")
    assert projects.around(folder / "src" / "my_robot") == Project(
        path=str(folder), roots=(str(folder / "src"),), packages=("my_robot",), modules=("my_robot.tasks",)
    )


def test_a_project_of_2(tmp_path: Path) -> None:
    folder = template_2(tmp_path / "p")
    assert projects.around(folder) == Project(
        path=str(folder),
        roots=(str(folder / "source" / "my_robot"),),
        packages=("my_robot",),
        modules=("my_robot.tasks",),
        scripts=(
            ("rsl_rl", "train", str(folder / "scripts" / "rsl_rl" / "train.py")),
            ("rsl_rl", "play", str(folder / "scripts" / "rsl_rl" / "play.py")),
            ("skrl", "train", str(folder / "scripts" / "skrl" / "train.py")),
        ),
    )


def test_a_folder_that_is_no_project_is_none(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", '[project]\nname = "x"\n')
    package(tmp_path / "src", "X")
    assert projects.around(tmp_path / "src") is None
    write(tmp_path / "pyproject.toml", "[project.entry-points.'isaaclab.tasks'\n")
    assert projects.around(tmp_path) is None


def test_isaac_labs_own_checkout_is_none(tmp_path: Path) -> None:
    template_2(tmp_path / "p")
    write(tmp_path / "p" / "isaaclab.sh")
    assert projects.around(tmp_path / "p" / "scripts") is None


def test_named_projects_need_no_mark(tmp_path: Path) -> None:
    package(tmp_path / "plain", "Plain")
    write(tmp_path / "flat" / "other" / "__init__.py")
    found = projects.find(tmp_path, (str(tmp_path / "plain"), str(tmp_path / "flat"), str(tmp_path / "plain")))
    assert [(project.packages, project.modules) for project in found] == [
        (("my_robot",), ("my_robot.tasks",)),
        (("other",), ("other",)),
    ]


def test_only_announced_packages_of_a_project_count(tmp_path: Path) -> None:
    folder = template_3(tmp_path / "p")
    write(folder / "src" / "helpers" / "__init__.py")
    assert projects.inspect(folder).packages == ("my_robot",)


def test_the_project_around_is_not_counted_twice(tmp_path: Path) -> None:
    folder = template_3(tmp_path / "p")
    assert len(projects.find(folder, (str(folder),))) == 1


@pytest.mark.parametrize(("name", "message"), [("gone", "is no folder"), ("empty", "holds no Python package")])
def test_a_named_folder_must_be_a_project(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match=message):
        projects.find(tmp_path, (str(tmp_path / name),))


def test_projects_of_settings() -> None:
    entry = Setting(name="tasks", value=os.pathsep.join(("/a", "/b")), source="file")
    assert projects.named(Settings(entries=(entry,))) == ("/a", "/b")
    assert projects.named(Settings(entries=(replace(entry, value=None),))) == ()
    assert projects.named(settings.load(Path("/"), {})) == ()


def test_the_tasks_of_a_project_are_in_the_catalogue(tmp_path: Path) -> None:
    found = projects.find(template_3(tmp_path / "p"))
    lab = projects.beside(Installation(version="3.0.0", kind="package", path="/env"), found)
    catalog = catalogues.load(lab, None)
    task = catalog.get("MyRobot-Walk")
    assert task is not None
    assert (task.package, task.libraries) == ("my_robot", ("rsl_rl",))
    assert len(catalog.tasks) == 160
    assert external.project_of(task, found) == found[0]
    assert external.project_of(Task(id="Isaac-Ant", package="isaaclab_tasks"), found) is None


MINE = Project(
    path="/my",
    roots=("/my/src",),
    packages=("mine",),
    modules=("mine.tasks", "mine.more"),
    scripts=(("rsl_rl", "train", "/my/scripts/rsl_rl/train.py"),),
)


@pytest.mark.parametrize(("inherited", "end"), [(None, ""), ("", ""), ("/theirs", ":/theirs")])
def test_3_imports_a_project_through_the_hook(inherited: str | None, end: str) -> None:
    launch = external.launch(MINE, 3, "skrl", "play", inherited)
    assert launch.script is None
    assert dict(launch.env) == {
        "PYTHONPATH": f"{external.HOOK}:/my/src{end}",
        "SPARK_RL_TASK_MODULES": "mine.tasks,mine.more",
    }
    assert [name for name, _ in launch.reasons] == ["project"]


def test_2_runs_the_projects_own_script() -> None:
    launch = external.launch(MINE, 2, "rsl_rl", "train", "/theirs")
    assert launch.script == "/my/scripts/rsl_rl/train.py"
    assert launch.env == (("PYTHONPATH", "/my/src:/theirs"),)


@pytest.mark.parametrize(
    ("library", "action", "hint"),
    [
        ("skrl", "train", "use --library rsl_rl, or add /my/scripts/skrl/train.py"),
        ("rsl_rl", "play", "Isaac Lab's template makes scripts/rsl_rl/play.py"),
    ],
)
def test_2_needs_a_script(library: str, action: str, hint: str) -> None:
    with pytest.raises(RequestError, match=f"/my has no {action} script for {library}") as caught:
        external.launch(MINE, 2, library, action, None)  # type: ignore[arg-type]
    assert str(caught.value.hint).startswith(hint)


def test_the_hook_imports_what_it_is_told(tmp_path: Path) -> None:
    """A child with that environment finds the entry point, and loading it imports the project's modules."""
    package(tmp_path, "MyRobot-Walk")
    write(tmp_path / "my_robot" / "tasks" / "__init__.py", "print('imported', __name__)")
    project = replace(MINE, roots=(str(tmp_path),), modules=("my_robot.tasks",))
    code = (
        "from importlib.metadata import entry_points\n"
        "for entry in entry_points(group='isaaclab.tasks', name='spark_rl'): entry.load()\n"
    )
    env = dict(os.environ) | dict(external.launch(project, 3, "rsl_rl", "train", None).env)
    child = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert child.stdout == "imported my_robot.tasks\n"
    without = {name: value for name, value in env.items() if name != external.MODULES}
    child = subprocess.run([sys.executable, "-c", code], env=without, capture_output=True, text=True, check=True)
    assert child.stdout == ""
