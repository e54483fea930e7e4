"""A candidate as a model of MLflow that takes raw input, by code of its own that needs nothing of Thresher."""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thresher.exported.code import write_package
from thresher.modalities.encoder import Encoder
from thresher.serving.core.bundle import MODEL_FILE

if TYPE_CHECKING:
    from mlflow.models import Model, ModelSignature

RUN_WITH = {"threads": 1, "max_batch_size": 64}
"""What the model runs with, where `mlflow.pyfunc.load_model` is given no `model_config`."""


class RawFlavor:
    """Writes the model's folder for `mlflow.models.Model.log`.

    Of its flavours `onnx` is MLflow's own, by which the registry and `mlflow.onnx` read the file; `python_function` is
    ours.
    """

    def save_model(self, path: str, mlflow_model: Model, *, onnx_file: bytes, encoder: Encoder, **_: Any) -> None:
        """Write ``onnx_file`` and its ``encoder`` into the folder ``path``, which is not there yet."""
        import mlflow
        import onnx

        with tempfile.TemporaryDirectory(prefix="thresher-") as code:
            package = write_package(Path(code), str(encoder.kind))
            mlflow.onnx.save_model(
                onnx.load_from_string(onnx_file),
                path,
                mlflow_model=mlflow_model,
                code_paths=[f"{code}/{package}"],
                signature=raw_signature(encoder),
                input_example=raw_example(encoder),
                pip_requirements=requirements(encoder),
                onnx_execution_providers=["CPUExecutionProvider"],
                save_as_external_data=False,
            )
        (Path(path) / MODEL_FILE).write_bytes(onnx_file)  # MLflow writes it anew; another exporter's bytes may differ
        there = mlflow_model.flavors["python_function"]
        mlflow.pyfunc.add_to_model(
            mlflow_model,
            loader_module=package,
            code=there["code"],
            conda_env=there["env"]["conda"],
            python_env=there["env"]["virtualenv"],
            model_config=RUN_WITH,
        )
        mlflow_model.save(f"{path}/MLmodel")


def raw_signature(encoder: Encoder) -> ModelSignature:
    """Return what the model takes and gives.

    Columns have no type: a whole number is taken for a float and a date for its day, as the service takes them, which
    MLflow's types would refuse.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType

    taken = [ColSpec(AnyType(), name) for name in raw_example(encoder).columns]
    classes = [ColSpec(DataType.double, f"probability_{name}") for name in encoder.class_names]
    labels = [ColSpec(DataType.string, "label"), ColSpec(DataType.long, "class_index")]
    given = [*labels, *classes] if classes else [ColSpec(DataType.double, "value")]
    return ModelSignature(inputs=Schema([*taken]), outputs=Schema([*given]))


def raw_example(encoder: Encoder) -> Any:
    """Return one sample as a DataFrame."""
    import pandas as pd

    sample = encoder.example()
    return pd.DataFrame([sample] if isinstance(sample, dict) else {encoder.NAMES[0]: [sample]})


def requirements(encoder: Encoder) -> list[str]:
    """Return the packages that the model needs besides MLflow, which has pandas, as they were tested."""
    return [f"{name}=={version(name)}" for name in ("onnx", "onnxruntime", "numpy", *encoder.REQUIREMENTS)]
