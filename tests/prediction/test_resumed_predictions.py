"""A prediction that was killed goes on where it was: no sample is lost or written twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from new_data import TABLE, make_champion, make_rows, predict, rejected, write_rows
from pyarrow import parquet

from thresher.errors import DataError, ThresherError
from thresher.prediction import run, scoring
from thresher.prediction.parts import OutputError, Parts
from thresher.prediction.report import MAX_NUMBERS, make_report
from thresher.prediction.run import Request, write_answers
from thresher.serving.core.bundle import Bundle, write_bundle

KILLED = """
import os, signal, sys, threading
from pathlib import Path
from thresher.prediction import parts, run, scoring
from thresher.readers.tables import TableFileOptions
from thresher.serving.core.bundle import read_bundle

scoring.MAX_ROWS = 16
folder, when = Path(sys.argv[1]), sys.argv[2]
done, lock = [], threading.Lock()

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def write(self, number, table):
    with lock:  # threads write, and one that is killed in the middle leaves no part
        if len(done) == 3:
            kill()
        original(self, number, table)
        done.append(number)

original = parts.Parts.write
if when == "between parts":
    parts.Parts.write = write
elif when == "before the output":
    parts.Parts._publish_rejected = kill
else:
    parts.Parts.remove = kill
request = run.Request("small", folder / "new.csv", folder / "out.parquet")
options = TableFileOptions(file="x.csv", label="grade", missing=["?"])
run.write_answers(request, read_bundle(folder / "bundle"), options, "hash")
parts.Parts(request.output, {}).remove()
"""


@pytest.fixture(scope="module")
def champion() -> Bundle:
    return make_champion("tabular")


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return [*make_rows(100), {"age": 3, "job": "pilot", "hours": 1.0}, *make_rows(60, seed=3)]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "MAX_ROWS", 16)


@pytest.mark.oddity(
    "Predictions", "`thresher predict` is killed by SIGKILL", "run again, it goes on; no row is lost or twice"
)
@pytest.mark.parametrize("when", ["between parts", "before the output", "before the parts are removed"])
def test_a_killed_run_goes_on(champion: Bundle, rows: list[dict[str, Any]], tmp_path: Path, when: str) -> None:
    write_bundle(tmp_path / "bundle", champion.onnx_bytes, champion.encoder, champion.info, champion.attachments)
    data = write_rows(tmp_path / "new.csv", rows)
    whole, expected = predict(champion, data, tmp_path / "whole.parquet")
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), when], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    num_parts = len(list((tmp_path / "out.parquet.parts").glob("*.arrow")))
    assert num_parts == (3 if when == "between parts" else 11)
    table, report = predict(champion, data, tmp_path / "out.parquet")
    assert (table, report) == (whole, expected)
    assert rejected(tmp_path / "out.parquet") == rejected(tmp_path / "whole.parquet")
    assert list(rejected(tmp_path / "out.parquet")) == [101]


def interrupt(champion: Bundle, data: Path, out: Path, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin a prediction that ends after some parts."""
    original, done = Parts.write, []

    def write(self: Parts, number: int, table: Any) -> None:
        if len(done) == after:
            raise ZeroDivisionError
        done.append(number)
        original(self, number, table)

    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(Parts, "write", write)
        predict(champion, data, out)


