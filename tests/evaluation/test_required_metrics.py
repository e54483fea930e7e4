"""A recipe may ask for what its task measures; what another task measures is said to be that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from thresher.evaluation import energy
from thresher.evaluation.selection import Selection
from thresher.recipe.partial import read_partial
from thresher.recipe.rules import find_problems


def problems_of(task: Any, **selection: Any) -> list[tuple[str, str, str]]:
    found = find_problems(read_partial({"task": task, "evaluation": {}, "selection": selection}))
    return [(".".join(map(str, place)), what, fix) for place, what, fix in found if place[0] == "selection"]


@pytest.mark.parametrize(
    ("task", "metric", "other"),
    [("regression", "rmse_increase", "accuracy_drop"), ("classification", "accuracy_drop", "rmse_increase")],
)
def test_each_task_has_its_own_loss(task: str, metric: str, other: str) -> None:
    bound = {"at_most": 0.5, "confidence": 0.95}
    assert problems_of(task, minimize=metric, require={metric: bound}) == []
    ((place, what, fix),) = problems_of(task, require={other: bound})
    assert (place, what) == (f"selection.require.{other}", f"'{other}' is not measured in a {task}")
    assert metric in fix
    ((place, what, _),) = problems_of(task, minimize=other)
    assert (place, what) == ("selection.minimize", f"'{other}' is not measured in a {task}")


def test_what_no_task_measures_is_not_measured() -> None:
    assert [what for _, what, _ in problems_of("regression", minimize="luck")] == ["'luck' is not measured"]
    ((_, what, fix),) = problems_of("regression", require={"rmse_incrase": {"at_most": 1}})
    assert (what, fix.startswith("Did you mean 'rmse_increase'?")) == ("'rmse_incrase' is not measured", True)


@pytest.mark.parametrize("task", [None, 5, "clustering"])
def test_an_unreadable_task_is_taken_for_a_classification(task: Any) -> None:
    assert problems_of(task, require={"accuracy_drop": {"at_most": 0.1}}) == []
    assert problems_of(task, require={"rmse": {"at_most": 0.1}})


def test_energy_can_be_asked_for_where_the_machine_counts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "ROOT", tmp_path)
    ((place, what, fix),) = problems_of("regression", minimize="energy_joules_batch32")
    assert place == "selection.minimize"
    assert what == "'energy_joules_batch32' is not measured: this machine has no counter of energy that can be read"
    assert "energy" not in fix
    zone = tmp_path / "intel-rapl:0"
    zone.mkdir()
    for name, content in (("name", "package-0"), ("energy_uj", "7"), ("max_energy_range_uj", "9")):
        (zone / name).write_text(content)
    assert problems_of("regression", minimize="energy_joules", require={"energy_joules_batch1": {"at_most": 1}}) == []


def test_memory_load_time_and_throughput_can_be_asked_for() -> None:
    bounds = {"peak_memory_bytes": {"at_most": 1e8}, "load_ms": {"at_most": 9}, "throughput_batch32": {"at_least": 1}}
    for minimize in ("peak_memory_bytes", "load_ms", "latency_ms_p90", "latency_ms_p90_batch32"):
        assert problems_of("classification", minimize=minimize, require=bounds) == []
    ((_, what, _),) = problems_of("classification", minimize="throughput")
    assert what == "'throughput' is better the more there is of it"


def test_r2_is_nothing_to_minimize() -> None:
    ((_, what, _),) = problems_of("regression", minimize="r2")
    assert what == "'r2' is better the more there is of it"


@pytest.mark.parametrize(
    ("bounds", "computed"),
    [
        ({"recall[spam]": {"at_least": 0.9}}, ("recall[spam]",)),
        ({"f1[spam]_drop": {"at_most": 0.1, "confidence": 0.95}}, ("f1[spam]",)),
        ({"log_loss": {"at_most": 0.9}}, ()),  # which is measured of every candidate
        ({"log_loss": {"at_most": 0.9, "confidence": 0.9}}, ("log_loss",)),
        ({"log_loss_increase": {"at_most": 0.9}}, ("log_loss",)),
        ({"accuracy_drop": {"at_most": 0.9, "confidence": 0.9}, "size_bytes": {"at_most": 9}}, ()),
        ({"accuracy": {"at_least": 0.9, "confidence": 0.9}}, ("accuracy",)),
    ],
)
def test_what_a_bound_names_is_computed_and_nothing_else(bounds: dict[str, Any], computed: tuple[str, ...]) -> None:
    assert problems_of("classification", require=bounds) == []
    assert Selection.model_validate({"require": bounds}).computed_metrics == computed


def test_the_most_of_a_metric_may_win() -> None:
    assert problems_of("classification", maximize="f1_macro") == []
    ((place, what, _),) = problems_of("classification", maximize="size_bytes")
    assert (place, what) == ("selection.maximize", "'size_bytes' is better the less there is of it")
    ((place, what, fix),) = problems_of("classification", minimize="recall[spam]")
    assert what == "'recall[spam]' is better the more there is of it"
    assert fix.startswith("Write maximize: recall[spam]. ")
    assert Selection(maximize="mcc").objective == "mcc" and Selection().objective == "latency_ms_p50"
    ((_, what, fix),) = problems_of("classification", maximize="recall")
    assert (what, fix) == ("'recall' does not say of what", "recall[CLASS], a class.")
    with pytest.raises(ValidationError, match="give one of minimize and maximize"):
        Selection(minimize="latency_ms_p50", maximize="mcc")


@pytest.mark.parametrize(
    ("task", "metric", "what", "fix"),
    [
        ("classification", "recall", "does not say of what", "recall[CLASS], a class."),
        ("classification", "mcc[spam]", "takes nothing in brackets", "mcc."),
        ("regression", "pinball[2]", "does not name a number between 0 and 1", "pinball[QUANTILE]."),
        ("regression", "recall[spam]", "is not measured in a regression", "Allowed: "),
        ("classification", "mape", "is not measured in a classification", "Allowed: "),
        ("classification", "recal[spam]", "is not measured", "Did you mean 'recall[CLASS]'?"),
        ("classification", "precison_macro", "is not measured", "Did you mean 'precision_macro'?"),
    ],
)
def test_a_metric_that_cannot_be_is_told_with_what_can(task: str, metric: str, what: str, fix: str) -> None:
    ((place, got, advice),) = problems_of(task, require={metric: {"at_least": 0.5}})
    assert (place, got) == (f"selection.require.{metric}", f"'{metric}' {what}")
    assert advice.startswith(fix)


def test_slices_may_bound_metrics_of_quality_alone() -> None:
    def of(**slices: Any) -> list[tuple[str, str, str]]:
        return problems_of("classification", slices={"by": ["label"], **slices})

    assert of(require={"recall[spam]": {"at_least": 0.5}, "precision[spam]_drop": {"at_most": 0.1}}) == []
    for metric, advice in (
        ("size_bytes", "Require it of the whole split."),
        ("accuracy_drop", "Write accuracy_drop b"),
    ):
        ((place, what, fix),) = of(require={metric: {"at_most": 0.5}})
        assert place == f"selection.slices.require.{metric}"
        assert (what, fix[: len(advice)]) == (f"'{metric}' is not measured on parts of the test split", advice)
