"""The parameters of a request of the protocol; an unknown one is refused, since ignoring it would change the answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from thresher.errors import InvalidInputError, nearest

REQUEST = ("binary_data_output", "timeout")
INPUT = ("binary_data_size",)
OUTPUT = ("binary_data",)
"""The supported parameters of a request, of an input and of an output."""
MAX_DIGITS = 20
"""The most digits of a length or a time."""
STATELESS = "The model keeps nothing from one request to the next."
SHARED_MEMORY = "Shared memory is not offered: send the tensor in the request, and read it from the answer."
INSTEAD = {
    "classification": "Ask for the outputs 'label' and 'class_index' instead.",
    "priority": "Requests are answered in their order.",
    **dict.fromkeys(("sequence_id", "sequence_start", "sequence_end"), STATELESS),
    **dict.fromkeys(("shared_memory_region", "shared_memory_byte_size", "shared_memory_offset"), SHARED_MEMORY),
}
"""Triton's parameters that are not supported, and the alternative to each."""


def check_parameters(given: Iterable[str], allowed: tuple[str, ...], what: str) -> None:
    """Check that the parameters ``given`` to ``what`` are among those ``allowed``.

    Raises:
        InvalidInputError: one is not; the message names the alternative.
    """
    for name in given:
        if name not in allowed:
            advice = INSTEAD.get(name) or nearest(name[:100], allowed)
            raise InvalidInputError(f"{what}: parameter '{name[:100]}' is not supported. {advice}")


def check_keys(document: dict[str, Any], allowed: tuple[str, ...], what: str) -> None:
    """Check that ``what`` has no other keys than those ``allowed``.

    Raises:
        InvalidInputError: it has; the message names the allowed ones.
    """
    for name in document:
        if name not in allowed:
            raise InvalidInputError(f"{what}: unknown key '{name[:100]}'. {nearest(name[:100], allowed)}")


def flag(parameters: dict[str, Any], name: str, otherwise: bool) -> bool:
    """Return a parameter that is true or false; ``otherwise`` where it is not given.

    Raises:
        InvalidInputError: it is neither.
    """
    value = parameters.get(name)
    if value is None:
        return otherwise
    if not isinstance(value, bool):
        raise InvalidInputError(f"Parameter '{name}' must be true or false.")
    return value


def read_timeout(microseconds: Any) -> float | None:
    """Return the parameter `timeout` in seconds; None where the request has none.

    Raises:
        InvalidInputError: it is no positive whole number.
    """
    if microseconds is None:
        return None
    try:
        number = int(microseconds) if len(str(microseconds)) <= MAX_DIGITS else 0
    except (TypeError, ValueError, OverflowError):
        number = 0
    if number <= 0 or isinstance(microseconds, (bool, float)):
        raise InvalidInputError("Parameter 'timeout' must be a positive whole number of microseconds.")
    return number / 1e6
