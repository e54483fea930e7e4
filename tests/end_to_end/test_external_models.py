"""Models that were trained elsewhere go through the whole job: judged, compressed, packed, served, kept by content."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest
import torch
from kedro_project import EXECUTABLES, SMALL, NewProject, Project, free_port
from torch import nn

from thresher.readers import BundledDigits

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

ONNX_RECIPE: dict[str, Any] = {
    **copy.deepcopy(SMALL),
    "model": {"kind": "onnx", "path": "data/01_raw/theirs.onnx"},
    "candidates": {"int8": [{"kind": "quantize_static", "calibration_samples": 64}]},
}
CHECKPOINT_RECIPE: dict[str, Any] = {
    **copy.deepcopy(SMALL),
    "model": {"kind": "checkpoint", "architecture": "cnn", "channels": [8, 16], "hidden": 32,
              "path": "data/01_raw/theirs.pt", "mean": [0], "std": [1]},
    "candidates": {"half": [{"kind": "prune_channels", "ratio": 0.5}, {"kind": "finetune", "epochs": 2}]},
}  # fmt: skip


class Images:
    """The digits in 0..1, as somebody's own training had them."""

    def __init__(self) -> None:
        train, test = (BundledDigits(split=split).load() for split in ("train", "test"))
        self.train, self.train_labels = torch.from_numpy(train.inputs).float() / 255, torch.from_numpy(train.labels)
        self.test, self.test_labels = torch.from_numpy(test.inputs).float() / 255, test.labels


