"""How far a student's hidden states are from its teacher's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from thresher.models.network import Network
from thresher.models.padding import mark_real

PROJECTION = "hidden_projection"
"""The part of a student in training that maps its vectors to the width of its teacher's."""
Pairs = Sequence[tuple[str, str]]
"""A block of the student and the one of the teacher that it learns from, by their names in the bodies."""


class HiddenStates:
    """Keeps what paired blocks of two networks make, float [P, T, D] each, and compares it.

    Source: Jiao et al., "TinyBERT: Distilling BERT for Natural Language Understanding", 2020, with its one linear map
    for all blocks, and none where both are equally wide.
    """

    def __init__(self, pairs: Pairs, student: Network, teacher: Network) -> None:
        self._pairs, self._student = pairs, student
        self._made: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]] = ({}, {})
        self._hooks: list[RemovableHandle] = []
        for network, made, names in zip((student, teacher), self._made, zip(*pairs, strict=True), strict=True):
            self._hooks += [_keep(network.body.get_submodule(name), name, made) for name in set(names)]

    def apart(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the mean squared difference of the states that both made of ``inputs``, summed over the samples.

        Padding does not count.
        """
        project = getattr(self._student, PROJECTION, nn.Identity())
        real_PT = mark_real(self._student.prepare(inputs))
        differences = []
        for ours, theirs in self._pairs:
            student_PTD, teacher_PTD = project(self._made[0][ours].float()), self._made[1][theirs].float()
            squares_PT = (student_PTD - teacher_PTD).square().mean(dim=2)
            weights_PT = torch.ones_like(squares_PT) if real_PT is None else real_PT
            differences.append(((squares_PT * weights_PT).sum(dim=1) / weights_PT.sum(dim=1)).sum())
        return torch.stack(differences).mean()

    def shapes(self) -> list[tuple[torch.Size, torch.Size]]:
        """Return of each pair what the student's block and the teacher's made last."""
        return [(self._made[0][ours].shape, self._made[1][theirs].shape) for ours, theirs in self._pairs]

    def leave(self) -> None:
        """Watch no longer."""
        for hook in self._hooks:
            hook.remove()


def _keep(block: nn.Module, name: str, made: dict[str, torch.Tensor]) -> RemovableHandle:
    def keep(module: nn.Module, given: Any, output: Any) -> None:
        made[name] = output if isinstance(output, torch.Tensor) else output[0]

    return block.register_forward_hook(keep)
