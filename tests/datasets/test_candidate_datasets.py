"""At the path of a candidate's result stands the result, or why there is none; the one takes the other's place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from thresher.candidate_failure import CandidateFailure
from thresher.datasets.candidate import (
    CandidateArray,
    CandidateDocument,
    CandidateFigure,
    CandidateOnnx,
)
from thresher.datasets.networks import CandidateNetwork
from thresher.evaluation.promotion_gate import Challenge
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.outputs import ClassOutput
from thresher.models.linear import Linear
from thresher.models.network import Network, NetworkSpec

FAILED = CandidateFailure(candidate="half", step="compress_network", reason="a layer would be empty")
GREY = ImageInput(channels=1, height=4, width=4, mean=(0.5,), std=(0.5,))


def make_network() -> Network:
    return Network(NetworkSpec(model=Linear(), input=GREY, output=ClassOutput(num_classes=3)))


def cases(folder: Path) -> list[tuple[Any, Any]]:
    place = str(folder / "result")
    return [
        (CandidateNetwork(place), make_network()),
        (CandidateOnnx(place), b"\x08\x0a an ONNX file"),
        (CandidateArray(place), np.eye(3, dtype=np.float32)),
        (CandidateDocument(place, "challenge"), Challenge(replaces=True, reason="first")),
        (CandidateFigure(place), Figure()),
    ]


@pytest.mark.parametrize("number", range(5))
def test_a_failure_and_a_result_take_each_other_s_place(number: int, tmp_path: Path) -> None:
    dataset, value = cases(tmp_path)[number]
    dataset.save(FAILED)
    assert dataset.load() == FAILED
    dataset.save(value)
    assert not isinstance(dataset.load(), CandidateFailure)
    dataset.save(FAILED)
    assert dataset.load() == FAILED
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_who_looks_into_the_file_reads_the_reason(tmp_path: Path) -> None:
    CandidateOnnx(str(tmp_path / "model.onnx")).save(FAILED)
    assert json.loads((tmp_path / "model.onnx").read_text())["reason"] == "a layer would be empty"


def test_a_document_that_begins_with_a_candidate_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text('{\n  "candidate": "half"\n}')
    with pytest.raises(Exception, match="Field required"):
        CandidateDocument(str(tmp_path / "evaluation.json"), "evaluation").load()
