"""What a session takes is measured on real files, in processes of their own; how much time depends on the machine."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from thresher.errors import CompressionError
from thresher.evaluation import Measurement, footprint
from thresher.evaluation.calls import CallTimes, has_fine_clock
from thresher.evaluation.footprint import (
    LOAD_ROUNDS,
    Footprint,
    load_seconds,
    longest_batch,
    measure_footprint,
    measure_memory,
)
from thresher.evaluation.latency import Timed
from thresher.evaluation.runtime import open_session, run_for_memory
from thresher.modalities.model_input import ModelInput
from thresher.modalities.text.model_input import TextInput

WIDE = 3600
QUICK = Measurement(batch_sizes=(1, 4))


class Vector(ModelInput):
    """64 floats."""

    kind: str = "vector"
    name: ClassVar[str] = "x"
    dtype: ClassVar[np.dtype] = np.dtype(np.float32)

    @property
    def longest(self) -> tuple[int, ...]:
        return (64,)


def make_model(width: int) -> Timed:
    """Return a model with two products of 64 x ``width`` weights, and one of ``width`` x ``width`` between them."""
    weights = {"a": (64, width), "b": (width, width), "c": (width, 2)}
    tensors = [numpy_helper.from_array(np.full(shape, 0.01, np.float32), name) for name, shape in weights.items()]
    names = ["x", "h", "i", "y"]
    ends = zip(names, weights, names[1:], strict=False)
    nodes = [helper.make_node("MatMul", [before, weight], [after]) for before, weight, after in ends]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g", [value("x", TensorProto.FLOAT, ["N", 64])], [value("y", TensorProto.FLOAT, ["N", 2])], tensors
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    return Timed(model.SerializeToString(), np.ones((3, 64), np.float32), Vector())


@pytest.fixture(scope="module")
def small() -> Timed:
    return make_model(8)


def test_weights_count_in_the_memory_of_their_model_alone(small: Timed) -> None:
    large = make_model(WIDE)
    ours, reference = measure_memory([large, small], QUICK)
    assert 4 * WIDE**2 > 50e6
    assert ours - reference > 40e6
    assert 0 < reference < 40e6


def test_memory_comes_out_alike_every_time(small: Timed) -> None:
    first, *others = measure_memory([small] * 3, QUICK)
    assert others == pytest.approx([first] * 2, rel=0.05)


def test_the_largest_batch_is_what_counts(small: Timed) -> None:
    few, many = (measure_memory([small], Measurement(batch_sizes=(1, size)))[0] for size in (2, 65_536))
    assert many - few > 0.9 * 65_536 * 8 * 4  # the activations between two products


def test_a_model_beside_itself_takes_as_much_memory_and_has_a_ratio_a_round(small: Timed) -> None:
    result = measure_footprint(small, small, QUICK)
    assert result.peak_memory_bytes == result.reference_peak_memory_bytes > 0
    assert LOAD_ROUNDS[0] <= len(result.load_ratios) <= LOAD_ROUNDS[1]
    assert min(result.load_ratios) <= result.load_ratio <= max(result.load_ratios)
    assert min(result.load_ms, result.reference_load_ms) > 0
    assert Footprint.model_validate_json(result.model_dump_json()) == result


def test_both_models_are_opened_in_turns_and_who_begins_alternates(
    small: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    other = make_model(16)

    def open_noted(onnx_file: bytes, threads: int) -> Any:
        opened.append([small.onnx_file, other.onnx_file].index(onnx_file))
        return open_session(onnx_file, threads)

    monkeypatch.setattr(footprint, "open_session", open_noted)
    rounds = len(measure_footprint(small, other, QUICK).load_ratios)
    turns = [opened[start : start + 2] for start in range(0, len(opened), 2)]
    assert turns == [[0, 1], *([[0, 1], [1, 0]] * rounds)[:rounds]]  # the first opening of each is not counted


def test_the_longest_samples_are_run_without_needless_padding() -> None:
    text = TextInput(vocabulary_size=9, max_length=8)
    inputs = np.zeros((4, 8), text.dtype)
    for row, length in enumerate((2, 5, 1, 3)):
        inputs[row, :length] = row + 1
    model = Timed(b"", inputs, text)
    np.testing.assert_array_equal(longest_batch(model, 2), inputs[[1, 3], :5])
    np.testing.assert_array_equal(longest_batch(model, 5), inputs[[1, 3, 0, 2, 1], :5])


def test_a_model_that_does_not_run_is_said_with_its_own_error(small: Timed) -> None:
    damaged = Timed(small.onnx_file[:100], small.inputs, small.model_input)
    with pytest.raises(CompressionError, match=r"Peak memory could not be measured: .* failed: .*[Pp]rotobuf"):
        measure_memory([damaged], QUICK)


@pytest.mark.parametrize(
    ("does", "says"),
    [("kill -9 $$", "was killed, as the system does where memory runs out"), ("exit 3", "failed: ended with code 3")],
)
def test_a_process_that_ends_without_an_answer_is_said(
    does: str, says: str, small: Timed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(CompressionError, match=says):
        measure_memory([small], QUICK)


def test_the_process_that_is_measured_holds_nothing_of_ours() -> None:
    script = "import runpy, sys; runpy.run_path(sys.argv[1]); print(*{name.split('.')[0] for name in sys.modules})"
    command = [sys.executable, "-P", "-c", script, inspect.getfile(run_for_memory)]
    modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert {"numpy", "onnxruntime"} <= set(modules)
    assert not {"thresher", "torch", "pydantic"} & set(modules)


def opened(wall: float, computed: float) -> CallTimes:
    return CallTimes(np.array([wall]), np.array([computed]), np.array([False]))


@pytest.mark.skipif(not has_fine_clock(), reason="a thread's clock is too coarse here")
@pytest.mark.parametrize(("waited", "seconds"), [(0.0, 3.0), (3.0, 3.0)])
def test_a_wait_for_a_processor_is_no_part_of_loading(waited: float, seconds: float) -> None:
    alone, waiting = [opened(1.0, 1.0)] * 2, [opened(seconds + waited, seconds)] * 2
    assert load_seconds((waiting, alone)).tolist() == [[seconds, 1.0]] * 2


def test_on_an_idle_machine_loading_takes_what_the_clock_on_the_wall_says() -> None:
    assert load_seconds(([opened(2.0, 1.999)], [opened(1.0, 0.999)])).tolist() == [[2.0, 1.0]]
