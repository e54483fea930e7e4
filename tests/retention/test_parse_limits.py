"""Ages and sizes on the command line."""

from __future__ import annotations

from datetime import timedelta

import click
import pytest

from thresher.retention.parse_limits import read_age, read_size


@pytest.mark.parametrize(
    ("text", "hours"), [("12h", 12), ("30d", 720), ("8w", 1344), ("0h", 0), ("1.5D", 36), (" 2 w ", 336)]
)
def test_ages(text: str, hours: float) -> None:
    assert read_age(text) == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("text", "size"),
    [("500MB", 500_000_000), ("5GB", 5 * 10**9), ("1.5 tb", 1_500_000_000_000), ("0kB", 0), ("250kb", 250_000)],
)
def test_sizes(text: str, size: int) -> None:
    assert read_size(text) == size


def test_nothing_is_no_limit() -> None:
    assert (read_age(None), read_size(None)) == (None, None)


@pytest.mark.parametrize("text", ["", "30", "d", "-3d", "3 months", "3dd", "3d12h", "٣d", "3e9d", "99999999999999w"])
def test_no_age(text: str) -> None:
    with pytest.raises(click.BadParameter) as raised:
        read_age(text)
    assert raised.value.param_hint == "--older-than"


def test_a_bad_age_is_told_the_form() -> None:
    with pytest.raises(click.BadParameter, match=r"'30 days' is not .* units h, d, w. Write it like 12h, 30d or 8w."):
        read_age("30 days")


@pytest.mark.parametrize("text", ["", "5", "GB", "5G", "5GiB", "-5GB", "5,5GB"])
def test_no_size(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"units kB, MB, GB, TB. Write it like 500MB, 5GB or 1.5TB.") as raised:
        read_size(text)
    assert raised.value.param_hint == "--keep-at-most"
