"""Follows imports from module to module, as far as they lead."""

from __future__ import annotations

import hashlib
import posixpath
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from thresher.code_fingerprint.cache import SourceCache
from thresher.code_fingerprint.files import Module, ModuleFiles, files_beside, is_installed
from thresher.code_fingerprint.kinds import KindCode
from thresher.code_fingerprint.source import PACKAGE, Source, resolve

KINDS = "thresher.kinds"
"""The registry of kinds: the modules that it names count where code asks for a group of kinds, and a recipe for one."""
RECORDS = "thresher.kinds.built_in"
"""Our kinds' records, of which each counts by itself."""
NAMED_ELSEWHERE = {"thresher", "thresher.datasets.local", "thresher.readers"}
"""Modules of ours that import others by name: what these are is a root of the nodes for which they do so."""


@dataclass
class Code:
    """What some modules depend on, as code."""

    files: dict[str, str] = field(default_factory=dict)
    """Place, as package/module.py -> hash; of each module that is reached, and of the files that it reads."""
    packages: set[str] = field(default_factory=set)
    """Top-level modules of installed packages that these modules import."""


class Unit(NamedTuple):
    """A module, or one definition of it with what it uses there."""

    module: str
    definition: str = ""


@dataclass(frozen=True)
class Node:
    """What one unit adds to the code of whoever reaches it, whatever the recipe."""

    files: Mapping[str, str]
    targets: frozenset[str]
    """Modules that it imports, and the packages that it is in."""
    packages: frozenset[str]
    """Top-level modules of installed packages that it imports."""
    asks_for: frozenset[str]
    """What it imports of the registry of kinds: the classes of the records that it asks for."""


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class CodeGraph:
    """The modules of this package, of the user's own and of plug-ins, each read once, when it is first reached.

    Followed are all imports: relative ones, those within functions and under conditions, `import_module` of text, and
    text that names a module, as "package.module:name"; not those under `if TYPE_CHECKING`. Each module counts whole,
    with the `__init__` of the packages that it is in. Of a module that imports names which it computes, all of its
    package counts. Files beside a module count if it reads them; in a user's package they always do.
    """

    def __init__(self, hash_file: Callable[[Path], str | None] = hash_file, kept: Path | None = None) -> None:
        """Take what hashes files that are no code, and the file that keeps between runs what source says."""
        self._files, self._hash, self._cache = ModuleFiles(), hash_file, SourceCache(kept)
        self.find = cache(self._files.find)
        self.node = cache(self._node)
        self.source = cache(self._source)

    def reach(self, roots: Iterable[str], words: Collection[str] = (), kinds: Iterable[KindCode] = ()) -> Code:
        """Return what the code of ``roots`` depends on.

        Args:
            roots: modules, or "module:name" for one definition with what it uses of its module. The packages that
                they are in are followed wherever they are installed; of others, their versions count.
            words: of the recipe, which name kinds.
            kinds: those that count where code asks for their group, and they are named or their settings are imported.

        Raises:
            LookupError: a root is no module.
        """
        waiting = [Unit(*root.partition(":")[::2]) for root in roots]
        for unit in waiting:
            if [module.name for module in self.find(unit.module)][-1:] != [unit.module]:
                raise LookupError(f"there is no module {unit.module}")
        open_kinds = list(kinds)
        settings = [kind.settings for kind in open_kinds if kind.name in words]
        followed = frozenset(map(_top, {PACKAGE, *settings, *(unit.module for unit in waiting)}))
        code, seen, asks_for = Code(), set[Unit](), set[str]()
        while waiting:
            unit = waiting.pop()
            seen.add(unit)
            node = self.node(unit, followed)
            code.files |= node.files
            code.packages |= node.packages
            asks_for |= {*node.asks_for, unit.module}
            waiting += set(map(Unit, node.targets)).difference(seen, waiting)
            for kind in () if waiting else tuple(open_kinds):
                if not asks_for.isdisjoint((kind.looked_up_by, "GROUPS")) and (
                    kind.name in words or Unit(kind.settings) in seen
                ):
                    open_kinds.remove(kind)
                    code.files[kind.place] = kind.digest
                    ours = {module for module in kind.modules if self._links(followed).follows(module)}
                    code.packages |= set(map(_top, {*kind.modules} - ours))
                    waiting += set(map(Unit, ours)).difference(seen, waiting)
        return code

    def digest(self, path: Path) -> str:
        """Return the hash of a file; comments and docstrings in Python code do not change it."""
        return self._cache.read(path.read_bytes(), "").digest if path.suffix == ".py" else self._hash(path) or ""

    def save(self) -> None:
        """Keep what was read for later processes."""
        self._cache.save()

    def _links(self, followed: frozenset[str]) -> _Links:
        return _Links(self.find, self._files, followed)

    def _source(self, unit: Unit) -> Source:
        module = self.find(unit.module)[-1]
        content = module.path.read_bytes() if module.path.is_file() else b""
        return self._cache.read(content, module.package, unit.definition)

    def _node(self, unit: Unit, followed: frozenset[str]) -> Node:
        *packages, module = self.find(unit.module)
        source, links = self.source(unit), self._links(followed)
        named, asks = {*links.imported(source.imports)}, not _is_in(unit.module, KINDS)
        if unit.module not in NAMED_ELSEWHERE and asks:
            named |= {*links.imported(source.loads), *links.named_by_text(module, source)}
        targets = {name for name in named if links.follows(name)} | {package.name for package in packages}
        return Node(
            files=self._files_of(module, unit, source),
            targets=frozenset(targets - {RECORDS}),
            packages=frozenset(map(_top, named - targets)) - sys.stdlib_module_names,
            asks_for=frozenset(name.rpartition(".")[2] for name in source.imports if asks and _is_in(name, KINDS)),
        )

    def _files_of(self, module: Module, unit: Unit, source: Source) -> dict[str, str]:
        """Return the places of the module and of the files beside it that count, with their hashes."""
        folder, home = module.path.parent, module.place.rpartition("/")[0]
        inside = home and folder.is_dir() and (source.reads_files or _top(module.name) != PACKAGE)
        beside = {path.relative_to(folder).as_posix() for path in (files_beside(folder) if inside else ())}
        paths = {text for text in source.texts if "." in text and text[0] != "/"}
        beside |= {text for text in paths if (folder / text).is_file()}
        found = {posixpath.normpath(f"{home}/{name}"): self._hash(folder / name) or "" for name in sorted(beside)}
        own = module.place + (f":{unit.definition}" if unit.definition else "")
        return {own: source.digest, **found} if module.path.is_file() else found


