"""A program of torch.export as an ONNX file."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stdout
from dataclasses import replace

from thresher.errors import DataError
from thresher.models.imported.config import ModelFile
from thresher.process_state import exclusive_access


def export_program(file: ModelFile) -> ModelFile:
    """Return the program that torch.export.save has written into ``file``, as ONNX.

    torch.export.load unpickles some weights and constants, and evaluates the expressions of free sizes as Python: the
    recipe must have said that the file is trusted.

    Raises:
        DataError: no such program, or one with an operator that cannot be exported.
    """
    import torch

    with exclusive_access(), warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for name in ("torch.onnx", "torch.export"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            program = torch.export.load(io.BytesIO(file.content))
        except Exception as error:  # an archive of another kind makes it raise whatever it stumbles on
            what = f"not a program that torch {torch.__version__} can read ({_first_line(error)})"
            raise DataError(f"{file.name}: {what}. Fix: write it by torch.export.save, with this torch.") from error
        try:
            exported = torch.onnx.export(program, dynamo=True, external_data=False, verbose=False)
            assert exported is not None
        except Exception as error:
            what = f"torch cannot export it to ONNX: {_first_line(error)}"
            raise DataError(f"{file.name}: {what}. Fix: export it yourself, and use kind: onnx.") from error
    return replace(file, content=exported.model_proto.SerializeToString(), beside=None)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
