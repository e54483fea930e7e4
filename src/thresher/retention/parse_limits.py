"""Ages and sizes as they are written on the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

import click

HOURS = {"h": 1, "d": 24, "w": 7 * 24}
BYTES = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def read_age(text: str | None) -> timedelta | None:
    """Return the age that ``text`` says, such as 12h, 30d or 8w.

    Raises:
        click.BadParameter: it says none.
    """
    hours = _read(text, HOURS, "--older-than", "12h, 30d or 8w")
    try:
        return None if hours is None else timedelta(hours=hours)
    except OverflowError as error:
        raise click.BadParameter(f"'{text}' is longer than anything is old.", param_hint="--older-than") from error


def read_size(text: str | None) -> int | None:
    """Return the bytes that ``text`` says, such as 500MB or 5GB.

    Raises:
        click.BadParameter: it says none.
    """
    size = _read(text, BYTES, "--keep-at-most", "500MB, 5GB or 1.5TB")
    return None if size is None else int(size)


def _read(text: str | None, units: Mapping[str, int], option: str, form: str) -> float | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text.strip(), re.IGNORECASE | re.ASCII)
    factors = {unit.lower(): factor for unit, factor in units.items()}
    if not match or match[2].lower() not in factors:
        what = f"'{text}' is not a number with one of the units {', '.join(units)}. Write it like {form}."
        raise click.BadParameter(what, param_hint=option)
    return float(match[1]) * factors[match[2].lower()]
