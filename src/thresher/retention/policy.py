"""What to take, by age or size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from thresher.retention.artifacts import Item


@dataclass(frozen=True)
class Choice:
    """What is taken, the oldest first, and what stays."""

    taken: tuple[Item, ...]
    stays: tuple[Item, ...]

    @property
    def freed(self) -> int:
        """How many bytes are freed."""
        return sum(item.size for item in self.taken)

    @property
    def left(self) -> int:
        """How many bytes stay."""
        return sum(item.size for item in self.stays)

    @property
    def never_taken(self) -> tuple[Item, ...]:
        """What stays whatever its age and the bound."""
        return tuple(item for item in self.stays if item.kept)


def choose(items: Iterable[Item], now: datetime, older_than: timedelta | None, keep_at_most: int | None) -> Choice:
    """Return what is taken: all that is older, and then the oldest until what stays is within the bound.

    Args:
        items: of which those that are kept count for the bound and are never taken.
    """
    stays = sorted(items, key=lambda item: item.used)
    taken = [item for item in stays if not item.kept and older_than is not None and now - item.used > older_than]
    left = sum(item.size for item in stays) - sum(item.size for item in taken)
    known = {id(item) for item in taken}
    for item in stays:
        if keep_at_most is None or left <= keep_at_most:
            break
        # What takes no space here is no way to save any.
        if not item.kept and item.size and id(item) not in known:
            taken.append(item)
            left -= item.size
    known = {id(item) for item in taken}
    return Choice(tuple(taken), tuple(item for item in stays if id(item) not in known))
