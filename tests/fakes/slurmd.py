"""A real Slurm of two nodes on this machine, with its own keys and ports, for as long as a test wants it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

from fakes import lab

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "srun")
NODES = ("127.0.0.1", "second")
"""Nodes meet at the first one's name: here its address serves."""

_CONFIG = """\
ClusterName=spark
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={root}/munge.socket,cred_expire=10
SlurmUser=root
SlurmdUser=root
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool-%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
SlurmdParameters=config_overrides
MinJobAge=3600
KillWait=10
ReturnToService=2
MpiDefault=none
GresTypes=gpu
NodeName={nodes[0]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 Gres=gpu:2
NodeName={nodes[1]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 Gres=gpu:2
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def lacking() -> str | None:
    """Return why no Slurm can be started here, None where one can."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if absent:
        return f"{', '.join(absent)} not installed (apt-get install slurm-wlm munge)"
    return None if os.geteuid() == 0 else "slurmd needs root"


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Slurm:
    """The daemons, and how to reach them: ``env`` is for whoever calls their programs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._daemons: list[subprocess.Popen[bytes]] = []
        (root / "state").mkdir(parents=True)
        config = root / "slurm.conf"
        config.write_text(
            _CONFIG.format(host=os.uname().nodename, root=root, ports=_free_ports(3), nodes=NODES), encoding="utf-8"
        )
        (root / "gres.conf").write_text("Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n", encoding="utf-8")
        self.env = {"SLURM_CONF": str(config), "PATH": _path()}

    def start(self) -> None:
        """Start everything, and wait until every node takes jobs."""
        (self.root / "munge.key").write_bytes(os.urandom(128))
        (self.root / "munge.key").chmod(0o600)
        named = {name: f"--{name}-file={self.root}/munged.{name}" for name in ("pid", "log", "seed")}
        key, where = f"--key-file={self.root}/munge.key", f"--socket={self.root}/munge.socket"
        self._daemon("munged", "--foreground", "--force", key, where, *named.values())
        lab.eventually((self.root / "munge.socket").exists, "munged")
        self._daemon("slurmctld", "-D", "-c")
        for node in NODES:
            self._daemon("slurmd", "-D", "-N", node)
        lab.eventually(lambda: self.ask("sinfo", "-h", "-o", "%D %t").strip() == "2 idle", "two idle nodes")

    def _daemon(self, *argv: str) -> None:
        with (self.root / f"{argv[0]}{argv[-1] if argv[0] == 'slurmd' else ''}.out").open("wb") as out:
            env = os.environ | self.env
            self._daemons.append(
                subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.root)
            )

    def ask(self, *argv: str) -> str:
        """Return what a program of Slurm prints."""
        return subprocess.run(argv, env=os.environ | self.env, capture_output=True, text=True, timeout=60).stdout

    def stop(self) -> None:
        """End all jobs, then the daemons."""
        self.ask("scancel", "--signal=KILL", "--full", "--user=root")
        self.ask("scancel", "--user=root")
        lab.eventually(lambda: not self.ask("squeue", "-h").strip(), "the last job to leave")
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in reversed(self._daemons):
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
