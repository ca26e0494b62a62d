"""Make one of the catalogues that spark-rl ships, from the sources of an Isaac Lab release.

    python scripts/make_catalogue.py 2.3.2 CHECKOUT
    python scripts/make_catalogue.py 3.0.0 ENVIRONMENT/lib/python3.12/site-packages --python ENVIRONMENT/bin/python

Registrations come from a scan of the source text. For 3.0, ``--python`` is the interpreter of an environment that has
that release installed: it resolves every config once, because physics, cameras and presets are decided in code. That
child is this same file, started with ``--resolve``.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spark_rl.model import Task

DATA = Path(__file__).resolve().parent.parent / "src" / "spark_rl" / "data"
MARK = "resolved: "
PACKAGES = {
    "isaaclab_tasks": ("isaaclab_tasks",),
    "isaaclab_mimic": ("isaaclab_mimic.envs", "isaaclab_mimic.locomanipulation_sdg.envs"),
}
"""The packages of Isaac Lab that register tasks, and the modules whose import does."""


def main() -> int:
    """Write ``src/spark_rl/data/catalogue/VERSION.json``, and note which source text it is of."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", nargs="?")
    parser.add_argument("source", nargs="?", type=Path, help="a checkout, or the site-packages that Isaac Lab is in")
    parser.add_argument("--python", help="interpreter of an environment with this release installed (3.0)")
    parser.add_argument("--resolve", action="store_true", help="print the resolved facts of every task (the child)")
    arguments = parser.parse_args()
    if arguments.resolve:
        print(MARK + json.dumps(resolve_all()))
        return 0
    if not arguments.version or not arguments.source:
        parser.error("version and source are needed")
    text = catalogue(arguments.version, arguments.source, resolved(arguments.python) if arguments.python else {})
    (DATA / "catalogue" / f"{arguments.version}.json").write_text(text, encoding="utf-8")
    note(arguments.version, arguments.source)
    return 0


def note(version: str, source: Path) -> None:
    """Write into ``releases.json`` by what digest an installation of this release is known again."""
    from spark_rl.catalogues import digest, read_sources

    file = DATA / "releases.json"
    others = {text: known for text, known in json.loads(file.read_text(encoding="utf-8")).items() if known != version}
    releases = sorted((others | {digest(read_sources(source)): version}).items(), key=lambda pair: pair[1])
    file.write_text(json.dumps(dict(releases), indent=2) + "\n", encoding="utf-8")


def catalogue(version: str, source: Path, facts: dict[str, dict[str, Any]]) -> str:
    """Return the JSON text of the catalogue, one task per line: a changed task is a changed line."""
    from spark_rl.catalog import Catalog
    from spark_rl.catalogues import described, read_sources
    from spark_rl.scanning import scan

    def with_facts(task: Task) -> Task:
        known = facts.get(task.id)
        if known is None:
            return task
        agents = tuple(replace(agent, **known["agents"].get(agent.entry_point, {})) for agent in task.agents)
        options = tuple(known["env"].pop("physics_options", ()))
        return replace(task, **known["env"], physics_options=options, agents=agents)

    scanned = scan(read_sources(source))
    for line in scanned.undecided:
        print(f"undecided: {line}", file=sys.stderr)
    tasks = described((with_facts(task) for task in scanned.tasks), version)
    document = Catalog(version=version, tasks=tasks).to_document()
    rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in document.pop("tasks"))
    head = json.dumps(document, separators=(",", ":")).removesuffix("}")
    return f'{head},"tasks":[\n{rows}\n]}}\n'


def resolved(python: str) -> dict[str, dict[str, Any]]:
    """Return what Isaac Lab's own resolver says of each task, asked in a child process."""
    command = [python, str(Path(__file__).resolve()), "--resolve"]
    child = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    lines = [line for line in child.stdout.splitlines() if line.startswith(MARK)]
    if child.returncode or not lines:
        raise SystemExit(f"the resolver ended with {child.returncode}:\n{child.stderr[-4000:]}")
    facts: dict[str, dict[str, Any]] = json.loads(lines[-1].removeprefix(MARK))
    for task_id in (name for name, known in facts.items() if not known["env"]):
        print(f"unresolved: {task_id}", file=sys.stderr)
    return facts


