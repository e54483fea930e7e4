"""The layers of a file beside those of an architecture: names and shapes, as far as they differ. No torch in here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

Shape = tuple[int | None, ...]
"""None for a length that depends on the data."""
Value = TypeVar("Value")
LISTED = 10
"""Layers that a sentence lists of each kind."""
PREPARATION, COUNTER = "prepare.", "num_batches_tracked"


def describe_differences(
    got: Mapping[str, Shape], expected: Mapping[str, Shape], optional: Collection[str] = ()
) -> str:
    """Return in what the layers of a file differ from those of an architecture, both sides by name, or "".

    Args:
        optional: of the expected layers, those that the file need not have.
    """
    wanted = {key for key in expected if not key.endswith(COUNTER) and key not in optional}
    missing = [f"{key} {describe_shape(expected[key])}" for key in sorted(wanted - got.keys())]
    unexpected = [f"{key} {describe_shape(got[key])}" for key in sorted(got.keys() - expected.keys())]
    other = [
        f"{key} has {describe_shape(got[key])}, wanted is {describe_shape(expected[key])}"
        for key in sorted(got.keys() & expected.keys())
        if not fits(got[key], expected[key])
    ]
    sides = (
        ("the architecture alone has", missing),
        ("the file alone has", unexpected),
        ("of another shape", other),
    )
    return "; ".join(f"{what}: {_list(layers)}" for what, layers in sides if layers)


def match_names(weights: Mapping[str, Value], expected: Collection[str]) -> tuple[dict[str, Value], str]:
    """Return ``weights`` without the prefix that they share and the architecture does not have, and that prefix."""
    body = {name: value for name, value in weights.items() if not name.startswith(PREPARATION)}
    stripped = ""
    while body and not body.keys() & set(expected):
        heads = {name.partition(".")[0] for name in body}
        if len(heads) > 1 or not all("." in name for name in body):
            break
        (head,) = heads
        stripped += f"{head}."
        body = {name.removeprefix(f"{head}."): value for name, value in body.items()}
    return body, stripped


def fits(shape: Shape, wanted: Shape) -> bool:
    """Return whether ``shape`` is ``wanted``, but for lengths that depend on the data."""
    return len(shape) == len(wanted) and all(two in (one, None) for one, two in zip(shape, wanted, strict=True))


def describe_shape(shape: Shape) -> str:
    """Return ``shape`` as it is written in an error."""
    return f"[{', '.join('?' if length is None else str(length) for length in shape)}]"


def _list(layers: list[str]) -> str:
    more = f", and {len(layers) - LISTED:,} more" if len(layers) > LISTED else ""
    return ", ".join(layers[:LISTED]) + more
