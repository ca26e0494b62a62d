"""A driver with GPUs that are made up; stands in for the module ``pynvml``."""

from __future__ import annotations

from types import SimpleNamespace


class NVMLError(Exception):
    """What every call raises that the driver cannot answer."""


class Driver(SimpleNamespace):
    """The calls that spark-rl makes. ``memory`` is in bytes for each GPU, None where the driver reports none.

    ``processes`` are (pid, bytes or None) of what computes on GPU 0.
    """

    NVMLError = NVMLError

    def __init__(
        self,
        memory: tuple[int | None, ...] = (),
        *,
        broken: str = "",
        as_bytes: bool = False,
        processes: tuple[tuple[int, int | None], ...] = (),
    ) -> None:
        super().__init__()
        self.processes = processes
        self.memory, self.broken, self.as_bytes, self.closed = memory, broken, as_bytes, False

    def __getattribute__(self, name: str) -> object:
        if name.startswith("nvml") and name == object.__getattribute__(self, "broken"):
            return self._refuse
        return object.__getattribute__(self, name)

    def _refuse(self, *_: object) -> None:
        raise NVMLError("not supported")

    def _text(self, text: str) -> str | bytes:
        return text.encode() if self.as_bytes else text

    def nvmlInit(self) -> None:  # noqa: N802
        pass

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.closed = True

    def nvmlSystemGetDriverVersion(self) -> str | bytes:  # noqa: N802
        return self._text("580.95.05")

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.memory)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetName(self, handle: int) -> str | bytes:  # noqa: N802
        return self._text(f"NVIDIA {handle}")

    def nvmlDeviceGetCudaComputeCapability(self, handle: int) -> tuple[int, int]:  # noqa: N802
        return (12, 1)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:  # noqa: N802
        total = self.memory[handle]
        if total is None:
            raise NVMLError("not supported")
        return SimpleNamespace(total=total, free=total // 2, used=total - total // 2)

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:  # noqa: N802
        return 13000

    def nvmlDeviceGetUUID(self, handle: int) -> str | bytes:  # noqa: N802
        return self._text(f"GPU-{handle}")

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(gpu=7)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[SimpleNamespace]:  # noqa: N802
        held = self.processes if handle == 0 else ()
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in held]
