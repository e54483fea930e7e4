"""New rows in files get the service's answers, to the last bit, and those that the service refuses its reasons."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers.any_modality import CLASS_NAMES
from new_data import ROW_ERRORS, TABLE, make_champion, make_rows, predict, probabilities, rejected, write_rows
from prometheus_client import CollectorRegistry
from pyarrow import parquet

from thresher.errors import DataError, InvalidInputError
from thresher.prediction import csv_blocks
from thresher.prediction.run import Request, write_answers
from thresher.readers.tables import TableFileOptions
from thresher.registry.champion_model import ChampionModel
from thresher.serving.core.bundle import Bundle
from thresher.serving.core.decoding import decode_json
from thresher.serving.core.predictor import Predictor
from thresher.serving.monitoring.metrics import Metrics


@pytest.fixture(scope="module")
def champion() -> Bundle:
    return make_champion("tabular")


def ask_service(bundle: Bundle, rows: list[dict[str, Any]]) -> np.ndarray:
    """Return what the service's own predictor answers to a request with ``rows``."""

    async def ask() -> np.ndarray:
        predictor = Predictor(bundle, Metrics(bundle, CollectorRegistry()))
        try:
            document = json.dumps({"rows": rows}).encode()
            return await predictor.infer(decode_json(document, bundle.encoder))
        finally:
            predictor.close()

    return asyncio.run(ask())


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_answers_are_the_service_s_to_the_last_bit(champion: Bundle, tmp_path: Path, suffix: str) -> None:
    rows = make_rows(500)
    table, report = predict(champion, write_rows(tmp_path / f"new{suffix}", rows), tmp_path / "out.parquet")
    expected = ask_service(champion, rows)
    np.testing.assert_array_equal(probabilities(table, champion), expected)
    assert table["id"].to_pylist() == list(range(1, 501))
    assert table["label"].to_pylist() == [CLASS_NAMES[index] for index in expected.argmax(axis=1)]
    assert set(table["model_version"].to_pylist()) == {"7"}
    assert (report.num_samples, report.num_predicted, report.num_rejected) == (500, 500, 0)


def test_csv_gives_the_bits_of_parquet(champion: Bundle, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "new.parquet", make_rows(200))
    exact, _ = predict(champion, data, tmp_path / "exact.parquet")
    written, _ = predict(champion, data, tmp_path / "written.csv")
    np.testing.assert_array_equal(probabilities(written, champion), probabilities(exact, champion))


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_rows_that_the_service_refuses_have_its_reasons(champion: Bundle, tmp_path: Path, suffix: str) -> None:
    rows = [*make_rows(5), *ROW_ERRORS, *make_rows(5, seed=2)]
    out = tmp_path / "out.parquet"
    table, report = predict(champion, write_rows(tmp_path / f"new{suffix}", rows), out)
    expected = {}
    for number, row in enumerate(rows, start=1):
        try:
            champion.encoder.encode_json(row)
        except InvalidInputError as error:
            expected[number] = str(error)
    assert (rejected(out), len(expected)) == (expected, 3)
    assert sorted(table["id"].to_pylist() + list(expected)) == list(range(1, 14))
    assert report.num_rejected == 3


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("age", pa.array([2**53 + 1, 5, 6]), "represent exactly"),
        ("age", pa.array([float("inf"), 5, 6]), "not finite or too large"),
        ("age", pa.array(["forty", "5", "6"]), "is not a number"),
        ("age", pa.array([True, False, None]), "is not a number"),
        ("job", pa.array([3, 3, 3]), "was not in the training data"),
    ],
    ids=["inexact", "infinite", "text", "truth", "number"],
)
def test_values_of_another_type_are_rejected_not_guessed(
    champion: Bundle, tmp_path: Path, column: str, values: Any, reason: str
) -> None:
    columns = {"age": pa.array([4, 5, 6]), "job": pa.array(["nurse"] * 3), "hours": pa.array([1.0] * 3)}
    parquet.write_table(pa.table(columns | {column: values}), tmp_path / "new.parquet")
    out = tmp_path / "out.parquet"
    predict(champion, tmp_path / "new.parquet", out)
    assert reason in rejected(out)[1]


