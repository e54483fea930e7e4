"""The random numbers of one training, though torch has one generator for all threads of a process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from thresher.models.network import Network
from thresher.models.random_numbers import generator_turn
from thresher.training import Training

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
OWN = ("torch.nn.modules.", "thresher.models.")
"""Where the layers are defined of which it is known whether they draw."""


class RandomStream:
    """Draws as if the training were alone in its process; trainings that draw take turns, a step each.

    Args:
        seed: of the generators of the CPU and of ``device``.
        draws: whether the training draws anything; else its steps wait for nobody.
    """

    def __init__(self, seed: int, device: torch.device, draws: bool) -> None:
        self._device, self.draws = device, draws
        with generator_turn():
            torch.manual_seed(seed)
            self.states = read_generators(device)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Go on drawing, in the block, where the last turn ended."""
        if not self.draws:
            yield
            return
        with generator_turn():
            set_generators(self.states, self._device)
            try:
                yield
            finally:
                self.states = read_generators(self._device)


def draws_in_training(network: Network, config: Training) -> bool:
    """Return whether a step takes random numbers: for augmentation, dropout or a layer of unknown kind."""
    return bool(config.augmentation) or any(map(_draws, network.body.modules()))


def _draws(layer: nn.Module) -> bool:
    if not type(layer).__module__.startswith(OWN):
        return True
    share = layer.p if isinstance(layer, DROPOUTS) else getattr(layer, "dropout", 0.0)
    return isinstance(layer, nn.RReLU | nn.FractionalMaxPool2d) or (isinstance(share, float) and share > 0)


def read_generators(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the state of torch's own generators, of the CPU and of ``device``."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_generators(states: dict[str, torch.Tensor], device: torch.device) -> None:
    """Put back what `read_generators` gave."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
