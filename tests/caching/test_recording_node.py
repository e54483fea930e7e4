"""A node's record: written where it ran, when its last output is there."""

from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import pytest
from kedro.io import AbstractDataset, MemoryDataset

from thresher.caching.file_hashes import FileHashes
from thresher.caching.fingerprints import ABSENT, fingerprint
from thresher.caching.recording_node import Recording, RecordingFunction, why_unfinished
from thresher.caching.records import Dependencies, Record, Records
from thresher.contracts.report import ContractReport
from thresher.datasets.local import OnnxDataset
from thresher.machine import describe_machine
from thresher.readers import BundledDigits
from thresher.tracking.run_context import EXPERIMENT_ID, RUN_ID

DEPENDENCIES = Dependencies(code={"a.f": "1"}, parameters={"lr": 0.1}, versions={}, machine={}, raw={})


def join(one: bytes, two: bytes = b"") -> bytes:
    """Put two together."""
    return one + two


def dataset(folder: Path, name: str, data: bytes | None = None) -> OnnxDataset:
    found = OnnxDataset(filepath=str(folder / name))
    if data is not None:
        found.save(data)
    return found


def recording(folder: Path, **changed: Any) -> Recording:
    parts: dict[str, Any] = {
        "node": "join",
        "dependencies": DEPENDENCIES,
        "inputs": {"r.z": dataset(folder, "z", b"1"), "r.a": dataset(folder, "a", b"2")},
        "outputs": {"r.b": dataset(folder, "b"), "r.c": dataset(folder, "c")},
        "records": Records(folder, "r"),
        "hashes": folder / "hashes.db",
    }
    return Recording(**parts | changed)


def found_in(recorded: AbstractDataset[Any, Any], folder: Path) -> str | None:
    return fingerprint(recorded, FileHashes(folder / "hashes.db"))


def test_the_record_is_written_after_the_last_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_ID, "the run")
    monkeypatch.setenv(EXPERIMENT_ID, "the experiment")
    what = recording(tmp_path)
    node = RecordingFunction(join, what)
    inputs = {name: found_in(data, tmp_path) for name, data in what.inputs.items() if data is not None}
    result = node(b"1", two=b"2")
    assert result == b"12"
    assert what.records.read("join") is None
    for name in ("r.c", "r.b"):
        assert what.records.read("join") is None, "not all is saved yet"
        data = what.outputs[name]
        assert data is not None
        data.save(name.encode())
        node.saved(name)
    record = what.records.read("join")
    assert record is not None
    assert record.dependencies == DEPENDENCIES
    assert list(record.inputs.items()) == list(inputs.items())
    outputs = {name: found_in(data, tmp_path) for name, data in what.outputs.items() if data is not None}
    assert list(record.outputs.items()) == list(outputs.items())
    assert ABSENT not in outputs.values()
    assert (record.run_id, record.experiment_id, record.unfinished) == ("the run", "the experiment", "")
    assert record.machine == describe_machine()


def test_inputs_are_recorded_as_the_node_found_them(tmp_path: Path) -> None:
    """Not as they are when it ends: what changed meanwhile is a change since."""
    what = recording(tmp_path, outputs={"r.b": dataset(tmp_path, "b")})
    before = found_in(dataset(tmp_path, "z"), tmp_path)
    node = RecordingFunction(join, what)
    node(b"1")
    dataset(tmp_path, "z", b"edited during the run")
    dataset(tmp_path, "b", b"2")
    node.saved("r.b")
    record = what.records.read("join")
    assert record is not None and record.inputs["r.z"] == before


def test_a_node_that_fails_leaves_its_last_record(tmp_path: Path) -> None:
    def fail() -> None:
        raise ValueError("no")

    what = recording(tmp_path)
    with pytest.raises(ValueError, match="no"):
        RecordingFunction(fail, what)()
    assert what.records.read_all() == {}


def test_what_cannot_be_known_is_recorded_as_such(tmp_path: Path) -> None:
    what = recording(tmp_path, inputs={"r.a": MemoryDataset(1), "r.z": None}, outputs={"r.b": MemoryDataset()})
    node = RecordingFunction(join, what)
    node(b"1")
    node.saved("r.b")
    record = what.records.read("join")
    assert record is not None
    assert (record.inputs, record.outputs) == ({"r.a": None, "r.z": None}, {"r.b": None})


