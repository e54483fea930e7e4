"""Tables as people bring them, from public reports of bugs: what is read of them, or the sentence that is said."""

from __future__ import annotations

import gzip
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from kedro.io import DatasetError
from pyarrow import parquet

from thresher.errors import DataError
from thresher.modalities.outputs import output_of
from thresher.modalities.samples import Samples
from thresher.modalities.split_compatibility import require_agreement
from thresher.modalities.tabular.encoder import TabularEncoder, TabularEncoding
from thresher.modalities.tabular.table import Table
from thresher.readers import LabeledLines, NpzImages, TableFile, TextTable

KIND = "Tables and texts"
BIG = 1582218195625938945
"""A snowflake id: beyond 2^53, so that float64 makes one number of it and its neighbours."""


def load(path: Path, label: str = "y", **arguments: Any) -> Samples[Any]:
    return TableFile(path=str(path.parent), file=path.name, label=label, **arguments).load()


def refused(path: Path, label: str = "y", **arguments: Any) -> str:
    with pytest.raises(DatasetError) as caught:
        load(path, label, **arguments)
    assert isinstance(caught.value.__cause__, DataError)
    return str(caught.value.__cause__)


def columns_of(samples: Samples[Any]) -> dict[str, list[Any]]:
    return {name: column.tolist() for name, column in samples.inputs.columns.items()}


def csv(folder: Path, *lines: str, name: str = "t.csv", encoding: str = "utf-8") -> Path:
    (folder / name).write_bytes("\n".join(lines).encode(encoding) + "\n".encode(encoding))
    return folder / name


def rows(path: Path, **columns: Any) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


# Numbers that are written differently.


@pytest.mark.oddity(
    KIND, "a German Excel export: BOM, quoted header, semicolons, decimal commas, CRLF", "an error with what to write"
)
def test_a_german_excel_export(tmp_path: Path) -> None:
    generator = random.Random(1)
    content = ['"Temperatur";"Druck";"Zustand"']
    for _ in range(200):
        warmth, pressure = generator.randint(0, 40) / 2, generator.randint(0, 20) / 2
        content.append(f"{warmth:.1f};{pressure:.1f};{'heiss' if warmth > 10.2 else 'kalt'}".replace(".", ","))
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(content).encode() + b"\r\n")
    assert "Fix: the file seems to be separated by ';': write 'delimiter: \";\"'" in refused(path, "Zustand")
    text = refused(path, "Zustand", delimiter=";")
    assert "column 'Temperatur' holds text that looks like numbers, such as '" in text
    assert "column 'Druck' holds text that looks like numbers" in text
    assert "Fix: write 'decimal: \",\"', 'categorical: [Temperatur]' to take it for categories" in text
    samples = load(path, "Zustand", delimiter=";", decimal=",")
    assert samples.inputs.columns["Temperatur"].dtype == np.float64
    assert set(samples.inputs.columns["Temperatur"] % 0.5) == {0.0}
    assert samples.class_names == ("heiss", "kalt")
    assert samples.places is not None
    assert samples.places[0] == "t.csv:2"


@pytest.mark.oddity(KIND, "thousands, percent, currencies, U+2212, units, dates", "an error with what to write")
@pytest.mark.parametrize(
    ("values", "says", "arguments", "numbers"),
    [
        (["1,5", "2,25"], "'decimal: \",\"'", {"decimal": ","}, [1.5, 2.25]),
        (
            ["1.234,5", "2,25"],
            '\'decimal: "," and thousands: "."\'',
            {"decimal": ",", "thousands": "."},
            [1234.5, 2.25],
        ),
        (["1,234,567", "12"], "'thousands: \",\"'", {"thousands": ","}, [1234567, 12]),
        (["1\u00a0234", "12"], "'thousands: \" \"'", {"thousands": " "}, [1234, 12]),
        (["1\u202f234", "1 234 567"], "'thousands: \" \"'", {"thousands": " "}, [1234, 1234567]),
        (["1'234.5", "1\u2019234"], "'thousands: \"'\"'", {"thousands": "'"}, [1234.5, 1234]),
        (["12 %", "7.5%"], "'symbols: ['%']'", {"symbols": ["%"]}, [12, 7.5]),
        (["$5.50", "-$1"], "'symbols: ['$']'", {"symbols": ["$"]}, [5.5, -1]),
        (["12,50 \u20ac", "-3 \u20ac"], "symbols: ['\u20ac']'", {"decimal": ",", "symbols": ["\u20ac"]}, [12.5, -3]),
        ([f"EUR {n}" for n in range(21)], "'symbols: ['EUR']'", {"symbols": ["EUR"]}, [*range(21)]),
        (["2024-02-29", "1970-01-02"], "'dates: {a: \"iso\"}'", {"dates": {"a": "iso"}}, [19782, 1]),
        (["31.12.1970", "1.1.1970"], "'dates: {a: \"%d.%m.%Y\"}'", {"dates": {"a": "%d.%m.%Y"}}, [364, 0]),
        (["12:00", "18:00"], "'dates: {a: \"%H:%M\"}'", {"dates": {"a": "%H:%M"}}, [0.5, 0.75]),
        (
            ["1970-01-02T00:00:00Z", "1970-01-02T01:00:00+01:00"],
            "'dates: {a: \"iso\"}'",
            {"dates": {"a": "iso"}},
            [1, 1],
        ),
    ],
)
def test_numbers_and_dates_that_are_written_differently(
    tmp_path: Path, values: list[str], says: str, arguments: dict[str, Any], numbers: list[float]
) -> None:
    path = rows(tmp_path / "t.parquet", a=values * 10, y=["p", "q"] * (len(values) * 5))
    text = refused(path)
    assert f"column 'a' holds text that looks like {'dates or times' if 'dates' in arguments else 'numbers'}" in text
    assert says in text
    assert "'categorical: [a]' to take it for categories, or 'drop: [a]'" in text
    assert columns_of(load(path, **arguments))["a"] == numbers * 10
    assert columns_of(load(path, categorical=["a"]))["a"] == values * 10


def test_a_minus_of_typography_is_a_minus(tmp_path: Path) -> None:
    assert columns_of(load(csv(tmp_path, "a,y", "\u22121.5,p", "2,q")))["a"] == [-1.5, 2]


