"""The network between the nodes of one training: which interfaces NCCL is told to use, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spark_rl.model import Finding

if TYPE_CHECKING:
    from spark_rl.model import Host, Interface, RdmaDevice

JUMBO = 9000
"""The packet size (MTU, bytes) at which a RoCE link reaches its speed; at 1500 two Sparks lose most of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the ranks of a node are told of the network, and why."""

    env: tuple[tuple[str, str], ...] = ()
    reasons: tuple[tuple[str, str], ...] = ()
    findings: tuple[Finding, ...] = ()


def choose(host: Host, master: str) -> Choice:
    """Return the interfaces by which a node reaches the others: those of the network that node 0 is in.

    Names are per node: the cable between two machines may be in another port of each. Where an interface carries RoCE
    or InfiniBand, every device whose link is up is named: one port of a DGX Spark is two devices, and NCCL reaches its
    speed with both alone. NCCL_IB_DISABLE, which some recipes for one host set, would switch that link off; it is never
    set here. What the caller's environment says stays.

    Args:
        host: The node.
        master: Node 0 as the ranks are told it; of a name nothing can be known here.
    """
    interface = reaching(host, master)
    if interface is None:
        return Choice(reasons=(("NCCL_SOCKET_IFNAME", _unknown(master)),))
    devices = _behind(host, interface)
    return _joined(_socket(host, interface, master), _rdma(host, interface, devices), _checked(host, devices))


def reaching(host: Host, master: str) -> Interface | None:
    """Return the interface whose network holds an address, None where none does or it is a name."""
    from ipaddress import ip_address, ip_interface

    try:
        address = ip_address(master)
    except ValueError:
        return None
    found = [
        (network.network.prefixlen, interface)
        for interface in host.interfaces
        for network in map(ip_interface, interface.addresses)
        if interface.up and address in network.network
    ]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def misplaced(host: Host, master: str, node_rank: int) -> tuple[Finding, ...]:
    """Return what is wrong where a node is, or is not, at the address of node 0.

    Args:
        host: The node.
        master: Node 0 as the ranks are told it; of a name nothing can be known here.
        node_rank: Which node it is.
    """
    from ipaddress import ip_address, ip_interface

    try:
        address = ip_address(master)
    except ValueError:
        return ()
    own = {ip_interface(text).ip for interface in host.interfaces for text in interface.addresses}
    if not own or address.is_loopback or (address in own) == (node_rank == 0):
        return ()
    said = "this host's own address" if node_rank else "no address of this host"
    return (
        Finding(
            code="nodes-address",
            level="warning",
            message=f"--master-addr {master} is {said}, and this is node {node_rank}",
            hint="name the address of node 0, the same on every node, and number the nodes from there",
        ),
    )


def own_address(host: Host) -> str | None:
    """Return the address by which other hosts best reach this one: of a RoCE link, else of the first interface."""
    fast = {device.interface for device in host.rdma if device.active}
    usable = [one for one in host.interfaces if one.up and not one.virtual and _public(one)]
    best = sorted(usable, key=lambda one: one.name not in fast)
    return _public(best[0]) if best else None


def _public(interface: Interface) -> str | None:
    from ipaddress import ip_interface

    addresses = (ip_interface(text).ip for text in interface.addresses)
    return next(
        (str(one) for one in addresses if not (one.is_loopback or one.is_link_local) and one.version == 4), None
    )


def _unknown(master: str) -> str:
    from ipaddress import ip_address

    try:
        ip_address(master)
    except ValueError:
        return f"settled when the run starts: {master} is a name"
    return f"left to NCCL: no interface of this host is in the network of {master}"


def _behind(host: Host, interface: Interface) -> tuple[RdmaDevice, ...]:
    """Return the RDMA devices to use: all with a link when the interface is one of theirs, else none."""
    active = tuple(device for device in host.rdma if device.active)
    mine = next((device for device in active if device.interface == interface.name), None)
    return tuple(device for device in active if mine is not None and device.link == mine.link)


def _socket(host: Host, interface: Interface, master: str) -> Choice:
    wanted = (("NCCL_SOCKET_IFNAME", interface.name), ("GLOO_SOCKET_IFNAME", interface.name))
    others = tuple(one.name for one in host.interfaces)
    why = f"{interface.name} is in the network of {master}"
    return _joined(*(_variable(host, name, value, others, why) for name, value in wanted))


def _rdma(host: Host, interface: Interface, devices: tuple[RdmaDevice, ...]) -> Choice:
    names = tuple(device.name for device in devices)
    if names:
        why = f"the link behind {interface.name}: every device of it whose port is active"
        return _variable(host, "NCCL_IB_HCA", ",".join(names), tuple(one.name for one in host.rdma), why)
    idle = [device.name for device in host.rdma if device.active]
    if not idle:
        return Choice()
    finding = Finding(
        code="rdma-unused",
        level="note",
        message=f"{' and '.join(idle)} have a link, and node 0 is reached through {interface.name}",
        hint="name node 0 by its address on that link: --master-addr",
    )
    return Choice(findings=(finding,))


def _variable(host: Host, name: str, value: str, all_names: tuple[str, ...], why: str) -> Choice:
    """Set a variable to names of interfaces; what the caller has set stays."""
    own = host.variable(name)
    if own is not None:
        return Choice(reasons=((name, f"your own: {own}"),))
    named = value.split(",")
    # NCCL takes a name for the beginning of one unless told otherwise; gloo knows whole names only.
    alike = any(other.startswith(one) for one in named for other in all_names if other not in named)
    exact = "=" if alike and name.startswith("NCCL_") else ""
    return Choice(env=((name, f"{exact}{value}"),), reasons=((name, why),))


def _checked(host: Host, devices: tuple[RdmaDevice, ...]) -> Choice:
    return Choice(findings=(*_small_packets(host, devices), *_switched_off(host, devices)))


def _small_packets(host: Host, devices: tuple[RdmaDevice, ...]) -> tuple[Finding, ...]:
    behind = {device.interface for device in devices if device.link == "Ethernet"}
    small = [one for one in host.interfaces if one.name in behind and one.mtu is not None and one.mtu < JUMBO]
    if not small:
        return ()
    commands = "; ".join(f"sudo ip link set {one.name} mtu {JUMBO}" for one in small)
    told = " and ".join(f"{one.name} has {one.mtu}" for one in small)
    message = f"a RoCE link is slow with small packets: {told}, and {JUMBO} is needed (MTU, on both ends)"
    return (Finding(code="roce-mtu", level="warning", message=message, hint=commands),)


def _switched_off(host: Host, devices: tuple[RdmaDevice, ...]) -> tuple[Finding, ...]:
    if not devices or host.variable("NCCL_IB_DISABLE") in (None, "0"):
        return ()
    message = f"NCCL_IB_DISABLE is set: NCCL will not use the link of {' and '.join(one.name for one in devices)}"
    return (Finding(code="rdma-disabled", level="warning", message=message, hint="unset NCCL_IB_DISABLE"),)


def _joined(*choices: Choice) -> Choice:
    return Choice(
        env=tuple(pair for choice in choices for pair in choice.env),
        reasons=tuple(pair for choice in choices for pair in choice.reasons),
        findings=tuple(finding for choice in choices for finding in choice.findings),
    )
