"""Candidates as MLflow's logged models, and the champion in its registry."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stderr
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, LoggedModelStatus
from mlflow.models import Model

from thresher.errors import DataError
from thresher.exported.code import has_code
from thresher.modalities.encoder import Encoder
from thresher.modalities.outputs import ClassOutput, ValueOutput
from thresher.serving.core.bundle import ATTACHMENTS as ATTACHMENT_FILES
from thresher.serving.core.bundle import MODEL_FILE, has_content, hash_content, read_attachments, write_attachments
from thresher.tracking.history import CHAMPION, RUN, Alias, move_alias
from thresher.tracking.raw_model import RawFlavor
from thresher.tracking.run_context import run_id

# MLflow copies onto a new model whatever its run has logged at the model's step, other candidates' figures too; at
# this step nothing is ever logged.
MODEL_STEP = -1
RECIPE, CANDIDATE, ENCODER, CONTENT = "recipe", "candidate", "encoder", "content_sha256"
INPUT, RAW = "input", "raw"
"""Tag of a logged model: raw, or encoded for a modality of a package. One of before has none, and takes tensors."""
WINNER_CONTENT = "winner_content_sha256"
"""Tag of a run: the hash of its winner."""
ATTACHMENTS = "attachments"
RESTORE = "Fix: bring back the file as it was, or choose another version; nothing is served of this one."


def data_sets(recipe: str, train_sha256: str, test_sha256: str) -> dict[str, MetaDataset]:
    """Return both splits as MLflow shows them, by the context they are used in."""
    source = CodeDatasetSource(tags={"mlflow.source.name": f"catalog entries of recipe {recipe}"})
    return {
        "training": _data_set(source, f"{recipe}.train", train_sha256),
        "evaluation": _data_set(source, f"{recipe}.test", test_sha256),
    }


def as_input(data_set: MetaDataset, context: str) -> DatasetInput:
    """Return ``data_set`` as an input of the run, used as ``context`` says."""
    return DatasetInput(Dataset(**data_set.to_dict()), [InputTag(key="mlflow.data.context", value=context)])


def provide_candidate(
    recipe: str, candidate: str, onnx_file: bytes, encoder: Encoder, run: str = "", check_file: bool = False
) -> str:
    """Return the id of the logged model with this very content, among the outputs of the run.

    A model that an earlier run has logged is linked and not logged again: it leads to the run that made it.

    Args:
        run: its id; by default that of the active one.
        check_file: read the file of such a model, too; one that was altered since is logged again.
    """
    run, content = run or run_id(), hash_content(onnx_file, encoder)
    found = _find_candidate(run, candidate, content, encoder)
    if found is None or (check_file and not _has_file(found, onnx_file)):
        return _log_candidate(run, recipe, candidate, onnx_file, encoder, content)
    _link(run, found.model_id)
    return str(found.model_id)


def _log_candidate(run: str, recipe: str, candidate: str, onnx_file: bytes, encoder: Encoder, content: str) -> str:
    """Log a candidate's ONNX file with signature and input example as a model of the run; return the model's id."""
    # Made by the client with the run's id: a thread or a worker process has no active run of MLflow's own.
    client = MlflowClient()
    tags = {RECIPE: recipe, CANDIDATE: candidate, CONTENT: content, INPUT: _input_of(encoder)}
    # A server that was away may have made it of a call that nobody waited for any more.
    begun = (one for one in _find_models(run, candidate, content, encoder) if one.source_run_id == run)
    model = next((one for one in begun if one.status == LoggedModelStatus.PENDING), None)
    if model is None:
        experiment = client.get_run(run).info.experiment_id
        model = client.create_logged_model(experiment, name=candidate, source_run_id=run, tags=tags)
    metadata = {**tags, ENCODER: json.loads(encoder.model_dump_json())}
    log = _log_raw if tags[INPUT] == RAW else _log_tensors
    log(str(model.model_id), onnx_file, encoder, metadata)
    _link(run, model.model_id)
    return str(model.model_id)


def _log_raw(model_id: str, onnx_file: bytes, encoder: Encoder, metadata: dict[str, Any]) -> None:
    """Log a model that takes raw input."""
    Model.log(
        None,
        RawFlavor(),
        model_id=model_id,
        step=MODEL_STEP,
        metadata=metadata,
        onnx_file=onnx_file,
        encoder=encoder,
        validate_serving_input=False,  # it would import the model's code into this process
    )


def _log_tensors(model_id: str, onnx_file: bytes, encoder: Encoder, metadata: dict[str, Any]) -> None:
    """Log a model that takes encoded input: of a modality of a package, whose encoder needs that package."""
    import onnx
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    taken, given = encoder.model_input, ClassOutput if encoder.class_names else ValueOutput
    shape = tuple(-1 if size is None else size for size in taken.shape)
    signature = ModelSignature(
        inputs=Schema([TensorSpec(taken.dtype, (-1, *shape), taken.name)]),
        outputs=Schema([TensorSpec(given.dtype, (-1, len(encoder.class_names) or 1), given.name)]),
    )
    parsed = onnx.load_from_string(onnx_file)
    mlflow.onnx.log_model(
        parsed,
        model_id=model_id,
        step=MODEL_STEP,
        signature=signature,
        input_example={taken.name: taken.example(1)},
        pip_requirements=[f"{name}=={version(name)}" for name in ("onnx", "onnxruntime", "numpy")],
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
        metadata=metadata,
    )
    if parsed.SerializeToString() != onnx_file:  # MLflow writes it anew; another exporter's bytes may differ
        with tempfile.TemporaryDirectory(prefix="thresher-") as folder:
            (Path(folder) / MODEL_FILE).write_bytes(onnx_file)
            MlflowClient().log_model_artifact(model_id, str(Path(folder) / MODEL_FILE), "")


def _input_of(encoder: Encoder) -> str:
    return RAW if has_code(str(encoder.kind)) else "encoded"


def _find_candidate(run: str, candidate: str, content: str, encoder: Encoder) -> Any | None:
    """Return the newest model of the experiment that was logged whole for ``candidate`` and ``content``."""
    # One whose upload was cut off stays pending; MLflow's filter does not know that attribute.
    models = _find_models(run, candidate, content, encoder)
    return next((model for model in models if model.status == LoggedModelStatus.READY), None)


def _find_models(run: str, candidate: str, content: str, encoder: Encoder) -> list[Any]:
    experiment = MlflowClient().get_run(run).info.experiment_id
    same = f"tags.{CONTENT} = '{content}' AND tags.{INPUT} = '{_input_of(encoder)}'"
    models: list[Any] = mlflow.search_logged_models(
        experiment_ids=[experiment],
        filter_string=f"name = '{candidate}' AND {same}",
        order_by=[{"field_name": "creation_timestamp", "ascending": False}],
        output_format="list",
    )
    return models


def _has_file(model: Any, onnx_file: bytes) -> bool:
    """Return whether the logged model still has the file that it was logged with."""
    try:
        path = mlflow.artifacts.download_artifacts(f"{model.artifact_location}/{MODEL_FILE}")
        return Path(path).read_bytes() == onnx_file
    except (OSError, mlflow.MlflowException):
        return False


def _link(run: str, model_id: str) -> None:
    """Put the model among the outputs of the run, once."""
    client = MlflowClient()
    outputs = client.get_run(run).outputs
    if model_id not in {output.model_id for output in (outputs.model_outputs if outputs else ())}:
        client.log_outputs(run, [LoggedModelOutput(model_id, MODEL_STEP)])


def register(recipe: str, model_id: str, tags: dict[str, str], alias: Alias, reason: str) -> str:
    """Register the logged model ``model_id`` as a new version, move the alias to it, and return the version."""
    with redirect_stderr(io.StringIO()):  # MLflow prints there that it has succeeded
        registered = mlflow.register_model(f"models:/{model_id}", recipe, tags=tags)
    move_alias(recipe, str(registered.version), RUN, reason, alias)
    return str(registered.version)


def attach(model_id: str, attachments: Mapping[str, bytes]) -> dict[str, str]:
    """Put ``attachments`` beside the logged model ``model_id``; return the tags that a version finds them by.

    Each set of them has a folder of its own, named by their hash: a later version of the same model changes nothing
    that an earlier one has.
    """
    if not attachments:
        return {}
    place = f"{ATTACHMENTS}/{_hash_attachments(attachments)}"
    with tempfile.TemporaryDirectory(prefix="thresher-") as folder:
        write_attachments(Path(folder), attachments)
        MlflowClient().log_model_artifacts(model_id, folder, place)
    return {ATTACHMENTS: place}


def find_champion(recipe: str) -> Any | None:
    """Return MLflow's version that has the alias `champion`; see `find_version`."""
    return find_version(recipe, CHAMPION)