@pytest.mark.parametrize(
    ("values", "either"),
    [
        (["1,234", "2,345"], ["'thousands: \",\"'", "'decimal: \",\"'"]),
        (["01/02/2024", "03/04/2024"], ['"%m/%d/%Y"', '"%d/%m/%Y"']),
    ],
)
def test_what_may_mean_two_things_is_asked(tmp_path: Path, values: list[str], either: list[str]) -> None:
    text = refused(rows(tmp_path / "t.parquet", a=values * 10, y=["p", "q"] * 10))
    assert all(part in text for part in either)
    assert "whichever is meant" in text


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            ["$5", "\u20ac6"],
            "column 'a' holds '\u20ac6' among numbers such as '$5'. Fix: bring the column to one unit.",
        ),
        (["$5", "6"], "column 'a' holds '6' among numbers such as '$5'"),
    ],
)
def test_two_units_in_one_column_are_no_numbers(tmp_path: Path, values: list[str], says: str) -> None:
    path = rows(tmp_path / "t.parquet", a=values, y=["p", "q"])
    assert says in refused(path, symbols=["$", "\u20ac"])


@pytest.mark.parametrize(
    "values",
    [
        ["small", "large"],
        ["1", "2", "3", "A"],  # codes, some of which are numbers
        ["18-25", "26-35", "65+"],
        ["<5", "5-10", ">10"],
        ["1st", "2nd", "7th-8th"],
        ["Q1", "Q2"],
        ["+", "-"],
        ["NA", "DE", "FR"],
    ],
)
def test_categories_stay_categories(tmp_path: Path, values: list[str]) -> None:
    path = rows(tmp_path / "t.parquet", a=values * 20, y=["p", "q"] * (len(values) * 10))
    assert columns_of(load(path))["a"] == values * 20


def test_numbers_with_many_words_among_them_are_no_categories(tmp_path: Path) -> None:
    """A fifth of the values is a word for none: with up to 20 different numbers these may be codes, not with more."""
    for different, stops in ((20, False), (21, True)):
        values = [str(number % different) for number in range(different * 4)] + ["unknown"] * different
        path = rows(tmp_path / "t.parquet", a=values, y=["p", "q", "q", "p", "p"] * different)
        if stops:
            assert "column 'a' holds text that looks like numbers" in refused(path)
        else:
            assert columns_of(load(path))["a"] == values
        assert columns_of(load(path, missing=["unknown"]))["a"][0] == 0


def test_a_few_numbers_that_are_written_differently_are_named_with_the_cure(tmp_path: Path) -> None:
    path = csv(tmp_path, "a;y", *[f"{number};p" for number in range(50)], "1,000;q")
    text = refused(path, delimiter=";")
    assert text.startswith(
        f"{path}:52: column 'a' holds '1,000' among numbers. Fix: write 'thousands: \",\"' or 'decimal"
    )


# Whole numbers beyond 2^53.


def ids_as(folder: Path, kind: str, numbers: list[int]) -> Path:
    labels = ["ok" if number % 2 else "broken" for number in numbers]
    if kind == "parquet":
        kind_of = pa.uint64() if numbers[0] >= 2**63 else pa.int64()
        return rows(folder / "t.parquet", device=pa.array(numbers, kind_of), y=labels)
    if kind == "text":
        return rows(folder / "t.parquet", device=[str(number) for number in numbers], y=labels)
    if kind == "csv":
        return csv(folder, "device,y", *[f"{number},{label}" for number, label in zip(numbers, labels, strict=True)])
    documents = [{"device": number, "y": label} for number, label in zip(numbers, labels, strict=True)]
    if kind == "json":
        (folder / "t.json").write_text(json.dumps(documents))
    else:
        (folder / "t.jsonl").write_text("".join(f"{json.dumps(document)}\n" for document in documents))
    return folder / f"t.{kind}"


@pytest.mark.oddity(
    KIND, "64-bit ids in Parquet, JSON and CSV, as categories and as labels", "each keeps all its digits"
)
@pytest.mark.parametrize("kind", ["parquet", "text", "csv", "json", "jsonl"])
@pytest.mark.parametrize("first", [BIG, 2**64 - 5, -BIG, 10**400])
def test_ids_of_64_bits_and_more_keep_their_digits(tmp_path: Path, kind: str, first: int) -> None:
    if first == 10**400 and kind == "parquet":
        pytest.skip("Parquet has no such integers")
    numbers = [first + offset for offset in range(5)] * 2
    path = ids_as(tmp_path, kind, numbers)
    samples = load(path, categorical=["device"])
    assert columns_of(samples)["device"] == [str(number) for number in numbers]
    labelled = load(path, "device", categorical=["y"])
    assert sorted(labelled.class_names) == sorted(map(str, numbers[:5]))
    assert len(set(labelled.labels.tolist())) == 5
    text = refused(path)
    assert "column 'device' holds" in text
    assert "which a 64-bit float cannot represent exactly" in text or "infinite" in text
    assert str(numbers[0])[:50] in text or str(numbers[1])[:50] in text or first == 10**400


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize(
    ("number", "is_exact"), [(2**53, True), (2**53 + 1, False), (-(2**53) - 1, False), (2**60, True)]
)
def test_a_feature_and_a_target_at_the_limit_of_float64(tmp_path: Path, kind: str, number: int, is_exact: bool) -> None:
    path = ids_as(tmp_path, kind, [number, 1])
    target = {"label": "device", "regression": True, "categorical": ["y"]}
    if is_exact:
        assert columns_of(load(path))["device"] == [float(number), 1.0]
        assert load(path, **target).labels.tolist() == [float(number), 1.0]
        return
    first = 2 if kind == "csv" else 1
    assert refused(path).startswith(
        f"{path}:{first}: column 'device' holds {number}, which a 64-bit float cannot represent exactly"
    )
    text = refused(path, **target)
    assert text.startswith(
        f"{path.name}:{first}: label {number} is a number that a 64-bit float cannot represent exactly"
    )


