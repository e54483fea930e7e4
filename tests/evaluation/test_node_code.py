"""What a node of evaluation or packaging depends on has the encoder of the recipe's modality in it, and no other."""

from __future__ import annotations

import pytest

from thresher.reach.index import CodeIndex


@pytest.fixture(scope="module")
def index() -> CodeIndex:
    return CodeIndex()


@pytest.mark.parametrize("function", ["evaluate.nodes.predict_test", "package.nodes.challenge_champion"])
@pytest.mark.parametrize(("kind", "encoder", "taken"), [
    ("image", "image.encoder.ImageEncoder", "image.model_input.ImageInput"),
    ("text", "text.encoder.TextEncoder", "text.model_input.TextInput"),
])  # fmt: skip
def test_an_edited_encoder_is_noticed(function: str, kind: str, encoder: str, taken: str, index: CodeIndex) -> None:
    reached = index.reach([f"thresher.pipelines.{function}"], frozenset({kind, "classification"})).definitions
    assert {f"thresher.modalities.{encoder}", f"thresher.modalities.{taken}"} <= reached.keys()
    assert "thresher.modalities.tabular.encoder.TabularEncoder" not in reached


def test_an_edit_of_the_program_that_measures_memory_is_noticed(index: CodeIndex) -> None:
    reached = index.reach(["thresher.pipelines.evaluate.nodes.evaluate_candidate"], frozenset({"image"})).definitions
    assert {f"thresher.evaluation.runtime.{name}" for name in ("run_for_memory", "_peak_bytes")} <= reached.keys()
