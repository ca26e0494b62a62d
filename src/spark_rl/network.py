"""The one question spark-rl asks the network: does NVIDIA's asset host answer?"""

from __future__ import annotations

import threading

ASSET_HOST = "https://omniverse-content-production.s3-us-west-2.amazonaws.com"
"""Host of Isaac Lab's default asset root (``isaaclab.utils.assets`` of 2.x and 3.0)."""

TIMEOUT_S = 2.0


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
