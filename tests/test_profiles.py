from __future__ import annotations

import argparse
from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from spark_rl.errors import RequestError
from spark_rl.model import LIBRARIES, Action
from spark_rl.profiles import RELEASES, WINDOW, Option, Profile, nearest, parse, profile, render, vocabulary
from spark_rl.profiles.moved import _RULES
from spark_rl.profiles.releases import _ENTRIES, ACTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

CELLS: tuple[tuple[str, str, Action], ...] = tuple(
    (version, library, action) for version in RELEASES for library in LIBRARIES for action in ACTIONS
)


def words(version: str, library: str, action: Action, *tokens: str) -> list[str]:
    """What the script gets for ``tokens``."""
    translated = Profile(version=version).translate(library, action, tokens)
    return [word for pair in translated.options for word in render(*pair)] + list(translated.overrides)


def refusal(version: str, library: str, action: Action, *tokens: str, overrides: tuple[str, ...] = ()) -> RequestError:
    with pytest.raises(RequestError) as caught:
        Profile(version=version).translate(library, action, tokens, overrides)
    return caught.value


@pytest.mark.parametrize(
    ("version", "found", "warned"),
    [
        ("2.0.0", "2.0.0", False),
        ("2.0.2", "2.0.2", False),
        ("2.3.1", "2.3.1", False),
        ("2.3.2.post1", "2.3.2", False),
        ("v2.2.1", "2.2.1", False),
        ("3.0.0+cu128", "3.0.0", False),
        ("2.3", "2.3.0", False),
        ("2.3.5", "2.3.2", True),
        ("2.1.1", "2.1.0", True),
        ("2.10.0", "2.3.2", True),
        ("3.1.0", "3.0.0", True),
        ("3.0.0rc1", "3.0.0", True),
        ("2.3.2.dev4", "2.3.2", True),
    ],
)
def test_a_version_has_the_profile_of_the_nearest_lower_release(version: str, found: str, warned: bool) -> None:
    known, finding = profile(version)
    assert known == Profile(version=found)
    assert (finding is not None) == warned
    if finding:
        assert (finding.code, finding.level) == ("version-unknown", "warning")
        assert version in finding.message
        assert found in finding.message


@pytest.mark.parametrize("version", ["4.0.0", "1.4.1", "0.54.2", "main", ""])
def test_other_versions_are_refused_with_a_hint(version: str) -> None:
    with pytest.raises(RequestError) as caught:
        profile(version)
    assert caught.value.hint