def test_numbers_are_read_as_the_catalog_entry_says(champion: Bundle, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("age;job;hours\n1.031,5;nurse;40,5\n?;clerk;38\n31;smith;x\n")
    options = TABLE.model_copy(update={"delimiter": ";", "decimal": ",", "thousands": "."})
    table, _ = predict(champion, tmp_path / "new.csv", tmp_path / "out.parquet", options)
    same = [{"age": 1031.5, "job": "nurse", "hours": 40.5}, {"age": None, "job": "clerk", "hours": 38.0}]
    np.testing.assert_array_equal(probabilities(table, champion), ask_service(champion, same))
    parquet.write_table(
        pa.table({"age": [Decimal("1031.5"), None], "job": ["nurse", "clerk"], "hours": [40.5, 38.0]}),
        tmp_path / "new.parquet",
    )
    table, _ = predict(champion, tmp_path / "new.parquet", tmp_path / "decimals.parquet", options)
    np.testing.assert_array_equal(probabilities(table, champion), ask_service(champion, same))


def test_a_file_without_a_header_may_lack_the_label_or_have_a_header(champion: Bundle, tmp_path: Path) -> None:
    options = TableFileOptions(file="x.csv", label="grade", header=False, columns=["age", "job", "grade", "hours"])
    labelled = "31,nurse,low,40\n5,clerk,high,38\n"
    texts = {"labels": labelled, "none": "31,nurse,40\n5,clerk,38\n", "names": f"age,job,grade,hours\n{labelled}"}
    tables = {}
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text)
        tables[name], report = predict(champion, tmp_path / f"{name}.csv", tmp_path / f"{name}.parquet", options)
        assert report.num_labelled == (0 if name == "none" else 2)
    assert tables["labels"] == tables["none"] == tables["names"]


def test_labels_are_measured_and_unknown_ones_counted(champion: Bundle, tmp_path: Path) -> None:
    rows = make_rows(300)
    labels = [CLASS_NAMES[index] for index in ask_service(champion, rows).argmax(axis=1)]
    labels[:30], labels[30:33] = ["low"] * 30, ["tall", "", "?"]
    labelled = [{**row, "grade": label} for row, label in zip(rows, labels, strict=True)]
    _, report = predict(champion, write_rows(tmp_path / "new.csv", labelled), tmp_path / "out.parquet")
    assert (report.num_labelled, report.num_unknown_labels) == (297, 1)
    answers = ask_service(champion, rows).argmax(axis=1)
    right = np.mean([CLASS_NAMES[answers[index]] == labels[index] for index in range(300) if not 30 <= index < 33])
    assert report.metrics["accuracy"] == pytest.approx(right)
    assert report.metrics["log_loss"] > 0


@pytest.mark.filterwarnings("ignore:Only one class is present")
def test_metrics_of_the_recipe_are_computed_or_said_to_have_no_value(champion: Bundle, tmp_path: Path) -> None:
    labelled = [{**row, "grade": "low"} for row in make_rows(20)]
    data, out = write_rows(tmp_path / "new.csv", labelled), tmp_path / "out.parquet"
    report = write_answers(
        Request("small", data, out), champion, TABLE, "hash", ("recall[low]", "roc_auc", "recall[x]")
    )
    right = probabilities(parquet.read_table(out), champion).argmax(axis=1) == 0
    assert report.metrics["recall[low]"] == pytest.approx(right.mean())
    assert sorted(report.undefined_metrics) == ["recall[x]", "roc_auc"]


def test_drift_is_told_where_inputs_moved(champion: Bundle, tmp_path: Path) -> None:
    rows = make_rows(400)
    _, near = predict(champion, write_rows(tmp_path / "near.csv", rows), tmp_path / "near.parquet")
    moved = [{**row, "hours": row["hours"] + 30} for row in rows]
    _, far = predict(champion, write_rows(tmp_path / "far.csv", moved), tmp_path / "far.parquet")
    assert far.large_drift[0] == "hours"
    assert 5 * near.input_drift["hours"] < far.input_drift["hours"]


