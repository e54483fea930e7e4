"""Errors say what to mend, and cross a process border whole."""

import importlib
import inspect
import pickle
from pathlib import Path

import pytest

from thresher import errors
from thresher.errors import (
    DataError,
    Problem,
    RecipeError,
    ThresherError,
    describe_import_error,
    find_mendable,
    list_some,
    nearest,
)

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


def raised(*chain: BaseException, kept: bool) -> BaseException:
    """Return the last of ``chain``, each raised while the one before it was handled, or from it where ``kept``."""
    error: BaseException = chain[0]
    for later in chain[1:]:
        if kept:
            later.__cause__ = error
        later.__context__ = error
        error = later
    return error


@pytest.mark.parametrize("kept", [True, False])
def test_what_can_be_mended_is_found_behind_what_wraps_it(kept: bool) -> None:
    mendable = DataError("mend this")
    assert find_mendable(raised(mendable, ValueError("wrapped"), RuntimeError("twice"), kept=kept)) is mendable
    assert find_mendable(raised(KeyError("a bug"), mendable, kept=kept)) is mendable
    assert find_mendable(raised(KeyError("a bug"), ValueError("wrapped"), kept=kept)) is None
    assert find_mendable(None) is None


@pytest.mark.parametrize(
    ("count", "ends"), [(1, "0."), (20, "19."), (21, "And 1 more columns."), (3020, "3,000 more columns.")]
)
def test_a_long_list_tells_twenty_and_how_many_more_there_are(count: int, ends: str) -> None:
    text = list_some([f"Mend {number}." for number in range(count)], "columns")
    assert text.endswith(ends)
    assert text.count("Mend ") == min(count, 20)
    assert ("more" in text) is (count > 20)


def test_an_import_that_fails_names_the_innermost_line_of_who_wrote_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outer_of_theirs.py").write_text("\nimport inner_of_theirs\n")
    (tmp_path / "inner_of_theirs.py").write_text("\n\n1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ZeroDivisionError) as caught:
        importlib.import_module("outer_of_theirs")
    told = describe_import_error(caught.value)
    assert told == f"ZeroDivisionError: division by zero ({tmp_path / 'inner_of_theirs.py'}:3)"
    assert describe_import_error(ModuleNotFoundError("No module named 'x'")) == (
        "ModuleNotFoundError: No module named 'x'"
    )
