"""Learning from another network's answers besides the labels."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

from thresher.errors import TrainingError
from thresher.modalities.outputs import ValueOutput
from thresher.models.low_rank import LowRank
from thresher.models.network import Network
from thresher.training.attention_relations import AttentionRelations, RelationPair
from thresher.training.batches import Batches, Positions, in_own_order
from thresher.training.hidden_states import HiddenStates, Pairs
from thresher.training.memory import in_parts_that_fit

ANSWERS_AT_ONCE = 256
"""Samples that a teacher answers at once."""


@dataclass(frozen=True)
class Teaching:
    """Whom to learn from, and how much.

    Attributes:
        network: the teacher; of one that is no network, what it answers to the training samples in their order,
            float32 [N, K]: logits, or standardized values.
        temperature: of the softmax of both; 1 is the probabilities as they are.
        weight: of what the teacher says, from 0 to 1; the labels have the rest.
        features: of where convolutions look, besides; 0 leaves it out.
        hidden: of what the blocks of ``pairs`` make, besides; 0 leaves it out.
        relations: of what ``relation_pair`` attends to, besides; 0 leaves it out.
    """

    network: Network | np.ndarray
    temperature: float
    weight: float
    features: float
    hidden: float = 0.0
    pairs: Pairs = ()
    relations: float = 0.0
    relation_pair: RelationPair | None = None


class Teacher:
    """Adds to a student's loss what sets it apart from the teacher.

    Source: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015; where features count, Zagoruyko and
    Komodakis, "Paying More Attention to Attention", ICLR 2017, over all convolutions that both have by name, as their
    mean. Values of a regression are compared by their squared difference.
    """

    def __init__(self, teaching: Teaching, student: Network, device: torch.device) -> None:
        self._teaching = teaching
        self._answers: torch.Tensor | None = None
        self._teacher: Network | None = None
        if isinstance(teaching.network, Network):
            self._teacher = copy.deepcopy(teaching.network).to(device).eval()
        else:
            self._answers = torch.from_numpy(teaching.network).to(device)
        self._has_values = isinstance(student.spec.output, ValueOutput)
        self._attention: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]] = ({}, {})
        self._hooks: list[RemovableHandle] = []
        if teaching.features:
            both = (student, self._teacher or student)
            layers = [_convolutions(network, _folded(*both)) for network in both]
            shared = sorted(layers[0].keys() & layers[1].keys())
            if self._teacher is None or not shared:
                raise TrainingError("distill.features needs convolutions that student and teacher share. Leave it out.")
            for found, kept in zip(layers, self._attention, strict=True):
                self._hooks += [_watch(name, found[name], kept) for name in shared]

        self._besides: list[tuple[float, HiddenStates | AttentionRelations]] = []
        if teaching.hidden and self._teacher is not None:
            self._besides.append((teaching.hidden, HiddenStates(teaching.pairs, student, self._teacher)))
        if teaching.relation_pair is not None and self._teacher is not None:
            relations = AttentionRelations(teaching.relation_pair, student, self._teacher)
            self._besides.append((teaching.relations, relations))

    def remember(self, batches: Batches) -> None:
        """Answer all of ``batches`` once, in their own order, so that no epoch asks again.

        For samples that are the same at each epoch. Where features, hidden states or relations count, the teacher sees
        every batch anyway.
        """
        if self._teacher is not None and not (self._teaching.features or self._besides):
            answer, size = partial(_answer_all, self._teacher, batches), min(len(batches), ANSWERS_AT_ONCE)
            self._answers, _ = in_parts_that_fit(answer, size, "distillation")

    def recall(self, positions: Positions) -> torch.Tensor | None:
        """Return what the teacher answers at ``positions``, float32 [B, K]; None where it was not asked before."""
        if self._answers is None:
            return None
        return self._answers[positions if isinstance(positions, slice) else positions.to(self._answers.device)]

    def mix(
        self,
        loss: torch.Tensor,
        inputs: torch.Tensor,
        learned: torch.Tensor,
        batch_size: int,
        taught: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the loss to learn from, of a part of a batch of ``batch_size`` samples.

        Args:
            loss: by the labels, of this part's share in the batch.
            inputs: of the part, [P, ...].
            learned: what the student gave for them, float32 [P, K].
            taught: what the teacher gives for them; it is asked where that is None.
        """
        if taught is None:
            assert self._teacher is not None
            with torch.no_grad():
                taught = self._teacher(inputs).float()
        teaching = self._teaching
        if self._has_values:
            apart = F.mse_loss(learned, taught, reduction="sum")
        else:
            heat = teaching.temperature
            soft = F.log_softmax(taught / heat, dim=1)
            # Times the temperature squared, so that its gradients stay as large as those of the labels.
            apart = heat**2 * F.kl_div(F.log_softmax(learned / heat, dim=1), soft, reduction="sum", log_target=True)
        mixed = (1 - teaching.weight) * loss + teaching.weight * apart / batch_size
        if teaching.features:
            mixed = mixed + teaching.features * self._looks_apart() / batch_size
        for weight, compared in self._besides:
            mixed = mixed + weight * compared.apart(inputs) / batch_size
        return mixed

    def leave(self) -> None:
        """Let the student be a network like any other again."""
        for hook in self._hooks:
            hook.remove()
        for _, compared in self._besides:
            compared.leave()

    def _looks_apart(self) -> torch.Tensor:
        student, teacher = self._attention
        differences = [(student[name] - teacher[name]).square().sum() for name in student]
        return torch.stack(differences).mean()


@torch.no_grad()
def _answer_all(teacher: Network, batches: Batches, size: int) -> torch.Tensor:
    parts = [(teacher(batch.inputs).float(), batch.positions) for batch in batches.by_length(size)]
    return in_own_order(*zip(*parts, strict=True))


def _convolutions(network: Network, folded: dict[str, str]) -> dict[str, nn.Module]:
    """Return name -> what gives a convolution's outputs: itself, the two it was split into, or its batch norm.

    Args:
        folded: convolution -> its batch norm, where student or teacher have made one of both.
    """
    layers = network.body.named_modules()
    found = {name: layer for name, layer in layers if isinstance(_first(layer), nn.Conv1d | nn.Conv2d)}
    own = _folded(network)
    norms = {name: norm for name, norm in folded.items() if name in found and name not in own}
    return found | {name: network.body.get_submodule(norm) for name, norm in norms.items()}


def _first(layer: nn.Module) -> nn.Module:
    return layer[0] if isinstance(layer, LowRank) else layer


def _folded(*networks: Network) -> dict[str, str]:
    """Return convolution -> batch norm of all that ``networks`` have folded to imitate integers."""
    found: dict[str, str] = {}
    for network in networks:
        if (quantization := network.spec.quantization) is not None:
            for name, norm in quantization.folded.items():
                owner = name.rpartition(".")[0]
                is_split = isinstance(network.body.get_submodule(owner), LowRank)
                found |= {name: norm, owner: norm} if is_split else {name: norm}
    return found


def _watch(name: str, layer: nn.Module, kept: dict[str, torch.Tensor]) -> RemovableHandle:
    """Keep at every call where ``layer`` looks: mean squares over the channels, [P, H * W]."""

    def keep(layer: nn.Module, given: object, output: torch.Tensor) -> None:
        kept[name] = F.normalize(output.float().square().mean(dim=1).flatten(1), dim=1)

    return layer.register_forward_hook(keep)
