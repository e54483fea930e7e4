"""Finds the files of modules, and the files beside them; nothing is imported."""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CODE = {".py", ".so", ".pyd"}


@dataclass(frozen=True)
class Module:
    """A module or package by its qualified name."""

    name: str
    path: Path
    """The module's file; for a package its `__init__.py`, which need not be there."""
    place: str
    """The same as package/module.py, wherever the package lies."""

    @property
    def package(self) -> str:
        """What relative imports start from."""
        return self.name if self.is_package else self.name.rpartition(".")[0]

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"


class ModuleFiles:
    """Looks at each folder once."""

    def __init__(self) -> None:
        self._tops: dict[str, list[Path]] = {}
        self._folders: dict[Path, dict[str, Path]] = {}

    def find(self, qualified: str) -> list[Module]:
        """Return the module that ``qualified`` is or is in, after the packages that it is in; none where none is."""
        top, *names = qualified.split(".")
        for place in self.top_places(top):
            found = [_module(top, place, place.parent)]
            folder = place
            for name in names:
                if name not in (entries := self._entries(folder)):
                    break
                folder = entries[name]
                found.append(_module(f"{found[-1].name}.{name}", folder, place.parent))
            if len(found) > 1 or not names:
                return found
        return [_module(top, place, place.parent) for place in self.top_places(top)[:1]]

    def below(self, qualified: str) -> Iterator[Module]:
        """Yield all modules of the package ``qualified``; nothing where it is none."""
        found = self.find(qualified)
        if found and found[-1].name == qualified:
            yield found[-1]
            for name in self._entries(found[-1].path.parent) if found[-1].is_package else ():
                if name != "__init__":
                    yield from self.below(f"{qualified}.{name}")

    def top_places(self, top: str) -> list[Path]:
        """Return the folders or the file of a top-level module; nothing of what is built in or not installed."""
        if top not in self._tops:
            self._tops[top] = _top_places(top)
        return self._tops[top]

    def _entries(self, folder: Path) -> dict[str, Path]:
        """Return the modules in ``folder`` by name, a folder before a file."""
        if folder not in self._folders:
            inside = sorted(folder.iterdir(), key=Path.is_dir) if folder.is_dir() else []
            self._folders[folder] = {
                path.name.partition(".")[0]: path
                for path in inside
                if (path.is_dir() and path.name.isidentifier() and path.name != "__pycache__") or path.suffix in CODE
            }
        return self._folders[folder]


def files_beside(folder: Path) -> Iterator[Path]:
    """Yield the files in ``folder`` that are no code, and those of its folders without code."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "__pycache__")):
            continue
        if path.is_dir() and not any(path.glob("*.py")):
            yield from files_beside(path)
        elif path.is_file() and path.suffix not in {*CODE, ".pyc"}:
            yield path


@cache
def is_installed(path: Path) -> bool:
    """Return whether ``path`` lies where packages are installed, or Python itself does."""
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    return bool(installed) or any(map(path.resolve().is_relative_to, _installation()))


@cache
def _installation() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    return tuple({Path(paths[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def _top_places(top: str) -> list[Path]:
    if top in sys.stdlib_module_names or top == "__pycache__":
        return []
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    return folders or ([Path(spec.origin)] if spec.origin and spec.has_location else [])


def _module(name: str, path: Path, root: Path) -> Module:
    file = path / "__init__.py" if path.is_dir() else path
    return Module(name, file, file.relative_to(root).as_posix())
