"""A pretrained encoder of images goes through the whole job: trained further, cut, quantized, judged and packed."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from helpers.pretrained_images import write_image_folder
from kedro_project import SMALL, NewProject

from thresher.evaluation.runtime import open_session
from thresher.modalities import read_encoder
from thresher.readers import BundledDigits

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

RECIPE: dict[str, Any] = {
    **copy.deepcopy(SMALL),
    "model": {"kind": "pretrained", "path": "data/01_raw/theirs", "freeze": {"embeddings": True}, "layer_decay": 0.9},
    "candidates": {
        "half": [{"kind": "prune_channels", "ratio": 0.5}, {"kind": "finetune", "epochs": 1}],
        "int8": [{"kind": "quantize_static", "calibration_samples": 64}],
    },
}


def test_digits_are_learned_by_somebodys_resnet(new_project: NewProject) -> None:
    project = new_project("pretrained_images")
    write_image_folder(project.folder / "data" / "01_raw" / "theirs", "resnet")
    project.write_recipe("small", RECIPE)
    project.run().succeeded()
    evaluations = {
        name: project.read_json(f"08_reporting/small/{name}/evaluation.json") for name in ("float", "half", "int8")
    }
    accuracies = {name: each["quality"]["accuracy"] for name, each in evaluations.items()}
    assert all(accuracy > 0.4 for accuracy in accuracies.values()), accuracies
    assert project.read_json("08_reporting/small/verdict.json")["winner"] in evaluations
    card = (project.folder / "data/08_reporting/small/model_card.md").read_text()
    assert "Model pretrained, from data/01_raw/theirs, its weights trained further" in card
    # What is packed takes the digits of 8x8 pixels as they are, and makes of them what the network takes.
    encoder = read_encoder((project.folder / "data/04_feature/small/encoder.json").read_bytes())
    assert encoder.model_input.longest == (3, 32, 32)
    test = BundledDigits(split="test").load()
    session = open_session((project.folder / "data/06_models/small/int8/model.onnx").read_bytes(), 1)
    (given,) = session.run(None, {"image": encoder.encode(test.inputs)})
    assert float((given.argmax(1) == test.labels).mean()) == pytest.approx(accuracies["int8"], abs=1e-6)
    (bento,) = project.bentos("small")
    assert bento.is_dir()
