"""Gradients of weights that training leaves as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def unfrozen(body: nn.Module) -> Iterator[None]:
    """Let all parameters of ``body`` have gradients meanwhile, those that training leaves as they are, too."""
    frozen = [parameter for parameter in body.parameters() if not parameter.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