def test_only_rows_that_are_wanted(champion: Bundle, tmp_path: Path) -> None:
    rows = [{**row, "age": row["age"] or 20} for row in make_rows(50)]
    data = write_rows(tmp_path / "new.csv", [*rows, {"age": "old", "job": "nurse", "hours": 1.0}])
    conditions = ('col("age") >= 40', """col("job") == 'nurse'""")
    table, report = predict(champion, data, tmp_path / "out.parquet", where=conditions)
    wanted = [number for number, row in enumerate(rows, start=1) if row["age"] >= 40 and row["job"] == "nurse"]
    assert table["id"].to_pylist() == wanted
    assert (report.num_left_out, report.num_rejected) == (50 - len(wanted), 1)
    assert "'old' in column 'age' is not a number" in rejected(tmp_path / "out.parquet")[51]


def test_a_table_in_place_of_one_sample_is_told_the_command_that_takes_it(champion: Bundle, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "new rows.csv", make_rows(2))
    with pytest.raises(DataError, match=r"as \.json\. Fix: thresher predict .* --in '.*new rows.csv' --out"):
        ChampionModel(champion).predict_file(data)


def test_a_column_of_the_model_cannot_be_dropped(champion: Bundle, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "new.csv", make_rows(5))
    with pytest.raises(DataError, match="--drop: 'hours' is a column that the model was trained with"):
        predict(champion, data, tmp_path / "out.csv", drop=("hours",))


@pytest.mark.parametrize("condition", ['col("age") >= "100"', "col(\"age\") < '100'"])
def test_numbers_are_not_compared_letter_by_letter(champion: Bundle, tmp_path: Path, condition: str) -> None:
    data = write_rows(tmp_path / "new.csv", make_rows(5))
    with pytest.raises(DataError, match=r"letter by letter, where 9 follows 10. Fix: write 100 without quotes"):
        predict(champion, data, tmp_path / "out.csv", where=(condition,))


def test_what_a_row_is_called_by_stays_whole(champion: Bundle, tmp_path: Path) -> None:
    rows = [{**row, "key": key} for row, key in zip(make_rows(3), (2**53, "a b", [1, "x"]), strict=True)]
    answers, _ = predict(champion, write_rows(tmp_path / "new.jsonl", rows), tmp_path / "out.parquet", id="key")
    assert answers["id"].to_pylist() == ["9007199254740992", "a b", '[1, "x"]']


def test_numbers_that_lost_digits_name_no_row(champion: Bundle, tmp_path: Path) -> None:
    rows = [{**row, "key": 2**64 + place} for place, row in enumerate(make_rows(2))]
    with pytest.raises(DataError, match=r"--id: 1.8\d+e\+19 stands for several numbers"):
        predict(champion, write_rows(tmp_path / "new.jsonl", rows), tmp_path / "out.csv", id="key")


def test_rows_are_not_called_by_lists(champion: Bundle, tmp_path: Path) -> None:
    columns = {name: [row[name] for row in make_rows(3)] for name in ("age", "job", "hours")}
    parquet.write_table(pa.table({**columns, "key": [[1], [2], [3]]}), tmp_path / "new.parquet")
    with pytest.raises(DataError, match=r"--id: column 'key' of .* holds list"):
        predict(champion, tmp_path / "new.parquet", tmp_path / "out.csv", id="key")


def test_rows_are_called_by_a_column(champion: Bundle, tmp_path: Path) -> None:
    rows = [{"key": f"k{index}", **row, "note": "x"} for index, row in enumerate(make_rows(4))]
    for suffix in (".csv", ".jsonl", ".parquet"):
        data = write_rows(tmp_path / f"new{suffix}", rows)
        table, _ = predict(champion, data, tmp_path / f"{suffix}.parquet", id="key", drop=("note",))
        assert table["id"].to_pylist() == ["k0", "k1", "k2", "k3"]


