"""Dependencies by role: what a Bento pins and what the group `serve` of pyproject.toml names are the same packages."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from thresher.modalities import encoder_classes
from thresher.serving.requirements import REQUIREMENTS, pinned_packages

TRAINING = {
    "great-expectations", "kedro", "mlflow", "onnx", "pandas", "pyarrow", "scikit-learn", "scipy", "torch",
    "transformers",
}  # fmt: skip


def test_the_group_for_serving_is_what_a_bento_pins(project: Path) -> None:
    settings = tomllib.loads((project / "pyproject.toml").read_text())
    serve = settings["dependency-groups"]["serve"]
    of_encoders = {name for encoder in encoder_classes() for name in encoder.REQUIREMENTS}
    assert {Requirement(line).name for line in serve} == {*REQUIREMENTS, *of_encoders}
    assert set(serve) <= set(settings["project"]["dependencies"])  # with the same bounds; a run packs and serves, too


def test_serving_needs_nothing_of_the_training_side() -> None:
    of_encoders = tuple(sorted({name for encoder in encoder_classes() for name in encoder.REQUIREMENTS}))
    pinned = {pin.split("==")[0] for pin in pinned_packages(of_encoders)}
    assert not TRAINING & pinned
