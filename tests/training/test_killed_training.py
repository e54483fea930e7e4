"""A process that is killed at any moment loses nothing: the same call goes on, and ends with the same bytes."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import numpy as np
import pytest

from thresher.modalities.samples import Samples
from thresher.training import Training

NUM_KILLS = 4
STREAMED = Training.model_validate(
    {
        "epochs": 5, "batch_size": 128, "ema": 0.99, "schedule": {"kind": "cosine", "warmup": 0.1},
        "augmentation": [{"kind": "flip"}, {"kind": "shift", "pixels": 1}], "memory_limit_mb": 1,
        "checkpoint_seconds": 0.02,
    }
)  # fmt: skip
FINETUNED = Training.model_validate(
    {"optimizer": {"kind": "sgd", "lr": 0.01, "momentum": 0.9}, "batch_size": 64, "checkpoint_seconds": 0.02}
)


def make_samples(folder: Path) -> Samples:
    random = np.random.default_rng(0)
    np.save(folder / "inputs.npy", random.integers(0, 256, (16_000, 1, 8, 8)).astype(np.uint8))
    inputs = np.load(folder / "inputs.npy", mmap_mode="r")
    return Samples(inputs, random.integers(0, 2, 16_000), ("left", "right"))


def make_network() -> object:
    import torch

    from thresher.modalities.image.model_input import ImageInput
    from thresher.modalities.outputs import ClassOutput
    from thresher.models.cnn import Cnn
    from thresher.models.network import Network, NetworkSpec

    torch.set_num_threads(1)
    torch.manual_seed(0)
    image = ImageInput(channels=1, height=8, width=8, mean=(127.0,), std=(74.0,))
    return Network(NetworkSpec(model=Cnn(channels=(4,), hidden=8), input=image, output=ClassOutput(num_classes=2)))


def train_streamed(folder: Path) -> object:
    from thresher.training.checkpoints import Checkpoints
    from thresher.training.loop import train

    samples = make_samples(folder)
    judge = samples.take(np.arange(200))
    return train(make_network(), samples, judge, STREAMED, "float", None, Checkpoints(folder / "checkpoints"))[0]


def prune_and_finetune_twice(folder: Path) -> object:
    from thresher.compression.data import CompressionData
    from thresher.compression.network.finetune import Finetune, finetune
    from thresher.compression.network.prune_weights import PruneWeights, prune_weights
    from thresher.training.checkpoints import Checkpoints

    samples, network = make_samples(folder).take(np.arange(8_000)), make_network()
    splits = (samples, samples.take(np.arange(200)))
    data = CompressionData(
        "half", network.spec.input, *splits, FINETUNED, checkpoints=Checkpoints(folder / "checkpoints")
    )
    for sparsity in (0.3, 0.6):
        network = finetune(prune_weights(network, PruneWeights(sparsity=sparsity), data), Finetune(epochs=3), data)
    return network


def write_result(work: Callable[[Path], object], folder: Path) -> None:
    from safetensors.torch import save

    state = work(folder).state_dict()
    (folder / "result.part").write_bytes(save({name: tensor.contiguous() for name, tensor in state.items()}))
    (folder / "result.part").rename(folder / "result")


@pytest.fixture(scope="module")
def processes() -> Iterator[ForkServerContext]:
    """Real processes, from a server that has imported torch once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["thresher.training.loop", "thresher.compression", "safetensors.torch"])
    first = context.Process(target=make_network)  # the server imports before its first process
    first.start()
    first.join()
    yield context


def run(work: Callable[[Path], object], folder: Path, context: ForkServerContext, seconds: float | None) -> bool:
    """Do ``work`` in a process, killed after ``seconds``; return whether it came to its end."""
    process = context.Process(target=write_result, args=(work, folder))
    process.start()
    process.join(seconds)
    if process.is_alive():
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    return process.exitcode == 0


@pytest.mark.slow
@pytest.mark.parametrize("work", [train_streamed, prune_and_finetune_twice])
def test_killed_at_random_moments_it_ends_with_the_same_bytes(
    work: Callable[[Path], object], tmp_path: Path, processes: ForkServerContext
) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    undisturbed.mkdir()
    killed.mkdir()
    began = time.monotonic()
    assert run(work, undisturbed, processes, None)
    whole = time.monotonic() - began
    moments = random.Random(os.getpid())
    seconds = [moments.uniform(0.2, 0.6) * whole for _ in range(NUM_KILLS)]
    survived = [run(work, killed, processes, moment) for moment in seconds]
    if not (killed / "result").exists():
        assert run(work, killed, processes, None)
    assert not survived[0], "the first process came to its end before it could be killed"
    assert (killed / "result").read_bytes() == (undisturbed / "result").read_bytes(), f"killed after {seconds} s"
