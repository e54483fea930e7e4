"""Candidates as MLflow's logged models, and the champion in its registry."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stderr
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, LoggedModelOutput, LoggedModelStatus

from thresher.errors import DataError
from thresher.evaluation.metrics import CONFIDENCE, LOSS, measure_metrics
from thresher.modalities.encoder import Encoder
from thresher.modalities.outputs import ClassOutput, ValueOutput
from thresher.serving.bundle import hash_content, read_attachments, write_attachments
from thresher.tracking.history import CHAMPION, RUN, Alias, move_alias
from thresher.tracking.run import run_id

if TYPE_CHECKING:
    from thresher.evaluation.evaluation import Evaluation
    from thresher.modalities.fingerprint import DataFingerprint

# MLflow copies onto a new model whatever its run has logged at the model's step, other candidates' figures too; at
# this step nothing is ever logged.
MODEL_STEP = -1
RECIPE, CANDIDATE, ENCODER, CONTENT = "recipe", "candidate", "encoder", "content_sha256"
ATTACHMENTS = "attachments"


def data_sets(recipe: str, fingerprint: DataFingerprint) -> dict[str, MetaDataset]:
    """Return both splits as MLflow shows them, by the context they are used in."""
    source = CodeDatasetSource(tags={"mlflow.source.name": f"catalog entries of recipe {recipe}"})
    return {
        "training": _data_set(source, f"{recipe}.train", fingerprint.train_sha256),
        "evaluation": _data_set(source, f"{recipe}.test", fingerprint.test_sha256),
    }


def as_input(data_set: MetaDataset, context: str) -> DatasetInput:
    """Return ``data_set`` as an input of the run, used as ``context`` says."""
    return DatasetInput(data_set._to_mlflow_entity(), [InputTag(key="mlflow.data.context", value=context)])


def provide_candidate(recipe: str, candidate: str, onnx_file: bytes, encoder: Encoder) -> str:
    """Return the id of the logged model with this very content, among the outputs of the run.

    A model that an earlier run has logged is linked and not logged again: it leads to the run that made it.
    """
    content = hash_content(onnx_file, encoder)
    found = _find_candidate(candidate, content)
    if found is None:
        return _log_candidate(recipe, candidate, onnx_file, encoder, content)
    _link(found.model_id)
    return str(found.model_id)


def _log_candidate(recipe: str, candidate: str, onnx_file: bytes, encoder: Encoder, content: str) -> str:
    """Log a candidate's ONNX file with signature and input example as a model of the run; return the model's id."""
    import onnx
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    taken, given = encoder.model_input, ClassOutput if encoder.class_names else ValueOutput
    shape = tuple(-1 if size is None else size for size in taken.shape)
    signature = ModelSignature(
        inputs=Schema([TensorSpec(taken.dtype, (-1, *shape), taken.name)]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, len(encoder.class_names) or 1), given.name)]),
    )
    # Made by the client with the run's id: a thread or a worker process has no active run of MLflow's own.
    client = MlflowClient()
    tags = {RECIPE: recipe, CANDIDATE: candidate, CONTENT: content}
    experiment = client.get_run(run_id()).info.experiment_id
    model = client.create_logged_model(experiment, name=candidate, source_run_id=run_id(), tags=tags)
    mlflow.onnx.log_model(
        onnx.load_from_string(onnx_file),
        model_id=model.model_id,
        step=MODEL_STEP,
        signature=signature,
        input_example={taken.name: taken.example(1)},
        pip_requirements=[f"{name}=={version(name)}" for name in ("onnx", "onnxruntime", "numpy")],
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
        metadata={**tags, ENCODER: json.loads(encoder.model_dump_json())},
    )
    _link(model.model_id)
    return str(model.model_id)


def _find_candidate(candidate: str, content: str) -> Any | None:
    """Return the newest model of the experiment that was logged whole for ``candidate`` and ``content``."""
    run = MlflowClient().get_run(run_id())
    models = mlflow.search_logged_models(
        experiment_ids=[run.info.experiment_id],
        filter_string=f"name = '{candidate}' AND tags.{CONTENT} = '{content}'",
        order_by=[{"field_name": "creation_timestamp", "ascending": False}],
        output_format="list",
    )
    # One whose upload was cut off stays pending; MLflow's filter does not know that attribute.
    return next((model for model in models if model.status == LoggedModelStatus.READY), None)


def _link(model_id: str) -> None:
    """Put the model among the outputs of the run, once."""
    client = MlflowClient()
    outputs = client.get_run(run_id()).outputs
    if model_id not in {output.model_id for output in (outputs.model_outputs if outputs else ())}:
        client.log_outputs(run_id(), [LoggedModelOutput(model_id, MODEL_STEP)])


def log_evaluation(model_id: str, evaluation: Evaluation, baseline: Evaluation, data_set: Any) -> None:
    """Link the candidate's metrics to its model and to the test data, so that the Models tab compares them."""
    metrics = measure_metrics(evaluation, baseline, CONFIDENCE)
    values = {name: interval.value for name, interval in metrics.items()}
    loss = LOSS[evaluation.quality.kind]
    values[f"{loss}_upper"] = metrics[loss].upper
    mlflow.log_metrics(values, run_id=run_id(), model_id=model_id, dataset=data_set)


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
    digest = hashlib.sha256(json.dumps({name: content.hex() for name, content in attachments.items()}).encode())
    place = f"{ATTACHMENTS}/{digest.hexdigest()}"
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

    Raises:
        DataError: the version has attachments that are gone.
    """
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{version.name}/{version.version}"))
    model = mlflow.models.Model.load(str(folder))
    place = version.tags.get(ATTACHMENTS)
    attachments = read_attachments(folder / place) if place else {}
    if place and not attachments:
        raise DataError(
            f"Version {version.version} of {version.name} in MLflow's registry has lost its files in {place}. "
            f"Fix: take the tag '{ATTACHMENTS}' from that version."
        )
    return (folder / model.flavors["onnx"]["data"]).read_bytes(), dict(model.metadata or {}), attachments


def _data_set(source: CodeDatasetSource, name: str, sha256: str) -> MetaDataset:
    # MLflow keeps at most 36 characters of a digest.
    return MetaDataset(source, name=name, digest=sha256[:36])  # type: ignore[abstract]  # MLflow's own class
