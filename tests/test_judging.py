"""What a run came to is judged from evidence: one case for every known failure, and what outweighs what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spark_rl import judging
from spark_rl.judging import Evidence, Verdict, Witness, judge

RECORDINGS = Path(__file__).parent / "recordings"
DONE = Evidence(
    action="train",
    library="rsl_rl",
    exit_status=0,
    iteration=150,
    max_iterations=150,
    checkpoint_iteration=150,
    checkpoints=("/r/model_149.pt",),
    finished=True,
)
HALF = replace(DONE, iteration=75, checkpoint_iteration=51, finished=False)
PLAY = Evidence(action="play", library="rsl_rl", exit_status=0)

TRACEBACK = """Traceback (most recent call last):
  File "train.py", line 1, in <module>
    main()
"""


def failed(output: str, status: int = 1, **more: Any) -> Verdict:
    witness = Witness()
    witness.feed(output.splitlines())
    verdict = judge(replace(HALF, exit_status=status, output=witness.lines(), **more))
    assert verdict.state == "failed"
    return verdict


@pytest.mark.parametrize(
    ("evidence", "state", "message"),
    [
        (DONE, "succeeded", "all 150 iterations done"),
        (replace(DONE, exit_status=139), "succeeded", "all 150 iterations done"),
        (
            replace(DONE, exit_status=-6, output=("Fatal Python error: Aborted",)),
            "succeeded",
            "all 150 iterations done",
        ),
        (replace(DONE, stopped_by=2), "succeeded", "all 150 iterations done"),
        (
            replace(DONE, exit_status=-9, sent=("SIGINT", "SIGTERM", "SIGKILL"), ended_by="hang"),
            "succeeded",
            "all 150 iterations done (it had to be ended: its shutdown hung)",
        ),
        (replace(DONE, video_asked=True), "failed", "no video was written"),
        (replace(DONE, video_asked=True, videos=1), "succeeded", "all 150 iterations done"),
        (replace(DONE, checkpoint_iteration=101), "failed", "training ended with status 0 at iteration 150 of 150"),
        (replace(DONE, checkpoints=()), "failed", "training ended with status 0 and left no checkpoint behind"),
        (HALF, "failed", "training ended with status 0 at iteration 75 of 150"),
        (replace(HALF, stopped_by=2), "interrupted", "stopped on request at iteration 75 of 150"),
        (replace(HALF, stopped_by=15, exit_status=-15), "interrupted", "stopped on request at iteration 75 of 150"),
        (replace(HALF, iteration=None, stopped_by=2), "interrupted", "stopped on request before the first iteration"),
        (replace(HALF, exit_status=3), "failed", "the train script ended with status 3"),
        (replace(HALF, exit_status=-2), "failed", "the train script was ended by SIGINT"),
        (replace(DONE, max_iterations=None), "succeeded", "done"),
        (replace(DONE, max_iterations=None, finished=False), "failed", "training ended with status 0 at iteration 150"),
        (replace(DONE, library="skrl", checkpoint_iteration=140), "succeeded", "all 150 iterations done"),
        (replace(DONE, library="skrl", checkpoint_iteration=140, exit_status=-11), "failed", None),
        (
            replace(HALF, library="rl_games", finished=True, output=("Maximum reward achieved. Network won!",)),
            "succeeded",
            "all 150 iterations done",
        ),
        (PLAY, "succeeded", "done"),
        (replace(PLAY, stopped_by=2, exit_status=-2), "succeeded", "stopped on request"),
        (replace(PLAY, exit_status=1), "failed", "the play script ended with status 1"),
        (replace(PLAY, steps_asked=10, steps_played=10, exit_status=139), "succeeded", "done"),
        (replace(PLAY, steps_asked=10, steps_played=10, stopped_by=15), "succeeded", "done"),
        (
            replace(PLAY, steps_asked=10, steps_played=4, stopped_by=2),
            "interrupted",
            "stopped on request after 4 of 10 steps",
        ),
        (
            replace(PLAY, steps_asked=10),
            "failed",
            "only 0 of 10 steps were played: the play script ended with status 0",
        ),
        (replace(PLAY, video_asked=True), "failed", "no video was written"),
        (
            replace(PLAY, published_missing=True),
            "failed",
            "there is no published checkpoint of this task, or it could not be downloaded",
        ),
    ],
)
def test_the_verdict_rests_on_evidence(evidence: Evidence, state: str, message: str | None) -> None:
    verdict = judge(evidence)
    assert verdict.state == state
    if message is not None:
        assert verdict.message == message
    assert (verdict.failure is not None) is (state == "failed")


CASES = [
    ("gymnasium.error.NameNotFound: Environment `X` doesn't exist. Did you mean: `Y`?", "user-error"),
    (
        "gymnasium.error.DeprecatedEnv: Environment version `v0` for environment `Isaac-Cartpole` doesn't exist.",
        "user-error",
    ),
    ("AttributeError: 'NoneType' object has no attribute 'split'", "unknown"),
    ("train: error: the following argument is required: --rl_library", "user-error"),
    ("isaaclab: error: argument --rl_library: invalid choice: 'foo'", "user-error"),
    ("isaaclab: error: unrecognized arguments: --headless", "user-error"),
    ("ModuleNotFoundError: No module named 'torchrl'", "library-version"),
    ("ModuleNotFoundError: No module named 'gym'", "library-version"),
    (
        (
            "ValueError: Could not find configuration for the environment: 'T'. Please check that the gym registry has the "
            "entry point: 'sb3_cfg_entry_point'."
        ),
        "user-error",
    ),
    ("ValueError: Could not find RL configuration 'sb3_cfg_entry_point' for task 'T'.", "user-error"),
    ("ValueError: Requested SKRL algorithm 'AMP' does not match the resolved agent.class 'PPO'.", "user-error"),
    ("ValueError: Unknown preset(s): foo. Available presets (grouped by affected paths)", "user-error"),
    ("ValueError: Typed preset selector(s) physics=X did not match a selectable preset of that type", "user-error"),
    ("ValueError: No runs present in the directory: '/l' match: '.*'.", "user-error"),
    ("ValueError: No checkpoints in the directory: '/l' match 'model_.*.pt'.", "user-error"),
    ("ValueError: No compatible manifested run with a checkpoint was found in '/l'", "user-error"),
    (
        "FileNotFoundError: Unable to find the file: https://omniverse-content-production.s3.amazonaws.com/x.usd",
        "missing-asset",
    ),
    (
        (
            "SystemExit: Unable to bootstrap inner kit kernel: EULA not accepted. Set OMNI_KIT_ACCEPT_EULA=YES to accept the EULA "
            "non-interactively."
        ),
        "user-error",
    ),
    ("[ERROR] Isaac Sim is not installed or not found on PYTHONPATH.", "library-version"),
    ("[ERROR] Isaac Sim 6.0 is installed, but its full runtime is unavailable.", "library-version"),
    ("[ERROR] Unable to find any Python executable at path: '/x/python.sh'", "library-version"),
    ("Unsupported skrl version: 1.2.0. Install supported version using 'pip install skrl>=1.4.3'", "library-version"),
    ("Please install the correct version of RSL-RL.", "library-version"),
    ("ModuleNotFoundError: Video recording with `--video` requires MoviePy 1.x", "user-error"),
    ("ValueError: --video is not supported with --viz none", "user-error"),
    ("ValueError: 'batch_size' (2048) must be divisible by 'minibatch_size' (16384).", "user-error"),
    ("RuntimeError: Found no NVIDIA driver on your system.", "user-error"),
    ("torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "out-of-memory"),
    ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB.", "out-of-memory"),
    (
        "RuntimeError: Failed to allocate 8589934592 bytes on device 'cuda:0' (CUDA error 2: out of memory)",
        "out-of-memory",
    ),
    ("Warp CUDA error 2: out of memory (in function wp_alloc_device_async)", "out-of-memory"),
    ("RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", "out-of-memory"),
    (
        (
            "PhysX error: The application needs to increase PxGpuDynamicsMemoryConfig::foundLostPairsCapacity to 1048576, "
            "otherwise, the simulation will miss interactions"
        ),
        "out-of-memory",
    ),
    (
        "RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 64 bytes.",
        "out-of-memory",
    ),
    ("OSError: [Errno 28] No space left on device", "out-of-memory"),
    (
        (
            "ValueError: Expected parameter loc (Tensor of shape (64, 1)) of distribution Normal(loc: torch.Size([64, 1])) to "
            "satisfy the constraint Real(), but found invalid values:"
        ),
        "nan",
    ),
    ("RuntimeError: normal expects all elements of std >= 0.0", "nan"),
    ("RuntimeError: probability tensor contains either `inf`, `nan` or element < 0", "nan"),
    ("ValueError: observation contains NaN in 3 environments", "nan"),
    ("RuntimeError: CUDA error: an illegal memory access was encountered", "native-crash"),
    ("Warp CUDA error 700: an illegal memory access was encountered", "native-crash"),
    ("RuntimeError: CUDA error: device-side assert triggered", "native-crash"),
    ("PhysX Internal CUDA error. Simulation cannot continue! Error code 700!", "native-crash"),
    ("Fatal Python error: Segmentation fault", "native-crash"),
    ("torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1234, ncclUnhandledCudaError", "nccl"),
    ("[Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=5, OpType=ALLREDUCE)", "nccl"),
    ("torch.distributed.DistNetworkError: The server socket has failed to listen: EADDRINUSE", "nccl"),
    ("RuntimeError: CUDA error: no kernel image is available for execution on the device", "library-version"),
    ("ImportError: /x/libgomp.so.1: cannot allocate memory in static TLS block", "library-version"),
    ("ModuleNotFoundError: No module named 'isaacsim'", "library-version"),
    ("ImportError: cannot import name 'OnPolicyRunner' from 'rsl_rl.runners' (/x)", "library-version"),
    ("RuntimeError: Error(s) in loading state_dict for ActorCritic:", "user-error"),
    ("hydra.errors.ConfigCompositionException: Could not override 'nokey'.", "user-error"),
    (
        "wandb.errors.errors.UsageError: api_key not configured (no-tty). call wandb.login(key=[your_api_key])",
        "user-error",
    ),
    ("KeyError: 'my own mistake'", "unknown"),
]


@pytest.mark.parametrize(("line", "failure"), CASES)
def test_every_known_failure_has_its_class(line: str, failure: str) -> None:
    for output in (f"noise\n{line}\nmore noise", f"{TRACEBACK}{line}\nmore"):
        verdict = failed(output)
        assert verdict.failure == failure, verdict
        if failure != "unknown" or output.startswith("Trace"):
            assert line[:60] in verdict.message


@pytest.mark.parametrize(("line", "failure"), [case for case in CASES if case[1] != "unknown"])
def test_what_is_known_has_a_remedy_or_says_it_itself(line: str, failure: str) -> None:
    verdict = failed(TRACEBACK + line)
    assert verdict.hint or "error: " in line or "--video is not" in line


@pytest.mark.parametrize(
    ("output", "message", "failure"),
    [
        # Memory first: a broken collective is its echo.
        (
            f"{TRACEBACK}torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB.\nRuntimeError: NCCL error in: x",
            "torch.OutOfMemoryError",
            "out-of-memory",
        ),
        # Hydra's word stands before the error that it speaks of.
        (
            "Error executing job with overrides: []\n" + TRACEBACK + "KeyError: 'gone'\n\nSet the environment variable "
            "HYDRA_FULL_ERROR=1 for a complete stack trace.",
            "KeyError: 'gone'",
            "unknown",
        ),
        # torchrun reports after the rank that failed.
        (
            (
                f"[rank1]: {TRACEBACK}[rank1]: RuntimeError: the wheel came off\n{TRACEBACK}"
                "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "
            ),
            "[rank1]: RuntimeError: the wheel came off",
            "unknown",
        ),
        # An error inside an error: the first one is the cause.
        (
            (
                f"{TRACEBACK}ValueError: the cause\n\nDuring handling of the above exception, another exception occurred:\n\n"
                f"{TRACEBACK}RuntimeError: the echo"
            ),
            "ValueError: the cause",
            "unknown",
        ),
    ],
)
def test_the_first_real_error_is_named(output: str, message: str, failure: str) -> None:
    verdict = failed(output)
    assert verdict.message.startswith(message)
    assert verdict.failure == failure


def test_an_error_before_a_crash_outweighs_it() -> None:
    assert failed(f"{TRACEBACK}ValueError: bad wheel", status=-11).message == "ValueError: bad wheel"


@pytest.mark.parametrize("status", [-11, -6, -7, -4, -8, 139, 134])
def test_a_crash_without_a_word_is_native(status: int) -> None:
    verdict = failed("all quiet", status=status)
    assert verdict.failure == "native-crash"
    assert "at iteration 75 of 150" in verdict.message


def test_a_kill_is_blamed_on_memory_only_with_evidence() -> None:
    assert failed("", status=-9).failure == "unknown"
    assert failed("", status=137, oom_killed=True).failure == "out-of-memory"


@pytest.mark.parametrize(("ending", "failure"), [("stall", "stall"), ("memory", "out-of-memory")])
def test_what_spark_rl_ended_itself_is_told(ending: str, failure: str) -> None:
    assert failed("", status=-2, ended_by=ending).failure == failure


def test_physx_names_the_buffer_to_raise() -> None:
    verdict = failed("The application needs to increase PxGpuDynamicsMemoryConfig::foundLostPairsCapacity to 10")
    assert verdict.hint is not None
    assert "foundLostPairsCapacity" in verdict.hint


def test_a_module_that_is_missing_is_named_in_the_remedy() -> None:
    assert (
        failed("ModuleNotFoundError: No module named 'gym'").hint
        == "install it into Isaac Lab's Python: pip install gym"
    )


@pytest.mark.parametrize("recording", sorted(RECORDINGS.glob("*.log")), ids=lambda file: file.stem)
def test_a_healthy_output_holds_no_known_failure(recording: Path) -> None:
    witness = Witness()
    witness.feed(recording.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").splitlines())
    assert judging.signatures.known(witness.lines()) is None
    assert judging.first_error(witness.lines()) is None


def test_a_witness_remembers_what_matters_and_no_more() -> None:
    witness = Witness()
    for line in TRACEBACK.splitlines():  # as it may come, a line at a time
        witness.feed([line])
    witness.feed(["ValueError: at the beginning"])
    witness.feed([f"iteration {number}: all is well" for number in range(200_000)])
    witness.feed(["CUDA error 700: an illegal memory access was encountered"] * 5000)
    lines = witness.lines()
    assert "ValueError: at the beginning" in lines
    assert len(lines) < 200


def test_a_traceback_that_never_ends_is_cut() -> None:
    witness = Witness()
    for _ in range(100):
        witness.feed(["Traceback (most recent call last):", *(f'  File "deep.py", line {at}' for at in range(500))])
    assert len(witness.lines()) < 600
