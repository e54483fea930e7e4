"""An ONNX file read from outside, checked, and brought to an opset that every technique takes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import onnx
from onnx import GraphProto, ModelProto, NodeProto, version_converter

from thresher.errors import DataError
from thresher.models.imported.config import ModelFile

MIN_OPSET = 13
"""Since when quantization per channel can be written."""
TARGET_OPSET = 17
"""What an older file is brought to."""
NEWEST = {
    "": onnx.defs.onnx_opset_version(),
    "ai.onnx.ml": max(schema.since_version for schema in onnx.defs.get_all_schemas() if schema.domain == "ai.onnx.ml"),
}
KNOWN_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}


def read_graph(file: ModelFile) -> ModelProto:
    """Return the model in ``file``, its weights in it.

    Raises:
        DataError: not ONNX, weights that are missing, an operator or opset that nobody here knows.
    """
    model = _parse(file)
    if not model.graph.node:
        raise DataError(f"{file.name}: an ONNX file without an operator. Fix: export the model again.")
    _check_opsets(model, file.name)
    _tidy(model)
    return model


def upgraded(model: ModelProto) -> list[ModelProto]:
    """Return ways to write ``model`` in an opset of at least 13, the likeliest first; none is checked."""
    opset = opset_of(model)
    if opset >= MIN_OPSET:
        return [model]
    ways = []
    with suppress(Exception):  # it raises what its C++ does, such as for operators of other domains
        ways.append(version_converter.convert_version(model, TARGET_OPSET))
    renumbered = ModelProto()
    renumbered.CopyFrom(model)
    others = [entry for entry in renumbered.opset_import if entry.domain not in ("", "ai.onnx")]
    del renumbered.opset_import[:]
    renumbered.opset_import.extend([onnx.helper.make_opsetid("", TARGET_OPSET), *others])
    return [*ways, renumbered]


def opset_of(model: ModelProto) -> int:
    """Return the opset of ONNX's own operators; 0 where the file names none."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def operators(graph: GraphProto) -> Iterator[NodeProto]:
    """Yield the operators of ``graph`` and of the graphs within them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in [attribute.g, *attribute.graphs] if attribute.HasField("g") else attribute.graphs:
                yield from operators(inner)


def _parse(file: ModelFile) -> ModelProto:
    try:
        model = onnx.load_from_string(file.content)
    except Exception as error:  # protobuf's
        raise DataError(f"{file.name}: not an ONNX file ({error}). Fix: name a file that an exporter wrote.") from error
    places = {entry.value for tensor in model.graph.initializer for entry in tensor.external_data
              if entry.key == "location"}  # fmt: skip
    if not places:
        return model
    known = f"{Path(file.name).name}.data"
    if places != {known} or file.beside is None:
        raise DataError(
            f"{file.name}: its weights are in {', '.join(sorted(places))}; a file beside it is read only as {known}. "
            "Fix: onnx.save(onnx.load(PATH), NEW_PATH), which puts them into the file."
        )
    with tempfile.TemporaryDirectory(prefix="thresher-") as folder:
        (Path(folder) / known).write_bytes(file.beside)
        try:
            onnx.load_external_data_for_model(model, folder)
        except Exception as error:
            raise DataError(f"{file.name}: {known} does not hold its weights ({error}). Fix: export again.") from error
    return model


def _check_opsets(model: ModelProto, name: str) -> None:
    own = {(function.domain, function.name) for function in model.functions}
    unknown = {
        f"{node.domain}.{node.op_type}"
        for node in operators(model.graph)
        if node.domain not in KNOWN_DOMAINS and (node.domain, node.op_type) not in own
    }
    if unknown:
        raise DataError(
            f"{name}: has operators that ONNX Runtime does not know: {', '.join(sorted(unknown)[:10])}. "
            f"Allowed domains: {', '.join(sorted(filter(None, KNOWN_DOMAINS)))}. Fix: export without custom operators."
        )
    for entry in model.opset_import:
        domain = "" if entry.domain == "ai.onnx" else entry.domain
        if entry.version > NEWEST.get(domain, entry.version):
            raise DataError(
                f"{name}: is in opset {entry.version} of {domain or 'ai.onnx'}; at most {NEWEST[domain]} is known to "
                "the installed onnx. Fix: export with an older opset."
            )


def _tidy(model: ModelProto) -> None:
    """Make inputs those alone that a caller gives, open lengths that are none, and name every operator once."""
    stored = {tensor.name for tensor in model.graph.initializer}
    given = [value for value in model.graph.input if value.name not in stored]
    del model.graph.input[:]
    model.graph.input.extend(given)
    taken: set[str] = set()
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{number}"
        taken.add(node.name)
    model.ir_version = max(model.ir_version, 8)
    _open_lengths(model.graph)
    _drop_zip_maps(model.graph)


def _open_lengths(graph: GraphProto) -> None:
    """Leave open what exporters write as -1 (Paddle's among them), and a batch of 0: no tensor has such a length."""
    given = {value.name for value in graph.input}
    for value in [*graph.input, *graph.output, *graph.value_info]:
        for place, axis in enumerate(value.type.tensor_type.shape.dim):
            batch_of_none = axis.dim_value == 0 and place == 0 and value.name in given
            if axis.HasField("dim_value") and (axis.dim_value < 0 or batch_of_none):
                axis.dim_param = "batch" if place == 0 else f"{value.name}_{place}"


def _drop_zip_maps(graph: GraphProto) -> None:
    """Take scikit-learn's probabilities as a tensor: its converter puts them into a list of dictionaries."""
    sources = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "ZipMap"}
    if not sources:
        return
    kept = [node for node in graph.node if node.op_type != "ZipMap"]
    outputs = [value for value in graph.output if value.name not in sources]
    tensors = [
        onnx.helper.make_tensor_value_info(sources[value.name], onnx.TensorProto.FLOAT, None)
        for value in graph.output
        if value.name in sources
    ]
    del graph.node[:]
    graph.node.extend(kept)
    del graph.output[:]
    graph.output.extend([*outputs, *tensors])
