"""The sample that the service's examples are made of."""

from __future__ import annotations

from typing import Any

from thresher.config import Config
from thresher.serving.core.bundle import EXAMPLE_FILE, Bundle


class Example(Config):
    """A real sample of the test data that the model answers rightly."""

    input: Any
    """The example's input as a JSON document."""
    answer: str | float
    """The right one: the name of a class, or the value that the data has."""


def read_example(bundle: Bundle) -> Example | None:
    """Return the bundle's example; None where it has none, as of before there were any."""
    content = bundle.attachments.get(EXAMPLE_FILE)
    return Example.model_validate_json(content) if content else None


def sample_of(bundle: Bundle) -> Any:
    """Return a sample as a JSON document writes it: the bundle's example, or else one made of what is typical."""
    example = read_example(bundle)
    return bundle.encoder.example() if example is None else example.input
