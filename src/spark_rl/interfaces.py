"""The network of this machine as the kernel tells it: interfaces, and the ports of RoCE and InfiniBand cards."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

from spark_rl.model import Interface, RdmaDevice

SYSTEM = Path("/")
"""Where ``sys`` and ``proc`` are."""

_GET_ADDRESS, _GET_MASK = 0x8915, 0x891B
"""Requests of ioctl, from Linux's sockios.h; an address in four bytes begins at byte 20 of the answer."""


def interfaces(root: Path = SYSTEM) -> tuple[Interface, ...]:
    """Return the network interfaces but the loopback, by name; takes a few small files of each."""
    six = _ipv6(root)
    found = []
    for place in _entries(root / "sys/class/net"):
        if place.name != "lo" and (place / "operstate").exists():
            mtu = _text(place / "mtu")
            found.append(
                Interface(
                    name=place.name,
                    up=_is_up(place),
                    addresses=(*_ipv4(place.name), *six.get(place.name, ())),
                    mtu=int(mtu) if mtu.isdecimal() else None,
                    virtual=not (place / "device").exists(),
                )
            )
    return tuple(found)


def _is_up(card: Path) -> bool:
    """Say whether a card is up; its state follows the carrier by up to a second."""
    return _text(card / "operstate") in ("up", "unknown") or _text(card / "carrier") == "1"


def rdma(root: Path = SYSTEM) -> tuple[RdmaDevice, ...]:
    """Return the first port of each RDMA device, by name.

    Names differ from node to node (``mlx5_0``, ``rocep1s0f0``), so that nothing is told by them; the interface of a
    port is the one with the same card behind it.
    """
    found = []
    for place in _entries(root / "sys/class/infiniband"):
        port = place / "ports" / "1"
        nets = _entries(place / "device" / "net")
        found.append(
            RdmaDevice(
                name=place.name,
                interface=_text(port / "gid_attrs/ndevs/0") or (nets[0].name if nets else None),
                active="ACTIVE" in _text(port / "state"),
                link=_text(port / "link_layer") or "Ethernet",
                rate=_text(port / "rate") or None,
            )
        )
    return tuple(found)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()
    except OSError:  # a port that is down answers some questions with an error
        return ""


def _ipv4(name: str) -> tuple[str, ...]:
    """Return the first IPv4 address of an interface with the length of its network's prefix."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        address, mask = (_ask(asked, request, name) for request in (_GET_ADDRESS, _GET_MASK))
        return (f"{socket.inet_ntoa(address)}/{int.from_bytes(mask, 'big').bit_count()}",)
    return ()


def _ask(asked: socket.socket, request: int, name: str) -> bytes:
    import fcntl

    return fcntl.ioctl(asked.fileno(), request, name.encode().ljust(256, b"\0"))[20:24]


def _ipv6(root: Path) -> dict[str, tuple[str, ...]]:
    """Return the IPv6 addresses by interface."""
    found: dict[str, tuple[str, ...]] = {}
    for line in _text(root / "proc/net/if_inet6").splitlines():
        address, _, prefix, _, _, name = line.split()
        text = f"{socket.inet_ntop(socket.AF_INET6, bytes.fromhex(address))}/{int(prefix, 16)}"
        found[name] = (*found.get(name, ()), text)
    return found