def find_version(recipe: str, name: str) -> Any | None:
    """Return MLflow's version that has the alias or the number ``name``, or None where no version has it.

    Raises:
        MlflowException: the registry cannot be asked; a version that cannot be seen is not one that is not there.
    """
    registered = find_registered(recipe)
    if registered is None:
        return None
    number = str(registered.aliases.get(name, name))
    return next((version for version in list_versions(recipe) if str(version.version) == number), None)


def list_versions(recipe: str) -> list[Any]:
    """Return MLflow's versions of ``recipe``, the oldest first.

    Raises:
        MlflowException: the registry cannot be asked.
    """
    found = mlflow.search_model_versions(filter_string=f"name = '{recipe}'")
    return sorted(found, key=lambda one: int(one.version))


def contents_of(recipe: str) -> dict[str, str]:
    """Return version -> the hash of its model and encoder; a version of before has none.

    Raises:
        MlflowException: the registry cannot be asked.
    """
    return {str(one.version): one.tags[CONTENT] for one in list_versions(recipe) if CONTENT in one.tags}


def last_winner(recipe: str, moment: datetime) -> str:
    """Return the hash of the winner of the recipe's last run before ``moment``; nothing where none is known.

    Raises:
        MlflowException: the registry cannot be asked.
    """
    client = MlflowClient()
    experiment = client.get_experiment_by_name(recipe)
    if experiment is None:
        return ""
    query = f"attributes.start_time < {int(moment.timestamp() * 1000)} AND tags.{WINNER_CONTENT} != ''"
    runs = client.search_runs([experiment.experiment_id], query, max_results=1, order_by=["attributes.start_time DESC"])
    return str(runs[0].data.tags[WINNER_CONTENT]) if runs else ""


