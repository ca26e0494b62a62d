"""The child itself: its Python, its environment, and whether it can run the task at all."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from spark_rl import external
from spark_rl.assets import EMBEDDED_TASKS, covers
from spark_rl.checks import NO_LIBGOMP
from spark_rl.errors import LackError, RequestError
from spark_rl.model import Finding
from spark_rl.names import related
from spark_rl.plan import policy, ranks
from spark_rl.plan.parts import NOTHING, Part, because, join
from spark_rl.text import either

if TYPE_CHECKING:
    from spark_rl.plan.parts import Context

_ALIASES = {"newton": "newton_mjwarp", "kamino": "newton_kamino"}
INSTALL_ISAACSIM = "install Isaac Sim: pip install 'spark-rl[isaacsim]'"
INSTALL_OVPHYSX = "install OvPhysX: pip install 'isaaclab[ovphysx]'"


def physics(context: Context) -> Part:
    """Refuse a task that needs Isaac Sim on a kit-less installation, naming what would work.

    Raises:
        RequestError: The task's physics, or the one chosen by override, is not there.
    """
    task, installation = context.target.task.task, context.facts.installation
    if context.old:
        return NOTHING
    chosen = _chosen_physics(context)
    if chosen is not None and task.kitless is not None and chosen not in task.physics_options:
        others = f"{task.id} has {either(task.physics_options)}" if task.physics_options else "leave physics= out"
        raise RequestError(f"{task.id} has no physics={chosen}", others)
    if not installation.kitless:
        return NOTHING
    _check_renderer(context)
    if chosen is not None:
        _check_kitless(chosen, context)
    elif task.kitless is False:
        raise LackError(
            f"{task.id} needs Isaac Sim (PhysX through Kit), and {installation.path} is kit-less", _instead(context)
        )
    return NOTHING


def _chosen_physics(context: Context) -> str | None:
    """Return the physics that ``physics=``, ``env.sim.physics=`` or ``presets=`` names, None where none does."""
    named = context.target.override("physics", "env.sim.physics")
    presets = (context.target.override("presets") or "").split(",")
    names = [_ALIASES.get(name, name) for name in ([named] if named is not None else presets)]
    options = context.target.task.task.physics_options
    return next((name for name in names if named is not None or name in options), None)


def _check_kitless(chosen: str, context: Context) -> None:
    packages = dict(context.facts.installation.packages)
    if chosen == "isaacsim_physx":
        raise LackError(f"physics={chosen} needs Isaac Sim, and this installation has none", INSTALL_ISAACSIM)
    if chosen in ("physx", "ovphysx") and packages and "ovphysx" not in packages:
        raise LackError(
            f"physics={chosen} needs OvPhysX here, which is not installed", f"{INSTALL_OVPHYSX}, or {INSTALL_ISAACSIM}"
        )


def _check_renderer(context: Context) -> None:
    renderer = context.target.override("renderer")
    if renderer in ("isaacsim_rtx", "isaacsim_rtx_renderer"):
        raise LackError(f"renderer={renderer} needs Isaac Sim, and this installation has none", INSTALL_ISAACSIM)


def _instead(context: Context) -> str:
    task = context.target.task.task
    if "newton_mjwarp" in task.physics_options:
        return f"add physics=newton_mjwarp to run it with Newton, or {INSTALL_ISAACSIM}"
    alike = related(task.id, context.facts.renames)
    if alike:
        return f"{INSTALL_ISAACSIM}; or train {either(alike)}, a different task that runs with Newton"
    return INSTALL_ISAACSIM


def kit_options(context: Context) -> Part:
    """Refuse options that need Kit on a kit-less installation.

    Raises:
        RequestError: ``--viz kit``, ``--livestream`` or the like was given there.
    """
    if context.old or not context.facts.installation.kitless:
        return NOTHING
    given = context.target.given
    for option in ("--livestream", "--experience", "--kit_args", "--xr", "--anim_recording_enabled"):
        if option in given and given[option] not in ("-1", "0", ""):
            raise LackError(f"{option} needs Isaac Sim, and this installation has none", INSTALL_ISAACSIM)
    if "kit" in (given.get("--visualizer") or "").lower().split(","):
        raise LackError("--viz kit needs Isaac Sim, and this installation has none", "use --viz newton_gl")
    return NOTHING


def preload(context: Context) -> Part:
    """Preload the system's libgomp on aarch64, where Kit otherwise runs out of static TLS.

    Isaac Sim's aarch64 ``python.sh`` (5.1.0, 6.0.0) replaces LD_PRELOAD by its own; there the interpreter is started
    through a wrapper, named by PYTHONEXE, that puts the value back.
    """
    host = context.facts.host
    if host.machine not in ("aarch64", "arm64"):
        return NOTHING
    inherited = (host.variable("LD_PRELOAD") or "").replace(":", " ").split()
    present = any(PurePath(entry).name == "libgomp.so.1" for entry in inherited)
    added = () if present or host.libgomp is None else (host.libgomp,)
    value = ":".join((*inherited, *added))
    plain = Part(
        env=(("LD_PRELOAD", value),) if added else (),
        reasons=because("LD_PRELOAD", "on aarch64 the simulator needs libgomp loaded first") if added else (),
        findings=() if present or added else (NO_LIBGOMP,),
    )
    python = context.facts.installation.sim_python
    if python is None or not value or _uses_active(context):
        return plain
    wrapper = (
        ("PYTHONEXE", context.facts.wrapper),
        ("SPARK_RL_LD_PRELOAD", value),
        ("SPARK_RL_PYTHONEXE", host.variable("PYTHONEXE") or python),
    )
    why = because("PYTHONEXE", "this Isaac Sim's python.sh replaces LD_PRELOAD: a wrapper puts it back")
    return join((plain, Part(env=wrapper, reasons=why)))


def environments(context: Context) -> Part:
    """Hide active environments that lack the simulator: ``isaaclab.sh`` would take its Python from them."""
    installation = context.facts.installation
    if installation.kind == "package" or (installation.python is not None and not context.old):
        return NOTHING
    unset = tuple(
        env.variable for env in context.facts.active if not (env.isaacsim or (env.isaaclab and not context.old))
    )
    if installation.python is not None:
        # Every 2.x isaaclab.sh looks at CONDA_PREFIX first; VIRTUAL_ENV counts since 2.3 alone.
        prefix = str(PurePath(installation.python).parent.parent)
        why = because("CONDA_PREFIX", "isaaclab.sh takes the Python of the environment that has this Isaac Lab")
        return Part(env=(("CONDA_PREFIX", prefix),), reasons=why)
    reasons = tuple(
        (f"env_unset {env.variable}", f"{env.path} has no Isaac Sim, and isaaclab.sh would take its Python")
        for env in context.facts.active
        if env.variable in unset
    )
    return Part(unset=unset, reasons=reasons, findings=_no_simulator(context, unset))


def project(context: Context) -> Part:
    """Make Isaac Lab import the project that the task comes from.

    Raises:
        RequestError: Isaac Lab 2 would need a script that the project lacks.
    """
    launch = _project_launch(context)
    return NOTHING if launch is None else Part(env=launch.env, reasons=launch.reasons)


def _project_launch(context: Context) -> external.Launch | None:
    source = external.project_of(context.target.task.task, context.facts.projects)
    if source is None:
        return None
    generation, action = context.facts.installation.generation, context.request.action
    inherited = context.facts.host.variable("PYTHONPATH")
    return external.launch(source, generation, context.target.library, action, inherited)


def _no_simulator(context: Context, unset: tuple[str, ...]) -> tuple[Finding, ...]:
    installation = context.facts.installation
    if not context.old or installation.isaacsim is not None or len(unset) < len(context.facts.active):
        return ()
    return (
        Finding(
            code="isaacsim-missing",
            level="warning",
            message=f"{installation.path} has no _isaac_sim, and no active environment has Isaac Sim",
            hint=f"ln -s PATH_OF_ISAAC_SIM {installation.path}/_isaac_sim, or activate the environment that has it",
        ),
    )


def _uses_active(context: Context) -> bool:
    """Say whether ``isaaclab.sh`` takes an environment's Python, and so goes past ``python.sh``."""
    taken = ("CONDA_PREFIX", "VIRTUAL_ENV") if context.target.profile.shell_takes_virtual_env else ("CONDA_PREFIX",)
    active = any(env.isaacsim and env.variable in taken for env in context.facts.active)
    return active or context.facts.installation.python is not None