def test_each_answer_is_explained_as_the_service_explains_it(champion: Bundle, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "new.jsonl", make_rows(3))
    table, _ = predict(champion, data, tmp_path / "out.parquet", explain=True)
    told = [json.loads(text)["importance"] for text in table["explanation"].to_pylist()]
    assert [[part["columns"] for part in each] for each in told] == [[["age"], ["job"], ["hours"]]] * 3


def test_irregular_csv_loses_no_row_without_a_word(
    champion: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_blocks, "PIECE_BYTES", 64)
    lines = [
        "age,job,hours", "31,nurse,40", "", '"32","nurse","41"', "33,nurse", '34,"nur""se",4', "35,nurse,42,",
        'a"b,nurse,43', '36,"nurse"x,44', "37,nurse,45", '38,"nurse,46', '39,"nurse",47',
    ]  # fmt: skip
    (tmp_path / "new.csv").write_bytes("\n".join(lines).encode() + b"\n40,nur\xffse,48\r\n41,nurse,49\n")
    out = tmp_path / "out.parquet"
    table, report = predict(champion, tmp_path / "new.csv", out)
    reasons = rejected(out)
    assert sorted(table["id"].to_pylist() + list(reasons)) == list(range(1, report.num_samples + 1))
    assert "2 values, but 3 columns" in reasons[3]
    assert any("took all up to line 12 for one row" in reason for reason in reasons.values())


@pytest.mark.parametrize("quoted", [False, True], ids=["plain", "quoted"])
def test_blocks_are_read_as_the_reader_reads_the_whole(
    champion: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quoted: bool
) -> None:
    rows = make_rows(400)
    frame = pd.DataFrame(rows)
    data = tmp_path / "new.csv"
    frame.to_csv(data, index=False, quoting=1 if quoted else 0, lineterminator="\r\n")
    whole, _ = predict(champion, data, tmp_path / "whole.parquet")
    monkeypatch.setattr(csv_blocks, "PIECE_BYTES", 97)
    parts, report = predict(champion, data, tmp_path / "parts.parquet")
    assert (parts, report.num_predicted) == (whole, 400)


