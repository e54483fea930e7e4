"""Where in a network its tokens have their rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from thresher.models.network import Network

SAMPLES_AT_ONCE = 65_536


@dataclass(frozen=True)
class TokenTable:
    """The one embedding that a body looks its tokens up in.

    Attributes:
        name: in the body.
        weight: float [V, D].
        padding: the token whose row is never trained, if there is one.
    """

    name: str
    weight: torch.Tensor
    padding: int | None

    def count(self, tokens_NT: np.ndarray) -> np.ndarray:
        """Return how often each token is in ``tokens_NT``, int64 [V]."""
        parts = (tokens_NT[start : start + SAMPLES_AT_ONCE] for start in range(0, len(tokens_NT), SAMPLES_AT_ONCE))
        zeros = np.zeros(len(self.weight), np.int64)
        return sum((np.bincount(part.ravel(), minlength=len(self.weight)) for part in parts), zeros)


def find_token_table(network: Network, tokens_NT: np.ndarray) -> TokenTable | str:
    """Return the table that ``network`` looks ``tokens_NT`` up in, or why there is none that can be cut."""
    inputs, found = torch.from_numpy(np.array(tokens_NT)), list[str]()
    with _watched(network, inputs, found), torch.no_grad():
        network(inputs)
    if not found:
        return "no embedding of it looks tokens up"
    if len(set(found)) > 1:
        return f"its tokens are looked up in {' and '.join(sorted(set(found)))}"
    embedding = network.body.get_submodule(found[0])
    assert isinstance(embedding, nn.Embedding)
    holders = [name for name, each in network.body.named_parameters(remove_duplicate=False) if each is embedding.weight]
    if len(holders) > 1:
        return f"{' and '.join(holders)} are one tensor"
    return TokenTable(found[0], embedding.weight.detach(), embedding.padding_idx)


@contextmanager
def _watched(network: Network, inputs: torch.Tensor, found: list[str]) -> Iterator[None]:
    """Note in ``found`` every table that is called with ``inputs`` themselves."""
    handles = []
    for name, module in network.body.named_modules():
        if isinstance(module, nn.Embedding):

            def note(_: nn.Module, given: tuple[Any, ...], name: str = name) -> None:
                if given and isinstance(given[0], torch.Tensor) and torch.equal(given[0], inputs):
                    found.append(name)

            handles.append(module.register_forward_pre_hook(note))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
