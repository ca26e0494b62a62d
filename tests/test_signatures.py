"""Known failure texts: the lines as the programs print them, what they are taken for, and what is said of them."""

from __future__ import annotations

import pytest

from spark_rl.judging import Evidence, judge
from spark_rl.signatures import SIGNATURES, find, may_tell

S3 = "https://omniverse-content-production.s3-us-west-2.amazonaws.com/Assets/Isaac/5.1/Isaac/Robots/ant.usd"
KIT = "2026-01-02 03:04:05 [12,345ms] [Error] [omni.physx.plugin] "

TEXTS: dict[str, tuple[str, ...]] = {
    "user-error": (
        "gymnasium.error.NameNotFound: Environment `Isaac-Cartpol` doesn't exist. Did you mean: `Isaac-Cartpole`?",
        (
            "gymnasium.error.DeprecatedEnv: Environment version `v0` for environment `Isaac-Cartpole` doesn't "
            "exist. It "
            "provides the default version `Isaac-Cartpole`."
        ),
        "ModuleNotFoundError: No module named 'my_rewards'",
        "AttributeError: 'NoneType' object has no attribute 'split'",
        "train: error: the following argument is required: --rl_library",
        "train.py: error: the following arguments are required: --task",
        "isaaclab: error: argument --rl_library: invalid choice: 'foo' (choose from 'rl_games', 'rsl_rl')",
        "isaaclab: error: unrecognized arguments: --headless",
        (
            "ValueError: Could not find configuration for the environment: 'T'. Please check that the gym "
            "registry has the "
            "entry point: 'sb3_cfg_entry_point'. Existing RL library (and algorithms) config entry points:"
        ),
        "ValueError: Could not find RL configuration 'sb3_cfg_entry_point' for task 'T'. This task supports rl_games",
        "ValueError: Requested SKRL algorithm 'AMP' does not match the resolved agent.class 'PPO'.",
        "ValueError: Unknown preset(s): foo. Available presets (grouped by affected paths):",
        "ValueError: Typed preset selector(s) physics=foo did not match a selectable preset of that type",
        "ValueError: Invalid backend combination: OvPhysX cannot run together with Kit",
        "ValueError: No runs present in the directory: '/w/logs/rsl_rl/cartpole' match: '.*'.",
        "ValueError: No checkpoints in the directory: '/w/logs/rsl_rl/cartpole/run' match 'model_.*.pt'.",
        "ValueError: No compatible manifested run with a checkpoint was found in '/w/logs/rsl_rl/cartpole'",
        "FileNotFoundError: Unable to find the file: /w/logs/rsl_rl/cartpole/run/model_9.pt",
        "ValueError: 'batch_size' (2048) must be divisible by 'minibatch_size' (16384). ",
        "    assert(self.batch_size % self.minibatch_size == 0)",
        "ValueError: --video is not supported with --frontend 'warp'. Video recording requires the standard frontend.",
        "ValueError: --video is not compatible with --viz none: there is no active visualizer to record from.",
        "ValueError: Distributed training is not supported when using CPU device. Please use GPU device",
        "ValueError: Weights and Biases entity must be specified for tracking.",
        "Could not override 'nokey'.",
        "AttributeError: 'CartpoleEnvCfg' object has no attribute 'nosuch'",
        "Key 'nope' is not in struct",
        "hydra.errors.ConfigCompositionException: Error merging override env.nope=3",
        "omegaconf.errors.ConfigAttributeError: Key 'nope' is not in struct",
        "no viable alternative at input 'env.x=[1'",
        "RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory",
        "_pickle.UnpicklingError: pickle data was truncated",
        "EOFError: Ran out of input",
        "RuntimeError: Error(s) in loading state_dict for ActorCritic:",
        "KeyError: 'actor_state_dict'",
        "\tsize mismatch for actor.0.weight: copying a param with shape torch.Size([32, 4]) from checkpoint",
        "OSError: [Errno 28] No space left on device: '/w/logs'",
        "PermissionError: [Errno 13] Permission denied: '/w/logs'",
        "OSError: [Errno 30] Read-only file system: '/w/logs'",
        "Unable to bootstrap inner kit kernel: EULA not accepted. Set OMNI_KIT_ACCEPT_EULA=YES to accept the EULA",
        "Do you accept the EULA? (Yes/No): ",
        "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU",
        "RuntimeError: No CUDA GPUs are available",
        "Warp CUDA error 100: no CUDA-capable device is detected (in function cuda_init, cuda_util.cpp:284)",
        "RuntimeError: Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before",
        "RuntimeError: CUDA error: invalid device ordinal",
    ),
    "out-of-memory": (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 23.6 GiB",
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB",
        "RuntimeError: CUDA error: out of memory",
        "[rank1]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
        "Warp CUDA error 2: out of memory (in function wp_alloc_device_async, /builds/warp.cu:1234)",
        "RuntimeError: Failed to allocate 1073741824 bytes on device 'cuda:0'",
        KIT + "PhysX error: PxgCudaDeviceMemoryAllocator fail to allocate memory 339738624 bytes!! Result = 2",
        "[Error] [carb.graphics-vulkan.plugin] VkResult: ERROR_OUT_OF_DEVICE_MEMORY",
        "[Error] [gpu.foundation.plugin] Out of GPU memory allocating resource 'Tex' [size: 512]",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8 bytes.",
        (
            "RuntimeError: [enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you "
            "tried to allocate 8589934592 bytes. Error code 12 (Cannot allocate memory)"
        ),
        "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 8.00 GiB for an array with shape (1,)",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "OSError: [Errno 12] Cannot allocate memory",
        "slurmstepd: error: Detected 1 oom_kill event in StepId=12.0.",
        "MemoryError",
        "exitcode  : -9 (pid: 4242)",
        "traceback : Signal 9 (SIGKILL) received by PID 4242",
        KIT
        + "PhysX error: The application needs to increase PxGpuDynamicsMemoryConfig::foundLostPairsCapacity to 5000,"
        " otherwise, the simulation will miss interactions, FILE /p.cpp, LINE 1122",
        KIT + "PhysX error: Patch buffer overflow detected, please increase its size to at least 200000 in the desc!",
        KIT
        + "PhysX error: PxGpuDynamicsMemoryConfig::collisionStackSize buffer overflow detected, please increase its "
        "size to at least 70000000 in the scene desc! Contacts have been dropped.",
    ),
    "nan": (
        (
            "ValueError: Expected parameter loc (Tensor of shape (4096, 12)) of distribution Normal(loc: "
            "torch.Size([4096, "
            "12]), scale: torch.Size([4096, 12])) to satisfy the constraint Real(), but found invalid values:"
        ),
        "RuntimeError: normal expects all elements of std >= 0.0",
        "RuntimeError: probability tensor contains either `inf`, `nan` or element < 0",
        "ValueError: The observation group 'policy' returned by the environment contains NaN values. This usually",
        "ValueError: The rewards returned by the environment contain NaN values. This usually indicates a bug",
        "RuntimeError: Function 'MulBackward0' returned nan values in its 0th output.",
        "FloatingPointError: invalid value (nan) encountered in jit(step)",
        "                          Mean reward: nan",
        "|    ep_rew_mean          | nan         |",
    ),
    "missing-asset": (
        f"FileNotFoundError: Unable to find the file: {S3}",
        "FileNotFoundError: Unable to resolve the file: /assets/Isaac/IsaacLab/Environments/Grid/ground_plane.usda",
        "FileNotFoundError: USD file not found at path: '/assets/Isaac/ant.usd'.",
        "[Warning] [omni.usd] Failed to open USD stage @/assets/ant.usd@",
        "Warning: in _ReportErrors at line 2890 -- Could not open asset @https://host/ant.usd@ for payload",
        "[INFO] Unfortunately a pre-trained checkpoint is currently unavailable for this task.",
        "A pre-trained checkpoint is currently unavailable for this task.",
        "FileNotFoundError: No checkpoint available for framework 'rsl_rl' and task 'Isaac-Ant'; pass --checkpoint",
        "socket.gaierror: [Errno -3] Temporary failure in name resolution",
        "urllib.error.URLError: <urlopen error [Errno -2] Name or service not known>",
    ),
    "native-crash": (
        "RuntimeError: CUDA error: an illegal memory access was encountered",
        "Warp CUDA error 700: an illegal memory access was encountered (in function wp_cuda_context_check, warp.cu:10)",
        "RuntimeError: CUDA error: unspecified launch failure",
        KIT + "PhysX Internal CUDA error. Simulation cannot continue! Error code 700!",
        KIT + "PhysX has reported too many errors, simulation has been stopped.",
        "Fatal Python error: Segmentation fault",
        "Fatal Python error: Aborted",
        "Segmentation fault (core dumped)",
        "Bus error (core dumped)",
        "[Fatal] [carb.crashreporter-breakpad.plugin] [crash] A crash has occurred.",
        "[Error] [carb.graphics-vulkan.plugin] VkResult: ERROR_DEVICE_LOST",
        "double free or corruption (!prev)",
        "malloc(): invalid size (unsorted)",
        "free(): invalid pointer",
        "terminate called after throwing an instance of 'c10::Error'",
        "RuntimeError: CUDA error: uncorrectable ECC error encountered",
        "exitcode  : -11 (pid: 4242)",
    ),
    "nccl": (
        "torch.distributed.DistBackendError: NCCL error in: /p/ProcessGroupNCCL.cpp:3356, unhandled cuda error",
        "ncclUnhandledCudaError: Call to CUDA function failed.",
        "[rank0]:[E102 ProcessGroupNCCL.cpp:633] [Rank 0] Watchdog caught collective operation timeout: WorkNCCL(",
        "terminate called after throwing an instance of 'c10::DistBackendError'",
        "torch.distributed.elastic.rendezvous.api.RendezvousConnectionError: The connection to the C10d store failed",
        "torch.distributed.DistStoreError: Timed out after 601 seconds waiting for clients. 1/2 clients joined.",
        "torch.distributed.DistNetworkError: The client socket has timed out after 600000ms while trying to connect",
        (
            "torch.distributed.DistNetworkError: The server socket has failed to listen on any local network "
            "address. port: "
            "29500, useIpv6: 0, code: -98, name: EADDRINUSE, message: address already in use"
        ),
        "RuntimeError: The server socket has failed to bind to [::]:29500 (errno: 98 - Address already in use).",
        "RuntimeError: [/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [::1]:3761",
        "Duplicate GPU detected : rank 1 and rank 0 both on CUDA device 1000",
    ),
    "library-version": (
        "ImportError: Failed to initialize: Bad git executable.",
        "[ERROR] Please install the correct version of RSL-RL.",
        "[skrl:ERROR] Unsupported skrl version: 1.3.0. Install supported version using 'pip install skrl>=1.4.3'",
        "ModuleNotFoundError: No module named 'torchrl'",
        "ModuleNotFoundError: No module named 'distutils'",
        "ModuleNotFoundError: No module named 'jaxlib.version'",
        "ModuleNotFoundError: No module named 'gym'",
        "ModuleNotFoundError: No module named 'rsl_rl.runners'",
        "ImportError: cannot import name 'handle_deprecated_rsl_rl_cfg' from 'isaaclab_rl.rsl_rl' (/lab/__init__.py)",
        "KeyError: 'rnd_cfg'",
        "KeyError: 'class_name'",
        "ModuleNotFoundError: Video recording with `--video` requires MoviePy. Install it",
        "[ERROR] Isaac Sim is not installed or not found on PYTHONPATH.",
        "[ERROR] Isaac Sim 6.2.0 is installed, but its full runtime is unavailable.",
        "ModuleNotFoundError: No module named 'isaacsim'",
        "ModuleNotFoundError: No module named 'omni.usd'",
        "[ERROR] Unable to find any Python executable at path: '/lab/_isaac_sim/python.sh'",
        "RuntimeError: CUDA error: no kernel image is available for execution on the device",
        "nvrtc: error: invalid value for --gpu-architecture (-arch)",
        "nvcc fatal   : Unsupported gpu architecture 'compute_121'",
        "ptxas fatal   : Value 'sm_121a' is not defined for option 'gpu-name'",
        "NVIDIA GB10 with CUDA capability sm_121 is not compatible with the current PyTorch installation.",
        KIT + "PhysX warning: GPU solver pipeline failed, switching to software",
        "AssertionError: Torch not compiled with CUDA enabled",
        "RuntimeError: The NVIDIA driver on your system is too old (found version 12020).",
        "Warp CUDA error: Warp requires CUDA driver 12.0 or higher, but the current driver only supports CUDA 11.4",
        "ImportError: /lib/aarch64-linux-gnu/libgomp.so.1: cannot allocate memory in static TLS block",
        "ImportError: /env/torch/lib/libtorch.so: undefined symbol: iJIT_NotifyEvent",
        "ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header",
    ),
}

