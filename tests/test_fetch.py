"""Fetching over real HTTP from servers that behave, break off, lie or refuse; and from folders."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.file_server import Behaviour, serve
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from thresher.errors import FetchError
from thresher.fetch.fetching import fetch, sha256_of
from thresher.fetch.known_sets import KNOWN_SETS, KnownSet, RemoteFile

CONTENT = {"images.gz": os.urandom(300_000), "labels.gz": os.urandom(5_000)}


def known(address: str = "http://127.0.0.1:9/") -> dict[str, KnownSet]:
    files = tuple(RemoteFile(name, len(body), hashlib.sha256(body).hexdigest()) for name, body in CONTENT.items())
    return {"clothes": KnownSet(address, "data/01_raw/clothes", "none", files)}


def run(project: Path, address: str = "http://127.0.0.1:9/", source: Path | None = None, **options: object) -> str:
    """Fetch and return what the terminal showed."""
    shown = io.StringIO()
    console = Console(file=shown, width=300)
    paths = fetch("clothes", source, project, console, known_sets=known(address), backoff_s=0.001, **options)  # type: ignore[arg-type]
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())
    return shown.getvalue()


def part_of(project: Path, name: str = "images.gz") -> Path:
    part = project / ".cache" / "fetch" / "clothes" / f"{name}.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    return part


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_download_then_already_there(tmp_path: Path) -> None:
    with serve(Behaviour(dict(CONTENT))) as address:
        assert run(tmp_path, address).count("SHA-256 verified") == 2
    assert files_in(tmp_path) == ["images.gz", "labels.gz"]
    assert not (tmp_path / ".cache").exists()
    assert run(tmp_path).count("already there") == 2  # no server any more


def test_a_damaged_file_in_data_is_fetched_again(tmp_path: Path) -> None:
    target = tmp_path / "data/01_raw/clothes/labels.gz"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"x" * len(CONTENT["labels.gz"]))
    with serve(Behaviour(dict(CONTENT))) as address:
        assert "exists, but differs from the published file" in run(tmp_path, address)


def test_mirror_replaces_the_public_address(tmp_path: Path) -> None:
    with serve(Behaviour({f"pub/{name}": body for name, body in CONTENT.items()})) as address:
        run(tmp_path, mirror=f"{address}pub")


@pytest.mark.parametrize("announces_length", [True, False])
def test_dropped_connections_are_resumed(tmp_path: Path, announces_length: bool) -> None:
    behaviour = Behaviour(dict(CONTENT), drop_after=70_000, announces_length=announces_length)
    with serve(behaviour) as address:
        run(tmp_path, address)
    assert ("/images.gz", "bytes=70000-") in behaviour.requests
    assert ("/images.gz", "bytes=280000-") in behaviour.requests


@settings(max_examples=15, deadline=None)
@given(st.integers(0, len(CONTENT["images.gz"])))
def test_a_part_of_any_length_is_taken_up(tmp_path_factory: pytest.TempPathFactory, held: int) -> None:
    project = tmp_path_factory.mktemp("project")
    part_of(project).write_bytes(CONTENT["images.gz"][:held])
    behaviour = Behaviour(dict(CONTENT))
    with serve(behaviour) as address:
        run(project, address)
    asked = [asked for path, asked in behaviour.requests if path == "/images.gz"]
    assert asked == ([] if held == len(CONTENT["images.gz"]) else [f"bytes={held}-" if held else None])


@pytest.mark.parametrize("fault", ["no ranges", "another range", "part too long", "part damaged"])
def test_what_cannot_be_resumed_starts_from_zero(tmp_path: Path, fault: str) -> None:
    behaviour = Behaviour(dict(CONTENT), knows_ranges=fault != "no ranges", wrong_range=fault == "another range")
    held = {"part too long": os.urandom(400_000), "part damaged": os.urandom(100_000)}
    part_of(tmp_path).write_bytes(held.get(fault, CONTENT["images.gz"][:100_000]))
    with serve(behaviour) as address:
        run(tmp_path, address)


def test_a_passing_server_error_is_tried_again(tmp_path: Path) -> None:
    with serve(Behaviour(dict(CONTENT), statuses=[503, 429, 500])) as address:
        run(tmp_path, address)


def test_a_missing_file_on_the_server_fails_at_once(tmp_path: Path) -> None:
    behaviour = Behaviour({})
    with serve(behaviour) as address, pytest.raises(FetchError, match=r"images.gz .* answers 404.*\n?.*--from FOLDER"):
        run(tmp_path, address)
    assert len(behaviour.requests) == 1


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="expected 300,000 bytes, got 0; Connection refused"):
        run(tmp_path)


def test_an_address_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="starts with http://"):
        run(tmp_path, mirror="ftp://somewhere")
    with pytest.raises(FetchError, match="Fix: check the address"):
        run(tmp_path, mirror="http://:bad:")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (os.urandom(300_000), r"expected SHA-256 [0-9a-f]{64}, got [0-9a-f]{64}"),
        (os.urandom(300_001), "expected 300,000 bytes, got 300,001"),
    ],
)
def test_wrong_bytes_never_reach_data(tmp_path: Path, body: bytes, says: str) -> None:
    with serve(Behaviour({"images.gz": body})) as address, pytest.raises(FetchError, match=says) as caught:
        run(tmp_path, address)
    assert "--mirror URL" in str(caught.value)
    assert files_in(tmp_path) == []


def test_a_file_that_stays_truncated_is_left_for_resuming(tmp_path: Path) -> None:
    short = {"images.gz": CONTENT["images.gz"][:1_000]}
    with serve(Behaviour(short)) as address, pytest.raises(FetchError, match="expected 300,000 bytes, got "):
        run(tmp_path, address)
    assert not (tmp_path / "data").exists()


def test_copy_from_a_folder(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name, body in CONTENT.items():
        (source / name).write_bytes(body)
    part_of(tmp_path / "project").write_bytes(b"an earlier download")
    run(tmp_path / "project", source=source)
    assert part_of(tmp_path / "project").read_bytes() == b"an earlier download"


def test_copy_of_a_missing_or_damaged_file(tmp_path: Path) -> None:
    source, project = tmp_path / "source", tmp_path / "project"
    with pytest.raises(FetchError, match="no such folder"):
        run(project, source=source)
    source.mkdir()
    (source / "other.gz").write_bytes(b"")
    with pytest.raises(FetchError, match=r"images.gz: no such file \(.*other.gz\)"):
        run(project, source=source)
    (source / "images.gz").write_bytes(CONTENT["images.gz"][:-1])
    with pytest.raises(FetchError, match="expected 300,000 bytes, got 299,999"):
        run(project, source=source)
    assert files_in(project) == []


def test_disk_full(tmp_path: Path) -> None:
    part_of(tmp_path).symlink_to("/dev/full")
    with (
        serve(Behaviour(dict(CONTENT))) as address,
        pytest.raises(FetchError, match=r"disk is full.*free 300,000 bytes"),
    ):
        run(tmp_path, address)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder belongs")
    with serve(Behaviour(dict(CONTENT))) as address, pytest.raises(FetchError, match="make this place writable"):
        run(tmp_path, address)


def test_data_on_another_disk(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system at /dev/shm")
    target = other / f"thresher-{os.getpid()}"
    target.mkdir()
    try:
        (tmp_path / "data").symlink_to(target)
        with serve(Behaviour(dict(CONTENT))) as address:
            run(tmp_path, address)
        assert files_in(target) == ["images.gz", "labels.gz"]
    finally:
        subprocess.run(["rm", "-r", str(target)], check=True)


def test_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"Unknown data set 'fashion-mnist'\. Did you mean 'fashion_mnist'"):
        fetch("fashion-mnist", None, tmp_path, Console())


INTERRUPTED = """
import sys
from pathlib import Path
from rich.console import Console
from thresher.fetch.fetching import fetch
from thresher.fetch.known_sets import KnownSet, RemoteFile
known = {"clothes": KnownSet(sys.argv[1], "data/01_raw/clothes", "", (RemoteFile("images.gz", 300_000, sys.argv[3]),))}
fetch("clothes", None, Path(sys.argv[2]), Console(), known_sets=known, backoff_s=60)
"""


def test_ctrl_c_leaves_the_part_for_resuming(tmp_path: Path) -> None:
    digest = hashlib.sha256(CONTENT["images.gz"]).hexdigest()
    behaviour = Behaviour(dict(CONTENT), drop_after=70_000)
    with serve(behaviour) as address:
        command = [sys.executable, "-c", INTERRUPTED, address, str(tmp_path), digest]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        part, deadline = part_of(tmp_path), time.monotonic() + 30
        while (not part.exists() or part.stat().st_size < 70_000) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) != 0
        assert part.read_bytes() == CONTENT["images.gz"][:70_000]
        assert not (tmp_path / "data").exists()
        behaviour.drop_after = None
        run(tmp_path, address)
    assert ("/images.gz", "bytes=70000-") in behaviour.requests


@pytest.mark.skipif(
    "THRESHER_TEST_DATA" not in os.environ, reason="THRESHER_TEST_DATA names no folder with fashion_mnist/ in it"
)
def test_the_table_matches_fashion_mnist_as_published(tmp_path: Path) -> None:
    source = Path(os.environ["THRESHER_TEST_DATA"]) / "fashion_mnist"
    paths = fetch("fashion_mnist", source, tmp_path, Console(file=io.StringIO()))
    assert [path.parent for path in paths] == [tmp_path / "data/01_raw/fashion_mnist"] * 4
    assert [sha256_of(path) for path in paths] == [file.sha256 for file in KNOWN_SETS["fashion_mnist"].files]