def blanks(context: Context) -> Part:
    """Warn of a checkout whose ``isaaclab.sh`` cannot run as released: 2.x's uses its own path without quotes."""
    path = context.facts.installation.path
    if not context.old or len(path.split()) == 1:
        return NOTHING
    return Part(
        findings=(
            Finding(
                code="checkout-path",
                level="warning",
                message=f"isaaclab.sh of Isaac Lab 2, as released, does not run from a path with blanks: {path}",
                hint=f"link it to one without, and name that: ln -s '{path}' ~/IsaacLab",
            ),
        )
    )


def assets(context: Context) -> Part:
    """Point the simulator at its assets; ``auto`` is settled when the run starts, since it asks the network.

    Raises:
        RequestError: The assets that were asked for are not for this version or task.
    """
    wanted, own = context.request.assets, context.facts.host.variable("ISAACSIM_ASSET_ROOT")
    if wanted == "auto":
        why = "your ISAACSIM_ASSET_ROOT" if own and not context.old else "auto: settled when the run starts"
        return Part(reasons=because("assets", why))
    if wanted == "nvidia":
        return Part(unset=("ISAACSIM_ASSET_ROOT",), reasons=because("assets", "NVIDIA's host, asked for"))
    folder = context.facts.embedded if wanted == "embedded" else wanted
    if wanted == "embedded":
        _check_embedded(context)
    if context.old:
        return Part(words=(_kit_setting(context, folder),), reasons=because("assets", f"{wanted}, asked for"))
    return Part(env=(("ISAACSIM_ASSET_ROOT", folder),), reasons=because("assets", f"{wanted}, asked for"))


