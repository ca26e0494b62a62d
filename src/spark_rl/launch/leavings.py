"""What one attempt leaves on disk: its run folder, the checkpoints in it, and its curves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import checkpoint_files, curves, events, logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_rl.dialects import Event
    from spark_rl.model import CheckpointFile, Plan
    from spark_rl.records import Attempt

    Held = Callable[[CheckpointFile], int | None]


class Leavings:
    """Follows what an attempt writes; made before it starts, to know what was there already.

    ``folder`` is its run folder, None while it cannot be told. ``held`` says below how many iterations a checkpoint
    holds, None where nobody can tell.
    """

    def __init__(self, plan: Plan) -> None:
        self.folder: Path | None = None
        self._plan = plan
        self._before = logs.run_folders(Path(plan.cwd), plan.library)
        self._printed = logs.Printed()
        self._files: tuple[CheckpointFile, ...] = ()
        self._tail: events.Tail | None = None

    def told(self, event: Event) -> None:
        """Take what the trainer says of where it writes."""
        self._printed = self._printed.joined(root=event.log_root, run=event.run_folder)

    def find(self) -> Path | None:
        """Look for the run folder and return it."""
        self.folder = logs.locate(Path(self._plan.cwd), self._plan.library, self._printed, self._before)
        return self.folder

    def newest(self, held: Held, known: str | None) -> tuple[str, int] | None:
        """Return the newest whole checkpoint and its iterations, None where it is ``known`` or there is none.

        One that is still being written looks damaged, and is looked at again the next time.
        """
        if self.folder is None:
            return None
        self._files = logs.list_run(self.folder, self._plan.library)
        numbered = [(number, file) for file in self._files if (number := held(file)) is not None]
        for number, file in sorted(numbered, key=lambda pair: (pair[0], pair[1].modified), reverse=True):
            if file.path == known:
                return None
            if checkpoint_files.is_whole(file.path):
                return file.path, number
        return None

    def whole(self, held: Held, newest: int | None) -> tuple[str, ...]:
        """Return the checkpoints that this attempt wrote, but the damaged ones."""
        damaged = self.damaged(held, newest)
        return tuple(file.path for file in self._files if file.path not in damaged)

    def damaged(self, held: Held, newest: int | None) -> tuple[str, ...]:
        """Return the incomplete checkpoints after the ``newest`` whole one, which holds so many iterations."""
        newer = [file.path for file in self._files if (held(file) or 0) > (newest or -1)]
        return tuple(path for path in newer if not checkpoint_files.is_whole(path))

    def rewards(self, attempt: Attempt) -> tuple[float | None, float | None]:
        """Return the newest reward and episode length in the event files of a library that does not print them."""
        library = self._plan.library
        folder = events.home(attempt, library)
        if library == "rsl_rl" or self._plan.action != "train" or folder is None:
            return None, None
        if self._tail is None:
            self._tail = events.Tail(folder, (curves.REWARD[library], curves.LENGTH[library]), since=attempt.started_at)
        return curves.newest(self._tail.poll(), library)
