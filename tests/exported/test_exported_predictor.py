"""The folder of `thresher export` answers as the service does, where nothing of Thresher can be imported."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.any_champion import make_champion
from helpers.any_modality import MODALITIES, TASKS, as_json, make_samples

from thresher.exported.encode_tabular import read_number
from thresher.exported.folder import ABOUT, write_export
from thresher.registry.champion_model import ChampionModel
from thresher.serving.core.bundle import Bundle, read_bundle

ALONE = """
import sys
BARRED = {"thresher", "torch", "kedro", "mlflow", "pydantic", "pandas", "pyarrow", "bentoml", "onnx", "sklearn"}

class Bar:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BARRED:
            raise ImportError(f"{name} is barred")

sys.meta_path.insert(0, Bar())
sys.path.insert(0, sys.argv[1])
import json
from predictor import Predictor

answers = []
for samples in json.load(open(sys.argv[2])):
    try:
        answers.append(Predictor().predict(samples))
    except ValueError as error:
        answers.append(str(error))
assert not BARRED & set(sys.modules)
print(json.dumps(answers))
"""


def ask_alone(bundle: Bundle, folder: Path, many: list[list[Any]]) -> list[Any]:
    """Return what a process without Thresher answers to each list of samples, or why it does not."""
    (folder / "export").mkdir(parents=True)
    write_export(bundle, folder / "export")
    (folder / "many.json").write_text(json.dumps(many))
    command = [sys.executable, "-c", ALONE, str(folder / "export"), str(folder / "many.json")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env={"PATH": ""})
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("modality", MODALITIES)
def test_answers_are_the_service_s(modality: str, task: str, tmp_path: Path) -> None:
    bundle = make_champion(modality, task)
    inputs = make_samples(modality, task, seed=3).inputs
    samples = [as_json(inputs, index) for index in range(40)]
    (answers,) = ask_alone(bundle, tmp_path / "folder", [samples])
    assert answers == json.loads(json.dumps(ChampionModel(bundle).predict(samples)))


@pytest.mark.parametrize("encoding", [{"size": (5, 9)}, {"channels": 3}], ids=["resized", "repeated"])
def test_pictures_are_prepared_as_the_recipe_has_it(encoding: dict[str, Any], tmp_path: Path) -> None:
    bundle = make_champion("image", "classification", **encoding)
    samples = [as_json(make_samples("image").inputs, index) for index in range(5)]
    (answers,) = ask_alone(bundle, tmp_path / "folder", [samples])
    assert answers == json.loads(json.dumps(ChampionModel(bundle).predict(samples)))


BAD: dict[str, list[Any]] = {
    "tabular": [
        {"age": 30, "job": "nurse"},
        {"age": 30, "job": "nurse", "hours": 1, "more": 2},
        {"age": 30, "job": "pilot", "hours": 1},
        {"age": 30, "job": "nurse", "hours": None},
        {"age": "x", "job": "nurse", "hours": 1},
        {"age": True, "job": "nurse", "hours": 1},
        {"age": 2**53 + 1, "job": "nurse", "hours": 1},
        {"age": 10**400, "job": "nurse", "hours": 1},
        {"age": 30, "job": "nurse", "hours": 1e300},
        {"age": 30, "job": ["nurse"], "hours": 1},
        {"age": 30, "job": {"a": "nurse"}, "hours": 1},
    ],
    "text": ["", 3, None, "\ud800"],
    "image": [
        [[1, 2], [3, 4]],
        [[0.5] * 6] * 8,
        [[256] * 6] * 8,
        [[-1] * 6] * 8,
        [[True] * 6] * 8,
        [[1] * 6] * 7 + [[1, 2, 3, 4, 5, False]],
        [["1"] * 6] * 8,
        [[None] * 6] * 8,
    ],
    "series": [
        [],
        [[1.0]],
        [[None, 1.0]],
        [[1e300, 1.0]],
        [[1.0, 2.0]] * 1000,
        [[True, 1.0]],
        [["1", 1.0]],
        [1.0, 2.0],
        [{}],
        [[10**400, 1]],
    ],
}


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_sample_that_the_service_refuses_is_refused(modality: str, tmp_path: Path) -> None:
    bundle = make_champion(modality, "classification")
    for sample in BAD[modality]:
        with pytest.raises(Exception, match=r"."):
            ChampionModel(bundle).predict([sample])
    answers = ask_alone(bundle, tmp_path / "folder", [[sample] for sample in BAD[modality]])
    assert [answer for answer in answers if not isinstance(answer, str)] == []


def test_a_number_or_date_that_is_none_is_told_by_its_column() -> None:
    days = "days since 1970-01-01 UTC"
    column: dict[str, Any] = {"name": "joined", "unit": days, "has_missing": False}
    assert read_number(column, " 1970-01-02 ") == 1 and read_number(column, "1970-01-02T12:00+12:00") == 1
    assert read_number(column | {"unit": "days since midnight"}, "06:00") == 0.25
    for value in ("1970-13-01", "soon", ""):
        with pytest.raises(ValueError, match=r"joined: .* is no date or time of ISO 8601"):
            read_number(column, value)
    with pytest.raises(ValueError, match="joined: no value, but training had no missing one here"):
        read_number(column, None)
    assert np.isnan(read_number(column | {"has_missing": True}, None))


@pytest.mark.parametrize("unseen", ["refuse", "other"])
def test_what_is_no_category_is_refused_by_the_service_and_the_export(unseen: str, tmp_path: Path) -> None:
    bundle = make_champion("tabular", "classification", unseen_categories=unseen)
    wrong = [[{"age": 30, "job": value, "hours": 1}] for value in (["nurse"], {"a": 1})]
    for samples in wrong:
        with pytest.raises(Exception, match="is no text"):
            ChampionModel(bundle).predict(samples)
    assert all("is no text" in answer for answer in ask_alone(bundle, tmp_path / "folder", wrong))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "Expecting value"),
        (b"\xff", "decode"),
        (b"[{}", "Expecting"),
        (b"3", "in a list"),
        (b"[[[NaN, 1.0]]]", "NaN is no JSON"),
        (b'[{"a": 1, "a": 2}]', "given twice"),
        (b"[]", "no samples"),
        (None, "No such file"),
    ],
)
def test_a_file_that_holds_no_samples_is_told_in_a_sentence(content: bytes | None, said: str, tmp_path: Path) -> None:
    write_export(make_champion("series", "classification"), tmp_path)
    given = tmp_path / "given.json"
    if content is not None:
        given.write_bytes(content)
    command = [sys.executable, str(tmp_path / "predictor.py"), str(given)]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": ""})
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_each_file_is_named_and_has_its_checksum(tmp_path: Path) -> None:
    bundle = make_champion("tabular", "classification")
    write_export(bundle, tmp_path)
    sums = dict(reversed(line.split("  ")) for line in (tmp_path / "SHA256SUMS").read_text().splitlines())
    files = {path.name for path in tmp_path.iterdir()} - {"SHA256SUMS"}
    assert sums == {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in files}
    readme = (tmp_path / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in files - {"README.md"})
    assert files - {"README.md"} <= set(ABOUT)
    assert read_bundle(tmp_path) == bundle
    answers = json.loads((tmp_path / "answers.json").read_text())
    (sample,) = json.loads((tmp_path / "samples.json").read_text())
    given = ChampionModel(bundle).predict([sample])[0]["probabilities"]
    np.testing.assert_array_equal(answers[0], list(given.values()))
