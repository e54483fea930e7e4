"""A real challenger in its own process: what is compared, what is dropped, and that the champion never notices."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.any_modality import MODALITIES, make_encoder, make_samples
from helpers.tiny_onnx import make_sum_onnx
from prometheus_client import CollectorRegistry
from tiny_service import make_info

from thresher.modalities.encoder import Encoder
from thresher.serving.core.bundle import Bundle, BundleError
from thresher.serving.core.session import open_session
from thresher.serving.monitoring.challenger import (
    FOLDER,
    SHARE_FILE,
    Challenger,
    choose_challenger,
    read_challenger,
    why_unfit,
    write_challenger,
)
from thresher.serving.monitoring.shadow import MAX_TAKE_BYTES, MAX_WAITING, Shadow, open_shadow
from thresher.serving.options import ShadowOptions

TIMEOUT_S = 60


def bundle_of(encoder: Encoder, version: str, scale: float = 1e-3) -> Bundle:
    onnx_file = make_sum_onnx(encoder.model_input, len(encoder.class_names), scale)
    return Bundle(onnx_file, encoder, make_info(model_version=version))


class Watched:
    """A champion, its shadow, and the shadow's metrics."""

    def __init__(self, folder: Path, champion: Bundle, challenger: Bundle, share: float = 1.0) -> None:
        self.registry = CollectorRegistry()
        write_challenger(folder, Challenger(challenger, share))
        shadow = open_shadow(folder, champion, self.registry)
        assert shadow is not None
        self.shadow, self._session = shadow, open_session(champion)

    def answer(self, samples: np.ndarray) -> np.ndarray:
        """Answer as the service does: the shadow sees it afterwards."""
        outputs = self._session.run(samples)
        self.shadow.observe(samples, outputs)
        return outputs

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of a metric over the labels that are not given."""
        samples = (one for metric in self.registry.collect() for one in metric.samples)
        return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def wait_for(self, name: str, value: float) -> None:
        self.wait(lambda: self.value(name) >= value)
        assert self.value(name) == value


Watch = Callable[..., Watched]


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    watched: list[Watched] = []

    def start(champion: Bundle, challenger: Bundle, share: float = 1.0) -> Watched:
        watched.append(Watched(tmp_path / str(len(watched)), champion, challenger, share))
        return watched[-1]

    yield start
    for one in watched:
        one.shadow.close()
        with pytest.raises(ProcessLookupError):  # it is gone, and no zombie
            os.kill(one.shadow.process_id, 0)


@pytest.mark.slow
@pytest.mark.parametrize("modality", MODALITIES)
def test_agreement_is_that_of_both_models_called_by_hand(watch: Watch, modality: str) -> None:
    encoder = make_encoder(modality)
    # The champion answers by the sum of a sample, the challenger by its negative: they agree where it hardly matters.
    champion, challenger = bundle_of(encoder, "7", 1e-3), bundle_of(encoder, "8", -1e-3)
    watched = watch(champion, challenger)
    samples = encoder.encode(make_samples(modality).inputs)
    ours = np.concatenate([watched.answer(samples[start : start + 7]) for start in range(0, len(samples), 7)])
    theirs = open_session(challenger).run(samples)
    watched.wait_for("thresher_shadow_compared_total", len(samples))
    same = ours.argmax(axis=1) == theirs.argmax(axis=1)
    assert watched.value("thresher_shadow_agreements_total") == same.sum()
    for index, label in enumerate(encoder.class_names):
        chosen = ours.argmax(axis=1) == index
        assert watched.value("thresher_shadow_compared_total", label=label) == chosen.sum()
        assert watched.value("thresher_shadow_agreements_total", label=label) == (same & chosen).sum()
        assert watched.value("thresher_shadow_predictions_total", label=label) == (theirs.argmax(axis=1) == index).sum()
    rows = np.arange(len(samples))
    distance = np.abs(ours - theirs)[rows, ours.argmax(axis=1)].sum()
    assert watched.value("thresher_shadow_difference_sum") == pytest.approx(distance, rel=1e-4)
    versions = {"recipe": "shapes", "model_version": "7", "challenger_version": "8"}
    num_calls = -(-len(samples) // 7)
    assert watched.value("thresher_shadow_seconds_count", **versions) == num_calls
    assert watched.value("thresher_shadow_samples_sum", **versions) == len(samples)
    assert watched.value("thresher_shadow_dropped_total") == watched.value("thresher_shadow_errors_total") == 0


def test_a_regression_has_differences_and_no_agreement(watch: Watch) -> None:
    encoder = make_encoder("tabular", "regression")
    watched = watch(bundle_of(encoder, "7", 2.0), bundle_of(encoder, "8", 3.0))
    samples = encoder.encode(make_samples("tabular", "regression").inputs)
    outputs = watched.answer(samples)
    watched.wait_for("thresher_shadow_compared_total", len(samples))
    assert watched.value("thresher_shadow_difference_sum") == pytest.approx(np.abs(outputs).sum() / 2, rel=1e-4)
    assert watched.value("thresher_shadow_difference_count") == len(samples)
    assert watched.value("thresher_shadow_agreements_total") == 0


def test_the_share_is_of_single_samples(watch: Watch) -> None:
    encoder = make_encoder("image")
    watched = watch(bundle_of(encoder, "7"), bundle_of(encoder, "8"), share=0.25)
    samples = encoder.encode(make_samples("image").inputs)
    outputs = open_session(bundle_of(encoder, "7")).run(samples)
    for _ in range(40):
        watched.shadow.observe(samples, outputs)
        for index in range(10):
            watched.shadow.observe(samples[index : index + 1], outputs[index : index + 1])
        watched.wait(lambda: watched.shadow.num_waiting == 0)
    total = 40 * (len(samples) + 10)
    watched.wait(lambda: watched.value("thresher_shadow_compared_total") > 0.2 * total)
    watched.shadow.close()
    seen = watched.value("thresher_shadow_compared_total") + watched.value("thresher_shadow_dropped_total")
    assert seen == pytest.approx(0.25 * total, abs=5 * (0.25 * 0.75 * total) ** 0.5)


def test_what_is_taken_may_be_written_over(watch: Watch) -> None:
    encoder = make_encoder("image")
    watched = watch(bundle_of(encoder, "7"), bundle_of(encoder, "8"))
    samples = encoder.encode(make_samples("image").inputs).copy()
    outputs = watched.answer(samples)
    samples[:], outputs[:] = 0, np.nan
    watched.wait_for("thresher_shadow_agreements_total", len(samples))
    assert watched.value("thresher_shadow_difference_sum") == pytest.approx(0, abs=1e-5)


def test_a_challenger_that_stands_still_costs_nothing_but_its_share(watch: Watch) -> None:
    encoder = make_encoder("image")
    watched = watch(bundle_of(encoder, "7"), bundle_of(encoder, "8"))
    sample = encoder.encode(make_samples("image").inputs)[:1]
    watched.answer(sample)
    watched.wait_for("thresher_shadow_compared_total", 1)
    os.kill(watched.shadow.process_id, signal.SIGSTOP)
    for _ in range(1000):
        watched.answer(sample)
    dropped = watched.value("thresher_shadow_dropped_total")
    assert 1000 - MAX_WAITING - 1 <= dropped <= 1000 - MAX_WAITING
    os.kill(watched.shadow.process_id, signal.SIGCONT)
    watched.wait_for("thresher_shadow_compared_total", 1001 - dropped)


def test_large_takes_are_cut(watch: Watch) -> None:
    encoder = make_encoder("image")
    watched = watch(bundle_of(encoder, "7"), bundle_of(encoder, "8"))
    most = MAX_TAKE_BYTES // encoder.model_input.sample_bytes
    watched.shadow.observe(encoder.model_input.example(most + 10), np.ones((most + 10, 3), np.float32))
    watched.wait_for("thresher_shadow_compared_total", most)
    assert watched.value("thresher_shadow_dropped_total") == 10


def test_a_killed_challenger_leaves_the_champion_alone(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    encoder = make_encoder("image")
    watched = watch(bundle_of(encoder, "7"), bundle_of(encoder, "8"))
    sample = encoder.encode(make_samples("image").inputs)[:1]
    watched.answer(sample)
    watched.wait_for("thresher_shadow_compared_total", 1)
    os.kill(watched.shadow.process_id, signal.SIGKILL)
    watched.answer(sample)
    watched.wait_for("thresher_shadow_errors_total", 1)
    dropped = watched.value("thresher_shadow_dropped_total")
    for _ in range(100):
        watched.answer(sample)
    watched.wait(lambda: watched.value("thresher_shadow_dropped_total") >= dropped + 99)
    assert watched.value("thresher_shadow_compared_total") == 1
    assert "The challenger's process has ended" in caplog.text


def test_what_only_the_challenger_cannot_answer_is_an_error_and_what_the_champion_cannot_is_none(
    watch: Watch,
) -> None:
    encoder = make_encoder("tabular", "regression")
    watched = watch(bundle_of(encoder, "7", 1.0), bundle_of(encoder, "8", 1e38))
    sample = encoder.model_input.example(1)
    watched.answer(sample)
    large = sample + 1e3
    watched.answer(large)
    watched.wait_for("thresher_shadow_errors_total", 1)
    watched.shadow.observe(large, np.array([[np.inf]], np.float32))
    watched.shadow.observe(np.zeros((1, 99), np.float32), np.zeros((1, 1), np.float32))  # its model takes no such row
    watched.wait_for("thresher_shadow_errors_total", 2)
    watched.answer(sample)
    watched.wait_for("thresher_shadow_compared_total", 2)
    assert np.isfinite(watched.value("thresher_shadow_difference_sum"))


def test_it_runs_when_nobody_else_wants_the_core(watch: Watch) -> None:
    encoder = make_encoder("image")
    watched = watch(bundle_of(encoder, "7"), bundle_of(encoder, "8"))
    watched.wait(lambda: os.getpriority(os.PRIO_PROCESS, watched.shadow.process_id) == 19)


def test_a_challenger_that_cannot_be_opened_is_an_error_of_its_own(tmp_path: Path) -> None:
    encoder = make_encoder("image")
    champion = bundle_of(encoder, "7")
    assert open_shadow(tmp_path, champion, CollectorRegistry()) is None
    write_challenger(tmp_path, Challenger(replace(champion, onnx_bytes=b"no model"), 0.5))
    registry = CollectorRegistry()
    shadow = open_shadow(tmp_path, champion, registry)
    assert isinstance(shadow, Shadow)
    sample, deadline = encoder.model_input.example(1), time.monotonic() + TIMEOUT_S
    who = {"recipe": "shapes", "model_version": "7", "challenger_version": "7"}
    while not registry.get_sample_value("thresher_shadow_errors_total", who):
        shadow.observe(sample, np.ones((1, 3), np.float32))
        assert time.monotonic() < deadline
        time.sleep(0.01)
    shadow.close()
    (tmp_path / FOLDER / "encoder.json").write_text("{}")
    assert open_shadow(tmp_path, champion, CollectorRegistry()) is None
    (tmp_path / FOLDER / SHARE_FILE).unlink()
    with pytest.raises(BundleError, match=r"share\.json cannot be read.*Package the model again"):
        read_challenger(tmp_path)


def test_a_challenger_comes_back_as_it_was_packed(tmp_path: Path) -> None:
    encoder = make_encoder("text")
    given = Challenger(replace(bundle_of(encoder, "8"), attachments={"card.md": b"# It"}), 0.25)
    write_challenger(tmp_path, given)
    assert read_challenger(tmp_path) == given


def test_only_who_takes_the_same_samples_can_be_the_challenger() -> None:
    image, other = make_encoder("image"), make_encoder("image").model_copy(update={"mean": (1.0,), "std": (2.0,)})
    champion = bundle_of(image, "7")
    assert why_unfit(champion, bundle_of(image, "8")) == ""
    assert why_unfit(champion, bundle_of(other, "8")) == ""  # these are constants of the graph
    turned = image.model_copy(update={"class_names": image.class_names[::-1]})
    rows = make_encoder("tabular")
    wider = rows.model_copy(update={"unseen_categories": "other"})
    for ours, theirs, version, reason in (
        (image, image, "7", "it is the champion itself"),
        (image, turned, "8", "it has other classes, or in another order"),
        (image, make_encoder("image", "regression"), "8", "it does a regression, the champion a classification"),
        (rows, wider, "8", "makes other samples of the same input: unseen_categories"),
        (make_encoder("text"), make_encoder("text", tokenizer="bpe"), "8", "of the same input: tokenizer"),
    ):
        assert reason in why_unfit(bundle_of(ours, "7"), bundle_of(theirs, version))


def test_what_is_packed_is_said() -> None:
    encoder = make_encoder("image")
    champion, challenger = bundle_of(encoder, "7"), bundle_of(encoder, "8")

    def choose(found: Bundle | None, **options: Any) -> tuple[Challenger | None, str]:
        return choose_challenger(champion, found, ShadowOptions.model_validate(options))

    packed, said = choose(challenger, share=0.05)
    assert packed == Challenger(challenger, 0.05)
    assert said == "The challenger, version 8, sees 5.0% of the samples."
    for found, options, said in (
        (None, {}, "serving.shadow.version challenger: no version has this alias. The Bento has no challenger."),
        (None, {"version": 9}, "serving.shadow.version 9: no such version is registered. The Bento has no challenger."),
        (champion, {}, "serving.shadow: version 7 cannot be the challenger: it is the champion itself. The Bento has"),
    ):
        packed, told = choose(found, **options)
        assert packed is None
        assert told.startswith(said)
