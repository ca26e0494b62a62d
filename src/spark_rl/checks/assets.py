"""Where robots and scenes come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl.model import Finding

if TYPE_CHECKING:
    from spark_rl.model import Host


def lines(host: Host) -> tuple[str, ...]:
    """Return the facts in words."""
    root = host.variable("ISAACSIM_ASSET_ROOT")
    if root is not None:
        return (f"ISAACSIM_ASSET_ROOT: {root}",)
    if host.asset_host is None:
        return ()
    return ("NVIDIA's host answers",) if host.asset_host else ("NVIDIA's host does not answer",)


def findings(host: Host) -> tuple[Finding, ...]:
    """Return what will hinder loading."""
    root = host.variable("ISAACSIM_ASSET_ROOT")
    if root is not None and host.asset_root is False:
        return (
            Finding(
                code="assets-empty",
                level="warning",
                message=f"the asset root {root} has no folder Isaac",
                hint="name the folder that holds Isaac/IsaacLab",
            ),
        )
    if root is None and host.asset_host is False:
        return (
            Finding(
                code="asset-host",
                level="warning",
                message="without NVIDIA's asset host only cartpole and cart double pendulum of Isaac Lab 3.0 run",
                hint="name a local copy: --assets PATH; behind a proxy: export HTTPS_PROXY=http://HOST:PORT",
            ),
        )
    return ()
