"""Overrides against recorded configurations; what is refused here, Isaac Lab would refuse late or take in silence."""

from __future__ import annotations

import pytest

from fakes.configured import document
from spark_rl import overrides
from spark_rl.configuration import Configuration
from spark_rl.errors import RequestError

DIRECT = Configuration.from_document(document(), "x")
KAMINO = Configuration.from_document(document(presets=True), "x")
GAMES = Configuration.from_document(document("cartpole-rl-games"), "x")
OLD = Configuration.from_values(
    {"env": {"decimation": 2, "viewer": {"eye": (7.5, 7.5, 7.5)}, "names": ["a"]}, "agent": {"seed": 42}},
    task="Isaac-Cartpole-v0",
    source="/run/params",
    objects=("env", "agent"),
)
LABS = {"direct": DIRECT, "kamino": KAMINO, "games": GAMES, "old": OLD}


def refusal(*words: str, on: str = "direct") -> RequestError:
    with pytest.raises(RequestError) as caught:
        overrides.check(words, LABS[on])
    assert caught.value.exit_code == 2
    return caught.value


@pytest.mark.parametrize(
    ("on", "words"),
    [
        ("direct", "env.decimation=8"),
        ("direct", "env.sim.dt=1"),
        ("direct", "env.sim.gravity=(0,0,-1.6)"),
        ("direct", "env.sim.gravity=[0,0,0]"),
        ("direct", "env.viewer.asset_name=robot"),
        ("direct", "env.viewer.origin_type=world"),
        ("direct", "env.episode_length_s=1e999"),
        ("direct", "env.sim=null"),
        ("direct", "env.observation_noise_model=null"),
        ("direct", "env.seed=null"),
        ("direct", "agent.run_name='2024'"),
        ("direct", "agent.actor.hidden_dims=[128,64]"),
        ("direct", "agent.obs_groups={'policy':['policy']}"),
        ("direct", "env.sim.physics_material.func=my.package:spawn"),
        ("direct", "++agent.seed=1"),
        ("direct", "++env.decimation=3"),
        ("direct", "++agent.algorithm.gamma=0.5"),
        ("direct", "++agent.algorithm.optimizer=adamw"),
        ("direct", "++env.seed=null"),
        ("direct", "++env.sim.gravity=[0,0,1.5]"),
        ("direct", "++env.sim.gravity.2=1.5"),
        ("direct", "++env.sim.physics_material.func=my.package:spawn"),
        ("direct", "hydra.run.dir=/tmp/x"),
        ("direct", "hydra/job_logging=disabled"),
        ("direct", "physics=newton_mjwarp"),
        ("direct", "physics=newton"),
        ("direct", "presets=newton_kamino,newton_mjwarp"),
        ("direct", "presets="),
        ("direct", "env.seed=1 env.seed=2"),
        ("direct", "agent.obs_groups={'a':['b']} agent.obs_groups.a=['c']"),
        ("kamino", "physics=newton_kamino env.sim.physics.solver_cfg.use_fk_solver=true"),
        ("games", "agent.params.config.learning_rate=1e-3"),
        ("games", "agent.params.config.entropy_coef=0"),
        ("games", "agent.params.config.critic_coef=2.5"),
        ("games", "agent.params.network.mlp.units=[64,64,64]"),
        ("games", "agent.params.config.kl_threshold=null"),
        ("games", "agent.params.env={'clip_actions':1.0}"),
        ("games", "+agent.params.config.bound_loss_type=regularisation"),
        ("games", "+agent.extra.deep.er=1"),
        ("games", "++agent.params.config.tau=1"),
        ("games", "++agent.params.config.weight_decay=0.1"),
        ("games", "++agent.params.network.mlp.units.0=64"),
        ("games", "~agent.params.config.gamma"),
        ("games", "~agent.params.config.gamma=0.99"),
        ("games", "~agent.params.env"),
        ("games", "env.rewards.alive=null"),
        ("games", "env.rewards.alive.weight=2 env.rewards.alive=null"),
        ("games", "env.rewards.pole_pos.params.target=1"),
        ("old", "env.viewer.eye=[1,2,3]"),
        ("old", "env.names=[a,b]"),
        ("old", "env.decimation=4 agent.seed=1"),
    ],
)
def test_what_isaac_lab_takes_is_accepted(on: str, words: str) -> None:
    overrides.check(words.split(" "), LABS[on])