HARMLESS = (
    "                       Mean value loss: 0.0197",
    "           Episode_Reward/error_vel_xy: 0.1",
    "    Metrics/base_velocity/error_vel_yaw: 0.7",
    "                          Mean reward: 12.30",
    "[INFO]: Loading model checkpoint from: /w/logs/rsl_rl/cartpole/run/model_99.pt",
    "Warp CUDA warning: Could not find or load the NVIDIA CUDA driver. GPU execution will not be available.",
    "Could not find git repository in /env/rsl_rl/__init__.py. Skipping.",
    "Exact experiment name requested from command line: 2026-01-02_03-04-05",
    (
        "[W102 ProcessGroupNCCL.cpp:1250] Warning: WARNING: process group has NOT been destroyed before we destruct "
        "ProcessGroupNCCL. On normal program exit, the application should call destroy_process_group"
    ),
    "NCCL version 2.21.5+cuda12.4",
    "[Info] [carb.crashreporter-breakpad.plugin] crash reporter initialized",
    "FutureWarning: Task 'X' is deprecated and will be removed. Use '--task Y'",
    "Traceback (most recent call last):",
    "[Error] [omni.ext._impl.custom_importer] Failed to import module x. Error: No module named 'omni.x'",
    '  File "/env/lib/python3.12/site-packages/rsl_rl/runners/on_policy_runner.py", line 90, in learn',
    "fps step: 2302 fps step and policy inference: 33 fps total: 30 epoch: 1/4 frames: 0",
    "ValueError: something nobody has seen before",
)

