"""Samples a second of one recipe, in turns: a plain loop, the tutorial's DataLoader loop, Lightning, and Thresher.

It needs torch, numpy and pydantic alone; Lightning is measured where it is installed, and Thresher writes its
checkpoints where safetensors is. One table, in a few minutes.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from thresher.machine import describe_machine
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.samples import Samples
from thresher.models.network import Network, NetworkSpec
from thresher.readers.idx import read_idx
from thresher.training import Training
from thresher.training.autotune import choose_execution
from thresher.training.checkpoints import Checkpoints
from thresher.training.execution import ChosenExecution
from thresher.training.loop import train

MEAN, STD, CLASSES = 72.9, 90.0, 10
SAMPLES = {("lenet", "cpu"): 20_000, ("resnet20", "cpu"): 640, ("lenet", "cuda"): 60_000, ("resnet20", "cuda"): 60_000}
PLAIN = "plain loop"
NUM_JUDGED = 128


def main() -> None:
    """Print the table."""
    arguments = parse()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    samples = load(arguments)
    contestants = {
        PLAIN: plain_loop,
        "DataLoader loop": tutorial_loop,
        "Lightning Trainer": lightning_trainer,
        "Thresher": thresher_loop(arguments, samples),
    }
    if importlib.util.find_spec("lightning") is None:
        del contestants["Lightning Trainer"]
    rounds = measure(contestants, samples, arguments)
    print_table(rounds, arguments, len(samples))


def parse() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=["lenet", "resnet20"], default="lenet")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--samples", type=int, help="of each epoch")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("data/01_raw/fashion_mnist"))
    parser.add_argument("--threads", type=int, help="of everyone; else torch's own choice, and Thresher's trial")
    parser.add_argument("--synthetic", action="store_true", help="noise of the same shape, in place of Fashion-MNIST")
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"], default="fp32", help="of Thresher")
    parser.add_argument("--compile", action="store_true", help="let Thresher compile, not only where a trial says so")
    return parser.parse_args()


def load(arguments: argparse.Namespace) -> Samples:
    """Return the samples to learn from."""
    count = arguments.samples or SAMPLES[arguments.model, arguments.device]
    names = tuple(str(number) for number in range(CLASSES))
    if arguments.synthetic:
        random = np.random.default_rng(1)
        images = random.integers(0, 256, (count, 1, 28, 28), dtype=np.uint8)
        return Samples(images, random.integers(0, CLASSES, count), names)
    if not arguments.folder.is_dir():
        sys.exit(f"{arguments.folder} is missing. Run: thresher fetch fashion_mnist, or give --synthetic")
    hint = "Run: thresher fetch fashion_mnist"
    images = read_idx(arguments.folder / "train-images-idx3-ubyte.gz", 3, hint)
    labels = read_idx(arguments.folder / "train-labels-idx1-ubyte.gz", 1, hint)
    return Samples(images[:count, None].copy(), labels[:count].astype(np.int64), names)


def network_of(arguments: argparse.Namespace) -> Network:
    """Return the untrained network, the same one at every call."""
    if arguments.model == "resnet20":
        from thresher.models.resnet.config import Resnet

        model: Any = Resnet(depth=20)
    else:
        from thresher.models.lenet import LeNet

        model = LeNet()
    torch.manual_seed(1)
    image = ImageInput(channels=1, height=28, width=28, mean=(MEAN,), std=(STD,))
    return Network(NetworkSpec(model=model, input=image, output=ClassOutput(num_classes=CLASSES)))


def measure(
    contestants: dict[str, Callable[..., None]], samples: Samples, arguments: argparse.Namespace
) -> dict[str, np.ndarray]:
    """Return the samples a second of each contestant in each round; the first round warms all up."""
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(arguments.rounds + 1):
        for name in list(contestants)[:: 1 if number % 2 else -1]:
            began = time.perf_counter()
            contestants[name](network_of(arguments), samples, arguments)
            if arguments.device == "cuda":
                torch.cuda.synchronize()
            rates[name].append(arguments.epochs * len(samples) / (time.perf_counter() - began))
            print(f"round {number}: {name} {rates[name][-1]:,.0f} samples/s", file=sys.stderr, flush=True)
    return {name: np.array(values[1:]) for name, values in rates.items()}


def floats_of(samples: Samples) -> torch.Tensor:
    """Return the images normalized, as the other loops take them."""
    return (torch.from_numpy(samples.inputs).float() - MEAN) / STD


def plain_loop(network: Network, samples: Samples, arguments: argparse.Namespace) -> None:
    """Train on one float tensor that lies on the device, with torch's defaults."""
    body, device = network.body.to(arguments.device), arguments.device
    inputs, labels = floats_of(samples).to(device), torch.from_numpy(samples.labels).to(device)
    optimizer, loss_function = torch.optim.Adam(body.parameters(), lr=0.001), nn.CrossEntropyLoss()
    for _ in range(arguments.epochs):
        for indices in torch.randperm(len(samples), device=device).split(arguments.batch_size):
            loss = loss_function(body(inputs[indices]), labels[indices])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def tutorial_loop(network: Network, samples: Samples, arguments: argparse.Namespace) -> None:
    """Train the way PyTorch's quickstart does: a DataLoader over float tensors, batch after batch."""
    body, device = network.body.to(arguments.device), arguments.device
    data = TensorDataset(floats_of(samples), torch.from_numpy(samples.labels))
    optimizer, loss_function = torch.optim.Adam(body.parameters(), lr=0.001), nn.CrossEntropyLoss()
    for _ in range(arguments.epochs):
        for inputs, labels in DataLoader(data, arguments.batch_size, shuffle=True):
            loss = loss_function(body(inputs.to(device)), labels.to(device))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()


