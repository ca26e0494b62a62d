"""What is read from checkpoints without torch, compared with what torch and Stable-Baselines3 load from them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from spark_rl.checkpoint_files import is_finite, is_whole, trained

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real

torch = pytest.importorskip("torch")


def save(path: Path, value: Any, **how: Any) -> Path:
    torch.save(value, path, **how)
    return path


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("bad", [None, "nan", "inf", "-inf"])
@pytest.mark.parametrize("size", [1, 7, 700_001])
def test_every_float_of_torch(tmp_path: Path, dtype: str, bad: str | None, size: int) -> None:
    kind = getattr(torch, dtype)
    tensor = torch.randn(size).to(kind)
    tensor[0] = torch.finfo(kind).max
    if bad is not None:
        tensor[-1] = float(bad)
    file = save(tmp_path / "model_9.pt", {"model_state_dict": {"w": tensor, "n": torch.arange(3)}, "iter": 9})
    assert is_whole(file)
    assert is_finite(file) is bool(torch.isfinite(tensor).all())


def test_a_network_with_its_optimizer(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(48, 256), torch.nn.ELU(), torch.nn.Linear(256, 12))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.randn(4, 48)).sum().backward()
    optimizer.step()
    state = {"model_state_dict": network.state_dict(), "optimizer_state_dict": optimizer.state_dict()}
    file = save(tmp_path / "my policy.pt", state | {"iter": 12345, "infos": None})
    assert (is_whole(file), is_finite(file), trained(file, "rsl_rl")) == (True, True, 12345)
    with torch.no_grad():
        network[2].bias[3] = float("nan")
    assert is_finite(save(file, state | {"iter": 12345})) is False


def test_a_file_of_rl_games_tells_its_epoch(tmp_path: Path) -> None:
    state = {"model": {"w": torch.ones(3)}, "epoch": 120, "frame": 61440, "optimizer": {"state": {0: {"epoch": 5}}}}
    assert trained(save(tmp_path / "cartpole.pth", state), "rl_games") == 120


def test_the_form_before_zip(tmp_path: Path) -> None:
    file = save(tmp_path / "model_9.pt", {"w": torch.ones(3)}, _use_new_zipfile_serialization=False)
    assert (is_whole(file), is_finite(file)) == (True, None)


def test_what_torch_cannot_load_is_not_whole(tmp_path: Path) -> None:
    file = save(tmp_path / "model_9.pt", {"w": torch.ones(3000), "iter": 9})
    content = file.read_bytes()
    for length in range(4, len(content), 211):
        file.write_bytes(content[:length])
        assert not is_whole(file)
        with pytest.raises((RuntimeError, EOFError, ValueError)):
            torch.load(io.BytesIO(content[:length]), weights_only=True)


def test_a_model_of_stable_baselines(tmp_path: Path) -> None:
    sb3, gymnasium = pytest.importorskip("stable_baselines3"), pytest.importorskip("gymnasium")
    model = sb3.PPO("MlpPolicy", gymnasium.make("CartPole-v1"), n_steps=32, batch_size=32, n_epochs=1, device="cpu")
    model.learn(64)
    model.save(tmp_path / "model")
    file = tmp_path / "model.zip"
    assert (is_whole(file), is_finite(file), trained(file, "sb3")) == (True, True, 64)
    with torch.no_grad():
        next(model.policy.parameters()).fill_(float("nan"))
    model.save(file)
    assert is_finite(file) is False
