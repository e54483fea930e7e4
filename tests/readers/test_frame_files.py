"""Files of rows: what pyarrow reads is what the slow readers read, and each row has its line."""

from __future__ import annotations

import bz2
import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from thresher.errors import DataError
from thresher.readers.frame import delimited as separated
from thresher.readers.frame import json_rows
from thresher.readers.frame.delimited import CsvFormat
from thresher.readers.frame.frame import Frame
from thresher.readers.frame.read import read_frame
from thresher.readers.frame.records import find_records
from thresher.readers.frame.values import NOTHING, as_texts

KIND = "Tables and texts"
PLAIN = CsvFormat()


def read(path: Path, **form: Any) -> Frame:
    return read_frame(path, replace(PLAIN, **form), "put it there.")


def refused(path: Path, **form: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(path, **form)
    return str(caught.value)


def contents(frame: Frame) -> tuple[dict[str, list[Any]], list[str]]:
    return {name: as_texts(column, NOTHING).tolist() for name, column in frame.columns.items()}, frame.places.tolist()


def write(folder: Path, content: str | bytes, name: str = "t.csv") -> Path:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / name


@settings(max_examples=400, deadline=None)
@given(st.text(st.sampled_from('ab,"\n\r #'), min_size=1, max_size=40), st.booleans(), st.sampled_from([None, "#"]))
@example('a,b\n"x\n\ny",1\n\n"#z",2\n', True, "#")
@example('a,b\r\n"x""y",""\r\n', False, None)
@example("a,b\r1,2\r", True, None)
@example('a\n"#"\n#', True, "#")
@example('a\n#"\n1\n#"\n', True, "#")
@example('a,b\n"1"2,3\n', False, None)
def test_what_pyarrow_reads_is_what_the_csv_module_reads(text: str, strip: bool, comment: str | None) -> None:
    form, path = CsvFormat(delimiter=",", strip=strip, comment=comment), Path("t.csv")
    records = find_records(text.encode(), b",", b'"', comment.encode() if comment else None)
    try:
        regular = separated._read_regular(path, form, text.encode(), records)
    except DataError as error:  # of the names of the columns
        with pytest.raises(DataError) as caught:
            separated._read_by_row(path, form, text)
        assert str(caught.value) == str(error)
        return
    if regular is not None:
        assert contents(regular) == contents(separated._read_by_row(path, form, text))


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([2**53, 2**53 + 1, 2**63, 2**64 - 1, 1e300, float("nan")]),
    st.floats(allow_infinity=False),
    st.sampled_from(["", "a", "2024-01-01", "2024-01-01 10:00:00", "1", "\u2028", "\ud800", '"', "\\"]),
    st.just([1]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), min_size=1, max_size=4), st.booleans())
@example([{"a": 2**53 + 1}, {"a": 1.5}], True)
@example([{"b": 1}, {"a": "2024-01-01", "b": 2}], True)
def test_what_pyarrow_reads_is_what_the_json_module_reads(documents: list[dict[str, Any]], ascii_only: bool) -> None:
    lines = [json.dumps(document, ensure_ascii=ascii_only) for document in documents]
    text, path = "\n\n".join(lines), Path("t.jsonl")
    exact = json_rows._read_exactly(path, text)
    if exact is not None:
        assert contents(exact) == contents(json_rows._read_by_object(path, json_rows._lines(path, text)))


@pytest.mark.oddity(KIND, "line ends within quotes, CRLF, comments, empty lines", "each row is told by its own line")
def test_places_are_lines(tmp_path: Path) -> None:
    text = '# note\r\n\r\nx,y\r\n"two\r\nlines",1\r\n\r\n# "between\r\n"#no, comment",2\r\nlast,3'
    values, places = contents(read(write(tmp_path, text), comment="#"))
    assert values == {"x": ["two\r\nlines", "#no, comment", "last"], "y": ["1", "2", "3"]}
    assert places == ["t.csv:4", "t.csv:8", "t.csv:9"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('x,y\n1,2\n"a\nb",2,3\n1\n', "t.csv:3: 3 values, but 2 columns; "),
        ('x,y\n1,2\n"a\nb",2\n"open,3\n', "t.csv:5: unexpected end of data"),
        ('x,y\n1,2\n"a"b,2\n', "t.csv:3: ',' expected after '\"'. Fix: correct the line, or its quotes; where"),
        ("x,y\n\n  \n", "t.csv:3: 1 values, but 2 columns"),
        ("x;y;z\n1,5;2;3\n", "t.csv:2: 2 values, but 1 columns. Fix: the file seems"),
        ("x,y\n", "t.csv: holds no rows"),
        ("", "t.csv: the file is empty"),
    ],
)
def test_mistakes_name_their_lines(tmp_path: Path, text: str, says: str) -> None:
    assert says in refused(write(tmp_path, text))


