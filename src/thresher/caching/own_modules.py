"""Code of the user's own, which catalog entries name: whole files count, and what they import."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from thresher.reach.source import find_folder

PACKAGE = "thresher"
READ_BESIDE = {".py", ".json", ".yml", ".yaml", ".toml", ".txt", ".csv"}
"""Endings of the files in a user's package that count: code, and the tables and settings that it reads beside it."""


@dataclass
class OwnCode:
    """What a user's modules are and use.

    Attributes:
        files: place -> hash, for each file of theirs.
        ours: qualified names of Thresher that they import.
        packages: top-level modules of installed packages that they import.
    """

    files: dict[str, str] = field(default_factory=dict)
    ours: set[str] = field(default_factory=set)
    packages: set[str] = field(default_factory=set)


def read_own_code(module: str) -> OwnCode:
    """Return what the user's own ``module`` depends on: all of its top-level package, and so on for what that imports.

    A module of Thresher or of an installed package gives nothing but its name.
    """
    found, waiting, seen = OwnCode(), [module], set[str]()
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if top == PACKAGE:
            found.ours.add(name)
        elif top not in seen and top not in sys.stdlib_module_names:
            seen.add(top)
            files = _own_files(top)
            if not files:
                found.packages.add(top)
            for place, path in files.items():
                content = path.read_bytes()
                found.files[place] = hashlib.sha256(content).hexdigest()[:16]
                if path.suffix == ".py":
                    waiting += _imports(content)
    return found


@cache
def imports_of(module: str) -> frozenset[str]:
    """Return the top-level modules that an installed, loaded ``module`` imports: what a dataset of it is read by."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file or not file.endswith(".py") or module.partition(".")[0] in sys.stdlib_module_names:
        return frozenset()
    names = {name.partition(".")[0] for name in _imports(Path(file).read_bytes())}
    return frozenset(names - set(sys.stdlib_module_names))


@cache
def is_own(module: str) -> bool:
    """Return whether ``module`` lies neither in Thresher nor among installed packages nor in Python itself."""
    top = module.partition(".")[0]
    return top != PACKAGE and top not in sys.stdlib_module_names and bool(_own_files(top))


@cache
def _installed() -> tuple[Path, ...]:
    return tuple({Path(path).resolve() for path in sysconfig.get_paths().values()})


def _own_files(top: str) -> dict[str, Path]:
    """Return the files of the top-level module ``top`` by their places; none where it is not the user's own."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return {}
    if spec is None:
        return {}
    folders = [Path(folder).resolve() for folder in spec.submodule_search_locations or ()]
    file = Path(spec.origin).resolve() if spec.origin and spec.has_location else None
    if any(_is_installed(place) for place in [*folders, *([file] if file else [])]):
        return {}
    if not folders:
        return {file.name: file} if file else {}
    return {
        f"{top}/{path.relative_to(folder).as_posix()}": path for folder in folders for path in sorted(_walk(folder))
    }


def _walk(folder: Path) -> Iterator[Path]:
    ours = find_folder(PACKAGE).resolve()
    for path in folder.iterdir():
        if path.name.startswith((".", "__pycache__")) or path.resolve() == ours:
            continue
        if path.is_dir():
            yield from _walk(path)
        elif path.suffix in READ_BESIDE:
            yield path


def _is_installed(path: Path) -> bool:
    parts = {"site-packages", "dist-packages"} & set(path.parts)
    return bool(parts) or any(path.is_relative_to(folder) for folder in _installed() if folder.name != "bin")


def _imports(source: bytes) -> list[str]:
    """Return the qualified names that ``source`` imports; what is relative stays in its package, which counts whole."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # what imports it says so
        return []
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names
