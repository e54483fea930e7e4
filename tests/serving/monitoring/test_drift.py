"""Inputs unlike those of training are seen, and those like them are not mistaken for it."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.any_modality import MODALITIES, TASKS, make_encoder, make_samples
from prometheus_client import CollectorRegistry

from thresher import modalities
from thresher.modalities.service import service_of
from thresher.serving.monitoring.drift import FEWEST, SAMPLES_PER_SECOND, WINDOW, Drift, Watched
from thresher.serving.monitoring.profile import Histogram, make_profile, population_stability_index

LABELS = {"recipe": "shapes", "model_version": "7"}


def test_the_index_is_the_one_of_the_book() -> None:
    """By hand: shares .5 .5 against .75 .25 give .25 ln 1.5 - .25 ln .5; half a count is nothing to these."""
    index = population_stability_index(np.array([5e9, 5e9]), np.array([7.5e9, 2.5e9]))
    assert index == pytest.approx(0.25 * np.log(1.5) - 0.25 * np.log(0.5), rel=1e-6)
    assert population_stability_index(np.array([10, 20]), np.array([10, 20])) == 0


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("task", TASKS)
def test_every_feature_of_every_modality_is_in_the_profile(modality: str, task: str) -> None:
    encoder, raw = make_encoder(modality, task), make_samples(modality, task)
    samples = modalities.encode(encoder, raw)
    profile = make_profile(encoder, samples.inputs, samples.labels)
    names = {
        "image": ["brightness", "contrast"],
        "text": ["length", "unknown_share"],
        "tabular": ["age", "hours", "job"],
        "series": ["length", "level_current", "spread_current", "level_vibration", "spread_vibration"],
    }[modality]
    assert sorted(histogram.name for histogram in profile.features) == sorted(names)
    for histogram in (*profile.features, profile.prediction):
        assert sum(histogram.counts) == len(samples.labels) == profile.num_samples
        assert list(histogram.bounds) == sorted(set(histogram.bounds))
    assert type(profile).model_validate_json(profile.model_dump_json()) == profile


def test_a_profile_from_before_channels_had_names_is_still_read() -> None:
    encoder, raw = make_encoder("series"), make_samples("series")
    samples = modalities.encode(encoder, raw)
    profile = make_profile(encoder.model_copy(update={"channel_names": ()}), samples.inputs, samples.labels)
    drift = Drift(encoder, profile, LABELS, registry := CollectorRegistry())
    for _ in range(10):
        drift._refilled = 0.0
        drift.observe(samples.inputs, np.eye(3, dtype=np.float32)[np.zeros(len(samples.inputs), np.int64)])
    drift.flush()
    assert registry.get_sample_value("thresher_input_drift_psi", {**LABELS, "feature": "level_1"}) is not None


def test_categories_have_a_bin_each() -> None:
    encoder, raw = make_encoder("tabular"), make_samples("tabular")
    samples = modalities.encode(encoder, raw)
    (jobs,) = [one for one in make_profile(encoder, samples.inputs, samples.labels).features if one.name == "job"]
    assert jobs.counts == (0, 15, 15, 15, 15)  # none unseen, four kinds, the missing one among them
    assert service_of(encoder).features(samples.inputs)["job"].max() == 4


def test_a_shift_is_seen_and_its_absence_too() -> None:
    dice = np.random.default_rng(1)
    values = dice.normal(size=10_000)
    bounds = np.quantile(values, np.arange(1, 10) / 10)
    expected = Histogram(name="x", bounds=tuple(bounds), counts=tuple(np.bincount(np.searchsorted(bounds, values))))
    same, shifted = Watched(expected), Watched(expected)
    same.observe(dice.normal(size=FEWEST - 1))
    assert same.index is None
    same.observe(dice.normal(size=800))
    shifted.observe(dice.normal(loc=0.8, size=1000))
    assert same.index is not None
    assert shifted.index is not None
    assert same.index < 0.1 < 0.25 < shifted.index


def test_what_is_long_past_fades() -> None:
    expected = Histogram(name="x", bounds=(0.5,), counts=(500, 500))
    watched = Watched(expected)
    watched.observe(np.ones(3 * WINDOW))
    assert watched.index is not None
    assert watched.index > 1
    for _ in range(100):
        watched.observe(np.arange(100) % 2)
    assert watched.index < 0.01
    assert watched.num_samples < 2 * WINDOW


def test_a_drift_is_on_the_metrics_and_costs_a_bounded_number_of_samples() -> None:
    encoder, raw = make_encoder("image"), make_samples("image")
    samples = modalities.encode(encoder, raw)
    registry = CollectorRegistry()
    drift = Drift(encoder, make_profile(encoder, samples.inputs, samples.labels), LABELS, registry)
    outputs = np.eye(3, dtype=np.float32)[np.zeros(60, np.int64)]

    def say(name: str, **more: str) -> float | None:
        drift.flush()
        return registry.get_sample_value(name, {**LABELS, **more})

    for _ in range(50):
        drift.observe(np.zeros_like(samples.inputs), outputs)
    assert say("thresher_input_drift_samples") == SAMPLES_PER_SECOND
    assert say("thresher_input_drift_psi", feature="brightness") is None
    for _ in range(10):
        drift._refilled = 0.0  # as if another second had gone by
        drift.observe(np.zeros_like(samples.inputs), outputs)
    brightness, predictions = (
        say("thresher_input_drift_psi", feature="brightness"),
        say("thresher_prediction_drift_psi"),
    )
    assert brightness is not None
    assert predictions is not None
    assert min(brightness, predictions) > 0.25