def test_numbers_that_are_no_floats_as_classes(tmp_path: Path) -> None:
    from decimal import Decimal

    halves = pa.array([0.1, 0.5, 3.0, 0.1], pa.float32())
    assert load(rows(tmp_path / "a.parquet", y=halves, x=[1, 2, 3, 4])).class_names == ("3", "0.1", "0.5")
    exact = [Decimal("1.10"), Decimal("12345678901234567890123456789.01"), Decimal("2.00"), Decimal("1.10")]
    path = rows(tmp_path / "b.parquet", y=pa.array(exact, pa.decimal128(38, 2)), x=[1, 2, 3, 4])
    assert set(load(path).class_names) == {"1.1", "12345678901234567890123456789.01", "2"}
    assert "x" in columns_of(load(path))
    assert "column 'y' holds 12345678901234567890123456789.01, which a 64-bit" in refused(path, "x")
    assert load(rows(tmp_path / "c.parquet", y=[True, False], x=[1, 2])).class_names == ("false", "true")


def test_one_number_in_two_spellings_is_no_two_classes(tmp_path: Path) -> None:
    path = csv(tmp_path, "x,y", "1,1", "2,1.0", "3,0")
    text = refused(path)
    assert text.startswith("t.csv:3: label '1.0' is the same number as label '1'")
    assert "map both to one name under 'class_names'" in text
    named = load(path, class_names={"0": "no", "1": "yes", "1.0": "yes"})
    assert (named.labels.tolist(), named.class_names) == ([1, 1, 0], ("no", "yes"))
    (tmp_path / "t.jsonl").write_text('{"x": 1, "y": 1}\n{"x": 2, "y": 1.0}\n{"x": 3, "y": 0}\n')
    assert load(tmp_path / "t.jsonl").class_names == ("0", "1")  # JSON has one way to mean 1


def test_what_training_reads_the_service_takes() -> None:
    ids = [str(BIG + offset) for offset in range(3)]
    table = Table({"id": np.array(ids, dtype=object), "x": np.arange(3.0)})
    encoder = TabularEncoder.fit(Samples(table, np.zeros(3)), TabularEncoding())
    for offset in range(3):
        as_text = encoder.encode_json({"id": ids[offset], "x": 1})
        assert encoder.encode_json({"id": BIG + offset, "x": 1}).tolist() == as_text.tolist()
    problem = encoder.columns[1].problem
    assert problem("12,5", True) == "x: '12,5' is not a number. Expected one of JSON, such as 1."
    assert (
        problem(2**53 + 1, True)
        == "x: 9007199254740993 is a whole number that a 64-bit float cannot represent exactly."
    )
    assert problem(2**53, True) == ""


def test_the_service_says_what_number_a_date_is(tmp_path: Path) -> None:
    path = csv(tmp_path, "when,y", "1.1.1970,1", "3.1.1970,2")
    samples = load(path, dates={"when": "%d.%m.%Y"}, regression=True)
    encoder = TabularEncoder.fit(samples, TabularEncoding())
    assert encoder.expected.startswith("an object with when: a number of days since 1970-01-01 UTC, or a date")
    assert "'3.1.1970' is not a number. Expected one of JSON of days since" in encoder.columns[0].problem(
        "3.1.1970", True
    )
    for value in (2, "1970-01-03", "1970-01-03T00:00:00Z", "1970-01-03 01:00:00+01:00"):
        assert encoder.encode_json({"when": value}).tolist() == encoder.encode(samples.inputs)[1:].tolist()
    path = csv(tmp_path, "at,y", "6 AM,1", "6 PM,2")
    samples = load(path, dates={"at": "%I %p"}, regression=True)
    encoder = TabularEncoder.fit(samples, TabularEncoding())
    assert encoder.encode_json({"at": "18:00"}).tolist() == encoder.encode(samples.inputs)[1:].tolist()


# An index, a column without a name, a name twice.


@pytest.mark.oddity(KIND, "a DataFrame's index in Parquet, from two tables stacked by class", "no feature, and said")
def test_an_index_of_pandas_is_no_feature(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"x": generator.normal(size=60), "y": ["good"] * 30 + ["bad"] * 30})
    frame = frame.sample(frac=1, random_state=1)
    frame.to_parquet(tmp_path / "t.parquet")
    assert list(columns_of(load(tmp_path / "t.parquet"))) == ["x"]
    assert list(columns_of(load(tmp_path / "t.parquet"))) == ["x"]
    told = "'__index_level_0__' is the index of the DataFrame that was written, and not a feature"
    assert caplog.text.count(told) == 1, "each node reads the data anew, and says it once"
    frame.rename_axis("id").to_parquet(tmp_path / "t.parquet")
    assert list(columns_of(load(tmp_path / "t.parquet"))) == ["x"]
    assert list(columns_of(load(tmp_path / "t.parquet", numeric=["id"]))) == ["x", "id"]
    assert list(columns_of(load(tmp_path / "t.parquet", drop=["id"]))) == ["x"]
    assert load(tmp_path / "t.parquet", "id", regression=True, drop=["y"]).labels.tolist() == frame.index.tolist()


@pytest.mark.oddity(KIND, "a CSV with pandas' index: a first column without a name", "an error that says to drop it")
def test_a_column_without_a_name_is_refused_until_it_is_dropped_or_named(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [0.5, 0.25], "y": ["good", "bad"]})
    frame.to_csv(tmp_path / "t.csv")
    text = refused(tmp_path / "t.csv")
    assert (
        "column 1 has no name: it looks like the index of pandas. Fix: name the columns in the catalog, 'columns: ["
        in text
    )
    assert "'drop: [column 1]'" in text
    assert list(columns_of(load(tmp_path / "t.csv", drop=["column 1"]))) == ["x"]
    assert list(columns_of(load(tmp_path / "t.csv", columns=["id", "x", "y"]))) == ["id", "x"]
    pd.read_csv(tmp_path / "t.csv").to_csv(tmp_path / "t.csv", index=False)
    assert "column 1 is called 'Unnamed: 0', as pandas calls an index" in refused(tmp_path / "t.csv")
    assert list(columns_of(load(tmp_path / "t.csv", drop=["Unnamed: 0"]))) == ["x"]
    assert list(columns_of(load(tmp_path / "t.csv", numeric=["Unnamed: 0"]))) == ["Unnamed: 0", "x"]
    rows(tmp_path / "t.parquet", __index_level_0__=[1, 2], x=[1, 2], y=["a", "b"])
    assert "'__index_level_0__', as pandas calls an index" in refused(tmp_path / "t.parquet")


