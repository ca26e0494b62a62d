"""Which interfaces the ranks of a node are told to use: facts of machines in, variables with their reasons out."""

from __future__ import annotations

from typing import Any

import pytest

from planning import host
from spark_rl.fabric import choose, misplaced, own_address
from spark_rl.model import Interface, RdmaDevice

LAN = Interface(name="enP7s7", up=True, addresses=("192.168.1.20/24", "fe80::1/64"), mtu=1500)
FAST = Interface(name="enp1s0f0np0", up=True, addresses=("192.168.100.10/24",), mtu=9000)
TWIN = Interface(name="enP2p1s0f0np0", up=True, addresses=("192.168.101.10/24",), mtu=9000)
DOWN = Interface(name="enp1s0f1np1", addresses=("192.168.102.10/24",))
BRIDGE = Interface(name="docker0", up=True, addresses=("172.17.0.1/16",), virtual=True)
ROCE = RdmaDevice(name="rocep1s0f0", interface="enp1s0f0np0", active=True)
ROCE_TWIN = RdmaDevice(name="roceP2p1s0f0", interface="enP2p1s0f0np0", active=True)
IDLE = RdmaDevice(name="rocep1s0f1", interface="enp1s0f1np1")


def spark(**values: Any) -> Any:
    """Describe a DGX Spark with a cable in the first of its two fast ports."""
    network = {"interfaces": (LAN, FAST, TWIN, DOWN, BRIDGE), "rdma": (ROCE, ROCE_TWIN, IDLE)}
    return host(**network | values)


def test_both_devices_of_the_cable_between_two_sparks_are_used() -> None:
    chosen = choose(spark(), "192.168.100.11")
    assert dict(chosen.env) == {
        "NCCL_SOCKET_IFNAME": "enp1s0f0np0",
        "GLOO_SOCKET_IFNAME": "enp1s0f0np0",
        "NCCL_IB_HCA": "rocep1s0f0,roceP2p1s0f0",
    }
    assert dict(chosen.reasons)["NCCL_SOCKET_IFNAME"] == "enp1s0f0np0 is in the network of 192.168.100.11"
    assert "every device of it whose port is active" in dict(chosen.reasons)["NCCL_IB_HCA"]
    assert chosen.findings == ()


def test_the_cable_may_be_in_the_other_port_of_the_other_node() -> None:
    other = Interface(name="enp1s0f1np1", up=True, addresses=("192.168.100.11/24",), mtu=9000)
    devices = (RdmaDevice(name="rocep1s0f0", interface="enp1s0f0np0"), RdmaDevice(**fields(IDLE) | {"active": True}))
    chosen = choose(host(interfaces=(LAN, other), rdma=devices), "192.168.100.10")
    assert dict(chosen.env)["NCCL_IB_HCA"] == "rocep1s0f1"


def fields(device: RdmaDevice) -> dict[str, Any]:
    return {"name": device.name, "interface": device.interface, "active": device.active, "link": device.link}


@pytest.mark.parametrize("environ", [{}, {"NCCL_IB_DISABLE": "1"}, {"NCCL_IB_DISABLE": "0"}])
def test_the_link_is_never_switched_off_here(environ: dict[str, str]) -> None:
    chosen = choose(spark(environ=environ), "192.168.100.11")
    assert "NCCL_IB_DISABLE" not in dict(chosen.env)
    expected = ["rdma-disabled"] if environ.get("NCCL_IB_DISABLE") == "1" else []
    assert [finding.code for finding in chosen.findings] == expected


def test_a_link_that_node_0_is_not_reached_by_is_told() -> None:
    chosen = choose(spark(), "192.168.1.21")
    assert dict(chosen.env) == {"NCCL_SOCKET_IFNAME": "enP7s7", "GLOO_SOCKET_IFNAME": "enP7s7"}
    (finding,) = chosen.findings
    assert (finding.code, finding.level) == ("rdma-unused", "note")
    assert finding.message == "rocep1s0f0 and roceP2p1s0f0 have a link, and node 0 is reached through enP7s7"