# Facts read from the scripts of each release: (option, library, action, releases that take it).
ALL = RELEASES
FROM_2_1 = RELEASES[RELEASES.index("2.1.0") :]
FROM_2_2 = RELEASES[RELEASES.index("2.2.0") :]
FROM_2_2_1 = RELEASES[RELEASES.index("2.2.1") :]
FROM_2_3_2 = ("2.3.2", "3.0.0")
GEN2 = RELEASES[:-1]
GEN3 = ("3.0.0",)
TAKEN = [
    ("--task", "sb3", "play", ALL),
    ("--distributed", "rsl_rl", "train", FROM_2_1),
    ("--distributed", "rl_games", "train", ALL),
    ("--distributed", "skrl", "train", ALL),
    ("--distributed", "sb3", "train", ()),
    ("--distributed", "rsl_rl", "play", ()),
    ("--agent", "rl_games", "train", FROM_2_2_1),
    ("--agent", "skrl", "play", FROM_2_2_1),
    ("--seed", "sb3", "train", ALL),
    ("--seed", "sb3", "play", FROM_2_2_1),
    ("--checkpoint", "sb3", "train", FROM_2_2_1),
    ("--checkpoint", "sb3", "play", ALL),
    ("--checkpoint", "rsl_rl", "train", ALL),
    ("--load_run", "rsl_rl", "play", GEN2),
    ("--load_run", "skrl", "train", ()),
    ("--resume", "rsl_rl", "train", GEN2),
    ("--headless", "skrl", "train", GEN2),
    ("--enable_cameras", "rl_games", "play", GEN2),
    ("--cpu", "rl_games", "play", GEN2),
    ("--xr", "rsl_rl", "train", FROM_2_1),
    ("--rendering_mode", "sb3", "train", RELEASES[RELEASES.index("2.1.0") : -1]),
    ("--anim_recording_enabled", "skrl", "play", FROM_2_2),
    ("--track", "rl_games", "train", FROM_2_2),
    ("--track", "rl_games", "play", ()),
    ("--wandb-entity", "rl_games", "train", FROM_2_2),
    ("--log_interval", "sb3", "train", FROM_2_2),
    ("--log_interval", "sb3", "play", ()),
    ("--keep_all_info", "sb3", "play", FROM_2_2),
    ("--export_io_descriptors", "skrl", "train", FROM_2_2_1),
    ("-rid", "rsl_rl", "train", FROM_2_3_2),
    ("--use_last_checkpoint", "sb3", "play", GEN2),
    ("--use_last_checkpoint", "rsl_rl", "play", ()),
    ("--use_pretrained_checkpoint", "skrl", "play", GEN2),
    ("--video_interval", "rsl_rl", "train", ALL),
    ("--video_interval", "rsl_rl", "play", GEN3),
    ("--run_timestamp", "skrl", "train", GEN3),
    ("--run_timestamp", "sb3", "train", ()),
    ("--viz", "sb3", "train", GEN3),
    ("--deterministic", "rl_games", "play", GEN3),
    ("--train_env_cfg", "rl_games", "play", GEN3),
    ("--external_callback", "rsl_rl", "play", GEN3),
    ("--external_callback", "skrl", "play", ()),
    ("--no-resume_optimizer_state", "rsl_rl", "train", GEN3),
    ("--algorithm", "skrl", "train", ALL),
    ("--algorithm", "rsl_rl", "train", ()),
]


@pytest.mark.parametrize(("option", "library", "action", "releases"), TAKEN)
def test_releases_that_take_an_option(option: str, library: str, action: Action, releases: tuple[str, ...]) -> None:
    taking = tuple(version for version in RELEASES if option in Profile(version=version).options(library, action))
    assert taking == releases


def test_choices_and_kinds_change_with_the_release() -> None:
    old, new = Profile(version="2.1.0"), Profile(version="3.0.0")
    assert old.options("skrl", "train")["--ml_framework"].choices == ("torch", "jax", "jax-numpy")
    assert new.options("skrl", "train")["--ml_framework"].choices == ("torch", "jax")
    assert "xr" in old.options("skrl", "train")["--rendering_mode"].choices
    assert "xr" not in Profile(version="2.2.0").options("skrl", "train")["--rendering_mode"].choices
    assert Profile(version="2.0.2").options("rsl_rl", "train")["--resume"].takes == "value"
    assert old.options("rsl_rl", "train")["--resume"].takes == "flag"
    assert new.options("sb3", "play")["--viz"] is new.options("sb3", "play")["--visualizer"]


def test_no_two_lines_of_the_table_say_the_same_option_of_one_script() -> None:
    for first, second in combinations(_ENTRIES, 2):
        if set(first[0].spellings) & set(second[0].spellings):
            shared = [cell for cell in CELLS if first[1].holds(*cell) and second[1].holds(*cell)]
            assert not shared, f"{first[0].name} twice in {shared}"


def test_every_line_of_the_tables_holds_somewhere() -> None:
    for option, scope in _ENTRIES:
        assert any(scope.holds(*cell) for cell in CELLS), option
    for rule in _RULES:
        assert any(rule.scope.holds(*cell) for cell in CELLS), rule


@pytest.mark.parametrize(("version", "library", "action"), CELLS)
def test_every_option_of_any_release_is_taken_or_accounted_for(version: str, library: str, action: Action) -> None:
    known = Profile(version=version)
    taken, moved = known.options(library, action), known.moved(library, action)
    for spelling, option in vocabulary().items():
        assert spelling in taken or option.name in moved, spelling


