"""Observers hear what is reported while they are subscribed, and nothing else."""

from thresher.progress import Event, Step, report, subscribe


def test_every_observer_hears_every_event_in_order(events: list[Event]) -> None:
    also_seen: list[Event] = []
    end = subscribe(also_seen.append)
    report(Step("one"))
    report(Step("two"))
    end()
    assert events == also_seen == [Step("one"), Step("two")]


def test_an_observer_hears_nothing_before_and_after_its_subscription() -> None:
    seen: list[Event] = []
    report(Step("before"))
    end = subscribe(seen.append)
    end()
    report(Step("after"))
    assert seen == []


def test_an_observer_may_end_its_subscription_while_it_is_told(events: list[Event]) -> None:
    seen: list[Event] = []

    def once(event: Event) -> None:
        seen.append(event)
        end()

    end = subscribe(once)
    report(Step("one"))
    report(Step("two"))
    assert (seen, events) == ([Step("one")], [Step("one"), Step("two")])
