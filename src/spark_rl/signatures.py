"""The texts by which failures are known: of Isaac Lab, Kit, PhysX, Warp, torch, NCCL and the RL libraries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_rl.records import Failure

CAUSE, BREAK, KILLED, FALLOUT, NOISE = range(5)
"""How much a line explains, most first.

A ``CAUSE`` is what began the failure. A ``BREAK`` is something that broke, for whatever reason: a native crash, and a
traceback that no table knows. ``KILLED`` tells that a rank was killed from outside. ``FALLOUT`` is what NCCL says
once a rank is gone. ``NOISE`` is printed by runs that go on as well, and counts when nothing else was said.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One known failure text.

    A line shows it when it holds one of ``literals`` and, where there is one, matches ``pattern``. ``what`` says what
    happened, ``hint`` the remedy; ``{name}`` in it stands for a group of ``pattern``.
    """

    failure: Failure
    what: str
    literals: tuple[str, ...]
    hint: str | None = None
    rank: int = CAUSE
    pattern: re.Pattern[str] | None = None

    def match(self, line: str) -> tuple[tuple[str, str], ...] | None:
        """Return the named groups of a line that shows it, None for any other line."""
        for literal in self.literals:
            if literal in line:
                return self._groups(line)
        return None

    def _groups(self, line: str) -> tuple[tuple[str, str], ...] | None:
        if self.pattern is None:
            return ()
        found = self.pattern.search(line)
        return tuple(found.groupdict(default="").items()) if found else None


def find(line: str) -> Signature | None:
    """Return what a line is known for: the first entry of :data:`SIGNATURES` that it shows."""
    if not may_tell(line):
        return None
    return next((signature for signature in SIGNATURES if signature.match(line) is not None), None)


def may_tell(line: str) -> bool:
    """Say whether a line may show a signature or begin a traceback; for most lines this is the only question asked.

    One look at its words and a few at pieces of text take well under a microsecond.
    """
    return (
        not _WORDS.isdisjoint(line.split())
        or "rror" in line
        or "ERROR" in line
        or "STATUS" in line
        or "lloc" in line
        or "oom" in line
        or "nccl" in line
        or "crash" in line
        or "EADDR" in line
        or "Capacity" in line
    )


HEADER = "Traceback (most recent call last)"
"""How a Python traceback begins."""

_FEWER = "use fewer environments (--num-envs)"
_REINSTALL = "install the version that this Isaac Lab pins: spark-rl doctor"
_TORCH = "install a torch that is built for this GPU; a DGX Spark needs the CUDA 13 build (cu130)"
_NAN = "look at rewards, observations and resets; a lower learning rate or a checkpoint from before it may help"
_AGAIN = "start it again from its last checkpoint: spark-rl runs resume; if it comes back, update the driver"
_ASSETS = "check the network, or use a local copy: --assets PATH"
_SIMULATOR = "install Isaac Sim into this environment, or choose a physics without it: physics=newton_mjwarp"
_ANOTHER_CHECKPOINT = "take an earlier one: --checkpoint PATH"


def _setup() -> Iterator[Signature]:
    """Yield what is wrong before a simulator runs: licence, installation, driver."""
    yield Signature(
        failure="user-error",
        what="NVIDIA's licence is not accepted",
        literals=("EULA not accepted", "Do you accept the EULA"),
        hint="read it, and accept it with OMNI_KIT_ACCEPT_EULA=YES in the environment",
    )
    yield Signature(
        failure="library-version",
        what="Isaac Sim is missing or incomplete",
        literals=(
            "Isaac Sim is not installed",
            "but its full runtime is unavailable",
            "No module named 'isaacsim",
            "No module named 'omni",
            "No module named 'carb",
        ),
        hint=_SIMULATOR,
    )
    yield Signature(
        failure="library-version",
        what="Isaac Lab has no Python",
        literals=("Unable to find any Python executable",),
        hint="run ./isaaclab.sh --install in the checkout, or activate its environment",
    )
    yield Signature(
        failure="library-version",
        what="a library cannot be loaded late",
        literals=("cannot allocate memory in static TLS block",),
        hint="it must be preloaded, as spark-rl does on aarch64 where LD_PRELOAD is left to it: spark-rl doctor",
    )
    yield Signature(
        failure="library-version",
        what="the GPU driver is too old",
        literals=(
            "NVIDIA driver on your system is too old",
            "CUDA driver version is insufficient for CUDA runtime version",
            "Warp requires CUDA driver",
        ),
        hint="update NVIDIA's driver",
    )
    yield Signature(
        failure="user-error",
        what="no usable GPU was found",
        literals=(
            "Found no NVIDIA driver on your system",
            "No CUDA GPUs are available",
            "no CUDA-capable device is detected",
            "CUDA driver initialization failed",
            "Unexpected error from cudaGetDeviceCount",
        ),
        hint="check nvidia-smi and CUDA_VISIBLE_DEVICES, or train on the CPU: --device cpu",
    )
    yield Signature(
        failure="user-error",
        what="there is no GPU of that number",
        literals=("invalid device ordinal",),
        hint="see the GPUs with spark-rl doctor; --device cuda:0 is the first that CUDA_VISIBLE_DEVICES leaves",
    )
    yield Signature(
        failure="library-version",
        what="torch does not fit this GPU",
        literals=(
            "no kernel image is available for execution on the device",
            "invalid value for --gpu-architecture",
            "Unsupported gpu architecture",
            "is not defined for option 'gpu-name'",
            "Torch not compiled with CUDA enabled",
        ),
        hint=_TORCH,
    )


def _memory() -> Iterator[Signature]:
    yield Signature(
        failure="out-of-memory",
        what="the GPU's memory is full",
        literals=(
            "CUDA out of memory",
            "torch.OutOfMemoryError",
            "torch.cuda.OutOfMemoryError",
            "CUDA error: out of memory",
            "Warp CUDA error 2:",
            "CUDA error 2:",
            "cudaErrorMemoryAllocation",
            "CUDA_ERROR_OUT_OF_MEMORY",
            "STATUS_ALLOC_FAILED",
            "PxgCudaDeviceMemoryAllocator fail to allocate memory",
            "ERROR_OUT_OF_DEVICE_MEMORY",
            "Out of GPU memory",
            "RESOURCE_EXHAUSTED: Out of memory",
        ),
        hint=_FEWER,
    )
    yield Signature(
        failure="out-of-memory",
        what="memory could not be had",
        literals=("Failed to allocate ",),
        pattern=re.compile(r"Failed to allocate \d+ bytes"),
        hint=_FEWER,
    )
    yield Signature(
        failure="out-of-memory",
        what="the machine's memory is full",
        literals=(
            "MemoryError",
            "DefaultCPUAllocator: ",
            "std::bad_alloc",
            "[Errno 12] Cannot allocate memory",
            "oom_kill event",
            "oom-kill event",
            "Out of memory: Killed process",
            "ERROR_OUT_OF_HOST_MEMORY",
        ),
        hint=_FEWER,
    )
    yield Signature(
        failure="out-of-memory",
        what="a buffer of PhysX is too small",
        literals=("Capacity to ", "buffer overflow detected"),
        pattern=re.compile(
            r"(?P<buffer>\w+Capacity|collisionStackSize|Patch buffer|Contact buffer)\D*?"
            r"(?:capacity|Capacity to|at least|overflow detected\D*)\s*(?P<size>\d+)"
        ),
        rank=NOISE,
    )


def _numbers() -> Iterator[Signature]:
    yield Signature(
        failure="nan",
        what="training met numbers that are none (NaN)",
        literals=(
            "to satisfy the constraint",
            "normal expects all elements of std >= 0.0",
            "probability tensor contains either",
            "contains NaN values",
            "contain NaN values",
            "invalid value (nan) encountered",
            "returned nan values",
            "NaN or Inf found",
        ),
        pattern=re.compile(
            r"Expected parameter \w+ \(.*satisfy the constraint|normal expects|probability tensor|"
            r"contains? NaN values|invalid value \(nan\)|returned nan|NaN or Inf"
        ),
        hint=_NAN,
    )
    yield Signature(
        failure="nan",
        what="the reward is no number (NaN)",
        literals=("nan",),
        pattern=re.compile(r"(?:[Rr]eward|ep_rew_mean)\W+nan\b"),
        hint=_NAN,
        rank=NOISE,
    )


def _assets() -> Iterator[Signature]:
    yield Signature(
        failure="missing-asset",
        what="there is no published checkpoint of this task",
        literals=("pre-trained checkpoint is currently unavailable", "No checkpoint available for framework"),
        hint="train one: spark-rl train, or name a file: --checkpoint PATH",
    )
    yield Signature(
        failure="user-error",
        what="the checkpoint does not exist",
        literals=("Unable to find the file", "Unable to find checkpoint"),
        pattern=re.compile(r"\.(?:pt|pth|zip|pickle)['\"]?\s*$"),
        hint="--checkpoint latest takes the newest run's",
    )
    yield Signature(
        failure="missing-asset",
        what="an asset could not be loaded",
        literals=(
            "Unable to find the file",
            "Failed to open USD",
            "USD file not found",
            "Could not open asset @",
            "Failed to open layer",
            "Unable to download file",
        ),
        hint=_ASSETS,
    )
    yield Signature(
        failure="missing-asset",
        what="the network gave no answer",
        literals=(
            "Temporary failure in name resolution",
            "Name or service not known",
            "nodename nor servname provided",
            "NameResolutionError",
            "Could not resolve host",
        ),
        hint=_ASSETS,
        rank=BREAK,
    )


def _request() -> Iterator[Signature]:
    """Yield what is wrong with what was asked for."""
    yield Signature(
        failure="user-error",
        what="Isaac Lab does not know the task",
        literals=("error.NameNotFound", "error.DeprecatedEnv", "error.VersionNotFound", "error.NamespaceNotFound"),
        hint="see the tasks: spark-rl list-envs",
    )
    yield Signature(
        failure="user-error",
        what="no task was named",
        literals=("'NoneType' object has no attribute 'split'",),
        hint="name one with --task",
    )
    yield Signature(
        failure="user-error",
        what="the command line was refused",
        literals=(
            "the following argument is required",
            "the following arguments are required",
            "unrecognized arguments:",
            "invalid choice:",
            "error: argument ",
        ),
        hint="see the options: spark-rl train --help; what follows -- goes to Isaac Lab untouched",
    )
    yield Signature(
        failure="user-error",
        what="this task cannot be trained that way",
        literals=(
            "Could not find configuration for the environment",
            "Could not find RL configuration",
            "Requested SKRL algorithm",
        ),
        hint="see its libraries and algorithms: spark-rl describe TASK",
    )
    yield Signature(
        failure="user-error",
        what="a preset is not known",
        literals=("Unknown preset(s)", "Typed preset selector(s)", "Invalid backend combination"),
        hint="see its presets: spark-rl describe TASK",
    )
    yield Signature(
        failure="user-error",
        what="an override was refused",
        literals=(
            "Could not override",
            "is not in struct",
            "no viable alternative at input",
            "mismatched input",
            "Error merging override",
            "Could not append to config",
            "Could not delete from config",
        ),
        hint="check its spelling; +KEY=VALUE adds a key that is not there",
    )
    yield Signature(
        failure="user-error",
        what="there is no run or checkpoint to load",
        literals=(
            "No runs present in the directory",
            "No checkpoints in the directory",
            "No compatible manifested run",
        ),
        hint="train one first, or name the file: --checkpoint PATH",
    )
    yield Signature(
        failure="user-error",
        what="the checkpoint is damaged",
        literals=(
            "PytorchStreamReader failed",
            "failed finding central directory",
            "File is not a zip file",
            "UnpicklingError",
            "Ran out of input",
        ),
        hint=_ANOTHER_CHECKPOINT,
    )
    yield Signature(
        failure="user-error",
        what="the checkpoint does not fit the networks of this task and library",
        literals=("loading state_dict", "size mismatch for"),
        pattern=re.compile(r"Error\(s\) in loading state_dict|size mismatch for"),
        hint="take one of the same task, library, algorithm and network sizes",
    )
    yield Signature(
        failure="user-error",
        what="the number of environments does not fit the batches",
        literals=("must be divisible by", "self.batch_size % self.minibatch_size"),
        pattern=re.compile(r"batch_?size|minibatch", re.IGNORECASE),
        hint="take more environments, or agent.params.config.minibatch_size=N that divides --num-envs x horizon",
    )
    yield Signature(
        failure="user-error",
        what="what was asked for does not go together",
        literals=(
            "--video is not",
            "requires a visualizer that can capture",
            "Distributed training is not supported when using CPU",
            "entity must be specified for tracking",
            "Distillation training requires --checkpoint",
        ),
        pattern=re.compile(r"(?P<reason>--video is not.*|requires a visual.*|Distributed.*|.*entity must.*|Dist.*)"),
        hint="leave one of the two out",
    )
    yield Signature(
        failure="user-error",
        what="the disk is full",
        literals=("No space left on device",),
        hint="free some space, then resume",
    )
    yield Signature(
        failure="user-error",
        what="a file may not be written or read",
        literals=("PermissionError: [Errno 13]", "Read-only file system"),
        hint="check the owner and the permissions of that folder",
    )


_LIBRARIES = r"rsl_rl|rl_games|skrl|stable_baselines3|gym|torchrl|tensordict|jax|flax|optax|gymnasium|torch|warp|newton"


def _libraries() -> Iterator[Signature]:
    yield Signature(
        failure="library-version",
        what="an RL library has the wrong version",
        literals=("install the correct version of RSL-RL", "Unsupported skrl version"),
        hint=_REINSTALL,
    )
    yield Signature(
        failure="library-version",
        what="a video cannot be written",
        literals=("requires MoviePy", "No module named 'moviepy"),
        hint="install it into Isaac Lab's Python: pip install 'moviepy<2'",
    )
    yield Signature(
        failure="library-version",
        what="the Python package {package} is missing or of the wrong version",
        literals=("No module named '",),
        pattern=re.compile(r"No module named '(?P<package>[\w.]+)'"),
        hint=_REINSTALL,
    )
    yield Signature(
        failure="library-version",
        what="the Python package {package} has the wrong version",
        literals=("cannot import name '",),
        pattern=re.compile(r"cannot import name '\w+' from '(?P<package>[\w.]+)'"),
        hint=_REINSTALL,
    )
    yield Signature(
        failure="library-version",
        what="Python packages do not fit together",
        literals=(
            "A module that was compiled using NumPy 1.x cannot be run in",
            "numpy.dtype size changed, may indicate binary incompatibility",
            "undefined symbol: ",
            "multiarray failed to import",
            "KeyError: 'rnd_cfg'",
            "KeyError: 'class_name'",
            "KeyError: 'obs_groups'",
        ),
        hint=_REINSTALL,
    )


def _crashes() -> Iterator[Signature]:
    yield Signature(
        failure="native-crash",
        what="a native library crashed",
        rank=BREAK,
        literals=(
            "an illegal memory access was encountered",
            "CUDA error 700:",
            "unspecified launch failure",
            "CUDA error: misaligned address",
            "an illegal instruction was encountered",
            "CUDA_ERROR_ILLEGAL_ADDRESS",
            "CUDA_ERROR_LAUNCH_FAILED",
            "uncorrectable ECC error",
            "GPU is lost",
            "ERROR_DEVICE_LOST",
            "GPU crash",
            "STATUS_EXECUTION_FAILED",
            "PhysX Internal CUDA error",
            "PhysX has reported too many errors",
            "Segmentation fault",
            "Bus error",
            "Illegal instruction (core dumped)",
            "Aborted (core dumped)",
            "double free or corruption",
            "malloc(): ",
            "free(): invalid",
            "corrupted size vs. prev_size",
            "terminate called after throwing",
            "crashreporter",
            "crash has occurred",
            "Fatal Python error: Aborted",
            "Fatal Python error: Floating",
            "Fatal Python error: Illegal",
        ),
        pattern=re.compile(r"^(?!.*(?:c10::DistBackendError|crashreporter.*(?:enabled|initial|product|disabled))).*"),
        hint=_AGAIN,
    )
    yield Signature(
        failure="out-of-memory",
        what="a rank was killed: is the machine out of memory?",
        rank=KILLED,
        literals=("exitcode", "Signal 9 (SIGKILL)"),
        pattern=re.compile(r"exitcode\s*:\s*-9\b|Signal 9 \(SIGKILL\)"),
        hint=_FEWER,
    )
    yield Signature(
        failure="native-crash",
        what="a rank crashed",
        rank=KILLED,
        literals=("exitcode",),
        pattern=re.compile(r"exitcode\s*:\s*-(?:4|6|7|8|11)\b"),
        hint=_AGAIN,
    )


def _ranks() -> Iterator[Signature]:
    yield Signature(
        failure="nccl",
        what="a port for the ranks is taken",
        literals=("EADDRINUSE", "Address already in use", "address already in use"),
        hint="another run uses it: wait for its end, or give another with MASTER_PORT=29511",
    )
    yield Signature(
        failure="nccl",
        what="several ranks were given the same GPU",
        literals=("Duplicate GPU detected",),
        hint="start at most one rank for each GPU: --gpus",
    )
    yield Signature(
        failure="nccl",
        what="the ranks lost each other",
        rank=FALLOUT,
        literals=(
            "NCCL error",
            "NCCL Error",
            "NCCL WARN",
            "ncclUnhandledCudaError",
            "ncclSystemError",
            "ncclInternalError",
            "ncclRemoteError",
            "ncclInvalidUsage",
            "DistBackendError",
            "DistNetworkError",
            "DistStoreError",
            "Watchdog caught collective operation timeout",
            "NCCL watchdog thread terminated",
            "RendezvousConnectionError",
            "RendezvousTimeoutError",
            "client socket has failed",
            "client socket has timed out",
        ),
        hint="see the first error of each rank in its log; NCCL_DEBUG=INFO tells more",
    )


def _noise() -> Iterator[Signature]:
    yield Signature(
        failure="library-version",
        what="PhysX left the GPU",
        rank=NOISE,
        literals=("switching to software", "not compatible with the current PyTorch installation"),
        hint=_TORCH,
    )


SIGNATURES: tuple[Signature, ...] = (
    *_setup(),
    *_memory(),
    *_numbers(),
    *_assets(),
    *_request(),
    *_libraries(),
    *_ranks(),
    *_crashes(),
    *_noise(),
)
"""Every known text; a line is taken for the first that it shows."""


_PIECES = ("rror", "ERROR", "STATUS", "lloc", "oom", "nccl", "crash", "EADDR", "Capacity")
_EDGES = frozenset(
    (
        *(
            "nan",
            "unrecognized",
            "choice:",
            "preset(s)",
            "mismatched",
            "PytorchStreamReader",
            "loading",
            "%",
            "--video",
        ),
        *("MoviePy", "WARN", "lost", "lost.", "fault", "malloc():", "free():", "exitcode", "(SIGKILL)", "switching"),
        *("ordinal", "--gpu-architecture"),
    )
)
"""Words by which the texts are known that have no word between two others."""

_COMMON = ("value", "device")
"""Words that every healthy run prints."""


def _words() -> Iterator[str]:
    """Yield a word of each text that holds none of the pieces: its longest one that stands between two others."""
    for literal in (HEADER, *(literal for signature in SIGNATURES for literal in signature.literals)):
        inner = max((word for word in literal.split(" ")[1:-1] if word not in _COMMON), key=len, default="")
        if len(inner) > 2 and not any(piece in literal for piece in _PIECES):
            yield inner


_WORDS = frozenset(_words()) | _EDGES
