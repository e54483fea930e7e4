"""The Bento carries the versions installed here, and nothing of the training side."""

import ast
import json
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

import yaml

from thresher.modalities import encoder_classes
from thresher.serving.core.bundle import Bundle
from thresher.serving.image import container_image
from thresher.serving.requirements import REQUIREMENTS, pinned_packages

PROJECT = Path(__file__).parents[2]

CONFIG = yaml.safe_load((PROJECT / "bentofile.yaml").read_text())


def bento_imports() -> set[str]:
    """Return the top-level packages that the files in the Bento import when they run."""
    files = {path for pattern in CONFIG["include"] for path in PROJECT.glob(pattern) if path.suffix == ".py"}
    files -= {path for pattern in CONFIG["exclude"] for path in PROJECT.glob(pattern)}
    names: set[str] = set()
    for path in files:
        tree = ast.parse(path.read_text())
        typing_only = {id(inner) for node in ast.walk(tree) if is_type_checking(node) for inner in ast.walk(node)}
        for node in ast.walk(tree):
            if id(node) not in typing_only and isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            if id(node) not in typing_only and isinstance(node, ast.ImportFrom):
                names.add((node.module or "").split(".")[0])
    return names - sys.stdlib_module_names - {"thresher"}


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def test_pins_are_the_installed_versions() -> None:
    pins = dict(pin.split("==") for pin in pinned_packages(("pillow",)))
    assert pins == {name: version(name) for name in pins}
    assert {*REQUIREMENTS, "pillow"} - {"bentoml"} <= set(pins)
    assert "pillow" not in dict(pin.split("==") for pin in pinned_packages())
    assert not {"torch", "kedro", "mlflow", "pandas", "onnx", "scikit-learn", "scipy"} & set(pins)


def test_whatever_the_bento_imports_is_required() -> None:
    owners = packages_distributions()
    imported = bento_imports() - {"pydantic_core"}  # comes with pydantic
    of_encoders = {name for encoder in encoder_classes() for name in encoder.REQUIREMENTS}
    needed_by_bentoml = {"prometheus_client", "packaging", "opentelemetry-api", "opentelemetry-sdk"}
    required = {*REQUIREMENTS} | of_encoders | needed_by_bentoml
    assert [name for name in imported if not {owner.lower() for owner in owners[name]} & required] == []


def test_image_installs_no_system_package(bundle: Bundle) -> None:
    image = container_image(bundle.encoder, bundle.info)
    assert image.base_image == f"python:3.{sys.version_info.minor}-slim-bookworm"
    assert image.commands == []


def test_the_image_ends_with_a_stage_that_has_the_packages_alone(bundle: Bundle) -> None:
    (command,) = container_image(bundle.encoder, bundle.info).post_commands
    lines = command.split("\n")
    stage = lines[lines.index(f"FROM python:3.{sys.version_info.minor}-slim-bookworm") :]
    assert "COPY --from=base-container /app/.venv /app/.venv" in stage
    assert "EXPOSE 3000 3001 3002" in stage
    (check,) = [line for line in stage if line.startswith("HEALTHCHECK ")]
    command = json.loads(check.split(" CMD ")[1])
    assert command[:2] == ["python", "-P"] and (PROJECT / command[2]).name == "health_check.py"
    assert (PROJECT / command[2]).exists() and "COPY ./src ./src" in stage
    (label,) = [line for line in stage if line.startswith("LABEL ")]
    assert 'thresher.recipe="shapes"' in label
    assert f'org.opencontainers.image.revision="{bundle.info.git_commit}"' in label


def test_with_cuda_the_image_has_another_onnx_runtime(bundle: Bundle) -> None:
    packages = container_image(bundle.encoder, bundle.info, gpu=True).python_requirements.split()
    assert f"onnxruntime-gpu[cuda,cudnn]=={version('onnxruntime')}" in packages
    assert not [name for name in packages if name.startswith("onnxruntime==")]


def test_bento_reports_nothing_and_keeps_no_downloads() -> None:
    envs = {env["name"]: env["value"] for env in CONFIG["envs"]}
    assert envs["BENTOML_DO_NOT_TRACK"] == "true"
    assert envs["ORT_DISABLE_TELEMETRY"] == envs["UV_NO_CACHE"] == envs["PIP_NO_CACHE_DIR"] == "1"
