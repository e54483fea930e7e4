"""Columns of text that are no categories: what looks like numbers or dates, with what the catalog should say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from thresher.readers.frame.dates import is_like_a_date, suggest_dates
from thresher.readers.frame.numbers import (
    ABOUT,
    MIN_SHARE_READ,
    NumberFormat,
    describe_format,
    is_like_a_number,
    suggest_format,
    unit_of_number,
)

MANY, SOME = 20, 0.1
"""Where a column has more than so many different values that look like numbers or dates, and they are this share of
its values, they are no names of categories either."""
MAX_TRIED = 500
"""Different values of a column by which a format is guessed."""
INSIST = "'categorical: [{0}]' to take it for categories, or 'drop: [{0}]'"


@dataclass(frozen=True)
class LookAlike:
    """Why a column is not taken for categories, and what to write."""

    what: str
    example: str
    """The first of its values that look so."""
    fix: str


def look_alike(name: str, counts: Mapping[str, int]) -> LookAlike | None:
    """Return why the column ``name`` is not taken for categories, or None.

    Args:
        counts: how often each value is there.
    """
    insist = INSIST.format(f"'{name}'" if not name.replace("_", "").isalnum() else name)
    dates = {text: count for text, count in counts.items() if is_like_a_date(text)}
    if dates:
        formats = suggest_dates(list(dates)[:MAX_TRIED])
        if _are_too_many(dates, counts, bool(formats)):
            told = " or ".join(f"'dates: {{{name}: \"{form}\"}}'" for form in formats)
            either = (
                f"{told}{', whichever is meant' if len(formats) > 1 else ''} to take it for numbers, " if told else ""
            )
            return LookAlike("dates or times", next(iter(dates)), f"write {either}{insist}")
    numbers = _numbers_of(counts)
    formats_of_numbers = suggest_format(list(numbers)[:MAX_TRIED])
    # Some names such as <18 and >65 are categories, and many are not.
    exact = {text: count for text, count in counts.items() if unit_of_number(text)[:1] not in tuple(ABOUT)}
    read = {text: count for text, count in exact.items() if any(form.read(text) for form in formats_of_numbers)}
    if not _are_too_many(read, counts, True) and not _are_too_many(numbers, counts, False):
        return None
    odd = [text for text in numbers if not NumberFormat().read(text)] or list(numbers)
    # What reads fewer leaves the column as it is.
    cures = [form for form in formats_of_numbers if _share(filter(form.read, counts), counts) >= MIN_SHARE_READ]
    return LookAlike("numbers", odd[0], f"write {describe_formats(cures, odd)}{insist}")


def describe_formats(formats: list[NumberFormat], texts: list[str]) -> str:
    """Return what to write so that ``texts`` are numbers, or "" where nothing does that for most of them."""
    told = [describe_format(form) for form in formats if sum(bool(form.read(text)) for text in texts) > len(texts) / 2]
    told = [f"'{one}'" for one in told if one]
    return f"{' or '.join(told)}{', whichever is meant' if len(told) > 1 else ''}, " if told else ""


def _share(chosen: Iterable[str], counts: Mapping[str, int]) -> float:
    return sum(counts[text] for text in chosen) / sum(counts.values())


def _are_too_many(chosen: Mapping[str, int], counts: Mapping[str, int], is_readable: bool) -> bool:
    share = _share(chosen, counts)
    return (is_readable and share >= MIN_SHARE_READ) or (len(chosen) > MANY and share >= SOME)


def _numbers_of(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the values that look like numbers; those with a unit of letters only where many have the same one."""
    units = {text: unit_of_number(text) for text in counts if is_like_a_number(text)}
    unit, number = Counter(filter(None, units.values())).most_common(1)[0] if any(units.values()) else ("", 0)
    kept = {"", unit} if number > MANY else {""}
    return {text: counts[text] for text, found in units.items() if found in kept}
