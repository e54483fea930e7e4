"""From what a graph from outside answers to what Thresher serves: probabilities [N, K], or values [N, 1]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import ModelProto, helper

from thresher.errors import DataError, nearest
from thresher.models.imported.adapter import PREFIX
from thresher.models.imported.batch import describe, names_of
from thresher.models.imported.config import GraphModel, OutputKind

TOLERANCE = 1e-3
"""The error that probabilities and their sum may have: those of float16 have one."""


@dataclass(frozen=True)
class Answers:
    """What the graph answers.

    Attributes:
        width: numbers a sample; 1 of two classes is the second one's.
        order: place of each of the data's classes among the answers; None where they stand alike.
        certain: whether the recipe says the kind, and not the samples.
    """

    kind: OutputKind
    width: int
    order: tuple[int, ...] | None
    certain: bool


def choose_output(model: ModelProto, config: GraphModel, file: str) -> onnx.ValueInfoProto:
    """Return the graph's output that answers: the named one, or the only one of floating-point numbers.

    Raises:
        DataError: no such output, or several that could be meant.
    """
    outputs: dict[str, onnx.ValueInfoProto] = {value.name: value for value in model.graph.output}
    if config.output_name is not None:
        if config.output_name not in outputs:
            fix = nearest(config.output_name, outputs)
            raise DataError(f"{file}: model.output_name: there is no output '{config.output_name}'. {fix}")
        return outputs[config.output_name]
    able = [value for value in outputs.values() if _is_float(value)]
    if len(able) != 1:
        raise DataError(
            f"{file}: which of its outputs answers? {names_of(outputs.values())}. "
            "Fix: name it by model.output_name; it must be of floating-point numbers."
        )
    return able[0]


def understand(outputs: np.ndarray, class_names: tuple[str, ...], config: GraphModel, file: str) -> Answers:
    """Return what ``outputs`` [N, ...], which the graph gave for real samples, are.

    Raises:
        DataError: another number of classes, or not what the recipe says.
    """
    width = int(np.prod(outputs.shape[1:]))
    if sum(length != 1 for length in outputs.shape[1:]) > 1:
        what = f"answers {list(outputs.shape[1:])} for one sample: maps or sequences, as of a segmentation"
        raise DataError(
            f"{file}: {what}, where one row of numbers is expected. Fix: name another output by model.output_name, or "
            "export the model with one answer a sample."
        )
    if not np.isfinite(outputs.astype(np.float64)).all():
        raise DataError(f"{file}: answers real samples with no finite number. Fix: model.scale, mean and std.")
    if not class_names:
        if width != 1:
            raise DataError(f"{file}: answers {width} numbers a sample; a regression has 1. Fix: model.output_name.")
        return Answers("value", 1, None, True)
    if width != len(class_names) and (width, len(class_names)) != (1, 2):
        raise DataError(
            f"{file}: answers {width} classes, and the data has {len(class_names)}: {', '.join(class_names[:20])}. "
            "Fix: model.output_name, or data with the model's classes."
        )
    order = _order(class_names, config, file)
    flat = outputs.reshape(len(outputs), width).astype(np.float64)
    if config.output == "auto":
        return Answers("probabilities" if _are_probabilities(flat) else "logits", width, order, False)
    if config.output == "probabilities" and not _are_probabilities(flat):
        low, high, sums = flat.min(), flat.max(), flat.sum(1)
        raise DataError(
            f"{file}: model.output says probabilities, but it answers {low:.3g} to {high:.3g} with sums of "
            f"{sums.min():.3g} to {sums.max():.3g}. Fix: output: logits."
        )
    assert config.output != "value"
    return Answers(config.output, width, order, True)


def build_tail(value: onnx.ValueInfoProto, answers: Answers, name: str) -> ModelProto:
    """Return the graph from the output ``value`` to the output ``name``, float32 [N, K] or float64 [N, 1]."""
    served = onnx.TensorProto.DOUBLE if answers.kind == "value" else onnx.TensorProto.FLOAT
    nodes: list[onnx.NodeProto] = []
    stored: list[onnx.TensorProto] = []
    last = value.name

    def add(operator: str, *operands: str, **attributes: object) -> str:
        nonlocal last
        result = f"{PREFIX}answer_{operator.lower()}_{len(nodes)}"
        nodes.append(helper.make_node(operator, [last, *operands], [result], result, **attributes))  # type: ignore[arg-type]
        last = result
        return result

    def constant(values: list[float] | list[int], dtype: type) -> str:
        stored.append(onnx.numpy_helper.from_array(np.array(values, dtype), f"{PREFIX}answer_constant_{len(stored)}"))
        return stored[-1].name

    add("Cast", to=served)
    add("Reshape", constant([-1, answers.width], np.int64))
    if answers.width == 1 and answers.kind != "value":
        second = last if answers.kind == "probabilities" else add("Sigmoid")
        # 1 - p, as -p + 1: the first operand of an operator is what came before.
        add("Neg")
        first = add("Add", constant([1.0], np.float32))
        last = first
        add("Concat", second, axis=1)
    elif answers.kind == "logits":
        add("Softmax", axis=1)
    if answers.order is not None:
        add("Gather", constant(list(answers.order), np.int64), axis=1)
    nodes.append(helper.make_node("Identity", [last], [name], f"{PREFIX}answer"))
    made = helper.make_tensor_value_info(name, served, ["batch", answers_width(answers)])
    graph = helper.make_graph(nodes, "answers", [value], [made], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def answers_width(answers: Answers) -> int:
    """Return how many numbers are served for a sample."""
    return 2 if answers.width == 1 and answers.kind != "value" else answers.width


def say(value: onnx.ValueInfoProto, answers: Answers) -> str:
    """Return in words what the graph answers."""
    added = {"logits": "made probabilities here", "probabilities": "used as they are", "value": "used as it is"}
    found = "" if answers.certain else ", by what it answers to real samples"
    order = "; its classes put into the data's order" if answers.order else ""
    return f"answers {describe(value)}: {answers.kind}{found}, {added[answers.kind]}{order}"


def _is_float(value: onnx.ValueInfoProto) -> bool:
    kinds = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
    return value.type.HasField("tensor_type") and value.type.tensor_type.elem_type in kinds


def _are_probabilities(flat: np.ndarray) -> bool:
    inside = bool((flat >= -TOLERANCE).all() and (flat <= 1 + TOLERANCE).all())
    return inside and (flat.shape[1] == 1 or bool(np.allclose(flat.sum(1), 1, rtol=0, atol=TOLERANCE)))


def _order(class_names: tuple[str, ...], config: GraphModel, file: str) -> tuple[int, ...] | None:
    own = config.class_names
    if not own:
        return None
    if sorted(own) != sorted(class_names):
        different = ", ".join(sorted(set(own) ^ set(class_names))[:10]) or "how often one is"
        raise DataError(
            f"{file}: model.class_names and the data's classes differ in {different}. "
            f"Allowed: {', '.join(class_names[:30])}, each once, in the model's order."
        )
    return None if own == class_names else tuple(own.index(name) for name in class_names)
