"""Sentences of torch that are matched, since its errors have no types of their own; each is provoked for real."""

from __future__ import annotations

import pytest
import torch
from helpers.contract import relied_on
from torch.onnx._internal.exporter._registration import ONNXRegistry

from thresher.adapters.torch import operators_kept, shapes_made
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


def test_an_export_asks_for_the_table_of_operators_and_leaves_it_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    make = ONNXRegistry.from_torchlib
    tables: list[ONNXRegistry] = []

    def from_torchlib(**given: int) -> ONNXRegistry:
        tables.append(make(**given))
        return tables[-1]

    monkeypatch.setattr(ONNXRegistry, "from_torchlib", staticmethod(from_torchlib))
    network, example = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU()).eval(), (torch.zeros(2, 3),)

    def export() -> bytes:
        program = torch.onnx.export(network, example, dynamo=True, verbose=False)
        assert program is not None
        return bytes(program.model_proto.SerializeToString(deterministic=True))

    with relied_on("torch", "each ONNX export makes ONNXRegistry.from_torchlib and only reads it", "adapters/torch.py"):
        alone = export()
        with operators_kept():
            assert [export(), export()] == [alone, alone]
        assert len(tables) == 2, "one for the export alone, one for those of the block"
        new, used = make(opset_version=tables[1].opset_version).functions, tables[1].functions
        assert new.keys() == used.keys()
        assert all([a.onnx_function for a in new[name]] == [b.onnx_function for b in used[name]] for name in new)
