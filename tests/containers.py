"""Images built without a daemon, and containers around them: a file system, process numbers and no network."""

from __future__ import annotations

import ast
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

TOP = Path(__file__).parents[1]
NAME = "localhost/spark-rl-test"
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BUILD_LIMIT_S = 3600.0
PULL_LIMIT_S = 60.0


class UnavailableError(Exception):
    """Something that images or containers need is not to be had here; the text says what."""


def buildah(*words: str | Path, limit_s: float = BUILD_LIMIT_S) -> str:
    """Run buildah and return what it says on stdout.

    Raises:
        UnavailableError: It, or the right to use it, is missing.
        AssertionError: It failed.
    """
    if not shutil.which("buildah"):
        raise UnavailableError("buildah is not installed (sudo apt-get install buildah debootstrap)")
    if os.geteuid() != 0:
        raise UnavailableError("only root can build and mount images here (sudo scripts/container-test)")
    done = subprocess.run(["buildah", *words], capture_output=True, text=True, timeout=limit_s)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def default(argument: str) -> str:
    """Return what a build argument of the Dockerfile is by default."""
    for line in (TOP / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"ARG {argument}="):
            return line.partition("=")[2]
    raise AssertionError(f"the Dockerfile has no argument {argument}")


def pulled(image: str) -> str:
    """Return an image by its name, once a registry has sent it or it is here already.

    Raises:
        UnavailableError: No registry sends it.
    """
    try:
        buildah("pull", "--policy", "missing", image, limit_s=PULL_LIMIT_S)
    except AssertionError as error:
        raise UnavailableError(f"{image} cannot be pulled: {str(error).strip().splitlines()[-1]}") from error
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{image} cannot be pulled: no answer in {PULL_LIMIT_S:.0f} s") from error
    return image


def is_here(image: str) -> bool:
    """Say whether an image of this name was made before."""
    return any(image in found.get("names") or [] for found in json.loads(buildah("images", "--json") or "[]"))


def local_base() -> str:
    """Return an image of this machine's distribution with the Python that runs this, made once.

    Raises:
        UnavailableError: This machine's distribution cannot be put into an image.
    """
    release = platform.freedesktop_os_release()
    image = f"{NAME}/python:{release.get('VERSION_CODENAME', 'unknown')}-{platform.python_version()}"
    if is_here(image):
        return image
    if not shutil.which("debootstrap"):
        raise UnavailableError("debootstrap is not installed (sudo apt-get install debootstrap)")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        packages = ",".join(["ca-certificates", *_packages_of_python()])
        words = ["debootstrap", "--variant=minbase", f"--include={packages}", release["VERSION_CODENAME"], folder]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-4000:]
        copy_python(Path(folder) / "usr" / "local")
        subprocess.run(["chroot", folder, "ldconfig"], check=True)
        return _committed(folder, image)


def copy_python(prefix: Path) -> None:
    """Copy the Python that runs this, with pip and without anything else that was installed into it."""
    base = Path(sys.base_prefix)
    if base == Path("/usr"):
        raise UnavailableError("this Python belongs to the system, and cannot be copied (install one with uv or pyenv)")

    def unwanted(folder: str, names: list[str]) -> list[str]:
        if Path(folder).name == "site-packages":
            return [name for name in names if not name.startswith("pip")]
        return [name for name in names if name in ("__pycache__", "test", "share")]

    shutil.copytree(base, prefix, symlinks=True, dirs_exist_ok=True, ignore=unwanted)


def _packages_of_python() -> set[str]:
    """Return the packages that hold the libraries of this Python's modules."""
    dynload = Path(sys.base_prefix, "lib", f"python3.{sys.version_info.minor}", "lib-dynload")
    told = subprocess.run(["ldd", *dynload.glob("*.so")], capture_output=True, text=True).stdout
    libraries = {os.path.realpath(word) for word in told.split() if word.startswith("/") and ".so" in word}
    owned = subprocess.run(["dpkg", "-S", *libraries], capture_output=True, text=True).stdout
    return {line.partition(":")[0] for line in owned.splitlines()}


def _committed(folder: str, image: str) -> str:
    made = buildah("from", "scratch").strip()
    try:
        buildah("add", "--quiet", made, folder, "/")
        buildah("config", "--env", f"PATH={SEARCH_PATH}", made)
        buildah("commit", "--quiet", made, image)
    finally:
        buildah("rm", made)
    return image


