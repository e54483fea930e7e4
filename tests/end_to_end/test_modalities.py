"""Texts, rows and series go through the whole job: contract, candidates, verdict, Bento, and HTTP."""

from __future__ import annotations

import csv
import html
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest
from kedro_project import EXECUTABLES, Done, NewProject, Project, free_port
from sklearn.datasets import load_digits

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

QUICK = {"rounds": 10, "seconds": 0.05, "batch_sizes": [1, 8]}
EXECUTION = {"channels_last": True, "compile": False, "threads": 1}
LEAKS = {"column": "same_content_in_train", "mostly": 0.975, "row_condition": 'col("split") == "test"'}
TEXT: dict[str, Any] = {
    "task": "classification",
    "data": {
        "modality": "text",
        "train": "trec.train",
        "test": "trec.test",
        "encoding": {"tokenizer": "bpe", "vocabulary_size": 2000},
        "contract": [
            {"expect_column_values_to_be_between": {"column": "num_words", "min_value": 1, "max_value": 60}},
            # The published split has ten of its 500 test questions in train as well.
            {"expect_column_values_to_be_null": LEAKS},
        ],
    },
    "model": {"kind": "gru", "dimension": 32, "hidden": 32, "dropout": 0},
    "training": {"optimizer": {"kind": "adamw", "lr": 0.01}, "epochs": 2, "execution": EXECUTION},
    "candidates": {
        "sparse": [{"kind": "prune_weights", "sparsity": 0.5}, {"kind": "finetune", "epochs": 1}],
        "int8_dynamic": [{"kind": "quantize_dynamic"}],
    },
    "evaluation": QUICK,
    "selection": {"minimize": "size_bytes", "require": {"accuracy_drop": {"at_most": 0.2, "confidence": 0.9}}},
}
ROWS: dict[str, Any] = {
    "task": "regression",
    "data": {"modality": "tabular", "train": "diabetes.train", "test": "diabetes.test"},
    "model": {"kind": "mlp", "hidden": [32]},
    "training": {
        "optimizer": {"kind": "adam", "lr": 0.01},
        "epochs": 30,
        "batch_size": 32,
        "early_stopping": 10,
        "execution": EXECUTION,
    },
    "candidates": {
        "half": [{"kind": "prune_channels", "ratio": 0.5}, {"kind": "finetune", "epochs": 5}],
        "half_int8": {"from": "half", "steps": [{"kind": "quantize_static", "calibration_samples": 64}]},
    },
    "evaluation": QUICK,
    "selection": {"minimize": "macs", "require": {"rmse_increase": {"at_most": 20}}},
}
SERIES: dict[str, Any] = {
    "task": "classification",
    "data": {"modality": "series", "train": "strokes.train", "test": "strokes.test"},
    "model": {"kind": "cnn1d", "channels": [16, 32]},
    "training": {"optimizer": {"kind": "adam", "lr": 0.01}, "epochs": 4, "batch_size": 32, "execution": EXECUTION},
    "candidates": {"half": [{"kind": "prune_channels", "ratio": 0.5}, {"kind": "finetune", "epochs": 2}]},
    "evaluation": QUICK,
    "selection": {"minimize": "size_bytes", "require": {"accuracy_drop": {"at_most": 0.3}}},
}


