"""What a search may try: shares of channels by sensitivity or alike, in steps that the recipe could have written."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.compression.budget import CandidateSearch
from thresher.compression.network.prune_channels import PruneChannels
from thresher.search.result import Point, Sensitivity
from thresher.search.space import allocate, build_steps, first_trials, halfway, last_steps, suggest

RATIOS = (0.0, 0.25, 0.5, 0.75, 0.9)


SAVINGS = {"robust": 1.0, "fragile": 1.0}


def make_sensitivity(**losses: tuple[float, ...]) -> Sensitivity:
    curves = {
        name: tuple(Point(ratio=ratio, loss=loss, metric=0.9) for ratio, loss in zip(RATIOS, values, strict=True))
        for name, values in losses.items()
    }
    return Sensitivity(metric="accuracy", num_samples=100, num_channels=dict.fromkeys(losses, 20), curves=curves)


SENSITIVITY = make_sensitivity(robust=(0.1, 0.1, 0.15, 0.3, 0.9), fragile=(0.1, 0.5, 1.5, 3.0, 5.0))
SEARCH = CandidateSearch.model_validate({"budget": {"size_bytes": 1000}, "importance": ["l2", "taylor"]})


def settings(share: float, allocation: str = "sensitivity", last_step: str = "none", **shifts: float) -> dict[str, Any]:
    shifted = {group: shifts.get(group, 0.0) for group in SENSITIVITY.curves}
    return {"share": share, "allocation": allocation, "importance": "l2", "last_step": last_step, **shifted}


@given(st.floats(0.05, 0.85))
def test_by_sensitivity_the_mean_is_the_share_and_the_fragile_layer_loses_less(share: float) -> None:
    ratios = allocate(settings(share), SENSITIVITY, SAVINGS)
    assert np.mean(list(ratios.values())) == pytest.approx(share, abs=0.01)
    assert ratios["fragile"] <= ratios["robust"]


@given(st.floats(0.05, 0.85))
def test_by_saving_the_layer_that_costs_much_loses_more(share: float) -> None:
    alike = allocate(settings(share), SENSITIVITY, SAVINGS)
    assert allocate(settings(share, "saving"), SENSITIVITY, SAVINGS) == alike
    costly = allocate(settings(share, "saving"), SENSITIVITY, {"robust": 1.0, "fragile": 20.0})
    assert np.mean(list(costly.values())) == pytest.approx(share, abs=0.01)
    assert costly["fragile"] >= alike["fragile"] and costly["robust"] <= alike["robust"]


def test_by_saving_less_goes_where_it_makes_nothing_cheaper() -> None:
    by_saving = allocate(settings(0.3, "saving"), SENSITIVITY, {"robust": 0.0, "fragile": 5.0})
    by_sensitivity = allocate(settings(0.3), SENSITIVITY, SAVINGS)
    assert by_saving["fragile"] > 4 * by_sensitivity["fragile"]
    assert by_saving["robust"] < 0.6 * by_sensitivity["robust"]


def test_where_nothing_saves_anything_sensitivity_alone_decides() -> None:
    nothing = dict.fromkeys(SAVINGS, 0.0)
    assert allocate(settings(0.3, "saving"), SENSITIVITY, nothing) == allocate(settings(0.3), SENSITIVITY, SAVINGS)


def test_alike_every_layer_loses_the_share_and_shifts_come_on_top() -> None:
    assert allocate(settings(0.4, "uniform", robust=0.1), SENSITIVITY, SAVINGS) == {"robust": 0.5, "fragile": 0.4}


def test_no_layer_is_left_empty() -> None:
    ratios = allocate(settings(0.9, "uniform", robust=0.2, fragile=-0.2), SENSITIVITY, SAVINGS)
    assert ratios == {"robust": 0.95, "fragile": 0.7}


def test_a_share_of_nothing_prunes_nothing_whatever_the_shifts() -> None:
    structure, last = build_steps(settings(0.0, robust=0.2, last_step="quantize_static"), SEARCH, SENSITIVITY, SAVINGS)
    assert structure == ()
    assert [step.kind for step in last] == ["quantize_static"]


def test_steps_are_those_of_a_recipe() -> None:
    (step,), last = build_steps(settings(0.4, "uniform"), SEARCH, SENSITIVITY, SAVINGS)
    assert isinstance(step, PruneChannels)
    assert (step.ratios, step.importance, last) == ({"robust": 0.4, "fragile": 0.4}, "l2", ())


def test_what_is_too_little_for_a_step_stays() -> None:
    assert build_steps(settings(0.015, "uniform"), SEARCH, SENSITIVITY, SAVINGS)[0] == ()
    (step,), _ = build_steps(settings(0.03, "uniform", robust=-0.015), SEARCH, SENSITIVITY, SAVINGS)
    assert isinstance(step, PruneChannels) and step.ratios == {"robust": 0.0, "fragile": 0.03}
    (least,), _ = build_steps(settings(0.02, "uniform", robust=-0.02), SEARCH, SENSITIVITY, SAVINGS)
    assert isinstance(least, PruneChannels) and (least.ratio, least.ratios["fragile"]) == (0.02, 0.02)


def test_a_step_has_what_was_chosen_and_what_the_search_rounds_to() -> None:
    search = CandidateSearch.model_validate(
        {"budget": {"size_bytes": 1000}, "importance": ["l2", "taylor"], "round_to": 4}
    )
    (step,), _ = build_steps({**settings(0.4), "importance": "taylor"}, search, SENSITIVITY, SAVINGS)
    assert isinstance(step, PruneChannels) and (step.importance, step.round_to) == ("taylor", 4)


def test_a_group_that_saves_nothing_and_costs_nothing_may_go() -> None:
    sensitivity = make_sensitivity(free=(0.1,) * 5, other=(0.1, 0.5, 1.5, 3.0, 5.0))
    chosen = {**settings(0.4, "saving"), "free": 0.0, "other": 0.0}
    assert allocate(chosen, sensitivity, {"free": 0.0, "other": 1.0})["free"] > 0.5


def test_halfway_of_shares_that_differ_by_a_step_is_between() -> None:
    between = halfway(settings(0.4), settings(0.45))
    assert between is not None and between["share"] == pytest.approx(0.425)


def test_a_loss_that_falls_again_by_chance_hides_nothing() -> None:
    bumpy = make_sensitivity(layer=(0.1, 0.6, 0.2, 0.7, 0.9))
    assert bumpy.ratio_at("layer", 0.3) < 0.25


def test_what_a_search_begins_with_is_what_the_sampler_may_draw() -> None:
    study = optuna.create_study(directions=["minimize", "minimize"])
    groups = tuple(SENSITIVITY.curves)
    for first in first_trials(SEARCH, groups):
        study.enqueue_trial(first)
        trial = study.ask()
        drawn = suggest(trial, SEARCH, groups)
        assert trial.params == first
        build_steps(drawn, SEARCH, SENSITIVITY, SAVINGS)
    assert {first["last_step"] for first in first_trials(SEARCH, groups)} == set(last_steps(SEARCH))


def test_without_pruning_the_last_step_is_all_that_is_searched() -> None:
    search = CandidateSearch.model_validate(
        {"budget": {"size_bytes": 9}, "techniques": ["quantize_static", "quantize_dynamic"]}
    )
    assert not search.prunes
    assert {key for first in first_trials(search, ()) for key in first} == {"last_step"}


def test_layers_of_low_rank_follow_the_channels_that_stay() -> None:
    search = CandidateSearch.model_validate(
        {"budget": {"size_bytes": 9}, "techniques": ["prune_channels", "factorize"]}
    )
    groups = tuple(SENSITIVITY.curves)
    study = optuna.create_study(directions=["minimize", "minimize"])
    kinds = set()
    for first in first_trials(search, groups):
        study.enqueue_trial(first)
        trial = study.ask()
        structure, _ = build_steps(suggest(trial, search, groups), search, SENSITIVITY, SAVINGS)
        assert trial.params == first
        kinds.add(tuple(step.kind for step in structure))
    assert {(), ("prune_channels",), ("factorize",)} <= kinds
    both, _ = build_steps({**settings(0.4), "energy": 0.8}, search, SENSITIVITY, SAVINGS)
    assert [step.kind for step in both] == ["prune_channels", "factorize"]
    most, _ = build_steps({**settings(0.0), "energy": 0.99}, search, SENSITIVITY, SAVINGS)
    assert [step.kind for step in most] == ["factorize"]
    whole, _ = build_steps({**settings(0.4), "energy": 0.995}, search, SENSITIVITY, SAVINGS)
    assert [step.kind for step in whole] == ["prune_channels"]


def test_blocks_go_after_channels_in_any_number() -> None:
    values = {"budget": {"size_bytes": 1000}, "techniques": ["prune_channels", "drop_layers", "quantize_dynamic"]}
    search, groups, depths = CandidateSearch.model_validate(values), tuple(SENSITIVITY.curves), range(2, 7)
    first = first_trials(search, groups, depths)
    assert [each["blocks"] for each in first[-3:]] == [5, 4, 3] and {each["blocks"] for each in first[:-3]} == {6}
    study = optuna.create_study(directions=["minimize", "minimize"])
    study.enqueue_trial(first[-1])
    drawn = suggest(study.ask(), search, groups, depths)
    assert drawn["blocks"] == 3
    structure, _ = build_steps({**drawn, "share": 0.4}, search, SENSITIVITY, SAVINGS, depths)
    assert [step.kind for step in structure] == ["prune_channels", "drop_layers"]
    assert structure[1].model_dump()["keep"] == 3
    whole, _ = build_steps({**drawn, "blocks": 6, "share": 0.0}, search, SENSITIVITY, SAVINGS, depths)
    assert whole == ()
    assert halfway({**drawn, "blocks": 5}, drawn) == {**drawn, "blocks": 4}
    assert halfway({**drawn, "blocks": 4}, drawn) is None


def test_rows_of_the_vocabulary_go_first_and_by_counts_that_remove_any() -> None:
    techniques = ["prune_vocabulary", "drop_layers", "quantize_dynamic"]
    search = CandidateSearch.model_validate({"budget": {"size_bytes": 1000}, "techniques": techniques})
    room: Any = (range(1, 4), (2, 5, 13))
    first = first_trials(search, (), *room)
    assert {trial["min_count"] for trial in first} == {0, 2, 5, 13} and first[0]["min_count"] == 0
    for trial in first:
        study = optuna.create_study()
        study.enqueue_trial(trial)
        assert suggest(study.ask(), search, (), *room) == trial
    chosen = {"blocks": 2, "min_count": 5, "last_step": "quantize_dynamic"}
    structure, _ = build_steps(chosen, search, None, {}, *room)
    assert [step.model_dump(include={"kind", "min_count", "keep"}) for step in structure] == [
        {"kind": "prune_vocabulary", "min_count": 5},
        {"kind": "drop_layers", "keep": 2},
    ]
    first_count = build_steps({**chosen, "min_count": 2}, search, None, {}, *room)[0]
    assert [step.kind for step in first_count] == ["prune_vocabulary", "drop_layers"]
    whole = {**chosen, "min_count": 0}
    assert [step.kind for step in build_steps(whole, search, None, {}, *room)[0]] == ["drop_layers"]
    assert halfway({**chosen, "min_count": 13}, chosen) == {**chosen, "min_count": 9}
    few = halfway(chosen, whole)  # 3, with which rows go; a count below the first would remove none
    assert few is not None and few["min_count"] == 3
    below = build_steps({**chosen, "min_count": 1}, search, None, {}, *room)[0]
    assert [step.kind for step in below] == ["drop_layers"]


def test_a_search_of_blocks_alone_has_no_channels_to_share() -> None:
    search = CandidateSearch.model_validate({"budget": {"size_bytes": 1000}, "techniques": ["drop_layers"]})
    first = first_trials(search, (), range(1, 3))
    assert first == [{"last_step": "none", "blocks": 2}, {"last_step": "none", "blocks": 1}]
    assert [step.kind for step in build_steps(first[1], search, None, {}, range(1, 3))[0]] == ["drop_layers"]
