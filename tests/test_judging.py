"""What a run came to: from its iterations, checkpoints and output, whatever its exit status says."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from spark_rl.judging import Evidence, Verdict, ending_of, judge
from witnessed import excerpt

OOM = (
    "Traceback (most recent call last):",
    '  File "/env/rsl_rl/runners/on_policy_runner.py", line 90, in learn',
    "    loss_dict = self.alg.update()",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
)
NCCL = (
    "[rank1]:[E102 ProcessGroupNCCL.cpp:633] [Rank 1] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=9)",
    "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:3356, remote process exited",
)
OWN = (
    "Traceback (most recent call last):",
    '  File "/home/me/tasks/rewards.py", line 12, in reward',
    "    return gait[env.phase]",
    "IndexError: list index out of range",
)
UNPUBLISHED = "A pre-trained checkpoint is currently unavailable for this task."
SEGFAULT = ("Fatal Python error: Segmentation fault", "Segmentation fault (core dumped)")
TORCHRUN = (
    "Traceback (most recent call last):",
    '  File "/env/torch/distributed/run.py", line 918, in main',
    "    raise ChildFailedError(",
    "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: ",
    "============================================================",
    "train.py FAILED",
    "Root Cause (first observed failure):",
    "[0]:",
    "  rank      : 0 (local_rank: 0)",
    "  exitcode  : 1 (pid: 4242)",
    "  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html",
)


def train(library: str = "rsl_rl", **known: Any) -> Verdict:
    """Judge a training of 150 iterations that reached its end and kept it, but for what is ``known``."""
    ends = {
        "rsl_rl": {"checkpoints": ("/r/model_100.pt", "/r/model_149.pt"), "checkpoint_iteration": 149},
        "rl_games": {"checkpoints": ("/r/nn/last_a_ep_150_rew_1.pth",), "checkpoint_iteration": 150},
        "skrl": {"checkpoints": ("/r/checkpoints/agent_4800.pt",), "checkpoint_iteration": 150, "horizon": 32},
        "sb3": {"checkpoints": ("/r/model_1000_steps.zip", "/r/model.zip"), "checkpoint_iteration": 150},
    }
    base: dict[str, Any] = {"exit_status": 0, "iteration": 150, "max_iterations": 150, "finished": True}
    return judge(Evidence(action="train", library=library, **base | ends[library] | known))


def crashed(*output: str, status: int = 1, **known: Any) -> Verdict:
    """Judge a training that ended after 40 of 150 iterations."""
    base: dict[str, Any] = {"iteration": 40, "checkpoints": ("/r/model_0.pt",), "checkpoint_iteration": 0}
    return train(exit_status=status, finished=False, output=excerpt(output), **base | known)


def play(**known: Any) -> Verdict:
    base: dict[str, Any] = {"exit_status": 0}
    return judge(Evidence(action="play", library="rsl_rl", **base | known))


@pytest.mark.parametrize("library", ["rsl_rl", "rl_games", "skrl", "sb3"])
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({}, "done"),
        ({"finished": False}, "done"),
        ({"exit_status": -11}, "done; it then ended with SIGSEGV while closing"),
        ({"exit_status": 139}, "done; it then ended with SIGSEGV while closing"),
        ({"exit_status": -9, "sent": ("SIGINT", "SIGTERM", "SIGKILL"), "ended_by": "hang"}, "done; it did not close"),
        ({"exit_status": -2, "sent": ("SIGINT",), "ended_by": "stall"}, "done; it did not close"),
        ({"exit_status": 1, "output": OWN}, "done"),
        ({"stopped_by": signal.SIGINT}, "done"),
    ],
)
def test_what_reached_its_end_and_kept_it_succeeded(library: str, how: dict[str, Any], message: str) -> None:
    verdict = train(library, **how)
    assert (verdict.state, verdict.failure, verdict.hint) == ("succeeded", None, None)
    assert verdict.message.startswith(message)


@pytest.mark.parametrize(
    ("library", "known", "state"),
    [
        ("rsl_rl", {"checkpoint_iteration": 149, "iteration": None}, "succeeded"),
        ("rsl_rl", {"checkpoint_iteration": 100}, "failed"),
        ("rsl_rl", {"checkpoint_iteration": None, "checkpoints": ()}, "failed"),
        ("rl_games", {"iteration": None}, "succeeded"),
        ("rl_games", {"checkpoint_iteration": 149}, "failed"),
        ("sb3", {"checkpoints": ("/r/model_1000_steps.zip",)}, "failed"),
        ("sb3", {"iteration": 149, "checkpoint_iteration": 149}, "failed"),
        ("sb3", {"iteration": None, "checkpoint_iteration": None}, "failed"),
        ("sb3", {"iteration": None}, "succeeded"),
        ("rl_games", {"checkpoint_iteration": 151, "iteration": 151}, "succeeded"),
        ("skrl", {"iteration": 149, "checkpoint_iteration": 149}, "failed"),
        ("skrl", {"iteration": None}, "succeeded"),
        ("skrl", {"checkpoint_iteration": 135}, "succeeded"),
        ("skrl", {"checkpoint_iteration": 134, "horizon": None}, "failed"),
        ("skrl", {"checkpoint_iteration": 135, "horizon": None}, "succeeded"),
        ("skrl", {"checkpoint_iteration": 135, "checkpoints": ("/r/checkpoints/best_agent.pt",)}, "succeeded"),
    ],
)
def test_each_library_saves_its_end_in_its_own_way(library: str, known: dict[str, Any], state: str) -> None:
    assert train(library, **known).state == state


@pytest.mark.parametrize(("gap", "state"), [(640, "succeeded"), (320, "failed")])
def test_the_names_of_skrl_tell_its_interval(gap: int, state: str) -> None:
    files = tuple(f"/r/checkpoints/agent_{number}.pt" for number in (4160 - gap, 4160))
    assert train("skrl", checkpoints=files, checkpoint_iteration=130).state == state


def test_an_attempt_that_went_on_counts_from_its_first_iteration() -> None:
    known = {"max_iterations": 1000, "iteration": 1000, "horizon": None}
    assert train("skrl", first_iteration=900, checkpoint_iteration=985, **known).state == "failed"
    assert train("skrl", first_iteration=900, checkpoint_iteration=990, **known).state == "succeeded"


def test_without_a_number_of_iterations_the_end_line_counts() -> None:
    assert train(max_iterations=None).state == "succeeded"
    assert train(max_iterations=None, finished=False).state == "failed"
    assert (
        train(max_iterations=None, checkpoints=()).message
        == "training ended with status 0 and left no checkpoint behind"
    )
    assert train(max_iterations=None, stopped_by=signal.SIGINT).state == "interrupted"


def test_a_damaged_last_checkpoint_is_a_failure() -> None:
    verdict = train(checkpoints=("/r/model_100.pt",), checkpoint_iteration=100, damaged=("/r/model_149.pt",))
    assert (verdict.state, verdict.message) == ("failed", "the last checkpoint is incomplete: /r/model_149.pt")


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (0, "training ended with status 0 after 40 of 150 iterations"),
        (3, "training ended with status 3 after 40 of 150 iterations"),
    ],
)
def test_the_end_was_not_reached(status: int, message: str) -> None:
    verdict = crashed(status=status)
    assert (verdict.state, verdict.failure, verdict.message) == ("failed", "unknown", message)


def test_nothing_was_kept() -> None:
    verdict = train(checkpoints=(), checkpoint_iteration=None)
    assert verdict.message == "training ended with status 0 and left no checkpoint behind"
    assert train(checkpoint_iteration=100).message == "training ended with status 0 and kept no checkpoint of its end"


@pytest.mark.parametrize("status", [0, 1, 139])
def test_a_traceback_is_a_failure_whatever_the_status(status: int) -> None:
    verdict = crashed(*OWN, status=status)
    assert (verdict.state, verdict.failure) == ("failed", "unknown")
    assert verdict.line == "IndexError: list index out of range"
    assert verdict.message.endswith("after 40 of 150 iterations: IndexError: list index out of range")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_before_the_end_is_an_interruption(number: int) -> None:
    verdict = crashed(*NCCL, status=0, stopped_by=number, sent=("SIGINT",))
    assert (verdict.state, verdict.failure) == ("interrupted", None)
    assert verdict.message == "stopped on request after 40 of 150 iterations"


def test_sb3_saves_its_model_when_it_is_stopped_too() -> None:
    assert train("sb3", iteration=40, checkpoint_iteration=40, stopped_by=signal.SIGINT).state == "interrupted"


@pytest.mark.parametrize(
    ("output", "status", "failure", "line"),
    [
        ((*OOM, *NCCL), 1, "out-of-memory", OOM[-1]),
        ((*NCCL, *OOM), 1, "out-of-memory", OOM[-1]),
        ((*OOM, *SEGFAULT), -11, "out-of-memory", OOM[-1]),
        ((*OWN, *SEGFAULT), -11, "unknown", OWN[-1]),
        ((*SEGFAULT, *OWN), -11, "native-crash", SEGFAULT[0]),
        ((*NCCL, *OWN), 1, "unknown", OWN[-1]),
        ((*NCCL,), -6, "nccl", None),
        ((*NCCL,), -9, "out-of-memory", None),
        ((*TORCHRUN,), 1, "unknown", None),
        ((*OOM, *TORCHRUN), 1, "out-of-memory", OOM[-1]),
        ((*NCCL, *TORCHRUN[:-2], "  exitcode  : -9 (pid: 4242)"), 1, "out-of-memory", "exitcode : -9 (pid: 4242)"),
        (("Mean reward: nan", *OWN), 1, "unknown", OWN[-1]),
        (("Mean reward: nan",), 1, "nan", "Mean reward: nan"),
        ((), -11, "native-crash", None),
        ((), 134, "native-crash", None),
        ((), -9, "out-of-memory", None),
        ((), 137, "out-of-memory", None),
        ((), -15, "unknown", None),
    ],
)
def test_what_began_it_wins(output: tuple[str, ...], status: int, failure: str, line: str | None) -> None:
    verdict = crashed(*output, status=status)
    assert (verdict.state, verdict.failure) == ("failed", failure)
    if line is not None:
        assert verdict.line == line


def test_a_kill_from_outside_asks_for_the_memory() -> None:
    assert crashed(status=-9).message == (
        "training was ended by SIGKILL after 40 of 150 iterations: is the machine out of memory?"
    )


@pytest.mark.parametrize(("saved", "told"), [(None, "from the beginning"), (20, "from its last checkpoint")])
def test_what_saved_nothing_does_not_go_on_from_a_checkpoint(saved: int | None, told: str) -> None:
    files = () if saved is None else ("model_20.pt",)
    hint = crashed(status=-11, checkpoint_iteration=saved, checkpoints=files).hint
    assert hint is not None
    assert told in hint
    assert hint.endswith("spark-rl runs resume")


@pytest.mark.parametrize(
    ("ended_by", "output", "failure"),
    [
        ("stall", (), "stall"),
        ("stall", NCCL, "stall"),
        ("stall", OWN, "unknown"),
        ("stall", OOM, "out-of-memory"),
        ("stall", SEGFAULT, "native-crash"),
        ("memory", OWN, "out-of-memory"),
    ],
)
def test_what_the_supervisor_ended(ended_by: str, output: tuple[str, ...], failure: str) -> None:
    sent = ("SIGINT", "SIGTERM", "SIGKILL")
    assert crashed(*output, status=-9, sent=sent, ended_by=ended_by).failure == failure


def test_signals_of_our_own_explain_nothing() -> None:
    assert crashed(status=-9, sent=("SIGINT", "SIGTERM", "SIGKILL")).failure == "unknown"


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (
            (
                "Error executing job with overrides: ['env.x=1']",
                *OWN,
                "",
                "Set the environment variable HYDRA_FULL_ERROR=1",
            ),
            3,
        ),
        (
            (
                *OWN,
                "",
                "The above exception was the direct cause of the following exception:",
                "",
                *OWN[:3],
                "ValueError: b",
            ),
            3,
        ),
        (("Exception ignored in: <function f>", *OWN[:3], "ValueError: ignored", *OWN), 3),
        ((*TORCHRUN, *OWN), 3),
        (tuple(f"[rank0]: {line}" for line in OWN), 3),
        (tuple(f"[default0]:{line}" for line in OWN), 3),
        (tuple(f"2026-01-02 [9ms] [Error] [omni.kit.app._impl] [py stderr]: {line}" for line in OWN), 3),
        (tuple(f"\x1b[31m{line}\x1b[0m" for line in OWN), 3),
        ((*TORCHRUN[:-1], "  traceback : " + OWN[0], *(f"  {line}" for line in OWN[1:])), 3),
        (
            tuple(
                text for pair in zip(*[[f"[rank{n}]: {x}" for x in OWN] for n in (0, 1)], strict=True) for text in pair
            ),
            3,
        ),
    ],
    ids=["hydra", "chain", "ignored", "torchrun", "rank", "default", "kit", "colour", "recorded", "interleaved"],
)
def test_the_first_real_error_line(output: tuple[str, ...], line: int) -> None:
    expected = "ValueError: b" if "ValueError: b" in output else OWN[line]
    assert crashed(*output).line == expected


def test_source_text_in_a_traceback_is_no_evidence() -> None:
    verdict = crashed(
        "Traceback (most recent call last):",
        '  File "/env/isaaclab/utils/assets.py", line 111, in retrieve_file_path',
        '    raise FileNotFoundError(f"Unable to find the file: {path}")',
        "FileNotFoundError: Unable to find the file: /w/model_9.pt",
    )
    assert verdict.message.startswith("the checkpoint does not exist")
    assert verdict.line == "FileNotFoundError: Unable to find the file: /w/model_9.pt"


def test_what_was_missing_before_the_first_iteration_explains_no_later_failure() -> None:
    line = "[Warning] [omni.usd] Failed to open USD stage @/assets/lamp.usd@"
    assert crashed(line, status=1, iteration=None).failure == "missing-asset"
    assert crashed(line, status=-11).failure == "native-crash"
    assert crashed(line, *OWN).line == OWN[-1]


def test_a_known_cause_within_a_chain_wins() -> None:
    chain = (*OOM, "", "During handling of the above exception, another exception occurred:", "", *OWN)
    assert crashed(*chain).failure == "out-of-memory"


@pytest.mark.parametrize(
    ("folder", "failure"), [("/env/rsl_rl/modules/actor_critic.py", "library-version"), ("/home/me/own.py", "unknown")]
)
def test_an_argument_that_a_library_does_not_know_is_its_version(folder: str, failure: str) -> None:
    raised = (
        "Traceback (most recent call last):",
        f'  File "{folder}", line 30, in __init__',
        "    super().__init__(**kwargs)",
        "TypeError: ActorCritic.__init__() got an unexpected keyword argument 'obs_normalization'",
    )
    assert crashed(*raised).failure == failure


def test_a_long_line_is_cut() -> None:
    verdict = crashed(*OWN[:3], "ValueError: " + "x" * 5000)
    assert verdict.line is not None
    assert len(verdict.line) == 200
    assert "\n" not in verdict.message


@pytest.mark.parametrize(
    ("known", "state", "message"),
    [
        ({"steps": 10, "played": 10}, "succeeded", "done"),
        (
            {"steps": 10, "played": 10, "exit_status": -11},
            "succeeded",
            "done; it then ended with SIGSEGV while closing",
        ),
        ({"steps": 10, "played": 10, "stopped_by": signal.SIGTERM, "exit_status": -15}, "succeeded", "done"),
        ({"steps": 10, "played": 4}, "failed", "only 4 of 10 steps were played"),
        ({"steps": 10, "exit_status": 1}, "failed", "only 0 of 10 steps were played: the script ended with status 1"),
        ({"steps": 10, "stopped_by": signal.SIGINT}, "interrupted", "stopped on request"),
        ({"unbounded": True, "stopped_by": signal.SIGINT, "exit_status": -2}, "succeeded", "stopped on request"),
        ({"unbounded": True, "stopped_by": signal.SIGTERM, "exit_status": 143}, "succeeded", "stopped on request"),
        ({"unbounded": True}, "succeeded", "done"),
        ({"unbounded": True, "exit_status": 1}, "failed", "the play script ended with status 1"),
        (
            {"unbounded": True, "exit_status": 0, "output": OWN},
            "failed",
            f"the play script ended with status 0: {OWN[-1]}",
        ),
        ({"video": True, "videos": 1}, "succeeded", "done"),
        ({"video": True}, "failed", "no video was written"),
        ({"video": True, "steps": 10, "played": 10}, "failed", "no video was written"),
        (
            {"exit_status": 0, "output": (UNPUBLISHED,)},
            "failed",
            f"there is no published checkpoint of this task: {UNPUBLISHED}",
        ),
        (
            {"published": False},
            "failed",
            "there is no published checkpoint of this task, or it could not be downloaded",
        ),
    ],
)
def test_play(known: dict[str, Any], state: str, message: str) -> None:
    verdict = play(**known)
    assert (verdict.state, verdict.message) == (state, message)


def test_a_missing_published_checkpoint_is_a_missing_asset() -> None:
    verdict = play(published=False)
    assert verdict.failure == "missing-asset"
    assert verdict.hint is not None


def test_a_training_without_its_video_failed() -> None:
    line = "ModuleNotFoundError: No module named 'moviepy'"
    verdict = train(video=True, output=(line,))
    assert verdict.message == f"no video was written: {line}"
    assert (verdict.state, verdict.failure) == ("failed", "library-version")
    assert train(video=True, videos=1).state == "succeeded"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        *((0, "ended with status 0"), (2, "ended with status 2"), (255, "ended with status 255")),
        *((-9, "was ended by SIGKILL"), (139, "was ended by SIGSEGV"), (130, "was ended by SIGINT")),
    ],
)
def test_an_exit_status_in_words(status: int, words: str) -> None:
    assert ending_of(status) == words
