"""Whatever draws from torch's one generator waits while a training that draws is in the middle of a step."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from thresher.compression.network.structure import _find_structure, find_structure
from thresher.modalities.outputs import ClassOutput
from thresher.models.low_rank import split_layer
from thresher.models.mlp import Mlp
from thresher.models.network import Network, NetworkSpec
from thresher.models.start import build_start
from thresher.training import Training
from thresher.training.autotune import choose_execution
from thresher.training.random_stream import RandomStream

LAYER = nn.Linear(8, 8)
MODEL, OUTPUT = Mlp(hidden=(8,), dropout=0.3), ClassOutput(num_classes=10)
ENOUGH_S = 0.2
"""By then a thread that does not wait has drawn."""


def build(grey: Any, digits: Any) -> object:
    return Network(NetworkSpec(model=MODEL, input=grey, output=OUTPUT))


def start(grey: Any, digits: Any) -> object:
    return build_start(MODEL, grey, OUTPUT, seed=5)


def split(grey: Any, digits: Any) -> object:
    return split_layer(LAYER, 2)


def plan(grey: Any, digits: Any) -> object:
    return Network(NetworkSpec(model=MODEL, input=grey, output=OUTPUT)).channel_plan()


def structure(grey: Any, digits: Any) -> object:
    _find_structure.cache_clear()
    return find_structure(Network(NetworkSpec(model=MODEL, input=grey, output=OUTPUT)))


def trial(grey: Any, digits: Any) -> object:
    network = Network(NetworkSpec(model=MODEL, input=grey, output=OUTPUT))
    return choose_execution(network, digits.training, Training(epochs=1, batch_size=64))


@pytest.mark.parametrize("work", [build, start, split, plan, structure, trial], ids=lambda work: work.__name__)
def test_a_training_draws_the_same_whatever_is_done_beside_it(
    work: Callable[[Any, Any], object], grey: Any, digits: Any
) -> None:
    cpu = torch.device("cpu")
    torch.manual_seed(7)
    alone = torch.rand(4)
    stream = RandomStream(7, cpu, draws=True)
    beside = threading.Thread(target=work, args=(grey, digits))
    with stream.turn():
        first = torch.rand(2)
        beside.start()
        beside.join(ENOUGH_S)
        second = torch.rand(2)
    beside.join()
    assert torch.equal(torch.cat([first, second]), alone)