def built(tag: str, *words: str | Path, context: Path = TOP, **arguments: str) -> str:
    """Build an image, layer by layer as far as none is here already, and return its name."""
    image = f"{NAME}:{tag}"
    named = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    with tempfile.TemporaryDirectory() as folder:
        access = _pip_access(Path(folder))
        fixed = ("--isolation", "chroot", "--layers", "--format", "docker", "--tag", image)
        buildah("build", *fixed, *named, *access, *words, context)
    return image


def _pip_access(folder: Path) -> list[str]:
    """Return the words that let a build reach the package index as pip does on this machine."""
    told = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    settings = {}
    for line in told.splitlines():
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = str(ast.literal_eval(value))
    words = []
    if certificates := settings.pop("cert", None):
        words.append(f"--secret=id=ca,src={certificates}")
        settings["cert"] = "/run/secrets/ca"
    places = {word.removeprefix("file://") for value in settings.values() for word in value.split()}
    # The files that an index in a folder names lie beside it.
    places = {place.removesuffix("/simple") for place in places if place.startswith("/")}
    words += [f"--volume={place}:{place}:ro" for place in sorted(places) if Path(place).exists()]
    file = folder / "pip.conf"
    file.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
    return [*words, f"--secret=id=pip,src={file}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What an image says of how it is run."""

    user: str
    env: dict[str, str]
    entrypoint: tuple[str, ...]
    folder: str
    volumes: tuple[str, ...]


def config(image: str) -> Config:
    """Read how an image is run."""
    found: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", image))["OCIv1"]["config"]
    return Config(
        user=found.get("User", ""),
        env=dict(pair.split("=", 1) for pair in found.get("Env", [])),
        entrypoint=tuple(found.get("Entrypoint") or ()),
        folder=found.get("WorkingDir", "/"),
        volumes=tuple(sorted(found.get("Volumes") or {})),
    )


class Container:
    """An image's files, read-only but for its volumes and /tmp, with nothing of the network.

    Attributes:
        config: What the image says of how it is run.
        root: Where the image's files are seen from here.
    """

    def __init__(self, image: str, folder: Path) -> None:
        self.config = config(image)
        self._name = buildah("from", image).strip()
        self.root = Path(buildah("mount", self._name).strip())
        self._volumes = {path: folder / path.strip("/").replace("/", "-") for path in self.config.volumes}
        for path, place in self._volumes.items():
            subprocess.run(["cp", "-a", f"{self.root}{path}", place], check=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        buildah("rm", self._name)

    def seen(self, path: str) -> Path:
        """Return where a file in a volume is seen from here."""
        for volume, place in self._volumes.items():
            if path.startswith(f"{volume}/"):
                return place / path.removeprefix(f"{volume}/")
        raise AssertionError(f"{path} is in none of the volumes {', '.join(self._volumes)}")

    def start(self, *words: str, user: str = "", entrypoint: tuple[str, ...] = (), **env: str) -> subprocess.Popen[str]:
        """Start the image's program with ``words``; it is the first process in there."""
        user = user or self.config.user
        variables = [f"{name}={value}" for name, value in (self.config.env | env).items()]
        program = [*(entrypoint or self.config.entrypoint), *words]
        inside = ["/usr/bin/env", "-i", f"--chdir={self.config.folder}", *variables, *program]
        command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-ec", self._script(), "sh"]
        return subprocess.Popen(
            [*command, f"--userspec={user}:{user}", "--groups=", str(self.root), *inside],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _script(self) -> str:
        root = quote(str(self.root))
        binds = "".join(f"mount --bind {quote(str(place))} {root}{path}\n" for path, place in self._volumes.items())
        return (
            f"mount --bind {root} {root}\nmount -o remount,bind,ro {root}\n"
            f"mount -t proc proc {root}/proc\nmount --rbind /sys {root}/sys\nmount --rbind /dev {root}/dev\n"
            f'mount -t tmpfs tmpfs {root}/tmp\n{binds}exec chroot "$@"\n'
        )


def finished(started: subprocess.Popen[str], limit_s: float) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr of what was started in a container; it is ended when that takes too long."""
    try:
        out, err = started.communicate(timeout=limit_s)
        return started.returncode, out, err
    finally:
        started.kill()


def first_process(started: subprocess.Popen[str]) -> int:
    """Return the number by which this side knows the first process in a container."""
    return int(Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text(encoding="ascii"))


def stop(started: subprocess.Popen[str]) -> None:
    """Ask a container to end, as ``docker stop`` does."""
    os.kill(first_process(started), signal.SIGTERM)


def states(first: int) -> Iterator[str]:
    """Yield the state letters of all processes that share a container with its first process."""
    inside = Path(f"/proc/{first}/ns/pid").readlink()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "ns" / "pid").readlink() == inside:
                yield (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except OSError:
            continue
