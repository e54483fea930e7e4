"""A training that ends at any step goes on there, and comes to the weights of one that did not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from thresher.events import Event, Step, TrainingEpoch, TrainingStep, subscribe
from thresher.modalities.samples import Samples
from thresher.models.network import Network
from thresher.training import Training
from thresher.training.checkpoints import Checkpoints
from thresher.training.history import Epoch, TrainingHistory
from thresher.training.loop import train
from thresher.training.trainer import Trainer

Halves = Callable[[int], Samples]
EVERY_STEP = {"epochs": 4, "batch_size": 8, "checkpoint_seconds": 1e-9}
RECIPES: dict[str, dict[str, Any]] = {
    "adam": {"optimizer": {"kind": "adam", "lr": 0.01}, "schedule": {"kind": "cosine", "warmup": 0.2}},
    "momentum": {"optimizer": {"kind": "sgd", "lr": 0.05, "momentum": 0.9}, "schedule": {"kind": "step"}},
    "adagrad": {"optimizer": {"kind": "adagrad"}},
    "nadam": {"optimizer": {"kind": "nadam"}},
    "rmsprop": {"optimizer": {"kind": "rmsprop", "momentum": 0.5}},
    "muon": {"optimizer": {"kind": "muon"}, "schedule": {"kind": "one_cycle"}},
    "lbfgs": {"optimizer": {"kind": "lbfgs", "lr": 0.1, "max_iter": 3}, "batch_size": "full"},
    "everything": {
        "ema": 0.9, "augmentation": [{"kind": "flip"}, {"kind": "shift"}, {"kind": "cutout"}], "clip_norm": 1.0,
        "accumulation": 2, "label_smoothing": 0.1, "class_weights": "balanced", "keep": "last", "precision": "fp16",
    },
    "streamed": {"memory_limit_mb": 1, "batch_size": 4096, "augmentation": [{"kind": "crop"}], "ema": 0.5},
}  # fmt: skip


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


def interrupted(network: Network, samples: Samples, judge: Samples, config: Training, folder: Path, step: int) -> None:
    """Train until ``step`` steps are done in this process, and end it there."""
    learn, done = Trainer.learn, 0

    def learn_or_die(self: Trainer, batch: Any) -> torch.Tensor:
        nonlocal done
        if done == step:
            raise Killed
        done += 1
        return learn(self, batch)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Trainer, "learn", learn_or_die)
        train(network, samples, judge, config, "float", None, Checkpoints(folder))


def without_seconds(history: TrainingHistory) -> list[Epoch]:
    return [epoch.model_copy(update={"seconds": 0.0}) for epoch in history.epochs]


def assert_same(one: Network, other: Network) -> None:
    assert one.state_dict().keys() == other.state_dict().keys()
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


@pytest.mark.parametrize("name", RECIPES)
def test_interrupted_twice_it_ends_with_the_same_weights(
    name: str, network: Network, halves: Halves, tmp_path: Path, events: list[Event]
) -> None:
    config = Training.model_validate({**EVERY_STEP, **RECIPES[name]})
    samples, judge = halves(16_000 if name == "streamed" else 30), halves(16)
    undisturbed, history = train(network, samples, judge, config, "float")
    told = [event for event in events if isinstance(event, TrainingEpoch | TrainingStep)]
    steps = history.epochs[-1].step
    # In the middle of an epoch, and right after the next; each process has done so many steps.
    for done in (max(1, steps // 3), max(1, steps // 4)):
        interrupted(network, samples, judge, config, tmp_path, done)
    torch.manual_seed(999)
    events.clear()
    continued, rest = train(network, samples, judge, config, "float", None, Checkpoints(tmp_path))
    assert_same(undisturbed, continued)
    assert without_seconds(rest) == without_seconds(history)
    assert rest.best_epoch == history.best_epoch
    at = max(1, steps // 3) + max(1, steps // 4)
    assert Step(f"float continues at step {at} of {steps}") in events
    # An observer that was not there before hears all of it.
    again = [event for event in events if isinstance(event, TrainingEpoch | TrainingStep)]
    assert [(type(event), event.step) for event in again] == [(type(event), event.step) for event in told]
    assert [e.loss for e in again if isinstance(e, TrainingStep)] == [
        e.loss for e in told if isinstance(e, TrainingStep)
    ]


def test_a_finished_training_is_not_repeated_until_its_folder_is_cleared(
    network: Network, halves: Halves, tmp_path: Path, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, checkpoints = Training.model_validate(EVERY_STEP), Checkpoints(tmp_path / "checkpoints")
    first, history = train(network, halves(30), halves(8), config, "float", None, checkpoints)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "learn", lambda *_: pytest.fail("it learned again"))
        again, same = train(network, halves(30), halves(8), config, "float", None, checkpoints)
    assert_same(first, again)
    assert same == history
    assert Step("float is finished") in events
    checkpoints.clear()
    assert not checkpoints.folder.exists()
    events.clear()
    train(network, halves(30), halves(8), config, "float", None, checkpoints)
    assert not [event for event in events if isinstance(event, Step)]


def test_every_difference_that_counts_begins_anew_and_is_said(
    network: Network, halves: Halves, tmp_path: Path, events: list[Event]
) -> None:
    config = Training.model_validate(EVERY_STEP)
    samples, judge = halves(30), halves(8)
    interrupted(network, samples, judge, config, tmp_path, 5)
    moved = Network(network.spec)
    others: list[tuple[Network, Samples, Samples, dict[str, Any]]] = [
        (moved, samples, judge, {}),
        (network, samples.take(np.arange(29)), judge, {}),
        (network, samples, judge.take(np.arange(7)), {}),
        (network, samples, judge, {"seed": 5}),
        (network, samples, judge, {"epochs": 5}),
    ]
    for other, learned, judged, changed in others:
        events.clear()
        new = config.model_copy(update=changed)
        fresh = train(other, learned, judged, new, "float")[0]
        folder = tmp_path / "copy"
        folder.mkdir()
        (checkpoint,) = tmp_path.glob("*.safetensors")
        (folder / checkpoint.name).write_bytes(checkpoint.read_bytes())
        assert_same(fresh, train(other, learned, judged, new, "float", None, Checkpoints(folder))[0])
        said = [event.text for event in events if isinstance(event, Step)]
        assert said == [f"float: the checkpoint in {folder} belongs to other settings or data and is not used"]
        Checkpoints(folder).clear()


def test_a_damaged_checkpoint_is_said_and_not_used(
    network: Network, halves: Halves, tmp_path: Path, events: list[Event]
) -> None:
    config = Training.model_validate(EVERY_STEP)
    undisturbed, _ = train(network, halves(30), halves(8), config, "float")
    interrupted(network, halves(30), halves(8), config, tmp_path, 5)
    (path,) = tmp_path.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    events.clear()
    assert_same(undisturbed, train(network, halves(30), halves(8), config, "float", None, Checkpoints(tmp_path))[0])
    (said,) = [event.text for event in events if isinstance(event, Step)]
    assert said.startswith(f"{path}: not a readable checkpoint")


def test_an_epoch_is_told_again_to_what_may_end_the_training(network: Network, halves: Halves, tmp_path: Path) -> None:
    config, seen = Training.model_validate(EVERY_STEP), []

    class PrunedError(Exception):
        pass

    def prune(epoch: Epoch) -> None:
        seen.append(epoch.epoch)
        if epoch.epoch == 3:
            raise PrunedError

    interrupted(network, halves(30), halves(8), config, tmp_path, 10)
    with pytest.raises(PrunedError):
        train(network, halves(30), halves(8), config, "float", None, Checkpoints(tmp_path), prune)
    assert seen == [1, 2, 3]


def test_a_seldom_checkpoint_is_written_at_the_end_of_long_epochs_alone(
    network: Network, halves: Halves, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    save = Checkpoints.save

    def count(self: Checkpoints, name: str, key: str, state: Any, finished: bool = False) -> None:
        written.append(state["position"]["step"])
        save(self, name, key, state, finished)

    monkeypatch.setattr(Checkpoints, "save", count)
    config = Training.model_validate({**EVERY_STEP, "checkpoint_seconds": 3600})
    train(network, halves(30), halves(8), config, "float", None, Checkpoints(tmp_path / "short"))
    assert written == [16]
    written.clear()
    monkeypatch.setattr("thresher.training.checkpointer.MIN_SECONDS", 0.0)
    train(network, halves(30), halves(8), config, "float", None, Checkpoints(tmp_path / "long"))
    assert written == [4, 8, 12, 16]


def test_weights_that_are_not_finite_never_replace_a_checkpoint(
    network: Network, halves: Halves, tmp_path: Path
) -> None:
    from thresher.errors import TrainingError

    config = Training.model_validate({**EVERY_STEP, "optimizer": {"kind": "sgd", "lr": 0.1}})
    end = subscribe(lambda event: None)
    learn, steps = Trainer.learn, 0

    def explode(self: Trainer, batch: Any) -> torch.Tensor:
        nonlocal steps
        steps += 1
        loss = learn(self, batch)
        if steps == 6:
            with torch.no_grad():
                self.network.body.fc2.bias.fill_(float("nan"))
        return loss

    with pytest.MonkeyPatch.context() as patch, pytest.raises(TrainingError) as caught:
        patch.setattr(Trainer, "learn", explode)
        train(network, halves(30), halves(8), config, "float", None, Checkpoints(tmp_path))
    end()
    (path,) = tmp_path.glob("*.safetensors")
    assert "the loss is nan at step 7, whose batch is sample" in str(caught.value)
    assert f"Last good checkpoint: {path}." in str(caught.value)
    from thresher.training.state_io import read_state

    assert read_state(path)["position"]["step"] == 5
