"""The graph itself made smaller: constants folded, operators fused."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from thresher.compression.data import CalibrationData
from thresher.compression.file.profiling import run_file
from thresher.config import KindConfig
from thresher.errors import CompressionError
from thresher.onnx_graph import Level, optimize_with_onnxruntime, slim

if TYPE_CHECKING:
    from onnx import ModelProto

SAMPLES = 64
TOLERANCE = 1e-3
"""The largest difference of an answer that fusing operators may make, in units of the largest answer."""
MAX_GROWTH = 1.5
"""How much larger the file may become; ONNX Runtime's layouts pad some weights."""


class OptimizeGraph(KindConfig):
    """onnxslim, then ONNX Runtime's offline optimizer for the CPU.

    Every exported model has had what `basic` does. ONNX Runtime fuses at load what `extended` and `all` fuse in the
    file: the model loads faster and is as fast.
    """

    kind: Literal["optimize_graph"] = "optimize_graph"
    level: Level | Literal["none"] = "basic"
    """none: for short names alone. basic: standard ONNX, which the other techniques take. extended: with ONNX Runtime's
    fused operators. all: with a layout of the tensors for the processor it is made on; the file is for this kind of
    processor alone."""
    short_names: bool = False
    """Give tensors and operators names of a few letters, which takes some kilobytes off a small file. Layers can no
    longer be told by their names."""


def optimize_graph(onnx_file: bytes, config: OptimizeGraph, data: CalibrationData) -> bytes:
    """Return ``onnx_file`` optimized; its answers on real samples are compared with what they were.

    Raises:
        CompressionError: the optimized file cannot be run, answers otherwise, or is much larger.
    """
    inputs = data.input.trim(data.training_samples.inputs[:SAMPLES])
    expected = run_file(onnx_file, inputs, data)
    try:
        optimized = onnx_file
        if config.level != "none":
            optimized = optimize_with_onnxruntime(slim(onnx_file), config.level)
        if config.short_names:
            optimized = shorten_names(optimized)
        got = run_file(optimized, inputs, data)
    except Exception as error:  # neither ONNX Runtime's nor onnxslim's errors share a base class
        raise CompressionError(f"{data.candidate}: {config.kind} makes a file that does not run: {error}") from error
    if len(optimized) > MAX_GROWTH * len(onnx_file):
        raise CompressionError(
            f"{data.candidate}: {config.kind} at level {config.level} makes the file {len(optimized)} bytes of "
            f"{len(onnx_file)}: it unpacks the weights that quantize_weights has packed. Choose level none."
        )
    difference = float(np.abs(got - expected).max() / max(1.0, np.abs(expected).max()))
    if not difference <= TOLERANCE:
        raise CompressionError(
            f"{data.candidate}: {config.kind} at level {config.level} changes the model's answers by up to "
            f"{difference:.2e}; at most {TOLERANCE:.0e} is allowed. Choose a lower level, or remove the step."
        )
    return optimized


def shorten_names(onnx_file: bytes) -> bytes:
    """Return the file with short names for all but what it takes and answers.

    A file with operators that contain graphs of their own is left as it is: those see names of the outer one.
    """
    import onnx

    model = onnx.load_from_string(onnx_file)
    graph = model.graph
    if any(attribute.HasField("g") or attribute.graphs for node in graph.node for attribute in node.attribute):
        return onnx_file
    kept = {value.name for value in [*graph.input, *graph.output]} | {""}
    names: dict[str, str] = {name: name for name in kept}

    def short(name: str) -> str:
        return names.setdefault(name, _letters(len(names), kept))

    _rename(model, short)
    del graph.value_info[:]
    return bytes(model.SerializeToString())


def _rename(model: ModelProto, short: Callable[[str], str]) -> None:
    for tensor in model.graph.initializer:
        tensor.name = short(tensor.name)
    for number, node in enumerate(model.graph.node):
        node.name = _letters(number, set())
        node.input[:] = [short(name) for name in node.input]
        node.output[:] = [short(name) for name in node.output]


def _letters(number: int, taken: set[str]) -> str:
    """Return the number in base 36, which differs from all that is ``taken``."""
    digits, rest = "", number
    while rest or not digits:
        digits, rest = "0123456789abcdefghijklmnopqrstuvwxyz"[rest % 36] + digits, rest // 36
    return f"{digits}_" if digits in taken else digits
