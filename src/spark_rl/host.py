"""Facts of this machine, and of another one that a ``doctor --json`` document describes."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from spark_rl.errors import RequestError
from spark_rl.model import Gpu, Host, Installation, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "spark-rl/doctor/1"

VARIABLES = (
    "CONDA_PREFIX",
    "CUDA_VISIBLE_DEVICES",
    "DISPLAY",
    "HOME",
    "ISAACSIM_ASSET_ROOT",
    "LD_PRELOAD",
    "LOCAL_RANK",
    "PYTHONEXE",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "WAYLAND_DISPLAY",
    "WORLD_SIZE",
)
"""The environment variables that decide something in a plan."""


def probe(environ: Mapping[str, str] | None = None) -> Host:
    """Return the facts of this machine; takes no more than a few files and NVML where there is a driver."""
    environ = os.environ if environ is None else environ
    memory = _meminfo()
    gpus, driver = _gpus()
    return Host(
        machine=platform.machine(),
        os=_os_name(),
        cpu_count=len(os.sched_getaffinity(0)),
        memory_total_mib=memory.get("MemTotal", 0),
        memory_available_mib=memory.get("MemAvailable", 0),
        libgomp=find_library("libgomp.so.1", platform.machine()),
        gl=all(find_library(name, platform.machine()) for name in ("libGL.so.1", "libEGL.so.1")),
        driver=driver,
        gpus=gpus,
        display=bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")),
        environ=environ_facts(environ),
    )


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
    gpus = tuple(Gpu(**_fields(Gpu, gpu)) for gpu in values.get("gpus", []))
    return Host(**_fields(Host, values), gpus=gpus, environ=environ_facts(environ))


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


def _meminfo() -> dict[str, int]:
    """Return /proc/meminfo in MiB."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    return {line.split(":")[0]: int(line.split()[1]) // 1024 for line in lines if line.endswith("kB")}


def _gpus() -> tuple[tuple[Gpu, ...], str | None]:
    """Return the GPUs NVML lists and the driver version; nothing where there is no driver."""
    if not any(Path(path).exists() for path in ("/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia")):
        return (), None
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return (), None
    try:
        gpus = tuple(_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount()))
        return gpus, _text(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return (), None
    finally:
        pynvml.nvmlShutdown()


def _gpu(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle).total // 2**20
    except nvml.NVMLError:
        # GB10 shares the system's memory, so the driver has no number to give.
        memory = None
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return Gpu(
        index=index,
        name=_text(nvml.nvmlDeviceGetName(handle)),
        memory_total_mib=memory,
        unified=memory is None,
        compute_capability=f"{major}.{minor}",
    )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
