"""Facts of this machine, and of another one that a ``doctor --json`` document describes."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from spark_rl.errors import RequestError
from spark_rl.model import Folder, Gpu, GpuProcess, Host, Installation, Interface, Kind, RdmaDevice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spark_rl.memory import Memory

SCHEMA = "spark-rl/doctor/1"

VARIABLES = (
    "CONDA_DEFAULT_ENV",
    "CONDA_PREFIX",
    "CUDA_DEVICE_ORDER",
    "CUDA_VISIBLE_DEVICES",
    "DISPLAY",
    "GIT_PYTHON_REFRESH",
    "GLOO_SOCKET_IFNAME",
    "HOME",
    "ISAACSIM_ASSET_ROOT",
    "LD_PRELOAD",
    "LOCAL_RANK",
    "NCCL_IB_DISABLE",
    "NCCL_IB_HCA",
    "NCCL_SOCKET_IFNAME",
    "OMNI_KIT_ACCEPT_EULA",
    "PYTHONEXE",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "WAYLAND_DISPLAY",
    "WORLD_SIZE",
)
"""The environment variables that decide something in a plan."""


def probe(memory: Memory, environ: Mapping[str, str] | None = None) -> Host:
    """Return the facts of this machine; takes no more than a few files and NVML where there is a driver."""
    environ = os.environ if environ is None else environ
    gpus, driver, cuda = _gpus()
    return Host(
        machine=platform.machine(),
        os=_os_name(),
        cpu_count=len(os.sched_getaffinity(0)),
        memory_total_mib=memory.total_mib,
        memory_available_mib=memory.available_mib or 0,
        libgomp=find_library("libgomp.so.1", platform.machine()),
        gl=all(find_library(name, platform.machine()) for name in ("libGL.so.1", "libEGL.so.1")),
        git=_on_path("git", environ),
        glibc=_glibc(),
        driver=driver,
        cuda=cuda,
        gpus=gpus,
        display=bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")),
        asset_root=_asset_root(environ.get("ISAACSIM_ASSET_ROOT")),
        environ=environ_facts(environ),
    )


def folders(cwd: Path, environ: Mapping[str, str] | None = None) -> tuple[Folder, ...]:
    """Return the folders of this machine that a run in ``cwd`` writes to."""
    environ = os.environ if environ is None else environ
    cache = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    temp = Path(environ.get("TMPDIR") or "/tmp")  # noqa: S108 - the module tempfile takes 5 ms to load
    return look({"logs": (cwd / "logs",), "cache": (cache,), "temp": (temp,), "shm": (Path("/dev/shm"),)})  # noqa: S108


def look(folders: Mapping[str, Iterable[Path]]) -> tuple[Folder, ...]:
    """Return what can be written to folders, given by purpose; one that is yet to be made counts as its parent."""
    return tuple(
        folder for purpose, paths in folders.items() for folder in (_folder(purpose, path) for path in paths) if folder
    )


def _folder(purpose: str, path: Path) -> Folder | None:
    existing = next((place for place in (path, *path.parents) if os.path.exists(place)), None)  # noqa: PTH110 - no error
    if existing is None:
        return None
    try:
        disk = os.statvfs(existing)
    except OSError:
        return None
    if not disk.f_blocks:  # some network file systems do not tell
        return None
    free = disk.f_bavail * disk.f_frsize // 2**20
    return Folder(purpose=purpose, path=str(path), free_mib=free, writable=os.access(existing, os.W_OK | os.X_OK))


def _asset_root(root: str | None) -> bool | None:
    """Say whether a local asset root holds Isaac's folder, None for an address or none."""
    return None if not root or "://" in root else os.path.isdir(f"{root}/Isaac")  # noqa: PTH112 - no error


def _on_path(program: str, environ: Mapping[str, str]) -> bool:
    places = (f"{folder}/{program}" for folder in environ.get("PATH", os.defpath).split(":"))
    return any(os.access(place, os.X_OK) for place in places)


def _glibc() -> str | None:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").removeprefix("glibc ") or None
    except (ValueError, OSError):  # another C library
        return None


