"""``spark-rl sweep`` and its trials as a user and an engine start them; the trainer is the fake one, without Ray."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fakes import lab
from fakes.configured import Lab
from spark_rl import engines, registry, sweeps
from spark_rl.__main__ import run
from spark_rl.engines import State, Status, Submission, ray, slurm
from spark_rl.errors import CheckError
from spark_rl.launch import trial as trials
from spark_rl.records import Job, Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

RATE = "agent.algorithm.learning_rate"
RECIPE = """\
[recipe]
task = "Isaac-Cartpole-Direct-v0"
library = "rsl_rl"
max_iterations = 20
device = "cpu"
"""
SPACE = f'[space]\n"{RATE}" = {{ grid = [1.0, 2.0] }}\n'


class Desk:
    """A folder with a sweep's file, and an Isaac Lab 3.0 whose Python is the fake trainer."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.cwd = folder / "cwd"
        self.cwd.mkdir()
        monkeypatch.chdir(self.cwd)
        self.lab = Lab(folder / "env").path
        self.notes = lab.Notes(folder / "notes")
        self.capsys = capsys
        monkeypatch.setattr(engines, "MODULES", {"slurm": "slurm"})
        self.file = self.cwd / "lr.toml"
        self.file.write_text(RECIPE + SPACE, encoding="utf-8")
        for name, value in lab.environ(f"scale={RATE} save=4", self.notes).items():
            if name.startswith("FAKE_") or name in ("ISAACSIM_ASSET_ROOT", "PYTHONPATH"):
                monkeypatch.setenv(name, value)

    def run(self, *words: str) -> tuple[int, str, str]:
        code = run(["sweep", str(self.file), "--isaaclab", str(self.lab), *words])
        told = self.capsys.readouterr()
        return code, told.out, told.err

    def document(self, *words: str) -> tuple[int, dict[str, Any]]:
        code, out, _ = self.run("--json", *words)
        document: dict[str, Any] = json.loads(out)
        return code, document


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    desk = Desk(tmp_path, monkeypatch, capsys)
    yield desk
    desk.notes.sweep()


class Array:
    """An engine that runs each element when it is told to, one after the other."""

    def __init__(self) -> None:
        self.submissions: list[Submission] = []
        self.state: State = "done"

    def render(self, submission: Submission) -> str:
        return ray.render(submission)

    def submit(self, submission: Submission) -> str:
        self.submissions.append(submission)
        return str(len(self.submissions))

    def poll(self, ident: str) -> Status:
        return Status(state=self.state, native=self.state.upper(), reason="as told")

    def survey(self, idents: Iterable[str]) -> dict[str, Status]:
        return {ident: self.poll(ident) for ident in idents}

    def cancel(self, ident: str) -> None:
        assert ident == str(len(self.submissions))
        self.state = "cancelled"

    def environ(self, element: int) -> dict[str, str]:
        """Return what an element of the newest array sees."""
        submission = self.submissions[-1]
        task = {"SLURM_ARRAY_JOB_ID": str(len(self.submissions)), "SLURM_ARRAY_TASK_ID": submission.numbers[element]}
        return os.environ | dict(submission.env) | {name: str(value) for name, value in task.items()}

    def run(self, element: int, **env: str) -> tuple[int, str]:
        submission = self.submissions[-1]
        argv, environ = submission.commands[element], self.environ(element) | env
        child = subprocess.run(argv, cwd=submission.cwd, env=environ, capture_output=True, text=True, timeout=60)
        return child.returncode, child.stderr


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


# --- one trial


def test_a_trial_knows_its_job(desk: Desk, array: Array) -> None:
    desk.run("--engine", "slurm")
    assert array.run(1)[0] == 0
    folder = sweeps.newest(desk.cwd, "lr")
    (found,) = registry.entries()
    assert isinstance(found, Run)
    assert found.job == Job(engine="slurm", ident="1_2", waits=False, log=f"{folder}/trials-2.log")
    code = run(["trial", str(folder), "1", "--adopt"])
    assert (code, "--adopt is for the inside of a Slurm job" in desk.capsys.readouterr().err) == (2, True)


