"""What a technique returns is looked at where it is applied, so that a mistake in one fails its candidates alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from thresher.candidate_failure import CandidateFailure
from thresher.compression.apply import apply_steps
from thresher.compression.candidate import NamedCandidate
from thresher.compression.data import CalibrationData, CompressionData
from thresher.compression.file.optimize_graph import OptimizeGraph, optimize_graph
from thresher.compression.network.finetune import Finetune, finetune
from thresher.errors import CompressionError
from thresher.evaluation import Measurement
from thresher.events import Step, subscribe
from thresher.models.network import Network
from thresher.pipelines.compress.nodes import compress_network, quantize_onnx
from thresher.search.assess import Assessor
from thresher.training.checkpoints import Checkpoints

TUNED = NamedCandidate.model_validate({"name": "tuned", "steps": [{"kind": "finetune"}]})
FOLDED = NamedCandidate.model_validate({"name": "folded", "steps": [{"kind": "optimize_graph"}]})


def test_steps_follow_each_other(float_onnx: bytes, calibration_data: CalibrationData) -> None:
    steps = (OptimizeGraph(), OptimizeGraph(level="none", short_names=True))
    shorter = apply_steps(steps, float_onnx, calibration_data)
    assert len(shorter) < len(apply_steps(steps[:1], float_onnx, calibration_data))
    assert apply_steps((), float_onnx, calibration_data) is float_onnx


def test_a_step_that_makes_the_file_larger_says_so(float_onnx: bytes, calibration_data: CalibrationData) -> None:
    said: list[str] = []
    leave = subscribe(lambda event: said.append(event.text) if isinstance(event, Step) else None)
    short = apply_steps((OptimizeGraph(level="none", short_names=True),), float_onnx, calibration_data)
    larger = apply_steps((OptimizeGraph(level="extended"),), short, calibration_data)
    leave()
    assert len(larger) > len(short)
    grown = f"{len(larger):,} bytes of {len(short):,}, {len(larger) / len(short) - 1:+.1%}"
    assert said == ["optimize_graph", "optimize_graph", f"optimize_graph makes the file larger: {grown}"]


@pytest.mark.parametrize(("returned", "said"), [(None, "None"), (b"", "a bytes"), ([1], "a list")])
def test_what_is_no_network_fails_the_candidate(
    returned: Any,
    said: str,
    trained: Network,
    compression_data: CompressionData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(f"{finetune.__module__}.finetune", lambda *_: returned)
    encoder: Any = SimpleNamespace(model_input=compression_data.input)
    execution: Any = SimpleNamespace(threads=1)
    data, checkpoints = compression_data, Checkpoints(tmp_path)
    samples = (data.training_samples, data.validation_samples)
    failed: Any = compress_network(trained, encoder, *samples, TUNED, data.training, execution, checkpoints)
    reason = f"finetune returned {said}, not a Network."
    assert failed == CandidateFailure(candidate="tuned", step="compress_network", reason=reason)


def test_what_is_no_file_fails_the_candidate(
    float_onnx: bytes, compression_data: CompressionData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{optimize_graph.__module__}.optimize_graph", lambda *_: None)
    encoder: Any = SimpleNamespace(model_input=compression_data.input)
    samples = (compression_data.training_samples, compression_data.validation_samples)
    failed: Any = quantize_onnx(float_onnx, encoder, *samples, FOLDED, seed=1)
    assert (failed.reason, failed.traceback) == ("optimize_graph returned None, not bytes.", "")


@pytest.fixture
def assessor(trained: Network, float_onnx: bytes, compression_data: CompressionData) -> Assessor:
    data = dataclasses.replace(compression_data, candidate="best")
    return Assessor(trained, float_onnx, data, Measurement(batch_sizes=(1,)), times=False)


def test_a_trial_fails_with_what_its_technique_returned(
    assessor: Assessor, compression_data: CompressionData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{finetune.__module__}.finetune", lambda *_: None)
    reference = assessor.reference(compression_data.validation_samples)
    assessed = assessor.assess(3, {}, (Finetune(),), reference, finetuned=True)
    assert (assessed.number, assessed.reason) == (3, "finetune returned None, not a Network.")
    with pytest.raises(CompressionError, match="finetune returned None, not a Network"):
        assessor._make((Finetune(),))


def test_a_trial_that_breaks_is_not_made_twice(
    assessor: Assessor, compression_data: CompressionData, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned: list[Finetune] = []

    def break_off(network: Network, config: Finetune, data: CompressionData) -> Network:
        tuned.append(config)
        raise RuntimeError("no kernel for Foo")

    monkeypatch.setattr(f"{finetune.__module__}.finetune", break_off)
    reference = assessor.reference(compression_data.validation_samples)
    assessed = assessor.assess(0, {}, (Finetune(),), reference, finetuned=True)
    assert (assessed.reason, len(tuned)) == ("RuntimeError: no kernel for Foo", 1)
