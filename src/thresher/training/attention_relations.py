"""How far what a student attends to is from what its teacher does, whatever their widths and heads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from thresher.models.network import Network
from thresher.models.padding import mark_real
from thresher.models.transformer.network import WATCH

FAR = -1e4
"""Of a softmax: what lies so far below the others counts as nothing."""


@dataclass(frozen=True)
class RelationPair:
    """The attention of the student and that of the teacher that it learns from, by their names in the bodies.

    Attributes:
        heads: into which the vectors of all heads together are divided anew.
    """

    student: str
    teacher: str
    heads: int


class AttentionRelations:
    """Keeps queries, keys and values of two networks and compares the relations within each.

    Source: Wang et al., "MiniLMv2: Multi-Head Self-Attention Relation Distillation for Compressing Pretrained
    Transformers", 2021: the divergence of softmax(A A' / sqrt(D)) of the queries, of the keys and of the values, each
    the mean over relation heads and steps, and their sum.
    """

    def __init__(self, pair: RelationPair, student: Network, teacher: Network) -> None:
        self._pair, self._student = pair, student
        self._made: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
        names = (pair.student, pair.teacher)
        self._watched = [
            watch(network.body.get_submodule(name), _keep(made))
            for network, name, made in zip((student, teacher), names, self._made, strict=True)
        ]

    def apart(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return how far apart the relations are that both made of ``inputs``, summed over the samples.

        Padding neither counts nor is attended to.
        """
        real_PT = mark_real(self._student.prepare(inputs))
        parts = [
            relations_apart(ours, theirs, self._pair.heads, real_PT) for ours, theirs in zip(*self._made, strict=True)
        ]
        return torch.stack(parts).sum()

    def leave(self) -> None:
        """Watch no longer."""
        for stop in self._watched:
            stop()


def relations_apart(
    student_PHTE: torch.Tensor, teacher_PHTE: torch.Tensor, heads: int, real_PT: torch.Tensor | None
) -> torch.Tensor:
    """Return the divergence of the student's relations from the teacher's, summed over the samples.

    Args:
        student_PHTE: queries, keys or values, as those of the teacher; heads and their widths may differ.
        heads: relation heads, which divide both widths.
        real_PT: 1 for the steps of each sequence, 0 for its padding; None where all are real.
    """
    ours_PHTT, theirs_PHTT = (_log_relations(each, heads, real_PT) for each in (student_PHTE, teacher_PHTE))
    apart_PT = F.kl_div(ours_PHTT, theirs_PHTT, reduction="none", log_target=True).sum(dim=3).mean(dim=1)
    weights_PT = torch.ones_like(apart_PT) if real_PT is None else real_PT
    return ((apart_PT * weights_PT).sum(dim=1) / weights_PT.sum(dim=1)).sum()


def _log_relations(vectors_PHTE: torch.Tensor, heads: int, real_PT: torch.Tensor | None) -> torch.Tensor:
    whole_PTD = vectors_PHTE.float().transpose(1, 2).flatten(2)
    parts_PHTE = whole_PTD.unflatten(2, (heads, -1)).transpose(1, 2)
    products_PHTT = parts_PHTE @ parts_PHTE.transpose(2, 3) * parts_PHTE.shape[3] ** -0.5
    if real_PT is not None:
        products_PHTT = products_PHTT.masked_fill(real_PT[:, None, None] == 0, FAR)
    return F.log_softmax(products_PHTT, dim=3)


def watch(module: nn.Module, keep: Callable[..., None]) -> Callable[[], None]:
    """Have ``keep`` be given queries, keys and values, [B, H, T, E] each, whenever ``module`` attends.

    Returns:
        A function that ends it.
    """
    setattr(module, WATCH, keep)
    return lambda: delattr(module, WATCH)


def _keep(made: list[torch.Tensor]) -> Any:
    def keep(*vectors: torch.Tensor) -> None:
        made[:] = vectors

    return keep
