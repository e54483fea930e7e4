"""Fake quantization: a network in float that computes with the rounding errors of its integer file.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
CVPR 2018: weights symmetric and signed, here with one scale a channel; activations unsigned, their ranges averages of
the least and largest values seen; gradients pass the rounding unchanged, and not where a value was cut off.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_weights

from thresher.config import Config
from thresher.models.integer_graph import StoredTable, dequantize, quantize

TOP = {8: 127, 7: 64}
"""Bits of a weight -> its largest integer; the least is its negative."""
LEVELS = 255
RANGE_RATE = 0.01
"""Share that a batch has in the moving average of a range."""
SMALLEST_SHARE = 2**-12
"""The smallest scale of a channel, as a share of the layer's largest: a channel of zeros has no scale of its own."""
INPUT, OUTPUT = "input_range", "output_range"


class Quantization(Config):
    """What of a network is fake-quantized. The ranges are buffers, kept with the weights."""

    weight_bits: int = Field(default=8, ge=7, le=8)
    """7 where integer products of 8 overflow."""
    layers: dict[str, str | None]
    """Layer with int8 weights -> the range of its input, one of `ranges`; None: it is computed in float."""
    ranges: tuple[str, ...]
    """Layer and side, such as `relu1.output_range`: the activations that are rounded to 8 bits."""
    folded: dict[str, str] = Field(default_factory=dict)
    """Convolution -> the batch norm that became part of it."""
    calibration: dict[str, str] = Field(default_factory=dict)
    """The samples that the ranges were first read from (sha256, samples, seed), for the file's metadata."""


