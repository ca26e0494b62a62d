"""Failures of a run that had all it asked for: memory, numbers, assets, ranks, crashes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from spark_rl.signatures.signature import BREAK, FALLOUT, KILLED, NOISE, Signature

if TYPE_CHECKING:
    from collections.abc import Iterator

_FEWER = "use fewer environments (--num-envs)"
_TORCH = "install a torch that is built for this GPU; a DGX Spark needs the CUDA 13 build (cu130)"
_NAN = "look at rewards, observations and resets; a lower learning rate or a checkpoint from before it may help"
_AGAIN = "start it again from its last checkpoint: spark-rl runs resume; if it comes back, update the driver"
_ASSETS = "check the network, or use a local copy: --assets PATH"


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
        what="a buffer of the physics is too small",
        literals=("Capacity to ", "buffer overflow detected", "overflow - please increase"),
        pattern=re.compile(
            r"(?P<buffer>[a-z]\w+Capacity|collisionStackSize|njmax|Patch buffer|Contact buffer)\b"
            r"(?:(?!FILE).)*?\b(?P<size>\d+)"
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
        literals=("Unable to find the file", "Unable to resolve the file"),
        pattern=re.compile(r"\.(?:pt|pth|zip|pickle)['\"]?\s*$"),
        hint="--checkpoint latest takes the newest run's",
    )
    yield Signature(
        failure="missing-asset",
        what="an asset could not be loaded",
        literals=(
            "Unable to find the file",
            "Unable to resolve the file",
            "Unable to find git asset",
            "USD file not found",
        ),
        hint=_ASSETS,
    )
    yield Signature(
        failure="missing-asset",
        what="an asset could not be loaded",
        literals=("Failed to open USD", "Could not open asset @", "Failed to open layer"),
        hint=_ASSETS,
        early=True,
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
        early=True,
    )


_PEERS = "see the first error of each rank: spark-rl runs log RUN --rank N; NCCL_DEBUG=INFO tells more"


def _ranks() -> Iterator[Signature]:
    yield Signature(
        failure="nccl",
        what="a port for the ranks is taken",
        literals=("EADDRINUSE", "Address already in use", "address already in use"),
        hint="another run uses it: wait for its end, or give another with --master-port 29511",
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
        hint=_PEERS,
    )
    yield Signature(
        failure="nccl",
        what="the ranks lost each other",
        rank=FALLOUT,
        literals=("Connection closed by peer", "Connection reset by peer", "Gloo connectFullMesh failed"),
        pattern=re.compile(r"[Gg]loo"),
        hint=_PEERS,
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
        what="a rank was killed",
        rank=KILLED,
        literals=("exitcode", "Signal 9 (SIGKILL)"),
        pattern=re.compile(r"exitcode\s*:\s*-9\b|Signal 9 \(SIGKILL\)"),
        hint=f"is the machine out of memory? {_FEWER}",
    )
    yield Signature(
        failure="native-crash",
        what="a rank crashed",
        rank=KILLED,
        literals=("exitcode",),
        pattern=re.compile(r"exitcode\s*:\s*-(?:4|6|7|8|11)\b"),
        hint=_AGAIN,
    )


def _noise() -> Iterator[Signature]:
    yield Signature(
        failure="library-version",
        what="PhysX left the GPU",
        rank=NOISE,
        literals=("switching to software", "not compatible with the current PyTorch installation"),
        hint=_TORCH,
    )


CAUSES: tuple[Signature, ...] = (*_memory(), *_numbers(), *_assets())

BREAKS: tuple[Signature, ...] = (*_ranks(), *_crashes(), *_noise())
