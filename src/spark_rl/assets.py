"""The embedded assets: our own USD models for the tasks that need nothing else.

Isaac Lab 3.0 reads its models from NVIDIA's asset host unless ``ISAACSIM_ASSET_ROOT`` names a folder. :func:`root` is
such a folder, with a cartpole, a cart double pendulum and a ground plane (``data/assets/README.md`` has the numbers).
"""

from __future__ import annotations

from pathlib import PurePath

__all__ = ["EMBEDDED_TASKS", "covers", "root"]

CARTPOLE = "Isaac/IsaacLab/Robots/Classic/Cartpole/cartpole.usd"
DOUBLE_PENDULUM = "Isaac/IsaacLab/Robots/Classic/CartDoublePendulum/cart_double_pendulum.usd"
GROUND_PLANE = "Isaac/IsaacLab/Environments/Grid/default_ground_plane_checker_v1/default_ground_plane.usda"

EMBEDDED_TASKS = {
    "Isaac-Cartpole": (CARTPOLE, GROUND_PLANE),
    "Isaac-Cartpole-Camera": (CARTPOLE,),
    "Isaac-Cartpole-Camera-Direct": (CARTPOLE,),
    "Isaac-Cartpole-Direct": (CARTPOLE, GROUND_PLANE),
    "Isaac-Pendulum-MARL-Direct": (DOUBLE_PENDULUM, GROUND_PLANE),
    "IsaacContrib-Cartpole-Camera-Showcase-Direct": (CARTPOLE,),
    "IsaacContrib-Cartpole-Showcase-Direct": (CARTPOLE, GROUND_PLANE),
}
"""Every task of Isaac Lab 3.0.0 whose hosted assets are all embedded, with those assets as paths below :func:`root`.

``tests/real/test_assets_physics.py`` derives the same table from the resolved configs of all tasks.
"""


def covers(task_id: str) -> bool:
    """Return whether a task, by its 3.0 name without namespace, needs no asset beyond the embedded ones."""
    return task_id in EMBEDDED_TASKS


def root() -> str:
    """Return the folder to name in ``ISAACSIM_ASSET_ROOT``, below the installed package."""
    return str(PurePath(__file__).parent / "data" / "assets")
