"""What spark-rl asks the network: whether NVIDIA's asset host answers, and which files a host has."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ASSET_HOST = "https://omniverse-content-production.s3-us-west-2.amazonaws.com"
"""Host of Isaac Lab's default asset root (``isaaclab.utils.assets`` of 2.x and 3.0)."""

TIMEOUT_S = 2.0

DEADLINE_S = 5.0
"""Time for all questions about files together."""

_ASKING = 16
_ABSENT = frozenset((403, 404, 410))
"""What hosts say of a file that is not there: S3 says 403 to who may not list."""


def answers(url: str = ASSET_HOST, timeout_s: float = TIMEOUT_S) -> bool:
    """Say whether ``url`` answers within ``timeout_s`` seconds, with any HTTP status.

    The question runs in a thread of its own: looking a name up has no time limit of its own.
    """
    import http.client
    import urllib.error
    import urllib.request

    answered = threading.Event()

    def ask() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - the scheme is ours
            with urllib.request.urlopen(request, timeout=timeout_s):  # noqa: S310
                answered.set()
        except urllib.error.HTTPError as refusal:
            refusal.close()
            answered.set()
        except (OSError, ValueError, http.client.HTTPException):
            return

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout_s)
    return answered.is_set()


def host_of(url: str) -> str:
    """Return the scheme and host of an address."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def sizes(urls: Iterable[str], deadline_s: float = DEADLINE_S) -> dict[str, int | None]:
    """Return the size in bytes of each file, -1 where its host tells none, None where the host has no such file.

    Addresses whose host has not answered when ``deadline_s`` seconds are over are left out.
    """
    left, found = [*urls], dict[str, int | None]()

    def ask() -> None:
        while left:
            try:
                url = left.pop()
            except IndexError:
                return
            _ask_size(url, deadline_s, found)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(min(_ASKING, len(left)))]
    until = time.monotonic() + deadline_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))
    left.clear()
    return dict(found)


def _ask_size(url: str, timeout_s: float, found: dict[str, int | None]) -> None:
    """Note the size of a file as :func:`sizes` does, nothing where the host says neither yes nor no."""
    import http.client
    import urllib.error
    import urllib.parse
    import urllib.request

    try:
        quoted = urllib.parse.quote(url, safe=":/?&=%")
        request = urllib.request.Request(quoted, method="HEAD")  # noqa: S310 - the user's own configuration names it
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
            found[url] = int(answer.headers.get("Content-Length") or -1)
    except urllib.error.HTTPError as refusal:
        refusal.close()
        if refusal.code in _ABSENT:
            found[url] = None
    except (OSError, ValueError, http.client.HTTPException):
        return
