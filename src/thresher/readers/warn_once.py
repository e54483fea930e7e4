"""Warnings about data that a reader reads nevertheless."""

from __future__ import annotations

import logging
from functools import cache


@cache
def warn(place: object, text: str) -> None:
    """Log ``text`` about the file or column at ``place``, once a process: each node that reads the data reads it anew.

    Kedro's console shows it as a warning.
    """
    logging.getLogger(__name__).warning("%s: %s", place, text)
