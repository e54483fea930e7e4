"""Names of metrics as MLflow takes them: `recall[spam]_drop` is `recall_drop:spam` there, and read back as it was."""

from __future__ import annotations

import re

REFUSED = re.compile(r"[^\w.\- ]")
"""What MLflow does not take in a name on every system, and what stands for something here."""
NAME = re.compile(r"(?P<metric>[^\[]+)\[(?P<of>.*)\](?P<loss>_drop|_increase)?", re.DOTALL)


def to_mlflow(name: str) -> str:
    """Return ``name`` without brackets; a character that MLflow refuses is its number in hexadecimal digits."""
    found = NAME.fullmatch(name)
    if found is None:
        return name
    of = REFUSED.sub(lambda letter: f":{ord(letter[0]):x}:", found["of"])
    return f"{found['metric']}{found['loss'] or ''}:{of}"


def from_mlflow(text: str) -> str:
    """Return the name of which `to_mlflow` gave ``text``."""
    metric, colon, rest = text.partition(":")
    if not colon:
        return text
    of = re.sub(r":([0-9a-f]+):", lambda number: chr(int(number[1], 16)), rest)
    loss = next((each for each in ("_drop", "_increase") if metric.endswith(each)), "")
    return f"{metric.removesuffix(loss)}[{of}]{loss}"
