"""What ONNX Runtime wants done to a float file before it is quantized."""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from thresher.compression.data import CalibrationData
from thresher.errors import CompressionError
from thresher.process_state import exclusive_access

if TYPE_CHECKING:
    from onnx import ModelProto

QUANTIZED = ("quantize", "integer")
"""One of these is part of the name of every operator that a quantization puts in, in small letters."""


@contextmanager
def prepared_for_quantization(onnx_file: bytes) -> Iterator[tuple[Path, Path]]:
    """Give (prepared file, file to write): the first has shapes inferred and batch norms folded. Both are temporary."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="thresher-") as folder:
        source, prepared, target = (Path(folder) / name for name in ("float.onnx", "prepared.onnx", "int8.onnx"))
        source.write_bytes(onnx_file)
        # Without the symbolic shape inference: it needs sympy and adds nothing for graphs whose only free size
        # is the batch.
        with silenced():
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
        yield prepared, target


@contextmanager
def silenced() -> Iterator[None]:
    """Let ONNX Runtime's tools print nothing, and leave logging as it was.

    They give advice through the root logger, print while they calibrate, and one of them configures logging for the
    whole process when it is imported.
    """
    root = logging.getLogger()
    with exclusive_access():
        level, handlers, disabled = root.level, list(root.handlers), root.manager.disable
        logging.disable(logging.WARNING)
        try:
            with redirect_stdout(io.StringIO()):
                yield
        finally:
            logging.disable(disabled)
            root.handlers[:] = handlers
            root.setLevel(level)


def read_quantized(target: Path, technique: str, data: CalibrationData) -> bytes:
    """Return the file that ``technique`` wrote.

    Raises:
        CompressionError: nothing in it is quantized.
    """
    import onnx

    content = target.read_bytes()
    check_quantized(onnx.load_from_string(content), technique, data)
    return content


def check_quantized(model: ModelProto, technique: str, data: CalibrationData) -> None:
    """Raise a CompressionError if nothing in ``model``, which ``technique`` made, is quantized."""
    operators = {node.op_type.lower() for node in model.graph.node}
    if not any(part in operator for operator in operators for part in QUANTIZED):
        raise nothing_to_quantize(technique, data.candidate)


def nothing_to_quantize(technique: str, candidate: str) -> CompressionError:
    """Return the error of a model in which ``technique`` has nothing to do."""
    return CompressionError(
        f"{candidate}: {technique} finds nothing that it can quantize in this model. Remove the step."
    )