def test_only_what_is_missing_is_computed(
    champion: Bundle, rows: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = write_rows(tmp_path / "new.csv", rows), tmp_path / "out.parquet"
    interrupt(champion, data, out, 4, monkeypatch)
    before = {path.name: path.stat().st_ino for path in (tmp_path / "out.parquet.parts").glob("*.arrow")}
    predict(champion, data, out)
    after = {path.name: path.stat().st_ino for path in (tmp_path / "out.parquet.parts").glob("*.arrow")}
    assert (len(before), len(after), before.items() <= after.items()) == (4, 11, True)


def test_a_damaged_part_is_made_anew(
    champion: Bundle, rows: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = write_rows(tmp_path / "new.csv", rows), tmp_path / "out.parquet"
    whole, _ = predict(champion, data, tmp_path / "whole.parquet")
    interrupt(champion, data, out, 4, monkeypatch)
    part = min((tmp_path / "out.parquet.parts").glob("*.arrow"))
    part.write_bytes(part.read_bytes()[:100])
    assert predict(champion, data, out)[0] == whole


@pytest.mark.parametrize("change", ["model", "input", "set of options", "way of reading"])
def test_parts_of_another_run_are_not_gone_on_with(
    champion: Bundle,
    rows: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: str,
) -> None:
    data, out = write_rows(tmp_path / "new.csv", rows), tmp_path / "out.parquet"
    interrupt(champion, data, out, 4, monkeypatch)
    now = make_champion("tabular", scale=2e-3) if change == "model" else champion
    options = TABLE.model_copy(update={"missing": ["-"]}) if change == "way of reading" else TABLE
    where = ('col("age") > 1',) if change == "set of options" else ()
    request = Request("small", data, out, where=where)
    write_answers(request, now, options, "other" if change == "input" else "hash")
    assert f"Parts of before are of another {change}: it begins anew." in capsys.readouterr().err
    other = tmp_path / "other.parquet"
    write_answers(Request("small", data, other, where=where), now, options, "hash")
    assert parquet.read_table(out) == parquet.read_table(other)


def test_data_that_changes_while_it_is_read_is_refused(
    champion: Bundle, rows: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_rows(tmp_path / "new.csv", rows)
    original = run.score_all

    def score_all(*arguments: Any) -> None:
        original(*arguments)
        with data.open("a") as file:
            file.write("1,nurse,2\n")

    monkeypatch.setattr(run, "score_all", score_all)
    with pytest.raises(DataError, match="has changed while it was read"):
        predict(champion, data, tmp_path / "out.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.csv"]


def test_an_output_that_is_there_is_not_written_over(champion: Bundle, tmp_path: Path) -> None:
    data, out = write_rows(tmp_path / "new.csv", make_rows(3)), tmp_path / "out.csv"
    out.write_text("mine")
    with pytest.raises(OutputError, match=r"is there already. Fix: name another file as --out, or remove it"):
        predict(champion, data, out)
    assert (out.read_text(), (tmp_path / "out.csv.parts").exists()) == ("mine", False)


def test_the_files_beside_another_output_are_not_written_over(
    champion: Bundle, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    data = write_rows(tmp_path / "new.csv", rows)
    predict(champion, data, tmp_path / "z.csv")
    before = (tmp_path / "z.rejected.jsonl").read_text()
    with pytest.raises(OutputError, match=r"z.report.json is there already"):
        predict(champion, data, tmp_path / "z.parquet")
    assert (tmp_path / "z.rejected.jsonl").read_text() == before and not (tmp_path / "z.parquet.parts").exists()


def test_an_output_that_something_else_makes_meanwhile_stays(
    champion: Bundle, rows: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = write_rows(tmp_path / "new.csv", rows), tmp_path / "out.csv"
    publish = Parts.publish

    def too_late(self: Parts, count: int, report: dict[str, Any]) -> None:
        if not out.exists():
            out.write_text("theirs")
        publish(self, count, report)

    monkeypatch.setattr(Parts, "publish", too_late)
    with pytest.raises(OutputError, match="made by something else meanwhile"):
        predict(champion, data, out)
    assert out.read_text() == "theirs"
    out.rename(tmp_path / "theirs.csv")
    monkeypatch.setattr(Parts, "publish", publish)
    _, report = predict(champion, data, out)
    assert report.num_predicted == 160


@pytest.mark.parametrize(
    ("out", "why"),
    [
        ("out.json", "neither Parquet nor CSV"),
        ("folder.csv", "is a folder"),
        ("no/such/out.csv", "no such folder"),
        ("file/out.csv", "no such folder"),
    ],
)
def test_an_output_that_cannot_be_is_refused(champion: Bundle, tmp_path: Path, out: str, why: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("")
    data = write_rows(tmp_path / "new.csv", make_rows(3))
    with pytest.raises(ThresherError, match=why) as caught:
        predict(champion, data, tmp_path / out)
    assert "Fix" in str(caught.value)


def test_two_processes_do_not_write_one_output(champion: Bundle, tmp_path: Path) -> None:
    data, out = write_rows(tmp_path / "new.csv", make_rows(3)), tmp_path / "out.csv"
    with Parts(out, {}).locked(), pytest.raises(OutputError, match="is being written by another process"):
        predict(champion, data, out)


def test_metrics_of_many_rows_rest_on_some_at_even_distances(champion: Bundle, tmp_path: Path) -> None:
    labelled = [{**row, "grade": "low"} for row in make_rows(100)]
    _, report = predict(champion, write_rows(tmp_path / "new.csv", labelled), tmp_path / "out.parquet")
    parts = Parts(tmp_path / "out.parquet", {})
    few = make_report(parts, 7, champion.encoder, None, (), allowed=60)
    assert (report.num_measured, few.num_labelled, MAX_NUMBERS > 300) == (100, 100, True)
    assert 15 <= few.num_measured <= 25