def environ_facts(environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the variables that decide something, sorted by name."""
    return tuple((name, environ[name]) for name in VARIABLES if name in environ)


def find_library(name: str, machine: str) -> str | None:
    """Return the path of a system library, None when none of the usual folders has it."""
    folders = (f"/lib/{machine}-linux-gnu", f"/usr/lib/{machine}-linux-gnu", "/lib64", "/usr/lib64", "/usr/lib")
    return next((f"{folder}/{name}" for folder in folders if Path(folder, name).exists()), None)


def load(file: Path, environ: Mapping[str, str] | None = None) -> tuple[Host, tuple[Installation, ...]]:
    """Read the host and the installations of a ``doctor --json`` document.

    Variables come from the caller's environment: the document describes the machine, not the shell.

    Raises:
        RequestError: The file cannot be read or is not such a document.
    """
    environ = os.environ if environ is None else environ
    hint = "write one there with: spark-rl doctor --json > host.json"
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise RequestError(f"{file} is not a {SCHEMA} document", hint)
        host = _host(document["host"], environ)
        found = tuple(_installation(entry) for entry in document.get("isaaclab", []))
    except OSError as error:
        raise RequestError(f"{file} cannot be read: {error.strerror}", hint) from error
    except KeyError as error:
        raise RequestError(f"{file} is not a {SCHEMA} document: it has no {error}", hint) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise RequestError(f"{file} is not a {SCHEMA} document: {error}", hint) from error
    return host, found


def _host(values: dict[str, Any], environ: Mapping[str, str]) -> Host:
    gpus = tuple(Gpu(**_fields(Gpu, gpu), processes=_processes(gpu)) for gpu in values.get("gpus", []))
    folders = tuple(Folder(**_fields(Folder, folder)) for folder in values.get("folders", []))
    return Host(
        **_fields(Host, values),
        gpus=gpus,
        folders=folders,
        interfaces=_interfaces(values),
        rdma=_rdma(values),
        environ=environ_facts(environ),
    )


def _interfaces(values: dict[str, Any]) -> tuple[Interface, ...]:
    listed = values.get("interfaces", [])
    return tuple(Interface(**_fields(Interface, one), addresses=tuple(one.get("addresses", []))) for one in listed)


def _rdma(values: dict[str, Any]) -> tuple[RdmaDevice, ...]:
    return tuple(RdmaDevice(**_fields(RdmaDevice, one)) for one in values.get("rdma", []))


def _processes(gpu: dict[str, Any]) -> tuple[GpuProcess, ...]:
    return tuple(GpuProcess(**_fields(GpuProcess, process)) for process in gpu.get("processes", []))


def _installation(values: dict[str, Any]) -> Installation:
    given = _fields(Installation, values) | {"kind": values["kind"]}
    if given["kind"] not in get_args(Kind) or not given["version"][:1].isdecimal():
        raise ValueError(f"{given['kind']} {given['version']} is no Isaac Lab")
    packages = tuple((str(name), str(version)) for name, version in values.get("packages", []))
    # A document of the contract's keys alone does not say: a checkout has Isaac Sim beside it, the package is kit-less.
    given.setdefault("isaacsim", given["kind"] == "checkout")
    return Installation(**given, packages=packages)


def _fields(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    """Return the plain fields of a value of ``kind``, lists left out; fields of a newer spark-rl do not count.

    Raises:
        KeyError: A field without a default is missing.
        TypeError: A field is of another type.
    """
    types = get_type_hints(kind)
    plain = [field for field in fields(kind) if get_origin(types[field.name]) not in (tuple, Literal)]
    given = {field.name: values[field.name] for field in plain if field.default is MISSING or field.name in values}
    for name, value in given.items():
        if not isinstance(value, types[name]):
            raise TypeError(f"{name} is {value!r}")
    return given


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()


def _gpus() -> tuple[tuple[Gpu, ...], str | None, str | None]:
    """Return the GPUs NVML lists, the driver's version and its newest CUDA; nothing where there is no driver."""
    if not any(Path(path).exists() for path in ("/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia")):
        return (), None, None
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return (), None, None
    try:
        gpus = tuple(_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount()))
        return gpus, _text(pynvml.nvmlSystemGetDriverVersion()), _cuda(pynvml)
    except pynvml.NVMLError:
        return (), None, None
    finally:
        pynvml.nvmlShutdown()


def _cuda(nvml: Any) -> str | None:
    number = _asked(nvml, "nvmlSystemGetCudaDriverVersion_v2")
    return f"{number // 1000}.{number % 1000 // 10}" if number else None


def _gpu(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    # GB10 shares the system's memory, so the driver has no number to give.
    memory = _asked(nvml, "nvmlDeviceGetMemoryInfo", handle)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    uuid = _asked(nvml, "nvmlDeviceGetUUID", handle)
    rates = _asked(nvml, "nvmlDeviceGetUtilizationRates", handle)
    processes = _asked(nvml, "nvmlDeviceGetComputeRunningProcesses", handle) or ()
    return Gpu(
        index=index,
        name=_text(nvml.nvmlDeviceGetName(handle)),
        memory_total_mib=memory.total // 2**20 if memory else None,
        unified=memory is None,
        compute_capability=f"{major}.{minor}",
        uuid=_text(uuid) if uuid else None,
        memory_free_mib=memory.free // 2**20 if memory else None,
        utilization=rates.gpu if rates else None,
        processes=tuple(_process(process) for process in processes),
    )


def _asked(nvml: Any, call: str, *arguments: Any) -> Any:
    """Return what the driver answers, None where it has no answer, or pynvml is older than the question."""
    try:
        return getattr(nvml, call)(*arguments)
    except (nvml.NVMLError, AttributeError):
        return None


def _process(process: Any) -> GpuProcess:
    try:
        name = Path(f"/proc/{process.pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # it ended, or lives in another container
        name = None
    used = process.usedGpuMemory
    return GpuProcess(pid=process.pid, name=name, memory_mib=None if used is None else used // 2**20)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
