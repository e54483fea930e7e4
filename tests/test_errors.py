"""Errors say what to mend, and cross a process border whole."""

import inspect
import pickle

import pytest

from thresher import errors
from thresher.errors import Problem, RecipeError, ThresherError, nearest

LEAVES = [
    leaf
    for _, leaf in inspect.getmembers(errors, inspect.isclass)
    if issubclass(leaf, ThresherError) and leaf not in (ThresherError, RecipeError)
]


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_leaf_is_one_thresher_error_with_its_text(leaf: type[ThresherError]) -> None:
    copy = pickle.loads(pickle.dumps(leaf("mend this")))
    assert (type(copy), str(copy), leaf.__bases__) == (leaf, "mend this", (ThresherError,))


def test_a_recipe_error_shows_every_problem_with_its_place_and_fix() -> None:
    error = RecipeError(
        "digits", [Problem("digits.yml:3 task", "wrong", "Write it so."), Problem("digits.yml:4", "bad")]
    )
    assert str(error) == (
        "Recipe digits: 2 problems\n  digits.yml:3 task: wrong\n    Write it so.\n  digits.yml:4: bad"
    )


def test_one_problem_is_counted_in_the_singular() -> None:
    assert str(RecipeError("digits", [Problem("here", "bad")])).startswith("Recipe digits: 1 problem\n")


def test_a_recipe_error_survives_pickling() -> None:
    error = RecipeError("digits", [Problem("digits.yml:3", "wrong", "Write it so.")])
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.recipe, copy.problems, str(copy)) == (error.recipe, error.problems, str(error))


@pytest.mark.parametrize(
    ("name", "allowed", "sentence"),
    [
        ("epoch", {"lr", "epochs"}, "Did you mean 'epochs'? Allowed: epochs, lr."),
        ("zebra", ["lr", "epochs"], "Allowed: epochs, lr."),
        ("half", ["float", "half_channels"], "Did you mean 'half_channels'? Allowed: float, half_channels."),
        ("epoch", [], "Allowed: nothing."),
        ("y", ["x", "Y"], "Did you mean 'Y'? Allowed: Y, x."),
        ("LABEL", ["lapel", "label"], "Did you mean 'label'? Allowed: label, lapel."),
    ],
)
def test_nearest_names_the_closest_match_and_all_that_is_allowed(name: str, allowed: list[str], sentence: str) -> None:
    assert nearest(name, allowed) == sentence
