"""What the threads of a process share, as those of Kedro's ThreadRunner do, and how they keep out of each other's way.

Networks are trained and run side by side. What changes torch, `sys.stdout` or logging for the whole process, such as an
export, and what measures time, is done alone: those who run networks wait meanwhile, each between two of its steps.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_changed = threading.Condition()
_beside: dict[int, int] = {}
"""Thread -> how often it is within `beside_others`."""
_alone: list[int] = []
"""The thread that is within `alone`, as often as it is."""
_waiting: list[int] = []
"""Threads that want to be alone, the first to come first."""


@contextmanager
def beside_others() -> Iterator[None]:
    """Run networks in the block, while other threads do so, too; `alone` and `give_way` may be called in it."""
    thread = threading.get_ident()
    with _changed:
        _enter(thread, 1)
    try:
        yield
    finally:
        with _changed:
            _leave(thread, 1)


@contextmanager
def alone() -> Iterator[None]:
    """Do in the block what no other thread may run networks beside."""
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


def give_way() -> None:
    """Let a thread that waits to be alone come first; to be called between two steps of long work."""
    if not _waiting:
        return
    thread = threading.get_ident()
    with _changed:
        if thread not in _alone and (held := _beside.get(thread, 0)):
            _leave(thread, held)
            _enter(thread, held)


def _enter(thread: int, times: int) -> None:
    """Count ``thread`` among those who run networks, once nobody is alone or waits to be; it may be one already."""
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
