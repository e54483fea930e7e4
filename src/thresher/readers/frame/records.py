"""Where the records of a CSV file begin and end, found on its bytes by numpy, quoted line ends and all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NEWLINE, RETURN = ord("\n"), ord("\r")


@dataclass(frozen=True)
class Records:
    """The records of a CSV file that are neither empty nor comments.

    Attributes:
        starts: the index of each record's first byte, int64 [N].
        ends: the index after its last, the line's end not counted, int64 [N].
        lines: the number of the line in which it begins, from 1, int64 [N].
    """

    starts: np.ndarray
    ends: np.ndarray
    lines: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    def part(self, start: int, stop: int | None = None) -> Records:
        """Return the records from number ``start`` to before ``stop``."""
        return Records(self.starts[start:stop], self.ends[start:stop], self.lines[start:stop])

    def join(self, content: bytes, first: int) -> bytes:
        """Return the records from number ``first`` on, as they stand in ``content``, without what is between them."""
        starts, ends = self.starts[first:], self.ends[first:]
        if not len(starts):
            return b""
        # Records that follow one another, or have empty lines alone between them, stay one piece.
        gaps = np.flatnonzero(starts[1:] - ends[:-1] > 2) + 1
        pieces = zip(starts[np.r_[0, gaps]], ends[np.r_[gaps, len(ends)] - 1], strict=True)
        return b"\n".join(content[start:end] for start, end in pieces) + b"\n"


def find_records(content: bytes, delimiter: bytes, quote: bytes | None, comment: bytes | None) -> Records | None:
    r"""Return the records of ``content``; None where quotes stand in other places than around whole values.

    Lines end in \n, \r\n or \r alone. A quote within a quoted value is written twice (RFC 4180).
    """
    codes = np.frombuffer(content, dtype=np.uint8)
    newlines = np.flatnonzero(codes == NEWLINE)
    returns = np.flatnonzero(codes == RETURN)
    if len(returns):
        alone = np.ones(len(returns), dtype=bool)
        within = returns + 1 < len(codes)
        alone[within] = codes[returns[within] + 1] != NEWLINE
        newlines = np.sort(np.concatenate([newlines, returns[alone]]))
    breaks = newlines
    if quote is not None and quote in content:
        quotes = np.flatnonzero(codes == ord(quote))
        if not _around_values(codes, quotes, ord(delimiter)):
            return None
        breaks = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    starts = np.concatenate([[0], breaks + 1])
    ends = np.concatenate([breaks, [len(codes)]])
    has_return = (ends > starts) & (ends < len(codes))
    has_return[has_return] = (codes[ends[has_return] - 1] == RETURN) & (codes[ends[has_return]] == NEWLINE)
    ends = ends - has_return
    kept = ends > starts
    if comment:
        comments = np.array([content.startswith(comment, start) for start in starts.tolist()], dtype=bool)
        if quote is not None and any(quote in content[starts[one] : ends[one]] for one in np.flatnonzero(comments)):
            return None  # a quote in a comment begins nothing
        kept &= ~comments
    lines = np.searchsorted(newlines, starts) + 1
    return Records(starts[kept], ends[kept], lines[kept])


def _around_values(codes: np.ndarray, quotes: np.ndarray, delimiter: int) -> bool:
    """Return whether every second quote ends what the one before began: a value, or its part up to a doubled one."""
    if len(quotes) % 2:
        return False
    opening, closing = quotes[0::2], quotes[1::2]
    before = codes[np.maximum(opening - 1, 0)]
    begins = (opening == 0) | np.isin(before, [delimiter, NEWLINE, RETURN])
    begins[1:] |= opening[1:] - 1 == closing[:-1]
    after = codes[np.minimum(closing + 1, len(codes) - 1)]
    ends = (closing == len(codes) - 1) | np.isin(after, [delimiter, NEWLINE, RETURN])
    ends[:-1] |= closing[:-1] + 1 == opening[1:]
    return bool(begins.all() and ends.all())
