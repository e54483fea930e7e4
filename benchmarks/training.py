"""Seconds an epoch: Thresher's loop against the loop of PyTorch's tutorials, in turns, on Fashion-MNIST."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from thresher.datasets.raw_idx import read_idx
from thresher.machine import describe_machine
from thresher.modalities.inputs import ImageInput
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.samples import Samples
from thresher.models.lenet import LeNet
from thresher.models.network import Network, NetworkSpec
from thresher.training import Training
from thresher.training.loop import train

SPEC = NetworkSpec(
    model=LeNet(),
    input=ImageInput(channels=1, height=28, width=28, mean=(72.9,), std=(90.0,)),
    output=ClassOutput(num_classes=10),
)
NAMES = tuple(str(number) for number in range(10))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("data/01_raw/fashion_mnist"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[128, 1024])
    arguments = parser.parse_args()
    samples = load(arguments.folder)
    machine = describe_machine()
    gpu = torch.cuda.get_device_name() if arguments.device == "cuda" else "none used"
    print(f"{machine['processor']}, {machine['cores']} cores; GPU: {gpu}; torch {torch.__version__}; seed 1")
    print("\n| batch | tutorial loop, s an epoch | Thresher, s an epoch | speedup, median [min, max] |")
    print("| --- | --- | --- | --- |")
    for size in arguments.batch_size:
        rows = [round_of_both(samples, size, arguments.device) for _ in range(arguments.rounds + 1)]
        theirs, ours = np.array(rows[1:]).T  # the first round warms both up
        ratios = theirs / ours
        spread = f"{np.median(ratios):.2f}x [{ratios.min():.2f}, {ratios.max():.2f}]"
        print(f"| {size} | {np.median(theirs):.2f} | {np.median(ours):.2f} | {spread} |", flush=True)


def round_of_both(samples: Samples, batch_size: int, device: str) -> tuple[float, float]:
    """Return the seconds of one epoch of the tutorial's loop and of one of Thresher's."""
    return tutorial_epoch(samples, batch_size, device), thresher_epoch(samples, batch_size, device)


def tutorial_epoch(samples: Samples, batch_size: int, device: str) -> float:
    """Train one epoch the way PyTorch's quickstart does: a DataLoader over float tensors, batch after batch."""
    torch.manual_seed(1)
    network = Network(SPEC).body.to(device)
    inputs = (torch.from_numpy(samples.inputs).float() - IMAGE.mean[0]) / IMAGE.std[0]
    loader = DataLoader(TensorDataset(inputs, torch.from_numpy(samples.labels)), batch_size, shuffle=True)
    optimizer, loss_function = torch.optim.Adam(network.parameters(), lr=0.001), nn.CrossEntropyLoss()
    began = time.perf_counter()
    for batch, labels in loader:
        loss = loss_function(network(batch.to(device)), labels.to(device))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def thresher_epoch(samples: Samples, batch_size: int, device: str) -> float:
    """Train one epoch with Thresher's loop; a validation of 128 samples is part of it."""
    torch.manual_seed(1)
    config = Training.model_validate({"epochs": 1, "batch_size": batch_size, "device": device})
    _, history = train(Network(SPEC), samples, samples.take(np.arange(128)), config, "benchmark")
    return history.epochs[0].seconds


def load(folder: Path) -> Samples:
    """Return the 60,000 training samples."""
    if not folder.is_dir():
        sys.exit(f"{folder} is missing. Run: thresher fetch fashion_mnist")
    hint = "Run: thresher fetch fashion_mnist"
    images = read_idx(folder / "train-images-idx3-ubyte.gz", 3, hint)
    labels = read_idx(folder / "train-labels-idx1-ubyte.gz", 1, hint)
    return Samples(images[:, None].copy(), labels.astype(np.int64), NAMES)


if __name__ == "__main__":
    main()
