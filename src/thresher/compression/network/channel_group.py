"""Layers that lose channels together, whichever way that was found out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

    from thresher.compression.network.importance import Measure

    Number = tuple[nn.Module, str, int]


@dataclass(frozen=True, kw_only=True)
class ChannelGroup(ABC):
    """Layers that lose a channel together: one of a convolution, a hidden unit, or a head of attention.

    Attributes:
        name: of the first layer whose outputs they are.
        num_channels: of that layer, in each of its sets.
        num_sets: sets of channels of which each loses as many, but its own: the directions of a recurrent layer.
        parts: equal blocks of a set that lose the same places, as a grouped convolution's.
        width: how many values a channel has, which is more than one for a head.
        noun: what the channels are called in an error.
        convolves: whether they are a convolution's, whose time hangs on more than their number.
        numbers: attributes of modules that count the channels, such as a number of heads, and by how much each falls
            with every channel of a set that goes.
    """

    name: str
    num_channels: int
    num_sets: int = 1
    parts: int = 1
    width: int = 1
    noun: str = "channels"
    convolves: bool = False
    numbers: tuple[Number, ...] = ()

    @abstractmethod
    def scores(self, measure: Measure) -> torch.Tensor:
        """Return the importance of every place, float32 [num_sets, num_channels / parts], of the mean 1."""

    def remove(self, places: list[list[int]]) -> None:
        """Remove the channels at these places of each set from all layers of the group, in place."""
        for module, attribute, each in self.numbers:
            setattr(module, attribute, getattr(module, attribute) - each * len(places[0]))
        self._cut(places)

    @abstractmethod
    def _cut(self, places: list[list[int]]) -> None:
        """Remove them from the tensors."""
