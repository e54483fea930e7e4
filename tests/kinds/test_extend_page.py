"""What docs/extend.md shows works as it stands: its kinds are trained, compressed and exported like ours."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml
from helpers.doc_blocks import blocks
from kedro.io import AbstractDataset, DatasetError
from onnx import numpy_helper

from thresher.catalog.classes import TypeRefusedError, find_class
from thresher.compression.apply import apply_steps
from thresher.compression.candidate import Candidate
from thresher.compression.data import CalibrationData, CompressionData
from thresher.config import KindConfig
from thresher.errors import CompressionError, RecipeError
from thresher.evaluation.cost import measure_cost
from thresher.evaluation.evaluation import Contender, evaluate
from thresher.evaluation.judge import judge
from thresher.evaluation.metrics import format_value, measure_metrics
from thresher.evaluation.own_metrics import measure_own_metrics
from thresher.evaluation.runtime import open_session, predict
from thresher.export import check_parity, export_onnx
from thresher.kinds.built_in import TECHNIQUES
from thresher.kinds.record import ModelKind, TechniqueKind
from thresher.kinds.registry import registry
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.outputs import ClassOutput
from thresher.models import ModelChoice
from thresher.models.network import Network, NetworkSpec
from thresher.models.storage import load_network, save_network
from thresher.recipe import Recipe, dump
from thresher.recipe.reading import RecipeSource, check_recipe
from thresher.training.loop import train

PAGE = "extend.md"


@pytest.fixture
def recipe(write_project: Callable[[dict[str, str]], Path]) -> Recipe:
    files = {}
    for text in blocks(PAGE, "python"):
        name, _, code = text.partition("\n")
        files[name.removeprefix("# src/")] = code
    write_project(files)
    written = yaml.safe_load(blocks(PAGE, "yaml")[0])
    return check_recipe(RecipeSource("acme", PAGE, written, {}))


def settings(kind: type[Any], name: str, **values: Any) -> KindConfig:
    config: KindConfig = registry().find(kind, name).config_class(**values)
    return config


def test_an_own_model_goes_the_whole_way(
    recipe: Recipe, digits: Any, grey: ImageInput, calibration_data: CalibrationData, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    network = Network(NetworkSpec(model=recipe.model, input=grey, output=ClassOutput(num_classes=10)))
    trained, _ = train(network, digits.training, digits.validation, recipe.training, "float")
    data = CompressionData("half", grey, digits.training, digits.validation, recipe.training)
    half = apply_steps(recipe.candidates["half"].network_steps, trained, data)
    assert (half.body.first.out_channels, half.body.last.out_channels) == (12, 12), "added: pruned alike"
    assert half.body.middle.out_channels == 12
    save_network(half, tmp_path / "half")
    again = load_network(tmp_path / "half")
    float_file = export_onnx(again)
    check_parity(half, float_file, digits.validation.inputs[:64])
    int8 = apply_steps(recipe.candidates["half_int8"].onnx_steps, float_file, calibration_data)
    answers = predict(open_session(int8, 1), digits.test.inputs, grey)
    assert (answers.argmax(1) == digits.test.labels).mean() > 0.8
    assert measure_cost(int8, grey).macs < 0.4 * measure_cost(export_onnx(trained), grey).macs


def test_an_own_technique_works_on_the_network(
    recipe: Recipe, trained: Network, compression_data: CompressionData
) -> None:
    step, _ = recipe.candidates["thresholded"].steps
    before = copy.deepcopy(trained.state_dict())
    sparse = apply_steps((step,), trained, compression_data)
    for weight, old in zip(sparse.prunable_weights(), trained.prunable_weights(), strict=True):
        assert not ((weight != 0) & (weight.abs() < 0.02)).any()
        assert 0 < int((weight == 0).sum()) == int((old.abs() < 0.02).sum())
    torch.testing.assert_close(trained.state_dict(), before, rtol=0, atol=0)
    none = settings(TechniqueKind, "prune_threshold", threshold=1e-12)
    with pytest.raises(CompressionError, match="candidate: prune_threshold finds no weight below 1e-12"):
        apply_steps((none,), trained, compression_data)


def test_an_own_technique_works_on_the_file(
    recipe: Recipe, float_onnx: bytes, calibration_data: CalibrationData, grey: ImageInput, digits: Any
) -> None:
    rounded = apply_steps(recipe.candidates["rounded"].onnx_steps, float_onnx, calibration_data)
    assert apply_steps(recipe.candidates["rounded"].onnx_steps, rounded, calibration_data) == rounded
    before, after = measure_cost(float_onnx, grey), measure_cost(rounded, grey)
    assert after.compressed_bytes < 0.4 * before.compressed_bytes
    assert after.macs == before.macs
    stored = [numpy_helper.to_array(tensor) for tensor in onnx.load_from_string(rounded).graph.initializer]
    assert max(len(np.unique(weights)) for weights in stored if weights.ndim > 1) <= 2 * 32 + 1
    answers = [predict(open_session(file, 1), digits.test.inputs, grey) for file in (float_onnx, rounded)]
    assert (answers[0].argmax(1) == answers[1].argmax(1)).mean() > 0.98


def test_own_kinds_are_checked_and_completed_like_ours(recipe: Recipe) -> None:
    assert ModelChoice.model_validate({"kind": "skip_net"}).root == settings(ModelKind, "skip_net")
    schema = Recipe.model_json_schema(by_alias=True)["$defs"]
    assert schema["SkipNet"]["properties"]["channels"]["description"] == "Of each convolution."
    assert "PruneThreshold" in schema and "RoundWeights" in schema
    with pytest.raises(ValueError, match=r"steps\.0\.prune_threshold\.threshold\n  Field required"):
        Candidate.model_validate([{"kind": "prune_threshold"}])


def test_an_own_metric_is_measured_and_may_be_required(
    recipe: Recipe, digits: Any, float_onnx: bytes, grey: ImageInput
) -> None:
    inputs, labels = digits.test.inputs, digits.test.labels
    outputs = predict(open_session(float_onnx, 1), inputs, grey)
    model = Contender(float_onnx, inputs, grey, "float", outputs)
    quick = recipe.evaluation.model_copy(update={"batch_sizes": (1,), "rounds": 10, "seconds": 0.1})
    found = evaluate(model, model, labels, quick, {})
    second = np.sort(outputs, axis=1)[:, -2]
    right = outputs[np.arange(len(labels)), labels] >= second
    metrics = measure_metrics(found, found, 0.95)
    interval = metrics["top_two_accuracy"]
    assert interval.value == found.own["top_two_accuracy"].value == pytest.approx(right.mean())
    assert interval.lower < interval.value <= interval.upper
    assert metrics["top_two_accuracy_drop"].upper == 0  # beside itself
    assert format_value("top_two_accuracy", 0.98765) == "0.9877"

    worse = np.where((np.arange(len(labels)) < 8)[:, None], outputs[:, ::-1], outputs)
    own = measure_own_metrics(["top_two_accuracy"], worse, outputs, labels)
    results = {"float": found, "half": found.model_copy(update={"candidate": "half", "own": own})}
    lost = own["top_two_accuracy"].reference - own["top_two_accuracy"].value

    def reason(metric: str, **bound: float) -> str:
        selection = {"minimize": "size_bytes", "require": {metric: {"confidence": 0.95, **bound}}}
        checked = check_recipe(RecipeSource("acme", PAGE, {**dump(recipe), "selection": selection}, {}))
        return judge("acme", results, checked.selection).of("half").reason

    assert lost > 0
    assert reason("top_two_accuracy_drop", at_most=lost).startswith(f"top_two_accuracy_drop {lost:.4g}, upper bound 0.")
    assert "top_two" not in reason("top_two_accuracy_drop", at_most=0.2)
    least = own["top_two_accuracy"].value
    assert reason("top_two_accuracy", at_least=least).startswith(f"top_two_accuracy {least:.4g}, lower bound 0.")
    assert "top_two" not in reason("top_two_accuracy", at_least=least - 0.2)


def test_an_own_metric_is_measured_where_a_bound_names_it_and_told_of_another_task(recipe: Recipe) -> None:
    values = {**dump(recipe), "evaluation": {}}
    assert check_recipe(RecipeSource("acme", PAGE, values, {})).measured_metrics == ("top_two_accuracy",)
    values = {**dump(recipe), "task": "regression"}
    with pytest.raises(RecipeError, match=r"evaluation.metrics: 'top_two_accuracy' is not measured in a regression"):
        check_recipe(RecipeSource("acme", PAGE, values, {}))
    values = {**dump(recipe), "evaluation": {"metrics": ["top_too_accuracy"]}}
    with pytest.raises(RecipeError, match=r"'top_too_accuracy' is not allowed\n    Did you mean 'top_two_accuracy'\?"):
        check_recipe(RecipeSource("acme", PAGE, values, {}))


def test_a_metric_that_is_no_number_fails_in_words(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acme.top_two.top_two_accuracy", lambda outputs, labels: None)
    with pytest.raises(CompressionError, match="The metric top_two_accuracy is None, where"):
        measure_own_metrics(("top_two_accuracy",), np.eye(2), np.eye(2), np.array([0, 1]))


def test_an_own_reader_is_named_in_the_catalog_and_checked(recipe: Recipe, tmp_path: Path) -> None:
    ((name, entry),) = yaml.safe_load(blocks(PAGE, "yaml")[1]).items()
    file = tmp_path / "reviews.txt"
    file.write_text("a fine day\tgood\nso\tlong\tbad\n")
    samples = AbstractDataset.from_config(name, {**entry, "path": str(tmp_path)}).load()
    assert list(samples.inputs) == ["a fine day", "so\tlong"]
    assert (samples.labels.tolist(), samples.class_names) == ([1, 0], ("bad", "good"))
    assert find_class(entry["type"], tmp_path).modality == "text"  # type: ignore[attr-defined]
    file.write_text("a fine day\tgod\n")
    with pytest.raises(DatasetError, match=r"reviews\.txt:1: label 'god'\. Fix: write one of bad, good"):
        AbstractDataset.from_config(name, {**entry, "path": str(tmp_path)}).load()
    with pytest.raises(TypeRefusedError, match=r"Did you mean 'thresher.readers.TabbedTexts'\?"):
        find_class("thresher.readers.TabedTexts", tmp_path)


def test_every_technique_has_its_row_in_the_docs(project: Path) -> None:
    page = (project / "docs/compression.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (network|file) \|", page, re.MULTILINE))
    assert rows == {kind.name: kind.works_on for kind in TECHNIQUES}
