"""An ONNX graph made smaller without changing what it computes: for export, and for the technique `optimize_graph`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from onnx import ModelProto

VOCABULARY = "thresher.vocabulary"
"""The key of a file's metadata that says what is left of the table of tokens."""
Level = Literal["basic", "extended", "all"]
"""Levels of ONNX Runtime's offline optimizer. What `basic` writes is standard ONNX and runs anywhere; `extended` uses
ONNX Runtime's own fused operators; `all` adds a layout of the tensors that suits the processor it was made on."""


def with_note(onnx_file: bytes, key: str, note: str) -> bytes:
    """Return ``onnx_file`` with ``note`` in its metadata."""
    import onnx

    model = onnx.load_from_string(onnx_file)
    model.metadata_props.add(key=key, value=note)
    return bytes(model.SerializeToString())


def read_note(onnx_file: bytes, key: str) -> str | None:
    """Return what the metadata of ``onnx_file`` says under ``key``, None where it says nothing."""
    import onnx

    return {entry.key: entry.value for entry in onnx.load_from_string(onnx_file).metadata_props}.get(key)


def optimize_portably(onnx_file: bytes) -> bytes:
    """Return ``onnx_file`` with batch norms and constants folded and needless operators gone, in standard ONNX.

    Names of the operators that are left, and free axes, stay as they are.
    """
    return optimize_with_onnxruntime(slim(onnx_file), "basic")


def slim(onnx_file: bytes) -> bytes:
    """Return what onnxslim makes of ``onnx_file``, without the shapes that it infers."""
    import onnx
    import onnxslim

    model = onnxslim.slim(onnx.load_from_string(onnx_file))
    assert isinstance(model, onnx.ModelProto)
    return _bare(model)


def optimize_with_onnxruntime(onnx_file: bytes, level: Level) -> bytes:
    """Return what ONNX Runtime's optimizer for the CPU makes of ``onnx_file``."""
    import onnx
    import onnxruntime

    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = {
        "basic": levels.ORT_ENABLE_BASIC, "extended": levels.ORT_ENABLE_EXTENDED, "all": levels.ORT_ENABLE_ALL
    }[level]  # fmt: skip
    options.log_severity_level = 4  # it warns that a file with layouts is for this processor alone
    with tempfile.TemporaryDirectory(prefix="thresher-") as folder:
        target = Path(folder) / "optimized.onnx"
        options.optimized_model_filepath = str(target)
        onnxruntime.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])
        return _bare(onnx.load(target))


def _bare(model: ModelProto) -> bytes:
    """Return the file without inferred shapes, and without the domains that none of its operators is from."""
    del model.graph.value_info[:]
    domains = {"", *(node.domain for node in model.graph.node)}
    used = [opset for opset in model.opset_import if opset.domain in domains]
    del model.opset_import[:]
    model.opset_import.extend(used)
    return bytes(model.SerializeToString())