@pytest.mark.parametrize(("version", "library", "action"), CELLS)
def test_a_translation_is_made_of_words_the_script_takes(version: str, library: str, action: Action) -> None:
    known = Profile(version=version)
    taken = {**known.options(library, action), WINDOW.name: WINDOW}
    for key, moved in known.moved(library, action).items():
        assert bool(moved.to) == (moved.action == "translate"), key
        assert moved.reason
        for word in moved.to:
            if word.startswith("--"):
                assert parse([word], taken), key
            else:
                assert action == "train" or known.play_takes_overrides, key


@pytest.mark.parametrize(
    ("version", "library", "action", "tokens", "expected"),
    [
        ("3.0.0", "rsl_rl", "train", ["--headless", "--num-envs", "64"], ["--num_envs=64"]),
        ("3.0.0", "rsl_rl", "train", ["--enable_cameras"], []),
        ("3.0.0", "rsl_rl", "train", ["--cpu"], ["--device=cpu"]),
        ("2.3.2", "rsl_rl", "train", ["--cpu"], ["--device=cpu"]),
        ("3.0.0", "rsl_rl", "train", ["--resume"], ["--checkpoint=latest"]),
        ("3.0.0", "rsl_rl", "play", ["--load_run", "2026-01-01.*"], ["agent.load_run=2026-01-01.*"]),
        ("3.0.0", "sb3", "play", ["--use_last_checkpoint"], ["--checkpoint=latest"]),
        ("3.0.0", "skrl", "play", ["--use_pretrained_checkpoint"], ["--checkpoint=pretrained"]),
        ("2.3.2", "skrl", "play", ["--checkpoint", "pretrained"], ["--use_pretrained_checkpoint"]),
        ("2.3.2", "skrl", "play", ["--viz", "kit"], ["--no-headless"]),
        ("2.3.2", "skrl", "play", ["--visualizer=none"], ["--headless"]),
        ("2.3.2", "skrl", "play", ["--frontend=torch", "--train_env_cfg", "--video_interval=9"], []),
        ("2.3.0", "rl_games", "train", ["--ray-proc-id", "3"], []),
        ("2.3.2", "rl_games", "train", ["--ray_proc_id", "3"], ["--ray-proc-id=3"]),
        ("2.1.0", "sb3", "train", ["--keep_all_info"], []),
        ("2.2.0", "sb3", "train", ["--keep_all_info"], ["--keep_all_info"]),
        ("2.3.2", "rsl_rl", "train", ["--experiment_name=x"], ["agent.experiment_name=x"]),
        ("3.0.0", "rsl_rl", "train", ["--experiment_name=x"], ["--experiment_name=x"]),
    ],
)
def test_words_of_another_release_are_translated(
    version: str, library: str, action: Action, tokens: list[str], expected: list[str]
) -> None:
    assert words(version, library, action, *tokens) == expected


def test_what_is_changed_is_noted_and_what_is_not_is_not() -> None:
    translated = Profile(version="3.0.0").translate("rsl_rl", "train", ["--headless", "--cpu", "--video"])
    assert [finding.code for finding in translated.findings] == ["option-dropped", "option-translated"]
    assert "--headless" in translated.findings[0].message
    assert "--device=cpu" in translated.findings[1].message
    assert {finding.level for finding in translated.findings} == {"note"}


