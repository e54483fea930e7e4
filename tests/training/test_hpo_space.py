"""A search's space: how it is written, what a trial draws from it, and where it goes in the recipe."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FixedTrial
from pydantic import ValidationError

from thresher.training.hpo_space import Search, apply, corners, suggest

SPACE: dict[str, Any] = {
    "training.optimizer": ["adam", {"kind": "sgd", "momentum": {"low": 0.5, "high": 0.99}}],
    "training.optimizer.lr": {"low": "1e-4", "high": 1, "log": True},
    "training.batch_size": [32, "full"],
    "model.hidden": {"low": 8, "high": 64, "log": True},
}
RECIPE: dict[str, Any] = {
    "model": {"kind": "cnn", "hidden": 16},
    "training": {"optimizer": {"kind": "rmsprop", "lr": 0.5, "momentum": 0.1}, "epochs": 3},
}


def space(given: dict[str, Any]) -> Any:
    return Search.model_validate({"space": given}).space


def test_what_a_trial_draws_goes_to_its_place_and_leaves_the_recipe_as_it_was() -> None:
    drawn = {"optimizer": "sgd", "optimizer.sgd.momentum": 0.9, "optimizer.lr": 0.01, "batch_size": "full",
             "model.hidden": 32}  # fmt: skip
    settings = suggest(space(SPACE), FixedTrial(drawn))
    changed = apply(settings, RECIPE)
    assert changed["training"] == {
        "optimizer": {"kind": "sgd", "momentum": 0.9, "lr": 0.01},
        "epochs": 3,
        "batch_size": "full",
    }
    assert changed["model"] == {"kind": "cnn", "hidden": 32}
    assert RECIPE["training"]["optimizer"]["kind"] == "rmsprop" and RECIPE["model"]["hidden"] == 16


def test_a_name_alone_stands_for_the_kind_wherever_a_kind_is_asked_for() -> None:
    drawn = {"optimizer": "adam", "optimizer.lr": 0.5, "batch_size": "32", "model.hidden": 8}
    changed = apply(suggest(space(SPACE), FixedTrial(drawn)), RECIPE)
    assert changed["training"]["optimizer"] == {"kind": "adam", "lr": 0.5}
    assert changed["training"]["batch_size"] == 32


@given(st.integers(0, 2**32 - 1))
def test_every_draw_lies_within_the_space_and_whole_numbers_stay_whole(seed: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
    settings = suggest(space(SPACE), study.ask())
    assert 1e-4 <= settings["training.optimizer.lr"] <= 1
    assert isinstance(settings["model.hidden"], int) and 8 <= settings["model.hidden"] <= 64
    assert settings["training.batch_size"] in (32, "full")
    optimizer = settings["training.optimizer"]
    assert optimizer == "adam" or 0.5 <= optimizer["momentum"] <= 0.99


def test_corners_are_every_choice_and_both_ends_of_every_range() -> None:
    found = list(corners(space(SPACE)))
    assert ("training.optimizer", {"kind": "sgd", "momentum": 0.5}) in found
    assert ("training.optimizer", {"kind": "sgd", "momentum": 0.99}) in found
    assert [value for place, value in found if place == "training.optimizer.lr"] == [1e-4, 1]
    assert [value for place, value in found if place == "training.batch_size"] == [32, "full"]


@pytest.mark.parametrize(
    ("dimension", "says"),
    [
        ({"low": 1, "high": 1}, "low 1 is not below high 1"),
        ({"low": 0, "high": 1, "log": True}, "log needs a low above 0"),
        ({"low": 1, "high": 9, "log": True, "step": 2}, "give one of log and step"),
        ({"low": 1, "high": 9, "step": 0}, "step 0 is not above 0"),
        ([5], "at least 2 items"),
    ],
)
def test_a_dimension_that_makes_no_sense_is_refused(dimension: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        space({"training.epochs": dimension})


def test_a_place_outside_of_model_and_training_is_refused() -> None:
    with pytest.raises(ValidationError, match="pattern"):
        space({"data.validation": [0.1, 0.2]})