@pytest.mark.parametrize(
    ("on", "word", "message", "hint"),
    [
        ("direct", "env.decimatoin=8", "there is no env.decimatoin", "did you mean env.decimation?"),
        ("direct", "agent.max_iteration=5", "there is no agent.max_iteration", "did you mean agent.max_iterations?"),
        ("direct", "agent.algorithm.learnin_rate=1", "there is no", "did you mean agent.algorithm.learning_rate?"),
        ("direct", "env.scene.num_env=3", "there is no", "did you mean env.scene.num_envs?"),
        ("direct", "env.num_envs=3", "there is no", "did you mean env.scene.num_envs?"),
        ("direct", "env.scen.num_envs=3", "there is no", "did you mean env.scene.num_envs?"),
        ("direct", "decimation=3", "there is no decimation", "did you mean env.decimation?"),
        ("direct", "env.nothing.like.it=3", "there is no", None),
        ("direct", "envi.x=3", "there is no envi.x", None),
        ("direct", "env=banana", "there is no env", None),
        ("direct", "env.decimation.x=3", "there is no env.decimation.x", None),
        ("direct", "env.viewer.eye.0=3", "there is no env.viewer.eye.0", None),
        ("direct", "env.decimation=banana", "env.decimation takes a whole number, not the text 'banana'", None),
        ("direct", "env.decimation=2.0", "takes a whole number", "write env.decimation=2;"),
        ("direct", "env.decimation=2.5", "takes a whole number, not the number 2.5", None),
        ("direct", "env.decimation=true", "takes a whole number, not True", None),
        ("direct", "env.decimation=null", "takes a whole number, not null", None),
        ("direct", "env.decimation=", "takes a whole number, not the text ''", None),
        ("direct", "env.episode_length_s=inf", "takes a number", "write env.episode_length_s=1e999"),
        ("direct", "env.sim.gravity=(0,0)", "takes 3 numbers, not (0, 0)", None),
        ("direct", "env.sim.gravity=[a,b,c]", "takes 3 numbers", "quote the texts inside"),
        ("direct", "env.sim.gravity=-9.81", "takes 3 numbers, not the number -9.81", None),
        ("direct", "env.viewer.origin_type=wrld", "takes world, env, asset_root or asset_body", "did you mean world?"),
        ("direct", "agent.run_name=2024", "takes a text, not the number 2024", "agent.run_name=\"'2024'\""),
        ("direct", "env.sim=3", "SimulationCfg is set key by key", "env.sim.KEY=VALUE, or env.sim=null"),
        ("direct", "env.sim.physics_material.func=banana", "takes a function (module:name)", None),
        ("direct", "env.sim.logging_level=10", "takes DEBUG, INFO, WARNING, ERROR or CRITICAL", None),
        ("direct", "env.viewer.eye+=3", "Isaac Lab adds nothing to a list", "write the whole list"),
        ("direct", "+env.nope=3", "there is no env.nope", None),
        ("direct", "+env.decimation=3", "env.decimation is there already", "write it without +"),
        ("direct", "++env.nope=3", "there is no env.nope", None),
        ("direct", "++agent.algorithm.gamma=1", "after ++ Isaac Lab takes a float alone", "write it without ++"),
        ("direct", "++env.seed=5", "after ++ Isaac Lab takes a None alone", "write it without ++"),
        ("direct", "++env.sim.gravity=[0,0]", "takes 3 numbers, not [0, 0]", None),
        ("direct", "++env.sim.gravity.3=1", "there is no env.sim.gravity.3", None),
        ("direct", "~env.seed", "Isaac Lab ignores it, env.seed stays", "env.seed=null"),
        ("direct", "~env.nope", "there is no env.nope", None),
        ("direct", "+physics=newton_mjwarp", "there is no physics", None),
        ("direct", "+env.x", "+env.x has no value", "write +env.x=VALUE"),
        ("direct", "physics=newto", "has no preset newto", "it has isaacsim_physx"),
        ("direct", "physics=newton_mjwrp", "has no preset newton_mjwrp", "did you mean newton_mjwarp"),
        ("direct", "presets=newton_mjwarp,rgb", "has no preset rgb", "it has"),
        ("direct", "renderer=rtx", "has no preset rtx", "this task has none to choose with renderer="),
        ("kamino", "env.sim.physics.solver_cfg.cone=x", "there is no env.sim.physics.solver_cfg.cone", None),
        ("games", "agent.params.config.gama=1", "there is no", "did you mean agent.params.config.gamma?"),
        ("games", "agent.params.config.max_epochs=many", "takes a number or null, not the text 'many'", None),
        ("games", "agent.params.config.ppo=1", "takes true or false or null, not the number 1", None),
        (
            "games",
            "env.rewards.alive.params.xyzzy=1",
            "there is no",
            "set the dict as a whole",
        ),
        ("games", "env.rewards.alive.func=3", "takes a function", None),
        ("games", "+env.rewards.alive.params.x=1", "there is no", None),
        ("games", "~agent.params.config.gamma=0.98", "agent.params.config.gamma is 0.99", "~agent.params.config.gamma"),
        ("games", "+agent.params.config.gamma=1", "is there already", "without +"),
        ("old", "env.decimatio=3", "there is no", "did you mean env.decimation?"),
        ("old", "env.viewer.eye=[1,2]", "takes 3 numbers or null", None),
    ],
)
def test_what_would_go_wrong_is_refused(on: str, word: str, message: str, hint: str | None) -> None:
    refused = refusal(word, on=on)
    assert message in refused.message
    assert refused.message.startswith(word)
    assert refused.hint is not None
    assert (hint or "see spark-rl explain --task") in refused.hint
    assert refused.hint.endswith("--no-check skips this check")


