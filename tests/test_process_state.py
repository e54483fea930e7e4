"""Threads that run networks, and one that wants to be alone."""

from __future__ import annotations

import threading

from thresher.process_state import exclusive_access, shared_access, yield_access

PATIENCE_S = 60


def test_networks_run_side_by_side() -> None:
    both = threading.Barrier(2)

    def work() -> None:
        with shared_access():
            both.wait(PATIENCE_S)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not both.broken


def test_who_is_alone_comes_between_two_steps_of_the_others() -> None:
    began, done, events = threading.Event(), threading.Event(), list[str]()

    def work() -> None:
        with shared_access():
            began.set()
            while "alone" not in events:
                events.append("step")
                yield_access()
            events.append("goes on")

    def export() -> None:
        began.wait(PATIENCE_S)
        with exclusive_access():
            before = len(events)
            events.append("alone")
            done.wait(0.2)  # a step of the other would stand here
            assert len(events) == before + 1
        done.set()

    threads = [threading.Thread(target=target) for target in (work, export)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert done.is_set()
    assert events.count("alone") == 1 and events[-1] == "goes on"


def test_who_runs_networks_may_want_to_be_alone_within() -> None:
    """As each trial of a search does; two of them at once do not wait for each other forever."""
    inside, both = list[int](), threading.Barrier(2)

    def work(number: int) -> None:
        with shared_access(), shared_access():
            both.wait(PATIENCE_S)
            for _ in range(20):
                with exclusive_access(), exclusive_access():
                    inside.append(number)
                    assert len(set(inside)) == 1
                    with shared_access():
                        yield_access()
                    inside.clear()

    threads = [threading.Thread(target=work, args=[number]) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads)
    assert inside == []
    with exclusive_access():  # nobody was left counted
        pass
