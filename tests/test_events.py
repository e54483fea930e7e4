"""Observers hear what is reported while they are subscribed, and nothing else."""

from thresher.events import Event, Step, emit, subscribe


def test_every_observer_hears_every_event_in_order(events: list[Event]) -> None:
    also_seen: list[Event] = []
    end = subscribe(also_seen.append)
    emit(Step("one"))
    emit(Step("two"))
    end()
    assert events == also_seen == [Step("one"), Step("two")]


def test_an_observer_hears_nothing_before_and_after_its_subscription() -> None:
    seen: list[Event] = []
    emit(Step("before"))
    end = subscribe(seen.append)
    end()
    emit(Step("after"))
    assert seen == []


def test_an_observer_may_end_its_subscription_while_it_is_told(events: list[Event]) -> None:
    seen: list[Event] = []

    def once(event: Event) -> None:
        seen.append(event)
        end()

    end = subscribe(once)
    emit(Step("one"))
    emit(Step("two"))
    assert (seen, events) == ([Step("one")], [Step("one"), Step("two")])
