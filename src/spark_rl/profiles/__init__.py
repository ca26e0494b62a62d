"""What one Isaac Lab release expects on its command line, for each RL library and action."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from spark_rl import text
from spark_rl.errors import RequestError
from spark_rl.model import LIBRARIES, Finding
from spark_rl.profiles import moved as moves
from spark_rl.profiles import releases
from spark_rl.profiles.moved import WINDOW, Moved
from spark_rl.profiles.options import Option, nearest, parse, render
from spark_rl.profiles.releases import RELEASES, numbers, vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spark_rl.model import Action

__all__ = [
    "RELEASES",
    "WINDOW",
    "Moved",
    "Option",
    "Profile",
    "Translation",
    "nearest",
    "parse",
    "profile",
    "render",
    "vocabulary",
]

CheckpointStyle = Literal["path", "regex", "none"]

_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?P<rest>.*)")
_SAME_AS_RELEASE = re.compile(r"(\.?post\d+)?(\+.*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """Words of any release in the words of one script, and a note for each that changed on the way.

    ``options`` render with :func:`render`, but :data:`WINDOW`, which is not an option of the script.
    """

    options: tuple[tuple[Option, str | None], ...] = ()
    overrides: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the scripts of the Isaac Lab release ``version`` (one of :data:`RELEASES`) take and do."""

    version: str

    def options(self, library: str, action: Action) -> Mapping[str, Option]:
        """Return the option behind every spelling that the script accepts, launcher options included."""
        return releases.options(self.version, _known(library), action)

    def moved(self, library: str, action: Action) -> Mapping[str, Moved]:
        """Return what becomes of words that the script lacks or ignores; see :func:`spark_rl.profiles.moved.moved`."""
        return moves.moved(self.version, _known(library), action)

    def find_moved(self, library: str, action: Action, name: str, value: str | None = None) -> Moved | None:
        """Return what becomes of ``name`` with ``value``, None when the script takes it as it is."""
        table = self.moved(library, action)
        return table.get(f"{name}={value}") or table.get(name)

    def translate(
        self, library: str, action: Action, tokens: Sequence[str], overrides: Sequence[str] = ()
    ) -> Translation:
        """Put option words and overrides of any release into the words of this release's script.

        Raises:
            RequestError: A word is unknown or wrong, or this release has nothing for it.
        """
        known = {**vocabulary(), **self.options(library, action)}
        result = Translation()
        for option, value in parse(tokens, known):
            rule = self.find_moved(library, action, option.name, value)
            result = _joined(result, self._applied(library, action, rule, option, value))
        for word in overrides:
            name, _, setting = word.partition("=")
            rule = self.find_moved(library, action, name, setting)
            result = _joined(result, self._override(action, rule, word))
        return result

    def script(self, library: str, action: Action) -> str:
        """Return the script's path in a checkout of Isaac Lab 2."""
        return f"scripts/reinforcement_learning/{_known(library)}/{action}.py"

    @property
    def generation(self) -> int:
        """Major version: 2 or 3."""
        return numbers(self.version)[0]

    @property
    def play_takes_overrides(self) -> bool:
        """Whether play reads KEY=VALUE words; up to 2.2.0 it ends on them."""
        return numbers(self.version) >= (2, 2, 1)

    @property
    def play_takes_seed(self) -> bool:
        """Whether play has ``--seed``."""
        return "--seed" in self.options("rsl_rl", "play")

    @property
    def shell_takes_virtual_env(self) -> bool:
        """Whether ``isaaclab.sh`` takes the Python of an active virtual environment; before 2.3 only conda's."""
        return numbers(self.version) >= (2, 3)

    def distributed(self, library: str) -> bool:
        """Return whether train can use several GPUs."""
        return "--distributed" in self.options(library, "train")

    def checkpoint_style(self, library: str, action: Action) -> CheckpointStyle:
        """Return what ``--checkpoint`` means to the script.

        ``path`` is a file. ``regex`` is a pattern of a file's name inside the run folder that ``--load_run`` matches,
        read only with ``--resume``. ``none`` means that there is no such option.
        """
        accepted = self.options(library, action)
        if "--checkpoint" not in accepted:
            return "none"
        return "regex" if "--load_run" in accepted and action == "train" else "path"

    def run_name(self, library: str) -> str | None:
        """Return the option or override that names a run, to be followed by ``=NAME``; None where there is none.

        The name follows the time stamp of the run folder; :meth:`run_name_replaces` says where it replaces it.
        """
        return {
            "rsl_rl": "--run_name",
            "rl_games": f"{self._adding}agent.params.config.full_experiment_name",
            "skrl": "agent.agent.experiment.experiment_name",
        }.get(_known(library))

    def run_name_replaces(self, library: str) -> bool:
        """Return whether the run folder is named by the name alone, so that a second run writes into it too."""
        return _known(library) == "rl_games"

    def agent_device_overrides(self, library: str, action: Action = "train") -> tuple[str, ...]:
        """Return the overrides, to be followed by ``=DEVICE``, without which the agent stays on ``cuda:0``.

        ``--device`` moves the simulation. It moves the agent too with skrl everywhere and with rl_games 2.3.0 and
        2.3.1; play up to 2.2.0 takes no overrides at all.
        """
        if action == "play" and not self.play_takes_overrides:
            return ()
        if _known(library) == "rl_games" and self.version in ("2.3.0", "2.3.1"):
            return ()
        return {
            "rsl_rl": ("agent.device",),
            "rl_games": ("agent.params.config.device", f"{self._adding}agent.params.config.device_name"),
            "sb3": (f"{self._adding}agent.device",),
        }.get(library, ())

    @property
    def _adding(self) -> str:
        """The prefix of an override whose key some agent configs lack; Isaac Lab 3 adds a missing leaf by itself."""
        return "++" if self.generation < 3 else ""

    def _applied(
        self, library: str, action: Action, rule: Moved | None, option: Option, value: str | None
    ) -> Translation:
        if rule is None:
            return Translation(options=((option, value),))
        word = " ".join(render(option, value))
        words = tuple(target.replace("{}", value or "") for target in rule.to)
        note = self._judged(rule, word, words)
        overrides = tuple(target for target in words if not target.startswith("--"))
        self._check_overrides(action, overrides)
        table = {**self.options(library, action), WINDOW.name: WINDOW}
        options = parse([target for target in words if target.startswith("--")], table)
        return Translation(options=options, overrides=overrides, findings=(note,))

    def _override(self, action: Action, rule: Moved | None, word: str) -> Translation:
        if rule is not None:
            return Translation(findings=(self._judged(rule, word, ()),))
        self._check_overrides(action, (word,))
        return Translation(overrides=(word,))

    def _check_overrides(self, action: Action, overrides: tuple[str, ...]) -> None:
        if overrides and action == "play" and not self.play_takes_overrides:
            message = f"play of Isaac Lab {self.version} takes no overrides such as {overrides[0]}"
            raise RequestError(message, "leave them out, or use Isaac Lab 2.2.1 or later")

    def _judged(self, rule: Moved, word: str, words: tuple[str, ...]) -> Finding:
        """Return the note on a word dropped or translated, or refuse it."""
        if rule.action == "refuse":
            raise RequestError(f"Isaac Lab {self.version} does not take {word}: {rule.reason}", rule.hint)
        if rule.action == "drop":
            return Finding(code="option-dropped", level="note", message=f"left out {word}: {rule.reason}")
        message = f"{word} became {' '.join(words)}: {rule.reason}"
        return Finding(code="option-translated", level="note", message=message)


