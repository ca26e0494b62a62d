"""Train with Stable-Baselines3 and save as often as asked: Isaac Lab's own scripts fix the interval in their source.

Run by path inside Isaac Lab's Python, never imported by spark-rl::

    python saving.py --every N -- isaaclab train --rl_library sb3 ...                 (Isaac Lab 3.0)
    isaaclab.sh -p saving.py --every N -- scripts/.../sb3/train.py --task T ...      (2.x)

N counts the calls of the vectorised env's ``step``. Isaac Lab's unchanged entry runs in this process.
"""

from __future__ import annotations

import functools
import runpy
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

MODULE = "stable_baselines3.common.callbacks"


class Patching(MetaPathFinder):
    """Changes the library as it is imported; before the simulator is up, importing it would be too early."""

    def __init__(self, every: int) -> None:
        self.every = every

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """Find the one module, and have it changed after it has run."""
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = self.changing(spec.loader.exec_module)
        return spec

    def changing(self, execute: Any) -> Any:
        """Wrap what runs the module."""

        @functools.wraps(execute)
        def changed(module: Any) -> None:
            execute(module)
            begin = module.CheckpointCallback.__init__

            @functools.wraps(begin)
            def begun(callback: Any, *args: Any, **kwargs: Any) -> None:
                begin(callback, *args, **kwargs)
                callback.save_freq = self.every

            module.CheckpointCallback.__init__ = begun

        return changed


def main(argv: list[str]) -> None:
    """Run the entry that follows ``--``."""
    cut = argv.index("--")
    sys.meta_path.insert(0, Patching(int(argv[argv.index("--every") + 1])))
    entry, *args = argv[cut + 1 :]
    sys.argv = [entry, *args]
    if entry != "isaaclab":
        sys.path[0] = str(Path(entry).resolve().parent)
        runpy.run_path(entry, run_name="__main__")
        return
    sys.path[0] = str(Path.cwd())
    import isaaclab.cli

    isaaclab.cli.cli()


if __name__ == "__main__":
    main(sys.argv[1:])
