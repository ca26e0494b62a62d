"""What failures look like in a trainer's output, what they mean and what helps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spark_rl.records import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A text that tells a failure: its class, and the remedy; ``needle`` is in every line that the pattern matches.

    ``{0}`` in the hint is what the pattern's group found.
    """

    failure: Failure
    needle: str
    pattern: re.Pattern[str]
    hint: str | None = None

    def find(self, line: str) -> re.Match[str] | None:
        """Return where the line tells it."""
        return self.pattern.search(line) if self.needle in line else None


def _sign(failure: Failure, needle: str, hint: str | None = None, pattern: str | None = None) -> Signature:
    return Signature(failure=failure, needle=needle, pattern=re.compile(pattern or re.escape(needle)), hint=hint)


_FEWER = "use fewer environments: --num-envs N"
_INSTALL = "install what this Isaac Lab asks for: spark-rl doctor"

SIGNATURES: tuple[Signature, ...] = (
    # Memory comes first: what follows it (a broken collective, a crash) is only its echo.
    _sign("out-of-memory", "CUDA out of memory", _FEWER),
    _sign("out-of-memory", "OutOfMemoryError", _FEWER),
    _sign("out-of-memory", "Failed to allocate", _FEWER, r"Failed to allocate \d+ bytes"),
    _sign("out-of-memory", "CUDA_ERROR_OUT_OF_MEMORY", _FEWER),
    _sign("out-of-memory", "CUDA error 2: out of memory", _FEWER),
    _sign("out-of-memory", "cudaErrorMemoryAllocation", _FEWER),
    _sign("out-of-memory", "CUBLAS_STATUS_ALLOC_FAILED", _FEWER),
    _sign("out-of-memory", "fail to allocate", _FEWER, r"(?i)physx.*fail(?:ed)? to allocate"),
    _sign(
        "out-of-memory",
        "buffer overflow",
        "raise PhysX's buffer: env.sim.physx.gpu_found_lost_pairs_capacity=N and its like, or use fewer environments",
        r"(?i)(?:overflow detected|buffer overflow).*(?:increase|gpu_|PxgDynamics|pairs)",
    ),
    _sign(
        "out-of-memory",
        "increase PxGpuDynamicsMemoryConfig",
        "raise env.sim.physx.gpu_{0}=N (PhysX says how much), or use fewer environments",
        r"PxGpuDynamicsMemoryConfig::(\w+)",
    ),
    _sign("out-of-memory", "MemoryError", _FEWER, r"^(?:numpy\._core\._exceptions\._Array)?MemoryError\b"),
    _sign("out-of-memory", "DefaultCPUAllocator", _FEWER, r"DefaultCPUAllocator: (?:can't allocate|not enough) memory"),
    _sign("out-of-memory", "unable to mmap", "give the container more shared memory: --shm-size=8g"),
    _sign("out-of-memory", "No space left on device", "free some disk space where the run writes"),
    _sign(
        "nan",
        "found invalid values",
        "lower the learning rate, clip actions and observations",
        r"(?s)constraint Real\(\)|found invalid values",
    ),
    _sign("nan", "normal expects all elements of std >= 0.0", "lower the learning rate or the entropy coefficient"),
    _sign("nan", "probability tensor contains either `inf`, `nan`", "lower the learning rate"),
    _sign("nan", "contains NaN", "see what the environment returns: rewards, observations", r"(?i)contains nan"),
    _sign(
        "nan", "NaN", "lower the learning rate; see what the environment returns", r"^\w*(?:Error|Exception): .*\bNaN\b"
    ),
    _sign(
        "missing-asset",
        "Unable to find the file",
        "check the asset root and the network: --assets PATH names a local copy",
    ),
    _sign(
        "missing-asset", "Failed to open layer", "check the asset root: --assets PATH", r"Failed to open layer @?(\S+)"
    ),
    _sign("missing-asset", "USD file not found", "check the asset root: --assets PATH", r"(?i)usd file not found"),
    _sign("missing-asset", "Could not open asset", "check the asset root: --assets PATH"),
    _sign(
        "missing-asset",
        "Unable to open the usd file",
        "check the asset root: --assets PATH",
        r"(?i)unable to open the usd file",
    ),
    _sign("missing-asset", "Could not resolve host", "this machine does not reach the asset host: --assets PATH"),
    _sign(
        "library-version",
        "Please install the correct version of RSL-RL",
        _INSTALL,
    ),
    _sign(
        "library-version",
        "Unsupported skrl version",
        "install it: pip install '{0}'",
        r"Unsupported skrl version.*?'pip install ([^']+)'|Unsupported skrl version",
    ),
    _sign("library-version", "unsupported RSL-RL version", _INSTALL, r"(?i)unsupported rsl-?rl(?:-lib)? version"),
    _sign(
        "library-version",
        "No module named",
        "install it into Isaac Lab's Python: pip install {0}",
        r"No module named '(rsl_rl|rl_games|skrl|stable_baselines3|gym|torchrl|moviepy|tensorboard|wandb)\b",
    ),
    _sign("library-version", "No module named 'isaacsim'", "use the Python that has Isaac Sim: spark-rl doctor"),
    _sign(
        "library-version",
        "no kernel image is available",
        "install a torch built for this GPU: GB10 and other Blackwell need CUDA 13 or 12.8",
    ),
    _sign(
        "library-version",
        "is not compatible with the current PyTorch installation",
        "install a torch built for this GPU",
    ),
    _sign(
        "library-version", "cannot allocate memory in static TLS block", "preload the system's libgomp: spark-rl doctor"
    ),
    _sign(
        "library-version",
        "Isaac Sim is not installed",
        "install Isaac Sim: pip install 'spark-rl[isaacsim]', or use a kit-less task",
    ),
    _sign(
        "library-version",
        "its full runtime is unavailable",
        "install all of Isaac Sim: pip install 'spark-rl[isaacsim]'",
    ),
    _sign("library-version", "Unable to find any Python executable", "link Isaac Sim into the checkout: _isaac_sim"),
    _sign(
        "library-version",
        "cannot import name",
        _INSTALL,
        r"ImportError: cannot import name '\w+' from '(?:rsl_rl|rl_games|skrl|stable_baselines3)",
    ),
    _sign("user-error", "EULA not accepted", "read it, then: export OMNI_KIT_ACCEPT_EULA=YES"),
    _sign("user-error", "Do you accept the EULA", "read it, then: export OMNI_KIT_ACCEPT_EULA=YES"),
    _sign("user-error", "Found no NVIDIA driver", "check the driver: nvidia-smi; or use --device cpu"),
    _sign("user-error", "Torch not compiled with CUDA enabled", "install a CUDA build of torch, or use --device cpu"),
    _sign("user-error", "invalid device ordinal", "there is no such GPU: spark-rl doctor"),
    _sign("user-error", "No CUDA GPUs are available", "check CUDA_VISIBLE_DEVICES and nvidia-smi"),
    _sign("nccl", "Address already in use", "another run holds the port: wait for it, or use --master_port N"),
    _sign("nccl", "EADDRINUSE", "another run holds the port: wait for it, or use --master_port N"),
    _sign("nccl", "ncclUnhandledCudaError", "try NCCL_P2P_DISABLE=1, or NCCL_DEBUG=INFO to see more"),
    _sign(
        "nccl",
        "ncclSystemError",
        "try NCCL_DEBUG=INFO to see which interface fails",
        r"ncclSystemError|ncclRemoteError|ncclInternalError",
    ),
    _sign("nccl", "NCCL error", "try NCCL_P2P_DISABLE=1, or NCCL_DEBUG=INFO to see more"),
    _sign("nccl", "Watchdog caught collective operation timeout", "one rank hangs: try NCCL_P2P_DISABLE=1"),
    _sign("nccl", "ProcessGroupNCCL", "try NCCL_DEBUG=INFO", r"ProcessGroupNCCL.*(?:[Ee]rror|[Tt]imeout|abort)"),
    _sign("nccl", "RendezvousTimeoutError", "see that every node was started with the same address and port"),
    _sign(
        "native-crash",
        "an illegal memory access was encountered",
        "a crash inside the GPU code: --max-restarts N goes on from the last checkpoint",
    ),
    _sign(
        "native-crash",
        "CUDA error 700",
        "a crash inside the GPU code: --max-restarts N goes on from the last checkpoint",
    ),
    _sign(
        "native-crash",
        "unspecified launch failure",
        "a crash inside the GPU code: --max-restarts N goes on from the last checkpoint",
    ),
    _sign(
        "native-crash",
        "device-side assert triggered",
        "an index went wrong inside the GPU code: CUDA_LAUNCH_BLOCKING=1 shows where",
    ),
    _sign(
        "native-crash",
        "Fatal Python error",
        "a crash outside Python: --max-restarts N goes on from the last checkpoint",
    ),
    _sign(
        "native-crash",
        "A crash has occurred",
        "Isaac Sim crashed: --max-restarts N goes on from the last checkpoint",
        r"(?i)\[carb.*crash|A crash has occurred",
    ),
    _sign(
        "native-crash",
        "PhysX Internal CUDA error",
        "PhysX crashed on the GPU: --max-restarts N goes on from the last checkpoint",
    ),
    _sign("user-error", "NameNotFound", "see the names with: spark-rl list-envs"),
    _sign("user-error", "DeprecatedEnv", "see the names with: spark-rl list-envs"),
    _sign("user-error", "unrecognized arguments", "see the script's own options after: spark-rl train --help"),
    _sign("user-error", "invalid choice", None, r"error: argument .*invalid choice"),
    _sign("user-error", "the following argument", None, r"error: the following arguments? (?:is|are) required"),
    _sign(
        "user-error",
        "Could not find configuration for the environment",
        "see what it can be trained with: spark-rl describe TASK",
    ),
    _sign("user-error", "Could not find RL configuration", "see what it can be trained with: spark-rl describe TASK"),
    _sign(
        "user-error",
        "does not match the resolved agent.class",
        "name the algorithm that the task has: spark-rl describe TASK",
    ),
    _sign("user-error", "Unknown preset(s)", "see the presets: spark-rl describe TASK"),
    _sign("user-error", "Typed preset selector", "see the presets: spark-rl describe TASK"),
    _sign(
        "user-error",
        "must be divisible by 'minibatch_size'",
        "add agent.params.config.minibatch_size=N with N dividing the batch",
        r"'batch_size' \(\d+\) must be divisible by 'minibatch_size'",
    ),
    _sign("user-error", "Could not override", "check the spelling of the override"),
    _sign("user-error", "Key '", "check the spelling of the override", r"Key '[^']+' (?:is not in struct|not in)"),
    _sign("user-error", "Error parsing override", "check the spelling of the override"),
    _sign("user-error", "No runs present in the directory", "name the checkpoint: --checkpoint PATH"),
    _sign("user-error", "No checkpoints in the directory", "name the checkpoint: --checkpoint PATH"),
    _sign("user-error", "No compatible manifested run", "name the checkpoint: --checkpoint PATH"),
    _sign(
        "user-error",
        "size mismatch for",
        "the checkpoint belongs to another network: same task, library and agent config?",
    ),
    _sign(
        "user-error",
        "Error(s) in loading state_dict",
        "the checkpoint belongs to another network: same task, library and agent config?",
    ),
    _sign("user-error", "requires MoviePy", "install it: pip install 'moviepy<2'"),
    _sign("user-error", "--video is not", None, r"ValueError: --video is not"),
    _sign("user-error", "Invalid backend combination", "choose physics= and renderer= of one kind"),
    _sign(
        "user-error",
        "must be specified for tracking",
        "add --wandb-entity NAME",
        r"entity must be specified for tracking",
    ),
    _sign(
        "user-error",
        "api_key not configured",
        "log in once: wandb login",
        r"(?i)api[_ ]key not configured|No API key configured",
    ),
)
"""Known failures, the decisive ones first: the first of them that the output has is the one that counts."""

NEEDLES = tuple(dict.fromkeys(signature.needle for signature in SIGNATURES))


def known(lines: Iterable[str]) -> tuple[Signature, str, re.Match[str]] | None:
    """Return the decisive signature among some lines, the line and the match."""
    lines = tuple(lines)
    for signature in SIGNATURES:
        for line in lines:
            match = signature.find(line)
            if match is not None:
                return signature, line, match
    return None