class ActivationRange(nn.Module):
    """Rounds to 256 evenly spaced values, of which one is 0.

    While training, the range follows what it sees: first the mean over all batches, then a moving average. After
    ``freeze_after`` batches it stays.
    """

    low: torch.Tensor
    high: torch.Tensor
    num_seen: torch.Tensor
    freeze_after: torch.Tensor
    scale: torch.Tensor
    zero: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))
        self.register_buffer("num_seen", torch.zeros((), dtype=torch.int64))
        self.register_buffer("freeze_after", torch.zeros((), dtype=torch.int64))
        self.is_exported = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.is_exported:
            return dequantize(quantize(x, self.scale, self.zero), self.scale, self.zero)
        if self.training:
            self._follow(x.detach().float())
        return torch.fake_quantize_per_tensor_affine(x.float(), *self.scale_and_zero(), 0, LEVELS)

    def scale_and_zero(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the float32 scale and the int32 zero point, both of no axis."""
        low, high = self.low.clamp(max=0), self.high.clamp(min=0)
        scale = ((high - low) / LEVELS).clamp(min=torch.finfo(torch.float32).eps)
        return scale, (-low / scale).round().clamp(0, LEVELS).int()

    def prepare_export(self) -> None:
        """Round by ONNX's operators from now on."""
        scale, zero = self.scale_and_zero()
        self.register_buffer("scale", scale)
        self.register_buffer("zero", zero.to(torch.uint8))
        self.is_exported = True

    @torch.no_grad()
    def _follow(self, x: torch.Tensor) -> None:
        rate = (1 / (self.num_seen + 1)).clamp(min=RANGE_RATE) * (self.num_seen < self.freeze_after)
        self.low.lerp_(x.amin(), rate)
        self.high.lerp_(x.amax(), rate)
        self.num_seen += 1


class RoundedWeight(nn.Module):
    """Rounds a weight to ``bits`` bits, symmetric, with one scale for each output channel, or one for all."""

    codes: torch.Tensor
    scale: torch.Tensor
    zero: torch.Tensor

    def __init__(self, bits: int, per_channel: bool) -> None:
        super().__init__()
        self.top, self.per_channel = TOP[bits], per_channel
        self.is_exported = False

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        if self.is_exported:
            return dequantize(self.codes, self.scale, self.zero, axis=0)
        scale = self.scale_of(weight)
        if not self.per_channel:
            zero = torch.zeros((), dtype=torch.int32, device=weight.device)
            return torch.fake_quantize_per_tensor_affine(weight, scale, zero, -self.top, self.top)
        zeros = torch.zeros(len(scale), dtype=torch.int32, device=weight.device)
        return torch.fake_quantize_per_channel_affine(weight, scale, zeros, 0, -self.top, self.top)

    def scale_of(self, weight: torch.Tensor) -> torch.Tensor:
        """Return float32 [C], or of no axis where one scale is for all."""
        reach = weight.detach().abs()
        reach = reach.flatten(1).amax(dim=1) if self.per_channel else reach.amax()
        largest = torch.where(reach.amax() > 0, reach.amax(), 1.0)
        return reach.clamp(min=largest * SMALLEST_SHARE) / self.top

    def codes_of(self, weight: torch.Tensor) -> torch.Tensor:
        """Return ``weight`` as int8."""
        scale = self.scale_of(weight)
        scale = scale.reshape(-1, *[1] * (weight.ndim - 1)) if self.per_channel else scale
        # As torch rounds it: by the inverse of the scale.
        return (weight.detach() * (1 / scale)).round().clamp(-self.top, self.top).to(torch.int8)

    def prepare_export(self, weight: torch.Tensor) -> None:
        """Give ``weight`` as int8 with its scales to ONNX's operator from now on."""
        self.register_buffer("codes", self.codes_of(weight))
        self.register_buffer("scale", self.scale_of(weight))
        self.register_buffer("zero", torch.zeros(len(weight), dtype=torch.int8))
        self.is_exported = True


def fake_quantize(body: nn.Module, spec: Quantization) -> None:
    """Fold the batch norms of ``body`` that ``spec`` names, and let it round weights and activations, in place.

    Ranges are empty until they are calibrated or loaded.
    """
    for convolution, norm in spec.folded.items():
        _fold(body, convolution, norm)
    for name in spec.layers:
        layer = body.get_submodule(name)
        rounding = RoundedWeight(spec.weight_bits, per_channel=not isinstance(layer, nn.Embedding))
        parametrize.register_parametrization(layer, "weight", rounding)
    for place in spec.ranges:
        owner, _, side = place.rpartition(".")
        layer = body.get_submodule(owner)
        layer.add_module(side, ActivationRange())
        if side == INPUT:
            layer.register_forward_pre_hook(_round_input)
        else:
            layer.register_forward_hook(_round_output)


def activation_ranges(network: nn.Module) -> list[ActivationRange]:
    """Return all ranges of ``network``."""
    return [module for module in network.modules() if isinstance(module, ActivationRange)]


def rounding_of(layer: nn.Module) -> tuple[RoundedWeight, torch.Tensor]:
    """Return what rounds the weight of ``layer``, and the weight as it is trained."""
    weight: Any = layer.parametrizations.weight  # type: ignore[union-attr]
    return weight[0], weight.original


@torch.no_grad()
def round_biases(body: nn.Module, spec: Quantization) -> None:
    """Round the biases of integer layers to what an int32 says: multiples of the scales of input and weight."""
    for name, place in spec.layers.items():
        layer = body.get_submodule(name)
        bias = getattr(layer, "bias", None)
        if place is not None and bias is not None:
            given = body.get_submodule(place)
            assert isinstance(given, ActivationRange)
            rounding, weight = rounding_of(layer)
            scale = given.scale_and_zero()[0] * rounding.scale_of(weight)
            bias.copy_((bias / scale).round() * scale)


def prepare_export(body: nn.Module, spec: Quantization) -> None:
    """Let ``body``, a copy for this alone, round by ONNX's operators and hold weights and tables as int8."""
    for module in activation_ranges(body):
        module.prepare_export()
    for name in spec.layers:
        layer = body.get_submodule(name)
        rounding, weight = rounding_of(layer)
        if isinstance(layer, nn.Embedding):
            body.set_submodule(name, StoredTable(rounding.codes_of(weight), rounding.scale_of(weight)))
        else:
            rounding.prepare_export(weight)


def _fold(body: nn.Module, convolution: str, name: str) -> None:
    conv, norm = body.get_submodule(convolution), body.get_submodule(name)
    assert isinstance(conv, nn.Conv1d | nn.Conv2d) and isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
    assert norm.running_mean is not None and norm.running_var is not None
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    body.set_submodule(name, nn.Identity())


def _round_input(layer: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return (layer.input_range(arguments[0]), *arguments[1:])


def _round_output(layer: Any, arguments: tuple[Any, ...], output: torch.Tensor) -> Any:
    return layer.output_range(output)
