"""Which hidden states of a student learn from which of its teacher."""

from __future__ import annotations

import copy
from collections import Counter

import torch
from torch import nn

from thresher.compression.data import CompressionData
from thresher.compression.network.block_lists import find_blocks
from thresher.errors import CompressionError
from thresher.models.network import Network
from thresher.models.random_numbers import forked_generators
from thresher.training.hidden_states import PROJECTION, HiddenStates, Pairs


def pair_hidden_states(student: Network, teacher: Network, data: CompressionData) -> tuple[Network, Pairs]:
    """Return a copy of ``student`` that maps its vectors to the teacher's width, and the blocks that belong together.

    They are spread evenly over the teacher's depth, the last with the last. Where both are equally wide, nothing is
    mapped.

    Raises:
        CompressionError: a network without blocks, or blocks that do not make one vector a step.
    """
    ours, theirs = (_block_names(network, data) for network in (student, teacher))
    pairs = [(name, theirs[round(place * len(theirs) / len(ours)) - 1]) for place, name in enumerate(ours, 1)]
    student = copy.deepcopy(student)
    inputs = torch.from_numpy(data.training_samples.inputs[:2].copy())
    states = HiddenStates(pairs, student, teacher)
    try:
        with torch.no_grad():
            student.eval()(inputs), teacher(inputs)
        shapes = states.shapes()
    finally:
        states.leave()
    if any(one[:-1] != other[:-1] or len(one) != 3 for one, other in shapes):
        raise CompressionError(
            f"{data.candidate}: distill.hidden compares one vector a step, and the blocks make {list(shapes[0][0])} "
            f"and {list(shapes[0][1])}. Leave it out."
        )
    (width,), (wanted,) = ({shape[side][-1] for shape in shapes} for side in (0, 1))
    if width != wanted:
        with forked_generators():
            torch.manual_seed(data.training.seed)
            student.add_module(PROJECTION, nn.Linear(width, wanted))
    return student, pairs


def _block_names(network: Network, data: CompressionData) -> list[str]:
    blocks = [block for block in find_blocks(network) if block.can_go]
    if not blocks:
        raise CompressionError(
            f"{data.candidate}: distill.hidden needs two blocks or more in student and teacher, and a "
            f"{network.spec.model.kind} has none. Leave it out."
        )
    ((owner, _),) = Counter(block.owner for block in blocks).most_common(1)
    return [block.name for block in blocks if block.owner == owner]
