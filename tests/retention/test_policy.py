"""What is taken by age, by size, and by both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from thresher.retention.artifacts import Item, Kind
from thresher.retention.policy import choose

NOW = datetime(2026, 11, 23, tzinfo=UTC)
DAY = timedelta(days=1)


def item(name: str, age: float, size: int = 10, kept: str = "", used: float | None = None) -> Item:
    """Return an item that is ``age`` days old and was in use until ``used`` days ago."""
    moments = {"made": NOW - age * DAY, "used": NOW - (age if used is None else used) * DAY}
    return Item(recipe="small", kind=Kind.RUN, name=name, size=size, free=lambda: None, kept=kept, **moments)


ITEMS = [item("middle", 5), item("young", 1), item("old", 9), item("champion", 8, kept="the champion is it")]


def names(items: tuple[Item, ...]) -> list[str]:
    return [item.name for item in items]


def test_by_age_what_is_older_is_taken_but_for_what_is_kept() -> None:
    choice = choose(ITEMS, NOW, 4 * DAY, None)
    assert names(choice.to_free) == ["old", "middle"]
    assert names(choice.stays) == ["champion", "young"]
    assert names(choice.never_freed) == ["champion"]
    assert (choice.freed, choice.left) == (20, 20)


def test_what_is_just_as_old_stays() -> None:
    assert names(choose(ITEMS, NOW, 9 * DAY, None).to_free) == []


@pytest.mark.parametrize(
    ("bound", "taken"),
    [
        (40, []),
        (39, ["old"]),
        (30, ["old"]),
        (29, ["old", "middle"]),
        (10, ["old", "middle", "young"]),
        (9, ["old", "middle", "young"]),
    ],
)
def test_by_size_the_oldest_are_taken_until_the_rest_is_within_the_bound(bound: int, taken: list[str]) -> None:
    choice = choose(ITEMS, NOW, None, bound)
    assert names(choice.to_free) == taken
    assert choice.left == 40 - 10 * len(taken)


def test_by_both_all_that_is_older_goes_and_then_the_oldest_of_the_rest() -> None:
    assert names(choose(ITEMS, NOW, 6 * DAY, 35).to_free) == ["old"]
    assert names(choose(ITEMS, NOW, 6 * DAY, 25).to_free) == ["old", "middle"]


def test_what_a_younger_one_took_from_is_as_young() -> None:
    items = [item("origin", 9, used=1), item("taker", 1), item("other", 5)]
    assert names(choose(items, NOW, 4 * DAY, None).to_free) == ["other"]
    assert names(choose(items, NOW, None, 25).to_free) == ["other"]


def test_what_takes_no_space_is_not_taken_for_its_size() -> None:
    items = [item("on a server", 9, size=0), item("here", 5)]
    assert names(choose(items, NOW, None, 0).to_free) == ["here"]
    assert names(choose(items, NOW, 0 * DAY, None).to_free) == ["on a server", "here"]


def test_two_that_look_the_same_are_two() -> None:
    assert choose([item("one", 5), item("one", 5)], NOW, None, 10).freed == 10
