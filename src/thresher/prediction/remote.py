"""New data at an address: brought whole into the project's cache, and gone on with where it broke off."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import click
from filelock import FileLock, Timeout
from rich.console import Console

from thresher.errors import DataError, FetchError
from thresher.fetch.download import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, download

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
CACHE_FOLDER = ".cache/predict"
NOTE = "note"
MAX_NAME = 200
"""Bytes of a file's name: file systems take 255, of which the endings of what lies beside it need some."""
FIX = "Fix: run it again, which goes on where it broke off, or download it yourself and name the file."
ALONE = "Fix: download it yourself and name the file."


@dataclass(frozen=True)
class Remote:
    """A file that a server has.

    Attributes:
        version: the server's own word for this content, its ETag or the date of its last change; "" where it has none.
    """

    num_bytes: int
    version: str


def is_address(text: str) -> bool:
    """Return whether ``text`` is an address and no path."""
    return ADDRESS.match(text) is not None


def shown(address: str) -> str:
    """Return ``address`` without what may be secret in it: a user's name, a password, a signature in the query."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@contextmanager
def local_copy(address: str, project: Path) -> Iterator[Path]:
    """Give the file at ``address``; a copy of it goes once the block has ended well.

    Raises:
        DataError: an address that is none of http, https and file, a server that does not answer or does not say how
            large the file is, a file that changes meanwhile, a disk that is too small.
        FetchError: the server breaks off again and again; what has come is kept for the next call.
    """
    try:
        scheme = urlsplit(address).scheme.lower()
    except ValueError as error:
        raise DataError(f"--in: {address} is no address ({error}). Fix: correct it.") from error
    if scheme == "file":
        yield _path_of(address)
        return
    if scheme not in ("http", "https"):
        raise DataError(f"--in: {shown(address)}: not read. Allowed: http, https, file, or a path. {ALONE}")
    name = _name_of(address)
    remote = _look(address)
    folder = project / CACHE_FOLDER / hashlib.sha256(address.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            yield _bring(address, remote, folder / name)
    except Timeout:
        raise DataError(f"--in: {shown(address)} is being read by another process. Fix: wait for its end.") from None
    shutil.rmtree(folder, ignore_errors=True)


def _path_of(address: str) -> Path:
    parts = urlsplit(address)
    if parts.netloc not in ("", "localhost"):
        raise DataError(f"--in: {shown(address)} is on the machine {parts.netloc}. Fix: file:///PATH, of this machine.")
    return Path(url2pathname(parts.path))


def _name_of(address: str) -> str:
    """Return the name of the file at ``address``, as its copy has it."""
    name, told = Path(unquote(urlsplit(address).path)).name, shown(address)
    if not Path(name).suffix:
        raise DataError(
            f"--in: {told} does not end in the name of a file, whose suffix says its format. Fix: download it yourself."
        )
    if not name.isprintable() or len(name.encode()) > MAX_NAME:
        what = f"ends in a name of more than {MAX_NAME} bytes, or with characters that cannot be shown"
        raise DataError(f"--in: {told} {what}. Fix: download it yourself, by another name.")
    return name


def _bring(address: str, remote: Remote, file: Path) -> Path:
    """Return ``file``: what is there already of the same version, or is downloaded from ``address``."""
    told, folder, part = shown(address), file.parent, file.with_name(f"{file.name}.part")
    note = f"{remote.num_bytes} {remote.version}"
    if not remote.version or _read(folder / NOTE) != note:  # parts of another content would not fit together
        file.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
    (folder / NOTE).write_text(note, encoding="utf-8")
    if file.exists():
        return file
    held = part.stat().st_size if part.exists() else 0
    free = shutil.disk_usage(folder).free
    if free < remote.num_bytes - held:
        what = f"{told}: {remote.num_bytes:,} bytes, and {free:,} are free in {folder}"
        raise DataError(f"--in: {what}. Fix: make room there.")
    click.echo(f"{told}: {remote.num_bytes:,} bytes" + (f", of which {held:,} are here." if held else "."), err=True)
    try:
        console, (goes_on, fix) = Console(stderr=True), (True, FIX) if remote.version else (False, ALONE)
        download(address, part, remote.num_bytes, console, backoff_s=1.0, fix=fix, goes_on=goes_on)
    except FetchError as error:
        raise FetchError(f"--in: {str(error).replace(address, told)}") from None  # which would show the address
    if part.stat().st_size != remote.num_bytes or _look(address) != remote:
        part.unlink()
        raise DataError(f"--in: {told} has changed while it was downloaded. Fix: run it again.")
    part.rename(file)
    return file


def _look(address: str) -> Remote:
    """Return what the server says of the file. By GET, since signed addresses allow no HEAD."""
    import requests

    told, headers = shown(address), {"Accept-Encoding": "identity"}
    try:
        with requests.get(address, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)) as found:
            status, reason, given = found.status_code, found.reason, found.headers
    except (requests.RequestException, ValueError) as error:
        what = f"{type(error).__name__}: the server cannot be reached"
        raise DataError(f"--in: {told}: {what}. Fix: check the address and the network.") from None
    if status != 200:
        raise DataError(f"--in: {told}: the server answers {status} {reason}. Fix: check the address.")
    size = given.get("Content-Length", "")
    if (packed := given.get("Content-Encoding", "identity")) != "identity":
        what = f"the server sends it packed by {packed}, though it was asked not to"
        raise DataError(f"--in: {told}: {what}. {ALONE}")
    if not size.isdecimal():
        what = "the server does not say how large the file is, so that a part of it could not be told from the whole"
        raise DataError(f"--in: {told}: {what}. {ALONE}")
    if not int(size):
        raise DataError(f"--in: {told}: the file is empty. Fix: name a file with samples.")
    tag = given.get("ETag", "")
    return Remote(int(size), given.get("Last-Modified", "") if tag.startswith("W/") or not tag else tag)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
