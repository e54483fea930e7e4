"""Entries of the catalog by name: their types, arguments and files, with everything that is wrong with them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path, PureWindowsPath
from typing import Any

from kedro.io.catalog_config_resolver import DEFAULT_RUNTIME_PATTERN, CatalogConfigResolver

from thresher.catalog.classes import TypeRefusedError, find_class, has_typed_arguments, make_dataset
from thresher.config_loader import RecipeConfigLoader
from thresher.errors import Problem, nearest
from thresher.fetch.known_sets import KNOWN_SETS
from thresher.readers.base import RawSamples
from thresher.readers.option_errors import find_problems
from thresher.readers.options import ReaderOptions

MAX_SIBLINGS = 1000
"""Files beside one that is not there, among which the nearest name is looked for."""
EMPTY = "name another file, or write the samples into it."
"""What to do about an empty file."""


@dataclass
class Entry:
    """One entry that a recipe names, as far as it could be understood.

    Attributes:
        name: as the recipe names it.
        reader: the class, where it is one of Thresher's readers.
        options: its arguments, where they are sound.
        problems: what is wrong with it.
        to_fetch: the known data set that its missing files are of; "" where all files are there.
        missing: these files, as problems of a run.
    """

    name: str
    reader: type[RawSamples[Any]] | None = None
    options: ReaderOptions | None = None
    problems: list[Problem] = field(default_factory=list)
    to_fetch: str = ""
    missing: list[Problem] = field(default_factory=list)


class Catalog:
    """The catalog of one environment."""

    def __init__(self, loader: RecipeConfigLoader) -> None:
        """Read its files; raises a ConfigurationError where that cannot be."""
        self._project = Path(loader.conf_source).resolve().parent
        self.files = loader.files("catalog")
        self._entries = deepcopy(loader["catalog"])
        self._unresolved = loader.unresolved
        patterns = {name: entry for name, entry in self._entries.items() if "{" in name}
        self._resolver = CatalogConfigResolver(patterns, {}, DEFAULT_RUNTIME_PATTERN)
        self._checked: dict[str, Entry] = {}

    def entry(self, name: str, wanted_at: str) -> Entry:
        """Return the entry ``name``, checked once.

        Args:
            wanted_at: where the recipe names it.
        """
        if name in self._unresolved:
            place = self.files.where((name,))
            return Entry(name, problems=[Problem(place, self._unresolved[name], "See docs/readers.md.")])
        pattern = name if name in self._entries else self._resolver.match_dataset_pattern(name)
        if pattern is None:
            known = [other for other in self._entries if "{" not in other and other != "bentofile_path"]
            what = f"there is no entry '{name}' in the catalog ({self.files.names})"
            return Entry(name, problems=[Problem(wanted_at, what, nearest(name, known))])
        if name not in self._checked:
            self._checked[name] = self._check(name, pattern)
        return self._checked[name]

    def where(self, entry: Entry, argument: str) -> str:
        """Return where ``argument`` of an entry stands."""
        pattern = entry.name if entry.name in self._entries else self._resolver.match_dataset_pattern(entry.name)
        return self.files.where((str(pattern), argument))

    def _check(self, name: str, pattern: str) -> Entry:
        found = self._entries[name] if name == pattern else self._resolver.resolve_pattern(name)
        arguments = {key: value for key, value in deepcopy(found).items() if key != "type"}
        if isinstance(arguments.get("path"), str):
            arguments["path"] = self._absolute(arguments["path"])
        entry = Entry(name)
        try:
            kind = find_class(found["type"], self._project)
            if not has_typed_arguments(kind):
                make_dataset(kind, arguments)
                return entry
        except TypeRefusedError as error:
            entry.problems.append(Problem(self.files.where((pattern, "type")), error.what, error.fix))
            return entry
        assert issubclass(kind, RawSamples)
        entry.reader = kind
        for problem in find_problems(kind.options_type, arguments):
            entry.problems.append(Problem(self.files.where((pattern, *problem.place)), problem.what, problem.fix))
        if not entry.problems:
            entry.options = kind.options_type.model_validate(arguments)
            self._check_files(entry, entry.options, pattern)
        return entry

    def _absolute(self, path: str) -> str:
        """Return ``path`` as Kedro makes it, from the project's folder."""
        is_absolute = Path(path).is_absolute() or PureWindowsPath(path).drive
        return path if is_absolute else (self._project / path).as_posix()

    def _check_files(self, entry: Entry, options: ReaderOptions, pattern: str) -> None:
        fetch = options.fetch
        if fetch is not None and fetch not in KNOWN_SETS:
            place = self.files.where((pattern, "fetch"))
            entry.problems.append(Problem(place, f"'{fetch}' is not a known data set", nearest(fetch, KNOWN_SETS)))
        # Without `path`, relative names begin at the project's folder.
        missing = [path for path in (self._project / path for path in options.find_files()) if not path.exists()]
        if missing and fetch in KNOWN_SETS:
            entry.to_fetch = str(fetch)
        argument = next((key for key in ("file", "images", "path") if hasattr(options, key)), "path")
        folders = [path for path in options.find_files() if argument != "path" and (self._project / path).is_dir()]
        for path in folders:
            problem = Problem(self.files.where((pattern, argument)), f"{path}: a folder", "Fix: name a file in it.")
            entry.problems.append(problem)
        files = (self._project / path for path in options.find_files())
        for path in (path for path in files if path.is_file() and not path.stat().st_size):
            problem = Problem(self.files.where((pattern, argument)), f"{path}: the file is empty", f"Fix: {EMPTY}")
            entry.problems.append(problem)
        for path in missing:
            fix = (
                f"Fix: run 'thresher fetch {fetch}'."
                if entry.to_fetch
                else describe_near(path, "the path in the catalog")
            )
            problem = Problem(self.files.where((pattern, argument)), f"{path}: no such file or folder", fix)
            (entry.missing if entry.to_fetch else entry.problems).append(problem)


def describe_near(path: Path, where: str) -> str:
    """Return what may be meant by a path that is not there, and ``where`` to correct it."""
    parent = next(folder for folder in path.parents if folder.is_dir())
    wanted = path.relative_to(parent).parts[0]
    siblings = [other.name for other, _ in zip(sorted(parent.iterdir()), range(MAX_SIBLINGS), strict=False)]
    near = get_close_matches(wanted, siblings, n=1, cutoff=0.6)
    hint = f"Did you mean '{near[0]}' in {parent}? " if near else ""
    return f"{hint}Fix: correct {where}, or put it there."
