"""A metric of quality says which epoch is kept, and when a training stops early."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import f1_score

from thresher.errors import DataError
from thresher.modalities.samples import Samples
from thresher.models.network import Network
from thresher.recipe.partial import read_partial
from thresher.recipe.rules import find_problems
from thresher.training import Training
from thresher.training.history import TrainingHistory
from thresher.training.loop import train
from thresher.training.optimizers import Adam

Halves = Callable[[int], Samples]
QUICK = Training(optimizer=Adam(lr=0.004), epochs=10, batch_size=16, device="cpu")


def noisy(samples: Samples) -> Samples:
    """Return ``samples`` of which every fourth has the wrong label: the surer a network, the larger its loss."""
    wrong = np.arange(len(samples)) % 4 == 0
    return Samples(samples.inputs, np.where(wrong, 1 - samples.labels, samples.labels), samples.class_names)


def trained(network: Network, halves: Halves, **training: Any) -> tuple[Network, TrainingHistory]:
    config = QUICK.model_copy(update=training)
    return train(network, halves(64), noisy(halves(120)), config, "float")


def test_the_epoch_that_is_best_by_the_metric_is_kept(network: Network, halves: Halves) -> None:
    name = halves(8).class_names[1]
    _, by_loss = trained(network, halves)
    kept, history = trained(network, halves, best_by=f"f1[{name}]")
    figures = [epoch.best_by for epoch in history.epochs]
    assert None not in figures and history.best_epoch == int(np.argmax(figures)) + 1
    assert history.best_epoch != by_loss.best_epoch
    assert (history.best_by, by_loss.best_by, by_loss.epochs[0].best_by) == (f"f1[{name}]", "loss", None)
    # The figure is that of the weights that are kept.
    import torch

    with torch.inference_mode():
        classes = kept.predict(torch.from_numpy(halves(120).inputs)).argmax(1).numpy()
    assert history.kept.best_by == pytest.approx(f1_score(noisy(halves(120)).labels, classes))


def test_of_an_error_the_least_is_best(network: Network, halves: Halves) -> None:
    _, history = trained(network, halves, best_by="log_loss")
    assert [epoch.best_by for epoch in history.epochs] == pytest.approx(
        [epoch.validation_loss for epoch in history.epochs], rel=1e-4
    )
    assert history.best_epoch == trained(network, halves)[1].best_epoch


def test_training_stops_where_the_metric_no_longer_gains(network: Network, halves: Halves) -> None:
    _, history = trained(network, halves, best_by="accuracy", early_stopping=2, epochs=40)
    assert len(history.epochs) == history.best_epoch + 2 < 40
    best = max(epoch.best_by or 0 for epoch in history.epochs)
    assert best == history.kept.best_by == pytest.approx(history.kept.validation_metric)


def test_what_the_validation_split_cannot_tell_is_said_before_training(network: Network, halves: Halves) -> None:
    alike = halves(60)
    alike = alike.take(alike.labels == 0)
    config = QUICK.model_copy(update={"best_by": "roc_auc"})
    with pytest.raises(DataError, match="roc_auc has no value on the validation split: there is no sample of class"):
        train(network, halves(64), alike, config, "float")


def test_it_is_checked_with_the_recipe() -> None:
    with pytest.raises(ValidationError, match="best_by says nothing where the last epoch is kept"):
        Training(best_by="mcc", keep="last")
    with pytest.raises(ValidationError, match=r"'recall' does not say of what\. Fix: recall\[CLASS\]"):
        Training(best_by="recall")
    assert Training(best_by="mcc", keep="last", early_stopping=2).best_by == "mcc"
    recipe = {"task": "classification", "training": {"best_by": "mape"}}
    found = [each for each in find_problems(read_partial(recipe)) if each[0] == ("training", "best_by")]
    assert found == [(("training", "best_by"), "'mape' is not measured in a classification", "Leave it out.")]
