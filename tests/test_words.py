"""Sorting the words of a command line: nothing is lost, changed or taken for something else."""

from __future__ import annotations

import pytest

from spark_rl import words
from spark_rl.errors import RequestError

OWN = ("--task", "--num-envs", "--max-iterations", "--headless", "--no-headless", "--rl-library", "--dry-run")


@pytest.mark.parametrize(
    ("argv", "before", "after"),
    [
        ([], (), ()),
        (["a", "b"], ("a", "b"), ()),
        (["a", "--", "b"], ("a",), ("b",)),
        (["--"], (), ()),
        (["--", "--"], (), ("--",)),
        (["a", "--", "b c", "--", "--task", "", "ü=*"], ("a",), ("b c", "--", "--task", "", "ü=*")),
        (["a", "---", "x=--"], ("a", "---", "x=--"), ()),
    ],
)
def test_what_follows_the_first_two_dashes_is_left_alone(
    argv: list[str], before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    assert words.split_passthrough(argv) == (before, after)


@pytest.mark.parametrize(
    ("word", "normal"),
    [
        ("--num_envs", "--num-envs"),
        ("--num_envs=2_048", "--num-envs=2_048"),
        ("--rl_library=rsl_rl", "--rl-library=rsl_rl"),
        ("--no_headless", "--no-headless"),
        ("--task=my_pkg:Isaac_X", "--task=my_pkg:Isaac_X"),
        ("--task", "--task"),
        ("--ml_framework", "--ml_framework"),
        ("--real-time", "--real-time"),
        ("num_envs", "num_envs"),
        ("env.num_envs=1", "env.num_envs=1"),
        ("-num_envs", "-num_envs"),
        ("--", "--"),
        ("", ""),
    ],
)
def test_an_underscore_and_a_dash_are_the_same_in_the_names_of_our_options(word: str, normal: str) -> None:
    assert words.normalized([word], OWN) == (normal,)


@pytest.mark.parametrize(
    ("word", "override"),
    [
        ("env.a=1", True),
        ("+agent.b=2", True),
        ("++agent.b=2", True),
        ("~env.c", True),
        ("~env.c=1", True),
        ("physics=newton_mjwarp", True),
        ("env.list+=[1]", True),
        ("a=", True),
        ("a==b", True),
        ("=a", False),
        ("", False),
        ("Isaac-Cartpole-v0", False),
        ("--a=b", False),
        ("-a=b", False),
    ],
)
def test_what_an_override_is(word: str, override: bool) -> None:
    assert words.is_override(word) == override


BYTES = ("a=b c", 'env.x="é, [1, 2]"', "env.y='it''s'", "+a.b={x: 1}", "~env.z", "a=$HOME", "a=--video", "a=\n", "b=*")


@pytest.mark.parametrize(
    ("given", "options", "overrides"),
    [
        ([], (), ()),
        ([*BYTES], (), BYTES),
        (["--logger", "wandb", "a=1"], ("--logger", "wandb"), ("a=1",)),
        (["--logger=wandb", "a=1"], ("--logger=wandb",), ("a=1",)),
        (["--kit_args", "--/app/x=1 --/y=2", "a=1"], ("--kit_args", "--/app/x=1 --/y=2"), ("a=1",)),
        (["--kit_args", "a=1", "b=2"], ("--kit_args", "a=1"), ("b=2",)),
        (["--kit-args", "a=1"], ("--kit-args", "a=1"), ()),
        (["--log_project_name", "a=1"], ("--log_project_name", "a=1"), ()),
        (["--verbose", "a=1"], ("--verbose",), ("a=1",)),
        (["--track", "a=1"], ("--track",), ("a=1",)),
        (["--track", "true", "a=1"], ("--track", "true"), ("a=1",)),
        (["--track", "NO", "a=1"], ("--track", "NO"), ("a=1",)),
        (["-rid", "3", "a=1"], ("-rid", "3"), ("a=1",)),
        (["a=1", "--real-time", "b=2"], ("--real-time",), ("a=1", "b=2")),
        (["--sigma", "-0.5"], ("--sigma", "-0.5"), ()),
        (["--sigma"], ("--sigma",), ()),
    ],
)
def test_options_and_overrides_are_told_apart(
    given: list[str], options: tuple[str, ...], overrides: tuple[str, ...]
) -> None:
    assert words.split_overrides(given, OWN) == (options, overrides)


@pytest.mark.parametrize(
    ("word", "suggested"),
    [
        ("--num", "--num-envs"),
        ("--nmu-envs", "--num-envs"),
        ("--NUM_ENVS", "--num-envs"),
        ("--max-iter", "--max-iterations"),
        ("--headles", "--headless"),
        ("--dryrun", "--dry-run"),
        ("--video-len", "--video_length"),
        ("--visualiser", "--visualizer"),
        ("--use-last", "--use_last_checkpoint"),
        ("--mlframework=jax", "--ml_framework"),
    ],
)
def test_an_unknown_option_is_refused_with_the_nearest_one(word: str, suggested: str) -> None:
    with pytest.raises(RequestError, match=f"unknown option {word.partition('=')[0]}$") as caught:
        words.split_overrides(["a=1", word, "x"], OWN)
    assert suggested in (caught.value.hint or "")
    assert (caught.value.hint or "").count("--") <= 3
    assert "--num_envs" not in (caught.value.hint or "")


@pytest.mark.parametrize("word", ["--gpus=2", "--node_rank", "--nnodes"])
def test_an_option_of_train_is_refused_as_such_elsewhere(word: str) -> None:
    with pytest.raises(RequestError, match=f"{word.partition('=')[0]} is an option of spark-rl train$"):
        words.split_overrides([word, "2"], OWN)


@pytest.mark.parametrize("word", ["--foo", "-q", "---", "--=1"])
def test_an_option_like_no_other_is_refused_with_the_way_around(word: str) -> None:
    with pytest.raises(RequestError) as caught:
        words.split_overrides([word], OWN)
    assert caught.value.hint == "what follows -- reaches Isaac Lab's script untouched"


@pytest.mark.parametrize("word", ["Isaac-Cartpole-v0", "=x", "", "yes", "two words"])
def test_a_word_that_is_neither_is_refused(word: str) -> None:
    with pytest.raises(RequestError, match="unexpected word") as caught:
        words.split_overrides(["--verbose", word], OWN)
    assert "--task" in (caught.value.hint or "")
