"""The logged model takes raw input through MLflow alone, and answers as the service does."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
from helpers.any_champion import make_champion
from helpers.any_modality import MODALITIES, TASKS, as_json, make_samples
from helpers.tracking_server import answers, free_port

from thresher.modalities.decision import DECISION, DecisionRule, choose_classes
from thresher.onnx_graph import with_note
from thresher.registry.champion_model import ChampionModel
from thresher.serving.core.bundle import Bundle
from thresher.tracking.models import provide_candidate

ALONE = """
import sys
BARRED = {"thresher", "torch", "kedro", "bentoml", "pydantic_settings"}

class Bar:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BARRED:
            raise ImportError(f"{name} is barred")

sys.meta_path.insert(0, Bar())
import json, mlflow, pandas as pd
answers = []
for folder, samples in json.load(open(sys.argv[1])):
    loaded = mlflow.pyfunc.load_model(folder)
    column = loaded.metadata.signature.inputs.input_names()
    data = pd.DataFrame(samples) if isinstance(samples[0], dict) else pd.DataFrame({column[0]: samples})
    given = loaded.predict(data)
    assert loaded.metadata.signature.outputs.input_names() == list(given.columns)
    answers.append([given.to_dict("records"), loaded.predict(loaded.input_example).to_dict("records")])
assert not {name.partition(".")[0] for name in sys.modules} & BARRED
print(json.dumps(answers))
"""


def log_model(bundle: Bundle, folder: Path) -> Path:
    """Return the folder of the model that MLflow logged of ``bundle``."""
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    client = mlflow.MlflowClient()
    found = client.get_experiment_by_name("small")
    experiment = found.experiment_id if found else client.create_experiment("small", f"{folder.as_uri()}/artifacts")
    run = client.create_run(experiment).info.run_id
    model = provide_candidate("small", "half", bundle.onnx_bytes, bundle.encoder, run=run)
    return Path(mlflow.artifacts.download_artifacts(f"models:/{model}"))


def as_columns(predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the service's answers with a column for each probability."""
    flat = []
    for one in predictions:
        probabilities = {f"probability_{name}": value for name, value in one.get("probabilities", {}).items()}
        flat.append({name: value for name, value in one.items() if name != "probabilities"} | probabilities)
    return flat


@pytest.fixture
def small_store(tmp_path: Path, own_mlflow: None) -> Path:
    return tmp_path


def test_every_modality_takes_raw_input_where_thresher_and_torch_are_not(small_store: Path) -> None:
    asked, expected = [], []
    for modality in MODALITIES:
        for task in TASKS:
            bundle = make_champion(modality, task)
            samples = [as_json(make_samples(modality, task, seed=3).inputs, index) for index in range(40)]
            asked.append((str(log_model(bundle, small_store)), samples))
            own = bundle.encoder.example()
            expected.append([as_columns(ChampionModel(bundle).predict(many)) for many in (samples, [own])])
    (small_store / "asked.json").write_text(json.dumps(asked))
    command = [sys.executable, "-c", ALONE, str(small_store / "asked.json")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=small_store, env={"PATH": ""})
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) == expected


def test_what_it_needs_is_neither_thresher_nor_torch(small_store: Path) -> None:
    for modality in MODALITIES:
        folder = log_model(make_champion(modality, "classification"), small_store)
        named = (folder / "requirements.txt").read_text()
        assert {"mlflow", "numpy", "onnxruntime"} <= set(re.findall(r"^[\w-]+", named, re.MULTILINE))
        assert not re.search("torch|thresher", named + (folder / "conda.yaml").read_text())


