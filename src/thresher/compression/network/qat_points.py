"""Where a network is to be fake-quantized: found by watching one batch go through it."""

from __future__ import annotations

from collections import Counter

import torch
from torch import nn

from thresher.models.fake_quantization import INPUT, OUTPUT, Quantization
from thresher.models.network import Network

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)
"""Computed on integers where their input is rounded."""
TRANSPARENT = (nn.Identity, nn.Dropout, nn.Flatten, nn.MaxPool1d, nn.MaxPool2d)
"""What comes out has the range of what goes in."""


class _Watcher:
    """Follows tensors from layer to layer.

    A layer's input is rounded where it is made, so that all that take it take the same integers; a convolution's
    output is rounded, too, after its ReLU, since ONNX Runtime has no integer convolution that answers in float. A
    tensor that no layer made, such as a sum outside of one, is rounded where it enters the next layer.

    A convolution whose input is rounded anyway is never computed in float: between integers, ONNX Runtime would round
    its weights anew, with one scale for all.
    """

    def __init__(self, calls: Counter[str], max_float_channels: int) -> None:
        self.layers: dict[str, str | None] = {}
        self.ranges: dict[str, None] = {}
        self.folded: dict[str, str] = {}
        self._made_by: dict[int, str] = {}
        self._kept_alive: list[torch.Tensor] = []
        self._convolutions: set[str] = set()
        self._calls, self._max_float_channels = calls, max_float_channels

    def observe(self, name: str, layer: nn.Module, given: torch.Tensor, output: torch.Tensor) -> None:
        """Note one call of ``layer``."""
        self._kept_alive += [given, output]
        maker = self._made_by.get(id(given))
        if isinstance(layer, nn.Embedding):
            self.layers[name] = None
            return
        if isinstance(layer, TRANSPARENT) and maker is not None:
            self._made_by[id(output)] = maker
            return
        if isinstance(layer, NORMS) and maker in self._convolutions:
            self._made_by[id(output)] = self._fold(name, maker)
            return
        if self._is_alone(name):
            self._observe_computing(name, layer, maker)
            self._made_by[id(output)] = name

    def _observe_computing(self, name: str, layer: nn.Module, maker: str | None) -> None:
        if isinstance(layer, CONVOLUTIONS):
            self._convolutions.add(name)
            if layer.in_channels <= self._max_float_channels and f"{maker}.{OUTPUT}" not in self.ranges:
                self.layers[name] = None
            else:
                self.layers[name] = self._round(maker, name)
                self._round(name, name)
        elif isinstance(layer, nn.Linear):
            self.layers[name] = self._round(maker, name)
        elif isinstance(layer, nn.ReLU) and maker in self._convolutions:
            self._move(maker, name)
        elif isinstance(layer, POOLS) and maker is not None:
            self._round(maker, name)

    def _fold(self, norm: str, convolution: str) -> str:
        self.folded[convolution] = norm
        return convolution

    def _round(self, maker: str | None, name: str) -> str:
        """Round what ``maker`` makes, or else the input of ``name``; return the place."""
        place = f"{name}.{INPUT}" if maker is None else f"{maker}.{OUTPUT}"
        self.ranges[place] = None
        return place

    def _move(self, convolution: str, relu: str) -> None:
        """Round after the ReLU that a convolution's output goes through, instead of before."""
        before, after = f"{convolution}.{OUTPUT}", f"{relu}.{OUTPUT}"
        if before not in self.layers.values():
            self.ranges = {after if place == before else place: None for place in self.ranges}

    def _is_alone(self, name: str) -> bool:
        """Whether the layer makes one tensor only: what is used in several places has not one range."""
        return self._calls[name] == 1


def find_places(network: Network, inputs: torch.Tensor, weight_bits: int, max_float_channels: int) -> Quantization:
    """Return what of ``network`` can be quantized, by the way that ``inputs`` [N, ...] take through it.

    Args:
        max_float_channels: convolutions of at most so many input channels are computed in float.
    """
    calls: Counter[str] = Counter()
    _run_watched(network, inputs, lambda name, layer, given, output: calls.update([name]))
    watcher = _Watcher(calls, max_float_channels)
    _run_watched(network, inputs, watcher.observe)
    return Quantization(
        weight_bits=weight_bits, layers=watcher.layers, ranges=tuple(watcher.ranges), folded=watcher.folded
    )


def _run_watched(network: Network, inputs: torch.Tensor, see) -> None:  # type: ignore[no-untyped-def]
    handles = []
    for name, layer in network.body.named_modules():
        if name and not any(True for _ in layer.children()):

            def hook(layer: nn.Module, given: tuple[torch.Tensor, ...], output: object, name: str = name) -> None:
                if given and isinstance(given[0], torch.Tensor) and isinstance(output, torch.Tensor):
                    see(name, layer, given[0], output)

            handles.append(layer.register_forward_hook(hook))
    try:
        with torch.no_grad():
            network(inputs)
    finally:
        for handle in handles:
            handle.remove()
