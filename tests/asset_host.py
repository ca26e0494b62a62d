"""A host of assets on this machine, and an Isaac Lab whose Python has a retriever for it.

The stand-in for ``isaaclab.utils.assets`` keeps what the driver relies on: the mirror's layout, the revisions beside
its files, downloads that appear whole, and references of USD files that are followed.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from shlex import quote
from typing import TYPE_CHECKING

import stand_in
from fakes import lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ASSETS = """
import json, os, re, urllib.error, urllib.parse, urllib.request

DEFAULT = "https://assets.invalid/Assets/Isaac/6.2"
NUCLEUS_ASSET_ROOT_DIR = os.environ.get("ISAACSIM_ASSET_ROOT") or DEFAULT
_NEWTON_ASSET_HTTP_URL = "https://newton.invalid/main"
NEWTON_ASSET_DIR = os.environ.get("NEWTON_ASSET_DIR", _NEWTON_ASSET_HTTP_URL)
_REMOTE_FINGERPRINTS = {}

def _mirror_path(url, folder):
    parsed = urllib.parse.urlparse(url)
    return os.path.join(folder, parsed.scheme, parsed.netloc.replace(":", "_"), *parsed.path.lstrip("/").split("/"))

def _resolve_reference_url(base, reference):
    return urllib.parse.urljoin(base, reference)

def _fingerprint(url):
    if url not in _REMOTE_FINGERPRINTS:
        try:
            with urllib.request.urlopen(url) as answer:
                _REMOTE_FINGERPRINTS[url] = {"size": len(answer.read())}
        except urllib.error.URLError:
            return None
    return _REMOTE_FINGERPRINTS[url]

def check_file_path(url):
    return 2 if _fingerprint(url) else 0

def retrieve_file_path(url, download_dir, above=()):
    there, now = _mirror_path(url, download_dir), _fingerprint(url)
    if now is None:
        raise FileNotFoundError(url)
    note = there + ".isaaclab-cache.json"
    if not (os.path.isfile(there) and os.path.isfile(note) and json.load(open(note)) == now):
        os.makedirs(os.path.dirname(there), exist_ok=True)
        with open(os.environ["FETCHED"], "a") as log:
            log.write(url.rpartition("/")[2] + "\\n")
        with urllib.request.urlopen(url) as answer, open(there + ".draft", "wb") as draft:
            draft.write(answer.read())
        os.chmod(there + ".draft", 0o600)
        os.replace(there + ".draft", there)
        json.dump(now, open(note, "w"))
    if url.endswith(".usda"):
        for reference in re.findall("@(.+?)@", open(there).read()):
            inner = _resolve_reference_url(url, reference)
            if inner.endswith(".mdl") or "<UDIM>" in inner or inner in above:
                continue
            if check_file_path(inner):
                retrieve_file_path(inner, download_dir, (*above, url))
    return there
"""

PXR = """
import re

class UsdUtils:
    @staticmethod
    def ExtractExternalReferences(path):
        return [], re.findall("@(.+?)@", open(path).read()), []
"""

HYDRA = """
import os

ROOT, NEWTON = os.environ["ISAACSIM_ASSET_ROOT"], os.environ["NEWTON_ASSET_DIR"]

class Config:
    def __init__(self, **values):
        vars(self).update(values)

def resolve_task_config(task, agent, overrides):
    if "presets=nosuch" in overrides:
        raise ValueError("unknown preset: nosuch")
    with open(os.environ["ASKED"], "a") as log:
        log.write(f"{task} {overrides}\\n")
    robot = Config(usd_path=f"{ROOT}/Isaac/robot.usda", prim_path="/World/Robot", func=len)
    arrow = Config(usd_path=f"{ROOT}/Isaac/arrow.usda")
    scene = Config(robot=robot, spare=[robot, Config(network_file=f"{ROOT}/Isaac/net.pt")])
    scene.goal_visualizer_cfg = {"arrow": arrow}
    if task == "IsaacContrib-DrLegs-HoldPose":
        scene.legs = Config(usd_path=f"{NEWTON}/legs/legs.usda")
        scene.far = Config(usd_path="https://elsewhere.invalid/far.usda")
    return Config(scene=scene, num_envs=4096), None
"""


def python(folder: Path) -> Path:
    """Make an environment with Isaac Lab 3.0.0 whose Python has the stand-ins; return the environment.

    ``asked`` and ``fetched`` beside it note each configuration that is resolved and each file that is downloaded.
    """
    modules = folder.with_name("modules")
    for name, text in {
        "isaaclab/__init__.py": "",
        "isaaclab/utils/__init__.py": "",
        "isaaclab/utils/assets.py": ASSETS,
        "isaaclab_tasks/__init__.py": "",
        "isaaclab_tasks/utils/__init__.py": "",
        "isaaclab_tasks/utils/hydra.py": HYDRA,
        "pxr.py": PXR,
    }.items():
        file = modules / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    names = (("PYTHONPATH", modules), ("ASKED", folder.with_name("asked")), ("FETCHED", folder.with_name("fetched")))
    variables = " ".join(f"{name}={quote(str(path))}" for name, path in names)
    program = f'#!/bin/sh\nexec env {variables} {quote(sys.executable)} -S "$@"\n'
    return lab.program(stand_in.kitless(folder) / "bin" / "python", program).parent.parent


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class calls it that
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; give its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


TREE = {
    "Isaac/robot.usda": "#usda 1.0 @./parts/leg.usda@ @./skin.mdl@ @OmniPBR.mdl@ @./tiles.<UDIM>.png@",
    "Isaac/parts/leg.usda": "#usda 1.0 @../robot.usda@ @../gone.usda@ @https://other.invalid/a.usda@",
    "Isaac/skin.mdl": 'texture_2d("./skin.png", tex::gamma_srgb)',
    "Isaac/skin.png": "skin",
    "Isaac/tiles.1001.png": "one",
    "Isaac/tiles.1011.png": "another row",
    "Isaac/net.pt": "weights",
    "Isaac/arrow.usda": "#usda 1.0",
}
"""What the stand-in's tasks need, with all that it refers to but ``gone.usda``."""


def tree(folder: Path) -> Path:
    """Write :data:`TREE` into a folder."""
    for name, text in TREE.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder
