"""Networks over texts and series are searched as others are: their units and heads have curves, and go in trials."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import pretrained_networks

from thresher.compression.candidate import NamedCandidate
from thresher.compression.network.prune_vocabulary import PruneVocabulary
from thresher.evaluation import Measurement
from thresher.export import export_onnx
from thresher.models.recurrent.config import Gru
from thresher.models.transformer.config import Transformer
from thresher.search.chain_search import SearchTask, search_chain
from thresher.search.sensitivity import affordable, measure_sensitivity
from thresher.training.checkpoints import Checkpoints

sys.path.append(str(Path(__file__).parents[1] / "compression" / "network"))
from sequences import build, build_trained, data_for  # lies beside the techniques' own tests

SEARCH = {
    "budget": {"accuracy_drop": 0.5}, "minimize": "size_bytes", "techniques": ["prune_channels", "quantize_dynamic"],
    "trials": 4, "finalists": 1, "finetune": {"epochs": 1},
}  # fmt: skip


def test_heads_and_units_have_curves_where_any_can_go() -> None:
    model = Transformer(dimension=12, num_heads=3, num_layers=2, feed_forward=16)
    sensitivity = measure_sensitivity(build(model), data_for(model))
    heads, units = ("blocks.0.query_key_value", "blocks.1.query_key_value"), ("blocks.0.expand", "blocks.1.expand")
    assert sensitivity.num_channels == {heads[0]: 3, units[0]: 16, heads[1]: 3, units[1]: 16}
    # Of three heads, a tenth cannot stay.
    ratios = {group: tuple(point.ratio for point in curve) for group, curve in sensitivity.curves.items()}
    few, all_of_them = (0, 0.25, 0.5, 0.75), (0, 0.25, 0.5, 0.75, 0.9)
    assert ratios == {**dict.fromkeys(heads, few), **dict.fromkeys(units, all_of_them)}
    whole = {curve[0].loss for curve in sensitivity.curves.values()}
    assert len(whole) == 1 and all(curve[1].loss not in whole for curve in sensitivity.curves.values())


@pytest.mark.parametrize(("num_heads", "ratios"), [(1, [0]), (2, [0, 0.5])])
def test_shares_that_take_no_head_have_no_point(num_heads: int, ratios: list[float]) -> None:
    model = Transformer(dimension=8, num_heads=num_heads, num_layers=1, feed_forward=4)
    curve = measure_sensitivity(build(model), data_for(model)).curves["blocks.0.query_key_value"]
    assert [point.ratio for point in curve] == ratios


@pytest.mark.parametrize(("num_groups", "count"), [(4, 2000), (200, 1007), (100_000, 250)])
def test_of_a_network_that_is_slow_fewer_samples_are_used(num_groups: int, count: int) -> None:
    network = build(Transformer(dimension=64, num_heads=4, num_layers=6, feed_forward=256))
    steps, of_a_step = 20, 6 * (4 * 64 * 64 + 2 * 64 * 256 + 2 * 20 * 64)
    expected = 5e12 / (4 * num_groups * (steps * of_a_step + 64 * 4))
    assert int(min(2000, max(250, expected))) == count
    assert affordable(network, num_groups) == pytest.approx(count, rel=0.1)


@pytest.mark.slow
def test_a_search_finds_a_smaller_gru_within_its_budget(tmp_path: Path) -> None:
    model = Gru(hidden=16)
    network, data = build_trained(model), dataclasses.replace(data_for(model), checkpoints=Checkpoints(tmp_path))
    task = SearchTask(
        candidate=NamedCandidate.model_validate({"name": "best", "search": SEARCH}),
        base=network,
        float_onnx_file=export_onnx(network),
        data=data,
        measurement=Measurement(batch_sizes=(8,)),
        sensitivity=measure_sensitivity(network, data),
    )
    assert task.sensitivity is not None and task.sensitivity.num_channels == {"layers.0": 16}
    candidate, found = search_chain(task)
    assert not any(trial.reason for trial in found.trials)
    pruned = [trial for trial in found.trials if trial.steps and trial.steps[0].kind == "prune_channels"]
    macs = [trial.costs["macs"] for trial in pruned]
    assert len(pruned) == 2 and max(macs) < 0.8 * found.baseline.costs["macs"]
    assert found.keeps_budget and found.winner.loss is not None and np.isfinite(found.winner.loss)
    assert found.winner.costs["size_bytes"] < 0.7 * found.baseline.costs["size_bytes"]
    assert candidate.steps == found.winner.steps


FIRST = {
    "share": 0.5,
    "allocation": "uniform",
    "importance": "l2",
    "blocks": 1,
    "min_count": 13,
    "last_step": "quantize_dynamic",
}
"""Which a search over so small an encoder is to begin with."""


def task_of(folder: Path) -> SearchTask:
    network, given = pretrained_networks.build("bert"), pretrained_networks.data()
    techniques = ["prune_channels", "prune_vocabulary", "drop_layers", "quantize_dynamic"]
    search = {**SEARCH, "budget": {"accuracy_drop": 0.9}, "techniques": techniques, "trials": 1}
    return SearchTask(
        candidate=NamedCandidate.model_validate({"name": "best", "search": search}),
        base=network,
        float_onnx_file=export_onnx(network),
        data=dataclasses.replace(given, checkpoints=Checkpoints(folder)),
        measurement=Measurement(batch_sizes=(8,)),
        sensitivity=measure_sensitivity(network, given),
    )


@pytest.mark.slow
def test_a_search_over_a_pretrained_encoder_chooses_heads_units_and_blocks_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = "model.bert.encoder.layer"
    task = task_of(tmp_path)
    assert task.sensitivity is not None and task.sensitivity.num_channels == {
        "model.bert.pooler.dense": 32,
        **{f"{layer}.{place}.attention.self.value": 4 for place in (0, 1)},
        **{f"{layer}.{place}.intermediate.dense": 48 for place in (0, 1)},
    }
    monkeypatch.setattr("thresher.search.study.first_trials", lambda *given: [FIRST])
    _, some = search_chain(task)
    longer = task.candidate.model_copy(update={"search": task.config.model_copy(update={"trials": 2})})
    candidate, found = search_chain(dataclasses.replace(task, candidate=longer))
    assert found.trials[0] == some.trials[0] and not any(trial.reason for trial in found.trials)
    chains = [[step.kind for step in trial.steps] for trial in found.trials]
    assert chains[0] == ["prune_vocabulary", "prune_channels", "drop_layers", "quantize_dynamic"]
    assert [step.kind for step in candidate.steps][1:4] == ["prune_channels", "drop_layers", "finetune"]
    assert candidate.steps[0] == PruneVocabulary(min_count=13)
    assert found.winner.costs["size_bytes"] < 0.5 * found.baseline.costs["size_bytes"]