def test_values_of_pandas_are_read_as_those_of_json(small_store: Path) -> None:
    bundle = make_champion("tabular", "classification")
    loaded = mlflow.pyfunc.load_model(str(log_model(bundle, small_store)))
    rows = [{"age": 30, "job": "nurse", "hours": 4}, {"age": 41, "job": "clerk", "hours": 2}]
    data = pd.DataFrame(rows)
    expected = as_columns(ChampionModel(bundle).predict(rows))
    shuffled = data.astype({"age": np.int8, "job": "category", "hours": "Int64"})[["hours", "job", "age"]]
    for given in (data, shuffled, data.set_index(pd.Index([7, 9]))):
        answered = loaded.predict(given)
        assert answered.to_dict("records") == expected and list(answered.index) == list(given.index)
    gaps = pd.DataFrame({"age": [np.nan, 41.0], "job": ["nurse", None], "hours": [4, 2]})
    known = [{"age": None, "job": "nurse", "hours": 4}, {"age": 41, "job": None, "hours": 2}]
    assert loaded.predict(gaps).to_dict("records") == as_columns(ChampionModel(bundle).predict(known))
    with pytest.raises(ValueError, match="hours: no value"):
        loaded.predict(data.assign(hours=[1.0, np.nan]))
    with pytest.raises(ValueError, match="'pilot' was not in the training"):
        loaded.predict(data.assign(job="pilot"))
    with pytest.raises(mlflow.MlflowException, match="missing inputs"):
        loaded.predict(data.drop(columns="age"))


def test_a_threshold_in_the_file_decides(small_store: Path) -> None:
    plain = make_champion("image", "classification")
    images = make_samples("image", seed=3).inputs[:, 0]
    outputs = np.array([[*one["probabilities"].values()] for one in ChampionModel(plain).predict(list(images))])
    index = (int(outputs[0].argmax()) + 1) % 3
    name = plain.encoder.class_names[index]
    rule = DecisionRule(class_name=name, class_index=index, threshold=float(np.median(outputs[:, index])))
    noted = with_note(plain.onnx_bytes, DECISION, rule.model_dump_json())
    bundle = replace(plain, onnx_bytes=noted, info=plain.info.model_copy(update={"decision": rule}))
    given = mlflow.pyfunc.load_model(str(log_model(bundle, small_store))).predict({"image": images})
    assert given["class_index"].tolist() == choose_classes(outputs.astype(np.float32), rule).tolist()
    assert given["class_index"].tolist() != outputs.argmax(axis=1).tolist()


def test_the_same_content_is_logged_once_and_one_that_took_tensors_again(small_store: Path) -> None:
    bundle = make_champion("image", "classification")
    first = log_model(bundle, small_store)
    assert log_model(bundle, small_store) == first
    assert (first / "model.onnx").read_bytes() == bundle.onnx_bytes
    mlflow.MlflowClient().delete_logged_model_tag(first.parent.name, "input")  # as it was before
    assert log_model(bundle, small_store) != first


@pytest.mark.slow
@pytest.mark.parametrize("modality", ["tabular", "image"])
def test_mlflow_models_serve_answers_raw_input(modality: str, small_store: Path) -> None:
    bundle = make_champion(modality, "classification")
    folder, port = log_model(bundle, small_store), free_port()
    samples = [as_json(make_samples(modality, seed=3).inputs, index) for index in range(8)]
    options = ["-m", str(folder), "-p", str(port), "--env-manager", "local"]
    # Its worker is whatever `python` the PATH has.
    where = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    log = small_store / "serve.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "models", "serve", *options],
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=small_store,
            env={"PATH": where},
        )
    try:
        deadline = time.monotonic() + 300
        while not answers(f"http://127.0.0.1:{port}/ping"):
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        rows = samples if modality == "tabular" else [{modality: sample} for sample in samples]
        asked = {"dataframe_records": rows}
        given = httpx.post(f"http://127.0.0.1:{port}/invocations", json=asked, timeout=60)
        assert given.json() == {"predictions": as_columns(ChampionModel(bundle).predict(samples))}, given.text
        wrong = {"dataframe_records": [{name: [1] for name in rows[0]}]}
        refused = httpx.post(f"http://127.0.0.1:{port}/invocations", json=wrong, timeout=60)
        assert refused.status_code == 400 and "stack_trace" not in refused.json(), refused.text
        assert " 0: " in refused.json()["message"] or "age: [1] is not a number" in refused.json()["message"]
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
