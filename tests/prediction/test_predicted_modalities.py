"""New texts, pictures and series in files and folders get the service's answers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from helpers.any_modality import CLASS_NAMES, make_samples
from new_data import make_champion, predict, probabilities, rejected
from pyarrow import parquet

from thresher.errors import DataError
from thresher.modalities.image.decode import encode_png
from thresher.readers.image_folder import ImageFolderOptions
from thresher.readers.series import ParquetSeriesOptions, TsSeriesOptions
from thresher.readers.texts import LabeledLinesOptions, TextTableOptions
from thresher.serving.core.bundle import Bundle
from thresher.serving.core.decoding import decode_file, encode_json
from thresher.serving.core.session import open_session

TEXTS = ["how many feet in a mile", "who wrote the first book", "where", "a book in the first mile, and more of it"]


def ask(bundle: Bundle, samples: list[np.ndarray]) -> np.ndarray:
    """Return what the service's session answers to each encoded sample."""
    session = open_session(bundle)
    return np.concatenate([session.run(sample) for sample in samples])


@pytest.fixture(scope="module")
def texts() -> Bundle:
    return make_champion("text")


@pytest.fixture(scope="module")
def pictures() -> Bundle:
    return make_champion("image")


@pytest.fixture(scope="module")
def series() -> Bundle:
    return make_champion("series")


@pytest.mark.parametrize("name", ["new.csv", "new.jsonl", "new.parquet", "new.txt", "new.txt.gz"])
def test_texts(texts: Bundle, tmp_path: Path, name: str) -> None:
    data, texts_given = tmp_path / name, [*TEXTS, "!"]
    options: Any = LabeledLinesOptions(file="x.label") if ".txt" in name else TextTableOptions(file="x.csv")
    if name.endswith(".csv"):
        data.write_text("text,other\n" + "".join(f'"{text}",1\n' for text in texts_given))
    elif name.endswith(".jsonl"):
        data.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts_given))
    elif name.endswith(".parquet"):
        parquet.write_table(pa.table({"text": texts_given, "other": [1] * 5}), data)
    else:
        with pa.output_stream(data) as file:  # compressed by the suffix
            file.write("\n".join(texts_given).encode())
    answers, report = predict(texts, data, tmp_path / "out.parquet", options)
    expected = ask(texts, [encode_json(text, texts.encoder, "") for text in texts_given])
    np.testing.assert_array_equal(probabilities(answers, texts), expected)
    assert report.num_predicted == 5


def test_texts_that_are_none_are_rejected(texts: Bundle, tmp_path: Path) -> None:
    lines = [b'{"text": "where"}', b'{"text": null}', b'{"text": 3}', b"[1]", b"{", b'{"text": "\\ud800"}']
    data = tmp_path / "new.jsonl"
    data.write_bytes(b"\n".join([*lines, b'{"text": "wher\xff"}']))
    answers, _ = predict(texts, data, tmp_path / "out.parquet", TextTableOptions(file="x.csv"))
    reasons = rejected(tmp_path / "out.parquet")
    assert (answers["id"].to_pylist(), sorted(reasons)) == ([1], [2, 3, 4, 5, 6, 7])
    assert reasons[2].startswith("Not a text: null")
    assert reasons[4] == "Not a JSON object."
    assert ("Malformed JSON" in reasons[5], "not UTF-8" in reasons[7]) == (True, True)


