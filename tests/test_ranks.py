"""Which rank failed first: what torchrun says at the end, and what each rank printed."""

from __future__ import annotations

from typing import Any

import pytest

from spark_rl.evidence import Evidence, NodeEnd, RankEnd
from spark_rl.judging import judge
from spark_rl.ranks import Summary, base, here, placed, world_size

CRASH = ("Traceback (most recent call last):", '  File "train.py", line 1, in <module>', "RuntimeError: exploded")
LOST = (
    "[rank0]: Traceback (most recent call last):",
    '[rank0]:   File "runner.py", line 7, in learn',
    "[rank0]: RuntimeError: [/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer",
)
NCCL = ("torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:3384, remote process exited",)
SUMMARY = """
W1125 19:07:24.029000 25902 api.py:1012] Sending process 26041 closing signal SIGTERM
============================================================
train.py FAILED
------------------------------------------------------------
Failures:
[1]:
  time      : 2026-11-25_19:07:24
  host      : spark
  rank      : {other} (local_rank: {other})
  exitcode  : -15 (pid: 26041)
  error_file: <N/A>
  traceback : Signal 15 (SIGTERM) received by PID 26041
------------------------------------------------------------
Root Cause (first observed failure):
[0]:
  time      : 2026-11-25_19:07:24
  host      : spark
  rank      : {root} (local_rank: {root})
  exitcode  : {code} (pid: 26042)
  error_file: <N/A>
  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html
============================================================
"""


def summary(root: int, code: int) -> Summary:
    read = Summary()
    for line in SUMMARY.format(root=root, other=1 - root, code=code).splitlines():
        read.feed(line)
    return read


def judged(*ends: RankEnd, **values: Any) -> Any:
    known: dict[str, Any] = {"action": "train", "library": "rsl_rl", "exit_status": 1, "max_iterations": 8}
    return judge(Evidence(**known | {"iteration": 5, "oom_killed": False, "ranks": ends} | values))


def test_the_summary_tells_how_each_rank_ended() -> None:
    read = summary(root=1, code=-9)
    assert read.ends({0: ("a",), 1: ("b",)}, base=4) == (
        RankEnd(number=4, exit_status=-15, output=("a",)),
        RankEnd(number=5, exit_status=-9, first=True, output=("b",)),
    )


def test_a_training_that_goes_well_has_no_summary() -> None:
    read = Summary()
    for line in ("Learning iteration 3/8", "rank : 1", "exitcode : 1 (pid: 3)"):
        read.feed(line)
    assert read.ends({}) == ()


@pytest.mark.parametrize("root", [0, 1])
@pytest.mark.parametrize("fallout", [LOST, NCCL])
def test_the_rank_that_crashed_is_named_and_not_the_one_that_lost_it(root: int, fallout: tuple[str, ...]) -> None:
    ends = summary(root, 1).ends({0: fallout, 1: CRASH})
    verdict = judged(*ends, output=fallout)
    assert (verdict.state, verdict.rank) == ("failed", 1)
    assert verdict.message.startswith("rank 1 failed first: training ")
    assert verdict.message.endswith("after 5 of 8 iterations: RuntimeError: exploded")


def test_a_rank_that_was_killed_is_named_by_its_signal() -> None:
    verdict = judged(*summary(1, -9).ends({0: LOST, 1: ("rank 1 trains",)}), output=LOST)
    assert verdict.rank == 1
    assert "was ended by SIGKILL after 5 of 8 iterations: somebody killed it" in verdict.message


def test_a_rank_that_ran_out_of_memory_counts_before_the_crash_of_another() -> None:
    full = ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",)
    verdict = judged(*summary(0, 1).ends({0: CRASH, 1: full}), output=CRASH)
    assert (verdict.rank, verdict.failure) == (1, "out-of-memory")


def test_what_befell_all_alike_is_nobodys() -> None:
    missing = ("Traceback (most recent call last):", "ModuleNotFoundError: No module named 'mine'")
    verdict = judged(*summary(1, 1).ends({0: missing, 1: missing}), output=missing)
    assert (verdict.rank, verdict.failure) == (None, "user-error")
    assert not verdict.message.startswith("rank")


def test_of_two_that_say_as_much_torchrun_knows_which_was_first() -> None:
    other = (*CRASH[:2], "ValueError: other")
    assert judged(*summary(1, 1).ends({0: CRASH, 1: other}), output=CRASH).rank == 1


def test_a_machine_without_memory_is_not_blamed_on_a_rank() -> None:
    verdict = judged(*summary(1, -9).ends({0: LOST, 1: ()}), ended_by="memory", sent=("SIGINT",))
    assert (verdict.rank, verdict.failure) == (None, "out-of-memory")


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (("isaaclab.sh", "-p", "-m", "torch.distributed.run", "--nnodes=1", "--nproc_per_node=4", "x"), (4, 4, 0)),
        (
            ("python", "-m", "isaaclab", "train_multigpu", "--num_gpus", "2", "--nnodes", "3", "--node_rank", "2"),
            (2, 6, 4),
        ),
        (("python", "-m", "isaaclab", "train_multigpu", "--num_gpus", "gpu"), (1, 1, 0)),
        (("python", "-m", "isaaclab", "train", "--num_gpus", "2"), (1, 1, 0)),
    ],
)
def test_a_command_tells_how_many_ranks_there_are(argv: tuple[str, ...], expected: tuple[int, int, int]) -> None:
    assert (here(argv), world_size(argv), base(argv)) == expected


def test_the_command_of_a_node_keeps_what_follows_the_dashes() -> None:
    words = placed(("spark-rl", "train", "--", "--x"), (2, 1), ("10.0.0.1", 29500))
    assert words[2:] == (
        *("--nnodes", "2", "--node-rank", "1"),
        *("--master-addr", "10.0.0.1"),
        "--master-port",
        "29500",
        "--",
        "--x",
    )


def end(node: int, state: str, weight: float, message: str = "it broke", **values: Any) -> NodeEnd:
    return NodeEnd(node=node, host=f"spark-{node}", state=state, message=message, weight=weight, **values)


def test_the_failure_of_another_node_counts_where_it_explains_more() -> None:
    told = judged(output=LOST, nodes=(end(1, "failed", 1, failure="native-crash"), end(2, "gone", 2)))
    assert (told.state, told.failure, told.message) == ("failed", "native-crash", "node 1 (spark-1): it broke")
    assert judged(output=CRASH, nodes=(end(1, "gone", 2),)).message.endswith("RuntimeError: exploded")


def test_a_node_that_is_gone_or_was_stopped_ends_the_others() -> None:
    gone = judged(output=(), ended_by="peer", sent=("SIGINT",), nodes=(end(1, "gone", 2, "the connection broke"),))
    assert (gone.state, gone.message) == ("failed", "node 1 (spark-1) is gone: the connection broke")
    stopped = judged(output=LOST, nodes=(end(1, "interrupted", 0, "stopped on request"),))
    assert (stopped.state, stopped.message) == ("interrupted", "node 1 (spark-1) was stopped on request")


@pytest.mark.parametrize(("lead", "state"), [("succeeded", "succeeded"), ("failed", "failed"), ("gone", "failed")])
def test_a_node_without_checkpoints_came_to_what_node_0_came_to(lead: str, state: str) -> None:
    assert judged(exit_status=0, node=1).state == "succeeded"
    assert judged(exit_status=0, node=1, nodes=(end(0, lead, 1),)).state == state
    assert judged(exit_status=1, node=1).state == "failed"
