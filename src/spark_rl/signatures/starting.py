"""Failures of what was asked for and of what is installed; most show before the first iteration."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from spark_rl.signatures.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Iterator

_REINSTALL = "install the version that this Isaac Lab pins: spark-rl doctor"
_TORCH = "install a torch that is built for this GPU; a DGX Spark needs the CUDA 13 build (cu130)"
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
            "ModuleNotFoundError: No module named 'isaacsim",
            "ModuleNotFoundError: No module named 'omni",
            "ModuleNotFoundError: No module named 'carb",
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
        what="the task's configuration has no such field",
        literals=("object has no attribute",),
        pattern=re.compile(r"'\w*EnvCfg' object has no attribute"),
        hint="check the KEY=VALUE overrides",
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
        literals=("loading state_dict", "size mismatch for", "KeyError: '"),
        pattern=re.compile(r"Error\(s\) in loading state_dict|size mismatch for|KeyError: '\w+_state_dict'"),
        hint="take one of the same task, library (and its version), algorithm and network sizes",
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


_PINNED = (
    r"rsl_rl|rl_games|skrl|stable_baselines3|gym|gymnasium|torchrl|tensordict|torch|torchvision|"
    r"warp|newton|mujoco|mujoco_warp|isaaclab\w*|hydra|omegaconf|tensorboard"
)
"""Packages that come with Isaac Lab, so that one that is missing is an installation's fault."""


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
        literals=("requires MoviePy", "ModuleNotFoundError: No module named 'moviepy"),
        hint="install it into Isaac Lab's Python: pip install 'moviepy<2'",
    )
    yield Signature(
        failure="library-version",
        what="rsl_rl needs git, and there is none",
        literals=("Failed to initialize: Bad git executable",),
        hint="install it: sudo apt-get install git",
    )
    yield Signature(
        failure="library-version",
        what="the Python package {package} is missing or has the wrong version",
        literals=("ModuleNotFoundError: No module named '", "ImportError: cannot import name '"),
        pattern=re.compile(rf"(?:No module named|cannot import name '\w+' from) '(?P<package>(?:{_PINNED})\b[\w.]*)'"),
        hint=_REINSTALL,
    )
    yield Signature(
        failure="library-version",
        what="JAX, which Isaac Lab does not bring, is missing or not whole",
        literals=("No module named 'jax", "No module named 'flax", "No module named 'optax"),
        hint="install it into Isaac Lab's Python: pip install jax flax optax; with CUDA: 'jax[cuda13]', 'jax[cuda12]'",
    )
    yield Signature(
        failure="library-version",
        what="Python 3.12 and newer have no distutils, which setuptools brings",
        literals=("No module named 'distutils",),
        hint="install it into Isaac Lab's Python: pip install setuptools",
    )
    yield Signature(
        failure="user-error",
        what="the Python module {package} cannot be found",
        literals=("ModuleNotFoundError: No module named '",),
        pattern=re.compile(r"No module named '(?P<package>[\w.]+)'"),
        hint="install it into Isaac Lab's Python, or start from the folder of the project that has it",
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


START: tuple[Signature, ...] = (*_setup(), *_request(), *_libraries())
