"""The package in examples/plugin, installed as a user installs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from helpers.doc_blocks import BLOCK

from thresher.compression.apply import apply_steps
from thresher.compression.candidate import Candidate
from thresher.compression.data import CompressionData
from thresher.kinds.listing import list_kinds
from thresher.kinds.registry import PROJECT, read_registry, registry
from thresher.models.network import Network
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
        ("model", "efficientnet_lite0", "image", ""),
        ("technique", "clip_weights", "works on network", ""),
        ("schedule", "inverse_root", "", ""),
    ]
    page = (project / "examples" / "plugin" / "README.md").read_text(encoding="utf-8")
    ((_, text),) = BLOCK.findall(page)
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
