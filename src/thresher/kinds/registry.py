"""Which kinds there are: Thresher's own, those of installed packages, and those of the user's project.

A package adds kinds by entry points, `[project.entry-points."thresher.techniques"] NAME = "module:RECORD"`; a project
by `[tool.thresher] kinds = "MODULE"` in its pyproject.toml, where MODULE has a list `KINDS` of records. The names of a
package's kinds are known without importing it, so that a recipe which names none of them does not pay for it.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TypeVar

from thresher.config import KindConfig
from thresher.errors import FOREIGN, describe_import_error, nearest
from thresher.kinds.built_in import KINDS
from thresher.kinds.record import GROUPS, Kind, KindError

OURS = "thresher"
PROJECT = "THRESHER_PROJECT"
"""Environment variable of the project's folder: processes that a run starts see the same kinds."""

K = TypeVar("K", bound=Kind)


@dataclass(frozen=True)
class Entry:
    """A name of a group, and where it comes from.

    Attributes:
        source: `thresher`, a package and its version, or the module of the project.
        load: returns the record, or raises a KindError.
    """

    group: str
    name: str
    source: str
    load: Callable[[], Kind]


class Registry:
    """All kinds that a recipe of one project can name."""

    def __init__(self, entries: Iterable[Entry], problem: str = "") -> None:
        """Take ``entries``, and what is wrong with the project's own module of kinds, if anything is."""
        self._entries: dict[tuple[str, str], list[Entry]] = {}
        self.problem = problem
        for entry in entries:
            self._entries.setdefault((entry.group, entry.name), []).append(entry)

    def __iter__(self) -> Iterator[Entry]:
        """Yield all entries, those of one name and group beside each other."""
        return (entry for same in self._entries.values() for entry in same)

    def names(self, group: str) -> list[str]:
        """Return the names of ``group``, Thresher's own first."""
        return [name for of, name in self._entries if of == group]

    def find(self, of: type[K], name: str) -> K:
        """Return the record of a kind, one of class ``of``.

        Raises:
            KindError: there is none of that name, there are two, or it cannot be imported.
        """
        kind = self.require_one(of.group, name).load()
        assert isinstance(kind, of)
        return kind

    def require_one(self, group: str, name: str) -> Entry:
        """Return the only entry of a name; raises a KindError if there is none, or two."""
        entries = self._entries.get((group, name), [])
        if not entries:
            broken = f" {self.problem}" if self.problem else ""
            raise KindError(f"There is no {group} '{name}'. {nearest(name, self.names(group))}{broken}")
        if len(entries) > 1:
            sources = " and by ".join(entry.source for entry in entries)
            raise KindError(f"The {group} '{name}' is given by {sources}. Fix: remove or rename all but one.")
        return entries[0]

    def usable(self, of: type[K]) -> list[K]:
        """Return the records of class ``of`` that can be imported; of others, the recipes that use them tell why."""
        found = []
        for name in self.names(of.group):
            try:
                found.append(self.find(of, name))
            except KindError:
                continue
        return found


def use_project(folder: Path) -> None:
    """Have the kinds of the project in ``folder``, in this process and in those that it starts."""
    os.environ[PROJECT] = str(folder.resolve())


def registry() -> Registry:
    """Return the kinds of the project in use, which is that of the working directory where none was chosen."""
    chosen = os.environ.get(PROJECT)
    return read_registry(Path(chosen) if chosen else _project_above(Path.cwd()))


def kind_of(of: type[K], config: KindConfig) -> K:
    """Return the record, of class ``of``, of the kind whose settings ``config`` is."""
    return registry().find(of, config.kind)


@cache
def read_registry(project: Path | None) -> Registry:
    """Return the kinds of Thresher, of the installed packages and of ``project``."""
    ours = [Entry(kind.group, kind.name, OURS, partial(_same, kind)) for kind in KINDS]
    installed = entry_points()  # one look at all packages
    packages = [
        Entry(group, point.name, _package(point), partial(_read_point, point, group))
        for group in GROUPS
        for point in installed.select(group=f"thresher.{plural(group)}")
    ]
    own, problem = _own_kinds(project) if project else ([], "")
    return Registry([*ours, *packages, *own], problem)


def plural(group: str) -> str:
    """Return the last word of the name of the group's entry points."""
    return "modalities" if group == "modality" else f"{group}s"


def _package(point: EntryPoint) -> str:
    return f"package {point.dist.name} {point.dist.version}" if point.dist else f"entry point {point.value}"


def _read_point(point: EntryPoint, group: str) -> Kind:
    try:
        record = point.load()
    except FOREIGN as error:
        reason = describe_import_error(error)
        raise KindError(f"{group} '{point.name}' of {_package(point)} cannot be imported: {reason}") from error
    if not isinstance(record, GROUPS[group]) or record.name != point.name:
        raise KindError(
            f"{group} '{point.name}' of {_package(point)}: {point.value} is {_describe(record)}. "
            f'Fix: a {GROUPS[group].__name__}("{point.name}", ...).'
        )
    return record


def _own_kinds(project: Path) -> tuple[list[Entry], str]:
    """Return the entries of the project's own module, and what is wrong with it."""
    file = project / "pyproject.toml"
    try:
        settings = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}) if file.is_file() else {}
    except ValueError as error:
        return [], f"The project's own kinds are unknown: {file} is not TOML: {error}."
    module = settings.get("thresher", {}).get("kinds")
    if module is None:
        return [], ""
    source, unknown = f"{module} of the project", "The project's own kinds are unknown:"
    folder = str(project / settings.get("kedro", {}).get("source_dir", "src"))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        records = import_module(str(module)).KINDS
    except FOREIGN as error:
        return [], f"{unknown} {module} cannot be imported: {describe_import_error(error)}"
    if not isinstance(records, list | tuple):
        return [], f"{unknown} KINDS of {module} is not a list of records, but {_describe(records)}."
    odd = [record for record in records if not isinstance(record, Kind) or not str(record.name).isidentifier()]
    if odd:
        return [], f"{unknown} an item of KINDS of {module} is not a record of a kind, but {_describe(odd[0])}."
    return [Entry(record.group, record.name, source, partial(_same, record)) for record in records], ""


def _same(record: Kind) -> Kind:
    return record


def _describe(record: object) -> str:
    return f"the {record.group} '{record.name}'" if isinstance(record, Kind) else f"of type {type(record).__name__}"


def _project_above(folder: Path) -> Path | None:
    """Return the nearest folder from ``folder`` upwards that has a pyproject.toml."""
    return next((each for each in (folder, *folder.parents) if (each / "pyproject.toml").is_file()), None)
