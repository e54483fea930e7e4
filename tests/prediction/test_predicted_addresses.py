"""New data at an address: what comes is what the server has, or it is said why not."""

from __future__ import annotations

import json
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from helpers.file_server import Behaviour, serve
from helpers.http_server import serving
from helpers.registry_project import RegistryProject
from new_data import make_champion, make_rows, write_rows
from test_predict_command import project

from thresher.errors import DataError, FetchError
from thresher.fetch import download as downloading
from thresher.prediction.remote import CACHE_FOLDER, is_address, local_copy, shown

__all__ = ["project"]
CONTENT = b"age,job,hours\n" + b"31,nurse,40\n" * 1000


def versioned(behaviour: Behaviour, version: str) -> None:
    behaviour.headers = {"ETag": f'"{version}"'}


def bring(address: str, folder: Path) -> None:
    with local_copy(address, folder):
        pass


def cached(folder: Path) -> list[Path]:
    return [path for path in (folder / CACHE_FOLDER).glob("*/*") if path.name not in ("lock", "note")]


def test_a_copy_is_what_the_server_has_and_goes_afterwards(tmp_path: Path) -> None:
    with serve(Behaviour({"new.csv": CONTENT})) as address:
        with local_copy(f"{address}new.csv", tmp_path) as path:
            assert path.name == "new.csv" and path.read_bytes() == CONTENT
        assert not list((tmp_path / CACHE_FOLDER).iterdir())


def test_what_was_broken_off_goes_on_where_it_was_unless_the_file_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(downloading, "MAX_ATTEMPTS", 1)
    behaviour = Behaviour({"new.csv": CONTENT}, drop_after=5000)
    versioned(behaviour, "1")
    with serve(behaviour) as address:
        url = address.replace("http://", "http://somebody:secret@") + "new.csv?signature=secret"
        behaviour.files["new.csv?signature=secret"] = CONTENT
        with pytest.raises(FetchError, match=r"--in: new.csv from http://127.*new.csv: .*goes on where it") as caught:
            bring(url, tmp_path)
        assert "secret" not in str(caught.value)
        assert [path.stat().st_size for path in cached(tmp_path)] == [5000]
        behaviour.drop_after = None
        with pytest.raises(RuntimeError), local_copy(url, tmp_path):
            assert behaviour.requests[-2][1] == "bytes=5000-"
            raise RuntimeError("killed while it was scored")
        count = len(behaviour.requests)
        with local_copy(url, tmp_path) as path:  # nothing but the look at its version
            assert path.read_bytes() == CONTENT and len(behaviour.requests) == count + 1
        said = capsys.readouterr().err
        assert "12,014 bytes, of which 5,000 are here" in said and "secret" not in said

        behaviour.drop_after = 5000
        with pytest.raises(FetchError):
            bring(url, tmp_path)
        other = CONTENT.replace(b"nurse", b"clerk")
        behaviour.files["new.csv?signature=secret"], behaviour.drop_after = other, None
        versioned(behaviour, "2")
        with local_copy(url, tmp_path) as path:
            assert path.read_bytes() == other


def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    asked = 0

    def answer(request: BaseHTTPRequestHandler) -> None:
        nonlocal asked
        asked += 1
        request.send_response(200)
        request.send_header("Content-Length", str(len(CONTENT)))
        request.send_header("ETag", f'"{asked}"')
        request.end_headers()
        request.wfile.write(CONTENT)

    with serving(answer) as address, pytest.raises(DataError, match="has changed while it was downloaded"):
        bring(f"{address}/new.csv", tmp_path)
    assert not cached(tmp_path)


@pytest.mark.parametrize(
    ("behaviour", "path", "says"),
    [
        (Behaviour({"new.csv": CONTENT}, announces_length=False), "new.csv", "does not say how large the file is"),
        (Behaviour({}), "new.csv", "the server answers 404"),
        (Behaviour({"new.csv": b""}), "new.csv", "the file is empty"),
        (Behaviour({"new": CONTENT}), "new", "does not end in the name of a file"),
        (Behaviour({}), "new%00.csv", "characters that cannot be shown"),
        (Behaviour({}), f"{'n' * 250}.csv", "a name of more than 200 bytes"),
        (
            Behaviour({"new.csv": CONTENT}, headers={"Content-Encoding": "gzip"}),
            "new.csv",
            "sends it packed by gzip, though it was asked not to",
        ),
    ],
    ids=["length", "missing", "empty", "suffix", "unprintable", "long", "packed"],
)
def test_what_cannot_be_brought_is_said(behaviour: Behaviour, path: str, says: str, tmp_path: Path) -> None:
    with serve(behaviour) as address, pytest.raises(DataError, match=says) as caught:
        bring(f"{address}{path}", tmp_path)
    assert "Fix: " in str(caught.value) and not (tmp_path / CACHE_FOLDER).exists()


def test_a_file_that_nothing_tells_from_another_is_brought_by_one_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading.time, "sleep", lambda seconds: None)
    other, asked = CONTENT.replace(b"nurse", b"clerk"), list[str | None]()

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.headers.get("Range"))
        content = CONTENT if len(asked) < 3 else other
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content[: 5000 if len(asked) == 2 else None])
        request.close_connection = True

    with serving(answer) as address, local_copy(f"{address}/new.csv", tmp_path) as path:
        assert path.read_bytes() == other
    assert asked == [None] * 4  # a look, two tries, a look


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("s3://bucket/new.csv", "s3://bucket/new.csv: not read. Allowed: http, https, file"),
        ("ftp://host/new.csv", "Allowed: http, https, file"),
        ("file://elsewhere/new.csv", "is on the machine elsewhere"),
        ("http://127.0.0.1:9/new.csv", "the server cannot be reached"),
        ("http://[/new.csv", "is no address"),
    ],
)
def test_other_addresses_are_refused(address: str, says: str, tmp_path: Path) -> None:
    assert is_address(address)
    with pytest.raises(DataError, match=says):
        bring(address, tmp_path)


def test_a_file_of_this_machine_is_read_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "new data.csv").write_bytes(CONTENT)
    with local_copy(f"file://{tmp_path}/new%20data.csv", tmp_path) as path:
        assert path == tmp_path / "new data.csv"
    assert (tmp_path / "new data.csv").exists() and not is_address("C:/new.csv") and not is_address("data/new.csv")
    assert shown("https://me:word@host:8/a.csv?key=1#x") == "https://host:8/a.csv"


def test_the_command_scores_what_an_address_has(project: RegistryProject, tmp_path: Path) -> None:
    bundle = make_champion("tabular")
    project.crown(replace(bundle, info=bundle.info.model_copy(update={"model_version": ""})))
    content = write_rows(tmp_path / "new.jsonl", make_rows(20)).read_bytes()
    out = tmp_path / "out.csv"
    with serve(Behaviour({"new.jsonl?key=secret": content})) as address:
        said = project.done("predict", "small", "--in", f"{address}new.jsonl?key=secret", "--out", str(out))
        wrong = ("predict", "small", "--in", f"{address}new.jsonl", "--out", str(tmp_path / "b.csv"), "--where", "age")
        refused = project.refused(*wrong)
        assert "is no comparison" in refused and "bytes" not in refused  # before anything is brought
    assert "new.jsonl: " in said and "20 samples: 20 answered" in said and "secret" not in said
    report = (tmp_path / "out.report.json").read_text()
    assert json.loads(report)["input"] == f"{address}new.jsonl" and "secret" not in report
    assert not cached(project.folder)
