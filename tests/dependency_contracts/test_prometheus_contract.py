"""What `thresher.serving.monitoring.metrics` relies on in prometheus_client."""

from __future__ import annotations

from helpers.contract import relied_on
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from thresher.serving.monitoring.metrics import Tally


def test_counts_are_written_into_a_histogram_as_if_each_had_been_observed() -> None:
    bounds, values = (0.1, 1.0), (0.05, 0.1, 0.5, 7.0)
    with relied_on("prometheus-client", "a Histogram has _buckets and _sum", "serving/monitoring/metrics.py"):
        pages = []
        for is_tallied in (False, True):
            registry = CollectorRegistry()
            histogram = Histogram("seconds", "how long", buckets=bounds, registry=registry)
            tally = Tally(histogram, bounds)
            for value in values:
                (tally.add if is_tallied else histogram.observe)(value)
            tally.flush()
            lines = generate_latest(registry).decode().splitlines()
            pages.append([line for line in lines if "_created" not in line])
        assert pages[0] == pages[1]
