"""Hashes of files and folders, and the cache that spares computing them."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from thresher import files
from thresher.caching import file_hashes as content
from thresher.caching.file_hashes import FileHashes
from thresher.errors import DataError
from thresher.events import Event, Step


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "state" / "hashes.db"


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files that were just written count as settled."""
    monkeypatch.setattr(files, "SETTLED_S", -60)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the files that are read, as they are."""
    names: list[str] = []
    digest = hashlib.file_digest

    def note(file: object, algorithm: str) -> object:
        names.append(Path(file.name).name)  # type: ignore[attr-defined]
        return digest(file, algorithm)  # type: ignore[arg-type]

    monkeypatch.setattr(hashlib, "file_digest", note)
    return names


def look(cache: Path, path: Path) -> str | None:
    """Return the hash of ``path`` as a process of its own finds it, which leaves the cache behind."""
    hashes = FileHashes(cache)
    found = hashes.of(path)
    hashes.save()
    return found


def test_a_file_is_its_bytes(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    assert look(cache, tmp_path / "a") == sha256(b"one")
    (tmp_path / "b").write_bytes(b"one")
    assert look(cache, tmp_path / "b") == sha256(b"one")


def test_nothing_there_is_none(tmp_path: Path, cache: Path) -> None:
    assert look(cache, tmp_path / "a") is None
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert look(cache, tmp_path / "dangling") is None


def fill(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_bytes(b"one")
    (folder / "sub" / "b").write_bytes(b"two")
    return folder


def test_a_folder_is_its_names_and_bytes(tmp_path: Path, cache: Path) -> None:
    first = look(cache, fill(tmp_path / "x"))
    assert look(cache, fill(tmp_path / "y")) == first
    different = {first}
    (tmp_path / "y" / "sub" / "b").write_bytes(b"2")
    different.add(look(cache, tmp_path / "y"))
    (tmp_path / "y" / "sub" / "b").write_bytes(b"two")
    (tmp_path / "y" / "sub" / "b").rename(tmp_path / "y" / "sub" / "c")
    different.add(look(cache, tmp_path / "y"))
    (tmp_path / "y" / "sub" / "c").rename(tmp_path / "y" / "b")
    different.add(look(cache, tmp_path / "y"))
    (tmp_path / "y" / "b").unlink()
    different.add(look(cache, tmp_path / "y"))
    (tmp_path / "y" / "a").rename(tmp_path / "y" / "z")
    different.add(look(cache, tmp_path / "y"))
    assert len(different) == 6


def test_names_with_a_dot_do_not_count(tmp_path: Path, cache: Path) -> None:
    folder = fill(tmp_path / "x")
    before = look(cache, folder)
    (folder / ".DS_Store").write_bytes(b"left behind")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "thumb").write_bytes(b"left behind")
    assert look(cache, folder) == before
    (tmp_path / ".hidden").write_bytes(b"named by the catalog itself")
    assert look(cache, tmp_path / ".hidden") == sha256(b"named by the catalog itself")


def test_links_are_followed(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"one")
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / "a").symlink_to(tmp_path / "elsewhere")
    before = look(cache, folder)
    (tmp_path / "elsewhere").write_bytes(b"two")
    assert look(cache, folder) != before


@pytest.mark.usefixtures("at_once")
def test_what_stays_as_it_is_is_read_once(tmp_path: Path, cache: Path, reads: list[str]) -> None:
    folder = fill(tmp_path / "x")
    assert look(cache, folder) == look(cache, folder)
    assert reads == ["a", "b"]
    (folder / "a").write_bytes(b"three")
    look(cache, folder)
    assert reads == ["a", "b", "a"]


def test_what_was_just_written_is_not_trusted(tmp_path: Path, cache: Path, reads: list[str]) -> None:
    (tmp_path / "a").write_bytes(b"one")
    look(cache, tmp_path / "a")
    look(cache, tmp_path / "a")
    assert reads == ["a", "a"]


@pytest.mark.usefixtures("at_once")
def test_an_edit_of_the_same_length_with_its_time_set_back_is_noticed(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    assert look(cache, path) == sha256(b"one")
    before = path.stat()
    time.sleep(0.02)  # coarser than any file system's clock
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    assert look(cache, path) == sha256(b"two")


@pytest.mark.usefixtures("at_once")
def test_another_file_renamed_into_the_place_is_noticed(tmp_path: Path, cache: Path) -> None:
    for name, data in (("a", b"one"), ("b", b"two")):
        (tmp_path / name).write_bytes(data)
        os.utime(tmp_path / name, ns=(0, 0))
    assert look(cache, tmp_path / "a") == sha256(b"one")
    (tmp_path / "b").replace(tmp_path / "a")
    assert look(cache, tmp_path / "a") == sha256(b"two")


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("damage", [b"no database", b"", b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_cache_costs_the_hashing_alone(tmp_path: Path, cache: Path, reads: list[str], damage: bytes) -> None:
    (tmp_path / "a").write_bytes(b"one")
    look(cache, tmp_path / "a")
    cache.write_bytes(damage)
    assert look(cache, tmp_path / "a") == sha256(b"one")
    assert look(cache, tmp_path / "a") == sha256(b"one")
    assert reads == ["a", "a"]


@pytest.mark.usefixtures("at_once")
def test_a_cache_of_another_make_costs_the_hashing_alone(tmp_path: Path, cache: Path) -> None:
    cache.parent.mkdir()
    with sqlite3.connect(cache) as connection:
        connection.execute("CREATE TABLE hashes (path TEXT PRIMARY KEY, sha256 TEXT)")
    (tmp_path / "a").write_bytes(b"one")
    assert look(cache, tmp_path / "a") == sha256(b"one")


def test_a_cache_that_is_just_being_made_is_left_to_who_makes_it(tmp_path: Path, cache: Path) -> None:
    cache.parent.mkdir()
    cache.touch()
    inode = cache.stat().st_ino
    (tmp_path / "a").write_bytes(b"one")
    assert look(cache, tmp_path / "a") == sha256(b"one")
    assert cache.stat().st_ino == inode


@pytest.mark.usefixtures("at_once")
def test_a_cache_that_cannot_be_written_costs_the_hashing_alone(tmp_path: Path, cache: Path) -> None:
    cache.mkdir(parents=True)
    (tmp_path / "a").write_bytes(b"one")
    assert look(cache, tmp_path / "a") == look(cache, tmp_path / "a") == sha256(b"one")


def test_nothing_is_written_where_nothing_was_computed(tmp_path: Path, cache: Path) -> None:
    look(cache, tmp_path / "a")
    assert not cache.exists()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"one")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(hashlib, "file_digest", refuse)
    with pytest.raises(DataError, match=r"/a: Permission denied\. Fix: "):
        look(cache, tmp_path / "a")


def test_hashing_a_large_file_is_reported(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, events: list[Event]
) -> None:
    monkeypatch.setattr(content, "LARGE_BYTES", 5)
    (tmp_path / "small").write_bytes(b"1234")
    (tmp_path / "large").write_bytes(b"123456")
    look(cache, tmp_path)
    assert [event.text.partition(",")[0] for event in events if isinstance(event, Step)] == ["reading large"]


SAVE_OFTEN = """
import sys
from pathlib import Path
from thresher import files
from thresher.caching import file_hashes as content
files.SETTLED_S = -60
cache, folder = Path(sys.argv[1]), Path(sys.argv[2])
folder.mkdir()
for number in range(40):
    (folder / str(number)).write_bytes(sys.argv[2].encode() + bytes([number]))
    hashes = content.FileHashes(cache)
    assert hashes.of(folder / str(number))
    hashes.save()
"""


@pytest.mark.usefixtures("at_once")
def test_processes_may_use_the_cache_at_the_same_time(tmp_path: Path, cache: Path, reads: list[str]) -> None:
    folders = [tmp_path / name for name in "ab"]
    commands = [[sys.executable, "-c", SAVE_OFTEN, str(cache), str(folder)] for folder in folders]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in processes] == [("", 0)] * 2
    hashes = FileHashes(cache)
    for folder in folders:
        for number in range(40):
            assert hashes.of(folder / str(number)) == sha256(str(folder).encode() + bytes([number]))
    assert reads == []


def test_a_file_that_was_changed_just_now_is_read_again_whatever_its_own_time_says(
    tmp_path: Path, cache: Path, reads: list[str]
) -> None:
    (tmp_path / "a").write_bytes(b"one")
    os.utime(tmp_path / "a", (0, 0))  # as unpacking an archive does; the system's time of change is now
    hashes = FileHashes(cache)
    assert [hashes.of(tmp_path / "a") for _ in range(2)] == [sha256(b"one")] * 2
    assert reads == ["a", "a"]
