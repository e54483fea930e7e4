"""Candidates that are made at the same time, as by Kedro's ThreadRunner, are bit for bit what they are one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from thresher.compression.candidate import NamedCandidate
from thresher.events import Event, TrainingEpoch, subscribe
from thresher.modalities.outputs import ClassOutput
from thresher.models.mlp import Mlp
from thresher.models.network import Network, NetworkSpec
from thresher.pipelines.compress.nodes import compress_network, export_network
from thresher.training import Training
from thresher.training.augmentation import Flip
from thresher.training.checkpoints import Checkpoints
from thresher.training.execution import ChosenExecution

NAMES = ("half", "third", "quarter")
EXECUTION = ChosenExecution(channels_last=False, compile=False, threads=1)
PATIENCE_S = 60
Chain = Callable[[str, Network, Path], Network]


@pytest.fixture
def chain(digits: Any, grey: Any) -> Chain:
    def run(name: str, base: Network, folder: Path) -> Network:
        from thresher.modalities.image.encoder import ImageEncoder

        encoder = ImageEncoder(
            channels=1, height=8, width=8, mean=(78.0,), std=(96.0,), class_names=tuple("0123456789")
        )
        ratio = {"half": 0.5, "third": 0.34, "quarter": 0.25}[name]
        steps = [{"kind": "prune_channels", "ratio": ratio, "importance": "taylor"}, {"kind": "finetune", "epochs": 2}]
        candidate = NamedCandidate.model_validate({"name": name, "steps": steps})
        training = Training(epochs=1, batch_size=64, augmentation=[Flip()] if base.spec.model.kind == "mlp" else [])
        made = compress_network(
            base, encoder, digits.training, digits.validation, candidate, training, EXECUTION, Checkpoints(folder)
        )
        assert isinstance(made, Network), made
        return made

    return run


@pytest.fixture
def drawing(grey: Any) -> Network:
    """A network that draws random numbers at every step of its training."""
    torch.manual_seed(3)
    return Network(NetworkSpec(model=Mlp(hidden=(32,), dropout=0.3), input=grey, output=ClassOutput(num_classes=10)))


def side_by_side(work: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    """Return what each function gives; all run at the same time."""
    made: dict[str, Any] = {}
    threads = [
        threading.Thread(target=lambda name=name, function=function: made.update({name: function()}))  # type: ignore[misc]
        for name, function in work.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    return made


def assert_same(one: Network, other: Network) -> None:
    assert one.spec == other.spec
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        assert torch.equal(weight, theirs[name]), name


@pytest.mark.parametrize("draws", [False, True], ids=["no_random_numbers", "dropout_and_augmentation"])
def test_candidates_are_finetuned_at_the_same_time_and_come_to_the_same_bits(
    draws: bool, trained: Network, drawing: Network, chain: Chain, tmp_path: Path
) -> None:
    base = drawing if draws else trained
    alone = {name: chain(name, base, tmp_path / "alone" / name) for name in NAMES}
    # Passed only by all of them together, each in the middle of its own finetuning.
    together = threading.Barrier(len(NAMES))

    def meet(event: Event) -> None:
        if isinstance(event, TrainingEpoch) and event.epoch == 1:
            together.wait(PATIENCE_S)

    end = subscribe(meet)
    try:
        work: dict[str, Callable[[], Any]] = {
            name: lambda name=name: chain(name, base, tmp_path / "beside" / name)  # type: ignore[misc]
            for name in NAMES
        }
        made = side_by_side(work)
    finally:
        end()
    assert not together.broken and made.keys() == set(NAMES)
    for name in NAMES:
        assert_same(alone[name], made[name])


def test_an_export_beside_a_finetuning_changes_neither(
    trained: Network, float_onnx: bytes, digits: Any, chain: Chain, tmp_path: Path
) -> None:
    tuned = chain("half", trained, tmp_path / "alone")
    made = side_by_side(
        {
            "half": lambda: chain("half", trained, tmp_path / "beside"),
            "file": lambda: export_network(trained, digits.validation),
        }
    )
    assert made["file"] == float_onnx
    assert_same(made["half"], tuned)
