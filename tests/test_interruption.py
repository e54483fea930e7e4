"""Signals end a run as exceptions, but not in the middle of what is written into MLflow's database."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from thresher.cli.kedro_run import _handle_signals
from thresher.interruption import Interruption, TerminatedError, interruption

SIGNALS = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, TerminatedError)]
ENDS = pytest.mark.parametrize(("number", "error"), SIGNALS, ids=["interrupted", "terminated"])


@pytest.fixture(autouse=True)
def _handled() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number, _ in SIGNALS}
    _handle_signals()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@ENDS
def test_a_signal_is_raised_where_the_run_is(number: signal.Signals, error: type[BaseException]) -> None:
    with pytest.raises(error):
        signal.raise_signal(number)


@ENDS
def test_it_waits_for_the_end_of_what_must_be_whole(number: signal.Signals, error: type[BaseException]) -> None:
    done = []
    with pytest.raises(error), interruption.deferred():
        with interruption.deferred():
            signal.raise_signal(number)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]
    with interruption.deferred():
        pass  # nothing is left of it


def test_a_second_one_does_not_wait() -> None:
    with pytest.raises(KeyboardInterrupt), interruption.deferred():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second one was to end this")
    with interruption.deferred():
        pass


def test_what_another_thread_writes_holds_nothing_up() -> None:
    own, writes, ends = Interruption(), threading.Event(), threading.Event()

    def write() -> None:
        with own.deferred():
            writes.set()
            ends.wait(10)

    thread = threading.Thread(target=write)
    thread.start()
    assert writes.wait(10)
    with pytest.raises(KeyboardInterrupt):
        own.stop(KeyboardInterrupt())
    ends.set()
    thread.join()


def test_an_entry_of_the_log_is_written_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from thresher.tracking import spool
    from thresher.tracking.entries import Tags

    written = []

    def deliver(self: Tags, run: str) -> None:
        signal.raise_signal(signal.SIGTERM)
        written.append(run)

    monkeypatch.setattr(Tags, "deliver", deliver)
    monkeypatch.setattr(spool, "run_id", lambda: "a_run")
    monkeypatch.setattr(spool, "active_spool", lambda: None)
    with pytest.raises(TerminatedError):
        spool.send(Tags(tags={}))
    assert written == ["a_run"]