@pytest.mark.oddity(KIND, "a delimiter at the end of each line", "read without the empty column that has no name")
def test_a_trailing_delimiter(tmp_path: Path) -> None:
    path = csv(tmp_path, "x,y,", "0.5,p,", "0.25,q,")
    assert columns_of(load(path)) == {"x": [0.5, 0.25]}
    path = csv(tmp_path, "x,y,", "0.5,p,", "0.25,q,7")
    assert "column 3 has no name" in refused(path)
    path = csv(tmp_path, "x,y", "0.5,p,", "0.25,q,")
    assert f"{path}:2: 3 values, but 2 columns" in refused(path)


@pytest.mark.oddity(KIND, "two columns, or two keys of one object, of one name", "an error that names it and the cure")
def test_a_name_that_is_there_twice(tmp_path: Path) -> None:
    assert "column 'x' appears twice (the second is column 2)" in refused(csv(tmp_path, "x, x,y", "1,2,p"))
    table = pa.table([pa.array([1]), pa.array([2]), pa.array(["p"])], names=["x", "x", "y"])
    parquet.write_table(table, tmp_path / "t.parquet")
    text = refused(tmp_path / "t.parquet")
    assert "column 'x' appears twice" in text
    assert "'columns: [...]'" in text
    assert columns_of(load(tmp_path / "t.parquet", columns=["a", "b", "y"])) == {"a": [1], "b": [2]}
    (tmp_path / "t.jsonl").write_text('{"x": 1, "x": 2, "y": "p"}\n')
    assert f"{tmp_path / 't.jsonl'}:1: not JSON (key 'x' appears twice)" in refused(tmp_path / "t.jsonl")


# Missing values.


def write_as(folder: Path, kind: str, columns: dict[str, list[Any]]) -> Path:
    path = folder / f"t.{kind}"
    if kind == "csv":
        lines = [
            ",".join("" if value is None else str(value) for value in row)
            for row in zip(*columns.values(), strict=True)
        ]
        return csv(folder, ",".join(columns), *lines)
    if kind == "parquet":
        return rows(path, **columns)
    documents = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    path.write_text(json.dumps(documents) if kind == "json" else "".join(f"{json.dumps(one)}\n" for one in documents))
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl", "json"])
def test_one_rule_for_missing_values_in_all_formats(tmp_path: Path, kind: str) -> None:
    columns = {
        "number": [1.5, None, -999.0, 2.5],
        "whole": [1, None, -999, 2],
        "word": ["a", None, "?", ""],
        "y": ["p", "q", "?", None],
    }
    path = write_as(tmp_path, kind, columns)
    samples = load(path, missing=["?", -999])
    found = columns_of(samples)
    np.testing.assert_array_equal(found["number"], [1.5, np.nan, np.nan, 2.5])
    np.testing.assert_array_equal(found["whole"], [1, np.nan, np.nan, 2])
    assert found["word"] == ["a", None, None, None]
    assert samples.labels.tolist() == [0, 1, -1, -1]
    text = refused(path)
    assert (
        "label '?' looks like a missing value. Fix: label or remove these rows, or list it under 'class_names'" in text
    )


@pytest.mark.oddity(KIND, "labels nan, None, N/A, null", "an error that says how to go on; the country NA stays one")
@pytest.mark.parametrize("label", ["nan", "NaN", "None", "null", "N/A", "NA", "#N/A", "-", "?", "<NA>", "NULL", "n/a"])
def test_labels_that_look_missing(tmp_path: Path, label: str) -> None:
    lines = [f"{country},{'1.0' if country == 'NA' else '0.0'}" for country in ["NA", "DE", "FR"] * 5]
    path = csv(tmp_path, "country,y", *lines, f"DE,{label}")
    text = refused(path)
    assert text.startswith(f"t.csv:17: label '{label}' looks like a missing value. Fix: label or remove")
    samples = load(path, missing=[label])
    assert (samples.labels[-1], samples.class_names) == (-1, ("0.0", "1.0"))
    assert set(columns_of(samples)["country"]) == ({None, "DE", "FR"} if label == "NA" else {"NA", "DE", "FR"})
    kept = load(path, class_names=["0.0", "1.0", label])
    assert kept.labels[-1] == 2


def test_nan_of_floats_is_missing(tmp_path: Path) -> None:
    path = rows(tmp_path / "t.parquet", x=[1.0, float("nan")], y=[float("nan"), 1.0])
    assert load(path).labels.tolist() == [-1, 0]
    (tmp_path / "t.jsonl").write_text('{"x": NaN, "w": "a", "y": 1}\n{"x": 2, "w": NaN, "y": NaN}\n')
    samples = load(tmp_path / "t.jsonl")
    np.testing.assert_array_equal(columns_of(samples)["x"], [np.nan, 2])
    assert (columns_of(samples)["w"], samples.labels.tolist()) == (["a", None], [0, -1])


# Types of columns.


@pytest.mark.oddity(KIND, "a column that is empty in one split", "it takes the type that it has in the other")
def test_a_column_that_is_empty_in_one_split(tmp_path: Path) -> None:
    from thresher.modalities import EncodingChoice
    from thresher.pipelines.contract.nodes import describe_samples

    full = load(csv(tmp_path, "x,w,y", "1,a,p", "2,b,q", ",,p"))
    empty = load(csv(tmp_path, "x,w,y", ",a,p", ",b,q", name="e.csv"))
    no_words = load(csv(tmp_path, "x,w,y", "1,,p", "2,,q", name="w.csv"))
    encoding = EncodingChoice.model_validate({"kind": "tabular"})
    encoder = TabularEncoder.fit(full, TabularEncoding())
    for other in (empty, no_words):
        described = describe_samples(full, other, encoding)
        assert described["x"].dtype == np.float64
        assert described["num_missing"].tolist() == [0, 0, 2, 1, 1]
        assert encoder.encode(other.inputs).shape == (2, 3)
        with pytest.raises(DataError, match=r"has no value in train. Fix: 'drop: \[[xw]\]'"):
            require_agreement(other, full)


