"""Weights rounded one input after another, each rounding error made up for by the inputs that are not rounded yet.

Source: Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", 2022. What
differs: second moments are those of the float model's activations in all layers, not of layers that follow rounded
ones; and a block's range is clipped where that has the least squared error, as in rounding to nearest.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from thresher.compression.calibration import choose_calibration_inputs
from thresher.compression.data import CalibrationData
from thresher.compression.file.profiling import open_session
from thresher.compression.file.weight_packing import Storage, round_blocks, to_codes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

DAMPING = 0.01
"""Of the mean second moment: added to each, so that the inverse exists."""


def measure_moments(
    model: ModelProto, layers: Collection[str], count: int, data: CalibrationData
) -> dict[str, np.ndarray]:
    """Return weight -> the second moments of what it multiplies, float64 [inputs, inputs], over ``count`` samples.

    They are those of the matrix products among ``layers``. Samples are run one by one: none has padding.
    """
    tensors = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) == 2}
    products = [node for node in model.graph.node if node.name in layers and _is_product(node, tensors)]
    given = {node.input[0] for node in products}
    watched = type(model)()
    watched.CopyFrom(model)
    answers = {value.name for value in [*model.graph.output, *model.graph.input]}
    for name in sorted(given - answers):
        watched.graph.output.add(name=name)
    session, asked = open_session(watched.SerializeToString()), sorted(given)
    moments: dict[str, np.ndarray] = {}
    inputs = choose_calibration_inputs(count, data)
    for index in range(len(inputs) if products else 0):
        values = session.run(asked, {data.input.name: data.input.trim(inputs[index : index + 1])})
        for name, value in zip(asked, values, strict=True):
            rows = value.reshape(-1, value.shape[-1]).astype(np.float64)
            _add(moments, name, rows.T @ rows)
    found: dict[str, np.ndarray] = {}
    for node in products:
        _add(found, node.input[1], moments[node.input[0]])
    return found


def _add(sums: dict[str, np.ndarray], name: str, more: np.ndarray) -> None:
    sums[name] = sums[name] + more if name in sums else more


def _is_product(node: NodeProto, tensors: Collection[str]) -> bool:
    turned = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return node.op_type in ("MatMul", "Gemm") and not turned and node.input[1] in tensors


def round_by_moments(
    blocks: np.ndarray, axis: int, storage: Storage, moments: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return codes, scales and zero points of ``blocks`` as `round_blocks` does, which stand along ``axis`` 1 or 2.

    Args:
        moments: of the inputs, float64 [inputs, inputs]; the last block may be filled up beyond them.
    """
    inputs_first = axis == 1
    size, outputs = blocks.shape[axis], blocks.shape[2 if inputs_first else 0]
    weight = blocks.reshape(-1, outputs) if inputs_first else blocks.reshape(outputs, -1).T
    weight = weight.astype(np.float64)
    factor = _inverse_factor(moments, len(weight))
    codes, parts = np.empty_like(weight), []
    for start in range(0, len(weight), size):
        end = start + size
        _, scale, zero = round_blocks(weight[None, start:end].astype(np.float32), 1, storage)
        parts.append((scale[0], None if zero is None else zero[0]))
        offset = 0.0 if zero is None else zero[0, 0].astype(np.float64)
        errors = np.empty((size, outputs))
        for row in range(start, end):
            codes[row] = to_codes(weight[row], scale[0, 0], offset, storage)
            rounded = (codes[row] - offset) * scale[0, 0]
            errors[row - start] = (weight[row] - rounded) / factor[row, row]
            weight[row + 1 : end] -= np.outer(factor[row, row + 1 : end], errors[row - start])
        weight[end:] -= factor[start:end, end:].T @ errors
    scales = np.stack([scale for scale, _ in parts])
    zeros = None if storage.symmetric else np.stack([zero for _, zero in parts if zero is not None])
    if inputs_first:
        return codes.reshape(blocks.shape), scales, zeros
    turned = [None if each is None else np.ascontiguousarray(each.transpose(2, 0, 1)) for each in (scales, zeros)]
    assert turned[0] is not None
    return np.ascontiguousarray(codes.T).reshape(blocks.shape), turned[0], turned[1]


def _inverse_factor(moments: np.ndarray, count: int) -> np.ndarray:
    """Return U, upper triangular, with U'U the inverse of the damped ``moments``, made up to ``count`` inputs."""
    whole = np.eye(count) * max(float(np.diag(moments).mean()), float(np.finfo(np.float32).tiny))
    whole[: len(moments), : len(moments)] = moments
    damped = whole + DAMPING * float(np.diag(whole).mean()) * np.eye(count)
    return np.asarray(np.linalg.cholesky(np.linalg.inv(damped)).T)
