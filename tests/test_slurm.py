"""Jobs on Slurm: the scripts, what squeue says, and what both mean for the records. The cluster is a fake one.

``pytest --update-golden`` writes the golden scripts.
"""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import stand_in
from fakes import lab
from fakes.cluster import Cluster
from recorded import measured
from runs import done, run
from spark_rl import live, registry, runs
from spark_rl.__main__ import run as spark_rl
from spark_rl.engines import Engine, Submission, load, slurm
from spark_rl.errors import CheckError
from spark_rl.launch import submitting
from spark_rl.records import Attempt, Job, Owner, Run
from spark_rl.runs import asking

if TYPE_CHECKING:
    from collections.abc import Iterator

GOLDEN = Path(__file__).parent / "golden"
COMMAND = ("spark-rl", "train", "--task", "Isaac-Ant-Direct-v0", "--num-envs", "4096", "--adopt", "env.decimation=2")


def submission(**values: Any) -> Submission:
    base: dict[str, Any] = {"name": "ant", "commands": (COMMAND,), "cwd": "/home/ada", "log": "/state/jobs/%j.log"}
    return Submission(**base | values)


OPTIONS = (
    ("partition", "gpu"),
    ("account", "robots"),
    ("gres", "gpu:h100"),
    ("setup", "module load apptainer\nulimit -c 0\n"),
    ("container", "apptainer exec --nv /images/lab.sif"),
    ("sbatch", "--qos=high --exclude n3"),
)
SCRIPTS = {
    "plain": submission(),
    "all": submission(
        options=OPTIONS,
        gpus=2,
        cpus=16,
        memory_mib=65536,
        time_s=100_000,
        cwd="/home/ada/my robots",
        env=(("SPARK_RL_STATE", "/home/ada/my state"),),
    ),
    "nodes": submission(nodes=2, gpus=4, time_s=240, commands=((*COMMAND, "--", "--note", "it's"),)),
    "array": submission(
        commands=((*COMMAND, "agent.seed=1"), (*COMMAND, "agent.seed=2", "name=a b")), log="/state/sweep 3/trial.log"
    ),
    "secret": submission(commands=((*COMMAND, "agent.api_key=it's mine", "--api-key", "abcdefgh"),)),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_as_its_golden_file(name: str, request: pytest.FixtureRequest) -> None:
    text = slurm.render(SCRIPTS[name])
    golden = GOLDEN / f"slurm-{name}.sh"
    if request.config.getoption("--update-golden"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("numbers", "parallel", "array"),
    [((), None, "0-3"), ((1, 2, 3, 4), 2, "1-4%2"), ((2, 3, 7, 9), None, "2-3,7,9"), ((5,), 3, "5%3")],
)
def test_the_elements_of_an_array_have_their_own_numbers(
    numbers: tuple[int, ...], parallel: int | None, array: str
) -> None:
    told = submission(
        commands=(COMMAND,) * (len(numbers) or 4), numbers=numbers, parallel=parallel, log="/logs/one.log"
    )
    lines = slurm.render(told).splitlines()
    assert {f"#SBATCH --array={array}", "#SBATCH --output=/logs/one-%a.log"} <= {*lines}
    assert all(any(line.startswith(f"  {number}) set -- ") for line in lines) for number in numbers)
    assert slurm.log_of("/logs/one.log", 7) == "/logs/one-7.log"


def test_a_secret_reaches_the_command_past_its_script(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("agent.api_key=it's mine", "--password", "abcdefgh", "env.decimation=2")
    told = submission(commands=(("printf", "%s\n", *words),))
    slurm.submit(told)
    script = cluster.read("jobs/71")
    assert not any(secret in script for secret in ("mine", "abcdefgh"))
    given = json.loads(cluster.read("jobs/71.env"))
    assert {given["SPARK_RL_SECRET_1"], given["SPARK_RL_SECRET_2"]} == {"it's mine", "abcdefgh"}
    ended = subprocess.run(["bash"], input=script, env=given, text=True, capture_output=True, timeout=lab.PATIENCE_S)
    assert ended.stdout.splitlines() == [*words]
    bare = {name: value for name, value in given.items() if not name.startswith("SPARK_RL_SECRET")}
    ended = subprocess.run(["bash"], input=script, env=bare, text=True, capture_output=True, timeout=lab.PATIENCE_S)
    assert (ended.returncode != 0, ended.stdout, "SPARK_RL_SECRET_1" in ended.stderr) == (True, "", True)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_bash(name: str) -> None:
    checked = subprocess.run(["bash", "-n"], input=slurm.render(SCRIPTS[name]), text=True, capture_output=True)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(("code", "requeued"), [(0, False), (1, False), (138, True), (143, False)])
def test_only_a_run_stopped_for_the_limit_is_queued_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, requeued: bool
) -> None:
    cluster = Cluster(tmp_path / "cluster", monkeypatch)
    scontrol = cluster.folder / "bin" / "scontrol"
    scontrol.write_text(f'#!/bin/sh\necho "$@" > {cluster.folder}/requeued\n', encoding="utf-8")
    scontrol.chmod(0o755)
    script = slurm.render(submission(commands=(("sh", "-c", f"exit {code}"),)))
    monkeypatch.setenv("SLURM_JOB_ID", "71")
    ended = subprocess.run(["bash"], input=script, text=True, cwd=tmp_path, timeout=lab.PATIENCE_S)
    assert (ended.returncode, cluster.read("requeued")) == (code, "requeue 71\n" if requeued else "")


@pytest.mark.parametrize("sent", ["USR1", "TERM"])
def test_the_command_hears_what_its_job_hears_and_keeps_its_own_code(tmp_path: Path, sent: str) -> None:
    listen = f"trap 'echo {sent} > heard; exit 5' {sent}; touch ready; while :; do sleep 0.05; done"
    script = lab.program(tmp_path / "job", slurm.render(submission(commands=(("sh", "-c", listen),))))
    job = subprocess.Popen(["bash", script], cwd=tmp_path)
    lab.eventually((tmp_path / "ready").exists, "the command")
    job.send_signal(getattr(signal, f"SIG{sent}"))
    assert (job.wait(lab.PATIENCE_S), (tmp_path / "heard").read_text(encoding="utf-8")) == (5, f"{sent}\n")


SQUEUE = """\
7|PENDING|Resources
8|RUNNING|None
9|PENDING|(JobHeldUser)
10_0|COMPLETED|None
10_1|RUNNING|None
10_2|PENDING|Priority
11|CANCELLED by 1000|None
12|OUT_OF_ME+|OutOfMemory
13|CANCELLED+|
14|CANCELLED|JobArrayTaskLimit
15|COMPLETED|Priority
16|FAILED|NonZeroExitCode
"""


@pytest.mark.parametrize(
    ("ident", "state", "native", "reason"),
    [
        ("7", "pending", "PENDING", "Resources"),
        ("8", "running", "RUNNING", None),
        ("9", "pending", "PENDING", "JobHeldUser"),
        ("10_0", "done", "COMPLETED", None),
        ("10_2", "pending", "PENDING", "Priority"),
        ("11", "cancelled", "CANCELLED", None),
        ("13", "cancelled", "CANCELLED", None),
        ("14", "cancelled", "CANCELLED", None),
        ("15", "done", "COMPLETED", None),
        ("16", "failed", "FAILED", "NonZeroExitCode"),
    ],
)
def test_what_squeue_and_sacct_say(ident: str, state: str, native: str, reason: str | None) -> None:
    status = slurm.parse(SQUEUE)[ident]
    assert (status.state, status.native, status.reason) == (state, native, reason)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.chdir(tmp_path)
    return Cluster(tmp_path / "cluster", monkeypatch)


def test_a_submission_gets_an_id_and_a_status_and_an_end(cluster: Cluster) -> None:
    engine: Engine = load("slurm")
    ident = engine.submit(submission(run="12"))
    assert (ident, cluster.read("jobs/71"), cluster.read("jobs/71.run")) == ("71", slurm.render(submission()), "12")
    assert engine.poll(ident).reason == "Priority"
    engine.cancel(ident)
    assert (engine.poll(ident).state, cluster.read("cancelled")) == ("cancelled", "71\n")


def test_many_jobs_are_asked_for_at_once_and_an_array_as_a_whole(cluster: Cluster) -> None:
    cluster.write("queue", SQUEUE)
    found = slurm.survey(["7", "10", "10_1", "99", "7"])
    assert {ident: status.state for ident, status in found.items()} == {
        "7": "pending",
        "10": "running",
        "10_1": "running",
        "99": "gone",
    }
    assert len(cluster.read("asked").splitlines()) == 1


def test_the_accounting_knows_what_the_queue_forgot(cluster: Cluster) -> None:
    assert slurm.poll("5").state == "gone"
    cluster.write("accounts", "5|TIMEOUT\n")
    assert (slurm.poll("5").state, slurm.poll("5").native) == ("failed", "TIMEOUT")


def test_what_slurm_complains_of_is_told(cluster: Cluster) -> None:
    cluster.write("refuse", "invalid partition specified: gpu")
    with pytest.raises(CheckError, match="Slurm refuses the job: invalid partition specified: gpu"):
        slurm.submit(submission())
    cluster.write("deaf", "")
    with pytest.raises(CheckError, match="Unable to contact slurm controller"):
        slurm.poll("7")


def test_without_slurm_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CheckError, match="sbatch is not on this machine"):
        slurm.submit(submission())


