"""What a node of evaluation or packaging depends on has the encoder of the recipe's modality in it, and no other."""

from __future__ import annotations

import pytest

from thresher.code_fingerprint.graph import CodeGraph
from thresher.code_fingerprint.kinds import find_kinds
from thresher.kinds.record import ModalityKind


@pytest.fixture(scope="module")
def graph() -> CodeGraph:
    return CodeGraph()


@pytest.mark.parametrize("function", ["evaluate.nodes:predict_test", "package.nodes:challenge_champion"])
@pytest.mark.parametrize("kind", ["image", "text"])
def test_an_edited_encoder_is_noticed(function: str, kind: str, graph: CodeGraph) -> None:
    reached = graph.reach([f"thresher.pipelines.{function}"], {kind}, find_kinds({kind})).files
    assert {f"thresher/modalities/{kind}/encoder.py", f"thresher/modalities/{kind}/model_input.py"} <= reached.keys()
    assert "thresher/modalities/series/encoder.py" not in reached


@pytest.mark.parametrize(("function", "parts"), [
    ("contract.nodes:describe_samples", {"description"}),
    ("train.nodes:train_float", {"input_transform"}),
    ("package.nodes:build_champion_bento", {"service"}),
])  # fmt: skip
def test_a_part_of_a_modality_counts_where_it_is_loaded(function: str, parts: set[str], graph: CodeGraph) -> None:
    reached = graph.reach([f"thresher.pipelines.{function}"], {"text"}, find_kinds({"text"})).files
    assert {part for part in ModalityKind.loaded_by if f"thresher/modalities/text/{part}.py" in reached} == parts


def test_an_edit_of_the_program_that_measures_memory_is_noticed(graph: CodeGraph) -> None:
    reached = graph.reach(["thresher.pipelines.evaluate.nodes:evaluate_candidate"], {"image"}).files
    assert "thresher/evaluation/runtime.py" in reached
