"""One training on two hosts that are network namespaces with a cable between them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from fakes import lab
from ranked import Hall

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.wide

PORT = "29500"
"""The same on every test: each has hosts of its own."""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Cable:
    """Two namespaces, ``cut`` takes the link between them down."""

    def __init__(self) -> None:
        self.names = [f"spark-rl-{os.getpid()}-{node}" for node in (0, 1)]
        self.cards = ["cable0", "cable1"]
        self.addresses = ["10.77.0.1", "10.77.0.2"]

    def lay(self) -> None:
        for name in self.names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ends = ("link", "add", self.cards[0], "netns", self.names[0], "type", "veth", "peer", "name", self.cards[1])
        ip(*ends, "netns", self.names[1])
        for name, card, address in zip(self.names, self.cards, self.addresses, strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", card)
            ip("-n", name, "link", "set", card, "up")

    def cut(self) -> None:
        ip("-n", self.names[0], "link", "set", self.cards[0], "down")

    def remove(self) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


@pytest.fixture
def cable(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cable]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and the program ip")
    pytest.importorskip("torch", reason="the stand-in trains with torch")
    monkeypatch.setattr(lab, "PATIENCE_S", 180.0)
    cable = Cable()
    try:
        try:
            cable.lay()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces cannot be made here: {error.stderr.decode().strip()}")
        yield cable
    finally:
        cable.remove()


class Pair:
    """A host in each namespace."""

    def __init__(self, folder: Path, cable: Cable) -> None:
        self.cable = cable
        self.states = [folder / f"state-{node}" for node in (0, 1)]
        self.halls = [
            Hall(folder / f"host-{node}", old=False, inside=("ip", "netns", "exec", name), loopback=False)
            for node, name in enumerate(cable.names)
        ]

    def start(self, behaviour: str, node: int, *words: str, master: str = "") -> subprocess.Popen[str]:
        meeting = ("--nnodes", "2", "--node-rank", str(node), "--master-addr", master or self.cable.addresses[0])
        own = ("--master-port", PORT, "--max-iterations", "8", "--json")
        return self.halls[node].train(behaviour, *meeting, *own, *words, gpus=1, SPARK_RL_STATE=str(self.states[node]))


@pytest.fixture
def pair(tmp_path: Path, cable: Cable) -> Iterator[Pair]:
    pair = Pair(tmp_path, cable)
    yield pair
    for hall in pair.halls:
        hall.sweep()


def test_two_hosts_train_over_the_cable_each_by_its_own_card(pair: Pair) -> None:
    ends = [lab.finish(child) for child in [pair.start("train", node) for node in (0, 1)]]
    assert [code for code, _, _ in ends] == [0, 0], ends
    for card, (_, out, _) in zip(pair.cable.cards, ends, strict=True):
        env = json.loads(out)["plan"]["env"]
        assert (env["GLOO_SOCKET_IFNAME"], env["NCCL_SOCKET_IFNAME"]) == (card, card)


def test_a_cut_cable_ends_both_sides_and_each_names_the_other(pair: Pair) -> None:
    children = [pair.start("pace=0.5", node, "--max-iterations", "5000") for node in (0, 1)]
    record = pair.states[0] / "runs" / "1" / "state.json"
    lab.eventually(lambda: record.exists() and '"iteration"' in record.read_text(encoding="utf-8"), "an iteration")
    pair.cable.cut()
    for other, child in zip((1, 0), children, strict=True):
        code, out, err = lab.finish(child)
        assert code == 1, err
        assert f"node {other}" in json.loads(out)["message"]
        assert "is gone: nothing was heard of it for 30 s" in json.loads(out)["message"]


def test_an_address_that_nobody_has_is_told(pair: Pair) -> None:
    code, out, _ = lab.finish(pair.start("train", 1, "--node-timeout", "2s", master="10.77.0.9"))
    error = json.loads(out)["error"]
    assert (code, "node 0 does not answer at 10.77.0.9 port 29501" in error["message"]) == (1, True)
    assert "firewall" in error["hint"]