# --- the command


@pytest.fixture
def train(cluster: Cluster, tmp_path: Path) -> tuple[str, ...]:
    place = stand_in.kitless(tmp_path / "lab")
    named = ("--task", "Isaac-Cartpole-Direct", "--library", "rsl_rl", "--isaaclab", str(place))
    return ("train", *named, "--engine", "slurm")


def test_a_dry_run_shows_what_would_be_submitted(
    train: tuple[str, ...], cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert spark_rl([*train, "--gpus", "2", "--time", "8h", "--partition", "long", "--dry-run"]) == 0
    script = capsys.readouterr().out
    assert spark_rl([*train, "--gpus", "2", "--time", "8h", "--partition", "long", "--dry-run", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["engine"], document["script"]) == ("spark-rl/plan/1", "slurm", script)
    assert {"--num_gpus", "agent.save_interval=360"} <= {*document["argv"]}
    assert {"#SBATCH --gres=gpu:2", "#SBATCH --time=08:00:00", "#SBATCH --partition=long"} <= {*script.splitlines()}
    assert "--save-every 30m" in script
    assert spark_rl([*train, "--gpus", "2", "--time", "8h", "--partition", "long"]) == 0
    assert cluster.read("jobs/71") == script


def test_auto_environments_are_settled_in_the_job(
    train: tuple[str, ...], cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--num-envs", "auto")
    assert spark_rl([*train, *words, "--dry-run", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert "--num_envs" not in document["argv"]
    assert document["reasons"]["num_envs"].startswith("auto: settled where the job runs")
    assert "--num-envs auto" in document["script"]
    assert spark_rl([*train, *words]) == 0
    assert cluster.read("jobs/71") == document["script"]
    assert runs.request_of(registry.load("1"))[0].auto_envs
    capsys.readouterr()
    assert spark_rl([*train, *words, "--nnodes", "2"]) == 2
    assert "--num-envs auto is settled on each node, and 2 nodes need the same number" in capsys.readouterr().err


def test_several_nodes_are_planned_without_the_network_of_this_host(
    train: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--nnodes", "2", "--gpus", "2", "--node-timeout", "7m", "--dry-run", "--json")
    assert spark_rl([*train, *words]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document.get("nodes"), "NCCL_SOCKET_IFNAME" in document["env"]) == (None, False)
    assert document["reasons"]["NCCL_SOCKET_IFNAME"] == "settled when the run starts: head is a name"
    assert "--node-timeout 7m" in document["script"]


@pytest.mark.parametrize(
    ("given", "saves"),
    [
        (["--time", "1h"], "--save-every 6m"),
        (["--time", "2-00:00:00"], "--save-every 30m"),
        (["--time", "1h", "--save-every", "50"], "--save-every 50"),
        (["--time", "1h", "agent.save_interval=9"], None),
        ([], None),
    ],
)
def test_checkpoints_fit_the_time_limit(
    train: tuple[str, ...], capsys: pytest.CaptureFixture[str], given: list[str], saves: str | None
) -> None:
    assert spark_rl([*train, *given, "--no-check", "--dry-run"]) == 0
    script = capsys.readouterr().out
    assert (saves in script) if saves else ("--save-every" not in script)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--engine", "slrum"], "there is no engine slrum"),
        (["--time", "soon"], "--time must be a time, not 'soon'"),
        (["--gpus", "all"], "a job must say how many GPUs it wants of a node"),
        (["--nnodes", "2", "--node-rank", "0"], "--node-rank is for the engine to say: it knows its nodes"),
        (["--engine", "local", "--time", "8h"], "--time and --partition are for a job, and this runs here"),
    ],
)
def test_what_cannot_be_submitted(
    train: tuple[str, ...], capsys: pytest.CaptureFixture[str], given: list[str], message: str
) -> None:
    assert spark_rl([*train, *given]) == 2
    assert message in capsys.readouterr().err
    assert not list(registry.entries())


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ('slurm_time = "8 hours"', "slurm_time must be a time, not '8 hours'", "30m"),
        ('slurm_gres = "gpu:h100:4"', "and gpu:h100:4 says how many as well", 'slurm_gres = "gpu:h100"; --gpus N'),
        ('slurm_gres = "gpu\\n#SBATCH --exclusive"', "slurm_gres must be one line", "it holds"),
        ('slurm_partition = "gpu\\nrm -rf x"', "slurm_partition must be one line", "it holds"),
        ("slurm_cpus = 0", "slurm_cpus must be at least 1, not 0", "leave it out"),
        ("slurm_container = 'apptainer exec \"lab.sif'", "slurm_container opens a quotation", "it holds apptainer"),
        ("slurm_sbatch = '--comment=\"x'", "slurm_sbatch opens a quotation", "it holds --comment"),
    ],
)
def test_a_setting_that_makes_no_job_is_told(
    train: tuple[str, ...], cluster: Cluster, capsys: pytest.CaptureFixture[str], said: str, message: str, hint: str
) -> None:
    Path("spark-rl.toml").write_text(f"{said}\n", encoding="utf-8")
    for more in ([], ["--dry-run"]):
        assert spark_rl([*train, *more]) == 2
        told = capsys.readouterr().err
        assert (message in told, hint in told) == (True, True)
    assert not list(registry.entries())


def test_options_of_sbatch_may_have_lines(train: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    Path("spark-rl.toml").write_text('slurm_sbatch = """\n--qos=high\n--exclude=n3\n"""\n', encoding="utf-8")
    assert spark_rl([*train, "--dry-run"]) == 0
    assert "#SBATCH --qos=high\n#SBATCH --exclude=n3\n\n" in capsys.readouterr().out


def test_a_job_that_slurm_refuses_leaves_no_run(
    train: tuple[str, ...], cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.write("refuse", "invalid account")
    assert spark_rl([*train]) == 1
    assert "Slurm refuses the job: invalid account" in capsys.readouterr().err
    assert not list(registry.entries())


def test_settings_say_how_jobs_are(train: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(tmp_path, "spark-rl.toml").write_text(
        'slurm_partition = "gpu"\nslurm_account = "robots"\nslurm_time = "4h"\nslurm_gres = "gpu:h100"\n'
        "slurm_cpus = 8\n"
        'slurm_setup = "module load cuda"\nslurm_container = "apptainer exec lab.sif"\nslurm_sbatch = "--qos=high"\n',
        encoding="utf-8",
    )
    assert spark_rl([*train, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for line in (
        *(
            "#SBATCH --partition=gpu",
            "#SBATCH --account=robots",
            "#SBATCH --time=04:00:00",
            "#SBATCH --gres=gpu:h100:1",
        ),
        *("#SBATCH --cpus-per-task=8", "#SBATCH --qos=high", "module load cuda"),
    ):
        assert line in lines
    assert any(line.startswith("apptainer exec lab.sif spark-rl train --task") for line in lines)


def test_a_submitted_run_waits_and_is_shown_with_its_jobs_state(
    train: tuple[str, ...], cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert spark_rl([*train]) == 0
    assert "run 1 is slurm job 71" in capsys.readouterr().out
    assert cluster.read("jobs/71.run") == "1"
    assert spark_rl(["runs", "list"]) == 0
    assert "PENDING (Priority)" in capsys.readouterr().out
    assert spark_rl(["runs", "list", "--json", "--state", "starting"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["runs"]
    assert (row["state"], row["engine"], row["job"], row["job_state"]) == (
        *("starting", "slurm", "71", "PENDING (Priority)"),
    )
    assert spark_rl(["runs", "show", "1"]) == 0
    assert "slurm 71: PENDING (Priority)" in capsys.readouterr().out
    assert spark_rl(["runs", "log", "1"]) == 1
    told = capsys.readouterr().err
    assert "run 1 has not begun: PENDING (Priority)" in told
    assert "hint: wait for it: spark-rl runs log 1 -f" in told
    cluster.write("deaf", "")
    assert spark_rl(["runs", "list"]) == 0
    assert "slurm job 71; Slurm does not tell" in capsys.readouterr().out


def test_a_waiting_run_is_cancelled(
    train: tuple[str, ...], cluster: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "POLL_S", 0.01)
    assert spark_rl([*train]) == 0
    capsys.readouterr()
    assert spark_rl(["runs", "stop", "1"]) == 0
    assert (cluster.read("cancelled"), registry.load("1").state) == ("71\n", "interrupted")
    assert "interrupted: run 1, slurm job 71 was cancelled" in capsys.readouterr().out
    output = registry.folder() / "jobs" / "71.log"
    output.write_text("hello\n", encoding="utf-8")
    assert spark_rl(["runs", "rm", "1", "--yes"]) == 0
    assert not output.exists()


# --- the record


GONE = Owner(host="elsewhere", boot="", pid=1, start_ticks=1)
BEGUN = (Attempt(argv=("python",), started_at=1.0),)


def recorded(**values: Any) -> str:
    """Make the record of a run in job 71 that nobody supervises."""
    base: dict[str, Any] = {"state": "starting", "owner": GONE, "updated_at": 1.0}
    return registry.create({}, run(**base | values)).id


@pytest.mark.parametrize(
    ("waits", "attempts", "queue", "state", "message"),
    [
        (True, (), "71|PENDING|Resources", "starting", None),
        (True, (), "71|RUNNING|None", "starting", None),
        (False, BEGUN, "71|RUNNING|None", "running", None),
        (False, BEGUN, "71|PENDING|BeginTime", "starting", None),
        (True, (), "71|FAILED|NonZeroExitCode", "failed", "ended before its run began: FAILED (NonZeroExitCode)"),
        (False, BEGUN, "71|TIMEOUT|TimeLimit", "lost", "is over, TIMEOUT (TimeLimit), without a last word of the run"),
        (False, BEGUN, "71|CANCELLED|None", "interrupted", "slurm job 71 was cancelled"),
        (True, (), "", "lost", "slurm does not know job 71 any more, and the run never began"),
        (False, BEGUN, "", "lost", "slurm does not know job 71 any more, and the run has not told its end"),
    ],
)
def test_what_a_jobs_state_means_for_its_run(
    cluster: Cluster, waits: bool, attempts: tuple[Attempt, ...], queue: str, state: str, message: str | None
) -> None:
    cluster.write("queue", f"{queue}\n")
    known = recorded(job=Job(engine="slurm", ident="71", waits=waits), attempts=attempts)
    seen = runs.get(known)
    assert seen.state == state
    assert (message or "") in (seen.message or "")
    assert (seen.ended_at == 1.0) == (seen.over and bool(attempts))  # the last sign of life, not when somebody looked
    cluster.write("queue", "")  # Slurm forgets it: what was seen of an end stands
    assert runs.get(known).state == (state if seen.over else "lost")


def test_a_run_that_told_its_end_is_not_asked_for(cluster: Cluster) -> None:
    known = registry.create({}, done(job=Job(engine="slurm", ident="71", waits=False)))
    assert runs.get(known.id).state == "succeeded"
    assert cluster.read("asked") == ""


def test_a_run_that_nobody_could_submit_is_lost(cluster: Cluster) -> None:
    assert runs.get(recorded(job=Job(engine="slurm"))).state == "lost"


def test_the_log_of_a_job_that_failed_before_its_run_is_the_jobs(
    cluster: Cluster, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    cluster.write("queue", "71|FAILED|NonZeroExitCode\n")
    log = tmp_path / "71.log"
    log.write_text("module: not found\n", encoding="utf-8")
    known = recorded(job=Job(engine="slurm", ident="71", log=str(log)))
    assert spark_rl(["runs", "log", known]) == 0
    assert b"module: not found\n" in capfdbinary.readouterr().out


def test_the_ranks_of_every_node_are_found(cluster: Cluster, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    argv = ("python", "-m", "isaaclab", "train_multigpu", "--num_gpus", "2", "--nnodes", "2", "--node_rank", "0")
    known = recorded(
        job=Job(engine="slurm", ident="71"), state="failed", attempts=(Attempt(argv=argv, started_at=1.0),)
    )
    for record, name in ((registry.path(known), "head"), (registry.folder() / "jobs/71-node1/runs" / known, "second")):
        for rank in (0, 1):
            file = record / "ranks/1/none_x/attempt_0" / str(rank) / "stdout.log"
            file.parent.mkdir(parents=True)
            file.write_text(f"{name} {rank}\n", encoding="utf-8")
    for rank, told in enumerate((b"head 0\n", b"head 1\n", b"second 0\n", b"second 1\n")):
        assert spark_rl(["runs", "log", known, "--rank", str(rank)]) == 0
        assert capfdbinary.readouterr().out == told
    assert spark_rl(["runs", "log", known, "--rank", "4"]) == 2
    assert b"it has 0, 1, 2, 3 here" in capfdbinary.readouterr().err


# --- in the job


class Inside:
    """A job in which the fake trainer is trained for run 1."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes = lab.Notes(folder / "notes")
        self.place = lab.package(folder / "env")

    def start(self, behaviour: str, *words: str, **env: str) -> subprocess.Popen[str]:
        named = ("--task", "Isaac-Cartpole-Direct", "--library", "rsl_rl", "--isaaclab", str(self.place))
        known = {"SLURM_JOB_ID": "71", "SPARK_RL_RUN": "1"}
        environ = lab.environ(behaviour, self.notes, **known | env)
        return lab.spark_rl("train", *named, "--adopt", "--num-envs", "64", *words, cwd=self.folder, env=environ)


@pytest.fixture
def inside(cluster: Cluster, tmp_path: Path) -> Iterator[Inside]:
    inside = Inside(tmp_path)
    yield inside
    inside.notes.sweep()


BUDGET = ("--max-iterations", "20", "--save-every", "4")


def test_a_job_takes_up_the_record_stops_for_the_limit_and_goes_on(inside: Inside, cluster: Cluster) -> None:
    recorded(job=Job(engine="slurm", ident="71", log="/logs/71.log"))
    job = inside.start("1:stall-at=11", *BUDGET)
    inside.notes.read("stalled")
    lab.eventually(lambda: (registry.load("1").progress.checkpoint_iteration or 0) >= 9, "a checkpoint")
    job.send_signal(signal.SIGUSR1)
    code, _, err = lab.finish(job)
    assert code == slurm.LIMIT_CODE, err
    waiting = registry.load("1")
    assert (waiting.state, waiting.waits, waiting.ended_at) == ("starting", True, None)
    assert waiting.message == "stopped ahead of the time limit after 11 of 20 iterations"
    cluster.write("queue", "71|PENDING|BeginTime\n")
    assert "PENDING (BeginTime): goes on from model_8.pt" in live.waiting(runs.get("1"))
    code, _, err = lab.finish(inside.start("train", *BUDGET))
    assert code == 0, err
    ended = registry.load("1")
    assert (ended.state, ended.progress.iteration, len(ended.attempts)) == ("succeeded", 20, 2)
    assert (ended.attempts[1].from_checkpoint or "").endswith("model_8.pt")
    assert ended.job == Job(engine="slurm", ident="71", waits=False, log="/logs/71.log")


def test_auto_environments_stay_when_the_job_starts_again(inside: Inside) -> None:
    recorded(job=Job(engine="slurm", ident="71"))
    measured(32)
    words = (*BUDGET, "--num-envs", "auto", "--device", "cpu")
    assert lab.finish(inside.start("1:die-at=11", *words))[0] == 1
    measured(16)
    registry.save(replace(registry.load("1"), state="starting", ended_at=None))
    code, _, err = lab.finish(inside.start("train", *words))
    assert code == 0, err
    assert [argv[argv.index("--num_envs") + 1] for argv in (one.argv for one in registry.load("1").attempts)] == [
        "32",
        "32",
    ]


def test_a_job_that_was_submitted_by_hand_knows_its_run_again(inside: Inside) -> None:
    assert lab.finish(inside.start("1:die-at=11", *BUDGET, SPARK_RL_RUN=""))[0] == 1
    assert lab.finish(inside.start("train", *BUDGET, SPARK_RL_RUN="", SLURM_RESTART_COUNT="1"))[0] == 0
    (ended,) = registry.entries()
    assert isinstance(ended, Run)
    assert (ended.state, len(ended.attempts), ended.job) == (
        *("succeeded", 2, Job(engine="slurm", ident="71", waits=False)),
    )


def test_a_run_of_another_job_is_left_alone(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(job=Job(engine="slurm", ident="70"))
    monkeypatch.setenv("SLURM_JOB_ID", "71")
    monkeypatch.setenv("SPARK_RL_RUN", "1")
    monkeypatch.setattr(submitting, "GRACE_S", 0.0)
    given = (
        "--task",
        "Isaac-Cartpole-Direct",
        "--isaaclab",
        str(inside.place),
        "--device",
        "cpu",
        "--assets",
        "embedded",
    )
    assert spark_rl(["train", *given, "--library", "rsl_rl", "--adopt"]) == 1
    assert registry.load("1").job == Job(engine="slurm", ident="70")


def test_outside_a_job_there_is_nothing_to_take_up(train: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert spark_rl([*train[:-2], "--adopt"]) == 2
    assert "--adopt is for the inside of a Slurm job" in capsys.readouterr().err
