"""Looking into checkpoints: real files of torch, files cut anywhere, files that do harm when they are unpickled."""

from __future__ import annotations

import json
import pickle
import random
import struct
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from spark_rl import checkpoint_files
from spark_rl.checkpoint_files import is_finite, is_whole, trained

REAL = Path(__file__).parent / "checkpoints"
FINITE, NAN = REAL / "finite.pt", REAL / "nan.pt"


class Harm:
    """Writes a file when it is unpickled."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.victim,))


def torch_like(path: Path, kind: str, raw: bytes, *, key: str = "0", byteorder: bytes | None = None) -> Path:
    """Write what torch.save writes of one storage, with the kind of storage and its bytes as given."""
    storage = b"\x80\x02((X\x07\x00\x00\x00storagectorch\n" + kind.encode() + b"\n"
    storage += b"X" + struct.pack("<I", len(key)) + key.encode() + b"X\x03\x00\x00\x00cpuK\x02tQt."
    with ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", storage)
        archive.writestr(f"a/data/{key}", raw)
        if byteorder is not None:
            archive.writestr("a/byteorder", byteorder)
    return path


def sb3_like(path: Path, policy: Path, data: bytes = b'{"num_timesteps": 4096}') -> Path:
    with ZipFile(path, "w") as archive:
        archive.writestr("data", data)
        archive.writestr("policy.pth", policy.read_bytes())
        archive.writestr("_stable_baselines3_version", "2.9.2")
    return path


@pytest.mark.parametrize("file", [FINITE, NAN])
def test_a_real_file_is_whole_and_no_part_of_it_is(tmp_path: Path, file: Path) -> None:
    content = file.read_bytes()
    assert is_whole(file)
    cut = tmp_path / "model_7.pt"
    for length in (*range(0, len(content), 9), *range(len(content) - 25, len(content))):
        cut.write_bytes(content[:length])
        assert not is_whole(cut) or length < 4, length


def test_a_changed_byte_of_the_weights_is_found(tmp_path: Path) -> None:
    content = bytearray(FINITE.read_bytes())
    weights = content.index(struct.pack("<3f", 0.5, 1.5, -2.0))
    content[weights] ^= 1
    changed = tmp_path / "model_7.pt"
    changed.write_bytes(content)
    assert not is_whole(changed)


def test_large_files_are_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_files, "CRC_LIMIT", 100)
    content = bytearray(FINITE.read_bytes())
    content[content.index(struct.pack("<3f", 0.5, 1.5, -2.0))] ^= 1
    changed = tmp_path / "model_7.pt"
    changed.write_bytes(content)
    assert is_whole(changed)
    changed.write_bytes(content[:-1])
    assert not is_whole(changed)


@pytest.mark.parametrize(
    ("name", "content", "whole"),
    [
        ("model_1.pt", b"", False),
        ("model_1.pt", b"\0" * 4096, False),
        ("model_1.pt", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", True),
        ("model.zip", b"\x80\x02.", False),
        ("model.zip", b"", False),
        ("agent_9.pickle", pickle.dumps({"policy": [1.0]}), True),
        ("agent_9.pickle", pickle.dumps({"policy": [1.0]})[:-1], False),
        ("agent_9.pickle", b"text.", False),
        ("agent_9.pickle", b"", False),
    ],
)
def test_other_forms(tmp_path: Path, name: str, content: bytes, whole: bool) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    assert is_whole(file) is whole


def test_what_cannot_be_read_is_not_whole(tmp_path: Path) -> None:
    assert not is_whole(tmp_path / "gone.pt")
    assert not is_whole(tmp_path)
    empty = tmp_path / "empty.zip"
    ZipFile(empty, "w").close()
    assert not is_whole(empty)


def test_an_sb3_file_is_whole_with_the_zip_inside_it(tmp_path: Path) -> None:
    file = sb3_like(tmp_path / "model.zip", FINITE)
    content = file.read_bytes()
    assert is_whole(file)
    inner = content.index(FINITE.read_bytes()) + FINITE.stat().st_size
    for length in (*range(1, len(content), 50), *range(inner - 2, inner + 25)):
        file.write_bytes(content[:length])
        assert not is_whole(file), length


def test_finite_and_not(tmp_path: Path) -> None:
    assert is_finite(FINITE) is True
    assert is_finite(NAN) is False
    assert is_finite(sb3_like(tmp_path / "a.zip", FINITE)) is True
    assert is_finite(sb3_like(tmp_path / "b.zip", NAN)) is False


@pytest.mark.parametrize(
    ("kind", "raw", "finite"),
    [
        ("FloatStorage", struct.pack("<2f", 3e38, -3e38), True),
        ("FloatStorage", struct.pack("<2f", 1.0, float("inf")), False),
        ("FloatStorage", struct.pack("<2f", float("-inf"), 1.0), False),
        ("DoubleStorage", struct.pack("<2d", 1.7e308, -1.7e308), True),
        ("DoubleStorage", struct.pack("<2d", 1.0, float("nan")), False),
        ("HalfStorage", struct.pack("<2e", 65504.0, -65504.0), True),
        ("HalfStorage", struct.pack("<2e", 1.0, float("inf")), False),
        ("BFloat16Storage", struct.pack("<2f", 1.0, 3e38)[2:4] + struct.pack("<f", 3e38)[2:], True),
        ("BFloat16Storage", struct.pack("<f", float("nan"))[2:] + b"\0\0", False),
        ("LongStorage", b"\xff" * 16, None),
        ("ComplexFloatStorage", b"\0" * 16, None),
    ],
)
def test_every_kind_of_number(tmp_path: Path, kind: str, raw: bytes, finite: bool | None) -> None:
    assert is_finite(torch_like(tmp_path / "a.pt", kind, raw)) is finite


def test_a_number_beyond_the_first_piece_counts(tmp_path: Path) -> None:
    many = struct.pack("<f", 1.0) * 300_000
    assert is_finite(torch_like(tmp_path / "a.pt", "FloatStorage", many)) is True
    assert is_finite(torch_like(tmp_path / "b.pt", "FloatStorage", many + struct.pack("<f", float("nan")))) is False


def test_what_nobody_can_tell(tmp_path: Path) -> None:
    raw = struct.pack(">2f", 1.0, float("nan"))
    assert is_finite(torch_like(tmp_path / "a.pt", "FloatStorage", raw, byteorder=b"big")) is None
    assert is_finite(tmp_path / "gone.pt") is None
    old = tmp_path / "old.pt"
    old.write_bytes(b"\x80\x02.")
    assert is_finite(old) is None


def test_nothing_is_ever_unpickled(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    harmful = pickle.dumps({"iter": Harm(victim), "epoch": 5}, protocol=2)
    file = tmp_path / "policy.pt"
    with ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", harmful)
    assert is_whole(file)
    assert is_finite(file) is None
    assert trained(file, "rl_games") == 5
    assert not victim.exists()
    pickle.loads(harmful)
    assert victim.exists()


@pytest.mark.parametrize(
    ("name", "library", "count"),
    [
        ("run/model_150.pt", "rsl_rl", 150),
        ("run/nn/last_ant_ep_40_rew_1.5.pth", "rl_games", 40),
        ("run/checkpoints/agent_4800.pt", "skrl", 4800),
        ("run/model_64000_steps.zip", "sb3", 64000),
        ("run/checkpoints/best_agent.pt", "skrl", None),
        ("run/model.zip", "sb3", None),
        ("run/other.pt", "rsl_rl", None),
    ],
)
def test_a_name_tells_how_far(tmp_path: Path, name: str, library: str, count: int | None) -> None:
    assert trained(tmp_path / name, library) == count


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("value", [0, 200, 40_000, 3_000_000, 2**40])
def test_the_inside_tells_how_far(tmp_path: Path, protocol: int, value: int) -> None:
    file = tmp_path / "ant.pth"
    for compression in (0, ZIP_DEFLATED):
        with ZipFile(file, "w", compression=compression) as archive:
            archive.writestr("a/data.pkl", pickle.dumps({"frame": 9, "epoch": value, "x": 3}, protocol=protocol))
        assert trained(file, "rl_games") == value


def test_libraries_keep_their_count_in_their_own_place(tmp_path: Path) -> None:
    named = tmp_path / "my policy.pt"
    named.write_bytes(FINITE.read_bytes())
    assert trained(named, "rsl_rl") == 7
    assert trained(named, "rl_games") is None
    assert trained(named, "skrl") is None
    assert trained(sb3_like(tmp_path / "model.zip", FINITE), "sb3") == 4096
    for data in (b"{", b"[]", json.dumps({"num_timesteps": "9"}).encode()):
        assert trained(sb3_like(tmp_path / "model.zip", FINITE, data), "sb3") is None


def test_garbage_is_told_from_checkpoints_without_an_error(tmp_path: Path) -> None:
    rng = random.Random(5)
    bases = (FINITE.read_bytes(), sb3_like(tmp_path / "model.zip", NAN).read_bytes())
    for _ in range(300):
        content = bytearray(rng.choice(bases))
        for _ in range(rng.randrange(1, 6)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        file = tmp_path / rng.choice(("some.pt", "model.zip", "some.pickle"))
        file.write_bytes(content[: rng.randrange(len(content))] if rng.random() < 0.3 else content)
        assert is_whole(file) in (True, False)
        assert is_finite(file) in (True, False, None)
        assert all(isinstance(trained(file, library), int | None) for library in ("rsl_rl", "rl_games", "sb3", "skrl"))


def test_an_archive_without_a_pickle_tells_nothing(tmp_path: Path) -> None:
    file = sb3_like(tmp_path / "policy.pth", FINITE)
    assert trained(file, "rl_games") is None