@pytest.mark.parametrize(
    ("different", "repeated", "stops"), [(50, 0, False), (51, 0, True), (80, 20, False), (81, 19, True)]
)
def test_a_column_of_names_is_no_category(tmp_path: Path, different: int, repeated: int, stops: bool) -> None:
    """Refused with more than 50 different values that are more than four fifths of all."""
    names = [f"person {'abcdefghij'[number // 10]}{'abcdefghij'[number % 10]}" for number in range(different)]
    names += names[:1] * repeated
    path = rows(
        tmp_path / "t.parquet", name=names, x=list(range(len(names))), y=(["p", "q"] * len(names))[: len(names)]
    )
    samples = load(path)
    if not stops:
        require_agreement(samples, samples)
        return
    with pytest.raises(DataError, match=r"nothing can be learned from it. Fix: 'drop: \[name\]', or 'categorical"):
        require_agreement(samples, samples)
    insisted = load(path, categorical=["name"])
    require_agreement(insisted, insisted.take(np.arange(10)))


@pytest.mark.oddity(KIND, "Parquet of string_view, large_string, dictionaries; .PARQUET", "read as text")
def test_all_that_parquet_calls_text(tmp_path: Path) -> None:
    texts = pa.array(["a", None, "b", ""])
    columns = {
        "plain": texts,
        "large": texts.cast(pa.large_string()),
        "view": texts.cast(pa.string_view()),
        "coded": texts.dictionary_encode(),
        "y": pa.array(["p", "q"] * 2).dictionary_encode(),
    }
    parquet.write_table(pa.table(columns), tmp_path / "T.PARQUET")
    found = columns_of(load(tmp_path / "T.PARQUET"))
    assert all(found[name] == ["a", None, "b", None] for name in ("plain", "large", "view", "coded"))


@pytest.mark.oddity(KIND, "lists or objects in a column", "nothing where it is dropped, else an error that names it")
def test_nested_values_can_be_dropped(tmp_path: Path) -> None:
    documents = [{"x": 1, "deep": {"a": [1]}, "y": "p"}, {"x": 2, "deep": [2], "y": "q"}]
    (tmp_path / "t.jsonl").write_text("".join(f"{json.dumps(document)}\n" for document in documents))
    assert columns_of(load(tmp_path / "t.jsonl", drop=["deep"])) == {"x": [1, 2]}
    assert f"{tmp_path / 't.jsonl'}:1: column 'deep' holds dict" in refused(tmp_path / "t.jsonl")
    (tmp_path / "m.jsonl").write_text('{"x": 1, "m": 1, "y": "p"}\n{"x": 2, "m": "two", "y": "q"}\n')
    assert columns_of(load(tmp_path / "m.jsonl", drop=["m"])) == {"x": [1, 2]}
    assert "m.jsonl:2: column 'm' holds text two, in others number" in refused(tmp_path / "m.jsonl")
    path = rows(tmp_path / "t.parquet", x=[1, 2], deep=[{"a": 1}, {"a": 2}], many=[[1], [2]], y=["p", "q"])
    assert columns_of(load(path, drop=["deep", "many"])) == {"x": [1, 2]}
    assert "column 'many' is of type list<" in refused(path, drop=["deep"])


def test_dates_of_parquet_are_numbers_where_that_is_said(tmp_path: Path) -> None:
    days = pd.to_datetime(["1970-01-02 00:00", "1970-01-03 12:00"])
    berlin = days.tz_localize("Europe/Berlin")
    columns = {
        "stamp": pa.array(days),
        "zoned": pa.array(berlin.to_pydatetime().tolist(), pa.timestamp("ms", "Europe/Berlin")),
        "day": pa.array(days.date),
        "time": pa.array([43_200, None], pa.time32("s")),
    }
    path = rows(tmp_path / "t.parquet", **columns, y=["p", "q"])
    text = refused(path)
    assert "column 'stamp' holds dates or times (timestamp[" in text
    assert "'dates: {day: iso}' to take it for numbers" in text
    found = columns_of(load(path, dates=dict.fromkeys(columns, "iso")))
    assert (found["stamp"], found["day"]) == ([1, 2.5], [1, 2])
    assert found["zoned"] == pytest.approx([1 - 1 / 24, 2.5 - 1 / 24])
    np.testing.assert_array_equal(found["time"], [0.5, np.nan])
    assert columns_of(load(path, categorical=["day"], drop=["stamp", "zoned", "time"]))["day"][0] == "1970-01-02"


def test_dates_that_are_none(tmp_path: Path) -> None:
    path = csv(tmp_path, "d,y", "2024-01-31,p", "2024-02-31,q")
    text = refused(path, dates={"d": "iso"})
    assert text.startswith(f"{path}:3: column 'd' holds '2024-02-31', which is not a date as 'iso'. Fix: ")
    with pytest.raises(DataError, match=r"dates\.d: 'days' given. Fix: iso, or a format"):
        load(path, dates={"d": "days"})


@pytest.mark.oddity(KIND, "a CSV field of more than 131,072 characters", "read")
@pytest.mark.parametrize("quote", ["", '"', ' "'])
def test_fields_of_any_size(tmp_path: Path, quote: str) -> None:
    long = "x" * 1_500_000 + " good"
    path = csv(tmp_path, "text,label", "short,b", f"{quote}{long}{quote.strip()},a")
    samples = TextTable(path=str(tmp_path), file=path.name).load()
    assert samples.inputs.tolist() == ["short", long]


@pytest.mark.oddity(KIND, "half of a surrogate pair in JSON Lines", "an error with the line")
def test_half_a_surrogate_pair_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": "b\\ud83d", "label": "y"}\n')
    with pytest.raises(DatasetError, match=r"t.jsonl:2: column 'text' holds half of a surrogate pair"):
        TextTable(path=str(tmp_path), file="t.jsonl").load()


def test_numbers_as_classes_without_end_are_a_regression(tmp_path: Path) -> None:
    path = csv(tmp_path, "x,y", *[f"{number},{number / 7}" for number in range(60)])
    assert "60 different labels in 60 samples, such as '0.0'. Fix: 'regression: true'" in refused(path)


def test_points_that_may_divide_thousands_are_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = [f"{number}.{number}00" for number in range(1, 6)] + ["999"]
    path = csv(tmp_path, "a,y", *[f"{value},p" for value in values])
    assert "'1.100', whose point may divide thousands. Fix: write 'decimal: \",\"' and 'thousands: \".\"'" in refused(
        path
    )
    assert columns_of(load(path, numeric=["a"]))["a"][:2] == [1.1, 2.2]
    assert columns_of(load(path, decimal=",", thousands="."))["a"][:2] == [1100, 2200]
    for others in ([*values[:4], "999"], [*values, "1.25"], [*values[:5], "0.125", "999"], [*values[:5], ""]):
        assert load(csv(tmp_path, "a,y", *[f"{value},p" for value in others]))
    load(csv(tmp_path, "a,y", "01067,p", "99998,q"))
    assert (
        "column 'a' is read as numbers: '01067' loses its zeros. If these are codes, write 'categorical" in caplog.text
    )


