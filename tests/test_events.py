"""Event files: read as TensorBoard reads them, while they grow, and whatever is wrong with them."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import pytest

from recorded import EVENTS, RUNS, event, record, write
from spark_rl import events
from spark_rl.events import Tail

TAG = "Train/mean_reward"


def values(tail: Tail) -> list[float]:
    return [point.value for point in tail.poll()]


@pytest.mark.parametrize("folder", RUNS)
def test_tensorboard_itself_reads_the_same(folder: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    (file,) = (EVENTS / folder).rglob("events.out.tfevents.*")
    theirs = EventAccumulator(str(file), size_guidance={"scalars": 0}, purge_orphaned_data=False)
    theirs.Reload()
    ours = events.read(EVENTS / folder)
    assert sorted(ours) == sorted(theirs.Tags()["scalars"])
    for tag, curve in ours.items():
        expected = [(scalar.step, scalar.value, scalar.wall_time) for scalar in theirs.Scalars(tag)]
        assert list(zip(curve.steps, curve.values, curve.wall_times, strict=True)) == expected


def test_both_forms_of_a_scalar_are_read(tmp_path: Path) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.tensor_pb2 import TensorProto

    made = Event(wall_time=5.0, step=7)
    made.summary.value.add(tag="simple", simple_value=1.5)
    made.summary.value.add(tag="listed", tensor=TensorProto(dtype="DT_FLOAT", float_val=[2.5]))
    made.summary.value.add(tag="packed", tensor=TensorProto(dtype="DT_DOUBLE", tensor_content=struct.pack("<d", 3.5)))
    made.summary.value.add(tag="whole", tensor=TensorProto(dtype="DT_INT64", int64_val=[4]))
    made.summary.value.add(tag="vector", tensor=TensorProto(dtype="DT_FLOAT", float_val=[1.0, 2.0]))
    made.summary.value.add(tag="odd", tensor=TensorProto(dtype="DT_FLOAT", tensor_content=b"abc"))
    made.summary.value.add(tag="text", tensor=TensorProto(dtype="DT_STRING", string_val=[b"words"]))
    made.summary.value.add(tag="image", image={"height": 1, "width": 1})
    write(tmp_path, [record(made.SerializeToString())])
    points = Tail(tmp_path).poll()
    assert [(p.tag, p.value) for p in points] == [("simple", 1.5), ("listed", 2.5), ("packed", 3.5), ("whole", 4.0)]
    assert {(p.step, p.wall_time) for p in points} == {(7, 5.0)}


@pytest.mark.parametrize("below", ["", "summaries", "PPO_1"])
def test_files_are_followed_where_each_library_puts_them(tmp_path: Path, below: str) -> None:
    run = tmp_path / "run"
    tail = Tail(run)
    assert tail.poll() == ()
    write(run / below, [event(TAG, 0, 1.0)])
    assert values(tail) == [1.0]
    assert values(tail) == []
    write(run / below, [event(TAG, 1, 2.0), event(TAG, 2, 3.0)])
    write(run / below, [event(TAG, 3, 4.0)], "events.out.tfevents.2.host.1.0")
    assert values(tail) == [2.0, 3.0, 4.0]
    assert not tail.behind


def test_other_folders_of_a_run_are_left_alone(tmp_path: Path) -> None:
    for other in ("sensor_frames/train", "rank_1", "videos"):
        write(tmp_path / other, [event(TAG, 0, 1.0)])
    assert Tail(tmp_path).poll() == ()


def test_a_record_waits_until_it_is_whole(tmp_path: Path) -> None:
    whole = event(TAG, 0, 1.0) + event(TAG, 1, 2.0)
    tail = Tail(tmp_path)
    seen: list[list[float]] = []
    for byte in whole:
        write(tmp_path, [bytes([byte])])
        seen.append(values(tail))
    assert [found for found in seen if found] == [[1.0], [2.0]]
    assert seen[-1] == [2.0]


def test_only_wanted_tags_are_kept(tmp_path: Path) -> None:
    names = (TAG, f"{TAG}/time", "Loss/value", "Train/mean")
    write(tmp_path, [event(name, step, step) for step in range(3) for name in names])
    assert {point.tag for point in Tail(tmp_path, [TAG]).poll()} == {TAG}
    assert Tail(tmp_path, []).poll() == ()
    assert list(events.read(tmp_path, [TAG, "Loss/value", "absent"])) == [TAG, "Loss/value"]
    assert events.tags(tmp_path) == names


def test_a_folder_that_vanishes_and_comes_back(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write(run, [event(TAG, 0, 1.0)])
    tail = Tail(run)
    assert values(tail) == [1.0]
    shutil.rmtree(run)
    assert values(tail) == []
    write(run, [event(TAG, 1, 2.0)], "events.out.tfevents.2.host.1.0")
    assert values(tail) == [2.0]


@pytest.mark.parametrize(
    "garbage",
    [os.urandom(5000), b"\xff" * 100, bytes(4096), b"x", record(b"\xff\xff not an event"), b"version https://git-lfs"],
    ids=["random", "ones", "zeros", "short", "no event", "text"],
)
def test_garbage_does_no_harm(tmp_path: Path, garbage: bytes) -> None:
    write(tmp_path, [garbage])
    write(tmp_path, [event(TAG, 0, 1.0)], "events.out.tfevents.2.host.1.0")
    tail = Tail(tmp_path)
    assert values(tail) == [1.0]
    write(tmp_path, [event(TAG, 1, 2.0)], "events.out.tfevents.2.host.1.0")
    assert values(tail) == [2.0]


def test_what_is_no_event_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, [event(TAG, 0, 1.0), record(b"\xff\xff no event"), record(b""), event(TAG, 1, 2.0)])
    assert values(Tail(tmp_path)) == [1.0, 2.0]


def test_a_file_that_shrinks_or_cannot_be_read(tmp_path: Path) -> None:
    file = write(tmp_path, [event(TAG, step, step) for step in range(5)])
    tail = Tail(tmp_path)
    assert len(tail.poll()) == 5
    os.truncate(file, 40)
    (tmp_path / "events.out.tfevents.0.folder").mkdir()
    assert tail.poll() == ()


def test_a_large_image_is_stepped_over(tmp_path: Path) -> None:
    image = record(bytes(3 << 20))
    write(tmp_path, [event(TAG, 0, 1.0), image[: 2 << 20]])
    tail = Tail(tmp_path)
    assert values(tail) == [1.0]
    write(tmp_path, [image[2 << 20 :], event(TAG, 1, 2.0)])
    assert values(tail) == [2.0]


def test_a_long_file_is_read_in_blocks(tmp_path: Path) -> None:
    count = 60_000
    block = b"".join(event("Loss/of_something_with_a_long_name", step, 1.0) for step in range(count // 20))
    write(tmp_path, [*[block] * 20, event(TAG, 1, 2.0)])
    tail = Tail(tmp_path, [TAG])
    polls = 0
    found: list[float] = []
    tracemalloc.start()
    try:
        while polls == 0 or tail.behind:
            polls += 1
            found += values(tail)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [2.0]
    assert polls >= 4
    assert peak < 4 << 20
    assert events.read(tmp_path, [TAG])[TAG].values == (2.0,)
    assert sum(len(curve) for curve in events.read(tmp_path).values()) == count // 20 + 1


def test_only_wanted_times_are_kept(tmp_path: Path) -> None:
    write(tmp_path, [event(TAG, step, step, wall_time=100.0 + step) for step in range(10)])
    assert events.read(tmp_path, since=103.0, until=105.0)[TAG].steps == (3.0, 4.0, 5.0)
    assert values(Tail(tmp_path, since=108.0)) == [8.0, 9.0]
    assert events.read(tmp_path / "absent") == {}


@pytest.mark.parametrize(
    ("data", "folder"),
    [
        ('{"tensorboard_log": "/logs/first"}', Path("/logs/first")),
        ('{"tensorboard_log": null}', None),
        ("{}", None),
        ("[]", None),
        ("{", None),
        (None, None),
    ],
)
def test_a_checkpoint_of_sb3_names_the_folder_of_its_events(
    tmp_path: Path, data: str | None, folder: Path | None
) -> None:
    file = tmp_path / "model.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data" if data is not None else "other", data or "")
    assert events.sb3_folder(file) == folder
    file.write_bytes(b"no archive")
    assert events.sb3_folder(file) is None
    assert events.sb3_folder(tmp_path / "absent.zip") is None


def test_neither_numpy_nor_the_rest_of_tensorboard_is_loaded() -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from spark_rl import events\n"
        "assert 'tensorboard' not in sys.modules\n"
        f"assert events.read(Path({str(EVENTS / 'rsl_rl')!r}))\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules} & {'numpy', 'torch', 'tensorflow', 'pandas'}))\n"
        "print(*sorted(name for name in sys.modules if name.startswith('tensorboard.backend')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ})
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