def lightning_trainer(network: Network, samples: Samples, arguments: argparse.Namespace) -> None:
    """Train with Lightning: loss logged, validated after every epoch, checkpoints on."""
    import lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", ".*num_workers.*")

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.body = network.body

        def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
            loss = nn.functional.cross_entropy(self.body(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

        def validation_step(self, batch: list[torch.Tensor], index: int) -> None:
            self.log("validation_loss", nn.functional.cross_entropy(self.body(batch[0]), batch[1]))

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=0.001)

    data = TensorDataset(floats_of(samples), torch.from_numpy(samples.labels))
    few = TensorDataset(*data[:NUM_JUDGED])
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            max_epochs=arguments.epochs,
            accelerator="gpu" if arguments.device == "cuda" else "cpu",
            default_root_dir=folder,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        loaders = (DataLoader(data, arguments.batch_size, shuffle=True), DataLoader(few, NUM_JUDGED))
        trainer.fit(Module(), *loaders)


def thresher_loop(arguments: argparse.Namespace, samples: Samples) -> Callable[..., None]:
    """Return Thresher's training as a recipe does it; its timed trial comes first, once."""
    config = Training.model_validate(
        {
            "optimizer": {"kind": "adam", "lr": 0.001},
            "epochs": arguments.epochs,
            "batch_size": arguments.batch_size,
            "device": arguments.device,
            "precision": arguments.precision,
            "execution": {
                "compile": True if arguments.compile else "auto",
                "threads": arguments.threads or "auto",
            },
        }
    )
    began = time.perf_counter()
    execution = choose_execution(network_of(arguments), samples, config)
    print(f"trial of {time.perf_counter() - began:.1f} s: {say(execution)}", file=sys.stderr)
    with_checkpoints = importlib.util.find_spec("safetensors") is not None

    def learn(network: Network, samples: Samples, arguments: argparse.Namespace) -> None:
        judge = samples.take(np.arange(NUM_JUDGED))
        with tempfile.TemporaryDirectory() as folder:
            checkpoints = Checkpoints(Path(folder)) if with_checkpoints else None
            train(network, samples, judge, config, "benchmark", execution, checkpoints)

    return learn


def say(execution: ChosenExecution) -> str:
    """Return the execution in words."""
    words = [f"threads {execution.threads}"]
    words += ["channels_last"] * execution.channels_last + ["compiled"] * execution.compile
    return ", ".join(words)


def print_table(rounds: dict[str, np.ndarray], arguments: argparse.Namespace, count: int) -> None:
    """Print the medians, and the ratios of each round with their spread."""
    machine = describe_machine()
    gpu = torch.cuda.get_device_name() if arguments.device == "cuda" else "none used"
    data = "noise" if arguments.synthetic else "Fashion-MNIST"
    print(f"{machine['processor']}, {machine['cores']} cores; GPU: {gpu}; torch {torch.__version__}")
    print(
        f"{arguments.model}, {data}, batch {arguments.batch_size}, {arguments.epochs} epochs of {count:,} samples, "
        f"{torch.get_num_threads()} threads, "
        f"precision of Thresher {arguments.precision}, median [min, max] of {arguments.rounds} rounds\n"
    )
    print("| | samples/s | to the plain loop | Thresher to it |\n| --- | --- | --- | --- |")
    for name, rates in rounds.items():
        against, ours = rates / rounds[PLAIN], rounds["Thresher"] / rates
        print(f"| {name} | {np.median(rates):,.0f} | {spread(against)} | {spread(ours)} |")
    if "Lightning Trainer" not in rounds:
        print("| Lightning Trainer | not installed | | |")


def spread(ratios: np.ndarray) -> str:
    """Return median, least and greatest."""
    return f"{np.median(ratios):.2f}x [{ratios.min():.2f}, {ratios.max():.2f}]"


if __name__ == "__main__":
    main()
