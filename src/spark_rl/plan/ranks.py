"""Ranks: how a training is spread over the GPUs of one host, and over several hosts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from spark_rl import commands, fabric
from spark_rl.errors import RequestError
from spark_rl.model import Finding, NodeCommand
from spark_rl.plan.parts import NOTHING, Part, because, join, whole_number
from spark_rl.ranks import PORT, placed
from spark_rl.text import either

if TYPE_CHECKING:
    from spark_rl.plan.parts import Context

_LAST_PORT = 65534
_ADDRESS = re.compile(r"[\w.-]+|[0-9A-Fa-f.]*(:[0-9A-Fa-f.]*){2,}(%[\w.-]+)?")
"""A name, or an address of IPv4 or IPv6."""


def distribution(context: Context) -> Part:
    """Spread training over GPUs, one rank each, and over hosts.

    Raises:
        RequestError: The library cannot, the run is on the CPU, or the hosts are not named as they must be.
    """
    request = context.request
    if request.gpus not in (None, "all"):
        whole_number(str(request.gpus), "--gpus")
    _check_nodes(context)
    if not context.distributed:
        return Part(findings=_alone(context))
    _check_possible(context)
    if context.inside_torchrun:
        why = "inside an outer torchrun (LOCAL_RANK is set): this process is one of its ranks"
        return Part(words=("--distributed",), reasons=because("distributed", why))
    spread = Part(
        words=("--distributed",) if context.old else (),
        reasons=because("distributed", f"{_rank_count(context)}; --num-envs counts per rank{_env_count(context)}"),
        findings=(*_too_few_gpus(context), *_waiting(context)),
    )
    return join((spread, _network(context)))


def _check_possible(context: Context) -> None:
    request, target = context.request, context.target
    one = "--gpus" if request.nnodes == 1 else "--nnodes"
    if not target.profile.distributed(target.library):
        others = tuple(library for library in target.task.task.libraries if target.profile.distributed(library))
        raise RequestError(
            f"{target.library} of Isaac Lab {context.facts.installation.version} trains on one GPU alone",
            f"leave {one} out" + (f", or use --library {either(others)}" if others else ""),
        )
    if (request.device or "").startswith("cpu"):
        raise RequestError("training over several GPUs cannot run with --device cpu", "leave one of the two out")
    if re.fullmatch(r"cuda:0*[1-9]\d*", request.device or ""):
        raise RequestError(
            f"--device {request.device} is one GPU, and with {one} each rank takes its own, from cuda:0 on",
            "--device auto, and choose the GPUs with CUDA_VISIBLE_DEVICES=1,2",
        )


def _check_nodes(context: Context) -> None:
    """Refuse a description of the hosts that cannot be meant."""
    request = context.request
    if request.nnodes < 1:
        raise RequestError(f"--nnodes must be at least 1, not {request.nnodes}", "for example --nnodes 2")
    if not 0 <= (request.node_rank or 0) < request.nnodes:
        raise RequestError(
            f"--node-rank {request.node_rank} is none of {request.nnodes}",
            f"the nodes count from 0 to {request.nnodes - 1}"
            if request.nnodes > 1
            else "say how many there are: --nnodes N",
        )
    if request.master_port is not None and not 1 <= request.master_port <= _LAST_PORT:
        raise RequestError(
            f"--master-port must be from 1 to {_LAST_PORT}, not {request.master_port}", f"such as {PORT}"
        )
    if request.master_addr is not None and not _ADDRESS.fullmatch(request.master_addr):
        raise RequestError(
            f"--master-addr must be an address or a name, not {request.master_addr!r}",
            "the port is named apart: --master-addr 10.0.0.1 --master-port 29500",
        )
    if request.nnodes > 1 and context.inside_torchrun:
        raise RequestError(
            "inside a torchrun (LOCAL_RANK is set) --nnodes has no meaning",
            "leave it out, or start spark-rl once on each host without torchrun",
        )


def _alone(context: Context) -> tuple[Finding, ...]:
    """Tell who names the others and trains alone all the same."""
    if context.request.master_addr is not None:
        message = "--master-addr is for several hosts, and this one trains alone"
        return (Finding(code="nodes-one", level="warning", message=message, hint="add --nnodes N, on each of them"),)
    if context.inside_torchrun and context.request.action == "train":
        message = "inside a torchrun (LOCAL_RANK is set), and each of its ranks would train alone, on the same GPU"
        return (Finding(code="ranks-apart", level="warning", message=message, hint="add --distributed"),)
    return ()


def master(context: Context) -> str:
    """Return the address of node 0, by default this host's own when it is that node.

    Raises:
        RequestError: Nobody says it.
    """
    request = context.request
    if request.master_addr is not None:
        return request.master_addr
    own = fabric.own_address(context.facts.host) if not request.node_rank else None
    if own is None:
        raise RequestError("--nnodes needs the address of node 0", "add --master-addr ADDRESS, the same on every node")
    return own


def _network(context: Context) -> Part:
    """Choose the interfaces by which the ranks of this node reach the others."""
    request = context.request
    if request.nnodes == 1:
        return NOTHING
    address, port = master(context), request.master_port or PORT
    said = f"{address} port {port}" + ("" if request.master_addr else ", this host's own address")
    told = because(
        "master", f"node 0 is {said}; port {port + 1} is spark-rl's own, by which the nodes watch each other"
    )
    host = context.facts.host
    chosen = fabric.choose(host, address)
    wrong = () if request.node_rank is None else fabric.misplaced(host, address, request.node_rank)
    return join((Part(reasons=told), Part(env=chosen.env, reasons=chosen.reasons, findings=(*wrong, *chosen.findings))))


def nodes(context: Context, argv: tuple[str, ...]) -> tuple[NodeCommand, ...]:
    """Return what is started on each host, none where there is one alone.

    Args:
        context: The request and its facts.
        argv: The command of this host.
    """
    request = context.request
    if request.nnodes == 1:
        return ()
    lab = context.facts.installation.path if context.facts.chosen == "named by --isaaclab" else None
    command = ("spark-rl", *commands.train(request, ("--isaaclab", lab) if lab else ()))
    meeting = (master(context), request.master_port or PORT)
    own = request.node_rank or 0
    return tuple(
        NodeCommand(
            node_rank=node,
            command=placed(command, (request.nnodes, node), meeting),
            argv=_renumbered(argv, own, node),
        )
        for node in range(request.nnodes)
    )


def _renumbered(argv: tuple[str, ...], own: int, node: int) -> tuple[str, ...]:
    """Return the command of another node: only its number differs, as far as is known here."""
    at = next(place for place, word in enumerate(argv) if word.partition("=")[0] == "--node_rank")
    if argv[at] == "--node_rank":
        return (*argv[: at + 1], str(node), *argv[at + 2 :])
    return (*argv[:at], argv[at].replace(f"={own}", f"={node}"), *argv[at + 1 :])


def starts_ranks(context: Context) -> bool:
    """Say whether the command starts ranks, and is not one of them."""
    return context.distributed and not context.inside_torchrun


def old_launcher(context: Context) -> tuple[str, ...]:
    """Return the words that make Isaac Lab 2's Python start its script once for each rank."""
    if not starts_ranks(context):
        return ()
    module = "skrl.utils.distributed.jax" if _is_jax(context) else "torch.distributed.run"
    counts = (f"--nnodes={context.request.nnodes}", f"--nproc_per_node={_ranks(context)}")
    return ("-m", module, *counts, *(f"{name}={value}" for name, value in _meeting(context)))


