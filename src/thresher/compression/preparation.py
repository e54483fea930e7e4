"""What ONNX Runtime wants done to a float file before it is quantized."""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from thresher.compression.data import CalibrationData
from thresher.errors import CompressionError

QUANTIZED = ("quantize", "integer")
"""One of these is part of the name of every operator that a quantization puts in, in small letters."""


@contextmanager
def prepared_for_quantization(onnx_file: bytes) -> Iterator[tuple[Path, Path]]:
    """Give (prepared file, file to write): the first has shapes inferred and batch norms folded. Both are temporary."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    root, level = logging.getLogger(), logging.getLogger().level
    with tempfile.TemporaryDirectory(prefix="thresher-") as folder:
        source, prepared, target = (Path(folder) / name for name in ("float.onnx", "prepared.onnx", "int8.onnx"))
        source.write_bytes(onnx_file)
        # ONNX Runtime logs its advice to do what is done here through the root logger.
        root.setLevel(logging.ERROR)
        try:
            # Without the symbolic shape inference: it needs sympy and adds nothing for graphs whose only free size
            # is the batch.
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            with redirect_stdout(io.StringIO()):  # its calibration prints what it does
                yield prepared, target
        finally:
            root.setLevel(level)


def read_quantized(target: Path, technique: str, data: CalibrationData) -> bytes:
    """Return the file that ``technique`` wrote.

    Raises:
        CompressionError: nothing in it is quantized.
    """
    import onnx

    content = target.read_bytes()
    operators = {node.op_type.lower() for node in onnx.load_from_string(content).graph.node}
    if not any(part in operator for operator in operators for part in QUANTIZED):
        raise CompressionError(
            f"{data.candidate}: {technique} finds nothing that it can quantize in this model. Remove the step."
        )
    return content