def test_lines_that_begin_with_labels_are_refused(texts: Bundle, tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("low how many feet\nhigh in a mile\n")
    with pytest.raises(DataError, match="each line begins with a label, such as 'low'"):
        predict(texts, tmp_path / "new.txt", tmp_path / "out.csv", LabeledLinesOptions(file="x.label"))


def test_an_answer_to_a_text_is_explained(texts: Bundle, tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("\n".join(TEXTS))
    table, _ = predict(
        texts, tmp_path / "new.txt", tmp_path / "out.parquet", LabeledLinesOptions(file="x"), explain=True
    )
    words = [part["text"] for part in json.loads(table["explanation"][1].as_py())["importance"]]
    assert " ".join(words) == TEXTS[1]


def write_pictures(folder: Path) -> list[bytes]:
    contents = []
    for index, image in enumerate(make_samples("image").inputs[:6]):
        content = encode_png(image[0])
        place = folder / (CLASS_NAMES[index % 3] if index < 4 else "later") / f"{index}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        contents.append(content)
    return contents


def test_a_folder_of_pictures(pictures: Bundle, tmp_path: Path) -> None:
    contents = write_pictures(tmp_path / "new")
    (tmp_path / "new" / "later" / "broken.png").write_bytes(b"PNG")
    (tmp_path / "new" / "later" / "large.png").write_bytes(encode_png(np.zeros((9, 9), np.uint8)))
    (tmp_path / "new" / ".hidden.png").write_bytes(b"")
    (tmp_path / "new" / "readme.txt").write_text("not a picture")
    table, report = predict(pictures, tmp_path / "new", tmp_path / "out.parquet", ImageFolderOptions(path="x"))
    ids = table["id"].to_pylist()
    assert ids == ["high/2.png", "later/4.png", "later/5.png", "low/0.png", "low/3.png", "middle/1.png"]
    expected = ask(pictures, [decode_file(name, contents[int(name[-5])], pictures.encoder) for name in ids])
    np.testing.assert_array_equal(probabilities(table, pictures), expected)
    reasons = list(rejected(tmp_path / "out.parquet").values())
    assert ("Not a readable PNG" in reasons[0], "9x9" in reasons[1]) == (True, True)
    assert (report.num_labelled, report.num_rejected) == (4, 2)


def test_a_link_that_leads_back_is_refused(pictures: Bundle, tmp_path: Path) -> None:
    write_pictures(tmp_path / "new")
    (tmp_path / "new" / "later" / "back").symlink_to(tmp_path / "new")
    with pytest.raises(DataError, match=r"later/back: a link to a folder that it lies in. Fix: remove the link"):
        predict(pictures, tmp_path / "new", tmp_path / "out.csv", ImageFolderOptions(path="x"))


def test_names_that_are_no_utf_8_are_written_all_the_same(pictures: Bundle, tmp_path: Path) -> None:
    write_pictures(tmp_path / "new")
    (tmp_path / "new" / "later" / "4.png").rename(tmp_path / "new" / "later" / os.fsdecode(b"\xff.png"))
    table, _ = predict(pictures, tmp_path / "new", tmp_path / "out.parquet", ImageFolderOptions(path="x"))
    assert "later/\\xff.png" in table["id"].to_pylist()


def test_pictures_are_resized_where_those_of_training_were(pictures: Bundle, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "large.png").write_bytes(encode_png(np.full((16, 12), 7, np.uint8)))
    options = ImageFolderOptions(path="x", size=[8, 6], channels=1)
    table, _ = predict(pictures, tmp_path / "new", tmp_path / "out.parquet", options)
    same = encode_json([[7] * 6] * 8, pictures.encoder, "")
    np.testing.assert_array_equal(probabilities(table, pictures), ask(pictures, [same]))


def test_pictures_in_parquet(pictures: Bundle, tmp_path: Path) -> None:
    contents = write_pictures(tmp_path / "new")
    table = pa.table({"image": [{"bytes": content, "path": ""} for content in [*contents, b"", None]]})
    parquet.write_table(table, tmp_path / "new.parquet")
    answers, _ = predict(pictures, tmp_path / "new.parquet", tmp_path / "out.parquet", None)
    expected = ask(pictures, [decode_file("x", content, pictures.encoder) for content in contents])
    np.testing.assert_array_equal(probabilities(answers, pictures), expected)
    assert sorted(rejected(tmp_path / "out.parquet")) == [7, 8]


@pytest.mark.parametrize("labelled", [False, True])
def test_series_of_ts(series: Bundle, tmp_path: Path, labelled: bool) -> None:
    raw = make_samples("series").inputs[:8]
    head = f"# a comment\n@classLabel {'true low middle high' if labelled else 'false'}\n@data\n"
    lines = [":".join(",".join(map(repr, channel)) for channel in one.T.tolist()) for one in raw]
    ending = ":low" if labelled else ""
    (tmp_path / "new.ts").write_text(head + "".join(f"{line}{ending}\n" for line in [*lines, "1,2", "1,x:2,3"]))
    table, report = predict(series, tmp_path / "new.ts", tmp_path / "out.parquet", TsSeriesOptions(file="x.ts"))
    expected = ask(series, [series.encoder.encode(raw[index : index + 1]) for index in range(8)])
    np.testing.assert_array_equal(probabilities(table, series), expected)
    assert report.num_labelled == (8 if labelled else 0)
    assert sorted(rejected(tmp_path / "out.parquet")) == [9, 10]


def test_series_in_parquet(series: Bundle, tmp_path: Path) -> None:
    raw = make_samples("series").inputs[:8]
    columns = {name: [one[:, place].tolist() for one in raw] for place, name in enumerate(("current", "vibration"))}
    columns = {"current": [*columns["current"], [1.0], []], "vibration": [*columns["vibration"], [1.0, 2.0], None]}
    parquet.write_table(pa.table(columns), tmp_path / "new.parquet")
    options = ParquetSeriesOptions(file="x.parquet", channels=["current", "vibration"])
    table, _ = predict(series, tmp_path / "new.parquet", tmp_path / "out.parquet", options)
    expected = ask(series, [series.encoder.encode(raw[index : index + 1]) for index in range(8)])
    np.testing.assert_array_equal(probabilities(table, series), expected)
    assert "unequal length (current 1, vibration 2 steps)" in rejected(tmp_path / "out.parquet")[9]


def test_values_of_a_regression(tmp_path: Path) -> None:
    bundle = make_champion("series", "regression")
    raw = make_samples("series", "regression")
    lines = [
        ":".join(",".join(map(repr, channel)) for channel in one.T.tolist()) + f":{label!r}\n"
        for one, label in zip(raw.inputs, raw.labels.tolist(), strict=True)
    ]
    (tmp_path / "new.ts").write_text("@targetLabel true\n@data\n" + "".join(lines))
    table, report = predict(bundle, tmp_path / "new.ts", tmp_path / "out.csv", TsSeriesOptions(file="x.ts"))
    expected = ask(bundle, [bundle.encoder.encode(raw.inputs[index : index + 1]) for index in range(60)])[:, 0]
    np.testing.assert_allclose(table["value"], expected, rtol=1e-5)  # others in the batch change the order of sums
    assert report.metrics["mae"] == pytest.approx(np.abs(expected - raw.labels).mean())


@pytest.mark.parametrize(
    ("champion", "name", "why"),
    [
        ("texts", "new.ts", "a file of series. The champion takes texts"),
        ("texts", "new.png", "one picture. The champion takes texts"),
        ("texts", "folder", "a folder. The champion takes texts"),
        ("pictures", "new.csv", "a file of csv. The champion takes images: a folder"),
        ("pictures", "new.png", "one picture, which `thresher predict RECIPE FILE` answers"),
        ("pictures", "folder", "holds no pictures"),
        ("series", "new.jsonl", "a file of json lines. The champion takes series"),
        ("texts", "new.json", "one JSON document, which cannot be read in parts. Fix: write JSON Lines"),
        ("texts", "new.xlsx", "a spreadsheet, which is not read"),
        ("texts", "new.parquet", "not a readable Parquet file"),
        ("series", "new.ts", "before @data"),
        ("texts", "new.csv", "no column 'text'"),
        ("texts", "new.csv.gz", "damaged as gzip"),
    ],
)
def test_data_of_another_kind_is_refused_with_the_fix(
    request: pytest.FixtureRequest, tmp_path: Path, champion: str, name: str, why: str
) -> None:
    data = tmp_path / name
    data.mkdir() if name == "folder" else data.write_text("some,thing\n1,2\n")
    with pytest.raises(DataError, match=why) as caught:
        predict(request.getfixturevalue(champion), data, tmp_path / "out.csv", None)
    assert "Fix" in str(caught.value) or "Allowed" in str(caught.value)


def test_a_line_that_is_not_of_the_encoding_is_rejected(texts: Bundle, tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_bytes(b"where\nwho wr\xffote the book\n")
    predict(texts, tmp_path / "new.txt", tmp_path / "out.csv", LabeledLinesOptions(file="x"))
    assert "Not a text of Unicode" in rejected(tmp_path / "out.csv")[2]
    (tmp_path / "new.txt").write_text("where\nfür", encoding="utf-16")
    _, report = predict(
        texts, tmp_path / "new.txt", tmp_path / "wide.csv", LabeledLinesOptions(file="x", encoding="utf-16")
    )
    assert report.num_predicted == 2
