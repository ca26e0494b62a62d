"""Every value that crosses a layer: frozen to the leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Action = Literal["train", "play"]
Level = Literal["error", "warning", "note"]
Kind = Literal["checkout", "package"]

LIBRARIES = ("rsl_rl", "rl_games", "skrl", "sb3")
"""RL libraries spark-rl plans for, in the order in which a default is looked for elsewhere."""

ALGORITHMS = ("PPO", "MAPPO", "IPPO", "AMP")
"""Values of ``--algorithm``; MAPPO, IPPO and AMP exist in skrl alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check concluded.

    ``code`` is stable and names the check (``libgomp-missing``); ``message`` says what was found, ``hint`` the exact
    remedy. An ``error`` stops a run before it starts.
    """

    code: str
    level: Level
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """One agent config entry point of a task, e.g. ``skrl_mappo_cfg_entry_point``.

    ``horizon`` is the number of env steps per environment and iteration (``num_steps_per_env``, ``horizon_length``,
    ``rollouts``, ``n_steps``) and ``minibatch`` rl_games' ``minibatch_size`` in samples; None where the source does
    not say so in plain text.
    """

    entry_point: str
    library: str
    algorithm: str
    target: str
    experiment: str | None = None
    max_iterations: int | None = None
    horizon: int | None = None
    minibatch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A registered task and what is known of it without importing anything.

    ``physics`` and ``physics_options`` use Isaac Lab 3.0's preset names (``newton_mjwarp``, ``isaacsim_physx``, ...);
    every 2.x task is ``isaacsim_physx``. ``kitless`` is True when the task's default physics runs without Isaac Sim,
    and None where the scan cannot tell. ``num_envs`` is the config's default.
    """

    id: str
    package: str
    entry_point: str | None = None
    env_cfg: str | None = None
    agents: tuple[AgentConfig, ...] = ()
    multi_agent: bool = False
    amp: bool = False
    cameras: bool = False
    physics: str | None = None
    physics_options: tuple[str, ...] = ()
    kitless: bool | None = None
    num_envs: int | None = None
    default_agent: str | None = None
    replaced_by: str | None = None
    play_id: str | None = None
    train_id: str | None = None
    robot: str | None = None
    category: str | None = None
    difficulty: str | None = None
    summary: str | None = None

    @property
    def libraries(self) -> tuple[str, ...]:
        """RL libraries with an agent config for this task, in the order of :data:`LIBRARIES`."""
        registered = {agent.library for agent in self.agents}
        return tuple(library for library in LIBRARIES if library in registered)

    @property
    def trainable(self) -> bool:
        """Whether any RL library can train it."""
        return bool(self.libraries)

    def algorithms(self, library: str) -> tuple[str, ...]:
        """Return the algorithms that ``library`` has a registered agent config for."""
        return tuple(dict.fromkeys(agent.algorithm for agent in self.agents if agent.library == library))

    def agent(self, library: str, algorithm: str | None = None) -> AgentConfig | None:
        """Return the agent config of ``library``, by default the first one registered."""
        return next(
            (a for a in self.agents if a.library == library and algorithm in (None, a.algorithm)),
            None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """A program that computes on a GPU; ``name`` and ``memory_mib`` are None where the driver does not tell them."""

    pid: int
    name: str | None = None
    memory_mib: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU, as the driver numbers it (by PCI bus).

    ``memory_total_mib`` and ``memory_free_mib`` are None where the driver reports none (unified memory),
    ``utilization`` is in percent. ``processes`` are those that compute, not the desktop's.
    """

    index: int
    name: str
    memory_total_mib: int | None = None
    unified: bool = False
    compute_capability: str | None = None
    uuid: str | None = None
    memory_free_mib: int | None = None
    utilization: int | None = None
    processes: tuple[GpuProcess, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A network interface: ``addresses`` as ``192.168.1.2/24``, ``mtu`` in bytes; ``virtual`` ones have no card."""

    name: str
    up: bool = False
    addresses: tuple[str, ...] = ()
    mtu: int | None = None
    virtual: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RdmaDevice:
    """One port of a RoCE or InfiniBand card.

    ``interface`` is the network interface of the same port, ``link`` is ``Ethernet`` (RoCE) or ``InfiniBand``,
    ``active`` says that its link is up, ``rate`` is the kernel's word for its speed (``100 Gb/sec (4X EDR)``).
    """

    name: str
    interface: str | None = None
    active: bool = False
    link: str = "Ethernet"
    rate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder that a run writes to: ``purpose`` is ``logs``, ``cache``, ``temp`` or ``shm`` (shared memory).

    ``free_mib`` is what an ordinary user may still write.
    """

    purpose: str
    path: str
    free_mib: int
    writable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Facts of the machine a plan is for: ``probe`` here, or a ``doctor --json`` document from there.

    Memory is in MiB. ``libgomp`` is the path of the system's libgomp.so.1, None when it is absent. ``cuda`` is the
    newest CUDA that the driver runs. ``display``, ``gl`` (the GL and EGL libraries that record videos), ``git``
    (whether it is on PATH), ``asset_host`` (whether NVIDIA's answers) and ``asset_root`` (whether a local
    ISAACSIM_ASSET_ROOT holds assets) are None when nobody looked. ``interfaces`` and ``rdma`` are its network, for
    training over several hosts. ``environ`` holds the few variables that decide something, as the caller has them.
    """

    machine: str
    os: str
    cpu_count: int
    memory_total_mib: int
    memory_available_mib: int
    libgomp: str | None = None
    driver: str | None = None
    gpus: tuple[Gpu, ...] = ()
    display: bool | None = None
    gl: bool | None = None
    git: bool | None = None
    glibc: str | None = None
    cuda: str | None = None
    asset_host: bool | None = None
    asset_root: bool | None = None
    folders: tuple[Folder, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    rdma: tuple[RdmaDevice, ...] = ()
    environ: tuple[tuple[str, str], ...] = ()

    def variable(self, name: str) -> str | None:
        """Return the value of an environment variable, None when unset or empty."""
        return dict(self.environ).get(name) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One Isaac Lab found on a machine.

    ``path`` is the checkout, or the prefix of the environment that holds the package. ``python`` is the interpreter
    to start (None: ``isaaclab.sh`` chooses it). ``isaacsim`` says whether that interpreter has Isaac Sim (None:
    unknown). ``sim_python`` is the simulator's own interpreter behind a ``python.sh`` that overwrites LD_PRELOAD.
    ``sources`` are the folders whose task registrations count, ``packages`` the (distribution, version) pairs that
    checks read. ``python_version`` (``3.12``), ``torch_cuda`` (the CUDA that torch was built for, ``cpu`` for none),
    ``sim_version`` and ``eula`` (whether Isaac Sim's package has its licence accepted on file) are None when unknown.
    """

    version: str
    kind: Kind
    path: str
    python: str | None = None
    isaacsim: bool | None = None
    sim_python: str | None = None
    sources: tuple[str, ...] = ()
    packages: tuple[tuple[str, str], ...] = ()
    python_version: str | None = None
    torch_cuda: str | None = None
    sim_version: str | None = None
    eula: bool | None = None

    def package(self, name: str) -> str | None:
        """Return the version of an installed distribution, None when it is not known to be there."""
        return dict(self.packages).get(name)

    @property
    def generation(self) -> int:
        """Major version: 2 or 3."""
        return int(self.version.split(".", 1)[0])

    @property
    def kitless(self) -> bool:
        """Whether it is known to be without Isaac Sim."""
        return self.isaacsim is False


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveEnvironment:
    """A conda or virtual environment that is active in the caller's shell, and what it has installed."""

    variable: str
    path: str
    isaacsim: bool
    isaaclab: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFile:
    """A checkpoint on disk.

    ``run`` is its run folder's name, ``name`` the path below it, ``path`` absolute, ``modified`` in seconds since the
    epoch, ``size`` in bytes. ``task`` is what the run's own manifest names (3.0), None where there is none. ``origin``
    is the recorded run it belongs to, in words; the files of one origin are one run's, whatever their folders.
    ``reward`` is the mean reward recorded when it was saved, ``whole`` says that the file is complete.
    """

    path: str
    run: str
    name: str
    experiment: str
    modified: float = 0.0
    task: str | None = None
    size: int = 0
    origin: str | None = None
    reward: float | None = None
    whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked for, before anything is known of the machine.

    ``options`` are command-line words of the target script that spark-rl has no option for, ``overrides`` the
    KEY=VALUE words and ``passthrough`` what followed ``--``, all in the order given. ``gpus`` is a number or ``all``,
    ``load_run`` the regular expression of a run folder in 2.x's spelling, ``save_every`` a number of iterations or a
    time such as ``10m``, ``run`` the id of a recorded run to play, ``preflight`` whether the machine is checked.
    ``nnodes`` counts the hosts of one training, of which this is ``node_rank`` (None: it was not said),
    ``master_addr`` is node 0 and ``master_port`` where the ranks meet there. ``auto_envs`` asks for an env count that
    fits the machine; once ``num_envs`` is chosen so, ``num_envs_reason`` says why.
    """

    action: Action
    task: str
    cwd: str
    library: str | None = None
    algorithm: str | None = None
    num_envs: int | None = None
    headless: bool | None = None
    seed: int | None = None
    max_iterations: int | None = None
    device: str | None = None
    video: bool = False
    run_name: str | None = None
    checkpoint: str | None = None
    resume: bool = False
    load_run: str | None = None
    save_every: str | None = None
    run: str | None = None
    gpus: str | None = None
    nnodes: int = 1
    node_rank: int | None = None
    master_addr: str | None = None
    master_port: int | None = None
    steps: int | None = None
    assets: str = "auto"
    preflight: bool = True
    auto_envs: bool = False
    num_envs_reason: str | None = None
    options: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    passthrough: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A requested task name and the registered task it means; ``note`` says in one line what was done to it."""

    requested: str
    task: Task
    presets: tuple[str, ...] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCommand:
    """What one of several hosts does: the ``command`` of spark-rl to give there, and the ``argv`` that it starts.

    ``argv`` is that of this host with the other's number; what another host has may differ.
    """

    node_rank: int
    command: tuple[str, ...]
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The exact command, environment and folder, decided.

    ``env`` is set over the inherited environment, ``env_unset`` removed from it. ``reasons`` maps a decided thing to
    why, in one line. ``nodes`` are all hosts of a training on several.
    """

    action: Action
    task: Resolved
    library: str
    algorithm: str
    isaaclab: Installation
    argv: tuple[str, ...]
    cwd: str
    env: tuple[tuple[str, str], ...] = ()
    env_unset: tuple[str, ...] = ()
    reasons: tuple[tuple[str, str], ...] = ()
    findings: tuple[Finding, ...] = ()
    nodes: tuple[NodeCommand, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One value and its source: ``default``, a file's path, or the variable's name."""

    name: str
    value: str | bool | int | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting with its source."""

    entries: tuple[Setting, ...]

    def get(self, name: str) -> Setting:
        """Return the setting called ``name``."""
        return next(entry for entry in self.entries if entry.name == name)

    def text(self, name: str) -> str | None:
        """Return a text setting's value, None when nobody set it."""
        value = self.get(name).value
        return value if isinstance(value, str) else None

    def flag(self, name: str) -> bool | None:
        """Return a yes/no setting's value, None when nobody set it."""
        value = self.get(name).value
        return value if isinstance(value, bool) else None
