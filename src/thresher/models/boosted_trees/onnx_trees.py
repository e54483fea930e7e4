"""Trees as an ONNX file: one TreeEnsemble of ai.onnx.ml 5, and what makes answers of its sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thresher.adapters.scikit_learn import Tree
from thresher.modalities.model_input import ModelInput
from thresher.modalities.outputs import AnyOutput, ClassOutput, ValueOutput

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

OPSET, TREES_OPSET, IR_VERSION = 20, 5, 10
AT_MOST, IS_MEMBER = 0, 6
"""Modes of a node: BRANCH_LEQ, BRANCH_MEMBER."""
ABSENT = -100.0
"""The logit of a class that no training sample has."""


def write_trees(
    iterations: list[list[Tree]],
    baseline: np.ndarray,
    classes: tuple[int, ...],
    codes: dict[int, int],
    known: dict[int, frozenset[int]],
    given: ModelInput,
    output: AnyOutput,
) -> bytes:
    """Return the file that answers as the trees do, from what an encoder makes to what is served.

    Args:
        baseline: what the trees begin with, one number for each tree of an iteration.
        classes: those that the training samples have, of ``output``'s; empty in a regression.
        codes: column -> how many codes there are of its categories, for columns that are split by sets of them.
        known: column -> the codes that the trees were fitted with; any other goes where missing values do.
    """
    import onnx
    from onnx import helper

    # Two classes have one tree an iteration; of more, and of a class that is absent, each tree has its class's place.
    width = len(classes) if len(baseline) > 1 else 1
    ensemble = _ensemble(iterations, baseline, codes, known, given.name, width)
    nodes, constants = _classes(output, classes, width) if isinstance(output, ClassOutput) else _value(output)
    kind = helper.np_dtype_to_tensor_dtype(output.dtype)
    graph = helper.make_graph(
        [ensemble, *nodes],
        "boosted_trees",
        [helper.make_tensor_value_info(given.name, onnx.TensorProto.FLOAT, ["batch", *given.longest])],
        [helper.make_tensor_value_info(output.name, kind, ["batch", output.width])],
        constants,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", TREES_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="thresher")
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _ensemble(
    iterations: list[list[Tree]],
    baseline: np.ndarray,
    codes: dict[int, int],
    known: dict[int, frozenset[int]],
    takes: str,
    width: int,
) -> NodeProto:
    """Return the operator that sums the leaves, [B, ``width``]; the first iteration's have the baseline in them."""
    from onnx import helper

    columns: dict[str, list[Any]] = {name: [] for name in _ATTRIBUTES}
    roots, members, num_nodes, num_leaves = [], [], 0, 0
    for number, trees in enumerate(iterations):
        for target, tree in enumerate(trees):
            roots.append(num_nodes)
            added = _flat(tree, num_nodes, num_leaves, 0.0 if number else baseline[target])
            for name, values in added.items():
                columns[name].append(values)
            columns["leaf_targetids"].append(np.full(len(added["leaf_weights"]), target))
            members += [_members(tree, node, codes, known) for node in sorted(tree.left_codes)]
            num_nodes += len(added["nodes_featureids"])
            num_leaves += len(added["leaf_weights"])
    joined = {name: np.concatenate(values) for name, values in columns.items()}
    tensors = {name: _tensor(name, joined.pop(name).astype(dtype)) for name, dtype in _TENSORS.items()}
    if members:
        tensors["membership_values"] = _tensor("membership_values", np.concatenate(members).astype(np.float32))
    return helper.make_node(
        "TreeEnsemble",
        [takes],
        ["sums"],
        name="trees",
        domain="ai.onnx.ml",
        n_targets=width,
        aggregate_function=1,  # the sum
        post_transform=0,  # none
        tree_roots=roots,
        **tensors,
        **{name: values.astype(np.int64).tolist() for name, values in joined.items()},
    )


_TENSORS = {"nodes_splits": np.float32, "nodes_modes": np.uint8, "leaf_weights": np.float32}
_ATTRIBUTES = (
    *_TENSORS,
    "nodes_featureids",
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "nodes_trueleafs",
    "nodes_falseleafs",
    "leaf_targetids",
)


