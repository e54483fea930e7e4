"""Which hidden states of a student learn from which of its teacher."""

from __future__ import annotations

import copy
import math
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

    They are spread evenly over the teacher's depth, the last with the last. Of a teacher from which `drop_layers` has
    made the student, a block stands for those besides that came after it: what it makes is what the next one was given.
    Where both are equally wide, nothing is mapped.

    Raises:
        CompressionError: a network without blocks, or blocks that do not make one vector a step.
    """
    pairs = _pair_blocks(student, teacher, data)
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


def _pair_blocks(student: Network, teacher: Network, data: CompressionData) -> list[tuple[str, str]]:
    ours, theirs = (_blocks(network, data) for network in (student, teacher))
    names = list(theirs)
    if student.spec.model != teacher.spec.model:
        return [(name, names[round(place * len(names) / len(ours)) - 1]) for place, name in enumerate(ours, 1)]
    next_places = [*list(ours.values())[1:], math.inf]
    num_before = [sum(place < next_place for place in theirs.values()) for next_place in next_places]
    return [(name, names[max(count, 1) - 1]) for name, count in zip(ours, num_before, strict=True)]


def _blocks(network: Network, data: CompressionData) -> dict[str, int]:
    """Return the blocks that can go -> their places as the settings build them, of the list that has most of them."""
    blocks = [block for block in find_blocks(network) if block.can_go]
    if not blocks:
        raise CompressionError(
            f"{data.candidate}: distill.hidden needs two blocks or more in student and teacher, and a "
            f"{network.spec.model.kind} has none. Leave it out."
        )
    ((owner, _),) = Counter(block.owner for block in blocks).most_common(1)
    built = network.spec.blocks.get(owner)
    return {block.name: built[block.place] if built else block.place for block in blocks if block.owner == owner}
