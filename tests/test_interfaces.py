"""The network as the kernel tells it, from a tree of files like its own."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict
from typing import TYPE_CHECKING

from planning import host
from spark_rl import documents
from spark_rl.host import load
from spark_rl.interfaces import interfaces, rdma
from spark_rl.model import Interface, RdmaDevice

if TYPE_CHECKING:
    from pathlib import Path


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        place = root / "sys/class" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{text}\n", encoding="ascii")
    return root


def test_interfaces_of_a_tree(tmp_path: Path) -> None:
    names = {"net/fast0/operstate": "up", "net/fast0/mtu": "9000", "net/fast0/device/vendor": "0x15b3"}
    write(tmp_path, names | {"net/br-1/operstate": "down", "net/br-1/mtu": "1500", "net/lo/operstate": "unknown"})
    write(tmp_path, {"net/new/operstate": "down", "net/new/carrier": "1", "net/br-1/carrier": "0"})
    (tmp_path / "proc/net").mkdir(parents=True)
    line = "fd000000000000000000000000000002 02 40 00 80   fast0\n"
    (tmp_path / "proc/net/if_inet6").write_text(line, encoding="ascii")
    assert interfaces(tmp_path) == (
        Interface(name="br-1", mtu=1500, virtual=True),
        Interface(name="fast0", up=True, addresses=("fd00::2/64",), mtu=9000),
        Interface(name="new", up=True, virtual=True),
    )


def test_rdma_ports_of_a_tree(tmp_path: Path) -> None:
    port = {"state": "4: ACTIVE", "rate": "100 Gb/sec (4X EDR)", "link_layer": "Ethernet"}
    files = {f"infiniband/rocep1s0f0/ports/1/{name}": text for name, text in port.items()}
    files |= {"infiniband/rocep1s0f0/ports/1/gid_attrs/ndevs/0": "enp1s0f0np0"}
    files |= {"infiniband/mlx5_0/ports/1/state": "1: DOWN", "infiniband/mlx5_0/ports/1/link_layer": "InfiniBand"}
    files |= {"infiniband/mlx5_0/device/net/ib0/mtu": "2044"}
    assert rdma(write(tmp_path, files)) == (
        RdmaDevice(name="mlx5_0", interface="ib0", link="InfiniBand"),
        RdmaDevice(name="rocep1s0f0", interface="enp1s0f0np0", active=True, rate="100 Gb/sec (4X EDR)"),
    )


def test_a_machine_without_any_has_none(tmp_path: Path) -> None:
    assert (interfaces(tmp_path), rdma(tmp_path)) == ((), ())


def test_this_machine_has_its_own_addresses() -> None:
    known = {name for _, name in socket.if_nameindex()} - {"lo"}
    found = interfaces()
    assert {one.name for one in found} <= known
    assert all("/" in address for one in found for address in one.addresses)


def test_the_network_of_a_machine_comes_back_from_its_document(tmp_path: Path) -> None:
    network = (Interface(name="fast0", up=True, addresses=("10.0.0.1/24",), mtu=9000),)
    devices = (RdmaDevice(name="mlx5_0", interface="fast0", active=True),)
    file = tmp_path / "host.json"
    file.write_text(json.dumps(documents.doctor(host(interfaces=network, rdma=devices), (), ())), encoding="utf-8")
    machine, _ = load(file)
    assert (machine.interfaces, machine.rdma) == (network, devices)
    assert asdict(machine)["interfaces"][0]["addresses"] == ("10.0.0.1/24",)
