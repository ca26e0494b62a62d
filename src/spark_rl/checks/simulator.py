"""Isaac Sim, or its absence: what its start and its rendering need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl.checks.libraries import needed
from spark_rl.model import Finding
from spark_rl.profiles.requirements import older
from spark_rl.text import either

if TYPE_CHECKING:
    from spark_rl.model import Gpu, Host, Installation, Level, Plan, Request

GLIBC = "2.35"
"""Isaac Sim 5 and 6 are built against it (Ubuntu 22.04)."""

_ACCEPTED = ("y", "yes", "1")
_WITHOUT_RT_CORES = ("A100", "A30", "A800", "H100", "H200", "H800", "H20", "B200", "GB200", "V100", "P100")


def version(installation: Installation) -> str | None:
    """Return the version of the Isaac Sim that an installation runs in, None when it is not known."""
    return installation.sim_version or installation.package("isaacsim")


def lines(installation: Installation | None) -> tuple[str, ...]:
    """Return the facts in words."""
    if installation is None:
        return ()
    if installation.kitless:
        return ("none: tasks with Newton physics run, those that need PhysX do not",)
    number = version(installation)
    known = installation.isaacsim or number is not None
    told = f"Isaac Sim{f' {number}' if number else ''}" if known else "Isaac Sim was not found beside the checkout"
    if installation.sim_python is not None:
        return (told, "its python.sh overwrites LD_PRELOAD; spark-rl puts it back")
    return (told,)


def findings(host: Host, installation: Installation | None) -> tuple[Finding, ...]:
    """Return what will stop or hinder the simulator."""
    gl = _gl(host)
    if installation is None or installation.kitless:
        return gl
    cores = tuple(finding for gpu in host.gpus[:1] for finding in _rt_cores(gpu, "note"))
    return (*_present(installation), *_start(host, installation), *cores, *gl)


def for_run(decided: Plan, request: Request, host: Host, used: tuple[Gpu, ...]) -> tuple[Finding, ...]:
    """Return what will stop or hinder the simulator of a plan; nothing where none is started."""
    if not _starts_kit(decided):
        return ()
    renders = request.video or decided.task.task.cameras
    cores = tuple(finding for gpu in used[:1] for finding in _rt_cores(gpu, "warning")) if renders else ()
    return (*_start(host, decided.isaaclab), *cores)


def _starts_kit(decided: Plan) -> bool:
    """Say whether a run starts Isaac Sim: always on 2.x; on 3.0 for PhysX tasks, its window and its own video."""
    installation, argv = decided.isaaclab, decided.argv
    if installation.generation < 3:
        return True
    if installation.isaacsim is not True:
        return False
    words = {"isaacsim_physx", "physx", "kit"} & {word.rpartition("=")[2] for word in argv}
    video = "--video" in argv and not {"newton_gl", "newton"} & set(argv)
    return bool(words) or video or decided.task.task.kitless is False


def _present(installation: Installation) -> tuple[Finding, ...]:
    if installation.isaacsim is not None or version(installation) is not None:
        return ()
    return (
        Finding(
            code="isaacsim-missing",
            level="error",
            message=f"{installation.path} has no _isaac_sim, and no active environment has Isaac Sim",
            hint=f"ln -s PATH_OF_ISAAC_SIM {installation.path}/_isaac_sim, or activate the environment that has it",
        ),
    )


def _start(host: Host, installation: Installation) -> tuple[Finding, ...]:
    return (*_glibc(host, installation), *_release(installation), *_licence(host, installation))


def _glibc(host: Host, installation: Installation) -> tuple[Finding, ...]:
    if host.glibc is None or not older(host.glibc, GLIBC):
        return ()
    return (
        Finding(
            code="glibc-old",
            # Isaac Sim 4.5, beside the releases before 2.2, has a download for older systems.
            level="warning" if older(installation.version, "2.2") else "error",
            message=f"Isaac Sim needs glibc {GLIBC} (Ubuntu 22.04), and {host.os} has {host.glibc}",
            hint="run it in NVIDIA's container (nvcr.io/nvidia/isaac-lab), or on Ubuntu 22.04 or newer",
        ),
    )


def _release(installation: Installation) -> tuple[Finding, ...]:
    number, wanted = version(installation), needed(installation)
    if number is None or wanted is None or any(f"{number}.".startswith(f"{known}.") for known in wanted.simulators):
        return ()
    return (
        Finding(
            code="isaacsim-version",
            level="warning",
            message=f"Isaac Lab {installation.version} is made for Isaac Sim {either(wanted.simulators)}, not {number}",
            hint=f"install Isaac Sim {wanted.simulators[-1]}, or name an Isaac Lab for {number} with --isaaclab PATH",
        ),
    )


def _licence(host: Host, installation: Installation) -> tuple[Finding, ...]:
    """Return that nobody has accepted Isaac Sim's licence: the packaged simulator asks, where nobody can answer."""
    said = (host.variable("OMNI_KIT_ACCEPT_EULA") or "").lower()
    if installation.eula is not False or said in _ACCEPTED:
        return ()
    return (
        Finding(
            code="eula",
            # Where 2.x's packages keep an answer given at their prompt is not sure.
            level="error" if installation.generation > 2 else "warning",
            message="Isaac Sim's licence is not accepted on this machine: the simulator would ask, and end unanswered",
            hint="read it (https://docs.omniverse.nvidia.com/eula), then: export OMNI_KIT_ACCEPT_EULA=YES",
        ),
    )


def _rt_cores(gpu: Gpu, level: Level) -> tuple[Finding, ...]:
    if not any(name in gpu.name.replace("-", " ").split() for name in _WITHOUT_RT_CORES):
        return ()
    return (
        Finding(
            code="rt-cores-missing",
            level=level,
            message=f"{gpu.name} has no RT cores: Isaac Sim trains on it, but does not support rendering there",
            hint="record videos and train camera tasks on an RTX GPU",
        ),
    )


def _gl(host: Host) -> tuple[Finding, ...]:
    if host.gl is not False:
        return ()
    return (
        Finding(
            code="gl-missing",
            level="note",
            message="videos cannot be rendered: the GL and EGL libraries are missing",
            hint="sudo apt-get install libgl1 libegl1 libegl-mesa0 libgl1-mesa-dri",
        ),
    )
