"""What to free, by age or size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from thresher.retention.artifacts import Item


@dataclass(frozen=True)
class Choice:
    """What is to be freed, the oldest first, and what stays."""

    to_free: tuple[Item, ...]
    stays: tuple[Item, ...]

    @property
    def freed(self) -> int:
        """How many bytes this frees."""
        return sum(item.size for item in self.to_free)

    @property
    def left(self) -> int:
        """How many bytes stay."""
        return sum(item.size for item in self.stays)

    @property
    def never_freed(self) -> tuple[Item, ...]:
        """What stays whatever its age and the bound."""
        return tuple(item for item in self.stays if item.kept)


def choose(items: Iterable[Item], now: datetime, older_than: timedelta | None, keep_at_most: int | None) -> Choice:
    """Return what is to be freed: all that is older, and then the oldest until what stays is within the bound.

    Args:
        items: of which those that are kept count for the bound and are never freed.
    """
    stays = sorted(items, key=lambda item: item.used)
    to_free = [item for item in stays if not item.kept and older_than is not None and now - item.used > older_than]
    left = sum(item.size for item in stays) - sum(item.size for item in to_free)
    known = {id(item) for item in to_free}
    for item in stays:
        if keep_at_most is None or left <= keep_at_most:
            break
        # What takes no space here is no way to save any.
        if not item.kept and item.size and id(item) not in known:
            to_free.append(item)
            left -= item.size
    known = {id(item) for item in to_free}
    return Choice(tuple(to_free), tuple(item for item in stays if id(item) not in known))