@pytest.mark.parametrize(
    ("text", "options", "why"),
    [
        ("", {}, "the file is empty"),
        ("age,job,hours\n", {}, "holds no samples"),
        ("age,job\n1,nurse\n", {}, "no column 'hours'"),
        ("age,job,hours,Hours\n1,nurse,2,3\n", {}, "column 'Hours' is none that the model was trained with"),
        ("age,job,hours,age\n1,nurse,2,3\n", {}, "column 'age' appears twice"),
        ("age,job,hours\n1,nurse,2\n", {"id": "key"}, "--id: .* has no column 'key'"),
        ("age,job,hours\n1,nurse,2\n", {"where": ('col("agee") > 3',)}, "Did you mean 'age'"),
        ("age,job,hours\n1,nurse,2\n", {"where": ("age > 3",)}, "is no comparison. Fix: .*col"),
        ("age,job,hours\n1,nurse,2\n", {"where": ('col("age") > date("2026-01-01")',)}, "is no comparison"),
        ("age,job,hours\n1,nurse,2\n", {"where": ('col("job") > 3',)}, "'job' holds texts, such as 'nurse', and no"),
        ("age;job;hours\n1;nurse;2\n", {}, "seems to be separated by ';'"),
        ("31,nurse,40\n5,clerk,38\n", {}, "looks like a row: the file may have no header"),
        ('age,job,hours\n1,nurse,2\n2,"nurse,3\n4,clerk,5\n', {}, r"new.csv:3: a quote that is opened here is never"),
        ('age,"job,hours\n1,nurse,2\n', {}, r"new.csv:1: a quote that is opened here is never closed"),
    ],
    ids=[
        "empty",
        "header",
        "missing",
        "unknown",
        "twice",
        "id",
        "where",
        "condition",
        "date",
        "texts",
        "delimiter",
        "no-header",
        "quote",
        "quote-in-header",
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    champion: Bundle, tmp_path: Path, text: str, options: dict[str, Any], why: str
) -> None:
    (tmp_path / "new.csv").write_text(text)
    with pytest.raises(DataError, match=why) as caught:
        predict(champion, tmp_path / "new.csv", tmp_path / "out.parquet", **options)
    assert "Fix" in str(caught.value) or "Allowed" in str(caught.value)
    assert not (tmp_path / "out.parquet").exists()


def test_texts_in_json_lines_are_not_compared_with_numbers(champion: Bundle, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "new.jsonl", make_rows(5))
    with pytest.raises(DataError, match="'job' holds texts"):
        predict(champion, data, tmp_path / "out.parquet", where=('col("job") == 3',))


def test_a_quote_may_stand_in_what_where_compares(champion: Bundle, tmp_path: Path) -> None:
    rows = [
        {**row, 'the "note"': note} for row, note in zip(make_rows(3), ["it's", "a \"b\" 'c'", "a\\b"], strict=True)
    ]
    data = write_rows(tmp_path / "new.csv", rows)
    for number, text in enumerate([r"'it\'s'", r"""'a "b" \'c\''""", r'"a\\b"'], start=1):
        condition = rf'col("the \"note\"") == {text}'
        table, _ = predict(champion, data, tmp_path / f"{number}.parquet", where=(condition,))
        assert table["id"].to_pylist() == [number]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_numbers_that_float64_does_not_hold_are_told_as_numbers(champion: Bundle, tmp_path: Path, suffix: str) -> None:
    texts = ["1e400", "-1e999", "9007199254740993", "9007199254740993.0", "forty"]
    rows = [{"age": 1, "job": "nurse", "hours": text} for text in texts]
    predict(champion, write_rows(tmp_path / f"new{suffix}", rows), tmp_path / "out.parquet")
    reasons = rejected(tmp_path / "out.parquet")
    large, inexact = "is not finite or too large", "cannot represent exactly"
    wanted = [large, large, inexact, inexact, "is not a number"]
    assert all(want in reasons[number] for number, want in enumerate(wanted, start=1)), reasons


def test_a_row_of_json_without_a_key_is_refused_as_the_service_does(champion: Bundle, tmp_path: Path) -> None:
    rows = make_rows(4)
    without = [{name: value for name, value in rows[1].items() if name != key} for key in ("age", "job", "hours")]
    predict(champion, write_rows(tmp_path / "new.jsonl", [*rows, *without]), tmp_path / "out.parquet")
    expected = {}
    for number, row in enumerate(without, start=5):
        with pytest.raises(InvalidInputError) as caught:
            champion.encoder.encode_json(row)
        expected[number] = str(caught.value)
    assert rejected(tmp_path / "out.parquet") == expected


def test_columns_that_are_not_used_are_told(
    champion: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pd.DataFrame(make_rows(3)).to_csv(tmp_path / "new.csv")  # with an index, which has no name
    _, report = predict(champion, tmp_path / "new.csv", tmp_path / "out.parquet")
    assert report.num_predicted == 3
    assert "new.csv: not used, column 1 (it has no name)." in capsys.readouterr().err
    write_rows(tmp_path / "texts.csv", [{"text": "how many", "mood": "good", "grade": "low"}])
    predict(make_champion("text"), tmp_path / "texts.csv", tmp_path / "texts.parquet")
    assert "texts.csv: not used, column 'mood'." in capsys.readouterr().err
    predict(make_champion("text"), tmp_path / "texts.csv", tmp_path / "dropped.parquet", drop=("mood",))
    assert capsys.readouterr().err == ""


def test_the_suffix_of_the_output_may_be_in_capitals(champion: Bundle, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "new.CSV", make_rows(3))
    predict(champion, data, tmp_path / "out.CSV")
    assert len(pd.read_csv(tmp_path / "out.CSV")) == 3
    predict(champion, data, tmp_path / "OUT.PARQUET")
    assert parquet.read_table(tmp_path / "OUT.PARQUET").num_rows == 3
