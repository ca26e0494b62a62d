"""Compute something small in Isaac Lab's Python and say where it was computed; runs without spark-rl.

``compute.py FILE RANKS`` writes FILE as JSON, anew after each part, so that what a part that hangs has left can be
read: ``doing`` names it. With RANKS of two or more, as many processes reduce a few MiB over their GPUs.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

ELEMENTS = 4 * 2**20 // 4
RANKS_S = 60.0


def main(argv):
    """Compute each part and write what came out; as a rank, only reduce."""
    if argv == ["--rank"]:
        return rank()
    file, ranks = argv[0], int(argv[1])
    told = {"python": sys.version.split()[0], "problems": {}}
    parts = (("torch", torch_part), ("nvrtc", nvrtc_part), ("warp", warp_part), ("ranks", ranks_part))
    for name, part in parts:
        if name == "ranks" and ranks < 2:
            continue
        save(file, {**told, "doing": name})
        try:
            told.update(part(ranks))
        except Exception as error:
            told["problems"][name] = f"{type(error).__name__}: {error}".split("\n")[0]
    save(file, told)
    return 0


def save(file, told):
    """Write the file anew, so that a reader finds it whole."""
    new = Path(f"{file}.new")
    new.write_text(json.dumps(told), encoding="utf-8")
    new.replace(file)


def torch_part(_ranks):
    """Multiply matrices where torch trains, and compare with the CPU in double precision."""
    import torch

    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    told = {"torch": torch.__version__, "torch_cuda": torch.version.cuda, "device": device}
    left = torch.linspace(-1.0, 1.0, 512 * 512).reshape(512, 512)
    right = left.T.contiguous().sin()
    product = left.to(device) @ right.to(device)
    exact = left.double() @ right.double()
    told["device"] = str(product.device)
    told["error"] = float((product.cpu().double() - exact).abs().max() / exact.abs().max())
    if device != "cpu":
        told["gpu"] = torch.cuda.get_device_name(0)
    return told


def nvrtc_part(_ranks):
    """Compile a kernel for this very GPU: an old nvrtc knows neither it nor how to say so before it is asked."""
    import torch

    if not torch.cuda.is_available():
        return {}
    double = torch.cuda.jiterator._create_jit_fn("template <typename T> T spark_double(T x) { return x + x; }")
    numbers = torch.arange(8.0, device="cuda:0")
    if double(numbers).tolist() != (numbers + numbers).tolist():
        raise ArithmeticError("a compiled kernel gave wrong numbers")
    return {"nvrtc": True}


def warp_part(_ranks):
    """Compile and run a kernel as Newton does; without a GPU for the CPU."""
    import warp

    warp.config.quiet = True
    with tempfile.TemporaryDirectory(prefix="spark-rl-warp-") as cache:
        warp.config.kernel_cache_dir = cache
        warp.init()

        @warp.kernel
        def spark_square(numbers: warp.array(dtype=float)):
            place = warp.tid()
            numbers[place] = numbers[place] * numbers[place]

        device = "cuda:0" if warp.is_cuda_available() else "cpu"
        numbers = warp.array([1.0, 2.0, 3.0], dtype=float, device=device)
        warp.launch(spark_square, dim=3, inputs=[numbers], device=device)
        if numbers.numpy().tolist() != [1.0, 4.0, 9.0]:
            raise ArithmeticError("a compiled kernel gave wrong numbers")
        return {"warp": warp.config.version, "warp_device": str(numbers.device)}


def ranks_part(ranks):
    """Start the ranks as training over several GPUs does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["--nnodes=1", f"--nproc_per_node={ranks}", "--master_addr=127.0.0.1", f"--master_port={port}"]
    argv = [sys.executable, "-m", "torch.distributed.run", *words, __file__, "--rank"]
    try:
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=RANKS_S)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{ranks} ranks have not reduced within {RANKS_S:.0f} s") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "Error" in line] or done.stderr.splitlines() or ["?"]
        raise RuntimeError(lines[0].strip()[:300])
    return {"ranks": ranks}


def rank():
    """Be one of the ranks."""
    from datetime import timedelta

    import torch
    import torch.distributed as dist

    place = int(os.environ["LOCAL_RANK"])
    gpu = torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(place)
    dist.init_process_group("nccl" if gpu else "gloo", timeout=timedelta(seconds=RANKS_S))
    numbers = torch.full((ELEMENTS,), float(place + 1), device=f"cuda:{place}" if gpu else "cpu")
    dist.all_reduce(numbers)
    count = dist.get_world_size()
    wrong = numbers.min().item() != count * (count + 1) / 2 or numbers.max().item() != count * (count + 1) / 2
    dist.destroy_process_group()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