def find_registered(recipe: str) -> Any | None:
    """Return MLflow's registered model of ``recipe`` with its aliases and tags, None where nothing is registered.

    Raises:
        MlflowException: the registry cannot be asked.
    """
    client = MlflowClient()
    if not client.search_registered_models(f"name = '{recipe}'"):
        return None
    return client.get_registered_model(recipe)  # a search does not give the aliases


def load_version(version: Any) -> tuple[bytes, dict[str, Any], dict[str, bytes]]:
    """Return the ONNX file of a registered version, the metadata that was logged with it, and its attachments.

    Whether the file is the one that was registered is for `check_content` to say.

    Raises:
        DataError: what the version was registered with is gone, altered or names a file elsewhere.
    """
    folder = _download(version)
    try:
        model = mlflow.models.Model.load(str(folder))
        file, metadata = str(model.flavors["onnx"]["data"]), dict(model.metadata or {})
    except Exception as error:  # whatever YAML and MLflow make of a file that was altered
        what = f"{name_of(version)}: its file MLmodel cannot be read ({type(error).__name__}: {error})"
        raise DataError(f"{what}. {RESTORE}") from error
    content = _inside(folder, file, version)
    if not content.is_file():
        raise DataError(f"{name_of(version)}: its file {file} is gone. {RESTORE}")
    place = version.tags.get(ATTACHMENTS)
    return content.read_bytes(), metadata, _read_attachments(folder, place, version) if place else {}


def check_content(version: Any, onnx_file: bytes, encoder: Encoder) -> None:
    """Compare what was loaded of a registered ``version`` with the hash that it was registered with.

    Raises:
        DataError: it is something else, or there is no hash to compare with.
    """
    expected = version.tags.get(CONTENT)
    if expected is None:
        what = f"{name_of(version)} has no tag '{CONTENT}': nothing says what its model was when it was registered"
        raise DataError(f"{what}. Fix: choose another version, or remove its alias and run the recipe again.")
    if not has_content(expected, onnx_file, encoder):
        actual = hash_content(onnx_file, encoder)
        what = f"{name_of(version)}: its model file or encoder was altered since it was registered"
        raise DataError(f"{what}: their SHA-256 is {actual}, and was {expected}. {RESTORE}")


def name_of(version: Any) -> str:
    """Return how a registered ``version`` is called in an error."""
    return f"Version {version.version} of {version.name} in MLflow's registry"


def _download(version: Any) -> Path:
    """Return the folder with the files of ``version``: of a store on this machine the very place, else a copy."""
    try:
        return Path(mlflow.artifacts.download_artifacts(f"models:/{version.name}/{version.version}"))
    except OSError as error:
        raise DataError(f"{name_of(version)}: its files cannot be read ({error}). {RESTORE}") from error


def _inside(folder: Path, name: str, version: Any) -> Path:
    """Return the file ``name`` of ``folder``, which may not lead out of it."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise DataError(f"{name_of(version)}: it names the file {name}, which lies outside of {folder}. {RESTORE}")
    return path


def _read_attachments(folder: Path, place: str, version: Any) -> dict[str, bytes]:
    where = _inside(folder, place, version)
    for name in ATTACHMENT_FILES:
        _inside(folder, f"{place}/{name}", version)
    attachments = read_attachments(where)
    if not attachments:
        raise DataError(f"{name_of(version)} has lost its files in {place}. Fix: remove its tag '{ATTACHMENTS}'.")
    if _hash_attachments(attachments) != where.name:
        raise DataError(f"{name_of(version)}: a file in {place} was altered since it was registered. {RESTORE}")
    return attachments


def _hash_attachments(attachments: Mapping[str, bytes]) -> str:
    ordered = {name: attachments[name].hex() for name in ATTACHMENT_FILES if name in attachments}
    return hashlib.sha256(json.dumps(ordered).encode()).hexdigest()


def _data_set(source: CodeDatasetSource, name: str, sha256: str) -> MetaDataset:
    # MLflow keeps at most 36 characters of a digest.
    return MetaDataset(source, name=name, digest=sha256[:36])  # type: ignore[abstract]  # MLflow's own class
