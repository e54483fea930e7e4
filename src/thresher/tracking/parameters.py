"""What a recipe says, as the parameters of an MLflow run: by names, in lengths and in numbers that MLflow takes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

MAX_NAME, MAX_VALUE, MAX_IN_A_CALL = 250, 6000, 100
"""MLflow's own limits: characters of a name and of a value, parameters in a call."""
REFUSED = re.compile(r"[^\w.\- ]")
"""What MLflow does not take in a name on every system, and slashes, of which it takes some."""
HASH_DIGITS = 8


def as_parameters(values: Any) -> dict[str, str]:
    """Return nested ``values`` as name -> text: dotted places, in which a character that MLflow refuses is a `_`.

    Names that are then alike, or too long, end in a hash of what they were. Texts are cut.
    """
    parameters: dict[str, str] = {}
    for place, value in flatten(values).items():
        name = REFUSED.sub("_", place)
        if name in parameters or len(name) > MAX_NAME:
            mark = hashlib.sha256(place.encode("utf-8", "backslashreplace")).hexdigest()[:HASH_DIGITS]
            name = f"{name[: MAX_NAME - HASH_DIGITS - 1]}.{mark}"
        # Half of a surrogate pair, which YAML can write, is no text for a database.
        text = str(value)[:MAX_VALUE].encode("utf-8", "backslashreplace").decode()
        parameters[name] = text[:MAX_VALUE]
    return parameters


def in_batches(parameters: dict[str, str]) -> Iterator[dict[str, str]]:
    """Yield as many of ``parameters`` at a time as MLflow takes in one call."""
    items = list(parameters.items())
    for start in range(0, len(items), MAX_IN_A_CALL):
        yield dict(items[start : start + MAX_IN_A_CALL])


def flatten(values: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested mappings and lists as one mapping with dotted keys."""
    if isinstance(values, dict) and values:
        items = [(str(key), value) for key, value in values.items()]
    elif isinstance(values, list) and any(isinstance(value, dict) for value in values):
        items = [(str(index), value) for index, value in enumerate(values)]
    else:
        return {prefix: values}
    return {
        key: leaf
        for name, value in items
        for key, leaf in flatten(value, f"{prefix}.{name}" if prefix else name).items()
    }
