"""The one way in and the one error boundary: every command ends here, with one of five exit codes."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 it failed, 2 the request is wrong, 3 our bug, 130 or 143 stopped."""
    if os.getpid() == 1:
        from spark_rl import first_process

        first_process.divide()
    # Whoever closed a stream does not want to read it.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the program lives
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the program lives
    for stream in (sys.stdout, sys.stderr):
        # A word that the terminal's encoding lacks is shown escaped; it must not end the command.
        if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    code = run(sys.argv[1:] if argv is None else list(argv))
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or 1
    # Everything is written; taking some 300 modules down would only cost every command 10 ms more.
    os._exit(code)


def run(argv: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    from spark_rl.errors import SparkError

    as_json = "--json" in argv[: list(argv).index("--") if "--" in argv else None]
    try:
        return _guarded(argv)
    except SparkError as error:
        from spark_rl import render

        with suppress(OSError, SparkError):  # nobody can be told: the code still tells
            render.error(error, as_json=as_json)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        from spark_rl import render

        return render.bug(error, as_json=as_json)


def _guarded(argv: Sequence[str]) -> int:
    """Run a command; output that nobody takes (a closed pipe, a full disk) is a failure, not a bug."""
    from spark_rl import cli

    try:
        return cli.call(argv)
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC, errno.EBADF):
            raise
        return 1


if __name__ == "__main__":
    main()