def report(success: bool) -> ContractReport:
    return ContractReport(
        success=success, num_samples=1, num_samples_by_split={}, statistics={}, results=[],
        created_at="2026-01-01T00:00:00+00:00", gx_version="1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("result", "unfinished"),
    [
        (report(True), False),
        (report(False), True),
        ((report(True), {}), False),
        (({}, report(False)), True),
        (None, False),
        ((), False),
    ],
)
def test_a_contract_that_did_not_hold_is_unfinished(tmp_path: Path, result: Any, unfinished: bool) -> None:
    assert bool(why_unfinished(result)) is unfinished

    def give() -> Any:
        return result

    what = recording(tmp_path, outputs={"r.b": dataset(tmp_path, "b", b"1")})
    node = RecordingFunction(give, what)
    node()
    node.saved("r.b")
    record = what.records.read("join")
    assert record is not None and bool(record.unfinished) is unfinished


def test_what_read_a_place_before_this_node_wrote_it_is_not_run_for_that(tmp_path: Path) -> None:
    """The champion is read to be challenged, and then replaced: the challenge stands."""
    old, other, other_left = "champion of old", "read as well", "left"
    records = Records(tmp_path, "r")
    reader = Record(
        node="challenge", dependencies=DEPENDENCIES, inputs={"r.reigning": old, "r.a": other},
        outputs={"r.challenge": other_left}, run_id="1", experiment_id="1", made_at="2026-01-01T00:00:00+00:00",
        seconds=1, machine={},
    )  # fmt: skip
    records.write(reader)
    overwritten = (("challenge", "r.reigning", "r.b"), ("nobody", "r.reigning", "r.b"))
    what = recording(tmp_path, outputs={"r.b": dataset(tmp_path, "b", b"new")}, overwritten=overwritten)
    node = RecordingFunction(join, what)
    node(b"1")
    node.saved("r.b")
    now = found_in(dataset(tmp_path, "b"), tmp_path)
    assert records.read("challenge") == reader.model_copy(update={"inputs": {"r.reigning": now, "r.a": other}})
    assert set(records.read_all()) == {"challenge", "join"}


def test_a_node_that_overwrites_what_it_read_itself_has_read_what_it_left(tmp_path: Path) -> None:
    place = dataset(tmp_path, "z", b"1")
    what = recording(tmp_path, outputs={"r.b": place}, overwritten=(("join", "r.z", "r.b"),))
    node = RecordingFunction(join, what)
    node(b"1")
    place.save(b"2")
    node.saved("r.b")
    record = what.records.read("join")
    assert record is not None
    assert record.inputs["r.z"] == record.outputs["r.b"] == found_in(place, tmp_path)


def test_it_is_called_as_its_function_is(tmp_path: Path) -> None:
    node = RecordingFunction(join, recording(tmp_path))
    assert (node.__name__, node.__qualname__, node.__module__) == ("join", "join", join.__module__)
    assert node.__doc__ == "Put two together."
    assert node.function is join


def run_elsewhere(node: RecordingFunction) -> None:
    node(b"1", b"2")
    for name, data in node._recording.outputs.items():
        assert data is not None
        data.save(b"made elsewhere")
        node.saved(name)


def test_the_record_is_written_in_the_process_that_the_node_runs_in(tmp_path: Path) -> None:
    raw = {"digits.train": BundledDigits(split="train"), "r.z": dataset(tmp_path, "z", b"1")}
    node = pickle.loads(pickle.dumps(RecordingFunction(join, recording(tmp_path, inputs=raw))))
    process = multiprocessing.get_context("fork").Process(target=run_elsewhere, args=[node])
    process.start()
    process.join(60)
    assert process.exitcode == 0
    record = Records(tmp_path, "r").read("join")
    assert record is not None
    assert set(record.inputs) == {"digits.train", "r.z"} and None not in record.inputs.values()
    assert record.outputs["r.b"] == found_in(dataset(tmp_path, "b"), tmp_path)