def new_launcher(context: Context) -> tuple[str, ...]:
    """Return the words of Isaac Lab 3's own multi-GPU entry that say how many ranks there are, and where they meet."""
    several = context.request.nnodes > 1
    nodes = (("--nnodes", str(context.request.nnodes)),) if several else ()
    pairs = (("--num_gpus", _ranks(context)), *nodes, *_meeting(context))
    return tuple(word for pair in pairs for word in pair)


def _meeting(context: Context) -> tuple[tuple[str, str], ...]:
    """Return where the ranks meet, as far as it is planned: on one host a free port is taken at the start."""
    request = context.request
    if request.nnodes == 1 and request.master_port is None:
        return ()
    address = master(context) if request.nnodes > 1 else "127.0.0.1"
    port = str(request.master_port or PORT)
    rank = (("--node_rank", str(request.node_rank or 0)),) if request.nnodes > 1 else ()
    if _is_jax(context):
        return (*rank, ("--coordinator_address", f"{address}:{port}"))
    return (*rank, ("--master_addr", address), ("--master_port", port))


def _is_jax(context: Context) -> bool:
    return (context.target.given.get("--ml_framework") or "").startswith("jax")


def _ranks(context: Context) -> str:
    """Return the number of ranks as torchrun takes it: a number, or ``gpu`` for one on every visible GPU."""
    gpus = context.request.gpus
    if gpus not in (None, "all"):
        return gpus
    return str(context.visible_gpus or "gpu")


def _rank_count(context: Context) -> str:
    ranks, nodes = _ranks(context), context.request.nnodes
    if nodes > 1 and ranks.isdecimal():
        each = "1 rank" if ranks == "1" else f"{ranks} ranks"
        return f"{nodes} nodes of {each} each, one GPU each"
    return {"gpu": "one rank on every GPU", "1": "one rank"}.get(ranks, f"{ranks} ranks, one GPU each")


def _env_count(context: Context) -> str:
    """Return the sum of environments in words, nothing where a part of it is not known."""
    target, ranks = context.target, _ranks(context)
    named = context.request.num_envs or target.override("env.scene.num_envs") or target.task.task.num_envs
    if not ranks.isdecimal() or not str(named).isdecimal():
        return ""
    count = int(ranks) * context.request.nnodes
    return f": {named} x {count} = {int(str(named)) * count}"


def _waiting(context: Context) -> tuple[Finding, ...]:
    if not _is_jax(context):
        return ()
    message = "JAX's launcher waits for the ranks that are left when one of them dies, and keeps no log of each"
    return (Finding(code="jax-ranks", level="note", message=message, hint="add --stall-timeout 10m"),)


def _too_few_gpus(context: Context) -> tuple[Finding, ...]:
    ranks, gpus = _ranks(context), context.visible_gpus
    if ranks.isdecimal() and int(ranks) <= gpus:
        return ()
    asked = "1 GPU was" if ranks == "1" else f"{ranks} GPUs were"
    message = f"{asked} asked for, and {gpus} can be seen" if ranks != "gpu" else "no GPU can be seen"
    hint = f"--gpus {gpus}, or all; see them with: spark-rl doctor" if gpus else "see what it has: spark-rl doctor"
    return (Finding(code="gpus-missing", level="error", message=message, hint=hint),)