def test_labels_of_a_regression_that_are_written_differently(tmp_path: Path) -> None:
    path = csv(tmp_path, "x;y", "1;12,5", "2;3")
    text = refused(path, delimiter=";", regression=True)
    assert text == "t.csv:2: label '12,5' is not a finite number. Fix: write 'decimal: \",\"', or correct or remove it."
    assert load(path, delimiter=";", regression=True, decimal=",").labels.tolist() == [12.5, 3]
    path = csv(tmp_path, "x,y", "1,$5", "2,\u20ac6")
    text = refused(path, regression=True, symbols=["$", "\u20ac"])
    assert text == "t.csv:3: label '\u20ac6' beside '$'. Fix: bring labels to one unit."


def test_arguments_without_an_effect_are_refused() -> None:
    for file, arguments in (
        ("t.parquet", {"delimiter": ";"}),
        ("t.JSONL.gz", {"columns": ["a"]}),
        ("t.json", {"quote": "none"}),
    ):
        (name,) = arguments
        with pytest.raises(DataError, match=rf"{name}: given, but a file of \w+.* has none"):
            TableFile(file=file, label="y", **arguments)
    with pytest.raises(DataError, match=r"t.xlsx: a spreadsheet, which is not read. Fix: save it as CSV"):
        TableFile(file="t.xlsx", label="y")
    with pytest.raises(DataError, match=r"thousands: ',' given, which divides the fraction too"):
        TableFile(file="t.csv", label="y", decimal=",", thousands=",")


@pytest.mark.oddity(KIND, "a first line sep=; as Excel writes it", "an error with what to write")
def test_the_line_that_excel_reads_the_delimiter_from(tmp_path: Path) -> None:
    path = csv(tmp_path, "sep=;", "x;y", "1;p", "2;q")
    text = refused(path)
    assert "begins with 'sep=;', which Excel writes. Fix: write 'delimiter: \";\"' and 'skip_lines" in text
    assert columns_of(load(path, delimiter=";", skip_lines_starting_with="sep="))["x"] == [1, 2]


@pytest.mark.parametrize("delimiter", ["\u00a7", " ", "|", "\t", "~"])
def test_any_character_may_divide(tmp_path: Path, delimiter: str) -> None:
    path = csv(tmp_path, *[delimiter.join(line) for line in (("x", "y"), ("1", "p"), ("2", "q"))])
    samples = load(path, delimiter=delimiter)
    assert (columns_of(samples), samples.labels.tolist()) == ({"x": [1, 2]}, [0, 1])


@pytest.mark.parametrize("code", ["nan", "N/A", "-", "?", "null"])
def test_codes_for_none_among_numbers_are_no_categories(tmp_path: Path, code: str) -> None:
    path = rows(tmp_path / "t.parquet", a=["1", "2", code, code], y=["p", "q", "p", "q"])
    assert f"t.parquet:3: column 'a' holds '{code}' among numbers; " in refused(path)
    np.testing.assert_array_equal(columns_of(load(path, missing=[code]))["a"], [1, 2, np.nan, np.nan])
    assert columns_of(load(path, categorical=["a"]))["a"] == ["1", "2", code, code]


def test_a_header_is_no_row(tmp_path: Path) -> None:
    path = csv(tmp_path, "x, y", "1,p")
    text = refused(path, header=False, columns=["x", "y"])
    assert "the first row holds the names of the columns. Fix: leave out 'header: false'" in text


@pytest.mark.parametrize("kind", [pa.float16(), pa.decimal32(5, 1), pa.decimal256(60, 1)])
def test_rare_types_of_numbers(tmp_path: Path, kind: pa.DataType) -> None:
    from decimal import Decimal

    numbers: list[Any] = [Decimal("1.5"), None, Decimal("2.0")] if pa.types.is_decimal(kind) else [1.5, None, 2.0]
    path = rows(tmp_path / "t.parquet", a=pa.array(numbers, kind), y=["p", "q", "p"])
    np.testing.assert_array_equal(columns_of(load(path))["a"], [1.5, np.nan, 2])
    assert columns_of(load(path, categorical=["a"]))["a"] == ["1.5", None, "2"]


@pytest.mark.oddity(KIND, "JSON of 100,000 brackets within each other", "an error with the line")
def test_json_without_a_bottom(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"x": 1, "y": "p"}\n{"x": ' + "[" * 100_000 + "]" * 100_000 + ', "y": "q"}\n')
    assert f"{tmp_path / 't.jsonl'}:2: not JSON (maximum recursion depth" in refused(tmp_path / "t.jsonl")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (["12,5", "n/a"], "'decimal: \",\"'"),
        (["100%", "50%", "?"], "symbols: ['%']"),
        (["1,5e3", "2"], "'decimal: \",\"'"),
        (["US$ 5", "US$ 6"], "symbols: ['US$']"),
        (["2024-W05", "2024-W06"], '"iso"'),
        (["12:30:15.5", "12:30:16.0"], '"%H:%M:%S.%f"'),
        (["20240131", "20240201"], '"%Y%m%d"'),
        ([f"({number})" for number in range(21)], "'categorical: [a]'"),
        ([f"10.0.0.{number}" for number in range(21)], "'categorical: [a]'"),
    ],
)
def test_more_that_is_no_category(tmp_path: Path, values: list[str], says: str) -> None:
    text = refused(rows(tmp_path / "t.parquet", a=values, y=(["p", "q"] * len(values))[: len(values)]))
    assert "column 'a' holds " in text
    assert says in text


def test_dates_in_digits(tmp_path: Path) -> None:
    path = rows(tmp_path / "t.parquet", a=[20240131, 20240201, None], b=[20241301, 20240101, 1], y=["p", "q", "p"])
    np.testing.assert_array_equal(columns_of(load(path, dates={"a": "%Y%m%d"}))["a"], [19753, 19754, np.nan])
    np.testing.assert_array_equal(columns_of(load(path, numeric=["a"]))["a"], [20240131, 20240201, np.nan])
    assert columns_of(load(csv(tmp_path, "a,y", "\u20135,p", "6,q")))["a"] == [-5, 6]


