"""Which attention of a student learns from which of its teacher."""

from __future__ import annotations

import copy
from functools import partial
from math import gcd

import torch

from thresher.compression.data import CompressionData
from thresher.errors import CompressionError
from thresher.models.network import Network
from thresher.models.pretrained.config import Pretrained
from thresher.training.attention_relations import RelationPair, watch

MOST_HEADS, LEAST_WIDTH = 48, 8
"""Relation heads at most, as MiniLMv2 has them for the base models, and how wide each is at least."""


def pair_attention(student: Network, teacher: Network, heads: int | None, data: CompressionData) -> RelationPair:
    """Return the last attention of both, and into how many relation heads their vectors are divided.

    Args:
        heads: as the recipe says it; None for the most that divide both widths.

    Raises:
        CompressionError: a network whose queries, keys and values are not known, that attends to other steps, or whose
            width ``heads`` do not divide.
    """
    ours, theirs = (_last_attention(network, data) for network in (student, teacher))
    steps = [(shapes[0][0], shapes[0][2]) for _, shapes in (ours, theirs)]
    if steps[0] != steps[1]:
        raise CompressionError(
            f"{data.candidate}: distill.relations compares what each step attends to, and the student attends to "
            f"{steps[0][1]} steps, the teacher to {steps[1][1]}. Leave it out."
        )
    widths = [shape[1] * shape[3] for _, shapes in (ours, theirs) for shape in shapes]
    common = gcd(*widths)
    able = [count for count in range(1, MOST_HEADS + 1) if common % count == 0]
    if heads is not None and common % heads:
        raise CompressionError(
            f"{data.candidate}: distill.relations.heads is {heads}, which does not divide the widths of what attends, "
            f"{', '.join(map(str, sorted(set(widths))))}. Allowed: {', '.join(map(str, able))}."
        )
    wide = [count for count in able if min(widths) // count >= LEAST_WIDTH]
    return RelationPair(ours[0], theirs[0], heads or max(wide, default=1))


def _last_attention(network: Network, data: CompressionData) -> tuple[str, list[torch.Size]]:
    """Return the name of the module that attends last, and the shapes of its queries, keys and values, [B, H, T, E]."""
    seen: list[tuple[str, list[torch.Size]]] = []

    def note(name: str, *vectors: torch.Tensor) -> None:
        seen.append((name, [vector.shape for vector in vectors]))

    tried = copy.deepcopy(network).eval()  # another candidate may learn from the same teacher meanwhile
    for name, module in tried.body.named_modules():
        watch(module, partial(note, name))
    with torch.no_grad():
        tried(torch.from_numpy(data.training_samples.inputs[:2].copy()))
    if not seen:
        model = network.spec.model
        architecture = model.architecture if isinstance(model, Pretrained) else None
        called = architecture["model_type"] if architecture else model.kind
        raise CompressionError(
            f"{data.candidate}: distill.relations compares queries, keys and values, and those of a {called} are not "
            "known. Allowed: transformer, and pretrained encoders but deberta, deberta-v2 and those of convolutions. "
            "Leave it out."
        )
    return seen[-1]