@dataclass(frozen=True)
class _Links:
    """Finds the modules that others name; those of installed packages that are not followed by their full names."""

    find: Callable[[str], list[Module]]
    files: ModuleFiles
    followed: Collection[str]

    def follows(self, name: str) -> bool:
        places = self.files.top_places(_top(name))
        return bool(places) and (_top(name) in self.followed or not is_installed(places[0]))

    def imported(self, names: Iterable[str]) -> Iterator[str]:
        """Yield the modules that imported ``names`` are or are in."""
        for name in names:
            yield self.find(name)[-1].name if self.follows(name) else name

    def named_by_text(self, module: Module, source: Source) -> Iterator[str]:
        """Yield what text names: the modules of tables, of `__all__`, and all that computed names may be."""
        for text in source.texts:
            name = resolve(text.partition(":")[0].rstrip("."), module.package)
            # Ours name their own and what is followed by text; 'training.epochs' is no module of some training.py.
            if ("." in text or ":" in text or source.loads_by_name) and (
                _top(module.name) != PACKAGE or _top(name) in self.followed
            ):
                yield from self._module(name)
                if source.loads_by_name and name and not self.follows(name) and self.files.top_places(_top(name)):
                    yield name
            if source.lists_modules or source.loads_by_name:
                yield from self._module(f"{module.package}.{name}")
            if source.loads_by_name and text.endswith(".") and self.follows(name):
                yield from (below.name for below in self.files.below(name))
        if source.loads_by_name:
            yield from (below.name for below in self.files.below(_top(module.name)))

    def _module(self, name: str) -> Iterator[str]:
        """Yield the module that ``name`` is, or is a name in."""
        found = self.find(name)[-1].name if name and self.follows(name) else ""
        yield from [found] if found and found in (name, name.rpartition(".")[0]) else []


def _top(name: str) -> str:
    return name.partition(".")[0]


def _is_in(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")
