"""The float ONNX file of a model that is taken as a graph."""

from __future__ import annotations

from collections.abc import Callable

from thresher.modalities.encoder import Encoder
from thresher.modalities.samples import EncodedSamples
from thresher.models.imported.config import ExportedModel, GraphModel, ModelFile, OnnxModel
from thresher.models.imported.findings import Imported
from thresher.models.imported.read_onnx import read_graph
from thresher.models.imported.torch_export import export_program
from thresher.models.imported.wrapping import wrap_graph


def _as_it_is(file: ModelFile) -> ModelFile:
    return file


AS_ONNX: dict[type, Callable[[ModelFile], ModelFile]] = {OnnxModel: _as_it_is, ExportedModel: export_program}
"""Config type -> function from the file to one in ONNX."""


def import_graph(
    file: ModelFile, config: GraphModel, encoder: Encoder, samples: tuple[EncodedSamples, EncodedSamples]
) -> tuple[bytes, Imported]:
    """Return the float model's ONNX file, and how it was understood.

    Args:
        samples: training and validation.

    Raises:
        DataError: a file that cannot be read, or that does not fit the data; with the fix.
    """
    model = read_graph(AS_ONNX[type(config)](file))
    return wrap_graph(model, config, encoder, samples, file)
