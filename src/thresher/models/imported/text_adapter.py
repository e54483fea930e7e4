"""Tokens for a graph from outside, and what else its inputs take, made of the tokens within the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from onnx import AttributeProto, ModelProto, TensorProto

from thresher.errors import DataError
from thresher.modalities.text.encoder import TextEncoder
from thresher.models.imported.adapter import Adapter, pad
from thresher.models.imported.config import InputRole
from thresher.models.imported.inputs import axes_of

UNCHANGED = {"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}
"""Operators that leave tokens what they are."""


def adapt_text(adapter: Adapter, encoder: TextEncoder) -> None:
    """Pad tokens to the length of the graph, where it has one, and make its other inputs of them."""
    text = encoder.model_input
    for value in adapter.inputs.values:
        if len(axes_of(value) or [None]) != 1:
            fix = "export the model from its tokens on."
            raise adapter.refuse("the data gives tokens [N, T], and nothing else is made of them", fix, value)
    length = next((axes[0] for value in adapter.inputs.values if (axes := axes_of(value)) and axes[0]), None)
    pad(adapter, length, text.max_length, 0, adapter.constant(text.padding, np.int64))
    tokens = adapter.last
    for role, value in adapter.inputs.derived.items():
        if role == "token_types" and _tells_types_apart(encoder):
            what = "its tokenizer gives one text tokens of several types"
            raise adapter.refuse(what, "export the model without this input.", value)
        MAKE[role](adapter, text.padding)
        adapter.hand(value)
        adapter.last = tokens
    for value, number in adapter.inputs.filled:
        _make_token_types(adapter, text.padding)
        adapter.cast(TensorProto.DOUBLE)
        adapter.add("Add", adapter.constant(number, np.float64))
        adapter.hand(value)
        adapter.last = tokens


def _make_mask(adapter: Adapter, padding: int) -> None:
    """True up to the last token that is no padding, which may be spelled out within a text."""
    adapter.add("Equal", adapter.constant(padding, np.int64))
    adapter.add("Not")
    adapter.cast(TensorProto.INT64)
    adapter.add("CumSum", adapter.constant(1, np.int64), reverse=1)
    adapter.add("Greater", adapter.constant(0, np.int64))


def _make_token_types(adapter: Adapter, padding: int) -> None:
    """As many zeros as there are tokens."""
    adapter.add("Sub", adapter.last)


def _make_positions(adapter: Adapter, padding: int) -> None:
    adapter.add("Equal", adapter.last)
    adapter.cast(TensorProto.INT64)
    adapter.add("CumSum", adapter.constant(1, np.int64), exclusive=1)


MAKE: dict[InputRole, Callable[[Adapter, int], None]] = {
    "mask": _make_mask,
    "token_types": _make_token_types,
    "positions": _make_positions,
}


def refuse_larger_vocabulary(model: ModelProto, name: str, vocabulary_size: int, file: str) -> None:
    """Raise a DataError where the table of ``model`` has fewer rows than there are tokens.

    Args:
        name: of the graph's input that takes the tokens.
    """
    rows = _count_rows(model, name)
    if rows is not None and vocabulary_size > rows:
        raise DataError(
            f"{file}: has {rows:,} rows of embeddings, and the tokenizer makes tokens up to {vocabulary_size - 1:,}. "
            "Fix: model: {tokenizer: FOLDER}, the folder with the tokenizer.json it was trained with."
        )


def _count_rows(model: ModelProto, name: str) -> int | None:
    """Return the rows of the table from which ``model`` takes a vector for each token; None where none is found."""
    tables = {tensor.name: tensor.dims[0] for tensor in model.graph.initializer if tensor.dims}
    tables |= {node.output[0]: dims[0] for node in model.graph.node if (dims := _stored_shape(node.attribute))}
    tokens = {name}
    for node in model.graph.node:
        if node.op_type in UNCHANGED and node.input[0] in tokens:
            tokens.update(node.output)
        elif node.op_type == "Gather" and node.input[1] in tokens and node.input[0] in tables:
            return int(tables[node.input[0]])
    return None


def _stored_shape(attributes: Iterable[AttributeProto]) -> list[int]:
    return next((list(each.t.dims) for each in attributes if each.name == "value" and each.HasField("t")), [])


def _tells_types_apart(encoder: TextEncoder) -> bool:
    from tokenizers import Tokenizer

    return any(Tokenizer.from_str(encoder.tokenizer).encode(encoder.example()).type_ids)
