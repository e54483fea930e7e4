"""A recipe may ask for what its task measures; what another task measures is said to be that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from thresher.evaluation import energy
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
