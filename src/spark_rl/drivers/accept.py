"""Say what Isaac Lab's own parsers and resolver make of command lines, up to where the simulation would start.

Run by path inside Isaac Lab's Python (3.0), never imported by spark-rl::

    python accept.py OUTPUT < CASES

CASES is a JSON list of command lines, each a list of words that begins with ``train`` or ``play``. Each goes through
Isaac Lab's real entry: task discovery, the library's argument parser, the config resolver, and the validation that the
launch begins with. OUTPUT receives one line of JSON for each, in order: ``error`` is what was said against it, None
when the simulation would have started; ``kit`` names what in it needs Isaac Sim. A last line with ``finished`` says
that all are answered, one with ``failed`` that Isaac Lab cannot be asked at all.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import io
import json
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

BACKENDS = tuple(
    f"{action}_{library}" for action in ("train", "play") for library in ("rsl_rl", "rl_games", "skrl", "sb3")
)
SILENCE_S = 240
"""Seconds for one answer; the first takes the import of Isaac Lab with it, from a cold disk a minute."""


class Launched(BaseException):
    """The simulation would start now; ``needs`` names the components that require Isaac Sim."""

    def __init__(self, needs: tuple[str, ...]) -> None:
        super().__init__()
        self.needs = needs


def main(argv: list[str]) -> int:
    """Answer every case, line by line."""
    # Started as a module, as Isaac Lab is, Python looks in the working directory and not in the folder of this file.
    sys.path[0] = ""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # without it Hydra prints an error and exits
    warnings.simplefilter("ignore")
    cases = json.load(sys.stdin)
    with open(argv[0], "w", encoding="utf-8") as output:  # noqa: PTH123 - a pipe has no other name

        def say(told: dict[str, Any]) -> None:
            output.write(f"{json.dumps(told)}\n")
            output.flush()

        faulthandler.dump_traceback_later(SILENCE_S, exit=True)
        try:
            run = entry()
        except Exception as error:
            say({"failed": told(error)})
            return 0
        for words in cases:
            faulthandler.dump_traceback_later(SILENCE_S, exit=True)
            say(answer(run, words))
        say({"finished": True})
    faulthandler.cancel_dump_traceback_later()
    return 0


def entry() -> Callable[[str, list[str]], int]:
    """Return Isaac Lab's entry, which now ends where the simulation would start."""
    validate = importlib.import_module("isaaclab.app").validate_launch

    def launch(config: Any, arguments: Any = None) -> Any:
        raise Launched(tuple(str(source) for source in validate(config, arguments)[1]))

    dispatch = importlib.import_module("isaaclab_rl.entrypoints.dispatch")
    for name in BACKENDS:
        # A library that is not installed is missed when a case asks for it.
        with contextlib.suppress(ImportError):
            importlib.import_module(f"isaaclab_rl.entrypoints.backends.{name}").launch_simulation = launch  # type: ignore[attr-defined]
    run: Callable[[str, list[str]], int] = dispatch.run_cli
    return run


def answer(run: Callable[[str, list[str]], int], words: list[str]) -> dict[str, Any]:
    """Return what became of one command line."""
    said = io.StringIO()
    sys.argv = ["isaaclab"]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            status = run(words[0], words[1:])
    except Launched as launched:
        return {"error": None, "kit": list(launched.needs)}
    except SystemExit as error:
        return {"error": last_line(said.getvalue()) or f"it ended with status {error.code}", "kit": []}
    except Exception as error:
        return {"error": told(error), "kit": []}
    return {"error": last_line(said.getvalue()) or f"it ended with status {status} and started nothing", "kit": []}


def told(error: BaseException) -> str:
    """Return an error as its type and the first line of its text that says something."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
    return f"{type(error).__name__}: {line}"


def last_line(text: str) -> str:
    """Return the last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