@pytest.mark.parametrize(
    ("version", "library", "action", "tokens", "said"),
    [
        ("3.0.0", "rsl_rl", "train", ["--rendering_mode=quality"], "no rendering modes"),
        ("3.0.0", "rsl_rl", "train", ["--load_run=x"], "run folder"),
        ("3.0.0", "skrl", "train", ["--ml_framework", "jax-numpy"], "torch or jax"),
        ("3.0.0", "sb3", "train", ["--distributed"], "rsl_rl train"),
        ("3.0.0", "sb3", "train", ["--checkpoint=pretrained"], "for play"),
        ("2.3.2", "rsl_rl", "play", ["--viz=rerun"], "window"),
        ("2.3.2", "rsl_rl", "train", ["--frontend=warp"], "torch frontend"),
        ("2.3.2", "rsl_rl", "train", ["--deterministic"], "no such switch"),
        ("2.3.2", "rsl_rl", "train", ["--capture_env_sensors=1"], "since 3.0.0"),
        ("2.3.2", "rsl_rl", "train", ["--run_timestamp=x"], "since 3.0.0"),
        ("2.3.2", "rsl_rl", "train", ["--external_callback=x"], "since 3.0.0"),
        ("2.3.2", "rl_games", "play", ["--checkpoint=latest"], "take a file"),
        ("2.2.0", "rl_games", "train", ["--agent=x"], "since 2.2.1"),
        ("2.2.0", "rl_games", "play", ["--seed=1"], "since 2.2.1"),
        ("2.2.0", "sb3", "train", ["--checkpoint=x.zip"], "since 2.2.1"),
        ("2.2.0", "sb3", "train", ["--export_io_descriptors"], "since 2.2.1"),
        ("2.1.0", "rl_games", "train", ["--track"], "since 2.2.0"),
        ("2.1.0", "sb3", "train", ["--log_interval=10"], "since 2.2.0"),
        ("2.0.2", "rsl_rl", "train", ["--distributed"], "since 2.1.0"),
        ("2.2.0", "rsl_rl", "play", ["--experiment_name=x"], "ignores it"),
        ("2.3.2", "rsl_rl", "train", ["--sigma=1"], "rl_games train"),
    ],
)
def test_what_a_release_cannot_do_is_refused_with_the_reason(
    version: str, library: str, action: Action, tokens: list[str], said: str
) -> None:
    error = refusal(version, library, action, *tokens)
    assert error.exit_code == 2
    assert said in error.message
    assert "\n" not in error.message + (error.hint or "")


def test_preset_selectors_mean_something_in_isaac_lab_3_alone() -> None:
    new, old = Profile(version="3.0.0"), Profile(version="2.3.2")
    selectors = ("physics=newton_mjwarp", "renderer=rtx", "presets=depth")
    assert new.translate("rsl_rl", "train", (), selectors).overrides == selectors
    kept = old.translate("rsl_rl", "train", (), ("physics=physx", "env.physics=1", "renderer=rtx", "~agent.x"))
    assert kept.overrides == ("env.physics=1", "~agent.x")
    assert len(kept.findings) == 2
    for selector in ("physics=newton_mjwarp", "renderer=ovrtx", "presets=depth"):
        assert selector in refusal("2.3.2", "rsl_rl", "train", overrides=(selector,)).message


@pytest.mark.parametrize(("version", "taken"), [("2.0.0", False), ("2.2.0", False), ("2.2.1", True), ("3.0.0", True)])
def test_play_takes_overrides_and_a_seed_since_2_2_1(version: str, taken: bool) -> None:
    known = Profile(version=version)
    assert (known.play_takes_overrides, known.play_takes_seed) == (taken, taken)
    if taken:
        assert known.translate("skrl", "play", (), ("env.x=1",)).overrides == ("env.x=1",)
    else:
        assert "takes no overrides" in refusal(version, "skrl", "play", overrides=("env.x=1",)).message
    assert known.translate("skrl", "train", (), ("env.x=1",)).overrides == ("env.x=1",)


def test_what_checkpoint_means() -> None:
    styles = {
        (version, library, action): Profile(version=version).checkpoint_style(library, action)
        for version, library, action in CELLS
    }
    patterns = {cell for cell, style in styles.items() if style == "regex"}
    assert patterns == {(version, "rsl_rl", "train") for version in GEN2}
    absent = {cell for cell, style in styles.items() if style == "none"}
    assert absent == {(version, "sb3", "train") for version in ("2.0.0", "2.0.1", "2.0.2", "2.1.0", "2.2.0")}


