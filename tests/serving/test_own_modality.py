"""A modality from elsewhere is a folder and its record: it is checked, described, trained, exported and served."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tiny_service import Caller, make_info

from thresher import modalities
from thresher.catalog.columns import sample_columns
from thresher.contracts.built_in import plan_built_in
from thresher.export import check_parity, export_onnx
from thresher.kinds.registry import PROJECT
from thresher.modalities.description import describe
from thresher.modalities.outputs import output_of
from thresher.modalities.samples import Samples
from thresher.models.mlp import Mlp
from thresher.models.network import Network, NetworkSpec
from thresher.recipe import Data
from thresher.recipe.partial import read_partial
from thresher.recipe.rules import find_problems
from thresher.serving.core.bundle import Bundle
from thresher.serving.monitoring.profile import make_profile
from thresher.training import Training
from thresher.training.loop import train
from thresher.training.optimizers import Adam

DATA = {"modality": "vector", "train": "a", "test": "b"}
SIZE = 6


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").write_text('[tool.thresher]\nkinds = "helpers.vector"\n')
    monkeypatch.setenv(PROJECT, str(tmp_path))
    return tmp_path


def make_vectors() -> Samples:
    """Return vectors whose first number tells the class."""
    inputs = np.random.default_rng(0).normal(size=(400, SIZE))
    return Samples(inputs, (inputs[:, 0] > 0).astype(np.int64), ("negative", "positive"))


def test_a_recipe_may_name_it_with_the_models_that_its_record_names() -> None:
    assert Data.model_validate(DATA).encoding.kind == "vector"
    recipe = {"task": "classification", "data": DATA, "model": {"kind": "mlp"}}
    assert list(find_problems(read_partial(recipe))) == []
    ((place, what, fix),) = find_problems(read_partial(recipe | {"model": {"kind": "lenet"}}))
    assert (place, what) == (("model", "kind"), "model lenet takes image, and data.modality is vector")
    assert "linear, mlp" in fix
    assert "norm" in (sample_columns(recipe, ()) or set())


def test_it_is_described_trained_exported_and_served() -> None:
    samples, encoding = make_vectors(), Data.model_validate(DATA).encoding
    table = describe(samples, "train", encoding)
    assert "No vector is long." in [check.description for check in plan_built_in(table, ("a", "b"), encoding, False)]
    fitted = modalities.fit_encoder(samples, encoding)
    encoder = modalities.read_encoder(fitted.model_dump_json())
    assert encoder == fitted

    encoded = modalities.encode(encoder, samples)
    training, rest = encoded.take(np.arange(300)), encoded.take(np.arange(300, 400))
    spec = NetworkSpec(model=Mlp(hidden=(16,)), input=encoder.model_input, output=output_of(training))
    stored = NetworkSpec.model_validate_json(spec.model_dump_json())
    network, _ = train(Network(stored), training, rest, Training(optimizer=Adam(lr=0.01), epochs=30), "float")
    onnx_file = export_onnx(network)
    check_parity(network, onnx_file, rest.inputs)
    (probabilities,) = onnxruntime.InferenceSession(onnx_file).run(None, {"vector": rest.inputs})
    assert (probabilities.argmax(axis=1) == rest.labels).mean() > 0.9

    caller = Caller(Bundle(onnx_file, encoder, make_info()))
    answer = caller("POST", "/predict", json={"vector": [3.0, *[0.0] * (SIZE - 1)]}).json()
    assert answer["predictions"][0]["label"] == "positive"
    assert caller("POST", "/predict", json={"vector": [1.0]}).json()["error"] == "Expected a list of 6 numbers."
    importance = caller("POST", "/explain", json={"vector": [3.0] * SIZE}).json()["importance"]
    assert int(np.argmax(importance)) == 0
    assert caller("GET", "/ui/model.json").json()["sample"] == [0.0] * SIZE
    assert "createInput" in caller("GET", "/ui/widget.js").text
    assert make_profile(encoder, training.inputs, training.labels).features[0].name == "norm"
    caller.runner.close()


def test_what_serves_it_needs_no_torch(project: Path) -> None:
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from thresher.modalities import read_encoder
from thresher.modalities.service import service_of
service_of(read_encoder('{{"kind": "vector", "size": 3, "class_names": []}}'))
assert not {{"torch", "pandas"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
