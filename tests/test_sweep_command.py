"""``spark-rl sweep`` as a user starts it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fakes import lab
from spark_rl import engines, registry, sweeps
from spark_rl.__main__ import run
from spark_rl.engines import Status, Submission, ray, slurm
from spark_rl.errors import CheckError
from spark_rl.records import Run
from swept import RATE, RECIPE, SPACE, Array, Desk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    desk = Desk(tmp_path, monkeypatch, capsys)
    yield desk
    desk.notes.sweep()


@pytest.fixture
def array(monkeypatch: pytest.MonkeyPatch) -> Array:
    found = Array()
    monkeypatch.setattr(engines, "load", lambda _name: found)
    return found


# --- before anything starts


def test_a_dry_run_shows_every_trial_and_leaves_nothing(desk: Desk) -> None:
    code, out, _ = desk.run("--dry-run")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "# sweep lr: 2 trainings, all of its trials"
    assert [line for line in lines if line.startswith("# trial")] == [
        f"# trial 1: {RATE}=1 seed 42",
        f"# trial 2: {RATE}=2 seed 42",
    ]
    commands = [line for line in lines if line and not line.startswith("#")]
    assert all(f"{RATE}={rate} " in f"{line} " for rate, line in zip("12", commands, strict=True))
    assert not (desk.cwd / "logs").exists()


def test_a_dry_run_tells_that_no_trial_fits(desk: Desk) -> None:
    desk.file.write_text(f"{RECIPE}{SPACE}[trial]\ncpus = 4000\n", encoding="utf-8")
    code, out, _ = desk.run("--dry-run")
    told = next(line for line in out.splitlines() if line.startswith("# at once"))
    assert (code, told.startswith("# at once     0 on this machine: a trial needs 4000 cpus, and ")) == (0, True)
    assert "([trial] cpus = " in told


def test_a_scheduler_that_could_stop_nothing_is_told(desk: Desk) -> None:
    desk.file.write_text(f"scheduler = 'asha'\n{RECIPE}{SPACE}[asha]\ngrace = 50\n", encoding="utf-8")
    code, _, err = desk.run("--dry-run")
    assert (code, "asha stops nothing before iteration 50, and a trial has 20" in err) == (2, True)


def test_a_dry_run_as_a_document(desk: Desk) -> None:
    code, found = desk.document("--dry-run")
    assert (code, found["schema"], found["state"]) == (0, "spark-rl/sweep/1", "planned")
    assert [trial["plan"]["schema"] for trial in found["trials"]] == ["spark-rl/plan/1"] * 2
    assert found["needs"]["memory_mib"] > 0


@pytest.mark.parametrize(("device", "gpus"), [('device = "cpu"\n', 0), ("", 1)])
def test_a_trial_takes_a_gpu_of_the_cluster_wherever_it_is_asked_for(desk: Desk, device: str, gpus: int) -> None:
    desk.file.write_text(RECIPE.replace('device = "cpu"\n', device) + SPACE, encoding="utf-8")
    code, found = desk.document("--dry-run", "--address", "head:6379")
    assert (code, found["needs"]["gpus"], found["at_once"]) == (0, gpus, None)
    assert all(("cpu" in trial["plan"]["argv"]) is (gpus == 0) for trial in found["trials"])
    assert "as many as the cluster has room for" in desk.run("--dry-run", "--address", "head:6379")[1]


def test_a_recipe_may_be_a_file_beside_it(desk: Desk) -> None:
    (desk.cwd / "base.toml").write_text(RECIPE.removeprefix("[recipe]\n"), encoding="utf-8")
    desk.file.write_text(f'recipe = "base.toml"\n{SPACE}', encoding="utf-8")
    assert desk.document("--dry-run")[1]["trials"][0]["plan"]["library"] == "rsl_rl"
    desk.file.write_text(f'recipe = "gone.toml"\n{SPACE}', encoding="utf-8")
    code, found = desk.document("--dry-run")
    assert (code, found["error"]["message"].partition(" cannot")[0]) == (2, str(desk.cwd / "gone.toml"))


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (RECIPE.replace("rsl_rl", "rsl_rk") + SPACE, "rsl_rk", "rsl_rl"),
        (RECIPE.replace("device", "devise") + SPACE, "has an unknown key: devise", "did you mean device?"),
        (RECIPE.replace("Cartpole", "Cartpool") + SPACE, "Isaac-Cartpool-Direct-v0", "Isaac-Cartpole-Direct"),
        (SPACE, "names no task", "[recipe]"),
    ],
)
def test_a_wrong_recipe_is_told(desk: Desk, text: str, message: str, hint: str) -> None:
    desk.file.write_text(text, encoding="utf-8")
    code, found = desk.document("--dry-run")
    assert code == 2
    assert message in found["error"]["message"]
    assert hint in found["error"]["hint"]


def test_a_mistyped_override_is_refused_with_the_right_name(desk: Desk) -> None:
    desk.file.write_text(RECIPE + SPACE.replace("learning_rate", "learnin_rate"), encoding="utf-8")
    code, found = desk.document("--engine", "slurm")
    assert (code, found["error"]["message"]) == (
        2,
        "agent.algorithm.learnin_rate=1: there is no agent.algorithm.learnin_rate",
    )
    assert found["error"]["hint"].startswith("did you mean agent.algorithm.learning_rate?")
    assert not (desk.cwd / "logs").exists()
    assert desk.document("--dry-run", "--no-check")[0] == 0


def test_the_ends_of_a_space_for_optuna_are_checked(desk: Desk) -> None:
    space = SPACE.replace("grid = [1.0, 2.0]", "choice = [1.0, [2.0]]")
    desk.file.write_text(f'search = "optuna"\n{RECIPE}{space}[budget]\ncombinations = 4\n', encoding="utf-8")
    code, found = desk.document("--dry-run")
    assert (code, f"{RATE}=[2]" in found["error"]["message"]) == (2, True)


def test_ray_that_is_not_installed_is_told_before_anything_is_made(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "find_spec", lambda _name: None)
    code, found = desk.document()
    assert (code, found["error"]["hint"]) == (1, "pip install 'spark-rl[sweep]'")
    assert not (desk.cwd / "logs").exists()


def test_nothing_of_ray_is_loaded_to_plan() -> None:
    text = (
        "import sys, spark_rl.sweep_acting; print([name for name in sys.modules if name.startswith(('ray', 'optuna'))])"
    )
    env = os.environ | {"PYTHONPATH": str(lab.SOURCES)}
    assert subprocess.run([sys.executable, "-c", text], env=env, capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("words", "top", "message"),
    [
        (("--engine", "slrum"), "", "there is no engine slrum"),
        (("--engine", "slurm"), "search = 'optuna'\n[budget]\ncombinations = 2\n", "--engine slurm cannot have optuna"),
        (("--engine", "slurm"), "[budget]\ntime = '1h'\n", "--engine slurm keeps no budget of time"),
        (("--engine", "slurm"), "scheduler = 'asha'\n", "--engine slurm cannot have asha"),
        (("--engine", "slurm", "--address", "auto"), "", "--address names a Ray cluster"),
        (("--time", "8h"), "", "--time and --partition are for jobs of Slurm"),
        (("--resume",), "", "no sweep lr was started in "),
        (("--results",), "", "no sweep lr was started in "),
    ],
)
def test_what_an_engine_cannot_do_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], top: str, message: str
) -> None:
    monkeypatch.setattr(ray, "installed", lambda: None)
    text = top + RECIPE + (SPACE.replace("grid", "choice") if "optuna" in top else SPACE)
    desk.file.write_text(text, encoding="utf-8")
    code, found = desk.document(*words)
    assert code == 2
    assert found["error"]["message"].startswith(message)
    assert not (desk.cwd / "logs").exists()


def test_a_gpu_by_its_number_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "installed", lambda: None)
    desk.file.write_text(RECIPE.replace('"cpu"', '"cuda:1"') + SPACE, encoding="utf-8")
    code, found = desk.document("--no-preflight")
    assert (code, found["error"]["message"]) == (2, "Ray gives each trial a GPU, and the device is cuda:1")


# --- an array of another engine


def test_a_job_array_takes_the_settings_of_slurm(desk: Desk, array: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_RL_SLURM_PARTITION", "gpu")
    monkeypatch.setenv("SPARK_RL_SLURM_TIME", "90m")
    assert desk.run("--engine", "slurm")[0] == 0
    (submission,) = array.submissions
    assert (dict(submission.options), submission.time_s) == ({"partition": "gpu"}, 5400)
    assert desk.run("--engine", "slurm", "--time", "2h", "--partition", "long")[0] == 0
    submission = array.submissions[1]
    assert (dict(submission.options), submission.time_s) == ({"partition": "long"}, 7200)
    assert dict(submission.env)["SPARK_RL_SLURM_TIME"] == "2h"


def flat(script: str) -> str:
    """Return a script as words: where its lines are broken depends on the length of a path."""
    return " ".join(script.replace("\\\n", " ").split())


def test_a_dry_run_for_an_engine_shows_what_it_would_get(desk: Desk, array: Array) -> None:
    desk.file.write_text(f"{RECIPE}{SPACE}[budget]\nparallel = 1\n", encoding="utf-8")
    array.render = slurm.render  # type: ignore[method-assign]
    code, out, _ = desk.run("--engine", "slurm", "--dry-run")
    assert (code, array.submissions) == (0, [])
    lines = out.splitlines()
    assert lines[0] == "# sweep lr: 2 trainings; slurm gets an array of 2 jobs, at most 1 at once"
    assert [line for line in lines if line.startswith("# trial")][1] == f"# trial 2: {RATE}=2 seed 42"
    script = "\n".join(lines[lines.index("#!/bin/bash") :])
    assert "#SBATCH --array=1-2%1\n" in script
    assert f" trial {desk.cwd}/logs/sweeps/lr_TIME 2 --adopt ;;" in flat(script)
    code, found = desk.document("--engine", "slurm", "--dry-run")
    assert (code, found["engine"], found["at_once"], found["needs"]["cpus"]) == (0, "slurm", 1, 1)
    assert found["script"].strip() == script
    assert not (desk.cwd / "logs").exists()
    assert desk.run("--engine", "slurm")[0] == 0
    (submission,) = array.submissions
    started = sweeps.newest(desk.cwd, "lr")
    assert flat(slurm.render(submission)).replace(str(started), f"{desk.cwd}/logs/sweeps/lr_TIME") == flat(script)


def test_a_container_has_a_spark_rl_and_an_isaac_lab_of_its_own(
    desk: Desk, array: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_RL_SLURM_CONTAINER", "apptainer exec lab.sif")
    monkeypatch.setenv("SPARK_RL_ISAACLAB", str(desk.lab))
    code = run(["sweep", str(desk.file), "--engine", "slurm", "--no-check"])
    assert (code, array.submissions[0].commands[0][:2]) == (0, ("spark-rl", "trial"))
    folder = sweeps.newest(desk.cwd, "lr")
    assert folder is not None
    assert sweeps.load(folder)["isaaclab"] is None


def test_auto_environments_are_settled_where_a_trial_runs(desk: Desk, array: Array) -> None:
    desk.file.write_text(RECIPE.replace("device", 'num_envs = "auto"\ndevice') + SPACE, encoding="utf-8")
    code, found = desk.document("--engine", "slurm", "--dry-run")
    assert (code, "--num_envs" in found["trials"][0]["plan"]["argv"]) == (0, False)
    assert desk.run("--engine", "slurm")[0] == 0
    assert array.run(0)[0] == 0
    (found_run,) = registry.entries()
    assert isinstance(found_run, Run)
    assert found_run.argv[found_run.argv.index("--num_envs") + 1] == "4096"


def test_the_folder_of_a_sweep_is_for_its_owner(desk: Desk, array: Array) -> None:
    assert desk.run("--engine", "slurm")[0] == 0
    folder = sweeps.newest(desk.cwd, "lr")
    assert folder is not None
    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in folder.iterdir()}
    assert modes == dict.fromkeys(("sweep.json", "trials.json", "submitted.json", "lock"), "0o600")


def test_what_an_array_still_has_is_not_submitted_again(desk: Desk, array: Array) -> None:
    assert desk.run("--engine", "slurm")[0] == 0
    array.state = "running"
    code, found = desk.document("--resume", "--engine", "slurm")
    assert (code, found["error"]["message"].endswith("still goes on: slurm job 1: RUNNING (as told)")) == (1, True)
    assert len(array.submissions) == 1
    code, _, err = desk.run("--results")
    assert (code, err) == (0, f"note: slurm job 1: RUNNING (as told); end it with: spark-rl sweep {desk.file} --stop\n")


def test_what_an_array_has_is_ended(desk: Desk, array: Array) -> None:
    assert desk.run("--engine", "slurm")[0] == 0
    array.state = "running"
    code, out, err = desk.run("--stop")
    assert (code, array.state, "trials: 2 waiting" in out) == (0, "cancelled", True)
    again = f"go on with: spark-rl sweep {desk.file} --resume"
    assert err.splitlines() == [
        "stopping slurm job 1: RUNNING (as told); its trials end their runs",
        f"note: slurm job 1: CANCELLED (as told); 2 waiting; {again}",
    ]
    code, found = desk.document("--stop")
    told = found["error"]["message"]
    assert (code, told.startswith("slurm job 1: CANCELLED (as told): nothing of "), "left to end" in told) == (
        1,
        True,
        True,
    )
    (folder,) = (desk.cwd / "logs" / "sweeps").iterdir()
    sweeps.forget_submitted(folder)
    code, found = desk.document("--stop")
    assert (code, found["error"]["message"].startswith("no engine has anything of ")) == (1, True)


def test_a_sweep_goes_on_with_its_own_isaac_lab(desk: Desk, array: Array) -> None:
    desk.run("--engine", "slurm")
    assert run(["sweep", str(desk.file), "--resume", "--engine", "slurm"]) == 0
    assert len(array.submissions) == 2


def test_a_sweep_goes_on_where_it_was(desk: Desk, array: Array) -> None:
    assert desk.run("--engine", "slurm")[0] == 0
    code, found = desk.document("--resume")
    assert (code, found["state"], found["submitted"], len(array.submissions)) == (0, "submitted", "2", 2)


def test_an_engine_that_does_not_answer_is_told(desk: Desk, array: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    assert desk.run("--engine", "slurm")[0] == 0

    def deaf(_ident: str) -> Status:
        raise CheckError("squeue is not on this machine")

    monkeypatch.setattr(array, "poll", deaf)
    _, out, err = desk.run("--results")
    assert "trials: 2 waiting" in out
    assert err.startswith("note: slurm job 1: submitted (squeue is not on this machine); end it with: ")


def test_what_a_job_printed_that_came_to_no_run(desk: Desk, array: Array) -> None:
    assert desk.run("--engine", "slurm")[0] == 0
    folder = sweeps.newest(desk.cwd, "lr")
    assert folder is not None
    (folder / "trials-2.log").write_text("module: not found\n", encoding="utf-8")
    array.state = "failed"
    assert f"FAILED (as told); 2 waiting (see {folder}/trials-2.log); go on" in desk.run("--results")[2]


def test_an_array_is_for_the_gpus_of_its_nodes(desk: Desk, array: Array) -> None:
    budget = "[budget]\nparallel = 1\n"
    desk.file.write_text(RECIPE.replace('device = "cpu"\n', "") + SPACE + budget, encoding="utf-8")
    assert desk.run("--engine", "slurm")[0] == 0
    (submission,) = array.submissions
    assert (submission.gpus, submission.memory_mib, submission.parallel) == (1, None, 1)
    assert "#SBATCH --array=1-2%1\n" in slurm.render(submission)


def test_without_ray_trials_run_here_one_after_the_other(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "MODULES", {"local": "local"})
    code, _, err = desk.run("--engine", "local")
    assert code == 0, err
    lab.eventually(lambda: desk.document("--results")[1]["state"] == "complete", "the end of both trials")
    code, found = desk.document("--results")
    assert [row["values"] for row in found["ranking"]] == [{RATE: 2.0}, {RATE: 1.0}]


def test_a_job_array_is_submitted_run_and_ranked(desk: Desk, array: Array) -> None:
    code, out, _ = desk.run("--engine", "slurm")
    assert code == 0
    assert out.startswith("slurm job 1 has 2 trials, in logs/sweeps/lr_")
    (submission,) = array.submissions
    assert (submission.name, submission.cwd, submission.cpus, submission.gpus) == ("lr", str(desk.cwd), 1, 0)
    assert dict(submission.env)["SPARK_RL_STATE"] == str(registry.folder())
    folder = sweeps.newest(desk.cwd, "lr")
    assert [command[2:] for command in submission.commands] == [
        ("spark_rl", "trial", str(folder), "1", "--adopt"),
        ("spark_rl", "trial", str(folder), "2", "--adopt"),
    ]
    code, before = desk.document("--results")
    assert (code, before["state"], {trial["state"] for trial in before["trials"]}) == (0, "unfinished", {"waiting"})

    assert array.run(1)[0] == 0
    code, half = desk.document("--results")
    assert (code, half["state"]) == (0, "unfinished")
    assert [(trial["state"], trial["iteration"]) for trial in half["trials"]] == [("waiting", None), ("complete", 20)]

    assert array.run(0)[0] == 0
    code, found = desk.document("--results")
    assert (code, found["state"]) == (0, "complete")
    assert [row["values"] for row in found["ranking"]] == [{RATE: 2.0}, {RATE: 1.0}]
    assert found["ranking"][0]["median"] == pytest.approx(2 * found["ranking"][1]["median"], rel=1e-3)
    assert (code, desk.document("--resume", "--engine", "slurm")[0]) == (0, 1)


def test_the_best_recipe_trains(desk: Desk, array: Array) -> None:
    desk.run("--engine", "slurm")
    assert [array.run(0)[0], array.run(1)[0]] == [0, 0]
    recipe = desk.document("--results")[1]["recipe"]
    code = run(["train", "--recipe", recipe, "--isaaclab", str(desk.lab), "--dry-run", "--json"])
    planned = json.loads(desk.capsys.readouterr().out)
    assert (code, planned["library"]) == (0, "rsl_rl")
    assert f"{RATE}=2" in planned["argv"]


def test_a_table_for_a_person(desk: Desk, array: Array) -> None:
    desk.run("--engine", "slurm")
    assert [array.run(0)[0], array.run(1)[0]] == [0, 0]
    code, out, err = desk.run("--results")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "reward over learning_rate"
    table = lines.index("lr: 2 trials")
    assert lines[table + 1].split() == ["learning_rate", "reward", "state"]
    assert [line.split()[:2] for line in lines[table + 2 : table + 4]] == [["1", "2"], ["2", "1"]]
    assert lines[-1].startswith("best: spark-rl train --recipe ")


def test_only_what_is_left_is_handed_in_again(desk: Desk, array: Array) -> None:
    desk.run("--engine", "slurm")
    array.run(0)
    assert array.run(1, FAKE_TRAINER="crash")[0] == 1
    code, found = desk.document("--results")
    assert [trial["state"] for trial in found["trials"]] == ["complete", "failed"]
    code, again = desk.document("--resume", "--engine", "slurm")
    assert (code, again["state"], array.submissions[-1].numbers) == (0, "submitted", (2,))
    assert array.run(0)[0] == 0
    code, found = desk.document("--results")
    assert (code, found["state"]) == (0, "complete")
    assert len(registry.load(found["trials"][1]["run"]).attempts) == 2


def test_a_file_that_has_changed_is_another_sweep(desk: Desk, array: Array) -> None:
    desk.run("--engine", "slurm")
    array.run(0)
    desk.file.write_text(desk.file.read_text().replace("2.0", "3.0"), encoding="utf-8")
    code, found = desk.document("--resume")
    assert (code, "has changed since" in found["error"]["message"]) == (2, True)
    code, out, err = desk.run("--results", "--json")
    assert [trial["values"][RATE] for trial in json.loads(out)["trials"]] == [1.0, 2.0]
    assert (code, "has changed since" in err) == (0, True)
    array.state = "running"
    assert desk.run("--stop")[0] == 0
    assert array.poll("1").state == "cancelled"


def test_a_sweep_that_could_not_begin_hides_no_earlier_one(
    desk: Desk, array: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.run("--engine", "slurm")
    array.run(0)

    def refuse(_submission: Submission) -> str:
        raise CheckError("no controller", None)

    monkeypatch.setattr(array, "submit", refuse)
    assert desk.run("--engine", "slurm")[0] == 1
    assert len(list((desk.cwd / "logs" / "sweeps").iterdir())) == 2
    code, found = desk.document("--results")
    assert (code, [trial["state"] for trial in found["trials"]]) == (0, ["complete", "waiting"])


def test_a_sweep_that_runs_is_not_begun_again_beside_it(desk: Desk, array: Array) -> None:
    desk.run("--engine", "slurm")
    (folder,) = (desk.cwd / "logs" / "sweeps").iterdir()
    with sweeps.claimed(folder):
        code, found = desk.document("--resume", "--engine", "slurm")
        assert (code, found["error"]["message"]) == (1, f"the sweep in {folder} runs already")
        assert desk.document("--results")[1]["state"] == "unfinished"
    assert desk.run("--resume", "--engine", "slurm")[0] == 0
    assert len(array.submissions) == 2


def test_a_metric_that_no_run_has_is_told(desk: Desk, array: Array) -> None:
    desk.file.write_text(f'metric = "Train/nothing"\n{RECIPE}{SPACE}', encoding="utf-8")
    desk.run("--engine", "slurm")
    assert [array.run(element)[0] for element in (0, 1)] == [0, 0]
    code, _, err = desk.run("--results")
    assert (code, "run 1 has recorded no Train/nothing; what it has: spark-rl runs plot 1 TAG" in err) == (1, True)


def test_a_cluster_that_is_not_there_is_told_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "installed", lambda: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, found = desk.document("--address", address)
    assert (code, found["error"]["message"]) == (1, f"the Ray at {address} cannot be reached: Connection refused")
    assert "ray start --head" in found["error"]["hint"]
    assert not (desk.cwd / "logs").exists()


@pytest.mark.parametrize("address", ["auto", "local", "ray://head:10001", "head"])
def test_what_only_ray_can_reach_is_left_to_it(address: str) -> None:
    ray.reachable(address)


@pytest.mark.parametrize("address", ["a..b:6379", "127.0.0.1:99999"])
def test_an_address_that_can_be_none(address: str) -> None:
    with pytest.raises(CheckError, match="cannot be reached"):
        ray.reachable(address)
