"""The files that trainers leave: checkpoints, event files of TensorBoard, configs; made by hand."""

from __future__ import annotations

import os
import pickle
import struct
import time
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_checkpoint(path: Path, content: dict[str, object]) -> None:
    """Write a zip file laid out as ``torch.save`` does, without any tensor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    members = {"data.pkl": pickle.dumps(content, protocol=2), "byteorder": b"little", "data/0": bytes(64)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in (members | {"version": b"3\n"}).items():
            archive.writestr(f"{path.stem}/{name}", data)


def write_model(path: Path, content: dict[str, object]) -> None:
    """Write a zip file laid out as Stable-Baselines3 does; its parameters would be JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("data", pickle.dumps(content, protocol=2))
        archive.writestr("policy.pth", bytes(64))
        archive.writestr("_stable_baselines3_version", "2.9.2")


def read_checkpoint(path: Path) -> dict[str, object]:
    """Return what was written into a checkpoint of either layout.

    Raises:
        RuntimeError: The file is not whole; torch's words.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name == "data" or name.endswith("/data.pkl"))
            content: dict[str, object] = pickle.loads(archive.read(name))
    except zipfile.BadZipFile:
        raise RuntimeError("PytorchStreamReader failed reading zip archive: failed finding central directory") from None
    return content


def cut(path: Path) -> None:
    """Leave the first half of a file, as a full disk or a kill would."""
    os.truncate(path, path.stat().st_size // 2)


def write_configs(run: Path, agent: str, num_envs: int) -> None:
    """Write ``params/agent.yaml`` and the part of ``params/env.yaml`` that tells the size."""
    (run / "params").mkdir(parents=True, exist_ok=True)
    (run / "params" / "agent.yaml").write_text(agent, encoding="utf-8")
    env = f"sim:\n  device: cuda:0\nseed: 42\ndecimation: 2\nscene:\n  num_envs: {num_envs}\n  env_spacing: 4.0\n"
    (run / "params" / "env.yaml").write_text(env, encoding="utf-8")


class Events:
    """A TensorBoard event file, written and flushed scalar by scalar."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        self._write(_text(3, b"brain.Event:2"))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Write one value of a tag."""
        summary = _text(1, _text(1, tag.encode()) + b"\x15" + struct.pack("<f", value))
        self._write(b"\x10" + _varint(step) + _text(5, summary))

    def _write(self, rest: bytes) -> None:
        event = b"\x09" + struct.pack("<d", time.time()) + rest
        size = struct.pack("<Q", len(event))
        self._file.write(size + _masked_crc(size) + event + _masked_crc(event))
        self._file.flush()


def _text(field: int, data: bytes) -> bytes:
    return bytes((field << 3 | 2,)) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes((low | 0x80,)) + _varint(rest) if rest else bytes((low,))


def _crc_table() -> list[int]:
    table = []
    for entry in range(256):
        value = entry
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC = _crc_table()


def _masked_crc(data: bytes) -> bytes:
    """Return the CRC-32C that guards a record, rotated and shifted as the format wants it."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _CRC[(value ^ byte) & 0xFF] ^ value >> 8
    value ^= 0xFFFFFFFF
    return struct.pack("<I", ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF)
