"""The child's environment: LD_PRELOAD on aarch64, and which Python ``isaaclab.sh`` must not take."""

from __future__ import annotations

from typing import Any

import pytest

from planning import LAB, checkout, codes, host, package, planned, reason
from spark_rl.model import ActiveEnvironment

CARTPOLE = "Isaac-Cartpole-Direct-v0"
GOMP = "/lib/aarch64-linux-gnu/libgomp.so.1"
SIM_PYTHON = f"{LAB}/_isaac_sim/kit/python/bin/python3"
TORCH_GOMP = "/env/torch.libs/libgomp-d22c30c5.so.1.0.0"


def preloaded(given: str | None, machine: str = "aarch64", on: Any = "2.3.2", **values: Any) -> str | None:
    """Return the LD_PRELOAD that the plan sets over the inherited one, None when it sets none."""
    environ = {} if given is None else {"LD_PRELOAD": given}
    plan = planned(on, CARTPOLE, machine=host(machine=machine, environ=environ, **values))
    assert ("LD_PRELOAD" in dict(plan.reasons)) == ("LD_PRELOAD" in dict(plan.env))
    return dict(plan.env).get("LD_PRELOAD")


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (None, GOMP),
        ("", GOMP),
        (":", GOMP),
        (" : ", GOMP),
        ("/my/lib.so", f"/my/lib.so:{GOMP}"),
        (":/my/lib.so", f"/my/lib.so:{GOMP}"),
        ("/my/lib.so:", f"/my/lib.so:{GOMP}"),
        ("/my/a.so:/my/b.so", f"/my/a.so:/my/b.so:{GOMP}"),
        ("/my/a.so /my/b.so", f"/my/a.so:/my/b.so:{GOMP}"),
        ("/my/a.so  :/my/b.so:", f"/my/a.so:/my/b.so:{GOMP}"),
        (TORCH_GOMP, f"{TORCH_GOMP}:{GOMP}"),
        ("/my/libgomp.so.1.backup", f"/my/libgomp.so.1.backup:{GOMP}"),
        (GOMP, None),
        ("/opt/other/libgomp.so.1", None),
        ("libgomp.so.1", None),
        ("/my/a.so:/opt/other/libgomp.so.1 /my/b.so", None),
    ],
)
@pytest.mark.parametrize("on", ["2.1.0", "2.3.2", "kitless", "kit"])
def test_libgomp_is_appended_once_on_aarch64(on: str, given: str | None, value: str | None) -> None:
    assert preloaded(given, on=on) == value


@pytest.mark.parametrize("given", [None, "", "/my/lib.so", GOMP])
@pytest.mark.parametrize("on", ["2.3.2", checkout("2.3.2", sim_python=SIM_PYTHON), "kitless"])
def test_never_on_x86_64(on: Any, given: str | None) -> None:
    assert preloaded(given, "x86_64", on) is None
    plan = planned(on, CARTPOLE, machine=host(environ={"LD_PRELOAD": given or ""}, libgomp=None))
    assert (plan.env, codes(plan)) == ((), {})


def test_arm64_is_aarch64() -> None:
    assert preloaded(None, "arm64", libgomp=GOMP) == GOMP


def test_without_libgomp_there_is_a_finding_and_nothing_is_touched() -> None:
    plan = planned("2.3.2", CARTPOLE, machine=host(machine="aarch64", libgomp=None, environ={"LD_PRELOAD": "/my/a.so"}))
    assert plan.env == ()
    assert codes(plan) == {"libgomp-missing": "warning"}
    assert plan.findings[0].hint == "sudo apt-get install libgomp1"
    own = host(machine="aarch64", libgomp=None, environ={"LD_PRELOAD": "/opt/libgomp.so.1"})
    assert codes(planned("2.3.2", CARTPOLE, machine=own)) == {}


@pytest.mark.parametrize(
    ("given", "libgomp", "value"),
    [
        (None, GOMP, GOMP),
        ("/my/a.so", GOMP, f"/my/a.so:{GOMP}"),
        (GOMP, GOMP, GOMP),
        ("/opt/libgomp.so.1 /my/a.so", GOMP, "/opt/libgomp.so.1:/my/a.so"),
        ("/my/a.so", None, "/my/a.so"),
    ],
)
def test_a_python_sh_that_overwrites_it_is_led_through_a_wrapper(
    given: str | None, libgomp: str | None, value: str
) -> None:
    environ = {} if given is None else {"LD_PRELOAD": given}
    machine = host(machine="aarch64", libgomp=libgomp, environ=environ)
    plan = planned(checkout("2.3.2", sim_python=SIM_PYTHON), CARTPOLE, machine=machine)
    env = dict(plan.env)
    assert env["PYTHONEXE"] == "/cache/python-with-preload"
    assert env["SPARK_RL_LD_PRELOAD"] == value
    assert env["SPARK_RL_PYTHONEXE"] == SIM_PYTHON
    assert reason(plan, "PYTHONEXE") == "this Isaac Sim's python.sh replaces LD_PRELOAD: a wrapper puts it back"


def test_the_users_own_pythonexe_is_behind_the_wrapper() -> None:
    machine = host(machine="aarch64", environ={"PYTHONEXE": "/my/python"})
    plan = planned(checkout("2.3.2", sim_python=SIM_PYTHON), CARTPOLE, machine=machine)
    assert dict(plan.env)["SPARK_RL_PYTHONEXE"] == "/my/python"


