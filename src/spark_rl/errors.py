"""Errors that end a command: a message, a hint and an exit code."""

from __future__ import annotations

__all__ = ["BugError", "CheckError", "LackError", "RequestError", "SparkError", "UnreachableError"]


class SparkError(Exception):
    """Something spark-rl cannot do, worded for the person who asked for it.

    Args:
        message: One line that says what is wrong.
        hint: One line that says what to do about it, or None when nothing helps.
    """

    exit_code = 1
    name = "error"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RequestError(SparkError):
    """The request itself is wrong: unknown name, contradiction, missing file (exit 2)."""

    exit_code = 2
    name = "request"


class LackError(RequestError):
    """The request is fine elsewhere: this installation has no such task, agent config or simulator."""


class CheckError(SparkError):
    """The request is fine, this machine or its state is not (exit 1)."""

    exit_code = 1
    name = "check"


class UnreachableError(CheckError):
    """What a run needs from the network cannot be reached."""


class BugError(SparkError):
    """spark-rl itself failed (exit 3)."""

    exit_code = 3
    name = "bug"
