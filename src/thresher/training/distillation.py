"""Learning from another network's answers besides the labels."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

from thresher.errors import TrainingError
from thresher.modalities.outputs import ValueOutput
from thresher.models.network import Network


@dataclass(frozen=True)
class Teaching:
    """Whom to learn from, and how much.

    Attributes:
        network: the teacher.
        temperature: of the softmax of both; 1 is the probabilities as they are.
        weight: of what the teacher says, from 0 to 1; the labels have the rest.
        features: of where convolutions look, besides; 0 leaves it out.
    """

    network: Network
    temperature: float
    weight: float
    features: float


class Teacher:
    """Adds to a student's loss what sets it apart from the teacher.

    Source: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015; where features count, Zagoruyko and
    Komodakis, "Paying More Attention to Attention", ICLR 2017, over all convolutions that both have by name, as their
    mean. Values of a regression are compared by their squared difference.
    """

    def __init__(self, teaching: Teaching, student: Network, device: torch.device) -> None:
        self._teaching = teaching
        self._teacher = copy.deepcopy(teaching.network).to(device).eval()
        self._attention: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]] = ({}, {})
        self._hooks: list[RemovableHandle] = []
        if teaching.features:
            shared = sorted(_convolutions(student).keys() & _convolutions(self._teacher).keys())
            if not shared:
                raise TrainingError("distill.features needs convolutions that student and teacher share. Leave it out.")
            for network, kept in zip((student, self._teacher), self._attention, strict=True):
                self._hooks += _watch(network, shared, kept)

    def mix(self, loss: torch.Tensor, inputs: torch.Tensor, learned: torch.Tensor, batch_size: int) -> torch.Tensor:
        """Return the loss to learn from, of a part of a batch of ``batch_size`` samples.

        Args:
            loss: by the labels, of this part's share in the batch.
            inputs: of the part, [P, ...].
            learned: what the student gave for them, float32 [P, K].
        """
        with torch.no_grad():
            taught = self._teacher(inputs).float()
        teaching = self._teaching
        if isinstance(self._teacher.spec.output, ValueOutput):
            apart = F.mse_loss(learned, taught, reduction="sum")
        else:
            heat = teaching.temperature
            soft = F.log_softmax(taught / heat, dim=1)
            # Times the temperature squared, so that its gradients stay as large as those of the labels.
            apart = heat**2 * F.kl_div(F.log_softmax(learned / heat, dim=1), soft, reduction="sum", log_target=True)
        mixed = (1 - teaching.weight) * loss + teaching.weight * apart / batch_size
        if teaching.features:
            mixed = mixed + teaching.features * self._looks_apart() / batch_size
        return mixed

    def leave(self) -> None:
        """Let the student be a network like any other again."""
        for hook in self._hooks:
            hook.remove()

    def _looks_apart(self) -> torch.Tensor:
        student, teacher = self._attention
        differences = [(student[name] - teacher[name]).square().sum() for name in student]
        return torch.stack(differences).mean()


def _convolutions(network: Network) -> dict[str, nn.Module]:
    layers = network.body.named_modules()
    return {name: layer for name, layer in layers if isinstance(layer, nn.Conv1d | nn.Conv2d)}


def _watch(network: Network, names: list[str], kept: dict[str, torch.Tensor]) -> list[RemovableHandle]:
    """Keep at every call where the layers ``names`` look: mean squares over the channels, [P, H * W]."""
    layers, hooks = _convolutions(network), []
    for name in names:

        def keep(layer: nn.Module, given: object, output: torch.Tensor, name: str = name) -> None:
            kept[name] = F.normalize(output.float().square().mean(dim=1).flatten(1), dim=1)

        hooks.append(layers[name].register_forward_hook(keep))
    return hooks