def test_libraries_that_use_several_gpus() -> None:
    def libraries(version: str) -> tuple[str, ...]:
        return tuple(library for library in LIBRARIES if Profile(version=version).distributed(library))

    assert libraries("2.0.2") == ("rl_games", "skrl")
    assert libraries("2.1.0") == ("rsl_rl", "rl_games", "skrl") == libraries("3.0.0")


def test_how_a_run_is_named() -> None:
    old, new = Profile(version="2.3.2"), Profile(version="3.0.0")
    assert [new.run_name(library) for library in LIBRARIES] == [
        "--run_name",
        "agent.params.config.full_experiment_name",
        "agent.agent.experiment.experiment_name",
        None,
    ]
    assert old.run_name("rl_games") == "++agent.params.config.full_experiment_name"
    assert [library for library in LIBRARIES if new.run_name_replaces(library)] == ["rl_games"]


def test_what_moves_the_agent_to_a_device() -> None:
    new, old = Profile(version="3.0.0"), Profile(version="2.3.2")
    assert new.agent_device_overrides("rsl_rl") == ("agent.device",)
    assert new.agent_device_overrides("sb3", "play") == ("agent.device",)
    assert old.agent_device_overrides("sb3") == ("++agent.device",)
    assert old.agent_device_overrides("rl_games") == (
        "agent.params.config.device",
        "++agent.params.config.device_name",
    )
    assert new.agent_device_overrides("skrl") == ()
    assert Profile(version="2.3.0").agent_device_overrides("rl_games") == ()
    assert Profile(version="2.3.0").agent_device_overrides("rsl_rl") == ("agent.device",)
    assert Profile(version="2.2.0").agent_device_overrides("rsl_rl", "play") == ()


def test_the_script() -> None:
    old = Profile(version="2.3.2")
    assert old.script("sb3", "play") == "scripts/reinforcement_learning/sb3/play.py"
    with pytest.raises(RequestError, match="torchrl"):
        old.script("torchrl", "play")


RSL_RL = Profile(version="3.0.0").options("rsl_rl", "train")
RL_GAMES = Profile(version="3.0.0").options("rl_games", "train")


def by_argparse(tokens: list[str], table: Mapping[str, Option]) -> dict[str, str | None]:
    """What argparse reads from ``tokens`` with the options of ``table``, in the terms of ``parse``."""
    parser = argparse.ArgumentParser(argument_default=argparse.SUPPRESS, exit_on_error=False)
    for option in {option.name: option for option in table.values()}.values():
        if option.takes == "flag":
            parser.add_argument(option.name, dest=option.name, action="store_const", const=None)
            if option.negative:
                parser.add_argument(option.negative, dest=option.name, action="store_const", const="false")
        else:
            nargs = "?" if option.takes == "optional" else None
            parser.add_argument(*option.spellings, dest=option.name, nargs=nargs)
    return vars(parser.parse_args(tokens))


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["--num_envs", "64"], [("--num_envs", "64")]),
        (["--num-envs=64"], [("--num_envs", "64")]),
        (["--ray_proc_id=1"], [("--ray-proc-id", "1")]),
        (["-rid", "1"], [("--ray-proc-id", "1")]),
        (["--seed", "-1", "--video"], [("--seed", "-1"), ("--video", None)]),
        (["--anim_recording_start_time", "-.5"], [("--anim_recording_start_time", "-.5")]),
        (["--kit_args", "--/app/x=1"], [("--kit_args", "--/app/x=1")]),
        (["--kit_args", "--verbose"], [("--kit_args", "--verbose")]),
        (["--kit-args=--/a=1 --/b=2"], [("--kit_args", "--/a=1 --/b=2")]),
        (["--run_name", "--a b"], [("--run_name", "--a b")]),
        (["--run_name=--video"], [("--run_name", "--video")]),
        (["--run_name="], [("--run_name", "")]),
        (["--task=A=B"], [("--task", "A=B")]),
        (["--viz", "kit,rerun"], [("--visualizer", "kit,rerun")]),
        (["--livestream", "2"], [("--livestream", "2")]),
        (["--resume_optimizer_state"], [("--resume_optimizer_state", None)]),
        (["--no_resume_optimizer_state"], [("--resume_optimizer_state", "false")]),
        ([], []),
    ],
)
def test_parse_reads_options_and_render_writes_what_argparse_reads(
    tokens: list[str], expected: list[tuple[str, str | None]]
) -> None:
    found = parse(tokens, RSL_RL)
    assert [(option.name, value) for option, value in found] == expected
    rendered = [word for pair in found for word in render(*pair)]
    assert parse(rendered, RSL_RL) == found
    assert by_argparse(rendered, RSL_RL) == dict(expected)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["--track", "--video"], [("--track", None), ("--video", None)]),
        (["--track", "True"], [("--track", "True")]),
        (["--track=off"], [("--track", "off")]),
        (["--track"], [("--track", None)]),
    ],
)
def test_parse_reads_an_optional_value(tokens: list[str], expected: list[tuple[str, str | None]]) -> None:
    found = parse(tokens, RL_GAMES)
    assert [(option.name, value) for option, value in found] == expected
    assert by_argparse([word for pair in found for word in render(*pair)], RL_GAMES) == dict(expected)


