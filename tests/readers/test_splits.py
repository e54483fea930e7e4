"""Splits as people make them: by content, by class, by group and by time; and copies that are left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from kedro.io import DatasetError
from pyarrow import parquet

from thresher.errors import DataError
from thresher.modalities.fingerprint import fingerprint
from thresher.modalities.samples import Samples
from thresher.modalities.split import mark_held_out
from thresher.modalities.split_compatibility import require_agreement
from thresher.pipelines.train.nodes import hold_out
from thresher.readers import ImageFolder, ParquetImages, ParquetSeries, TableFile, TextTable

ENTRY: dict[str, Any] = {"test_share": 0.2, "seed": 1}


def both(kind: Any, **arguments: Any) -> tuple[Samples, Samples]:
    train, test = (kind(split=split, **ENTRY, **arguments).load() for split in ("train", "test"))
    require_agreement(train, test)
    return train, test


@pytest.fixture
def visits(tmp_path: Path) -> Path:
    """Visits of 40 patients, ten each, in no order of time; every tenth row is written twice."""
    random = np.random.default_rng(0)
    lines = [
        f"p{number % 40},2026-{1 + number % 12:02}-{1 + number // 12 % 28:02},{random.random():.6f},{'ny'[number % 2]}"
        for number in random.permutation(400)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["patient,day,x,ill", *lines, *lines[::10]]) + "\n")
    return tmp_path


def table(folder: Path, **arguments: Any) -> dict[str, Any]:
    return {"path": str(folder), "file": "t.csv", "label": "ill", "class_names": ["n", "y"], **arguments}


@pytest.mark.oddity(
    "Splits and contracts",
    "several rows of a person or machine",
    "with 'group' they are all in train or all in test, and in one part of train",
)
def test_no_group_is_on_both_sides_nor_a_feature(visits: Path) -> None:
    train, test = both(TableFile, **table(visits, group="patient", drop=["day"]))
    assert list(train.inputs.columns) == ["x"]
    assert train.groups is not None
    assert test.groups is not None
    assert not set(train.groups) & set(test.groups)
    assert abs(len(test) / (len(train) + len(test)) - 0.2) < 0.03
    assert abs(test.labels.mean() - 0.5) < 0.1
    held_out = mark_held_out(train, 0.2, 3)
    assert not set(train.groups[held_out]) & set(train.groups[~held_out])


@pytest.mark.oddity(
    "Splits and contracts",
    "rows that were written over time",
    "with 'order' the last ones are the test split, and the last ones of train validate",
)
def test_the_last_rows_by_time_are_the_test_split(visits: Path) -> None:
    ordered = TableFile(**table(visits, order="day", drop=["patient"])).load()
    assert ordered.order is not None
    train, test = both(TableFile, **table(visits, order="day", drop=["patient"]))
    days = {value: day for value, day in zip(ordered.inputs.columns["x"], ordered.order, strict=True)}
    of_train, of_test = ([days[value] for value in part.inputs.columns["x"]] for part in (train, test))
    assert max(of_train) < min(of_test)
    assert abs(len(test) / (len(train) + len(test)) - 0.2) < 0.03
    assert list(train.inputs.columns) == ["x"]
    held_out = mark_held_out(train, 0.2, 0)
    assert train.order is not None
    assert train.order[~held_out].max() < train.order[held_out].min()


def write(folder: Path, days: list[str], **arguments: Any) -> TableFile:
    rows = [f"{day},{number},{'ny'[number % 2]}" for number, day in enumerate(days)]
    (folder / "t.csv").write_text("\n".join(["day;x;ill".replace(";", ","), *rows]) + "\n")
    return TableFile(**table(folder, order="day", **arguments))


@pytest.mark.parametrize(
    ("days", "more", "order"),
    [
        (["3", "-1", "20", "3"], {}, [1, 0, 2, 1]),
        (["9007199254740993", "9007199254740992", "1", "2"], {}, [3, 2, 0, 1]),
        (["0.5", "1e3", "2", "-7"], {}, [1, 3, 2, 0]),
        (["2026-02-01", "2025-12-31T23:59", "2026-02-01T00:00", "2026-01-31"], {}, [2, 0, 2, 1]),
        (["2026-01-01T00:00+02:00", "2026-01-01T00:00+00:00", "2025-12-31T23:00Z", "2026-01-02"], {}, [0, 2, 1, 3]),
        (["2.1.2026", "10.1.2025", "1.2.2026", "31.12.2024"], {"dates": {"day": "%d.%m.%Y"}}, [2, 1, 3, 0]),
    ],
)
def test_an_order_is_one_of_numbers_or_of_dates(
    tmp_path: Path, days: list[str], more: dict[str, Any], order: list[int]
) -> None:
    samples = write(tmp_path, days, **more).load()
    assert samples.order is not None
    ranks = {value: rank for rank, value in enumerate(sorted(set(samples.order)))}
    assert [ranks[value] for value in samples.order] == order


@pytest.mark.parametrize(
    ("days", "says"),
    [
        (
            ["1.2.2026", "2.2.2026"],
            "t.csv:2: '1.2.2026' in the column that 'order' names is neither a number nor a date",
        ),
        (["2026-01-01", ""], "t.csv:3: no value in the column that 'order' names"),
        (["2026-01-01", "7"], "t.csv:3: '7' in the column that 'order' names is neither a number nor a date"),
        (["nan", "1"], "t.csv:2: no value"),
    ],
)
def test_what_is_no_order_is_refused_with_its_place(tmp_path: Path, days: list[str], says: str) -> None:
    with pytest.raises(DatasetError) as caught:
        write(tmp_path, days).load()
    assert says in str(caught.value)
    assert "Fix: write" in str(caught.value)


def test_a_group_that_is_missing_is_refused_and_so_are_both_and_unknown_columns(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("who,x,ill\na,1,n\n,2,y\n")
    with pytest.raises(DatasetError, match=r"t\.csv:3: no value in the column that 'group' names"):
        TableFile(**table(tmp_path, group="who")).load()
    with pytest.raises(DatasetError, match=r"no column .whom. .*Did you mean .who."):
        TableFile(**table(tmp_path, group="whom")).load()
    with pytest.raises(DataError, match="given beside 'group'"):
        TableFile(**table(tmp_path, group="who", order="x"))


def test_groups_in_two_files_must_not_be_the_same(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("who,x,ill\na,1,n\nb,2,y\n")
    (tmp_path / "u.csv").write_text("who,x,ill\nb,3,n\nc,4,y\n")
    train = TableFile(**table(tmp_path, group="who")).load()
    test = TableFile(**table(tmp_path, group="who", file="u.csv")).load()
    with pytest.raises(DataError, match="1 groups of test are in train as well, such as 'b'"):
        require_agreement(train, test)
    with pytest.raises(DataError, match="the same in both"):
        require_agreement(train, TableFile(**table(tmp_path, file="u.csv", drop=["who"])).load())


@pytest.mark.oddity(
    "Splits and contracts",
    "samples that are there twice",
    "stay together; with 'duplicates: drop' the later ones are left out, which the report says",
)
def test_copies_are_left_out_where_that_is_asked_for_and_it_is_said(visits: Path) -> None:
    kept = TableFile(**table(visits, drop=["day"])).load()
    dropped = TableFile(**table(visits, duplicates="drop", drop=["day"])).load()
    assert (len(kept), len(dropped), kept.notes) == (440, 400, ())
    assert dropped.notes == ("40 of 440 samples left out, which repeat an earlier one (duplicates: drop).",)
    train, test = both(TableFile, **table(visits, duplicates="drop", drop=["day"]))
    assert len(train) + len(test) == 400
    assert fingerprint(train, test).notes == tuple(f"{name}: {dropped.notes[0]}" for name in ("train", "test"))


def test_with_an_order_the_earliest_copy_is_kept(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("day,x,ill\n3,1,n\n1,1,n\n2,5,y\n2,1,y\n")
    samples = TableFile(**table(tmp_path, order="day", duplicates="drop")).load()
    assert samples.places is not None
    assert samples.places.tolist() == ["t.csv:3", "t.csv:4", "t.csv:5"]  # the last has another label


def test_copies_of_a_text_and_of_a_picture_are_on_one_side(tmp_path: Path) -> None:
    from PIL import Image

    values = [f"text {number % 60}" for number in range(100)]
    parquet.write_table(
        pa.table({"text": values, "label": [number % 60 % 2 for number in range(100)]}), tmp_path / "x.parquet"
    )
    train, test = both(TextTable, path=str(tmp_path), file="x.parquet")
    assert not set(train.inputs) & set(test.inputs)
    for number in range(40):
        for name in ("a", "b"):
            (tmp_path / "images" / name).mkdir(parents=True, exist_ok=True)
            shade = number % 25 + 100 * (name == "b")
            Image.new("L", (3, 3), shade).save(tmp_path / "images" / name / f"{number}.png")
    train, test = both(ImageFolder, path=str(tmp_path / "images"), channels=1)
    assert not set(train.inputs[:, 0, 0, 0]) & set(test.inputs[:, 0, 0, 0])


def test_groups_of_parquet_files_with_series_pictures_and_texts(tmp_path: Path) -> None:
    import io

    from PIL import Image

    def picture(shade: int) -> bytes:
        content = io.BytesIO()
        Image.new("L", (2, 2), shade).save(content, "PNG")
        return content.getvalue()

    columns = {
        "who": pa.array([number // 4 for number in range(40)], pa.int64()),
        "label": ["n", "y"] * 20,
        "image": [picture(number) for number in range(40)],
        "current": [[float(number), 1.0] for number in range(40)],
        "text": [f"text {number}" for number in range(40)],
    }
    parquet.write_table(pa.table(columns), tmp_path / "x.parquet")
    for kind, more in ((ParquetImages, {"channels": 1}), (ParquetSeries, {"channels": ["current"]}), (TextTable, {})):
        train, test = both(kind, path=str(tmp_path), file="x.parquet", group="who", **more)
        assert train.groups is not None
        assert test.groups is not None
        assert not set(train.groups) & set(test.groups)
        assert len(test) == 8
    with pytest.raises(DatasetError, match="no column 'whom'"):
        ParquetImages(path=str(tmp_path), file="x.parquet", group="whom").load()


def test_a_training_split_of_one_group_cannot_be_divided_and_says_so() -> None:
    from thresher.contracts.report import ContractReport

    kept = ContractReport(
        success=True, num_samples=4, num_samples_by_split={}, statistics={}, results=[], created_at="", gx_version=""
    )
    texts = np.array(["a", "b", "c", "d"], dtype=object)
    samples = Samples(texts, np.array([0, 1, 0, 1]), ("n", "y"), groups=np.array(["p"] * 4, dtype=object))
    with pytest.raises(DataError, match=r"all with one content, one group or one time.*Fix: add samples"):
        hold_out(samples, kept, "classification", 0.2, 1)


def test_a_limit_draws_of_each_class_in_proportion_always_the_same(visits: Path) -> None:
    whole = TableFile(**table(visits, drop=["day"])).load()
    drawn = TableFile(**table(visits, drop=["day"], limit=101)).load()
    assert len(drawn) == 101 and abs(drawn.labels.mean() - whole.labels.mean()) < 0.01
    again = TableFile(**table(visits, drop=["day"], limit=101)).load()
    assert drawn.places is not None and again.places is not None and drawn.places.tolist() == again.places.tolist()
    assert whole.places is not None
    numbers = [whole.places.tolist().index(place) for place in drawn.places]
    assert numbers == sorted(set(numbers)), "in the order of the file, each once"
    assert drawn.notes == ("101 of 440 samples drawn (limit: 101).",)
    assert len(TableFile(**table(visits, drop=["day"], limit=440)).load()) == 440
    part = TableFile(split="train", **ENTRY, **table(visits, drop=["day"])).load()
    of_part = TableFile(split="train", **ENTRY, **table(visits, drop=["day"], limit=10)).load()
    assert len(of_part) == 10 and part.places is not None and of_part.places is not None
    assert set(of_part.places) <= set(part.places)
    with pytest.raises(DataError, match=r"limit: 0 given. Allowed: a whole number from 1"):
        TableFile(**table(visits, drop=["day"], limit=0))
