"""Windows, cameras and videos: what each version and kind of installation needs for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl.errors import RequestError
from spark_rl.model import Finding
from spark_rl.plan.parts import NOTHING, Part, because, join

if TYPE_CHECKING:
    from spark_rl.plan.parts import Context

_VIZ = "--visualizer"
_WINDOWS = frozenset(("kit", "newton", "newton_gl", "newton_rtx"))
"""Visualizers that open a window, and so can be recorded from; the others stream to a browser."""


def window(context: Context) -> Part:
    """Decide between a window and headless: train is headless, play shows a window where there is a display."""
    headless, why = _headless(context)
    reason = because("headless" if headless else "window", why)
    if context.old:
        return Part(words=("--headless",) if headless else (), reasons=reason)
    if headless or _VIZ in context.target.given or "--livestream" in context.target.given:
        return Part(reasons=reason)
    visualizer = "newton_gl" if context.facts.installation.kitless else "kit"
    return Part(words=("--viz", visualizer), reasons=reason)


def is_headless(context: Context) -> bool:
    """Say whether the run opens no window."""
    return _headless(context)[0]


def _headless(context: Context) -> tuple[bool, str]:
    asked, shown = context.request.headless, _shown(context)
    if shown is not None and not (shown and context.request.video):
        return not shown, "--viz says so"
    if asked is not None:
        return asked, "asked for"
    if context.request.action == "train":
        return True, "training opens no window unless told to (--no-headless)"
    if shown:
        return False, "--viz says so"
    if context.target.given.get("--livestream") in ("1", "2"):
        return True, "--livestream shows it in a browser"
    if _has_display(context):
        return False, "play shows a window (--headless: none)"
    return True, "this machine has no display, so play opens no window"


def _shown(context: Context) -> bool | None:
    """Say whether ``--viz`` opens a window, None where it was not given."""
    return bool(_visualizers(context) & _WINDOWS) if _VIZ in context.target.given else None


def _visualizers(context: Context) -> frozenset[str]:
    return frozenset((context.target.given.get(_VIZ) or "").lower().split(","))


def _has_display(context: Context) -> bool:
    host = context.facts.host
    if host.display is not None:
        return host.display
    return bool(host.variable("DISPLAY") or host.variable("WAYLAND_DISPLAY"))


def no_display(context: Context) -> Part:
    """Warn about a window that was asked for where there is no display."""
    if context.request.headless is not False or _has_display(context):
        return NOTHING
    return Part(
        findings=(
            Finding(
                code="display-missing",
                level="warning",
                message="a window was asked for, but this machine has no display",
                hint="leave --no-headless out, or set DISPLAY",
            ),
        )
    )


def cameras(context: Context) -> Part:
    """Add ``--enable_cameras`` for the camera tasks of 2.x; 3.0 turns cameras on by itself."""
    if not context.old or not context.target.task.task.cameras or "--enable_cameras" in context.target.given:
        return NOTHING
    return Part(words=("--enable_cameras",), reasons=because("cameras", "the task renders camera images"))


def video(context: Context) -> Part:
    """Record a video the way the version and installation can.

    Raises:
        RequestError: What was asked for besides cannot be recorded.
    """
    if not context.request.video:
        return NOTHING
    words, kitless = ("--video",), context.facts.installation.kitless
    if context.old:
        return Part(words=words)
    visualizer = context.target.given.get(_VIZ)
    recorders = frozenset(("newton", "newton_gl")) if kitless else _WINDOWS
    if visualizer is not None and not _visualizers(context) & recorders:
        raise RequestError(f"--viz {visualizer} cannot record a video here", "leave --viz out, or use --viz newton_gl")
    if context.target.given.get("--frontend") == "warp":
        raise RequestError("--frontend warp cannot record a video", "leave --video or --frontend out")
    if not kitless:
        return Part(words=words)
    add = Part(words=("--viz", "newton_gl")) if visualizer is None and is_headless(context) else NOTHING
    return join((Part(words=words), add, _no_stale_display(context), _prerequisites(context)))


def _no_stale_display(context: Context) -> Part:
    if not is_headless(context):
        return NOTHING
    return Part(
        unset=("DISPLAY", "WAYLAND_DISPLAY"),
        reasons=because("env_unset DISPLAY", "a headless recording crashes on a display that is gone"),
    )


def _prerequisites(context: Context) -> Part:
    """Check what kit-less recording needs; without it the run fails after its start-up, with a misleading text."""
    findings = []
    moviepy = dict(context.facts.installation.packages).get("moviepy")
    if context.facts.installation.packages and (moviepy is None or not moviepy.startswith(("0.", "1."))):
        found = f"moviepy {moviepy} is too new" if moviepy else "moviepy is not installed"
        python = context.facts.installation.python or "python"
        findings.append(
            Finding(
                code="moviepy",
                level="error",
                message=f"a video cannot be written: {found}",
                hint=f"{python} -m pip install 'moviepy<2'",
            )
        )
    if context.facts.host.gl is False:
        findings.append(
            Finding(
                code="gl-missing",
                level="error",
                message="a video cannot be rendered: the GL and EGL libraries are missing",
                hint="sudo apt-get install libgl1 libegl1 libegl-mesa0 libgl1-mesa-dri",
            )
        )
    return Part(findings=tuple(findings))