class ChannelsLast(nn.Module):
    """As TensorFlow has it: pixels with their channels last, and the probabilities in the graph."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, image_BHWC: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.body(image_BHWC.permute(0, 3, 1, 2)), dim=1)


@pytest.fixture(scope="module")
def images() -> Images:
    torch.set_num_threads(1)
    return Images()


@pytest.fixture(scope="module")
def network(images: Images) -> nn.Module:
    """A network that somebody trained without Thresher; it has the shape of its `cnn`."""
    from thresher.modalities.image.model_input import ImageInput
    from thresher.models.cnn import Cnn, build_cnn

    torch.manual_seed(1)
    given = ImageInput(channels=1, height=8, width=8, mean=(0,), std=(1,))
    body = build_cnn(Cnn(channels=(8, 16), hidden=32), given, 10)
    optimizer = torch.optim.Adam(body.parameters(), 0.005)
    for _ in range(6):
        for batch in torch.randperm(len(images.train)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(body(images.train[batch]), images.train_labels[batch]).backward()
            optimizer.step()
    return body.eval()


@pytest.fixture(scope="module")
def theirs(new_project: NewProject, network: nn.Module, images: Images) -> Project:
    """A project with an ONNX file for one sample a call."""
    project = new_project("external_onnx")
    write_onnx(project, network, images)
    project.write_recipe("small", ONNX_RECIPE)
    project.run().succeeded()
    return project


@pytest.fixture
def client(theirs: Project) -> Iterator[httpx.Client]:
    port = free_port()
    command = [str(EXECUTABLES / "bentoml"), "serve", "small:latest", "--host", "127.0.0.1", "--port", str(port)]
    with theirs.server(command, port, "/readyz") as client:
        yield client


def write_onnx(project: Project, network: nn.Module, images: Images) -> None:
    path = project.folder / "data" / "01_raw" / "theirs.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    example = images.test[:1].permute(0, 2, 3, 1)
    torch.onnx.export(ChannelsLast(network), (example,), str(path), dynamo=True, external_data=False, verbose=False)


def float_accuracy(project: Project) -> float:
    return float(project.read_json("08_reporting/small/float/evaluation.json")["quality"]["accuracy"])


def accuracy(network: nn.Module, images: Images) -> float:
    with torch.inference_mode():
        return float((network(images.test).argmax(1).numpy() == images.test_labels).mean())


def test_an_onnx_model_is_judged_quantized_packed_and_logged(
    theirs: Project, network: nn.Module, images: Images
) -> None:
    assert float_accuracy(theirs) == pytest.approx(accuracy(network, images), abs=1e-3)
    verdict = theirs.read_json("08_reporting/small/verdict.json")
    assert verdict["winner"] == "int8"
    (run,) = theirs.mlflow_runs("small")
    assert run.data.metrics["float.validation_accuracy"] > 0.8
    assert "imported.json" in theirs.artifacts(run, "training")
    assert set(theirs.logged_models(run)) == {"float", "int8"}
    card = (theirs.folder / "data/08_reporting/small/model_card.md").read_text()
    assert "Model onnx, from data/01_raw/theirs.onnx: it was not trained here" in card
    imported = theirs.read_json("06_models/small/imported.json")
    assert "float32 [1, 8, 8, 1]" in imported["takes"] and "probabilities" in imported["answers"]


def test_it_is_served_as_it_was_judged(theirs: Project, client: httpx.Client) -> None:
    raw = BundledDigits(split="test").load().inputs[:20]
    answer = client.post("/predict", json={"images": raw[:, 0].tolist()})
    assert answer.status_code == 200, answer.text
    given = [list(one["probabilities"].values()) for one in answer.json()["predictions"]]
    file = theirs.folder / "data/06_models/small/int8/model.onnx"
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(given, session.run(None, {"image": raw})[0], atol=1e-5)


def test_another_model_file_is_another_run_and_the_same_is_none(
    theirs: Project, network: nn.Module, images: Images
) -> None:
    theirs.plan()
    worse = copy.deepcopy(network)
    with torch.no_grad():
        worse[-1].bias[3] -= 30  # type: ignore[index]
    write_onnx(theirs, worse, images)
    done = theirs.run("--to-outputs", "small.float.evaluation").succeeded()
    assert "raw data changed: small.model_file: import_model" in done.text
    assert re.findall(r"✓ (\S+)", done.text) == ["import_model", "float.predict_test", "float.evaluate_float"]
    assert float_accuracy(theirs) == pytest.approx(accuracy(worse, images), abs=1e-3)
    assert accuracy(worse, images) < accuracy(network, images) - 0.05


def test_a_checkpoint_is_pruned_and_finetuned(new_project: NewProject, network: nn.Module, images: Images) -> None:
    project = new_project("external_checkpoint")
    path = project.folder / "data" / "01_raw" / "theirs.pt"
    path.parent.mkdir(parents=True)
    torch.save({"epoch": 6, "state_dict": nn.DataParallel(network).state_dict()}, path)
    project.write_recipe("small", CHECKPOINT_RECIPE)
    project.run().succeeded()
    assert float_accuracy(project) == pytest.approx(accuracy(network, images), abs=1e-3)
    cost = {name: project.read_json(f"08_reporting/small/{name}/evaluation.json")["cost"] for name in ("float", "half")}
    assert cost["half"]["num_parameters"] < 0.5 * cost["float"]["num_parameters"]
    assert cost["half"]["macs"] < 0.6 * cost["float"]["macs"]
    half = project.read_json("08_reporting/small/half/evaluation.json")["quality"]["accuracy"]
    assert half > 0.7
    assert project.read_json("08_reporting/small/verdict.json")["winner"] == "half"
    (run,) = project.mlflow_runs("small")
    assert any(name.startswith("half.") for name in run.data.metrics)
    imported = project.read_json("06_models/small/imported.json")
    assert imported["takes"] == "weights of a cnn, each name without module."


def test_a_checkpoint_is_trained_further_below_a_fresh_head(new_project: NewProject, network: nn.Module) -> None:
    """Weights for four classes are trained further for ten, pruned, finetuned, rounded to eight bits and judged."""
    project = new_project("external_further")
    path = project.folder / "data" / "01_raw" / "theirs.pt"
    path.parent.mkdir(parents=True)
    of_four = {name: weight[:4] if name.startswith("fc2") else weight for name, weight in network.state_dict().items()}
    torch.save(of_four, path)
    steps = [{"kind": "prune_channels", "ratio": 0.5}, {"kind": "finetune", "epochs": 2}, {"kind": "quantize_static"}]
    recipe = {
        **CHECKPOINT_RECIPE,
        "model": {**CHECKPOINT_RECIPE["model"], "train": True},
        "training": {**CHECKPOINT_RECIPE["training"], "epochs": 2},
        "candidates": {"half_int8": steps},
    }
    project.write_recipe("small", recipe)
    done = project.run().succeeded()
    assert "theirs.pt: weights of cnn; a fresh head of 10 outputs" in done.text
    assert float_accuracy(project) > 0.85
    judged = {name: project.read_json(f"08_reporting/small/{name}/evaluation.json") for name in ("float", "half_int8")}
    params = {name: each["cost"]["num_parameters"] for name, each in judged.items()}
    assert params["half_int8"] < 0.5 * params["float"]
    assert judged["half_int8"]["quality"]["accuracy"] > 0.6
    card = (project.folder / "data/08_reporting/small/model_card.md").read_text()
    assert "Model cnn, from data/01_raw/theirs.pt, its weights trained further, by " in card
    torch.save({name: weight * 1.01 for name, weight in of_four.items()}, path)
    assert "raw data changed: small.model_file" in project.plan().text
