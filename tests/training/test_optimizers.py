"""Every optimizer that a recipe can name is torch's own, with torch's defaults, and learns."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from thresher.kinds.built_in import OPTIMIZERS
from thresher.kinds.record import OptimizerKind
from thresher.kinds.registry import kind_of
from thresher.modalities.samples import Samples
from thresher.models.network import Network
from thresher.training import Training
from thresher.training.loop import train
from thresher.training.optimizers import (
    Adagrad,
    Adam,
    AdamW,
    Lbfgs,
    Muon,
    NAdam,
    Optimizer,
    RmsProp,
    Sgd,
    build_optimizers,
    hidden_matrices,
)

LEARNING = [
    Sgd(lr=0.05),
    Sgd(lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.001),
    RmsProp(lr=0.002),
    RmsProp(lr=0.002, momentum=0.5),
    Adagrad(lr=0.02, lr_decay=0.01),
    Adam(lr=0.01),
    AdamW(lr=0.01),
    NAdam(lr=0.01),
    Muon(lr=0.01),
    Muon(lr=0.01, momentum=0.8, nesterov=False, weight_decay=0.0),
    Lbfgs(lr=0.5, max_iter=3),
    Lbfgs(lr=0.05, max_iter=2, line_search_fn=None),
]


@pytest.mark.parametrize("optimizer", LEARNING, ids=str)
def test_every_optimizer_lowers_the_loss(
    optimizer: Optimizer, network: Network, halves: Callable[[int], Samples]
) -> None:
    config = Training(optimizer=optimizer, epochs=6, batch_size="full")
    losses = [epoch.training_loss for epoch in train(network, halves(32), halves(8), config, "float")[1].epochs]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("kind", OPTIMIZERS, ids=lambda kind: kind.name)
def test_what_a_recipe_leaves_out_is_torchs_own_default(kind: OptimizerKind) -> None:
    torchs = inspect.signature(kind.load()).parameters
    options = kind.config_class().model_dump(exclude={"kind", "lr", "line_search_fn"})
    assert options == {name: torchs[name].default for name in options}


@pytest.mark.parametrize("optimizer", LEARNING, ids=str)
def test_what_a_recipe_gives_reaches_torch(optimizer: Optimizer, network: Network) -> None:
    built = build_optimizers(optimizer, network)[0]
    assert type(built) is kind_of(OptimizerKind, optimizer).load()
    given = optimizer.model_dump(exclude={"kind"})
    assert given == {name: built.param_groups[0][name] for name in given}


@pytest.mark.parametrize("kind", OPTIMIZERS, ids=lambda kind: kind.name)
def test_every_optimizer_is_named_by_its_kind(kind: OptimizerKind) -> None:
    assert TypeAdapter(Optimizer).validate_python({"kind": kind.name}) == kind.config_class()


def test_muon_takes_hidden_matrices_alone_and_adamw_all_others(network: Network) -> None:
    muon, adamw = build_optimizers(Muon(lr=0.003, weight_decay=0.2), network)
    names = {id(weight): name for name, weight in network.named_parameters()}
    taken = [{names[id(weight)] for group in part.param_groups for weight in group["params"]} for part in (muon, adamw)]
    assert taken[0] == {"body.fc1.weight"}
    assert taken[0] | taken[1] == set(names.values())
    assert not taken[0] & taken[1]
    assert [part.param_groups[0]["lr"] for part in (muon, adamw)] == [0.003, 0.003]
    assert (type(adamw).__name__, adamw.param_groups[0]["weight_decay"]) == ("AdamW", 0.2)


def test_muon_leaves_embeddings_out_and_does_without_matrices(network: Network) -> None:
    network.body.add_module("words", torch.nn.Embedding(5, 3))
    assert [tuple(weight.shape) for weight in hidden_matrices(network)] == [(8, 64)]
    network.body.fc1 = torch.nn.Identity()
    (only,) = build_optimizers(Muon(), network)
    assert type(only).__name__ == "AdamW"


def test_lbfgs_solves_least_squares_in_a_few_steps(
    value_network: Network, brightness: Callable[[int], Samples]
) -> None:
    config = Training(optimizer=Lbfgs(), epochs=10, batch_size="full")
    _, history = train(value_network, brightness(64), brightness(64), config, "float")
    assert history.epochs[-1].training_loss < 1e-3 * history.epochs[0].training_loss


@pytest.mark.parametrize("setting", [{"clip_norm": 1.0}, {"precision": "fp16"}])
def test_what_lbfgs_cannot_do_is_refused(setting: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="lbfgs"):
        Training.model_validate({"optimizer": {"kind": "lbfgs"}, **setting})
