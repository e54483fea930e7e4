"""A model from elsewhere, as far as its file can be checked before any data is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from thresher.catalog.entries import describe_near
from thresher.compression.validate import find_depth_problems
from thresher.errors import DataError
from thresher.fetch.known_sets import KNOWN_SETS
from thresher.modalities.text.encoder import TextEncoding
from thresher.models import ModelChoice
from thresher.models.imported.config import Checkpoint, ExternalModel, ModelFile, OnnxModel
from thresher.models.pretrained.config import Pretrained
from thresher.recipe.partial import Found, read_partial

PATH = ("model", "path")


def find_model_problems(values: Mapping[str, Any], project: Path) -> list[Found]:
    """Return what is wrong with the file of a model from elsewhere; nothing for a model that is trained here.

    Libraries that read such a file (onnx, torch) are imported where a recipe names one, and only then.
    """
    try:
        model = ModelChoice.model_validate(values.get("model")).root
    except ValidationError:
        return []  # the recipe's own check reports it
    path = project / getattr(model, "path", "")
    if isinstance(model, ExternalModel) and not path.is_file():
        return [(PATH, f"{path}: no such file", describe_near(path, "model.path in the recipe"))]
    try:
        if isinstance(model, ExternalModel):
            _check_file(model, path, values)
        elif isinstance(model, Pretrained):
            return _check_pretrained(model, path, values)
    except DataError as error:
        what, _, fix = str(error).partition(" Fix: ")
        return [(PATH, what.removesuffix("."), f"Fix: {fix}" if fix else "")]
    return []


def find_model_to_fetch(values: Mapping[str, Any], project: Path) -> str | None:
    """Return the known model that ``values`` name and that is not here yet, None where there is no such one."""
    try:
        model = ModelChoice.model_validate(values.get("model")).root
    except ValidationError:
        return None
    return _to_fetch(model, project / model.path) if isinstance(model, Pretrained) else None


def _to_fetch(model: Pretrained, path: Path) -> str | None:
    known = (name for name, one in KNOWN_SETS.items() if Path(one.folder) == Path(model.path))
    return None if path.exists() else next(known, None)


def _check_pretrained(model: Pretrained, path: Path, values: Mapping[str, Any]) -> list[Found]:
    from thresher.models.pretrained.check import check_folder, read_architecture, require_library
    from thresher.models.pretrained.families import num_blocks
    from thresher.models.pretrained.folder import read_folder

    require_library()
    if (known := _to_fetch(model, path)) is not None:
        raise DataError(f"{path}: no such folder. Fix: thresher fetch {known}.")
    data = values.get("data")
    encoding = data.get("encoding") if isinstance(data, Mapping) else None
    given = encoding.get("max_length") if isinstance(encoding, Mapping) else None
    max_length = given if isinstance(given, int) else TextEncoding().max_length
    modality = str(data.get("modality")) if isinstance(data, Mapping) else ""
    folder = read_folder(path, model.init == "weights", headers_alone=True)
    check_folder(folder, model, modality, max_length)
    # Of images, what can be dropped lies within the stages that are counted.
    candidates, blocks = read_partial(dict(values)).candidates, num_blocks(read_architecture(folder))
    blocks = blocks if modality == "text" else None
    known_now = find_depth_problems(candidates, blocks) if blocks is not None else []
    said = find_depth_problems(candidates, None)  # by the recipe's own rules
    return [(("candidates", *below), what, fix) for below, what, fix in known_now if (below, what, fix) not in said]


def _check_file(model: ExternalModel, path: Path, values: Mapping[str, Any]) -> None:
    data = values.get("data")
    modality = data.get("modality") if isinstance(data, Mapping) else None
    beside = path.with_name(f"{path.name}.data")
    file = ModelFile(path.name, path.read_bytes(), beside.read_bytes() if beside.is_file() else None)
    if isinstance(model, OnnxModel):
        from thresher.models.imported.outputs import choose_output
        from thresher.models.imported.read_onnx import read_graph

        choose_output(read_graph(file), model, file.name)
    elif isinstance(model, Checkpoint):
        from thresher.models.imported.architecture import check_checkpoint

        check_checkpoint(file, model, str(modality), str(values.get("task")))