EVERY = [(failure, line) for failure, lines in TEXTS.items() for line in lines]


@pytest.mark.parametrize(("failure", "line"), EVERY, ids=[line[:60] for _, line in EVERY])
def test_a_known_text_has_its_class_and_a_remedy(failure: str, line: str) -> None:
    signature = find(line)
    assert signature is not None
    assert signature.failure == failure
    verdict = judge(Evidence(action="train", library="rsl_rl", exit_status=1, max_iterations=5, output=(line,)))
    assert (verdict.state, verdict.failure) == ("failed", failure)
    assert verdict.hint
    assert "{" not in verdict.message


@pytest.mark.parametrize("line", HARMLESS, ids=[line[:60] for line in HARMLESS])
def test_a_healthy_line_is_known_for_nothing(line: str) -> None:
    assert find(line) is None


def test_every_text_of_the_table_passes_the_first_look() -> None:
    for signature in SIGNATURES:
        for literal in signature.literals:
            assert may_tell(f"so {literal} then"), literal


def test_every_entry_of_the_table_has_an_example() -> None:
    shown = {find(line) for _, line in EVERY}
    assert [signature.what for signature in SIGNATURES if signature not in shown] == []


@pytest.mark.parametrize(
    ("line", "generation", "hint"),
    [
        (TEXTS["out-of-memory"][-3], 3, "add env.sim.physics.gpu_found_lost_pairs_capacity=8192"),
        (TEXTS["out-of-memory"][-3], 2, "add env.sim.physx.gpu_found_lost_pairs_capacity=8192"),
        (TEXTS["out-of-memory"][-2], 2, "add env.sim.physx.gpu_max_rigid_patch_count=262144"),
        (TEXTS["out-of-memory"][-1], 2, "add env.sim.physx.gpu_collision_stack_size=134217728"),
        ("nefc overflow - please increase njmax to 812", 3, "add env.sim.physics.solver_cfg.njmax=1024"),
        (
            (
                "PhysX error: the application need to increase PxGpuDynamicsMemoryConfig::totalAggregatePairsCapacity "
                "parameter, otherwise, the simulation will miss interactions. Capacity to at least 1024"
            ),
            2,
            "add env.sim.physx.gpu_total_aggregate_pairs_capacity=1024",
        ),
    ],
)
def test_a_small_buffer_of_physx_names_its_override(line: str, generation: int, hint: str) -> None:
    evidence = Evidence(
        action="train", library="rsl_rl", exit_status=1, generation=generation, max_iterations=5, output=(line,)
    )
    assert judge(evidence).hint == hint


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("ModuleNotFoundError: No module named 'torchrl'", "package torchrl is missing or has the wrong version"),
        ("ModuleNotFoundError: No module named 'rsl_rl.env'", "package rsl_rl.env is missing or has the wrong version"),
        ("ImportError: cannot import name 'x' from 'isaaclab_rl.a' (/a.py)", "package isaaclab_rl.a is missing or has"),
        ("ModuleNotFoundError: No module named 'my_rewards'", "module my_rewards cannot be found"),
        ("ModuleNotFoundError: No module named 'gymkhana'", "module gymkhana cannot be found"),
    ],
)
def test_a_missing_package_is_named(line: str, what: str) -> None:
    verdict = judge(Evidence(action="train", library="rsl_rl", exit_status=1, output=(line,)))
    assert verdict.message.startswith(f"the Python {what}")
    assert verdict.line == line