def _flat(tree: Tree, first_node: int, first_leaf: int, added: float) -> dict[str, np.ndarray]:
    """Return the attributes of one tree, whose nodes and leaves are numbered from ``first_node`` and ``first_leaf``."""
    leaves = tree.value[tree.is_leaf] + added
    if tree.is_leaf[0]:  # ONNX has no tree without a split: both ways lead to the one leaf
        one = {name: np.array([first_leaf]) for name in ("nodes_truenodeids", "nodes_falsenodeids")}
        zeros = {name: np.zeros(1) for name in ("nodes_splits", "nodes_modes", "nodes_featureids")}
        ends = {name: np.ones(1) for name in ("nodes_trueleafs", "nodes_falseleafs")}
        return {**one, **zeros, **ends, "leaf_weights": leaves}
    inner = ~tree.is_leaf
    number = np.where(tree.is_leaf, first_leaf + np.cumsum(tree.is_leaf), first_node + np.cumsum(inner)) - 1
    left, right = tree.left[inner], tree.right[inner]
    modes = np.full(len(inner), AT_MOST)
    modes[list(tree.left_codes)] = IS_MEMBER
    return {
        "nodes_featureids": tree.feature[inner],
        "nodes_splits": np.where(modes == AT_MOST, _round_down(tree.threshold), 0)[inner],
        "nodes_modes": modes[inner],
        "nodes_truenodeids": number[left],
        "nodes_trueleafs": tree.is_leaf[left],
        "nodes_falsenodeids": number[right],
        "nodes_falseleafs": tree.is_leaf[right],
        "leaf_weights": leaves,
    }


def _round_down(thresholds: np.ndarray) -> np.ndarray:
    """Return the largest float32 of at most each of float64 ``thresholds``: float32 rows go the same way by both."""
    with np.errstate(over="ignore"):
        rounded = thresholds.astype(np.float32)
    below = np.nextafter(rounded, np.float32(-np.inf))
    return np.where(rounded > thresholds, below, rounded)


def _members(tree: Tree, node: int, codes: dict[int, int], known: dict[int, frozenset[int]]) -> np.ndarray:
    """Return the codes that go left, closed by NaN."""
    column = int(tree.feature[node])
    others = frozenset(range(codes[column])) - known[column] if tree.others_go_left[node] else frozenset()
    return np.array([*sorted(tree.left_codes[node] | others), np.nan])


def _classes(output: ClassOutput, classes: tuple[int, ...], width: int) -> tuple[list[NodeProto], list[TensorProto]]:
    """Return what makes probabilities of the sums: of one sum z, the logits -z/2 and z/2 of two classes."""
    from onnx import helper

    nodes, constants, logits = [], [], "sums"
    if width < output.width or width == 1:
        spread = np.zeros((width, output.width), np.float32)
        if width == 1:
            spread[0, list(classes)] = (-0.5, 0.5)
        else:
            spread[np.arange(width), list(classes)] = 1
        absent = np.array([0.0 if each in classes else ABSENT for each in range(output.width)], np.float32)
        constants = [_tensor("spread", spread), _tensor("absent", absent)]
        nodes = [helper.make_node("MatMul" if width > 1 else "Mul", ["sums", "spread"], ["logits"], name="logits")]
        logits = "logits"
        if absent.any():
            nodes.append(helper.make_node("Add", [logits, "absent"], ["all_logits"], name="all_logits"))
            logits = "all_logits"
        else:
            constants.pop()
    nodes.append(helper.make_node("Softmax", [logits], [output.name], name="softmax", axis=1))
    return nodes, constants


def _value(output: ValueOutput) -> tuple[list[NodeProto], list[TensorProto]]:
    """Return what makes values in the labels' unit of standardized ones, in float64 as networks do."""
    import onnx
    from onnx import helper

    constants = [
        _tensor("offset", np.array(output.mean / output.std)),
        _tensor("std", np.array(output.std)),
    ]
    nodes = [
        helper.make_node("Cast", ["sums"], ["standardized"], name="cast", to=onnx.TensorProto.DOUBLE),
        helper.make_node("Add", ["standardized", "offset"], ["shifted"], name="shift"),
        helper.make_node("Mul", ["shifted", "std"], [output.name], name="scale"),
    ]
    return nodes, constants


def _tensor(name: str, values: np.ndarray) -> TensorProto:
    from onnx import numpy_helper

    return numpy_helper.from_array(values, name)