def profile(version: str) -> tuple[Profile, Finding | None]:
    """Return the profile of an Isaac Lab version, with a warning when it is that of the nearest lower release.

    A post release is the release; a pre-release is planned as the release it leads to.

    Raises:
        RequestError: The version cannot be read, is older than 2.0.0, or of a newer major version than is known.
    """
    match = _VERSION.fullmatch(version.strip())
    if match is None:
        raise RequestError(f"cannot read the Isaac Lab version {version!r}", "a version looks like 2.3.2")
    wanted = tuple(int(number or 0) for number in match.group(1, 2, 3))
    candidates = [known for known in RELEASES if numbers(known) <= wanted and numbers(known)[0] == wanted[0]]
    if not candidates:
        supported = text.either(sorted({f"{numbers(known)[0]}.x" for known in RELEASES}))
        raise RequestError(f"Isaac Lab {version} is not supported", f"name an Isaac Lab {supported} with --isaaclab")
    found = candidates[-1]
    exact = numbers(found) == wanted and _SAME_AS_RELEASE.fullmatch(match["rest"])
    return Profile(version=found), None if exact else _unknown_version(version, found)


def _unknown_version(version: str, found: str) -> Finding:
    return Finding(
        code="version-unknown",
        level="warning",
        message=f"Isaac Lab {version} is not known here; planned as {found}",
        hint="if its script refuses an option, look for a newer spark-rl",
    )


def _known(library: str) -> str:
    if library not in LIBRARIES:
        raise RequestError(f"unknown RL library {library!r}", text.did_you_mean(library, LIBRARIES, "libraries"))
    return library


def _joined(first: Translation, second: Translation) -> Translation:
    return Translation(
        options=first.options + second.options,
        overrides=first.overrides + second.overrides,
        findings=first.findings + second.findings,
    )
