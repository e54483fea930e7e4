"""What each input of a graph from outside is: the samples, something that is made of them, or a constant."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from onnx import ModelProto, ValueInfoProto, helper, numpy_helper

from thresher.errors import DataError, nearest
from thresher.models.imported.batch import describe, names_of
from thresher.models.imported.config import GraphModel, InputRole

WELL_KNOWN: dict[str, InputRole] = {
    "input_ids": "tokens",
    "input_word_ids": "tokens",
    "token_ids": "tokens",
    "tokens": "tokens",
    "attention_mask": "mask",
    "input_mask": "mask",
    "mask": "mask",
    "token_type_ids": "token_types",
    "token_types": "token_types",
    "segment_ids": "token_types",
    "input_type_ids": "token_types",
}
"""Names that exporters give, without what TensorFlow appends to them, such as `:0`."""
MADE = {"mask": "1 up to the end of a text", "token_types": "all 0", "positions": "0, 1, 2 and so on"}
Axes = list[int | None]
"""The axes of one sample; None where the graph leaves a length open."""


@dataclass(frozen=True)
class GraphInputs:
    """The inputs that a call gives.

    Attributes:
        samples: takes what the encoder makes.
        derived: what is made of that within the graph, and the input that takes it.
        filled: inputs that one number fills, as many of it as there are tokens: a graph may take the length of its
            texts from any of its inputs.
        by_name: whether names alone say what some of them are.
    """

    samples: ValueInfoProto
    derived: Mapping[InputRole, ValueInfoProto] = field(default_factory=dict)
    filled: tuple[tuple[ValueInfoProto, float], ...] = ()
    by_name: bool = False

    @property
    def values(self) -> list[ValueInfoProto]:
        """All of them, that of the samples first."""
        return [self.samples, *self.derived.values(), *(value for value, _ in self.filled)]

    @property
    def sentence(self) -> str:
        """What the graph takes, in words."""
        if not self.derived:
            return f"takes {describe(self.samples)}"
        made = [f"{describe(value)} as {role}, {MADE[role]}" for role, value in self.derived.items()]
        return "; ".join([f"takes {describe(self.samples)} as tokens", *made]) + ", by their names" * self.by_name


def choose_inputs(model: ModelProto, config: GraphModel, of_texts: bool, file: str) -> GraphInputs:
    """Return what the inputs of ``model`` are, but for those that are constants.

    Args:
        of_texts: whether the data is: of texts alone there is something to be made of the samples.

    Raises:
        DataError: names that are none of its inputs, or inputs of which nobody knows what they are; with what to write.
    """
    every = {value.name: value for value in model.graph.input}
    _refuse_unknown_names(every, config, file)
    inputs = {name: value for name, value in every.items() if name not in config.constants}
    filled = tuple(
        (value, config.constants[name])
        for name, value in every.items()
        if of_texts and name in config.constants and len(value.type.tensor_type.shape.dim) == 2
    )
    if len(inputs) == 1 and not config.inputs:
        return GraphInputs(next(iter(inputs.values())), filled=filled)
    if not of_texts or not inputs:
        raise DataError(
            f"{file}: takes {len(inputs)} inputs: {names_of(inputs.values())}. Thresher gives it one. Fix: give "
            "the others a value in model.constants, or export the model with one input."
        )
    said: dict[str, InputRole] = {**({config.input_name: "tokens"} if config.input_name else {}), **config.inputs}
    roles = {name: said.get(name) or WELL_KNOWN.get(name.lower().partition(":")[0]) for name in inputs}
    if problem := _find_problem(roles):
        raise DataError(f"{file}: takes {names_of(inputs.values())}, and {problem} Fix: {_advise(roles)}")
    by_role = {role: inputs[name] for name, role in roles.items() if role is not None}
    samples = by_role.pop("tokens")
    if by_role and config.tokenizer is None:
        raise DataError(
            f"{file}: takes {names_of(inputs.values())}: tokens of a tokenizer of its own, and not of one that the "
            "recipe trains. Fix: model: {tokenizer: FOLDER}, the folder with the tokenizer.json it was trained with."
        )
    return GraphInputs(samples, by_role, filled, not roles.keys() <= said.keys())


def bind_constants(model: ModelProto, config: GraphModel, given: Collection[str]) -> ModelProto:
    """Return ``model`` with the values of `constants` stored in it, but for those of inputs that are ``given`` it."""
    inputs = {value.name: value for value in model.graph.input}
    bound = ModelProto()
    bound.CopyFrom(model)
    constants = {name: number for name, number in config.constants.items() if name not in given}
    for name, number in constants.items():
        kind = inputs[name].type.tensor_type
        shape = [max(1, int(axis.dim_value)) for axis in kind.shape.dim]
        values = np.full(shape, number, helper.tensor_dtype_to_np_dtype(kind.elem_type))
        bound.graph.initializer.append(numpy_helper.from_array(values, name))
    kept = [value for name, value in inputs.items() if name not in constants]
    del bound.graph.input[:]
    bound.graph.input.extend(kept)
    return bound


def type_of(value: ValueInfoProto) -> int:
    """Return the type of its elements, as ONNX numbers them."""
    return int(value.type.tensor_type.elem_type)


def axes_of(value: ValueInfoProto) -> Axes | None:
    """Return the axes of one sample; None where the graph declares no shape."""
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return [int(axis.dim_value) if axis.HasField("dim_value") else None for axis in kind.shape.dim[1:]]


def _refuse_unknown_names(inputs: Mapping[str, ValueInfoProto], config: GraphModel, file: str) -> None:
    if config.input_name is not None and config.input_name not in inputs:
        what = f"there is no input '{config.input_name}'"
        raise DataError(f"{file}: model.input_name: {what}. {nearest(config.input_name, inputs)}")
    for name in config.constants:
        if name not in inputs or name == config.input_name:
            raise DataError(f"{file}: model.constants: there is no other input '{name}'. {nearest(name, inputs)}")
    for name in config.inputs:
        if name not in inputs:
            raise DataError(f"{file}: model.inputs: there is no input '{name}'. {nearest(name, inputs)}")


def _find_problem(roles: Mapping[str, InputRole | None]) -> str:
    """Return why ``roles`` of the inputs cannot be, or nothing."""
    unknown = [name for name, role in roles.items() if role is None]
    if unknown:
        return f"what is {' and '.join(unknown)}? Their names do not tell."
    taken = list(roles.values())
    twice = next((role for role in taken if taken.count(role) > 1), None)
    if twice is not None:
        return f"{' and '.join(name for name, role in roles.items() if role == twice)} are both {twice}."
    return "" if "tokens" in taken else "none of them is the tokens."


def _advise(roles: Mapping[str, InputRole | None]) -> str:
    written = ", ".join(f"{name}: {role or '?'}" for name, role in roles.items())
    return (
        f"say what each is in model: {{inputs: {{{written}}}}}. Allowed: {_either(('tokens', *MADE))}; an input that "
        "is always the same gets its value in model.constants."
    )


def _either(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"
