"""Records of nodes, each in its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from thresher.caching.records import Dependencies, Record, Records

DEPENDENCIES = Dependencies(
    code={"thresher.a.f": "1"},
    parameters={"lr": 0.1, "betas": [0.9, 0.999], "none": None, "name": "täglich"},
    versions={"python": "3.11"},
    machine={},
    raw={"digits.train": "1"},
)


def record_of(node: str, run_id: str = "1") -> Record:
    inputs: dict[str, str | None] = {"small.z": "1", "small.a": None}
    return Record(
        node=node, dependencies=DEPENDENCIES, inputs=inputs, outputs={"small.b": ""}, run_id=run_id,
        experiment_id="1", made_at="2026-01-01T00:00:00+00:00", seconds=1.5, machine={"cores": "2"},
    )  # fmt: skip


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path, "small")


def file_of(project: Path, node: str) -> Path:
    (path,) = (project / ".thresher").rglob(f"{node}.json")
    return path


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path, records: Records) -> None:
    records.write(record_of("train_float"))
    again = Records(tmp_path, "small").read("train_float")
    assert again == record_of("train_float")
    assert again is not None and list(again.inputs) == ["small.z", "small.a"], "in the order of the arguments"


def test_without_a_record_there_is_none(records: Records) -> None:
    assert records.read("train_float") is None
    assert records.read_all() == {}


def test_the_last_record_of_a_node_stays(records: Records) -> None:
    records.write(record_of("f", "1"))
    records.write(record_of("f", "2"))
    assert {node: record.run_id for node, record in records.read_all().items()} == {"f": "2"}


def test_nodes_with_a_dot_in_their_names_are_kept_apart(records: Records) -> None:
    for node in ("export", "half.export", "half.compress", "half.json"):
        records.write(record_of(node))
    assert set(records.read_all()) == {"export", "half.export", "half.compress", "half.json"}


def test_recipes_and_projects_are_kept_apart(tmp_path: Path, records: Records) -> None:
    records.write(record_of("f"))
    assert Records(tmp_path, "other").read_all() == {}
    assert Records(tmp_path / "elsewhere", "small").read_all() == {}


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b"null"])
def test_an_unreadable_record_is_none(tmp_path: Path, records: Records, damage: bytes) -> None:
    records.write(record_of("f"))
    records.write(record_of("g"))
    file_of(tmp_path, "f").write_bytes(damage)
    assert records.read("f") is None
    assert set(records.read_all()) == {"g"}


def test_a_record_of_another_version_is_none(tmp_path: Path, records: Records) -> None:
    records.write(record_of("f"))
    path = file_of(tmp_path, "f")
    path.write_text(path.read_text().replace('"seconds"', '"duration"'))
    assert records.read("f") is None


def test_a_write_that_fails_leaves_the_last_record(
    tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.write(record_of("f"))

    def refuse(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", refuse)
        with pytest.raises(OSError, match="No space"):
            records.write(record_of("f", "2"))
    assert records.read("f") == record_of("f")
    assert [path.name for path in file_of(tmp_path, "f").parent.iterdir()] == ["f.json"]


def test_a_node_that_is_forgotten_has_no_record_and_may_be_forgotten_again(records: Records) -> None:
    records.write(record_of("f"))
    for _ in range(2):
        records.delete("f")
        assert records.read("f") is None and records.read_all() == {}
