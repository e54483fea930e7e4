"""What a node of evaluation or packaging depends on has the encoder of the recipe's modality in it, and no other."""

from __future__ import annotations

import pytest

from thresher.code_fingerprint.graph import CodeGraph


@pytest.fixture(scope="module")
def graph() -> CodeGraph:
    return CodeGraph()


@pytest.mark.parametrize("function", ["evaluate.nodes:predict_test", "package.nodes:challenge_champion"])
@pytest.mark.parametrize("kind", ["image", "text"])
def test_an_edited_encoder_is_noticed(function: str, kind: str, graph: CodeGraph) -> None:
    reached = graph.reach([f"thresher.pipelines.{function}"], {kind}).files
    assert {f"thresher/modalities/{kind}/encoder.py", f"thresher/modalities/{kind}/model_input.py"} <= reached.keys()
    if function.startswith("evaluate"):  # a champion's profile of its data knows all modalities
        assert "thresher/modalities/series/encoder.py" not in reached


def test_an_edit_of_the_program_that_measures_memory_is_noticed(graph: CodeGraph) -> None:
    reached = graph.reach(["thresher.pipelines.evaluate.nodes:evaluate_candidate"], {"image"}).files
    assert "thresher/evaluation/runtime.py" in reached
