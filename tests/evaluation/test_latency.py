"""Both models take turns in rounds, on whole batches of real samples, in sessions like those that serve."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby, product
from typing import Any
from weakref import WeakSet

import numpy as np
import onnx
import onnxruntime
import pytest

from thresher.compression.file import profiling
from thresher.evaluation import Measurement, latency
from thresher.evaluation.evaluation import Contender, evaluate
from thresher.evaluation.latency import MIN_CALLS_A_ROUND, SETTLING_CALLS, WARMUP_CALLS, Timed, measure_latency
from thresher.evaluation.quality import ClassificationQuality
from thresher.evaluation.runtime import open_session, predict
from thresher.modalities.image.encoder import ImageEncoder, ImageEncoding
from thresher.modalities.image.model_input import ImageInput
from thresher.serving.core import session as serving
from thresher.serving.core.bundle import Bundle, ModelInfo

IMAGE = ImageInput(channels=1, height=8, width=8, mean=(78.0,), std=(96.0,))
QUICK = Measurement(rounds=10, seconds=0.01, batch_sizes=(1, 3))


def as_pair(onnx_file: bytes, inputs: np.ndarray) -> tuple[Timed, Timed]:
    return Timed(onnx_file, inputs, IMAGE), Timed(onnx_file, inputs, IMAGE)


class Recorded:
    """A session that notes its calls."""

    def __init__(self, session: onnxruntime.InferenceSession, calls: list[tuple[int, int]], number: int) -> None:
        self.session, self.calls, self.number = session, calls, number

    def run(self, names: None, feed: dict[str, np.ndarray]) -> Any:
        self.calls.append((self.number, len(feed["image"])))
        return self.session.run(names, feed)


@dataclass
class Noted:
    """What was done while models were timed.

    Attributes:
        calls: (session, batch) of each; sessions are numbered as they are opened.
        models: of each session, by the bytes of its file.
        still_open: when a session was opened, the numbers of those that had not been closed.
    """

    calls: list[tuple[int, int]]
    models: list[bytes]
    still_open: list[list[int]]


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Noted:
    noted, living = Noted([], [], []), WeakSet[Recorded]()

    def open_recorded(onnx_file: bytes, threads: int) -> Recorded:
        noted.still_open.append(sorted(recorded.number for recorded in living))
        recorded = Recorded(open_session(onnx_file, threads), noted.calls, len(noted.models))
        noted.models.append(onnx_file)
        living.add(recorded)
        return recorded

    monkeypatch.setattr(latency, "open_session", open_recorded)
    return noted


def test_every_batch_size_has_its_figures(float_onnx: bytes, digits) -> None:  # type: ignore[no-untyped-def]
    results = measure_latency(*as_pair(float_onnx, digits.test.inputs[:2]), QUICK)
    assert [result.batch_size for result in results] == [1, 3]
    for result in results:
        assert len(result.round_ratios) == QUICK.rounds
        assert result.num_calls >= QUICK.rounds * MIN_CALLS_A_ROUND
        assert result.num_calls % QUICK.rounds == 0
        assert 0 < result.p50 <= result.p90 <= result.p99
        assert result.reference_p50 > 0
        assert min(result.round_ratios) <= result.ratio <= max(result.round_ratios)


def test_both_models_take_turns_in_new_sessions_and_who_begins_alternates(
    noted: Noted, float_onnx: bytes, digits  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    same = onnx.load_from_string(float_onnx)
    same.producer_name = "another"
    inputs, other = digits.test.inputs, bytes(same.SerializeToString())
    pair = Timed(float_onnx, inputs, IMAGE), Timed(other, inputs, IMAGE)
    (result,) = measure_latency(*pair, QUICK.model_copy(update={"batch_sizes": (2,)}))
    runs = [(session, len(list(calls))) for session, calls in groupby(session for session, _ in noted.calls)]
    assert runs[:2] == [(0, WARMUP_CALLS), (1, WARMUP_CALLS)]
    assert {calls for _, calls in runs[2:]} == {SETTLING_CALLS + result.num_calls // QUICK.rounds}
    names = {float_onnx: "model", other: "reference"}
    turns = [names[noted.models[session]] for session, _ in runs[2:]]
    assert turns == ["model", "reference", "reference", "model"] * (QUICK.rounds // 2)
    sessions = [session for session, _ in runs[2:]]
    assert sorted(sessions) == list(range(2, 2 + 2 * QUICK.rounds))
    # Who is opened first is independent of who runs first: each pairing comes up.
    first = [names[file] for file in noted.models[2::2]]
    assert set(zip(first, turns[::2], strict=True)) == set(product(names.values(), repeat=2))
    assert {batch for _, batch in noted.calls} == {2}


def test_a_session_is_closed_when_those_of_the_next_round_are_open(
    noted: Noted, float_onnx: bytes, digits  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    measure_latency(*as_pair(float_onnx, digits.test.inputs), QUICK)
    assert noted.still_open[:2] == [[], [0]]
    for number, still_open in enumerate(noted.still_open[2:], 2):  # two sessions a round
        pair = number - number % 2
        assert still_open == list(range(pair - 2, number))


def test_an_evaluation_compares_both_models_on_the_same_samples(float_onnx: bytes, digits) -> None:  # type: ignore[no-untyped-def]
    inputs, labels = digits.test.inputs, digits.test.labels
    outputs = predict(open_session(float_onnx, 1), inputs, IMAGE)
    reference = Contender(float_onnx, inputs, IMAGE, "float", outputs)
    zeros = np.eye(10, dtype=np.float32)[np.zeros(len(labels), int)]
    result = evaluate(replace(reference, name="zero", outputs=zeros), reference, labels, QUICK, {"processor": "x"})
    right, quality = outputs.argmax(1) == labels, result.quality
    assert isinstance(quality, ClassificationQuality)
    assert (result.candidate, result.reference) == ("zero", "float")
    assert (quality.accuracy, quality.reference_accuracy) == ((labels == 0).mean(), right.mean())
    assert (quality.paired.num_samples, quality.paired.lost) == (len(labels), (right & (labels != 0)).sum())
    assert quality.paired.gained == (~right & (labels == 0)).sum()
    assert quality.agreement == (outputs.argmax(1) == 0).mean()
    assert result.latency_of("latency_ms_p99_batch3").batch_size == 3
    assert result.latency_of("latency_ms_p50").batch_size == 1


def test_predictions_do_not_depend_on_the_batches(float_onnx: bytes, digits, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    session, inputs = open_session(float_onnx, 1), digits.test.inputs
    whole = predict(session, inputs, IMAGE)
    monkeypatch.setattr("thresher.evaluation.runtime.PREDICTION_BATCH", 100)
    np.testing.assert_allclose(predict(session, inputs, IMAGE), whole, atol=1e-6)


def test_what_is_judged_runs_as_what_is_served(float_onnx: bytes, digits) -> None:  # type: ignore[no-untyped-def]
    def settings(session: onnxruntime.InferenceSession) -> dict[str, Any]:
        options = session.get_session_options()
        names = [name for name in dir(options) if not name.startswith("_") and not callable(getattr(options, name))]
        return {name: getattr(options, name) for name in names} | {"providers": session.get_providers()}

    named = dict.fromkeys(("recipe", "candidate", "model_version", "mlflow_run_id", "data_hash", "git_commit"), "x")
    info = ModelInfo(**named, created=datetime.now(UTC), threads=3, max_batch_size=1, max_latency_ms=1)
    served = serving.open_session(Bundle(float_onnx, ImageEncoder.fit(digits.training, ImageEncoding()), info))
    judged = settings(open_session(float_onnx, threads=3))
    assert judged == settings(served._session)
    assert judged == settings(profiling.open_session(float_onnx, threads=3))  # what techniques choose by
    assert (judged["intra_op_num_threads"], judged["inter_op_num_threads"]) == (3, 1)
    assert judged["providers"] == ["CPUExecutionProvider"]
