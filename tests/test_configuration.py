from __future__ import annotations

from typing import Any

import pytest

from fakes.configured import document
from spark_rl.configuration import UNWRITABLE, Configuration, Field
from spark_rl.value_types import accepts, say

LAB = Configuration.from_document(document(), "Isaac Lab's own configuration")


def test_a_document_is_read() -> None:
    assert (LAB.task, LAB.agent, LAB.selected, LAB.refused) == (
        "Isaac-Cartpole-Direct",
        "rsl_rl_cfg_entry_point",
        (),
        None,
    )
    decimation = LAB.fields["env.decimation"]
    assert (decimation.default, decimation.type_text, decimation.doc) == (2, "int", "Physics steps for each action.")
    assert LAB.presets[0].path == "env.sim.physics"
    assert LAB.presets[0].names == ("isaacsim_physx", "ovphysx", "physx", "newton_mjwarp", "newton_kamino")


def test_the_last_resolution_counts() -> None:
    chosen = Configuration.from_document(document(presets=True), "x")
    assert chosen.selected == ("physics=newton_kamino",)
    assert "env.sim.physics.solver_cfg.cone" in LAB.fields
    assert "env.sim.physics.solver_cfg.cone" not in chosen.fields


def test_a_refused_selection_keeps_the_fields_without_it() -> None:
    told = document()
    told["resolutions"].append({"words": ["presets=a,b"], "refused": "they contradict"})
    refused = Configuration.from_document(told, "x")
    assert (refused.refused, refused.selected) == ("they contradict", ("presets=a,b",))
    assert refused.fields == LAB.fields


@pytest.mark.parametrize("lacking", ["resolutions", "presets", "selectors", "task"])
def test_a_document_that_lacks_something_is_none(lacking: str) -> None:
    told = document()
    del told[lacking]
    with pytest.raises(KeyError):
        Configuration.from_document(told, "x")


def test_what_lies_below_a_key() -> None:
    assert [one.key for one in LAB.children("env.scene")] == [
        "env.scene.num_envs",
        "env.scene.env_spacing",
        "env.scene.clone_cfg",
    ]
    assert [one.key for one in LAB.children("")] == ["env", "agent"]
    assert {one.key for one in LAB.below("env.scene")} - {one.key for one in LAB.leaves("env.scene")} == {
        "env.scene.clone_cfg"
    }
    assert LAB.owner("env.scene.nope.deeper") == LAB.fields["env.scene"]
    assert LAB.owner("env") is None


@pytest.mark.parametrize(
    ("declared", "actual", "value", "fits", "fits_not"),
    [
        ("int", "int", "2", [3], [0.5, "x", None]),
        ("float", "int", "1", [0.5, 1], ["x"]),
        ("int", "float", "0.5", [1, 2.5], ["x", None]),
        ("float", "None", "None", [0.5, None], ["x"]),
        ("float", None, None, [0.5], [None, "x"]),
        ("tuple", "tuple[float, float]", "(0.0, 1.0)", [(1, 2)], [(1,), (1, 2, 3)]),
        ("list[float]", "list[float]", "[1.0]", [[1], [1, 2]], ["x"]),
        ("list[float]", "tuple[float, float]", "(1.0, 2.0)", [(1, 2), [1]], ["x"]),
        ("str", "list[str]", "['a']", ["a", ["b"]], [1]),
        ("Any", "int", "4", [1, 0.5, None], ["x"]),
        (None, None, None, [1, "x", None], []),
        (None, "str", "'3e-4'", [0.001, "x"], [[1]]),
        ("Literal['a']", "str", "'b'", ["a", "x"], [1]),
    ],
)
def test_the_type_of_a_field(
    declared: str | None, actual: str | None, value: str | None, fits: list[Any], fits_not: list[Any]
) -> None:
    kind = Field(key="env.x", declared=declared, actual=actual, value=value).kind
    assert [each for each in fits if not accepts(kind, each)] == []
    assert [each for each in fits_not if accepts(kind, each)] == []


def test_a_field_without_a_value_is_required() -> None:
    assert Field(key="env.x", declared="int").required
    assert not Field(key="env.x", actual="None", value="None").required
    assert Field(key="env.x", actual="object[Tensor]").default is UNWRITABLE
    assert Field(key="env.x", actual="float", value="nonsense(").default is UNWRITABLE


def test_a_group_takes_nothing_but_null() -> None:
    assert say(LAB.fields["env.sim"].kind) == "null"
    assert LAB.fields["env.sim"].type_text == "SimulationCfg"
    assert LAB.fields["env.observation_noise_model"].type_text == "NoiseModelCfg | None"


def test_what_a_run_wrote_down_is_a_configuration() -> None:
    values = {
        "env": {"decimation": 2, "sim": {"dt": 0.01, "gravity": (0.0, 0.0, -9.81)}, "extras": {}},
        "agent": {"params": {"units": [32, 32], "off.spring": 1}},
    }
    found = Configuration.from_values(values, task="T", source="/run/params", objects=("env",))
    assert found.hydra
    assert (found.fields["env"].form, found.fields["agent"].form) == ("group", "dict")
    assert found.fields["env.sim.gravity"].default == (0.0, 0.0, -9.81)
    assert not accepts(found.fields["env.sim.gravity"].kind, [0.0])
    assert [one.key for one in found.leaves("agent")] == ["agent.params.units"]
