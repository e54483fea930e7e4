"""ONNX's operators between floats and integers, written into a graph that torch exports."""

from __future__ import annotations

import torch
from torch import nn

OPSET = 13
"""Since when they have scales of several channels."""


def quantize(x: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:
    """Return ``x`` in the integers of ``zero``."""
    return torch.onnx.ops.symbolic(
        "QuantizeLinear", (x, scale, zero), dtype=zero.dtype, shape=x.shape, version=OPSET
    )  # fmt: skip


def dequantize(codes: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor, axis: int | None = None) -> torch.Tensor:
    """Return float32; ``scale`` and ``zero`` have no axis, or are of the channels along ``axis``.

    Without a zero point, ONNX Runtime would take signed integers for unsigned where it moves these operators about.
    """
    return torch.onnx.ops.symbolic(
        "DequantizeLinear",
        (codes, scale, zero),
        {} if axis is None else {"axis": axis},
        dtype=torch.float32,
        shape=codes.shape,
        version=OPSET,
    )


class StoredTable(nn.Module):
    """An embedding of int8: looked up first, then made float, so that no call unpacks the whole table."""

    codes: torch.Tensor
    scale: torch.Tensor
    zero: torch.Tensor

    def __init__(self, codes: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale)
        self.register_buffer("zero", torch.zeros((), dtype=codes.dtype))

    def forward(self, indices: torch.Tensor) -> torch.Tensor:
        looked_up = torch.onnx.ops.symbolic(
            "Gather",
            (self.codes, indices),
            {"axis": 0},
            dtype=self.codes.dtype,
            shape=(*indices.shape, self.codes.shape[1]),
            version=OPSET,
        )
        return dequantize(looked_up, self.scale, self.zero)
