"""The network of lstm and gru. In torch padding is packed away; in ONNX the operator is told the lengths."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from thresher.models.recurrent.config import Gru, Lstm

OPSET = 14
"""Since when ONNX's LSTM and GRU are what is written here."""
# Where torch's gates stand in ONNX's order: torch has i f g o and r z n, ONNX i o f c and z r h.
ONNX_ORDER = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}
OnnxWeights = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class RecurrentNetwork(nn.Module):
    """Tokens [B, T] or series [B, T, C], and lengths [B], to [B, K]."""

    def __init__(self, config: Lstm | Gru, given: Any, width: int) -> None:
        super().__init__()
        tokens = getattr(given, "vocabulary_size", None)
        self.embedding = nn.Embedding(tokens, config.dimension, padding_idx=0) if tokens else nn.Identity()
        size = config.dimension if tokens else given.channels
        directions = 2 if config.bidirectional else 1
        kind = nn.LSTM if isinstance(config, Lstm) else nn.GRU
        self.layers = nn.ModuleList(
            kind(
                size if layer == 0 else directions * config.hidden,
                config.hidden,
                batch_first=True,
                bidirectional=config.bidirectional,
            )
            for layer in range(config.num_layers)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(directions * config.hidden, width)
        self._onnx: list[OnnxWeights] = []

    def forward(self, given: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        x_BTD = self.dropout(self.embedding(given))
        last = self._run_onnx(x_BTD, lengths_B) if self._onnx else self._run_packed(x_BTD, lengths_B)
        out: torch.Tensor = self.output(self.dropout(last))
        return out

    def prepare_export(self) -> None:
        """Put the weights into ONNX's order once, so that no graph has to do it at every call."""
        self._onnx = [_onnx_weights(layer) for layer in self.layers if isinstance(layer, nn.RNNBase)]

    def _run_packed(self, x_BTD: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        """Return the last states of the last layer, [B, directions * H]."""
        # Lengths decide shapes, and so must be known on the CPU.
        packed = pack_padded_sequence(x_BTD, lengths_B.cpu(), batch_first=True, enforce_sorted=False)
        for number, layer in enumerate(self.layers):
            if number:
                packed = packed._replace(data=self.dropout(packed.data))
            packed, state = layer(packed)
        hidden: torch.Tensor = state[0] if isinstance(state, tuple) else state
        return hidden.transpose(0, 1).flatten(1)

    def _run_onnx(self, x_BTD: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        lengths, x_TBD = lengths_B.to(torch.int32), x_BTD.transpose(0, 1)
        for layer, weights in zip(self.layers, self._onnx, strict=True):
            assert isinstance(layer, nn.RNNBase)
            every, hidden = _onnx_operator(layer, weights, x_TBD, lengths)
            x_TBD = every.transpose(1, 2).flatten(2)  # [T, directions, B, H] to [T, B, directions * H]
        return hidden.transpose(0, 1).flatten(1)


def _onnx_operator(
    layer: nn.RNNBase, weights: OnnxWeights, x_TBD: torch.Tensor, lengths_B: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return all states [T, directions, B, H] and the last ones [directions, B, H]."""
    steps, batch, _ = x_TBD.shape
    directions = 2 if layer.bidirectional else 1
    attributes: dict[str, Any] = {
        "hidden_size": layer.hidden_size,
        "direction": "bidirectional" if directions == 2 else "forward",
    }
    if layer.mode == "GRU":
        attributes["linear_before_reset"] = 1  # as torch computes it
    shapes = [(steps, directions, batch, layer.hidden_size), (directions, batch, layer.hidden_size)]
    every, hidden = torch.onnx.ops.symbolic_multi_out(
        layer.mode,
        (x_TBD, *weights, lengths_B),
        attributes,
        dtypes=(torch.float32, torch.float32),
        shapes=shapes,
        version=OPSET,
    )
    return every, hidden


def _onnx_weights(layer: nn.RNNBase) -> OnnxWeights:
    """Return W [directions, gates * H, D], R [directions, gates * H, H] and B [directions, 2 * gates * H]."""
    suffixes = ("", "_reverse") if layer.bidirectional else ("",)

    def ordered(name: str) -> torch.Tensor:
        gates = getattr(layer, name).detach().chunk(len(ONNX_ORDER[layer.mode]))
        return torch.cat([gates[index] for index in ONNX_ORDER[layer.mode]])

    weights = torch.stack([ordered(f"weight_ih_l0{suffix}") for suffix in suffixes])
    recurrent = torch.stack([ordered(f"weight_hh_l0{suffix}") for suffix in suffixes])
    biases = [torch.cat([ordered(f"bias_ih_l0{suffix}"), ordered(f"bias_hh_l0{suffix}")]) for suffix in suffixes]
    return weights, recurrent, torch.stack(biases)
