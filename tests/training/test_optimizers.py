"""Every optimizer that a recipe can name is torch's own, with torch's defaults, and learns."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
import torch
from pydantic import TypeAdapter

from thresher.modalities.samples import Samples
from thresher.models.network import Network
from thresher.training import Training
from thresher.training.loop import train
from thresher.training.optimizers import TORCH_NAME, Adam, AdamW, Optimizer, RmsProp, Sgd, build_optimizer

LEARNING = [
    Sgd(lr=0.05),
    Sgd(lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.001),
    RmsProp(lr=0.002),
    RmsProp(lr=0.002, momentum=0.5),
    Adam(lr=0.01),
    AdamW(lr=0.01),
]


@pytest.mark.parametrize("optimizer", LEARNING, ids=str)
def test_every_optimizer_lowers_the_loss(
    optimizer: Optimizer, network: Network, halves: Callable[[int], Samples]
) -> None:
    config = Training(optimizer=optimizer, epochs=6, batch_size="full")
    losses = [epoch.training_loss for epoch in train(network, halves(32), halves(8), config, "float")[1].epochs]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("config", TORCH_NAME)
def test_what_a_recipe_leaves_out_is_torchs_own_default(config: type[Optimizer]) -> None:
    torchs = inspect.signature(getattr(torch.optim, TORCH_NAME[config])).parameters
    options = config().model_dump(exclude={"kind", "lr"})
    assert options == {name: torchs[name].default for name in options}


@pytest.mark.parametrize("optimizer", LEARNING, ids=str)
def test_what_a_recipe_gives_reaches_torch(optimizer: Optimizer) -> None:
    built = build_optimizer(optimizer, [torch.nn.Parameter(torch.zeros(2))])
    assert type(built).__name__ == TORCH_NAME[type(optimizer)]
    given = optimizer.model_dump(exclude={"kind"})
    assert given == {name: built.param_groups[0][name] for name in given}


@pytest.mark.parametrize("config", TORCH_NAME)
def test_every_optimizer_is_named_by_its_kind(config: type[Optimizer]) -> None:
    kind = config.model_fields["kind"].default
    assert TypeAdapter(Optimizer).validate_python({"kind": kind}) == config()
