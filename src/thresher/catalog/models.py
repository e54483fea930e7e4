"""A model from elsewhere, as far as its file can be checked before any data is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from thresher.catalog.entries import describe_near
from thresher.compression.validate import find_depth_problems
from thresher.config import KindConfig
from thresher.errors import DataError
from thresher.fetch.known_sets import KNOWN_SETS
from thresher.modalities.text.encoder import TextEncoding
from thresher.modalities.text.model_input import TextInput
from thresher.modalities.text.pretrained import read_tokenizer
from thresher.models import ModelChoice
from thresher.models.imported.config import Checkpoint, ExternalModel, GraphModel, ModelFile, OnnxModel
from thresher.models.pretrained.config import Pretrained
from thresher.models.pretrained.folder import PretrainedFolder, read_folder
from thresher.recipe.partial import Found, read_partial
from thresher.recipe.source import Place

PATH = ("model", "path")


def find_model_problems(values: Mapping[str, Any], project: Path) -> list[Found]:
    """Return what is wrong with the file of a model from elsewhere; nothing for a model that is trained here.

    Libraries that read such a file (onnx, torch) are imported where a recipe names one, and only then.
    """
    try:
        model = ModelChoice.model_validate(values.get("model")).root
    except ValidationError:
        return []  # the recipe's own check reports it
    return [*_problems_of_own(model, values, project), *_problems_of_students(model, values, project)]


def _problems_of_own(model: KindConfig, values: Mapping[str, Any], project: Path) -> list[Found]:
    path = project / getattr(model, "path", "")
    if isinstance(model, ExternalModel) and not path.is_file():
        if (known := _to_fetch(model.path, project)) is not None:
            return [(PATH, f"{path}: no such file", f"Fix: thresher fetch {known}.")]
        return [(PATH, f"{path}: no such file", describe_near(path, "model.path in the recipe"))]
    try:
        if isinstance(model, ExternalModel):
            _check_file(model, project, values)
        elif isinstance(model, Pretrained):
            return _check_pretrained(model, project, values)
    except DataError as error:
        return [_at(PATH, error)]
    return []


def _at(place: Place, error: DataError) -> Found:
    what, _, fix = str(error).partition(" Fix: ")
    return place, what.removesuffix("."), f"Fix: {fix}" if fix else ""


def _problems_of_students(model: KindConfig, values: Mapping[str, Any], project: Path) -> list[Found]:
    """Return what is wrong with the folders of pretrained students; that of ``model``, which teaches, is read too."""
    found = []
    for name, candidate in read_partial(dict(values)).candidates.items():
        for index, step in enumerate(candidate.steps):
            if isinstance(student := getattr(step, "student", None), Pretrained):
                try:
                    _check_student(student, model, values, project)
                except DataError as error:
                    found.append(_at(("candidates", name, "steps", index, "student", "path"), error))
    return found


def _check_student(student: Pretrained, model: KindConfig, values: Mapping[str, Any], project: Path) -> None:
    from thresher.models.pretrained.student import check_student

    folder = _read_headers(student, project)
    modality, max_length = _modality(values), _max_length(values)
    given, tokenizer = None, None
    if isinstance(model, Pretrained) and modality == "text" and (project / model.path).is_dir():
        teacher = read_folder(project / model.path, with_weights=False)
        read = read_tokenizer(teacher.files, max_length, teacher.name)
        tokenizer = read.document
        given = TextInput(vocabulary_size=read.vocabulary_size, max_length=max_length, padding=read.padding)
    check_student(folder, student, modality, given, tokenizer)


def find_model_to_fetch(values: Mapping[str, Any], project: Path) -> str | None:
    """Return the known model that ``values`` name and that is not here yet, None where there is no such one."""
    try:
        model = ModelChoice.model_validate(values.get("model")).root
    except ValidationError:
        return None
    named = model.tokenizer if isinstance(model, GraphModel) else getattr(model, "path", None)
    return None if named is None else _to_fetch(named, project)


def _to_fetch(named: str, project: Path) -> str | None:
    """Return the known model that a recipe names by its folder, or by a file in it, and that is not there."""
    folders = {Path(named), Path(named).parent}
    known = (name for name, one in KNOWN_SETS.items() if Path(one.folder) in folders)
    return None if (project / named).exists() else next(known, None)


def _refuse_unfetched(folder: str, project: Path) -> None:
    if (known := _to_fetch(folder, project)) is not None:
        raise DataError(f"{project / folder}: no such folder. Fix: thresher fetch {known}.")


def _check_pretrained(model: Pretrained, project: Path, values: Mapping[str, Any]) -> list[Found]:
    from thresher.models.pretrained.check import check_folder, read_architecture
    from thresher.models.pretrained.families import num_blocks

    folder, modality = _read_headers(model, project), _modality(values)
    check_folder(folder, model, modality, _max_length(values))
    # Of images, what can be dropped lies within the stages that are counted.
    candidates, blocks = read_partial(dict(values)).candidates, num_blocks(read_architecture(folder))
    blocks = blocks if modality == "text" else None
    known_now = find_depth_problems(candidates, blocks) if blocks is not None else []
    said = find_depth_problems(candidates, None)  # by the recipe's own rules
    return [(("candidates", *below), what, fix) for below, what, fix in known_now if (below, what, fix) not in said]


def _read_headers(model: Pretrained, project: Path) -> PretrainedFolder:
    from thresher.models.pretrained.check import require_library

    require_library()
    _refuse_unfetched(model.path, project)
    return read_folder(project / model.path, model.init == "weights", headers_alone=True)


def _modality(values: Mapping[str, Any]) -> str:
    data = values.get("data")
    return str(data.get("modality")) if isinstance(data, Mapping) else ""


def _max_length(values: Mapping[str, Any]) -> int:
    data = values.get("data")
    encoding = data.get("encoding") if isinstance(data, Mapping) else None
    given = encoding.get("max_length") if isinstance(encoding, Mapping) else None
    return given if isinstance(given, int) else TextEncoding().max_length


def _check_file(model: ExternalModel, project: Path, values: Mapping[str, Any]) -> None:
    path = project / model.path
    beside = path.with_name(f"{path.name}.data")
    file = ModelFile(path.name, path.read_bytes(), beside.read_bytes() if beside.is_file() else None)
    if isinstance(model, OnnxModel):
        from thresher.models.imported.outputs import choose_output
        from thresher.models.imported.read_onnx import read_graph

        graph = read_graph(file)
        choose_output(graph, model, file.name)
        _check_inputs(graph, model, project, values)
    elif isinstance(model, Checkpoint):
        from thresher.models.imported.architecture import check_checkpoint

        check_checkpoint(file, model, _modality(values), str(values.get("task")))


def _check_inputs(graph: Any, model: OnnxModel, project: Path, values: Mapping[str, Any]) -> None:
    """Check what the graph's inputs are, and a tokenizer of its own."""
    from thresher.models.imported.inputs import choose_inputs
    from thresher.models.imported.text_adapter import refuse_larger_vocabulary
    from thresher.models.pretrained.check import check_tokens
    from thresher.models.pretrained.folder import CONFIG

    name, modality = Path(model.path).name, _modality(values)
    inputs = choose_inputs(graph, model, modality == "text", name)
    if model.tokenizer is not None and modality == "text":
        _refuse_unfetched(model.tokenizer, project)
        folder = read_folder(project / model.tokenizer, with_weights=False, of_graph=True)
        tokenizer = check_tokens(folder, folder.document(CONFIG), _max_length(values))
        refuse_larger_vocabulary(graph, inputs.samples.name, tokenizer.vocabulary_size, name)