def _check_embedded(context: Context) -> None:
    task = context.target.task.task
    if context.old:
        raise RequestError(
            "the embedded assets are made for Isaac Lab 3.0", "use --assets PATH with a copy of NVIDIA's assets"
        )
    if task.package == "isaaclab_tasks" and not covers(task.id):
        raise LackError(f"the embedded assets have no model for {task.id}", f"they serve {either(EMBEDDED_TASKS)}")


def _kit_setting(context: Context, folder: str) -> str:
    setting = f"--/persistent/isaac/asset_root/cloud={folder}"
    if len(folder.split()) > 1:
        raise RequestError(
            f"Isaac Lab 2 cannot take a folder with blanks in its name: {folder}", "use a link without blanks to it"
        )
    if "--kit_args" in context.target.given:
        raise RequestError("--assets and --kit_args both set Kit's arguments", f"add {setting} to your --kit_args")
    return f"--kit_args={setting}"


def command(context: Context, words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the full argument list: the entry of this installation, then ``words``."""
    return _old_command(context, words) if context.old else _new_command(context, words)


def interpreter(context: Context) -> tuple[str, ...]:
    """Return the command that starts the Python of this installation."""
    installation = context.facts.installation
    own = installation.python
    if own is None and installation.kind == "package":
        own = f"{installation.path}/bin/python"
    return (own,) if own and not context.old else (f"{installation.path}/isaaclab.sh", "-p")


def _old_command(context: Context, words: tuple[str, ...]) -> tuple[str, ...]:
    request, target = context.request, context.target
    python = interpreter(context)
    launch = _project_launch(context)
    script = (launch.script if launch else None) or target.profile.script(target.library, request.action)
    if request.steps is not None:
        return (*python, *_driver(context), script, *words)
    return (*python, *ranks.old_launcher(context), *policy.saver(context), script, *words)


def _new_command(context: Context, words: tuple[str, ...]) -> tuple[str, ...]:
    request = context.request
    python = interpreter(context)
    library = ("--rl_library", context.target.library)
    if request.steps is not None:
        return (*python, *_driver(context), "isaaclab", request.action, *library, *words)
    saver = policy.saver(context)
    if saver:
        return (*python, *saver, "isaaclab", "train", *library, *words)
    entry = python[:1] if len(python) > 1 else (*python, "-m", "isaaclab")
    if ranks.starts_ranks(context):
        return (*entry, "train_multigpu", *library, *ranks.new_launcher(context), *words)
    return (*entry, request.action, *library, *words)


def _driver(context: Context) -> tuple[str, ...]:
    return (context.facts.driver, "--steps", str(context.request.steps), "--")
