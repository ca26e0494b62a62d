"""What is an Isaac Lab, which one is used, and why not another."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import stand_in
from spark_rl import installations
from spark_rl.__main__ import run
from spark_rl.errors import RequestError
from spark_rl.installations import inspect, select
from spark_rl.model import Setting, Settings

if TYPE_CHECKING:
    import os

UNSET = Settings(entries=(Setting(name="isaaclab", value=None, source="default"),))
FOLDERS = ("plain", "with some space", "ünïcode-机器人", "we$ird 'quotes'")


@pytest.fixture(autouse=True)
def _own_python_has_no_isaaclab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "own-python"))


def editable(env: Path, url: str, version: str = "0.54.0") -> Path:
    """Give an environment an editable installation of the extension ``isaaclab``."""
    info = next(env.glob("lib/python3*/site-packages")) / f"isaaclab-{version}.dist-info"
    info.mkdir()
    (info / "direct_url.json").write_text(json.dumps({"url": url, "dir_info": {"editable": True}}), encoding="utf-8")
    return env


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("version", ["2.1.0", "2.3.2", "3.0.0"])
def test_a_checkout(tmp_path: Path, folder: str, version: str) -> None:
    path = stand_in.checkout(tmp_path / folder, version, simulator=False)
    found = inspect(path)
    assert (found.version, found.kind, found.path) == (version, "checkout", str(path))
    assert (found.python, found.isaacsim, found.sim_python) == (None, None, None)


def test_a_checkout_with_the_simulator(tmp_path: Path) -> None:
    found = inspect(stand_in.checkout(tmp_path / "IsaacLab", "2.3.2"))
    assert (found.isaacsim, found.kitless, found.sim_python) == (True, False, None)


def test_the_sources_of_a_checkout_are_its_extensions(tmp_path: Path) -> None:
    path = stand_in.checkout(tmp_path / "IsaacLab", "2.3.2")
    for name in ("isaaclab_tasks", "isaaclab", "my_extension"):
        (path / "source" / name).mkdir(parents=True)
    (path / "source" / "isaaclab.md").write_text("")
    assert inspect(path).sources == (f"{path}/source/isaaclab", f"{path}/source/isaaclab_tasks")


def test_a_new_checkout_uses_the_python_that_uv_made_for_it(tmp_path: Path) -> None:
    path = stand_in.checkout(tmp_path / "IsaacLab", "3.0.0", simulator=False)
    stand_in.environment(path / ".venv", {"isaaclab": "3.0.0", "moviepy": "1.0.3"})
    found = inspect(path)
    assert found.python == f"{path}/.venv/bin/python"
    assert found.kitless
    assert ("moviepy", "1.0.3") in found.packages


def test_a_new_checkout_has_the_simulator_of_its_environment(tmp_path: Path) -> None:
    path = stand_in.checkout(tmp_path / "IsaacLab", "3.0.0", simulator=False)
    stand_in.environment(path / ".venv", {"isaacsim": "6.0.1"})
    assert inspect(path).isaacsim is True


def test_an_old_checkout_leaves_the_choice_of_python_to_its_script(tmp_path: Path) -> None:
    path = stand_in.checkout(tmp_path / "IsaacLab", "2.3.2", simulator=False)
    stand_in.environment(path / ".venv", {})
    assert inspect(path).python is None


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("given", [".", "bin/python", "bin/../bin/python"])
def test_an_environment(tmp_path: Path, folder: str, given: str) -> None:
    env = stand_in.kitless(tmp_path / folder, rsl_rl_lib="5.5.1")
    found = inspect(env / given)
    assert (found.version, found.kind, found.path) == ("3.0.0", "package", str(env))
    assert found.python == f"{env}/bin/python"
    assert found.kitless
    assert dict(found.packages)["rsl-rl-lib"] == "5.5.1"
    assert found.sources == (f"{env}/lib/python3.12/site-packages",)


def test_an_environment_with_the_simulator(tmp_path: Path) -> None:
    assert inspect(stand_in.kitless(tmp_path / "env", isaacsim="6.0.1")).isaacsim is True


def test_the_name_of_another_package_is_not_isaaclab(tmp_path: Path) -> None:
    env = stand_in.environment(tmp_path / "env", {"isaaclab_tasks": "3.0.0"})
    with pytest.raises(RequestError, match="is no Isaac Lab"):
        inspect(env)


def test_a_link_to_an_environment_stays_the_link(tmp_path: Path) -> None:
    env = stand_in.kitless(tmp_path / "env")
    (env / "bin" / "python").unlink()
    (env / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "link").symlink_to(env)
    assert inspect(tmp_path / "link" / "bin" / "python").python == f"{tmp_path}/link/bin/python"


def test_a_relative_path_and_the_home_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in.kitless(tmp_path / "env")
    monkeypatch.chdir(tmp_path)
    assert inspect(Path("env")).path == f"{tmp_path}/env"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert inspect(Path("~/env")).path == f"{tmp_path}/env"


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_editable_installation_leads_to_its_checkout(tmp_path: Path, folder: str) -> None:
    path = stand_in.checkout(tmp_path / folder, "2.3.2", simulator=False)
    (path / "source" / "isaaclab").mkdir(parents=True)
    env = editable(stand_in.environment(tmp_path / "env", {"isaacsim": "5.1.0"}), (path / "source/isaaclab").as_uri())
    found = inspect(env)
    assert (found.version, found.kind, found.path) == ("2.3.2", "checkout", str(path))
    assert (found.python, found.isaacsim) == (f"{env}/bin/python", True)


def test_an_old_editable_installation_may_find_the_simulator_elsewhere(tmp_path: Path) -> None:
    path = stand_in.checkout(tmp_path / "IsaacLab", "2.3.2", simulator=False)
    env = editable(stand_in.environment(tmp_path / "env", {}), (path / "source" / "isaaclab").as_uri())
    assert inspect(env).isaacsim is None


@pytest.mark.parametrize(
    "text", ['{"url": "file:///gone/source/isaaclab"}', "{", "[]", '{"url": 3}', '{"url": "http://["}']
)
def test_an_editable_installation_that_leads_nowhere_is_a_package(tmp_path: Path, text: str) -> None:
    env = stand_in.kitless(tmp_path / "env")
    (env / "lib/python3.12/site-packages/isaaclab-3.0.0.dist-info/direct_url.json").write_text(text)
    assert inspect(env).kind == "package"


def test_a_2x_package_is_refused_when_planning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env = stand_in.environment(tmp_path / "env", {"isaaclab": "2.3.2.post1", "isaacsim": "5.1.0"})
    assert run(["train", "--task", "Isaac-Cartpole-Direct-v0", "--isaaclab", str(env), "--dry-run"]) == 2
    message, hint = capsys.readouterr().err.splitlines()
    assert f"the Isaac Lab 2.3.2.post1 package in {env} has no train and play scripts" in message
    assert "checkout" in hint


def test_a_newer_major_is_refused_when_planning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = stand_in.checkout(tmp_path / "IsaacLab", "4.0.0")
    assert run(["train", "--task", "Isaac-Cartpole-Direct", "--isaaclab", str(path), "--dry-run"]) == 2
    message, hint = capsys.readouterr().err.splitlines()
    assert message.startswith("error: ")
    assert "4.0.0" in message
    assert hint.startswith("hint: ")


def test_an_unknown_minor_takes_the_nearest_lower_profile_with_one_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stand_in.checkout(tmp_path / "IsaacLab", "2.9.0")
    words = ["train", "--task", "Isaac-Cartpole-Direct-v0", "--isaaclab", str(path), "--dry-run", "--json"]
    assert run(words) == 0
    findings: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["findings"]
    assert ["2.9.0" in finding["message"] for finding in findings if finding["level"] == "warning"].count(True) == 1


def broken_without_version(path: Path) -> Path:
    (stand_in.checkout(path, "2.3.2") / "VERSION").unlink()
    return path


def broken_with_text(path: Path) -> Path:
    (stand_in.checkout(path, "2.3.2") / "VERSION").write_text("main\n")
    return path


def broken_with_bytes(path: Path) -> Path:
    (stand_in.checkout(path, "2.3.2") / "VERSION").write_bytes(b"\xff\xfe\x00")
    return path


def empty(path: Path) -> Path:
    path.mkdir()
    return path


def a_file(path: Path) -> Path:
    path.write_text("")
    return path


def under_a_file(path: Path) -> Path:
    return a_file(path) / "bin" / "python"


def a_loop(path: Path) -> Path:
    path.symlink_to(path)
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (broken_without_version, "{path} has no VERSION file"),
        (broken_with_text, "{path}/VERSION holds no version: 'main'"),
        (broken_with_bytes, "{path} has no VERSION file"),
        (empty, "{path} is no Isaac Lab"),
        (a_file, "{path} is no Isaac Lab"),
        (under_a_file, "{path}/bin/python does not exist"),
        (a_loop, "{path} does not exist"),
        (Path, "{path} does not exist"),
    ],
)
def test_a_path_that_cannot_be_used_is_told(
    tmp_path: Path, make: Any, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = make(tmp_path / "lab")
    assert run(["train", "--task", "Isaac-Cartpole-Direct", "--isaaclab", str(given)]) == 2
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0].startswith("error: " + message.format(path=tmp_path / "lab"))
    assert len(lines) == 2
    assert lines[1].startswith("hint: ")


def test_a_folder_that_may_not_be_searched_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = stand_in.checkout(tmp_path / "locked", "2.3.2")
    stat = Path.stat

    def forbidding(path: Path, **options: bool) -> os.stat_result:
        if path.is_relative_to(locked):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", forbidding)
    with pytest.raises(RequestError, match="no Isaac Lab was found"):
        select(UNSET, tmp_path, {"ISAACLAB_PATH": str(locked)})
    with pytest.raises(RequestError, match="cannot be read: Permission denied"):
        inspect(locked)


def test_the_search_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = stand_in.checkout(tmp_path / "named", "2.1.0")
    around = stand_in.checkout(tmp_path / "around", "2.2.0")
    variable = stand_in.checkout(tmp_path / "variable", "2.3.0")
    home = stand_in.checkout(tmp_path / "home" / "IsaacLab", "2.3.2")
    own = stand_in.kitless(tmp_path / "own-python")
    active = stand_in.kitless(tmp_path / "active")
    below = around / "source" / "isaaclab"
    below.mkdir(parents=True)
    environ = {"ISAACLAB_PATH": str(variable), "HOME": str(home.parent), "VIRTUAL_ENV": str(active)}
    setting = Settings(entries=(Setting(name="isaaclab", value=str(named), source="SPARK_RL_ISAACLAB"),))

    def chosen(settings: Settings = UNSET) -> tuple[str, str]:
        installation, reason = select(settings, below, environ)
        return installation.path, reason

    assert chosen(setting) == (str(named), "named by SPARK_RL_ISAACLAB")
    assert chosen() == (str(around), "the checkout around the working directory")
    (around / "isaaclab.sh").unlink()
    assert chosen() == (str(variable), "$ISAACLAB_PATH")
    del environ["ISAACLAB_PATH"]
    assert chosen() == (str(home), "~/IsaacLab")
    (home / "isaaclab.sh").unlink()
    assert chosen() == (str(own), "the Python that spark-rl runs in")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "nothing"))
    assert chosen() == (str(active), "the active environment ($VIRTUAL_ENV)")
    environ["CONDA_PREFIX"] = environ.pop("VIRTUAL_ENV")
    assert chosen() == (str(active), "the active environment ($CONDA_PREFIX)")
    del environ["CONDA_PREFIX"]
    with pytest.raises(RequestError, match="no Isaac Lab was found"):
        chosen()


def test_a_setting_that_is_wrong_is_not_passed_over(tmp_path: Path) -> None:
    setting = Settings(entries=(Setting(name="isaaclab", value=str(tmp_path / "none"), source="SPARK_RL_ISAACLAB"),))
    with pytest.raises(RequestError, match="does not exist"):
        select(setting, stand_in.checkout(tmp_path / "IsaacLab", "2.3.2"), {})


def test_a_broken_one_that_nobody_named_is_passed_over(tmp_path: Path) -> None:
    broken_without_version(tmp_path / "IsaacLab")
    environ = {"HOME": str(tmp_path)}
    with pytest.raises(RequestError, match=f"{tmp_path}/IsaacLab has no VERSION file"):
        select(UNSET, tmp_path, environ)
    environ["VIRTUAL_ENV"] = str(stand_in.kitless(tmp_path / "env"))
    assert select(UNSET, tmp_path, environ)[0].path == environ["VIRTUAL_ENV"]
    assert [entry.path for entry, _ in installations.found(tmp_path, environ)[0]] == [environ["VIRTUAL_ENV"]]


def test_found_names_each_once_and_the_first_is_the_one_in_use(tmp_path: Path) -> None:
    home = stand_in.checkout(tmp_path / "IsaacLab", "2.3.2")
    env = stand_in.kitless(tmp_path / "env")
    environ = {"HOME": str(tmp_path), "ISAACLAB_PATH": str(home), "VIRTUAL_ENV": str(env), "CONDA_PREFIX": str(env)}
    found, _ = installations.found(tmp_path, environ)
    assert [entry.path for entry, _ in found] == [str(home), str(env)]
    assert select(UNSET, tmp_path, environ) == found[0]


def test_active_environments_come_in_the_order_of_isaaclab_sh(tmp_path: Path) -> None:
    conda = stand_in.environment(tmp_path / "conda", {"isaacsim": "5.1.0"})
    venv = stand_in.kitless(tmp_path / "venv")
    active = installations.active_environments({"VIRTUAL_ENV": str(venv), "CONDA_PREFIX": str(conda)})
    assert [(env.variable, env.isaacsim, env.isaaclab) for env in active] == [
        ("CONDA_PREFIX", True, False),
        ("VIRTUAL_ENV", False, True),
    ]
    assert installations.active_environments({"VIRTUAL_ENV": ""}) == ()


LOST = {
    "5.1.0 and 6.0.0": "export LD_PRELOAD=$SCRIPT_DIR/kit/libcarb.so\n",
    "indented": 'if [ "$(uname -m)" = aarch64 ]; then\n    export LD_PRELOAD="$SCRIPT_DIR/kit/libcarb.so"\nfi\n',
    "two steps": "LD_PRELOAD=$SCRIPT_DIR/kit/libcarb.so\nexport LD_PRELOAD\n",
    "a name that looks alike": "export LD_PRELOAD=$MY_LD_PRELOAD_FILE\n",
}
KEPT = {
    "x86_64": "export CARB_APP_PATH=$SCRIPT_DIR/kit\n",
    "6.0.1": 'export LD_PRELOAD="${LD_PRELOAD:+$LD_PRELOAD:}$SCRIPT_DIR/kit/libcarb.so"\n',
    "in front": "export LD_PRELOAD=$SCRIPT_DIR/kit/libcarb.so:$LD_PRELOAD\n",
    "comment": "# export LD_PRELOAD=$SCRIPT_DIR/kit/libcarb.so\n",
}


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("name", [*LOST, *KEPT])
def test_a_python_sh_that_loses_the_callers_value_is_known(tmp_path: Path, folder: str, name: str) -> None:
    path = stand_in.checkout(tmp_path / folder, "2.3.2")
    text = "#!/bin/bash\n" + (LOST | KEPT)[name] + 'exec "$python_exe" "$@"\n'
    (path / "_isaac_sim" / "python.sh").write_text(text)
    expected = f"{path}/_isaac_sim/kit/python/bin/python3" if name in LOST else None
    assert inspect(path).sim_python == expected


VERSION_FILES = {
    "from typing import Optional\n__version__ = '2.11.0+cu130'\ncuda: Optional[str] = '13.0'\nhip = None\n": "13.0",
    "__version__ = '2.7.0'\ncuda = \"12.8\"\n": "12.8",
    "__version__ = '2.7.0+cpu'\ncuda: Optional[str] = None\n": "cpu",
    "__version__ = '2.7.0'\n": None,
    "__all__ = ['cuda']\n": None,
}


@pytest.mark.parametrize("text", VERSION_FILES)
def test_the_cuda_of_torch_is_read_and_not_imported(text: str, tmp_path: Path) -> None:
    env = stand_in.kitless(tmp_path / "env", torch="2.11.0")
    (env / "lib/python3.12/site-packages/torch/version.py").write_text(text)
    found = installations.inspect(env)
    assert found.torch_cuda == VERSION_FILES[text]
    assert (found.python_version, found.package("torch"), found.package("skrl")) == ("3.12", "2.11.0", None)


@pytest.mark.parametrize(
    ("file", "accepted"), [("isaacsim/kit/EULA_ACCEPTED", True), ("isaacsim/EULA", False), (None, False)]
)
def test_the_licence_of_a_packaged_simulator(file: str | None, accepted: bool, tmp_path: Path) -> None:
    env = stand_in.kitless(tmp_path / "env", isaacsim="6.2.0.0")
    if file:
        noted = env / "lib/python3.12/site-packages" / file
        noted.parent.mkdir(exist_ok=True)
        noted.touch()
    assert installations.inspect(env).eula is accepted
    assert installations.inspect(stand_in.kitless(tmp_path / "kitless")).eula is None


def test_the_simulator_beside_a_checkout_has_a_version_and_a_python(tmp_path: Path) -> None:
    lab = stand_in.checkout(tmp_path / "lab", "2.3.2")
    (lab / "_isaac_sim" / "VERSION").write_text("5.1.0-rc.19+release.26219.9c81211b.gl\n")
    stand_in.environment(lab / "_isaac_sim" / "kit" / "python", {"rsl_rl_lib": "3.1.2"}, python="3.11")
    found = installations.inspect(lab)
    assert (found.sim_version, found.python_version) == ("5.1.0", "3.11")
    assert found.packages == (("rsl-rl-lib", "3.1.2"),)


@pytest.mark.parametrize("simulator", [True, False])
def test_a_checkout_runs_in_the_active_environment_that_has_the_simulator(simulator: bool, tmp_path: Path) -> None:
    lab = installations.inspect(stand_in.checkout(tmp_path / "lab", "2.3.2", simulator=False))
    packages = {"torch": "2.7.0", **({"isaacsim": "5.1.0"} if simulator else {})}
    env = stand_in.environment(tmp_path / "env", packages, python="3.11")
    found = installations.with_runtime(lab, {"CONDA_PREFIX": str(env)})
    assert found.package("torch") == ("2.7.0" if simulator else None)
    assert found.isaacsim == lab.isaacsim
    kitless = installations.inspect(stand_in.kitless(tmp_path / "kitless"))
    assert installations.with_runtime(kitless, {"CONDA_PREFIX": str(env)}) == kitless


def test_found_tells_why_the_others_cannot_be_used(tmp_path: Path) -> None:
    broken = stand_in.checkout(tmp_path / "broken", "2.3.2")
    (broken / "VERSION").unlink()
    _, (error,) = installations.found(tmp_path, {"ISAACLAB_PATH": str(broken), "HOME": str(tmp_path)})
    assert error.message == f"{broken} has no VERSION file"
