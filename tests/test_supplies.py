"""The files that a configuration names: what is hosted, where, and what a run can do without."""

from __future__ import annotations

from typing import Any

import pytest

from planning import host, planned
from spark_rl import supplies
from spark_rl.supplies import Need, Needs, Root

S3 = "https://omniverse-content-production.s3-us-west-2.amazonaws.com/Assets/Isaac/5.1"


def document(*references: tuple[str | None, str]) -> dict[str, Any]:
    named = [{"root": root, "path": path, "keys": [f"env.{place}"]} for place, (root, path) in enumerate(references)]
    return {
        "task": "T",
        "roots": {"isaac": "https://host/root", "newton": "https://second/main"},
        "references": named,
    }


def test_a_document_is_read_in_order() -> None:
    needs = Needs.from_document(
        document(
            ("newton", "b.usda"),
            (None, "/pkg/motion.npz"),
            ("isaac", "Isaac/b.usd"),
            (None, "https://other/x.usd"),
            ("isaac", "Isaac/a.usd"),
        ),
        "s",
    )
    assert [need.path for need in needs.needs] == [
        *("Isaac/a.usd", "Isaac/b.usd", "b.usda", "/pkg/motion.npz", "https://other/x.usd")
    ]
    assert [need.path for need in needs.elsewhere] == ["https://other/x.usd"]


def test_bare_names_lie_in_the_one_folder_that_is_named() -> None:
    named = (("isaac", "Isaac/AutoMate/00015/"), (None, "plug.usd"), ("isaac", "Isaac/AutoMate/00015/plug.usd"))
    (plug,) = Needs.from_document(document(*named), "s").needs
    assert plug == Need(path="Isaac/AutoMate/00015/plug.usd", root="isaac", keys=("env.1", "env.2"))
    assert not Needs.from_document(document(*named[:2], ("isaac", "Isaac/Other/")), "s").needs
    assert not Needs.from_document(document((None, "plug.usd")), "s").needs


@pytest.mark.parametrize(
    ("text", "root", "path"),
    [
        (f"{S3}/Isaac/Robots/Ant/ant.usd", S3, "Isaac/Robots/Ant/ant.usd"),
        ("/mnt/nv/Isaac/IsaacLab/Robots/ant.usd", "/mnt/nv", "Isaac/IsaacLab/Robots/ant.usd"),
        ("omniverse://box/NVIDIA/Assets/Skies/sky.hdr", "omniverse://box", "NVIDIA/Assets/Skies/sky.hdr"),
    ],
)
def test_the_asset_root_of_an_older_run_is_found_in_its_paths(text: str, root: str, path: str) -> None:
    needs = supplies.from_run([("env.a", text), ("env.b", "/World/ground"), ("env.c", "a/b.py")], task="T", source="s")
    assert needs is not None
    assert (needs.isaac, needs.needs) == (root, (Need(path=path, root="isaac", keys=("env.a",)),))


def test_a_run_that_names_no_hosted_file_tells_nothing() -> None:
    assert supplies.from_run([("env.a", "/somewhere/motion.npz"), ("env.b", "1.0")], task="T", source="s") is None


def test_only_overrides_that_may_change_the_files_decide() -> None:
    words = ("agent.seed=1", "env.decimation=4", "env.sim.dt=1e-3", "+agent.x=a", "env.flag=True")
    deciding = ("presets=newton", "env.scene.robot=anymal", "~env.terrain")
    assert supplies.deciding((*words, *deciding)) == deciding


@pytest.mark.parametrize(
    ("path", "keys", "decides"),
    [
        ("Isaac/robot.usd", ("env.robot.usd_path",), True),
        ("Isaac/net.pt", (), True),
        ("Isaac/sky.hdr", ("env.light.texture_file",), False),
        ("Isaac/marble.mdl", ("env.terrain.visual_material.mdl_path",), False),
        ("Isaac/arrow.usd", ("env.commands.v.goal_vel_visualizer_cfg.markers.arrow.usd_path",), False),
        ("Isaac/cube.usd", ("env.cube.usd_path", "env.goal_visualizer_cfg.usd_path"), True),
    ],
)
def test_a_run_fails_without_models_and_networks_only(path: str, keys: tuple[str, ...], decides: bool) -> None:
    assert Need(path=path, root="isaac", keys=keys).decides is decides


def test_the_root_that_serves_a_plan() -> None:
    task = "Isaac-Ant-Direct-v0"
    bare, own = host(), host(environ={"ISAACSIM_ASSET_ROOT": "/mine/"})
    for version in ("2.3.2", "3.0.0"):
        assert supplies.chosen_root(planned(version, task, assets="/copy"), bare) == ("/copy", "/copy, asked for")
        assert supplies.chosen_root(planned(version, task), bare) is None
    assert supplies.chosen_root(planned("3.0.0", task, machine=own), own) == ("/mine", "your ISAACSIM_ASSET_ROOT")
    assert supplies.chosen_root(planned("3.0.0", task, machine=own, assets="nvidia"), own) is None
    assert supplies.chosen_root(planned("2.3.2", task, machine=own), own) is None


@pytest.mark.parametrize(
    ("root", "folder", "place"),
    [
        ("/a", "/a", "/a/Isaac/x.usd"),
        ("file:///a/", "/a", "/a/Isaac/x.usd"),
        ("https://h/r", None, "https://h/r/Isaac/x.usd"),
    ],
)
def test_where_a_file_is_looked_for(root: str, folder: str | None, place: str) -> None:
    assert supplies.local_folder(root) == folder
    need = Need(path="Isaac/x.usd", root="isaac")
    assert supplies.at(need, (Root(name="isaac", path=root, reason=""),)) == place
    assert supplies.at(Need(path="/own.usd"), ()) == "/own.usd"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 20, "5.0 MiB"), (3 << 29, "1.5 GiB")]
)
def test_sizes_are_told_in_fitting_units(size: int, text: str) -> None:
    assert supplies.size_text(size) == text