def test_a_key_that_a_library_may_know_is_taken_and_told() -> None:
    assert overrides.check(("agent.params.config.xyzzy=1", "agent.params.config.gamma=0.9"), GAMES) == (
        "agent.params.config.xyzzy",
    )
    assert overrides.check(("agent.params.config.gamma=0.9",), GAMES) == ()


def test_all_wrong_words_are_named_at_once() -> None:
    refused = refusal("env.decimatoin=8", "env.seed=1", "agent.max_iterations=x", "physics=nope")
    assert refused.message.startswith("3 overrides are wrong: physics=nope:")
    assert "env.decimatoin=8: there is no env.decimatoin (did you mean env.decimation?)" in refused.message
    assert "agent.max_iterations takes a whole number" in refused.message
    assert "env.seed" not in refused.message


def test_what_an_override_took_away_cannot_be_set_after_it() -> None:
    refused = refusal("env.rewards.alive=null", "env.rewards.alive.weight=2", on="games")
    assert refused.message == "env.rewards.alive.weight=2: an override before it set env.rewards.alive as a whole"
    assert "as a whole" in refusal("agent.obs_groups={'a':[]}", "agent.obs_groups.b=[]").message


def test_a_selection_that_isaac_lab_refuses_is_told_in_its_words() -> None:
    told = document()
    told["resolutions"].append({"words": ["presets=newton_mjwarp,physx"], "refused": "Conflicting global presets"})
    with pytest.raises(RequestError) as caught:
        overrides.check(["presets=newton_mjwarp,physx"], Configuration.from_document(told, "x"))
    assert caught.value.message == "Isaac Lab refuses presets=newton_mjwarp,physx: Conflicting global presets"


def test_an_unknown_preset_of_a_path_is_refused_with_those_it_has() -> None:
    told = document()
    told["resolutions"].append({"words": ["env.sim.physics=newton_mjwrp"], "refused": "Unknown preset"})
    with pytest.raises(RequestError) as caught:
        overrides.check(["env.sim.physics=newton_mjwrp"], Configuration.from_document(told, "x"))
    assert "env.sim.physics has no preset newton_mjwrp" in caught.value.message
    assert "did you mean newton_mjwarp" in (caught.value.hint or "")


def test_a_path_that_chose_a_preset_is_not_checked_as_a_value() -> None:
    told = document(presets=True)
    told["resolutions"][-1]["words"] = ["env.sim.physics=newton_kamino"]
    overrides.check(["env.sim.physics=newton_kamino"], Configuration.from_document(told, "x"))
    assert "set key by key" in refusal("env.sim.physics=newton_kamino").message


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["physics=a", "env.decimation=3"], ["physics=a"]),
        (["env.sim.physics=newton_kamino", "env.viewer.asset_name=robot"], ["env.sim.physics=newton_kamino"]),
        (["env.sim.physics=3", "+physics=a", "~env.sim.physics", "agent.run_name=x"], []),
        (["presets=a,b", "renderer=c"], ["presets=a,b", "renderer=c"]),
    ],
)
def test_which_words_may_choose_presets(words: list[str], chosen: list[str]) -> None:
    assert list(overrides.selection(words, DIRECT)) == chosen


def test_a_choice_that_reads_as_something_else_is_to_be_quoted() -> None:
    told = document()
    told["resolutions"][0]["rows"].append(["env.clip", "field", "Literal['max', 'none']", "str", "'none'", None])
    lab = Configuration.from_document(told, "x")
    overrides.check(["env.clip='none'"], lab)
    with pytest.raises(RequestError) as caught:
        overrides.check(["env.clip=none"], lab)
    assert caught.value.message == "env.clip=none: env.clip takes max or none, not null"
    assert (caught.value.hint or "").startswith("quote the text: env.clip=\"'none'\"")


def test_a_member_of_an_enumeration_is_made_by_hydras_way_alone() -> None:
    told = document()
    kind = "Enum['slow', 'fast']"
    told["resolutions"][0]["rows"].append(["env.mode", "field", kind, kind, "'slow'", None])
    lab = Configuration.from_document(told, "x")
    overrides.check(["++env.mode=fast"], lab)
    with pytest.raises(RequestError) as caught:
        overrides.check(["env.mode=fast"], lab)
    assert caught.value.message == "env.mode=fast: env.mode takes slow or fast, not the text 'fast'"
    assert (caught.value.hint or "").startswith("write ++env.mode=fast, which makes it a member")
    with pytest.raises(RequestError):
        overrides.check(["++env.mode=fats"], lab)


def test_words_in_their_parts() -> None:
    assert overrides.parse("++env.x=a=b") == overrides.Word(text="++env.x=a=b", sign="++", key="env.x", value="a=b")
    assert overrides.parse("~env.x") == overrides.Word(text="~env.x", sign="~", key="env.x", value=None)