@pytest.mark.oddity(KIND, "quotes that have no meaning, as in inches", "read as they are by quote: none")
def test_quotes_can_be_switched_off_or_be_others(tmp_path: Path) -> None:
    path = write(tmp_path, 'x,y\n"5,1\n6",2\n')
    assert contents(read(path, quote=None))[0] == {"x": ['"5', '6"'], "y": ["1", "2"]}
    assert contents(read(write(tmp_path, "x,y\n'a,b','it''s'\n"), quote="'"))[0] == {"x": ["a,b"], "y": ["it's"]}
    assert contents(read(write(tmp_path, 'x,y\n5" disk,2\n')))[0] == {"x": ['5" disk'], "y": ["2"]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str, end: str) -> None:
    path = write(tmp_path, end.join(["n\u00e4me,y", "M\u00e4dchen,1", '"J\u00fcrgen, x",2']).encode(encoding))
    values, places = contents(read(path, encoding=encoding))
    assert values == {"n\u00e4me": ["M\u00e4dchen", "J\u00fcrgen, x"], "y": ["1", "2"]}
    assert places == ["t.csv:2", "t.csv:3"]


def test_a_wrong_encoding_names_the_line_and_a_likely_one(tmp_path: Path) -> None:
    text = refused(write(tmp_path, "x,y\n\u00e4,1\n".encode("latin-1")))
    assert (
        "t.csv:2: byte 0xe4 is not utf-8. Fix: name the file's encoding in the catalog, such as 'encoding: lat" in text
    )
    assert "such as 'encoding: utf-16'" in refused(write(tmp_path, "x,y\n".encode("utf-16")))


ROWS = b"x\ty\n1\ta\n2\tb\n"


@pytest.mark.oddity(KIND, ".tsv, .csv.gz, .zst, .bz2, .json, capital suffixes", "read as what they are")
@pytest.mark.parametrize("name", ["t.tsv", "T.TSV", "t.tab.gz", "t.tsv.zst", "t.tsv.bz2", "t.TSV.GZ"])
def test_suffixes_say_the_format(tmp_path: Path, name: str) -> None:
    suffix = name.rsplit(".", 1)[1].lower()
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "zst": lambda raw: pa.compress(raw, "zstd", asbytes=True)}
    path = write(tmp_path, pack.get(suffix, bytes)(ROWS), name)
    assert contents(read(path)) == ({"x": ["1", "2"], "y": ["a", "b"]}, [f"{name}:2", f"{name}:3"])


def test_json_in_its_forms(tmp_path: Path) -> None:
    documents = [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}]
    lines = "".join(f"{json.dumps(document)}\n" for document in documents)
    expected = {"x": ["1", "2"], "y": ["a", "b"]}
    for name, text in (("t.json", json.dumps(documents, indent=1)), ("u.json", lines), ("t.NDJSON", lines)):
        assert contents(read(write(tmp_path, text, name))) == (expected, [f"{name}:1", f"{name}:2"])
    assert contents(read(write(tmp_path, gzip.compress(lines.encode()), "t.jsonl.gz")))[0] == expected
    assert "t.json: not an array of objects" in refused(write(tmp_path, '"text"', "t.json"))
    assert "t.json:2: not a JSON object" in refused(write(tmp_path, '[{"x": 1}, 2]', "t.json"))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.csv.gz", gzip.compress(ROWS, mtime=0)[:-5], "damaged as gzip"),
        ("t.csv.zst", b"no zst", "damaged as zstd"),
        ("t.xlsx", b"PK", "a spreadsheet, which is not read. Fix: save it as CSV, Parquet or JSON Lines"),
        ("t.csv.xz", b"", "compressed by xz, which is not read"),
    ],
)
def test_what_is_not_read_is_said(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    assert says in refused(write(tmp_path, content, name))


def test_a_record_longer_than_a_block_and_many_records(tmp_path: Path) -> None:
    lines = [f'{number},"{"long " * (300_000 if number == 7 else 1)}"' for number in range(50_000)]
    frame = read(write(tmp_path, "x,y\n" + "\n".join(lines)))
    assert len(frame.places) == 50_000
    assert frame.places[-1] == "t.csv:50001"
    assert len(frame.columns["y"][7].as_py()) == 1_499_999
    assert frame.columns["x"].to_pylist() == [str(number) for number in range(50_000)]
