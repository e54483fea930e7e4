"""The package in examples/plugin, installed as a user installs it."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from helpers.doc_blocks import BLOCK
from safetensors.torch import save as save_safetensors

from thresher.compression.apply import apply_steps
from thresher.compression.candidate import Candidate
from thresher.compression.data import CompressionData
from thresher.kinds.listing import list_kinds
from thresher.kinds.registry import PROJECT, read_registry, registry
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.outputs import ClassOutput
from thresher.models import ModelChoice
from thresher.models.imported.architecture import check_checkpoint
from thresher.models.imported.config import Checkpoint, ModelFile
from thresher.models.network import Network, NetworkSpec
from thresher.models.start import build_start
from thresher.recipe.reading import RecipeSource, check_recipe
from thresher.training import Training
from thresher.training.schedules import rate_factor


@pytest.fixture(scope="module")
def installed(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that pip has put it into."""
    folder = tmp_path_factory.mktemp("site-packages")
    flags = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    plugin = project / "examples" / "plugin"
    command = [sys.executable, "-m", "pip", "install", *flags, "--target", str(folder), str(plugin)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.fixture
def _in_use(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.setenv(PROJECT, str(tmp_path))
    read_registry.cache_clear()
    monkeypatch.setattr("thresher.kinds.registry.read_registry", read_registry.__wrapped__)


@pytest.mark.usefixtures("_in_use")
def test_its_kinds_are_listed_and_do_what_its_page_says(
    project: Path, trained: Network, compression_data: CompressionData
) -> None:
    lines = [line for line in list_kinds(registry()) if line.source == "package thresher-more-kinds 0.1.0"]
    assert [(line.group, line.name, line.about, line.problem) for line in lines] == [
        ("model", "efficientnet_lite0", "takes image", ""),
        ("technique", "clip_weights", "works on network", ""),
        ("schedule", "inverse_root", "", ""),
    ]
    page = (project / "examples" / "plugin" / "README.md").read_text(encoding="utf-8")
    (_, text), *_ = BLOCK.findall(page)
    written = yaml.safe_load(text)
    schedule = Training.model_validate(written["training"]).schedule
    assert [rate_factor(schedule, step, 101) for step in (10, 100)] == pytest.approx([1.0, 1 / 3], abs=0.02)
    candidate = Candidate.model_validate(written["candidates"]["clipped_int8"])
    clipped = apply_steps(candidate.network_steps[:1], trained, compression_data)
    for weight, before in zip(clipped.prunable_weights(), trained.prunable_weights(), strict=True):
        far = (before - before.mean()).abs() > 3 * before.std(correction=0)
        assert torch.equal(weight[~far], before[~far])
        assert bool((weight[far] != before[far]).all())
    assert sum(int((a != b).sum()) for a, b in zip(clipped.parameters(), trained.parameters(), strict=True)) > 0


PUBLISHED = {
    "stem.conv": "_conv_stem", "stem.norm": "_bn0", "head.conv": "_conv_head", "head.norm": "_bn1", "classify": "_fc",
    "expand.conv": "_expand_conv", "expand.norm": "_bn0", "depthwise.conv": "_depthwise_conv", "depthwise.norm": "_bn1",
    "project.conv": "_project_conv", "project.norm": "_bn2", "blocks": "_blocks",
}  # fmt: skip


def published_name(ours: str) -> str:
    """Return what the published file calls a tensor of the network."""
    for part, theirs in PUBLISHED.items():
        ours = re.sub(rf"(^|\.){re.escape(part)}\.", rf"\1{theirs}.", ours)
    return ours


@pytest.mark.usefixtures("_in_use")
def test_the_project_s_recipe_is_sound_and_takes_the_published_file(project: Path, tmp_path: Path) -> None:
    """The file as it is published: 1,000 classes, its own names, pictures of 96x96 pixels."""
    values = yaml.safe_load((project / "examples/plugin/pipelines/clothes_efficientnet.yml").read_text())
    check_recipe(RecipeSource("clothes_efficientnet", "pipelines/clothes_efficientnet.yml", values, {}))
    model = ModelChoice.model_validate(values["model"]).root
    assert isinstance(model, Checkpoint)
    image = ImageInput(channels=3, height=96, width=96, mean=(0.0,) * 3, std=(1.0,) * 3)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        whole = Network(NetworkSpec(model=model.network, input=image, output=ClassOutput(num_classes=1000))).body
        for module in whole.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-0.1, 0.1)  # type: ignore[union-attr]
    weights = {published_name(name): weight.contiguous() for name, weight in whole.state_dict().items()}
    assert len(weights) == 296 and weights["_blocks.15._bn2.running_var"].shape == (320,)
    file = ModelFile("model.safetensors", save_safetensors(weights))
    check_checkpoint(file, model, "image", "classification")
    begun = build_start(model, image, ClassOutput(num_classes=10), 1, file)
    assert begun.spec.input.mean == (127.0,) * 3  # type: ignore[union-attr]
    given = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        assert torch.equal(begun.body.eval().head(begun.body.blocks(begun.body.stem(given))),  # type: ignore[operator,union-attr]
                           whole.eval().head(whole.blocks(whole.stem(given))))  # type: ignore[operator,union-attr]  # fmt: skip
    assert begun.body(given).shape == (2, 10)


@pytest.mark.usefixtures("_in_use")
@pytest.mark.parametrize(("side", "kernel", "stride", "zeros"), [
    (96, 3, 2, (0, 1)), (95, 3, 2, (1, 1)), (6, 5, 2, (1, 2)), (12, 5, 1, (2, 2)), (3, 1, 1, (0, 0)),
])  # fmt: skip
def test_padding_is_tensorflow_s(side: int, kernel: int, stride: int, zeros: tuple[int, int]) -> None:
    network = importlib.import_module("more_kinds.efficientnet_lite.network")  # declared nowhere: a user's package

    assert network.same_padding(side, kernel, stride) == zeros


def test_its_project_packs_what_every_project_does(project: Path) -> None:
    own = project / "examples" / "plugin" / "bentofile.yaml"
    assert own.read_text(encoding="utf-8") == (project / "bentofile.yaml").read_text(encoding="utf-8")
