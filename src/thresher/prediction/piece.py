"""What is read of new data at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

MAX_ROWS = 16_384
"""Samples of a piece."""
PIECE_BYTES = 4 * 2**20
"""Of a file that is read as bytes, about so many are a piece; of encoded samples, about eight times as many."""


class Rejected(NamedTuple):
    """A sample that has no answer.

    Attributes:
        number: in the file, from 1.
        place: such as `new.csv:18`.
    """

    number: int
    place: str
    reason: str


@dataclass(frozen=True)
class Columns:
    """Rows of a file of columns.

    Attributes:
        columns: name -> Arrow array [N].
        rows: which of the piece's rows these are, int64 [N]; the others were rejected as they were read.
    """

    columns: Mapping[str, Any]
    rows: np.ndarray

    def take(self, kept: np.ndarray) -> Columns:
        """Return those of the rows for which ``kept``, bool [N], is true."""
        import pyarrow as pa

        mask = pa.array(kept)
        return Columns({name: column.filter(mask) for name, column in self.columns.items()}, self.rows[kept])


@dataclass(frozen=True)
class Items:
    """Samples as they stand, one by one.

    Attributes:
        values: what the service would be sent: a value of a JSON document, the bytes of a file, or an array.
        rows: which of the piece's samples these are, int64 [N].
        labels: what the data says of each, a text or None; None where it has no labels.
        ids: what each is called, a text; None where it is called by its number.
    """

    values: list[Any]
    rows: np.ndarray
    labels: list[str | None] | None = None
    ids: list[str] | None = None

    def take(self, kept: np.ndarray) -> Items:
        """Return those of the samples for which ``kept``, bool [N], is true."""
        places = np.flatnonzero(kept).tolist()

        def part(listed: list[Any] | None) -> list[Any] | None:
            return None if listed is None else [listed[place] for place in places]

        return Items(part(self.values) or [], self.rows[kept], part(self.labels), part(self.ids))


@dataclass(frozen=True)
class Content:
    """A piece, parsed.

    Attributes:
        place: of row number `index` of the piece.
        rejected: those that cannot be read: (index, reason).
    """

    found: Columns | Items
    place: Callable[[int], str]
    rejected: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Piece:
    """A run of samples that stand one after the other in a file.

    Attributes:
        number: of the piece, from 0.
        first: the number of its first sample, from 0.
        count: of its samples.
        parse: gives them; called in a thread, once.
        bytes_read: of the file, to its end.
    """

    number: int
    first: int
    count: int
    parse: Callable[[], Content]
    bytes_read: int


class Source(Protocol):
    """Where pieces come from. The same file has the same pieces each time."""

    @property
    def names(self) -> list[str] | None:
        """The columns; None where there are none."""

    def pieces(self, max_rows: int) -> Iterator[Piece]:
        """Yield all pieces in their order, each with at most ``max_rows`` samples."""
