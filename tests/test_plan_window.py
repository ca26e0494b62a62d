"""Windows, cameras and videos, for each version and kind of installation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from planning import codes, host, package, planned, reason, refused, words

if TYPE_CHECKING:
    from spark_rl.model import Host

CARTPOLE, CAMERA = "Isaac-Cartpole-Direct-v0", "Isaac-Cartpole-RGB-Camera-Direct-v0"
SEEN = host(display=True)
NEVER_LOOKED = host(display=None)
BY_VARIABLE = host(display=None, environ={"DISPLAY": ":0"})
BY_WAYLAND = host(display=None, environ={"WAYLAND_DISPLAY": "wayland-0"})


@pytest.mark.parametrize(
    ("on", "action", "machine", "headless", "passed", "key", "why"),
    [
        ("2.3.2", "train", SEEN, None, ["--headless"], "headless", "training opens no window unless told to"),
        ("2.3.2", "train", SEEN, True, ["--headless"], "headless", "asked for"),
        ("2.3.2", "train", SEEN, False, [], "window", "asked for"),
        ("2.3.2", "play", SEEN, None, [], "window", "play shows a window"),
        ("2.3.2", "play", BY_VARIABLE, None, [], "window", "play shows a window"),
        ("2.3.2", "play", BY_WAYLAND, None, [], "window", "play shows a window"),
        ("2.3.2", "play", NEVER_LOOKED, None, ["--headless"], "headless", "no display"),
        ("2.3.2", "play", None, None, ["--headless"], "headless", "no display"),
        ("2.3.2", "play", SEEN, True, ["--headless"], "headless", "asked for"),
        ("kitless", "train", SEEN, None, [], "headless", "training opens no window"),
        ("kitless", "train", SEEN, True, [], "headless", "asked for"),
        ("kitless", "train", SEEN, False, ["--viz", "newton_gl"], "window", "asked for"),
        ("kit", "train", SEEN, False, ["--viz", "kit"], "window", "asked for"),
        ("kit", "train", SEEN, None, [], "headless", "training opens no window"),
        ("kitless", "play", SEEN, None, ["--viz", "newton_gl"], "window", "play shows a window"),
        ("kit", "play", SEEN, None, ["--viz", "kit"], "window", "play shows a window"),
        ("kit", "play", None, None, [], "headless", "no display"),
        ("kitless", "play", SEEN, True, [], "headless", "asked for"),
    ],
)
def test_the_window(
    on: str, action: str, machine: Host | None, headless: bool | None, passed: list[str], key: str, why: str
) -> None:
    plan = planned(on, CARTPOLE, action, machine=machine, headless=headless)
    assert words(plan) == passed
    assert why in (reason(plan, key) or "")
    assert reason(plan, "headless" if key == "window" else "window") is None


@pytest.mark.parametrize(
    ("on", "action", "headless", "options", "passed", "key", "why"),
    [
        ("kit", "train", None, ("--viz", "kit"), ["--visualizer=kit"], "window", "--viz says so"),
        ("kit", "train", True, ("--viz", "kit"), ["--visualizer=kit"], "window", "--viz says so"),
        ("kit", "play", None, ("--viz=kit,rerun",), ["--visualizer=kit,rerun"], "window", "--viz says so"),
        ("kit", "play", None, ("--viz=rerun,viser",), ["--visualizer=rerun,viser"], "headless", "--viz says so"),
        ("kitless", "play", None, ("--viz", "none"), ["--visualizer=none"], "headless", "--viz says so"),
        ("kitless", "train", None, ("--visualizer", "newton"), ["--visualizer=newton"], "window", "--viz says so"),
        ("kitless", "train", None, ("--viz", "viser"), ["--visualizer=viser"], "headless", "--viz says so"),
        ("kit", "train", False, ("--viz", "rerun"), ["--visualizer=rerun"], "headless", "--viz says so"),
        ("kit", "play", None, ("--livestream", "2"), ["--livestream=2"], "headless", "--livestream shows it"),
        ("2.3.2", "play", None, ("--livestream", "2"), ["--headless", "--livestream=2"], "headless", "--livestream"),
        ("kit", "play", None, ("--livestream=1",), ["--livestream=1"], "headless", "--livestream shows it"),
        ("2.3.2", "play", None, ("--livestream", "0"), ["--livestream=0"], "window", "play shows a window"),
        ("2.3.2", "train", None, ("--viz", "kit"), [], "window", "asked for"),
        ("2.3.2", "train", True, ("--viz", "kit"), [], "window", "asked for"),
        ("2.3.2", "play", None, ("--viz", "none"), ["--headless"], "headless", "asked for"),
    ],
)
def test_an_option_of_the_script_decides_about_the_window(
    on: str,
    action: str,
    headless: bool | None,
    options: tuple[str, ...],
    passed: list[str],
    key: str,
    why: str,
) -> None:
    plan = planned(on, CARTPOLE, action, machine=SEEN, headless=headless, options=options)
    assert words(plan) == passed
    assert why in (reason(plan, key) or "")


def test_a_window_where_there_is_no_display_is_warned_about() -> None:
    assert codes(planned("2.3.2", CARTPOLE, headless=False)) == {"display-missing": "warning"}
    assert codes(planned("2.3.2", CARTPOLE, headless=False, machine=SEEN)) == {}
    assert codes(planned("2.3.2", CARTPOLE)) == {}


@pytest.mark.parametrize("viz", ["newton_gl", "newton_rtx", "rerun", "viser"])
def test_2_refuses_the_visualizers_of_3(viz: str) -> None:
    refusal = refused("2.3.2", CARTPOLE, options=("--viz", viz))
    assert f"--visualizer={viz}" in refusal.message
    assert "--livestream 2" in (refusal.hint or "")


@pytest.mark.parametrize(
    "options",
    [
        ("--viz", "kit"),
        ("--viz", "newton_gl,kit"),
        ("--livestream", "2"),
        ("--experience", "x.kit"),
        ("--kit_args", "--/app/x=1 --/y=2"),
        ("--xr",),
        ("--anim_recording_enabled",),
    ],
)
def test_kitless_refuses_what_kit_alone_does(options: tuple[str, ...]) -> None:
    refusal = refused("kitless", CARTPOLE, options=options)
    assert "needs Isaac Sim" in refusal.message
    assert planned("kit", CARTPOLE, options=options).argv


@pytest.mark.parametrize(
    ("on", "task", "library", "added"),
    [
        ("2.1.0", CAMERA, "skrl", ["--enable_cameras"]),
        ("2.3.2", CAMERA, "rl_games", ["--enable_cameras"]),
        ("2.3.2", "Isaac-Repose-Cube-Shadow-Vision-Direct-v0", "rsl_rl", ["--enable_cameras"]),
        ("2.3.2", CARTPOLE, "rsl_rl", []),
        ("kitless", CAMERA, "skrl", []),
    ],
)
def test_camera_tasks(on: str, task: str, library: str, added: list[str]) -> None:
    plan = planned(on, task, library=library)
    assert [word for word in plan.argv if word == "--enable_cameras"] == added
    assert (reason(plan, "cameras") is None) == (not added)


def test_enable_cameras_is_passed_once_on_2_and_not_on_3() -> None:
    plan = planned("2.3.2", CAMERA, library="skrl", options=("--enable_cameras",))
    assert plan.argv.count("--enable_cameras") == 1
    plan = planned("kitless", CAMERA, library="skrl", options=("--enable_cameras",))
    assert "--enable_cameras" not in plan.argv
    assert codes(plan) == {"option-dropped": "note"}


@pytest.mark.parametrize(
    ("on", "action", "headless", "options", "passed", "unset"),
    [
        ("2.3.2", "train", None, (), ["--headless", "--video"], ()),
        ("2.3.2", "play", None, (), ["--video"], ()),
        ("kit", "train", None, (), ["--video"], ()),
        ("kit", "train", None, ("--viz", "kit"), ["--video", "--visualizer=kit"], ()),
        ("kit", "train", None, ("--viz", "kit,rerun"), ["--video", "--visualizer=kit,rerun"], ()),
        ("kitless", "train", None, (), ["--video", "--viz", "newton_gl"], ("DISPLAY", "WAYLAND_DISPLAY")),
        ("kitless", "play", True, (), ["--video", "--viz", "newton_gl"], ("DISPLAY", "WAYLAND_DISPLAY")),
        ("kitless", "play", None, (), ["--viz", "newton_gl", "--video"], ()),
        ("kitless", "train", False, (), ["--viz", "newton_gl", "--video"], ()),
        (
            *("kitless", "train", None, ("--viz", "newton_gl")),
            ["--video", "--visualizer=newton_gl"],
            ("DISPLAY", "WAYLAND_DISPLAY"),
        ),
        (
            *("kitless", "play", True, ("--viz", "newton")),
            ["--video", "--visualizer=newton"],
            ("DISPLAY", "WAYLAND_DISPLAY"),
        ),
        ("kitless", "play", None, ("--viz", "newton_gl"), ["--video", "--visualizer=newton_gl"], ()),
    ],
)
def test_a_video(
    on: str, action: str, headless: bool | None, options: tuple[str, ...], passed: list[str], unset: tuple[str, ...]
) -> None:
    plan = planned(on, CARTPOLE, action, machine=SEEN, headless=headless, video=True, options=options)
    assert words(plan) == passed
    assert plan.env_unset == unset
    assert (reason(plan, "env_unset DISPLAY") is not None) == bool(unset)


@pytest.mark.parametrize(
    ("on", "options", "passed"),
    [
        ("2.3.2", ("--video_length", "100", "--video_interval", "50"), ["--video_length=100", "--video_interval=50"]),
        ("kitless", ("--video_length=100", "--video_interval=50"), ["--video_length=100", "--video_interval=50"]),
    ],
)
def test_the_lengths_of_a_video(on: str, options: tuple[str, ...], passed: list[str]) -> None:
    assert words(planned(on, CARTPOLE, video=True, options=options))[-2:] == passed


@pytest.mark.parametrize(
    ("on", "options"),
    [
        ("kitless", ("--viz", "rerun")),
        ("kitless", ("--viz", "none")),
        ("kitless", ("--viz", "newton_rtx")),
        ("kitless", ("--frontend", "warp")),
        ("kit", ("--viz", "none")),
        ("kit", ("--viz", "rerun,viser")),
        ("kit", ("--frontend", "warp")),
    ],
)
def test_a_video_that_cannot_be_recorded_is_refused(on: str, options: tuple[str, ...]) -> None:
    refusal = refused(on, CARTPOLE, video=True, options=options)
    assert "cannot record a video" in refusal.message
    assert planned(on, CARTPOLE, options=options).argv


@pytest.mark.parametrize(
    ("packages", "gl", "found"),
    [
        ((("moviepy", "1.0.3"),), True, {}),
        ((("moviepy", "1.0.3"),), None, {}),
        ((("moviepy", "0.2.3.5"),), True, {}),
        ((("moviepy", "2.1.2"),), True, {"moviepy": "error"}),
        ((("moviepy", "10.0"),), True, {"moviepy": "error"}),
        ((("torch", "2.11"),), True, {"moviepy": "error"}),
        ((), True, {}),
        ((("moviepy", "1.0.3"),), False, {"gl-missing": "error"}),
        ((("torch", "2.11"),), False, {"moviepy": "error", "gl-missing": "error"}),
    ],
)
def test_what_a_kitless_video_needs(packages: Any, gl: bool | None, found: dict[str, str]) -> None:
    plan = planned(package(packages=packages), CARTPOLE, video=True, machine=host(gl=gl))
    assert codes(plan) == found
    assert codes(planned(package(packages=packages), CARTPOLE, machine=host(gl=gl))) == {}
    hints = {
        "moviepy": "/env/bin/python -m pip install 'moviepy<2'",
        "gl-missing": "sudo apt-get install libgl1 libegl1 libegl-mesa0 libgl1-mesa-dri",
    }
    assert all(finding.hint == hints[finding.code] for finding in plan.findings)
