"""Losses are torch's own means, whole or in parts, with smoothing and class weights; values are judged in variances."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F

from thresher.modalities.outputs import ClassOutput, ValueOutput
from thresher.modalities.samples import Samples
from thresher.models.network import Network
from thresher.training import Training
from thresher.training.loop import train
from thresher.training.losses import balanced_weights, build_loss
from thresher.training.validation import evaluate_network

CPU = torch.device("cpu")
LABELS = np.array([0] * 12 + [1] * 6 + [2] * 2)
LOGITS = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 3))).float()


def test_balanced_weights_are_scikit_learns() -> None:
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    np.testing.assert_allclose(balanced_weights(LABELS, ClassOutput(num_classes=3)), expected, rtol=1e-6)


def test_a_class_without_samples_has_a_finite_weight() -> None:
    assert torch.isfinite(balanced_weights(LABELS, ClassOutput(num_classes=5))).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, "balanced"])
def test_classes_cost_torchs_cross_entropy_whole_and_in_parts(smoothing: float, weights: str | None) -> None:
    output = ClassOutput(num_classes=3)
    config = Training.model_validate({"label_smoothing": smoothing, "class_weights": weights})
    loss, labels = build_loss(output, config, LABELS, CPU), torch.from_numpy(LABELS)
    own = None if weights is None else balanced_weights(LABELS, output)
    expected = F.cross_entropy(LOGITS, labels, own, label_smoothing=smoothing)
    torch.testing.assert_close(loss.mean(LOGITS, labels), expected)
    parts = sum(loss.sum(LOGITS[cut], labels[cut]) for cut in (slice(0, 7), slice(7, 20)))
    torch.testing.assert_close(parts / loss.weight(labels), expected)


@pytest.mark.parametrize("weights", [None, "balanced"])
def test_focal_loss_is_that_of_its_source_whole_and_in_parts(weights: str | None) -> None:
    output, labels = ClassOutput(num_classes=3), torch.from_numpy(LABELS)
    config = Training.model_validate({"focal_gamma": 2, "class_weights": weights})
    loss = build_loss(output, config, LABELS, CPU)
    own = torch.ones(3) if weights is None else balanced_weights(LABELS, output)
    right = LOGITS.softmax(1)[torch.arange(len(labels)), labels]
    expected = (own[labels] * (1 - right) ** 2 * -right.log()).sum() / own[labels].sum()
    torch.testing.assert_close(loss.mean(LOGITS, labels), expected)
    parts = sum(loss.sum(LOGITS[cut], labels[cut]) for cut in (slice(0, 7), slice(7, 20)))
    torch.testing.assert_close(parts / loss.weight(labels), expected)


def test_focal_loss_of_a_sure_sample_has_a_finite_gradient() -> None:
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    build_loss(ClassOutput(num_classes=2), Training(focal_gamma=0.5), LABELS, CPU).mean(
        logits, torch.tensor([0])
    ).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


def test_values_cost_the_mean_squared_error() -> None:
    loss = build_loss(ValueOutput(mean=5.0, std=2.0), Training(), LABELS, CPU)
    values, labels = torch.tensor([[1.0], [2.0]]), torch.tensor([3.0, 5.0])
    assert loss.mean(values, labels).item() == pytest.approx((4 + 9) / 2)


def test_a_regression_learns_and_is_judged_in_the_labels_own_unit(
    value_network: Network, brightness: Callable[[int], Samples]
) -> None:
    config = Training.model_validate({"optimizer": {"kind": "adam", "lr": 0.02}, "epochs": 40, "batch_size": 16})
    trained, history = train(value_network, brightness(128), brightness(64), config, "float")
    best = history.epochs[history.best_epoch - 1]
    assert history.metric == "rmse"
    assert best.validation_metric < 30 < history.epochs[0].validation_metric
    assert best.validation_metric == pytest.approx(220 * best.validation_loss**0.5)
    judge = brightness(64)
    errors = trained.predict(torch.from_numpy(judge.inputs)).detach().numpy()[:, 0] - judge.labels
    assert best.validation_metric == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-4)


def test_class_weights_and_smoothing_change_what_is_learned_and_not_how_it_is_judged(
    network: Network, halves: Callable[[int], Samples]
) -> None:
    few = halves(60).take(np.r_[0:60:2, 1:9:2])
    config = Training.model_validate({"epochs": 2, "batch_size": 8})
    losses = []
    for setting in (
        {},
        {"class_weights": "balanced"},
        {"label_smoothing": 0.3},
        {"sampling": "balanced"},
        {"focal_gamma": 2.0},
    ):
        trained, history = train(network, few, halves(20), config.model_copy(update=setting), "float")
        losses.append(history.epochs[0].training_loss)
        best = history.epochs[history.best_epoch - 1]
        assert best.validation_loss == pytest.approx(evaluate_network(trained, halves(20), CPU)[0])
    assert len({round(loss, 4) for loss in losses}) == 5
