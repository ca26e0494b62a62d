"""Shell completion: commands, options, tasks, and the libraries, algorithms, keys and presets of the task on the line.

Typer's own completion takes ``--task=Isaac`` of bash for three words, knows options by one spelling alone, and loads
Rich to show their help in zsh and fish: twice the time of a whole answer here.

The shell passes the words of the line as arguments, COMP_CWORD as the place of the one to complete, and
``_SPARK_RL_COMPLETE`` as its own name.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl import catalogues, installations, projects, settings
from spark_rl.errors import RequestError, SparkError
from spark_rl.model import ALGORITHMS, LIBRARIES
from spark_rl.text import did_you_mean, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from spark_rl.catalog import Catalog
    from spark_rl.configuration import Configuration
    from spark_rl.model import Installation

__all__ = ["SCRIPTS", "VARIABLE", "answer", "script"]

VARIABLE = "_SPARK_RL_COMPLETE"
NEWEST = "3.0.0"

_BASH = """\
_spark_rl_completion() {
    local IFS=$'\\n'
    COMPREPLY=($(COMP_CWORD=$COMP_CWORD _SPARK_RL_COMPLETE=bash "$1" "${COMP_WORDS[@]}" 2>/dev/null))
    if [[ "${COMPREPLY[0]}" == *[.=] ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -o default -F _spark_rl_completion spark-rl
"""

_ZSH = """\
#compdef spark-rl
_spark_rl_completion() {
    local -a found
    found=("${(@f)$(COMP_CWORD=$((CURRENT - 1)) _SPARK_RL_COMPLETE=zsh "${words[1]}" "${(@)words}" 2>/dev/null)}")
    if [[ "$found[1]" == *[.=] ]]; then compadd -U -S '' -a found
    elif [[ -n "$found" ]]; then compadd -U -a found; else _files; fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _spark_rl_completion spark-rl
"""

_FISH = """\
function __spark_rl_completion
    set -l before (commandline -opc)
    set -l found (COMP_CWORD=(count $before) _SPARK_RL_COMPLETE=fish $before[1] $before (commandline -ct) 2>/dev/null)
    if test -n "$found"
        string join -- \\n $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete --command spark-rl --no-files --arguments '(__spark_rl_completion)'
for option in task library algorithm checkpoint
    complete --command spark-rl --long-option $option --exclusive --arguments '(__spark_rl_completion)'
end
"""

SCRIPTS: Mapping[str, str] = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
"""What each shell has to run once to complete spark-rl's command lines."""


def script(shell: str) -> str:
    """Return the script that makes ``shell`` complete spark-rl.

    Raises:
        RequestError: There is none for this shell.
    """
    if shell not in SCRIPTS:
        raise RequestError(f"no completion for {shell}", did_you_mean(shell, SCRIPTS, "shells"))
    return SCRIPTS[shell].rstrip()


def answer(words: Sequence[str], command: Any, environ: Mapping[str, str], cwd: Path) -> str:
    """Return the completions of a command line, one a line.

    Args:
        words: The words of the line, the program first.
        command: The command group whose commands and options are completed.
        environ: The variables of the shell's script.
        cwd: The working directory.
    """
    place = environ.get("COMP_CWORD", "")
    at = int(place) if place.isdigit() else len(words) - 1
    before, prefix, word = _split(list(words[1:at]), words[at] if at < len(words) else "")
    found = _Line(before, command, cwd).complete(word)
    if environ.get(VARIABLE) == "bash":
        found = [_escaped(text) for text in found]
    if environ.get(VARIABLE) == "fish" and prefix.startswith("--"):
        prefix = ""
    return "\n".join(prefix + text for text in found)


def _split(before: list[str], word: str) -> tuple[list[str], str, str]:
    """Return the words before, what must stay in front of each completion, and the word to complete.

    Of ``--task=Isaac`` and ``physics=ne`` bash makes three words and completes the last one; zsh leaves it whole, and
    so does fish, which puts ``--task=`` in front by itself.
    """
    prefix = ""
    if word == "=":
        word = ""
    elif "=" in word:
        name, _, word = word.partition("=")
        prefix = f"{name}="
        before = [*before, name]
    parts = [part for text in before for part in (text.split("=", 1) if text.startswith("--") else [text])]
    return [part for part in parts if part not in ("=", "")], prefix, word


class _Line:
    """A command line up to the word to complete."""

    def __init__(self, before: Sequence[str], command: Any, cwd: Path) -> None:
        self.before = before
        self.command = command
        self.cwd = cwd
        name = next((word for word in before if not word.startswith("-")), None)
        self.name = name or ""
        self.chosen = command.commands.get(name) if name is not None else None
        self.options = {
            spelling: param
            for param in (self.chosen or command).params
            if param.param_type_name == "option"
            for spelling in (*param.opts, *param.secondary_opts)
        }

    def complete(self, word: str) -> list[str]:
        if "--" in self.before or (self.chosen is None and self.before):
            return []
        option = self.option(self.before[-1]) if self.before else None
        if option is not None and not option.is_flag:
            return self.values(option.name, word)
        if word.startswith("-"):
            shown = (name for name, param in self.options.items() if not param.hidden)
            return _starting([*shown, "--help"], word.replace("_", "-"))
        if self.chosen is None:
            return _starting((name for name, each in self.command.commands.items() if not each.hidden), word)
        if self.name in _CONFIGURED:
            return self.overrides(word)
        argument = next((param.name for param in self.chosen.params if param.param_type_name == "argument"), "")
        return self.values(argument, word)

    def option(self, word: str) -> Any:
        return self.options.get(word.replace("_", "-") if word.startswith("--") else word)

    def given(self, name: str) -> str | None:
        """Return the value of an option that is on the line."""
        pairs = zip(self.before, self.before[1:], strict=False)
        return next((value for word, value in pairs if getattr(self.option(word), "name", "") == name), None)

    def values(self, name: str, word: str) -> list[str]:
        if name == "task":
            return _named(self.catalog().ids(), word)
        find = _VALUES.get(name)
        return _starting(find(self), word) if find is not None else []

    def installation(self) -> Installation:
        """Return the Isaac Lab in use.

        Raises:
            SparkError: There is none.
        """
        chosen = settings.load(self.cwd)
        path = self.given("isaaclab")
        installation = installations.inspect(Path(path)) if path else installations.select(chosen, self.cwd)[0]
        return projects.beside(installation, projects.find(self.cwd, projects.named(chosen)))

    def catalog(self) -> Catalog:
        """Return the tasks of the Isaac Lab in use; nothing on a keystroke may fail or take long."""
        try:
            return catalogues.at_once(self.installation(), settings.cache_folder())
        except SparkError:
            return catalogues.shipped(NEWEST)

    def overrides(self, word: str) -> list[str]:
        """Return keys one level at a time, or the values of the key before: of a task whose configuration is known."""
        try:
            known = self.configuration()
        except SparkError:
            return []
        if known is None:
            return []
        before = self.before[-1] if self.before else ""
        if before in known.selectors or before in known.fields:
            return _key_values(before, word, known)
        return _keys(word, known, assigning=self.name != "explain")

    def configuration(self) -> Configuration | None:
        """Return what was resolved before of the task on the line; no child is started.

        Raises:
            SparkError: There is no such task, library or algorithm.
        """
        from spark_rl import configurations, names
        from spark_rl.plan import choice

        name = self.given("task")
        if not name:
            return None
        installation, catalog = self.installation(), self.catalog()
        task = names.resolve(name, "train", catalog, installation.generation, catalogues.renames()).task
        library = choice.choose_library(self.given("library"), task)[0]
        algorithm = choice.choose_algorithm(self.given("algorithm"), task, library)[0]
        agent = choice.choose_agent(task, library, algorithm, None)
        return configurations.at_once(
            configurations.Place(
                installation=installation,
                task=task.id,
                agent=agent.entry_point,
                play=False,
                stamp="",
                folder=settings.cache_folder(),
            )
        )

    def libraries(self) -> Iterable[str]:
        task = self.catalog().get(self.given("task") or "")
        return task.libraries if task is not None else LIBRARIES

    def algorithms(self) -> Iterable[str]:
        task, library = self.catalog().get(self.given("task") or ""), self.given("library")
        if task is None:
            return ALGORITHMS
        found = (name for each in ([library] if library else task.libraries) for name in task.algorithms(each))
        return dict.fromkeys(name for name in found if name in ALGORITHMS)


_CONFIGURED = frozenset(("train", "play", "explain"))
"""Commands that take KEY=VALUE words."""

_VALUES: Mapping[str, Callable[[_Line], Iterable[str]]] = {
    "library": _Line.libraries,
    "algorithm": _Line.algorithms,
    "category": lambda line: sorted({task.category for task in line.catalog().tasks if task.category}),
    "robot": lambda line: sorted({task.robot for task in line.catalog().tasks if task.robot}),
    "checkpoint": lambda _: ("latest", "best", "pretrained"),
    "assets": lambda _: ("auto", "nvidia", "embedded"),
    "gpus": lambda _: ("all",),
    "shell": lambda _: SCRIPTS,
}
"""What completes the value of an option, by the option's name."""


def _keys(word: str, known: Configuration, *, assigning: bool) -> list[str]:
    """Return what continues a key: the groups of the next level with a dot, its fields with ``=`` where one follows."""
    end = "=" if assigning else ""
    above = word.rpartition(".")[0]
    parents = {key.rpartition(".")[0] for key in known.fields}
    found = [field.key + ("." if field.key in parents else end) for field in known.children(above)]
    selectors = () if above else (f"{selector}=" for selector in known.selectors)
    return _starting((*found, *selectors), word)


def _key_values(key: str, word: str, known: Configuration) -> list[str]:
    """Return the names of presets, or what a field is limited to."""
    if key in known.selectors:
        done, comma, last = word.rpartition(",")
        options = (option for preset in known.presets for option in preset.options)
        names = dict.fromkeys(name for name, selector, _ in options if key in (selector, "presets"))
        return [f"{done}{comma}{name}" for name in _starting(names, last)]
    from spark_rl.override_values import literal

    kind = known.fields[key].kind
    parts = kind.inside if kind.name == "union" else (kind,)
    # A choice such as none reads as something else without quotes, and the shell takes these off.
    literals = [choice for part in parts for choice in part.choices if part.name == "Literal"]
    choices = [str(choice) for choice in literals if literal(str(choice)) == choice]
    truth = ("true", "false") if any(part.name == "bool" for part in parts) else ()
    alternatives = (name for preset in known.presets_at(key) for name in preset.names)
    return _starting((*choices, *truth, *alternatives), word)


def _starting(texts: Iterable[str], word: str) -> list[str]:
    return [text for text in texts if text.lower().startswith(word.lower())]


def _named(ids: Iterable[str], word: str) -> list[str]:
    """Return the ids that begin with a word, else those that hold it, if what the shell inserts holds it as well.

    A shell inserts what all completions begin with: of ``cartpole`` it would make ``Isaac-``.
    """
    ids = tuple(ids)
    found = _starting(ids, word)
    if found or not word:
        return found
    found = [task_id for task_id in ids if fold(word) in fold(task_id)]
    return found if fold(word) in fold(os.path.commonprefix(found)) else []  # noqa: RUF071 - texts, not paths


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in " ()'\"&;" else letter for letter in text)