@dataclass(frozen=True)
class Job:
    """A recipe that ran, and its service."""

    project: Project
    done: Done
    client: httpx.Client

    @property
    def verdict(self) -> Any:
        return self.project.read_json("08_reporting/small/verdict.json")

    def encoded_test(self) -> np.ndarray:
        return np.asarray(np.load(self.project.folder / "data/05_model_input/small/test_samples/inputs.npy"))

    def expected(self, name: str, inputs: np.ndarray) -> np.ndarray:
        """What the winner's evaluated file says to encoded ``inputs``."""
        file = self.project.folder / "data/06_models/small" / self.verdict["winner"] / "model.onnx"
        session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
        return np.asarray(session.run(None, {name: inputs})[0])

    def predict(self, document: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.client.post("/predict", json=document)
        assert answer.status_code == 200, answer.text
        predictions: list[dict[str, Any]] = answer.json()["predictions"]
        return predictions


def run_job(project: Project, recipe: dict[str, Any]) -> Iterator[Job]:
    project.write_recipe("small", recipe)
    done = project.run().succeeded()
    (tag,) = re.findall(r"is in the Bento (\S+)\. Go on", done.text)
    port = free_port()
    command = [str(EXECUTABLES / "bentoml"), "serve", tag, "--host", "127.0.0.1", "--port", str(port)]
    with project.server(command, port, "/readyz") as client:
        yield Job(project, done, client)


@pytest.fixture(scope="module")
def text(new_project: NewProject) -> Iterator[Job]:
    real = Path(os.environ.get("THRESHER_TEST_DATA", "")) / "trec"
    if "THRESHER_TEST_DATA" not in os.environ or not real.is_dir():
        pytest.skip("THRESHER_TEST_DATA names no folder with trec/ in it")
    project = new_project("text")
    project.command("thresher", "fetch", "trec", "--from", str(real)).succeeded()
    yield from run_job(project, TEXT)


@pytest.fixture(scope="module")
def rows(new_project: NewProject) -> Iterator[Job]:
    yield from run_job(new_project("rows"), ROWS)


@pytest.fixture(scope="module")
def series(new_project: NewProject) -> Iterator[Job]:
    project = new_project("series")
    write_strokes(project)
    yield from run_job(project, SERIES)


def strokes(split: slice) -> tuple[list[np.ndarray], np.ndarray]:
    """Return digits read column by column: 8 steps of 8 channels, fewer where the last columns are empty."""
    images, labels = load_digits(return_X_y=True)
    columns = [image.reshape(8, 8).T for image in images[split]]
    return [one[: max(np.flatnonzero(one.any(axis=1))) + 1] for one in columns], labels[split]


def write_strokes(project: Project) -> None:
    folder = project.folder / "data" / "01_raw" / "strokes"
    folder.mkdir(parents=True)
    entries = {}
    for name, split in (("train", slice(0, 1200)), ("test", slice(1200, None))):
        lines = ["@problemName strokes", "@univariate false", "@dimensions 8", "@equalLength false",
                 "@classLabel true 0 1 2 3 4 5 6 7 8 9", "@data"]  # fmt: skip
        for one, label in zip(*strokes(split), strict=True):
            lines.append(":".join([*(",".join(map(str, channel)) for channel in one.T), str(label)]))
        (folder / f"{name}.ts").write_text("\n".join(lines) + "\n")
        entries[f"strokes.{name}"] = {
            "type": "thresher.readers.TsSeries",
            "path": "data/01_raw/strokes",
            "file": f"{name}.ts",
        }
    project.write_configuration("base", "catalog_strokes", entries)


def test_a_text_is_classified_as_by_the_evaluated_file(text: Job) -> None:
    lines = (text.project.folder / "data/01_raw/trec/TREC.test.all").read_text("latin-1").splitlines()[:40]
    texts = [line.partition(" ")[2] for line in lines]
    predictions = text.predict({"texts": texts})
    encoded = text.encoded_test()[:40]
    given = [list(prediction["probabilities"].values()) for prediction in predictions]
    # Integers of a range that is found anew for each batch: in another batch the last digits are others.
    np.testing.assert_allclose(given, text.expected("tokens", encoded), atol=0.01)
    for index in range(8):
        (alone,) = text.predict({"text": texts[index]})
        expected = text.expected("tokens", encoded[index : index + 1])[0]
        np.testing.assert_allclose(list(alone["probabilities"].values()), expected, atol=1e-5)
    assert text.predict({"text": texts[0]})[0]["label"] == predictions[0]["label"]
    plain = text.client.post("/predict", content=texts[0], headers={"Content-Type": "text/plain"})
    assert plain.json()["predictions"][0]["label"] == predictions[0]["label"]
    names = ["description", "entity", "abbreviation", "human", "location", "number"]
    right = [names[int(line.partition(" ")[0])] == one["label"] for line, one in zip(lines, predictions, strict=True)]
    assert np.mean(right) > 0.6


def test_a_row_gets_a_value_in_the_label_s_own_unit(rows: Job) -> None:
    expected = rows.expected("row", rows.encoded_test())
    from thresher.readers import BundledTable

    samples = BundledTable(name="diabetes", split="test").load()
    table = [dict(zip(samples.inputs.columns, row, strict=True))
             for row in zip(*(column.tolist() for column in samples.inputs.columns.values()), strict=True)]  # fmt: skip
    values = np.array([prediction["value"] for prediction in rows.predict({"rows": table})])
    np.testing.assert_allclose(values, expected[:, 0], rtol=1e-4)
    errors = values - samples.labels
    evaluation = rows.project.read_json(f"08_reporting/small/{rows.verdict['winner']}/evaluation.json")
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(evaluation["quality"]["rmse"], rel=1e-4)
    assert 1 - np.mean(errors**2) / np.var(samples.labels) > 0.2


def test_a_series_of_any_length_is_classified_as_by_the_evaluated_file(series: Job) -> None:
    raw, labels = strokes(slice(1200, 1260))
    assert len({len(one) for one in raw}) > 1
    predictions = series.predict({"many_series": [one.tolist() for one in raw]})
    expected = series.expected("series", series.encoded_test()[:60])
    given = [list(prediction["probabilities"].values()) for prediction in predictions]
    np.testing.assert_allclose(given, expected, atol=1e-5)
    assert np.mean([one["label"] == str(label) for one, label in zip(predictions, labels, strict=True)]) > 0.6
    alone = series.predict({"series": raw[0].tolist()})[0]
    assert alone["label"] == predictions[0]["label"]


@pytest.mark.parametrize(
    ("name", "document", "says"),
    [
        ("text", {"text": "  "}, "text"),
        ("rows", {"row": {"age": 0.1}}, "bmi"),
        ("series", {"series": []}, "a list of 1 to 16 steps"),
    ],
)
def test_bad_input_is_refused_in_the_words_of_its_modality(
    name: str, document: dict[str, Any], says: str, request: pytest.FixtureRequest
) -> None:
    job: Job = request.getfixturevalue(name)
    answer = job.client.post("/predict", json=document)
    assert answer.status_code == 422 and says in answer.json()["error"]


@pytest.mark.parametrize("name", ["text", "rows", "series"])
def test_everything_that_a_person_looks_for_is_in_mlflow(name: str, request: pytest.FixtureRequest) -> None:
    job: Job = request.getfixturevalue(name)
    (run,) = job.project.mlflow_runs("small")
    assert run.info.status == "FINISHED"
    measured = "rmse" if name == "rows" else "accuracy"
    assert f"float.validation_{measured}" in run.data.metrics
    assert f"winner.{measured}" in run.data.metrics
    assert set(job.project.logged_models(run)) == {judged["candidate"] for judged in job.verdict["candidates"]}
    assert job.project.artifacts(run, "contract") >= {"index.html", "report.json"}
    assert job.project.champion_version("small") == "1"
    job.project.run().succeeded().ran_nothing()


ODD_NAMES = [
    "a/b:c", "50% <b>off</b> $x ${HOME} $PARAMETER", "d|e`f\"g'h\\", "\u00fc\u0130\u0131\u00df \U0001f600",
    "two\nlines", "=1+1", "..", "yes",
]  # fmt: skip
ODD_COLUMNS = ["cat $v__0 {x} %s", 'x" or 1==1', "\u00e4 \U0001f600"]


def write_odd_names(project: Project) -> None:
    folder = project.folder / "data" / "01_raw" / "odd"
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    with (folder / "t.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*ODD_COLUMNS, "klass"])
        for row in range(800):
            name, noise = ODD_NAMES[row % 8], random.random(2)
            writer.writerow([name, f"{row % 8 + noise[0] / 2:.5f}", f"{noise[1]:.5f}", name])
    entry = {"type": "thresher.readers.TableFile", "path": "data/01_raw/odd", "file": "t.csv", "label": "klass"}
    entry |= {"test_share": 0.3, "seed": 1}
    parts = {f"odd.{split}": {**entry, "split": split} for split in ("train", "test")}
    project.write_configuration("base", "catalog_odd", parts)


@pytest.mark.oddity(
    "Recipes and catalog", "names with / : % $ { } < > quotes, ends of lines and emoji", "shown as they are"
)
def test_case_17_special_names(new_project: NewProject) -> None:
    project = new_project("odd names")
    write_odd_names(project)
    recipe = {
        "task": "classification",
        "data": {"modality": "tabular", "train": "odd.train", "test": "odd.test"},
        "model": {"kind": "mlp", "hidden": [16]},
        "training": {"optimizer": {"kind": "adam", "lr": 0.01}, "epochs": 12, "batch_size": 32, "execution": EXECUTION},
        "candidates": {"int8_dynamic": [{"kind": "quantize_dynamic"}]},
        "evaluation": {**QUICK, "batch_sizes": [1]},
        "selection": {
            "minimize": "size_bytes",
            "require": {"accuracy_drop": {"at_most": 0.5}},
            "slices": {"by": ["label", ODD_COLUMNS[0]], "accuracy_drop": {"at_most": 0.5}},
        },
    }
    for job in run_job(project, recipe):
        rows = [dict(zip(ODD_COLUMNS, (name, place + 0.25, 0.5), strict=True)) for place, name in enumerate(ODD_NAMES)]
        answers = job.predict({"rows": rows})
        assert [answer["label"] for answer in answers] == ODD_NAMES
        assert list(answers[0]["probabilities"]) == sorted(ODD_NAMES)
        refused = job.client.post("/predict", json={"row": {**rows[0], ODD_COLUMNS[0]: "<b>"}})
        assert refused.status_code == 422 and ODD_COLUMNS[0] in refused.json()["error"]
        slices = repr(project.read_json("08_reporting/small/slices.json"))
        assert all(repr(name)[1:-1] in slices for name in [*ODD_NAMES, ODD_COLUMNS[0]])
        report = (project.folder / "data/08_reporting/small/report.html").read_text(encoding="utf-8")
        assert html.escape(ODD_NAMES[1]) in report and "<b>off</b>" not in report
        assert "$PARAMETER" in report and ODD_NAMES[3] in report and html.escape(ODD_COLUMNS[0]) in report
