"""What the page on adding a technique shows is code that works."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from thresher.compression.data import CalibrationData, CompressionData
from thresher.evaluation.cost import measure_cost
from thresher.evaluation.runtime import open_session, predict
from thresher.kinds.built_in import TECHNIQUES
from thresher.modalities.image.model_input import ImageInput
from thresher.models.network import Network

NETWORK_TECHNIQUE, FILE_TECHNIQUE, TEST = "prune_threshold", "round_weights", "test_prune_threshold"


@pytest.fixture
def shown(project: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The files that the page shows, as modules by their names."""
    page = (project / "docs/add_a_technique.md").read_text(encoding="utf-8")
    files = [code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if code.startswith('"""')]
    modules: dict[str, Any] = {}
    for name, code in zip((NETWORK_TECHNIQUE, FILE_TECHNIQUE, TEST), files, strict=True):
        modules[name] = ModuleType(f"thresher.compression.network.{name}")
        monkeypatch.setitem(sys.modules, modules[name].__name__, modules[name])
        exec(compile(code, f"{name}.py", "exec"), modules[name].__dict__)
    return modules


def test_the_pruner_passes_the_tests_beside_it(
    shown: dict[str, Any], trained: Network, compression_data: CompressionData
) -> None:
    tests = [value for name, value in vars(shown[TEST]).items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test(trained, compression_data)


def test_rounded_weights_compress_better_and_answer_alike(
    shown: dict[str, Any], float_onnx: bytes, calibration_data: CalibrationData, grey: ImageInput, digits: Any
) -> None:
    module = shown[FILE_TECHNIQUE]
    rounded = module.round_weights(float_onnx, module.RoundWeights(), calibration_data)
    assert module.round_weights(rounded, module.RoundWeights(), calibration_data) == rounded
    before, after = measure_cost(float_onnx, grey), measure_cost(rounded, grey)
    assert after.compressed_bytes < 0.4 * before.compressed_bytes
    assert after.macs == before.macs
    stored = [numpy_helper.to_array(tensor) for tensor in onnx.load_from_string(rounded).graph.initializer]
    sizes = [len(np.unique(weights)) for weights in stored if weights.ndim > 1]
    assert max(sizes) <= 2 * 32 + 1
    answers = [predict(open_session(file, 1), digits.test.inputs, grey) for file in (float_onnx, rounded)]
    assert (answers[0].argmax(1) == answers[1].argmax(1)).mean() > 0.98


def test_every_technique_has_its_row_in_the_docs(project: Path) -> None:
    page = (project / "docs/compression.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (network|file) \|", page, re.MULTILINE))
    assert rows == {kind.name: kind.works_on for kind in TECHNIQUES}