def test_no_wrapper_where_there_is_nothing_to_carry_or_python_sh_is_not_used() -> None:
    overwriting = checkout("2.3.2", sim_python=SIM_PYTHON)
    empty = host(machine="aarch64", libgomp=None)
    assert planned(overwriting, CARTPOLE, machine=empty).env == ()
    conda = ActiveEnvironment(variable="CONDA_PREFIX", path="/conda", isaacsim=True, isaaclab=True)
    plan = planned(overwriting, CARTPOLE, machine=host(machine="aarch64"), active=(conda,))
    assert plan.env == (("LD_PRELOAD", GOMP),)
    assert planned(checkout("2.3.2"), CARTPOLE, machine=host(machine="aarch64")).env == (("LD_PRELOAD", GOMP),)


# Active environments


def active(variable: str, *, isaacsim: bool = False, isaaclab: bool = False) -> ActiveEnvironment:
    return ActiveEnvironment(variable=variable, path=f"/{variable}", isaacsim=isaacsim, isaaclab=isaaclab)


CONDA, VENV = active("CONDA_PREFIX"), active("VIRTUAL_ENV")
CONDA_SIM, VENV_SIM = active("CONDA_PREFIX", isaacsim=True), active("VIRTUAL_ENV", isaacsim=True)
VENV_LAB = active("VIRTUAL_ENV", isaaclab=True)


@pytest.mark.parametrize(
    ("on", "found", "unset"),
    [
        ("2.3.2", (), ()),
        ("2.3.2", (VENV,), ("VIRTUAL_ENV",)),
        ("2.3.2", (CONDA,), ("CONDA_PREFIX",)),
        ("2.3.2", (CONDA, VENV), ("CONDA_PREFIX", "VIRTUAL_ENV")),
        ("2.3.2", (CONDA, VENV_SIM), ("CONDA_PREFIX",)),
        ("2.3.2", (CONDA_SIM, VENV), ("VIRTUAL_ENV",)),
        ("2.3.2", (CONDA_SIM,), ()),
        ("2.3.2", (VENV_LAB,), ("VIRTUAL_ENV",)),
        ("2.1.0", (VENV,), ("VIRTUAL_ENV",)),
        ("3.0.0", (VENV,), ("VIRTUAL_ENV",)),
        ("3.0.0", (VENV_LAB,), ()),
        ("3.0.0", (VENV_SIM,), ()),
        ("kitless", (CONDA, VENV), ()),
        (package(python=None), (CONDA, VENV), ()),
    ],
)
def test_an_environment_without_the_simulator_is_hidden(
    on: Any, found: tuple[ActiveEnvironment, ...], unset: tuple[str, ...]
) -> None:
    plan = planned(on, CARTPOLE, active=found)
    assert plan.env_unset == unset
    reasons = {name: why for name, why in plan.reasons if name.startswith("env_unset")}
    assert [*reasons] == [f"env_unset {name}" for name in unset]
    assert all("has no Isaac Sim, and isaaclab.sh would take its Python" in why for why in reasons.values())
    assert codes(plan) == {}


def test_a_checkout_of_3_with_its_own_python_needs_no_hiding() -> None:
    own = checkout("3.0.0", python="/lab/.venv/bin/python")
    assert planned(own, CARTPOLE, active=(CONDA, VENV)).env_unset == ()


@pytest.mark.parametrize("found", [(), (CONDA,), (CONDA_SIM, VENV)])
def test_the_environment_that_was_named_is_the_one_isaaclab_sh_takes(found: tuple[ActiveEnvironment, ...]) -> None:
    named = checkout("2.2.0", python="/named/bin/python", isaacsim=True)
    plan = planned(named, CARTPOLE, active=found)
    assert plan.env == (("CONDA_PREFIX", "/named"),)
    assert plan.env_unset == ()
    assert "takes the Python of the environment that has this Isaac Lab" in (reason(plan, "CONDA_PREFIX") or "")
    assert plan.argv[:2] == ("/lab/isaaclab.sh", "-p")


def test_no_simulator_anywhere_is_warned_about() -> None:
    nothing = checkout("2.3.2", isaacsim=None)
    assert codes(planned(nothing, CARTPOLE)) == {"isaacsim-missing": "warning"}
    assert codes(planned(nothing, CARTPOLE, active=(VENV,))) == {"isaacsim-missing": "warning"}
    assert codes(planned(nothing, CARTPOLE, active=(VENV_SIM,))) == {}
    assert "_isaac_sim" in (planned(nothing, CARTPOLE).findings[0].hint or "")


def test_a_video_and_an_environment_are_both_hidden() -> None:
    plan = planned(package(), CARTPOLE, video=True, active=(VENV,), machine=host(display=True))
    assert plan.env_unset == ("DISPLAY", "WAYLAND_DISPLAY")


@pytest.mark.parametrize(("version", "wrapped"), [("2.2.0", True), ("2.3.2", False)])
def test_a_virtual_environment_with_isaac_sim_goes_past_python_sh_since_2_3(version: str, wrapped: bool) -> None:
    here = checkout(version, sim_python="/sim/kit/python/bin/python3")
    venv = ActiveEnvironment(variable="VIRTUAL_ENV", path="/venv", isaacsim=True, isaaclab=False)
    plan = planned(here, "Isaac-Cartpole-v0", machine=host(machine="aarch64"), active=(venv,))
    assert ("PYTHONEXE" in dict(plan.env)) is wrapped


def test_a_checkout_of_2_x_in_a_path_with_blanks_is_warned_of() -> None:
    plan = planned(checkout("2.3.2", path="/home/my user/IsaacLab"), "Isaac-Cartpole-v0")
    assert "checkout-path" in codes(plan)
