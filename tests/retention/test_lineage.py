"""Which nodes a champion descends from, over real records."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from thresher.caching.records import Dependencies, Record
from thresher.retention.lineage import Crowning, find_lineage

CHAMPION = "small.champion"
NO_DEPENDENCIES = Dependencies(code={}, parameters={}, versions={}, machine={}, raw={})


def record(node: str, inputs: Mapping[str, str], outputs: Mapping[str, str], run_id: str = "first") -> Record:
    return Record(
        node=node,
        dependencies=NO_DEPENDENCIES,
        inputs={f"small.{name}" if name != "raw" else name: content for name, content in inputs.items()},
        outputs={f"small.{name}": content for name, content in outputs.items()},
        run_id=run_id,
        experiment_id="1",
        made_at="2026-11-23T00:00:00+00:00",
        seconds=1.0,
        machine={},
    )


def records(*changed: Record) -> dict[str, Record]:
    """Return raw -> split -> train -> export -> judge, challenge -> crown -> Bento, and plot aside, with changes."""
    all_records = [
        record("split", {"raw": "r"}, {"samples": "s", "rest": "x"}),
        record("train", {"samples": "s"}, {"network": "n", "history": "h"}),
        record("half.export", {"network": "n"}, {"half.onnx": "o"}),
        record("judge", {"half.onnx": "o"}, {"verdict": "v"}),
        record("plot", {"verdict": "v"}, {"verdict_plot": "p"}),
        record("challenge", {"verdict": "v", "reigning_champion": "1"}, {"challenge": "c"}),
        record("crown", {"challenge": "c", "half.onnx": "o", "reigning_champion": "1"}, {"champion": "1"}),
        record("bento", {"champion": "1"}, {"bento": "b"}),
    ]
    return {one.node: one for one in (*all_records, *changed)}


ANCESTORS = {"split", "train", "half.export", "judge", "challenge", "crown"}


def lineage(
    of: Mapping[str, Record], changed: Mapping[str, str] | None = None, file: str = "", **crowning: set[str]
) -> set[str]:
    """Return the lineage of version 1, where all is as recorded but for what ``changed`` says."""
    now = {name: content for one in of.values() for name, content in one.outputs.items()}
    now |= {CHAMPION: "1", **(changed or {})}
    runs = {"crowned_in": {"first"}, "runs": {"first"}} | crowning
    return find_lineage(of, Crowning(CHAMPION, "1", **runs), now.get, lambda name: name == file)


def test_all_that_led_to_the_champion_and_its_bento_but_not_what_else_was_made_of_it() -> None:
    assert lineage(records()) == {*ANCESTORS, "bento"}


def test_what_was_never_read_on_the_way_is_no_part_of_it() -> None:
    removed = record("int8.export", {"network": "n"}, {"int8.onnx": "i"})
    assert "int8.export" not in lineage(records(removed))


def test_an_output_that_changed_is_out_but_not_what_it_was_made_of() -> None:
    found = lineage(records(), {"small.network": "another"})
    assert found == {*ANCESTORS, "bento"} - {"train"}


def test_a_node_of_which_one_needed_output_is_as_it_was_is_in() -> None:
    other = record("train", {"samples": "s", "rest": "x"}, {"network": "n", "history": "h"})
    assert "split" in lineage(records(other), {"small.samples": "another"})
    assert "split" not in lineage(records(other), {"small.samples": "another", "small.rest": "another"})


def test_what_a_later_run_made_anew_is_not_what_the_champion_was_made_of() -> None:
    anew = record("train", {"samples": "s"}, {"network": "n2", "history": "h2"}, "second")
    assert "train" not in lineage(records(anew))


def test_outputs_that_a_later_run_made_alike_are_part_of_it() -> None:
    alike = record("train", {"samples": "s"}, {"network": "n", "history": "h"}, "second")
    assert lineage(records(alike)) == {*ANCESTORS, "bento"}


@pytest.fixture
def kept() -> dict[str, Record]:
    """The records after a second run, in which another network lost against the champion and a candidate is new."""
    return records(
        record("train", {"samples": "s"}, {"network": "n2", "history": "h2"}, "second"),
        record("half.export", {"network": "n2"}, {"half.onnx": "o2"}, "second"),
        record("int8.export", {"network": "n2"}, {"int8.onnx": "i2"}, "second"),
        record("judge", {"half.onnx": "o2", "int8.onnx": "i2"}, {"verdict": "v2"}, "second"),
        record("plot", {"verdict": "v2"}, {"verdict_plot": "p2"}, "second"),
        record("challenge", {"verdict": "v2", "reigning_champion": "1"}, {"challenge": "c2"}, "second"),
        record("crown", {"challenge": "c2", "half.onnx": "o2", "reigning_champion": "1"}, {"champion": "1"}, "second"),
    )


def test_who_kept_the_champion_is_none_it_descends_from(kept: dict[str, Record]) -> None:
    assert lineage(kept) == {"split", "bento"}


def test_a_removed_candidate_that_became_champion_stays_with_all_behind_it(kept: dict[str, Record]) -> None:
    winner = record("old.export", {"old.network": "on"}, {"old.onnx": "oo"})
    compressed = record("old.compress", {"samples": "s"}, {"old.network": "on"})
    assert lineage(kept | {one.node: one for one in (winner, compressed)}) >= {"old.export", "old.compress", "split"}


def test_the_champions_own_file_is_known_by_what_it_holds_whoever_made_it_again(kept: dict[str, Record]) -> None:
    compressed = record("old.compress", {"samples": "s"}, {"old.network": "on"}, "third")
    winner = record("old.export", {"old.network": "on"}, {"old.onnx": "oo"}, "third")
    of = kept | {one.node: one for one in (winner, compressed)}
    assert "old.export" not in lineage(of)
    assert lineage(of, file="small.old.onnx") == {"split", "bento", "old.export", "old.compress"}


def test_without_a_record_of_its_crowning_all_that_its_runs_left_stays() -> None:
    of = records()
    del of["crown"]
    assert lineage(of) == {*ANCESTORS, "bento", "plot"} - {"crown"}
    assert lineage(of, runs={"another"}) == {"bento"}