@pytest.mark.parametrize("kind", [np.int64, np.uint64, ">i8"])
def test_labels_of_arrays_keep_their_digits(tmp_path: Path, kind: Any) -> None:
    labels = np.array([2**60, 2**60 + 1, 2**60 + 2], dtype=kind)
    np.savez(tmp_path / "t.npz", images=np.zeros((3, 2, 2), np.uint8), labels=labels)
    samples = NpzImages(path=str(tmp_path), file="t.npz").load()
    assert samples.class_names == tuple(str(2**60 + offset) for offset in range(3))
    with pytest.raises(
        DatasetError, match=rf"t.npz:2: label {2**60 + 1} is a number that a 64-bit float cannot represent exactly"
    ):
        NpzImages(path=str(tmp_path), file="t.npz", regression=True).load()


def test_lines_may_be_compressed_and_labels_missing(tmp_path: Path) -> None:
    import gzip

    (tmp_path / "q.txt.gz").write_bytes(gzip.compress(b"0 How far\n? Who\n1 When\n"))
    entry = {"path": str(tmp_path), "file": "q.txt.gz"}
    with pytest.raises(DatasetError, match=r"q.txt.gz:2: label '\?' looks like a missing value"):
        LabeledLines(**entry).load()
    assert LabeledLines(**entry, missing=["?"]).load().labels.tolist() == [0, -1, 1]


# Advice that can be followed to the letter, and columns of one file that are written differently.


@pytest.mark.oddity(KIND, "decimal commas in one column, points in another", "both are numbers, which is said")
def test_one_file_may_hold_numbers_of_people_and_of_programs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = [f'"{row},5 €",0.{row + 100},{row / 8},{"ab"[row % 2]}' for row in range(40)]
    path = csv(tmp_path, "price,share,grade,y", *lines)
    form: dict[str, Any] = {"decimal": ",", "thousands": ".", "symbols": ["€"]}
    columns = columns_of(load(path, **form))
    assert columns["price"] == [row + 0.5 for row in range(40)]
    assert columns["share"] == [float(f"0.{row + 100}") for row in range(40)]
    assert columns["grade"] == [row / 8 for row in range(40)]
    assert "column 'share' is written as programs write numbers, and not as the catalog says" in caplog.text
    assert load(path, "grade", drop=["y"], regression=True, **form).labels.tolist() == [row / 8 for row in range(40)]


@pytest.mark.oddity(
    KIND, "addresses of machines, and amounts of two units", "an error without a cure that cures nothing"
)
@pytest.mark.parametrize(
    "values",
    [
        [f"10.{row}.200.{row % 7}" for row in range(60)],
        [f"{row}{'kM'[row % 2]}" for row in range(60)],
        [f"${row}.50" if row % 3 else f"(${row}.50)" for row in range(60)],
    ],
)
def test_no_cure_is_printed_that_does_not_cure(tmp_path: Path, values: list[str]) -> None:
    path = csv(tmp_path, "x,y", *(f"{value},{'ab'[row % 2]}" for row, value in enumerate(values)))
    assert "Fix: write 'categorical: [x]'" in refused(path)


def test_a_fraction_with_an_exponent_has_no_thousands(tmp_path: Path) -> None:
    path = csv(tmp_path, "x;y", *(f"{row % 9 + 1},{row + 100}E-06;{'ab'[row % 2]}" for row in range(40)))
    assert "Fix: write 'decimal: \",\"', 'categorical: [x]'" in refused(path, delimiter=";")


@pytest.mark.oddity(
    "Splits and contracts", "one group, one time or one content in all rows", "an error, no empty test split"
)
@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"group": "g"}, "100 samples cannot be divided into train and test: all are linked by 'group'"),
        ({"order": "g"}, "100 samples cannot be divided into train and test: all are of one time by 'order'"),
        ({"drop": ["x"]}, "100 samples cannot be divided into train and test: each class has one sample, or copies"),
    ],
)
def test_what_cannot_be_divided_leaves_no_split_empty(tmp_path: Path, more: dict[str, Any], says: str) -> None:
    path = csv(tmp_path, "x,g,y", *(f"{row},1,{'ab'[row % 2]}" for row in range(100)))
    for split in ("train", "test"):
        assert says in refused(path, split=split, test_share=0.2, **more)


def test_an_order_is_read_as_the_entry_says_numbers_are_written(tmp_path: Path) -> None:
    path = csv(tmp_path, "x;t;y", "1;1.234;a", "2;999,5;b", "3;5;a", "4;2.000;b")
    order = load(path, delimiter=";", order="t", decimal=",", thousands=".").order
    assert order is not None
    assert order.tolist() == [1234, 999.5, 5, 2000]


@pytest.mark.oddity(
    KIND, "labels that differ in case, or as Unicode composes them, alone", "two classes, which is said"
)
@pytest.mark.parametrize("pair", [("Yes", "yes"), ("\u00e9", "e\u0301"), ("a", "a\u200b"), ("a b", "a  b")])
def test_spellings_of_one_label_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, pair: tuple[str, str]
) -> None:
    path = csv(tmp_path, "x,y", *(f"{row},{pair[row % 2]}" for row in range(20)))
    assert set(load(path).class_names) == set(pair)
    assert "differ in case, blanks or Unicode form alone, and are two classes" in caplog.text
    caplog.clear()
    assert load(path, class_names=dict.fromkeys(pair, "one")).class_names == ("one",)
    assert not caplog.text


