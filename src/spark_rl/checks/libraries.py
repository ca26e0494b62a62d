"""RL libraries and torch against what this Isaac Lab needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl import ranks
from spark_rl.errors import RequestError
from spark_rl.model import LIBRARIES, Finding
from spark_rl.profiles import profile
from spark_rl.profiles.requirements import Requirements, older, requirements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_rl.model import Host, Installation, Level, Plan, Request

GYM = "gym==0.26.2"
"""rl_games imports it, and neither names it as a requirement nor brings it."""


def needed(installation: Installation) -> Requirements | None:
    """Return what an installation's release needs, None for a release that is not known."""
    try:
        known, _ = profile(installation.version)
    except RequestError:
        return None
    return requirements(known.version)


def torch_needed(installation: Installation) -> str:
    """Return torch as pip takes it, in the version that the release is installed with."""
    wanted = needed(installation)
    return f"torch=={wanted.torch}" if wanted else "torch"


def pip(installation: Installation, *what: str) -> str:
    """Return the command that installs distributions into an installation's Python."""
    python = installation.python or f"{installation.path}/isaaclab.sh -p"
    return " ".join((python, "-m pip install", *(f"'{one}'" for one in what)))


def listed(installation: Installation) -> bool:
    """Say whether the packages known are those that its Python imports.

    Isaac Lab needs torch: a list without it leaves something out (system packages, Isaac Sim's own folders).
    """
    return installation.package("torch") is not None


def lines(installation: Installation | None) -> tuple[str, ...]:
    """Return the versions in words."""
    wanted = needed(installation) if installation else None
    if installation is None or wanted is None:
        return ()
    if not listed(installation):
        return ("not known: its Python does not list its packages",)
    versions = ((name, installation.package(wanted.library(name).distribution)) for name in LIBRARIES)
    cuda = {None: "", "cpu": " without CUDA"}.get(installation.torch_cuda, f" with CUDA {installation.torch_cuda}")
    return (
        ", ".join(f"{name} {version}" for name, version in versions if version) or "no RL library",
        f"torch {installation.package('torch')}{cuda}",
    )


def findings(host: Host, installation: Installation | None) -> tuple[Finding, ...]:
    """Return what is wrong with any library; one that is missing is a note as long as another is there."""
    wanted = needed(installation) if installation else None
    if installation is None or wanted is None or not listed(installation):
        return ()
    found = tuple(finding for name in LIBRARIES for finding in _library(host, installation, wanted, name))
    missing = [finding for finding in found if finding.code == "library-missing"]
    noted = tuple(
        Finding(code=finding.code, level="note", message=finding.message, hint=finding.hint)
        if finding in missing and len(missing) < len(LIBRARIES)
        else finding
        for finding in found
    )
    return (*noted, *_torch(installation, wanted), *_moviepy(installation, "note"))


def for_run(decided: Plan, request: Request, host: Host) -> tuple[Finding, ...]:
    """Return what is wrong with the library of a plan, and with what its video needs."""
    installation = decided.isaaclab
    wanted = needed(installation)
    if wanted is None or not listed(installation):
        return ()
    video = tuple(_moviepy(installation, "error")) if request.video else ()
    library = (*_library(host, installation, wanted, decided.library), *_jax(decided))
    return (*library, *_torch(installation, wanted), *video)


def _library(host: Host, installation: Installation, wanted: Requirements, name: str) -> Iterator[Finding]:
    requirement = wanted.library(name)
    version = installation.package(requirement.distribution)
    install = pip(installation, f"{requirement.distribution}=={requirement.tested}")
    if version is None:
        message = f"{name} is not installed beside Isaac Lab {installation.version}"
        yield Finding(code="library-missing", level="error", message=message, hint=install)
    elif not requirement.accepts(version):
        why = "too old for" if requirement.minimum and older(version, requirement.minimum) else "too new for"
        message = f"{name} {version} is {why} Isaac Lab {installation.version}, which trains with {requirement.tested}"
        yield Finding(code="library-version", level="error", message=message, hint=install)
    if version is not None and name == "rl_games" and installation.generation > 2 and not installation.package("gym"):
        message = "rl_games needs gym, which is not installed"
        yield Finding(code="library-missing", level="error", message=message, hint=pip(installation, GYM))
    if version is not None and name == "rsl_rl" and host.git is False and not host.variable("GIT_PYTHON_REFRESH"):
        message = f"rsl_rl {version} does not start without git, and there is none"
        yield Finding(code="git-missing", level="error", message=message, hint="sudo apt-get install git")


def _jax(decided: Plan) -> Iterator[Finding]:
    """Yield that JAX is missing, which neither skrl nor Isaac Lab brings by itself."""
    if not (ranks.word(decided.argv, "--ml_framework") or "").startswith("jax"):
        return
    installation = decided.isaaclab
    missing = [name for name in ("jax", "flax", "optax") if installation.package(name) is None]
    if missing:
        cuda = (installation.torch_cuda or "").partition(".")[0]
        hint = pip(installation, f"jax[cuda{cuda}]" if cuda.isdecimal() else "jax", "flax", "optax")
        message = f"--ml_framework jax needs {', '.join(missing)}: not installed beside Isaac Lab"
        yield Finding(code="library-missing", level="error", message=message, hint=hint)


def _torch(installation: Installation, wanted: Requirements) -> Iterator[Finding]:
    version = installation.package("torch")
    if version is not None and older(version, wanted.torch):
        message = f"torch {version} is older than Isaac Lab {installation.version} is made for ({wanted.torch})"
        hint = pip(installation, torch_needed(installation))
        yield Finding(code="torch-version", level="warning", message=message, hint=hint)


def _moviepy(installation: Installation, level: Level) -> Iterator[Finding]:
    """Yield that videos cannot be written; what 3.0 asks for in its metadata is a version before 2."""
    version = installation.package("moviepy")
    new = version is not None and installation.generation > 2 and not older(version, "2")
    if version is not None and not new:
        return
    what = f"moviepy {version} is too new" if new else "moviepy is not installed"
    hint = pip(installation, "moviepy<2" if installation.generation > 2 else "moviepy")
    yield Finding(code="moviepy", level=level, message=f"a video cannot be written: {what}", hint=hint)
