"""Calibrated probabilities and a threshold: what is judged, packed and served, without another training."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from kedro_project import TINY, Done, NewProject, Project
from sklearn.metrics import recall_score

from thresher.evaluation.decision import read_rule
from thresher.evaluation.runtime import open_session
from thresher.modalities.decision import choose_classes
from thresher.readers import BundledDigits

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

PLAIN: dict[str, Any] = {**TINY, "candidates": {"half": TINY["candidates"]["half"]}}
EIGHT = 8
DECIDED = {
    **PLAIN,
    "calibrate": "temperature",
    "decision": {"class": str(EIGHT), "choose": {"kind": "cost", "missed": 10, "false_alarm": 1}},
}
ANSWERS = ("calibrate_onnx", "decide_onnx", "predict_test")
EVALUATED = {"float.evaluate_float", "half.evaluate_candidate"}
JUDGED = {"count_classes", "compare_baseline", "judge_candidates", "draw_verdict", "write_reports"}
PACKED = {"challenge_champion", "crown_champion", "build_champion_bento"}


@dataclass(frozen=True)
class Decided:
    """A run, and another after `calibrate` and `decision` were added to its recipe."""

    project: Project
    before: dict[str, Any]
    done: Done

    def file(self, candidate: str) -> bytes:
        return (self.project.folder / f"data/06_models/small/{candidate}/decided.onnx").read_bytes()


@pytest.fixture(scope="module")
def decided(new_project: NewProject) -> Decided:
    project = new_project("decided")
    project.write_recipe("small", PLAIN)
    project.run().succeeded()
    before = project.read_json("08_reporting/small/verdict.json")
    project.write_recipe("small", DECIDED)
    return Decided(project, before, project.run().succeeded())


def figure(verdict: dict[str, Any], candidate: str, metric: str) -> float:
    (found,) = [each for each in verdict["candidates"] if each["candidate"] == candidate]
    return float(found["metrics"][metric]["value"])


def test_adding_them_trains_compresses_and_exports_nothing(decided: Decided) -> None:
    answers = {f"{name}.{node}" for name in ("float", "half") for node in ANSWERS}
    decided.done.ran(*answers, *EVALUATED, *JUDGED, *PACKED)


def test_what_is_judged_are_calibrated_probabilities_and_decided_classes(decided: Decided) -> None:
    after = decided.project.read_json("08_reporting/small/verdict.json")
    test = BundledDigits(split="test").load()
    for candidate in ("float", "half"):
        report = decided.project.read_json(f"08_reporting/small/{candidate}/calibration.json")
        assert report["temperature"] != 1 and report["log_loss"][1] < report["log_loss"][0]
        outputs = np.load(decided.project.folder / f"data/07_model_output/small/{candidate}/predictions.npy")
        rule = read_rule(decided.file(candidate))
        assert rule is not None and rule.class_name == str(EIGHT)
        classes, likeliest = choose_classes(outputs, rule), outputs.argmax(axis=1)
        assert figure(after, candidate, "accuracy") == pytest.approx((classes == test.labels).mean())
        assert figure(decided.before, candidate, "accuracy") == pytest.approx((likeliest == test.labels).mean())
        recalls = [recall_score(test.labels == EIGHT, each == EIGHT) for each in (classes, likeliest)]
        assert figure(after, candidate, f"recall[{EIGHT}]") == pytest.approx(recalls[0])
        assert recalls[0] > recalls[1]  # missing one costs ten false alarms
        missed, alarms = (test.labels == EIGHT) & (classes != EIGHT), (test.labels != EIGHT) & (classes == EIGHT)
        cost = (10 * missed + alarms).mean()
        assert figure(after, candidate, f"cost[{EIGHT}:10:1]") == pytest.approx(cost)
    page = (decided.project.folder / "data/08_reporting/small/report.html").read_text()
    assert "half before calibration" in page and "chosen for the least cost, 10 for a missed one" in page


def test_a_champion_with_other_answers_is_replaced_and_the_new_one_answers_as_its_file_does(decided: Decided) -> None:
    project, file = decided.project, decided.file("half")
    challenge = project.read_json("08_reporting/small/challenge.json")
    assert challenge["replaces"] and challenge["reason"].startswith("the champion is not calibrated")
    images = BundledDigits(split="test").load().inputs[:200]
    given = project.folder / "some.json"
    given.write_text(json.dumps({"images": images[:, 0].tolist()}))
    expected = open_session(file, 1).run(None, {"image": images})[0]
    rule = read_rule(file)
    classes = choose_classes(expected, rule)
    assert (classes != expected.argmax(axis=1)).any()
    done = project.command("thresher", "predict", "small", str(given)).succeeded()
    answers = json.loads(done.text[done.text.index("{") : done.text.rindex("}") + 1])["predictions"]
    assert [answer["class_index"] for answer in answers] == classes.tolist()
    probabilities = np.array([list(answer["probabilities"].values()) for answer in answers], np.float32)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-6)

    folder = project.folder / "exported"
    project.command("thresher", "export", "small", str(folder)).succeeded()
    (folder / "samples.json").write_text(json.dumps(images[:, 0].tolist()))
    command = [sys.executable, "predictor.py", "samples.json"]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout)
    assert [answer["class_index"] for answer in told] == classes.tolist()