def test_small_packets_are_a_warning_with_the_command_that_mends_them() -> None:
    slow = Interface(name="enp1s0f0np0", up=True, addresses=("192.168.100.10/24",), mtu=1500)
    (finding,) = choose(spark(interfaces=(LAN, slow, TWIN)), "192.168.100.11").findings
    assert (finding.code, finding.hint) == ("roce-mtu", "sudo ip link set enp1s0f0np0 mtu 9000")


def test_infiniband_has_no_packets_to_enlarge_and_leaves_ethernet_ports_alone() -> None:
    ib = Interface(name="ib0", up=True, addresses=("10.1.0.1/16",), mtu=2044)
    devices = (RdmaDevice(name="mlx5_0", interface="ib0", active=True, link="InfiniBand"), ROCE)
    chosen = choose(host(interfaces=(ib, FAST), rdma=devices), "10.1.0.2")
    assert (dict(chosen.env)["NCCL_IB_HCA"], chosen.findings) == ("mlx5_0", ())


def test_a_name_that_begins_another_is_told_exactly() -> None:
    cards = tuple(Interface(name=f"eth{n}", up=True, addresses=(f"10.{n}.0.1/16",)) for n in (1, 10))
    env = dict(choose(host(interfaces=cards), "10.1.0.2").env)
    assert env == {"NCCL_SOCKET_IFNAME": "=eth1", "GLOO_SOCKET_IFNAME": "eth1"}


def test_what_the_caller_set_stays() -> None:
    chosen = choose(spark(environ={"NCCL_SOCKET_IFNAME": "bond0", "NCCL_IB_HCA": "mlx5_3"}), "192.168.100.11")
    assert dict(chosen.env) == {"GLOO_SOCKET_IFNAME": "enp1s0f0np0"}
    assert dict(chosen.reasons)["NCCL_IB_HCA"] == "your own: mlx5_3"


@pytest.mark.parametrize(
    ("master", "why"),
    [
        ("10.9.9.9", "left to NCCL: no interface of this host is in the network of 10.9.9.9"),
        ("192.168.102.11", "left to NCCL: no interface"),
        ("spark-1", "settled when the run starts: spark-1 is a name"),
    ],
)
def test_what_is_not_known_is_left_to_nccl(master: str, why: str) -> None:
    chosen = choose(spark(), master)
    assert chosen.env == ()
    assert dict(chosen.reasons)["NCCL_SOCKET_IFNAME"].startswith(why)


def test_the_narrowest_network_counts() -> None:
    wide = Interface(name="vpn0", up=True, addresses=("192.168.0.9/16",))
    assert dict(choose(spark(interfaces=(wide, LAN)), "192.168.1.21").env)["NCCL_SOCKET_IFNAME"] == "enP7s7"


def test_the_own_address_is_that_of_the_fast_link() -> None:
    assert own_address(spark()) == "192.168.100.10"
    assert own_address(spark(rdma=())) == "192.168.1.20"
    assert own_address(host(interfaces=(BRIDGE, DOWN))) is None


@pytest.mark.parametrize(
    ("master", "node", "told"),
    [
        ("192.168.100.10", 0, None),
        ("192.168.100.11", 1, None),
        ("192.168.100.10", 1, "is this host's own address, and this is node 1"),
        ("192.168.100.11", 0, "is no address of this host, and this is node 0"),
        ("spark-1", 1, None),
        ("127.0.0.1", 1, None),
    ],
)
def test_a_host_that_is_not_where_its_number_says_is_warned_of(master: str, node: int, told: str | None) -> None:
    found = [finding.message for finding in misplaced(spark(), master, node)]
    assert found == ([f"--master-addr {master} {told}"] if told else [])
    assert misplaced(spark(interfaces=()), master, node) == ()