def resolve_all() -> dict[str, dict[str, Any]]:
    """Resolve every registered task of the Isaac Lab in this interpreter; an id is the first package's."""
    facts: dict[str, dict[str, Any]] = {}
    for package, modules in PACKAGES.items():
        for spec in registered(modules):
            facts[spec.id] = {"package": package, "kwargs": sorted(spec.kwargs), "env": {}, "agents": {}}
            with contextlib.suppress(ImportError):  # what comes with Isaac Sim alone, like OpenCV
                facts[spec.id] |= resolve(spec)
    return facts


def registered(modules: tuple[str, ...]) -> list[Any]:
    """Import modules and return what they register."""
    gym = importlib.import_module("gymnasium")
    before = set(gym.registry)
    for module in modules:
        importlib.import_module(module)
    return [spec for spec in gym.registry.values() if spec.id not in before]


def resolve(spec: Any) -> dict[str, Any]:
    """Resolve the env config and the agent configs of one registered task with their defaults."""
    resolver = importlib.import_module("isaaclab_tasks.utils.hydra").resolve_task_config
    keys = [key for key in spec.kwargs if key.endswith("_cfg_entry_point") and key != "env_cfg_entry_point"]
    rl = [key for key in keys if key.startswith(("rsl_rl", "rl_games", "skrl", "sb3"))]
    with contextlib.redirect_stdout(sys.stderr):
        env = env_facts(spec.id, resolver(spec.id, None, overrides=[])[0])
        return {
            "env": env,
            "agents": {key: agent_facts(key, resolver(spec.id, key, overrides=[])[1]) for key in rl},
        }


def env_facts(task_id: str, cfg: Any) -> dict[str, Any]:
    """Return default physics, its alternatives, cameras and the number of environments of a resolved env config."""
    launcher = importlib.import_module("isaaclab.app.sim_launcher")
    target = importlib.import_module("isaaclab_tasks.utils.preset_target").PresetTarget.PHYSICS
    presets = importlib.import_module("isaaclab_tasks.utils.preset_cli").enumerate_task_presets(task_id) or {}
    found = launcher.scan(cfg)
    options = sorted(presets.get(target, ()))
    return {
        "physics": physics_name(found.resolved_physics_cfg, options),
        "physics_options": options,
        "kitless": not found.needs_kit,
        "cameras": has_camera(cfg, set()),
        "num_envs": getattr(getattr(cfg, "scene", None), "num_envs", None),
    }


def physics_name(physics: Any, options: list[str]) -> str | None:
    """Return the preset name of a physics config.

    A coupled solver has the task's own preset name where there is one, else the name ``newton_coupled``.
    """
    if physics is None:
        return None
    solver = type(getattr(physics, "solver_cfg", None)).__name__
    if type(physics).__name__ == "PhysxCfg":
        return "isaacsim_physx"
    if solver.startswith("Kamino"):
        return "newton_kamino"
    if solver == "MJWarpSolverCfg":
        return "newton_mjwarp"
    return next((name for name in options if name.endswith("_proxy")), "newton_coupled")


def has_camera(node: Any, seen: set[int]) -> bool:
    """Return whether a camera sensor is anywhere in a config tree."""
    camera = importlib.import_module("isaaclab.sensors.camera.camera_cfg").CameraCfg
    if isinstance(node, camera):
        return True
    if id(node) in seen or not hasattr(node, "__dict__"):
        return False
    seen.add(id(node))
    return any(has_camera(child, seen) for child in vars(node).values())


def agent_facts(key: str, cfg: Any) -> dict[str, Any]:
    """Return experiment, iterations, horizon and minibatch of a resolved agent config."""
    if not isinstance(cfg, dict):
        return {
            "experiment": cfg.experiment_name,
            "max_iterations": cfg.max_iterations,
            "horizon": cfg.num_steps_per_env,
        }
    if key.startswith("rl_games"):
        config = cfg["params"]["config"]
        return {
            "experiment": config["name"],
            "max_iterations": config["max_epochs"],
            "horizon": config["horizon_length"],
            "minibatch": config["minibatch_size"],
        }
    if key.startswith("skrl"):
        rollouts = cfg["agent"]["rollouts"]
        return {
            "experiment": cfg["agent"]["experiment"]["directory"],
            "max_iterations": cfg["trainer"]["timesteps"] // rollouts,
            "horizon": rollouts,
        }
    return {"horizon": cfg["n_steps"]}


if __name__ == "__main__":
    sys.exit(main())
