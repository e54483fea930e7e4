"""A readers-writer lock over the process, for threads such as those of Kedro's ThreadRunner.

Networks are trained and run side by side, under shared access. What changes torch, `sys.stdout` or logging for the
whole process, such as an export, and what measures time, has exclusive access: threads that run networks wait
meanwhile, each between two of its steps. Whoever waits for exclusive access comes first.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_changed = threading.Condition()
_beside: dict[int, int] = {}
"""Thread -> how many blocks of `shared_access` it is in."""
_alone: list[int] = []
"""The thread that has exclusive access, once for each block that it is in."""
_waiting: list[int] = []
"""Threads that wait for exclusive access, the longest wait first."""


@contextmanager
def shared_access() -> Iterator[None]:
    """Run networks in the block beside other threads; `exclusive_access` and `yield_access` may be called in it."""
    thread = threading.get_ident()
    with _changed:
        _enter(thread, 1)
    try:
        yield
    finally:
        with _changed:
            _leave(thread, 1)


@contextmanager
def exclusive_access() -> Iterator[None]:
    """Run the block while no other thread runs networks; the thread's own shared access does not hinder it."""
    thread = threading.get_ident()
    with _changed:
        held = 0 if thread in _alone else _leave(thread, _beside.get(thread, 0))
        if thread not in _alone:
            _waiting.append(thread)
            _changed.wait_for(lambda: not _alone and not _beside and _waiting[0] == thread)
            _waiting.remove(thread)
        _alone.append(thread)
    try:
        yield
    finally:
        with _changed:
            _alone.pop()
            _changed.notify_all()
            if held:
                _enter(thread, held)


def yield_access() -> None:
    """Let a thread that waits for exclusive access go first; to be called between two steps of long work."""
    if not _waiting:
        return
    thread = threading.get_ident()
    with _changed:
        if thread not in _alone and (held := _beside.get(thread, 0)):
            _leave(thread, held)
            _enter(thread, held)


def _enter(thread: int, times: int) -> None:
    """Add ``times`` to the shared access of ``thread``, once no thread has exclusive access or waits for it."""
    if thread not in _beside and thread not in _alone:
        _changed.wait_for(lambda: not _alone and not _waiting)
    _beside[thread] = _beside.get(thread, 0) + times


def _leave(thread: int, times: int) -> int:
    if times and _beside[thread] == times:
        del _beside[thread]
        _changed.notify_all()
    elif times:
        _beside[thread] -= times
    return times