@pytest.mark.parametrize(
    ("tokens", "message", "hint"),
    [
        (["--num_env", "4"], "unknown option --num_env", "--num_envs"),
        (["--video_len=4"], "unknown option --video_len", "--video_length"),
        (["--resume"], "unknown option --resume", "--resume_optimizer_state"),
        (["--zzzz"], "unknown option --zzzz", "after|follows --"),
        (["64"], "unexpected word '64'", "KEY=VALUE"),
        (["--num_envs"], "--num_envs needs a value", "--num_envs=N"),
        (["--num_envs", "--video"], "--num_envs needs a value", "--num_envs=N"),
        (["--num_envs", "many"], "--num_envs takes a whole number, not 'many'", "VALUE"),
        (["--num_envs=1.5"], "--num_envs takes a whole number, not '1.5'", "VALUE"),
        (["--anim_recording_stop_time=x"], "takes a number, not 'x'", "VALUE"),
        (["--logger", "csv"], "--logger takes wandb, tensorboard or neptune, not 'csv'", ""),
        (["--livestream=3"], "--livestream takes 0, 1 or 2, not '3'", ""),
        (["--viz=kit,vr"], "not 'vr'", ""),
        (["--viz=kit,none"], "none stands alone", ""),
        (["--video=yes"], "--video takes no value", "alone"),
    ],
)
def test_parse_refuses_in_one_line_with_one_hint(tokens: list[str], message: str, hint: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(tokens, RSL_RL)
    assert message in caught.value.message
    assert any(part in (caught.value.hint or "") for part in hint.split("|"))
    assert "\n" not in caught.value.message + (caught.value.hint or "")


def test_render_fuses_values_that_start_with_a_dash() -> None:
    assert render(RSL_RL["--kit_args"], "--/x") == ("--kit_args=--/x",)
    assert render(RSL_RL["--num_envs"], "4") == ("--num_envs=4",)
    assert render(RSL_RL["--video"], None) == ("--video",)
    assert render(RL_GAMES["--track"], None) == ("--track",)
    assert render(RSL_RL["--resume_optimizer_state"], "false") == ("--no-resume_optimizer_state",)


def test_nearest_puts_abbreviations_first() -> None:
    table = {name: Option(name=name, takes="flag") for name in ("--seed", "--speed", "--seed_everything")}
    assert nearest("--see", table) == ("--seed", "--seed_everything", "--speed")
    assert nearest("--qqq", table) == ()