@pytest.mark.oddity(KIND, "a compressed or binary file with the name of a text", "an error that says what it is")
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(b"x,y\n1,a\n", mtime=0), "compressed by gzip"),
        (b"PK\x03\x04\x14\x00\xff\xfe", "an archive or a spreadsheet (zip)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a spreadsheet of old Excel"),
        (b"PAR1\xc0\x8b", "a Parquet file"),
    ],
)
def test_a_binary_file_is_no_text_of_another_encoding(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    assert f"t.csv: {says}, which its name does not say." in refused(tmp_path / "t.csv")


@pytest.mark.oddity(
    KIND, "`columns` for a file without a header", "a line that says that the first row is taken for one"
)
def test_a_first_row_that_columns_replace_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = csv(tmp_path, "1,2.5,a", "2,3.5,b", "3,4.5,a")
    assert len(load(path, columns=["u", "v", "y"])) == 2
    assert "the first line, '1,2.5,a', is treated as the header" in caplog.text
    caplog.clear()
    assert len(load(path, columns=["u", "v", "y"], header=False)) == 3
    assert not caplog.text


@pytest.mark.parametrize(("form", "shown"), [("%b-%Y", "Jan-2015"), ("%b-%y", "Jan-15"), ("%B %Y", "January 2015")])
def test_months_of_a_year_are_dates(tmp_path: Path, form: str, shown: str) -> None:
    days = [datetime(2015 + row % 3, 1 + row % 12, 1, tzinfo=UTC).strftime(form) for row in range(60)]
    path = csv(tmp_path, "d,y", *(f"{day},{'ab'[row % 2]}" for row, day in enumerate(days)))
    assert days[0] == shown
    assert f"'dates: {{d: \"{form}\"}}'" in refused(path)
    assert columns_of(load(path, dates={"d": form}))["d"][0] == 16436.0


def test_labels_that_count_from_one_are_told_to_be_mapped(tmp_path: Path) -> None:
    path = csv(tmp_path, "x,y", *(f"{row},{1 + row % 2}" for row in range(20)))
    assert "a mapping says which label is which class: class_names: {'1': NAME, ...}" in refused(
        path, class_names=["no", "yes"]
    )


@pytest.mark.oddity(KIND, "500 columns with one mistake each", "the first 20 are told, and how many more there are")
def test_mistakes_in_hundreds_of_columns_are_told_in_short(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(500)]
    path = csv(tmp_path, ";".join([*names, "y"]), *(";".join(["1,5"] * 500 + ["ab"[row % 2]]) for row in range(20)))
    text = refused(path, delimiter=";")
    assert text.count("holds text that looks like numbers") == 20
    assert text.endswith("And 480 more such columns.")
    assert len(load(path, delimiter=";", decimal=",").inputs.columns) == 500


@pytest.mark.oddity(KIND, "more than 20 values such as ~20 or <5 among numbers", "an error with what to write")
@pytest.mark.parametrize(
    ("values", "arguments"),
    [
        ([f"~{number}" for number in range(60)], {"symbols": ["~"]}),
        ([f"<{number}" for number in range(60)], {"categorical": ["x"]}),
        ([*map(str, range(100)), *(f"~{number}" for number in range(25))], {"symbols": ["~"]}),
    ],
)
def test_numbers_that_are_not_exact_are_no_categories(
    tmp_path: Path, values: list[str], arguments: dict[str, Any]
) -> None:
    path = csv(tmp_path, "x,y", *(f"{value},{row % 2}" for row, value in enumerate(values)))
    assert "column 'x' holds text that looks like numbers" in refused(path)
    load(path, **arguments)


def test_a_few_ages_are_categories(tmp_path: Path) -> None:
    path = csv(tmp_path, "x,y", *(f"{('<18', '<30', '>65')[row % 3]},{row % 2}" for row in range(60)))
    assert load(path).inputs.columns["x"].dtype == object


@pytest.mark.oddity(KIND, "UTF-16 without a byte order mark", "an error that names the encoding")
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_named(tmp_path: Path, encoding: str) -> None:
    path = csv(tmp_path, "x,y", "1,a", "2,b", encoding=encoding)
    assert f"Fix: write 'encoding: {encoding}' in the catalog." in refused(path)
    assert load(path, encoding=encoding).inputs.columns["x"].tolist() == [1, 2]


@pytest.mark.oddity(KIND, "an empty file", "an error that says so, at check too")
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.json"])
def test_an_empty_file_is_called_so(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("\ufeff\n")
    assert f"{name}: the file is empty. Fix: " in refused(tmp_path / name)


@pytest.mark.oddity(KIND, "one 1e39 among numbers up to 100", "an error with the place: the others would become equal")
def test_a_number_beside_which_others_become_equal_is_refused() -> None:
    numbers = np.append(np.arange(100.0), 1e39)
    samples = Samples(Table({"x": numbers}), np.arange(101) % 2, ("a", "b"))
    with pytest.raises(DataError, match=r"sample 100: Column x holds 1e\+39: beside it, others become equal"):
        TabularEncoder.fit(samples, TabularEncoding())
    with pytest.raises(DataError, match=r"sample 100: the label is 1e\+39: beside it, others"):
        output_of(Samples(np.zeros((101, 1), np.float32), numbers))
    TabularEncoder.fit(
        Samples(Table({"x": np.append(np.zeros(100), 1e39)}), samples.labels, ("a", "b")), TabularEncoding()
    )


@pytest.mark.parametrize("pair", [("True", "TRUE"), ("Den Haag", "Den  Haag"), ("\u00e9", "e\u0301")])
def test_spellings_of_one_category_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, pair: tuple[str, str]
) -> None:
    path = csv(tmp_path, "x,y", *(f"{pair[row % 2]},{'ab'[row % 2]}" for row in range(20)))
    assert set(columns_of(load(path))["x"]) == set(pair)
    assert f"column 'x': '{min(pair)}' and '{max(pair)}' differ in case" in caplog.text
    assert "are two categories" in caplog.text


def test_categories_that_differ_in_more_are_not_remarked_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(csv(tmp_path, "x,y", "true,a", "false,b", "True?,a"))
    assert not caplog.text


@pytest.mark.parametrize("num_rows", [2, 5, 9, 30])
def test_a_row_of_units_is_refused_in_a_table_of_any_length(tmp_path: Path, num_rows: int) -> None:
    path = csv(tmp_path, "weight,town,y", "kg,name,class", *(f"{row}.5,{'AB'[row % 2]},a" for row in range(num_rows)))
    text = refused(path)
    assert "t.csv:2: column 'weight' holds 'kg' among numbers" in text
    assert "name the column under 'categorical'" in text
    assert columns_of(load(path, categorical=["weight"]))["weight"][0] == "kg"


@pytest.mark.parametrize("values", [["S", "1"], ["S", "1", "M", "2"], ["1", "2", "S"]])
def test_a_category_among_numbers_that_is_no_unit_stays_one(tmp_path: Path, values: list[str]) -> None:
    path = csv(tmp_path, "x,y", *(f"{value},{'ab'[row % 2]}" for row, value in enumerate(values)))
    assert columns_of(load(path))["x"] == values
