"""What pruning changed is rebuilt of any module: by the shapes of its tensors and the numbers that it keeps of them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import nn

from thresher.models.channel_plan import apply_channel_plan, read_channel_plan

# Arguments of a whole layer, those of a smaller one, and the shapes of what both are given.
LAYERS: dict[str, tuple[Any, Any]] = {
    **{f"Conv{n}d": ((8, 12, 3), (6, 10, 3)) for n in (1, 2, 3)},
    **{f"ConvTranspose{n}d": ((8, 12, 3), (6, 10, 3)) for n in (1, 2, 3)},
    **{f"BatchNorm{n}d": ((8,), (6,)) for n in (1, 2, 3)},
    "SyncBatchNorm": ((8,), (6,)),
    "LayerNorm": (((4, 8),), ((4, 6),)),
    "RMSNorm": ((8,), (6,)),
    "GroupNorm": ((4, 8), (3, 6)),
    "Linear": ((8, 12), (6, 10)),
    "Bilinear": ((8, 6, 12), (6, 5, 10)),
    "Embedding": ((20, 8), (20, 6)),
    "EmbeddingBag": ((20, 8), (20, 6)),
    "PReLU": ((8,), (6,)),
    **{name: ((8, 12, 2), (6, 10, 2)) for name in ("RNN", "LSTM", "GRU")},
    **{name: ((8, 12), (6, 10)) for name in ("RNNCell", "LSTMCell", "GRUCell")},
    "MultiheadAttention": ((32, 4), (24, 3)),
    "TransformerEncoderLayer": ((32, 4, 40), (24, 3, 30)),
    "TransformerDecoderLayer": ((32, 4, 40), (24, 3, 30)),
    "Transformer": ((32, 4, 1, 1, 40), (24, 3, 1, 1, 30)),
    "AdaptiveLogSoftmaxWithLoss": ((16, 40, [10, 20]), (12, 40, [10, 20])),
}
LAZY_OR_BASE = {"Module", "Container", "RNNBase", "RNNCellBase", "Sequential", "ModuleList", "ModuleDict",
                "ParameterList", "ParameterDict", "TransformerEncoder", "TransformerDecoder", "CrossMapLRN2d",
                "NLLLoss2d"}  # fmt: skip


def build(name: str, arguments: Any) -> nn.Module:
    torch.manual_seed(0)
    layer: nn.Module = getattr(nn, name)(*arguments)
    return layer


def test_every_layer_of_torch_with_parameters_is_tried() -> None:
    with_parameters = set()
    for name, kind in inspect.getmembers(nn, inspect.isclass):
        if issubclass(kind, nn.Module) and name not in LAZY_OR_BASE and not name.startswith("Lazy"):
            source = inspect.getsource(kind.__init__) + "".join(
                inspect.getsource(base.__init__)
                for base in kind.__mro__
                if base.__module__.startswith("torch.nn.modules")
            )
            if "Parameter(" in source.replace("UninitializedParameter(", "") and not name.startswith("Instance"):
                with_parameters.add(name)
    assert with_parameters <= LAYERS.keys() | {"Module"}, with_parameters - LAYERS.keys()


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_comes_back_from_its_plan_and_its_weights(name: str) -> None:
    whole, smaller = (build(name, arguments) for arguments in LAYERS[name])
    plan = read_channel_plan(smaller, whole)
    apply_channel_plan(whole, plan)
    whole.load_state_dict(smaller.state_dict())
    assert read_channel_plan(whole, smaller) == {}
    assert whole.extra_repr() == smaller.extra_repr()


class Odd(nn.Module):
    """Parameters of its own, a buffer, a number and a tied weight."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width, self.scale = width, nn.Parameter(torch.rand(1, width))
        self.register_buffer("offset", torch.rand(width))
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x[:, : self.width]) * self.scale + self.offset)


def test_what_hangs_on_a_module_itself_is_kept_and_ties_are_too() -> None:
    whole, smaller = Odd(8), Odd(5)
    plan = read_channel_plan(smaller, whole)
    assert plan[""] == {"scale": (1, 5), "offset": (5,), "width": 5}
    apply_channel_plan(whole, plan)
    whole.load_state_dict(smaller.state_dict())
    x = torch.rand(2, 8)
    assert torch.equal(whole(x), smaller(x)) and whole.second.weight is whole.first.weight


@pytest.mark.parametrize("sizes", [{"gone": 3}, {"weight": 3}, {"in_features": (3,)}])
def test_a_plan_of_another_network_is_refused(sizes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="first has no"):
        apply_channel_plan(Odd(4), {"first": sizes})
