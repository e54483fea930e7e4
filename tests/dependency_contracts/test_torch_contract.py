"""Sentences of torch that are matched, since its errors have no types of their own; each is provoked for real."""

from __future__ import annotations

import pytest
import torch
from helpers.contract import relied_on

from thresher.adapters.torch import shapes_made
from thresher.training.memory import is_out_of_memory
from thresher.training.trainer import NO_SPREAD

PEBIBYTE = 2**50
"""More than any process can address."""


def test_a_batch_norm_that_is_given_one_number_a_channel_says_so() -> None:
    with pytest.raises(ValueError) as caught:
        torch.nn.BatchNorm1d(3)(torch.zeros(1, 3))
    with relied_on("torch", f"a batch norm's ValueError begins with '{NO_SPREAD}'", "src/thresher/training/trainer.py"):
        assert str(caught.value).startswith(NO_SPREAD), str(caught.value)


def test_memory_that_runs_out_on_the_cpu_is_told_in_known_words() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(PEBIBYTE, dtype=torch.uint8)
    with relied_on("torch", "its words where the CPU's memory runs out", "src/thresher/training/memory.py"):
        assert is_out_of_memory(caught.value), str(caught.value)
        assert issubclass(torch.OutOfMemoryError, RuntimeError)


def test_another_error_of_torch_is_not_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.zeros(2, 3) @ torch.zeros(2, 3)
    assert not is_out_of_memory(caught.value)


def test_a_node_of_the_gradients_graph_knows_the_shapes_that_were_made() -> None:
    x = torch.zeros(2, 6, requires_grad=True)
    with relied_on(
        "torch", "a grad_fn's _input_metadata has the shapes of its outputs", "src/thresher/adapters/torch.py"
    ):
        assert shapes_made(x.view(2, 3, 2).grad_fn) == ((2, 3, 2),)
        assert shapes_made(x.chunk(2, dim=1)[0].grad_fn) == ((2, 3), (2, 3))