def test_a_trial_of_ray_in_somebodys_job_has_none(desk: Desk, array: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.run("--engine", "slurm")
    monkeypatch.setenv("SLURM_JOB_ID", "9")
    folder = sweeps.newest(desk.cwd, "lr")
    assert run(["trial", str(folder), "1"]) == 0
    (found,) = registry.entries()
    assert isinstance(found, Run)
    assert found.job is None


def test_a_trial_that_waits_for_its_next_start_is_told_and_taken_up(desk: Desk, array: Array) -> None:
    desk.run("--engine", "slurm")
    folder = sweeps.newest(desk.cwd, "lr")
    assert folder is not None
    argv, env = array.submissions[-1].commands[0], array.environ(0) | {"FAKE_TRAINER": f"scale={RATE} save=4 pace=0.3"}
    child = subprocess.Popen(argv, cwd=desk.cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lab.eventually(lambda: any(one.iteration >= 6 for one in sweeps.reports(folder, 1)), "reports")
    child.send_signal(signal.SIGUSR1)
    assert child.wait(lab.PATIENCE_S) == slurm.LIMIT_CODE
    array.state = "pending"
    _, found = desk.document("--results")
    assert [trial["state"] for trial in found["trials"]] == ["waiting", "waiting"]
    assert array.run(0)[0] == 0
    run_id = sweeps.run_of(folder, 1)
    assert run_id is not None
    assert [one.state for one in registry.load(run_id).attempts] == ["interrupted", "succeeded"]


def test_a_trial_that_went_on_outside_of_its_sweep_counts(desk: Desk, array: Array) -> None:
    desk.run("--engine", "slurm")
    folder = sweeps.newest(desk.cwd, "lr")
    assert folder is not None
    assert array.run(0)[0] == 0
    sweeps.reports_file(folder, 1).write_text('{"iteration": 8, "score": 0.1}\n', encoding="utf-8")
    trial = desk.document("--results")[1]["trials"][0]
    assert (trial["state"], trial["iteration"], trial["score"] > 0.1) == ("complete", 20, True)


def test_an_end_that_only_the_engine_saw_is_written_down(desk: Desk, array: Array) -> None:
    desk.run("--engine", "slurm")
    folder = sweeps.newest(desk.cwd, "lr")
    assert folder is not None
    assert array.run(0)[0] == 0
    run_id = sweeps.run_of(folder, 1)
    assert run_id is not None
    gone = replace(registry.load(run_id).owner, host="elsewhere")
    running = replace(registry.load(run_id), state="running", ended_at=None, owner=gone)
    registry.save(replace(running, job=replace(running.job, waits=True)))  # type: ignore[type-var]
    array.state = "cancelled"
    assert [trial["state"] for trial in desk.document("--results")[1]["trials"]] == ["unfinished", "waiting"]
    assert registry.load(run_id).state == "interrupted"


def begun(desk: Desk, array: Array, behaviour: str) -> tuple[Path, subprocess.Popen[bytes]]:
    """Start the first trial as Ray does: with a leash."""
    desk.run("--engine", "slurm")
    folder = sweeps.newest(desk.cwd, "lr")
    assert folder is not None
    argv = (*(word for word in array.submissions[-1].commands[0] if word != "--adopt"), "--leash")
    log = (folder / "trial.log").open("ab")
    env = os.environ | {"FAKE_TRAINER": behaviour}
    child = subprocess.Popen(argv, cwd=desk.cwd, env=env, stdin=subprocess.PIPE, stdout=log, stderr=log)
    log.close()
    lab.eventually(lambda: any(one.iteration >= 6 for one in sweeps.reports(folder, 1)), "reports")
    return folder, child


def test_a_trial_ends_with_who_started_it_and_goes_on_as_the_same_run(desk: Desk, array: Array) -> None:
    folder, child = begun(desk, array, f"scale={RATE} save=4 pace=0.3")
    trainer = desk.notes.started()["pid"]
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(lab.PATIENCE_S) == 130
    assert not lab.is_running(trainer)
    run_id = sweeps.run_of(folder, 1)
    assert run_id is not None
    assert registry.load(run_id).state == "interrupted"

    assert array.run(0)[0] == 0
    assert sweeps.run_of(folder, 1) == run_id
    first, second = registry.load(run_id).attempts
    assert (first.state, second.state) == ("interrupted", "succeeded")
    assert second.first_iteration >= 4
    assert sweeps.reports(folder, 1)[-1].iteration == 20


def test_a_trial_that_was_killed_goes_on(desk: Desk, array: Array) -> None:
    folder, child = begun(desk, array, f"scale={RATE} save=4 pace=0.3")
    child.kill()
    child.communicate()
    assert array.run(0)[0] == 0
    run_id = sweeps.run_of(folder, 1)
    assert run_id is not None
    assert [attempt.state for attempt in registry.load(run_id).attempts][1] == "succeeded"


def test_a_trial_that_is_done_stays_done(desk: Desk, array: Array) -> None:
    desk.run("--engine", "slurm")
    assert array.run(0)[0] == 0
    folder = sweeps.newest(desk.cwd, "lr")
    assert folder is not None
    run_id = sweeps.run_of(folder, 1)
    assert array.run(0)[0] == 0
    assert run_id is not None
    assert len(registry.load(run_id).attempts) == 1


def test_a_trial_whose_node_is_gone_is_taken_over(desk: Desk, array: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, child = begun(desk, array, f"scale={RATE} save=4 pace=0.3")
    assert child.stdin is not None
    child.stdin.close()
    child.wait()
    run_id = sweeps.run_of(folder, 1)
    assert run_id is not None
    before = registry.load(run_id)
    elsewhere = replace(before.owner, host="elsewhere")
    registry.save(replace(before, state="running", ended_at=None, owner=elsewhere, updated_at=before.updated_at - 60))
    assert not registry.load(run_id).over
    assert array.run(0)[0] == 0
    assert registry.load(run_id).state == "succeeded"


def test_a_trial_that_nobody_knows(desk: Desk, array: Array) -> None:
    desk.run("--engine", "slurm")
    folder = sweeps.newest(desk.cwd, "lr")
    code = run(["trial", str(folder), "7"])
    assert (code, "has no trial 7" in desk.capsys.readouterr().err) == (2, True)
    code = run(["trial", str(desk.cwd), "1"])
    assert (code, "is no folder of a sweep" in desk.capsys.readouterr().err) == (2, True)


def test_a_leash_is_an_int(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: heard.set())
    try:
        reading, writing = os.pipe()
        trials.leash(reading)
        os.write(writing, b"still here")
        assert not heard.wait(0.2)
        os.close(writing)
        assert heard.wait(10)
        os.close(reading)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("metric", "value"), [("reward", 1.5), ("length", 20.0), ("fps", 99.0), ("Loss/value", 7.0)])
def test_what_is_measured(metric: str, value: float) -> None:
    import runs

    run = runs.run(progress=runs.progress(reward=1.5, length=20.0, fps=99.0))
    assert trials.figure(metric, lambda _run: 7.0)(run) == value


# --- the command of a trial on its node


def submission(folder: Path, *argv: str) -> Submission:
    return Submission(
        name="one", commands=(argv,), cwd=str(folder), log=str(folder / "log" / "one.log"), env=(("A", "b"),)
    )


def test_a_command_is_started_told_of_and_stopped(tmp_path: Path) -> None:
    talk = "import os, signal, sys; print(os.environ['A'], flush=True); signal.pause()"
    ident = ray.submit(submission(tmp_path, sys.executable, "-c", talk))
    log = tmp_path / "log" / "one.log"
    lab.eventually(lambda: log.read_text() == "b\n", "its output")
    assert ray.poll(ident) == Status(state="running", native="running")
    ray.cancel(ident)
    ray.cancel(ident)
    assert ray.poll(ident).state == "cancelled"


@pytest.mark.parametrize(("code", "state"), [(0, "done"), (3, "failed")])
def test_a_command_that_ends_by_itself(tmp_path: Path, code: int, state: str) -> None:
    ident = ray.submit(submission(tmp_path, sys.executable, "-c", f"raise SystemExit({code})"))
    lab.eventually(lambda: ray.poll(ident).state != "running", "its end")
    assert ray.poll(ident) == Status(state=state, native=f"exit {code}")  # type: ignore[arg-type]
    assert ray.poll("1").state == "gone"


def test_a_submission_as_text(tmp_path: Path) -> None:
    assert ray.render(replace(submission(tmp_path, "train", "a b"), memory_mib=100)) == (
        f"# one: 1 CPUs, 0 GPUs, 100 MiB each\ncd {tmp_path}\nenv A=b train 'a b'"
    )
