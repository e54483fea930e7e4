"""What judges Thresher's files and other tools' files in one run, and the table that it writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from helpers.benchmark_scripts import import_scripts
from helpers.tiny_onnx import make_sum_onnx

from thresher.compression.candidate import Candidate
from thresher.evaluation import Measurement
from thresher.evaluation.quality import measure_quality
from thresher.evaluation.statistics import Interval

if TYPE_CHECKING:
    from conftest import Digits

    from thresher.modalities.image.model_input import ImageInput

SIZES = (1, 32)


@pytest.fixture(scope="module")
def benchmarks(project: Path) -> dict[str, ModuleType]:
    return import_scripts(project, task="peer_task", judging="side_by_side")


@pytest.fixture(scope="module")
def judging(benchmarks: dict[str, ModuleType]) -> ModuleType:
    return benchmarks["judging"]


def make_point(judging: ModuleType, name: str, size: int, ms: float, drop: float = 0.0, wrong: int = 0):  # type: ignore[no-untyped-def]
    labels = np.zeros(100, np.int64)
    right = np.tile([1.0, 0.0], (100, 1))
    outputs = right.copy()
    outputs[:wrong] = [0.0, 1.0]
    loss = Interval(value=drop, lower=drop, upper=drop + 0.001, confidence=0.95)
    noise = 1 + 0.05 * np.random.default_rng(len(name)).standard_normal(40)
    medians = {batch: ms * batch * noise for batch in SIZES}
    tool = "Thresher" if name.startswith("ours") else "NNCF"
    return judging.Point(name, tool, size, measure_quality(outputs, right, labels), loss, medians)


def test_real_files_are_judged_as_they_are_and_what_does_not_run_is_said(
    judging: ModuleType, float_onnx: bytes, digits: Digits, grey: ImageInput
) -> None:
    padded = onnx.load_from_string(float_onnx)
    padded.metadata_props.add(key="padding", value="x" * 5000)
    entries = [
        judging.Entry("float", "Thresher", float_onnx),
        judging.Entry("padded", "NNCF", padded.SerializeToString()),
        judging.Entry("sum", "Olive", make_sum_onnx(grey, num_classes=10)),
        judging.Entry("broken", "Olive", b"no model"),
    ]
    config = Measurement(threads=1, batch_sizes=SIZES, rounds=10, seconds=0.05)
    points, failed = judging.judge(entries, "float", digits.test, grey, config)
    by_name = {point.name: point for point in points}
    assert list(by_name) == ["float", "padded", "sum"]
    assert list(failed) == ["broken"] and failed["broken"].startswith("does not run: ")
    assert by_name["float"].accuracy == by_name["padded"].accuracy > 0.9
    assert by_name["sum"].accuracy < 0.3
    assert by_name["padded"].size_bytes > by_name["float"].size_bytes + 5000
    assert (by_name["float"].loss.upper, by_name["padded"].loss.value) == (0.0, 0.0)
    assert by_name["sum"].loss.upper > 0.5 and not by_name["sum"].keeps(0.01)
    for point in points:
        assert {size: times.shape for size, times in point.medians.items()} == {1: (10,), 32: (10,)}
        assert all((times > 0).all() for times in point.medians.values())
    lines = list(judging.table(points, "float", "float", 0.01))
    (row,) = (line for line in lines if line.startswith("| sum |"))
    assert row.endswith("| loses too much |")
    assert {line.count("|") for line in lines} == {10}


def test_who_dominates_whom(judging: ModuleType) -> None:
    ours = make_point(judging, "ours", size=100, ms=1.0, drop=0.005)
    tie = make_point(judging, "tied in both", size=100, ms=1.0, drop=0.005)
    smaller = make_point(judging, "smaller alone", size=90, ms=1.0, drop=0.008)
    faster = make_point(judging, "faster alone", size=100, ms=0.5, drop=0.008)
    slow = make_point(judging, "smaller and slower", size=50, ms=2.0)
    large = make_point(judging, "faster and larger", size=200, ms=0.5)
    wrong = make_point(judging, "wrong too often", size=50, ms=0.5, drop=0.0095)
    verdicts = {other.name: other.dominates(ours, 0.01) for other in (tie, smaller, faster, slow, large, wrong)}
    assert verdicts == {
        "tied in both": False,
        "smaller alone": True,
        "faster alone": True,
        "smaller and slower": False,
        "faster and larger": False,
        "wrong too often": False,  # its upper bound is 0.0105
    }


def test_without_a_bound_only_what_is_as_accurate_dominates(judging: ModuleType) -> None:
    ours = make_point(judging, "ours", size=100, ms=1.0, wrong=5)
    worse = make_point(judging, "worse", size=50, ms=0.5, drop=0.1, wrong=6)
    as_good = make_point(judging, "as good", size=50, ms=0.5, wrong=5)
    assert (worse.dominates(ours, None), as_good.dominates(ours, None)) == (False, True)


def test_those_who_are_dominated_themselves_are_not_named(judging: ModuleType) -> None:
    points = [
        make_point(judging, name, size, ms=1.0) for name, size in (("ours", 100), ("middle", 90), ("the least", 80))
    ]
    assert judging.dominators(points, 0.01) == {"ours": ["the least"], "middle": ["the least"], "the least": []}


def test_the_conclusion_names_the_peers_and_which_are_as_accurate(judging: ModuleType) -> None:
    ours = make_point(judging, "ours", size=100, ms=1.0, wrong=5)
    other = make_point(judging, "ours too", size=50, ms=0.5)
    assert judging.conclusion([ours, other], "ours", "Thresher", 0.01).startswith("No peer's file dominates")
    better = make_point(judging, "better", size=50, ms=0.5, wrong=5)
    worse = make_point(judging, "worse", size=50, ms=0.5, wrong=6)
    said = judging.conclusion([ours, better, worse], "ours", "Thresher", 0.01)
    assert said.endswith("**ours**: better, worse; of them at least as accurate: better.")


@pytest.mark.parametrize("count", [1, 2, 7])
def test_everybody_has_one_turn_a_round_and_others_begin(judging: ModuleType, count: int) -> None:
    names = [f"file{number}" for number in range(count)]
    orders = [judging.turns(names, number) for number in range(20)]
    assert all(sorted(order) == names for order in orders)
    assert len({order[0] for order in orders}) > 1 or count == 1


def test_peers_train_for_as_many_epochs_as_the_whole_chain_of_the_winner(benchmarks: dict[str, ModuleType]) -> None:
    chains = {
        "pruned": [
            {"kind": "prune_channels", "ratio": 0.5, "iterations": 3, "between": {"epochs": 2}},
            {"kind": "finetune", "epochs": 4, "lr": 0.01, "distill": {"weight": 0.7}},
        ],
        "aware": {"from": "pruned", "steps": [{"kind": "quantize_aware", "epochs": 1}]},
        "int8": [{"kind": "quantize_static"}],
    }
    candidates = {name: Candidate.model_validate(chain) for name, chain in chains.items()}
    epochs = {
        name: [step.epochs for step in benchmarks["task"].finetunings(name, candidates)]
        for name in ("float", *candidates)
    }
    assert epochs == {"float": [], "pruned": [2, 2, 4], "aware": [2, 2, 4, 1], "int8": []}


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("fashion", "There is no recipe fashion in"),
        ("california_housing", "california_housing is no classification"),
        ("cifar10_resnet20", "kedro run --pipeline cifar10_resnet20"),
    ],
)
def test_the_command_says_what_to_do(project: Path, tmp_path: Path, recipe: str, said: str) -> None:
    for folder in ("benchmarks", "benchmarks/peers", "pipelines"):
        (tmp_path / folder).mkdir()
        for file in (each for each in (project / folder).glob("*.*") if each.is_file()):  # .peers is none
            (tmp_path / folder / file.name).write_bytes(file.read_bytes())
    command = [sys.executable, str(tmp_path / "benchmarks" / "compression.py"), recipe]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert said in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""
