"""A project made by Isaac Lab's own template is found, described, planned and trained without being installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from spark_rl import assets, catalogues, external, host, installations, names, projects
from spark_rl.description import describe
from spark_rl.gauges import system
from spark_rl.model import Request
from spark_rl.plan import Facts, plan, resolve

pytestmark = pytest.mark.real

TEMPLATE = Path(sysconfig.get_paths()["purelib"]) / "isaaclab" / "tools" / "template"
LEFT_OUT = (".gitattributes", ".gitignore", ".pre-commit-config.yaml", ".vscode/tasks.json")
"""Files of the template that the 3.0.0 wheel lacks, so that its generator fails (``isaaclab --new``)."""

IDS = ("MyRobot-Balance-Cartpole", "MyRobot-Balance-Cartpole-Direct", "MyRobot-Balance-Marl-Cartpole-Direct")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the generator of the installed Isaac Lab, in a copy that has the files its wheel lacks."""
    top = tmp_path_factory.mktemp("template")
    copy = top / "isaaclab" / "tools" / "template"
    shutil.copytree(TEMPLATE, copy)
    for name in (*LEFT_OUT, ".vscode/tools/launch.template.json"):
        file = copy / "templates" / "external" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (top / "projects").mkdir()
    words = ["--non_interactive", "--task_type", "external", "--name", "my_robot", "--author", "Somebody"]
    words += ["--project_path", str(top / "projects"), "--rl_library", "rsl_rl", "--rl_library", "skrl"]
    words += ["--rl_algorithm", "ppo", "--rl_algorithm", "skrl:mappo"]
    for workflow in ("manager-based:single-agent", "direct:single-agent", "direct:multi-agent"):
        words += ["--workflow", workflow]
    subprocess.run([sys.executable, str(copy / "cli.py"), *words], check=True, timeout=120, capture_output=True)
    return top / "projects" / "my_robot"


def facts(project: Path) -> tuple[Facts, external.Project]:
    (found,) = projects.find(project / "src" / "my_robot")
    installation = projects.beside(installations.inspect(Path(sys.prefix)), (found,))
    known = Facts(
        installation=installation,
        chosen="the Python of this test",
        host=host.probe(system.memory()),
        catalog=catalogues.load(installation, None),
        renames=catalogues.renames(),
        driver="",
        wrapper="",
        embedded=assets.root(),
    )
    return known, found


def test_its_tasks_are_listed_and_described(project: Path) -> None:
    known, found = facts(project)
    assert known.catalog.undecided == ()
    assert tuple(task.id for task in known.catalog.tasks if task.package == "my_robot") == IDS
    resolved = names.resolve("myrobot-balance-marl-cartpole-direct", "train", known.catalog, 3, known.renames)
    value = describe(resolved, version="3.0.0", renames=known.renames, project=found.path)
    assert (value.task.multi_agent, value.task.num_envs) == (True, 4096)
    first = value.task.agents[0]
    assert (first.library, first.algorithm, first.max_iterations) == ("skrl", "MAPPO", 300)
    assert value.commands[0].text == f"spark-rl train --task {IDS[2]} --library skrl --algorithm MAPPO"


def test_the_tasks_of_isaac_lab_beside_it_stay_as_they_are(project: Path) -> None:
    own = tuple(task for task in facts(project)[0].catalog.tasks if task.package != "my_robot")
    assert own == catalogues.shipped("3.0.0").tasks


def test_it_trains(project: Path, tmp_path: Path) -> None:
    known, found = facts(project)
    request = Request(
        action="train",
        task=IDS[1],
        cwd=str(tmp_path),
        library="rsl_rl",
        num_envs=16,
        max_iterations=2,
        device="cpu",
        assets="embedded",
    )
    request, target = resolve(request, known)
    decided = plan(request, known, target)
    source = external.project_of(decided.task.task, (found,))
    assert source is not None
    launch = external.launch(source, 3, decided.library, "train", os.environ.get("PYTHONPATH"))
    env = dict(os.environ) | dict(decided.env) | dict(launch.env)
    done = subprocess.run(decided.argv, cwd=tmp_path, env=env, timeout=300, capture_output=True, text=True)
    assert list(tmp_path.rglob("model_1.pt")), done.stdout[-2000:] + done.stderr[-2000:]


def test_its_overrides_are_checked_and_a_new_field_is_known_at_once(project: Path, tmp_path: Path) -> None:
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "SPARK_RL_ISAACLAB": sys.prefix}

    def said(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "spark_rl", *words, "--task", IDS[1]]
        done = subprocess.run(command, cwd=project, env=env, timeout=300, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    code, text = said("train", "env.gripper_force=3.5", "--dry-run")
    assert (code, "there is no env.gripper_force" in text) == (2, True)
    (config,) = project.rglob("balance_direct/**/env_cfg.py")
    before = config.read_text(encoding="utf-8")
    config.write_text(before.replace("    decimation = 2\n", "    decimation = 2\n    gripper_force = 1.0\n"))
    try:
        code, text = said("train", "env.gripper_force=3.5", "--dry-run")
        assert (code, "resolving" in text) == (0, True)
        code, text = said("explain", "env.gripper_force")
        assert (code, "default   1.0" in text, "resolving" in text) == (0, True, False)
    finally:
        config.write_text(before, encoding="utf-8")
