"""The modules of a package as they stand in its files; nothing is imported."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path

from thresher.errors import ThresherError
from thresher.reach.binding import Address, Target
from thresher.reach.block import Block, read_block


class SourceError(ThresherError):
    """Source code of the package that cannot be followed."""


def find_folder(package: str) -> Path:
    """Return where the top-level ``package`` lies, without importing it.

    Raises:
        LookupError: it is not installed, or not a folder.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise LookupError(f"no package {package}")
    return Path(next(iter(spec.submodule_search_locations)))


class Sources:
    """Reads each module of a package once, when it is first asked for, and follows its imports."""

    def __init__(self, package: str, folder: Path) -> None:
        self.package = package
        self._folder = folder
        self._modules: dict[str, Block | None] = {}
        self._resolved: dict[Address, tuple[Address, ...]] = {}
        self._kinds: dict[Address, str | None] = {}

    def owns(self, module: str) -> bool:
        """Return whether ``module`` is of this package by its name."""
        return module == self.package or module.startswith(f"{self.package}.")

    def module(self, name: str) -> Block | None:
        """Return the top level of the module ``name``; None where the package has none of that name.

        Raises:
            SourceError: the file is not Python, or imports all names of another module.
        """
        if name not in self._modules:
            self._modules[name] = self._read(name) if self.owns(name) else None
        return self._modules[name]

    def read_beside(self, module: str, name: str) -> bytes | None:
        """Return the file ``name`` in the folder of ``module``, which is no package; None where there is none."""
        path = self._folder.joinpath(*module.split(".")[1:]).with_name(name)
        return path.read_bytes() if path.is_file() else None

    def resolve(self, address: Address) -> tuple[Address, ...]:
        """Return where that is defined which stands at ``address``, through all imports, by all of its branches.

        A name that a module does not bind is a submodule, nothing where it is Python's own (`__file__`), or else
        something that cannot be known, which is the whole module.
        """
        if address not in self._resolved:
            self._resolved[address] = ()  # what two modules import from each other is nowhere
            self._resolved[address] = tuple(dict.fromkeys(self._resolve(address)))
        return self._resolved[address]

    def follow(self, targets: Iterable[Target], attributes: list[str]) -> Iterator[Address]:
        """Yield what `NAME.attribute.attribute` is, NAME being one of ``targets``; an object is followed whole."""
        for target in targets:
            if isinstance(target, Address):
                yield from self._follow(target, attributes)

    def definition(self, address: Address) -> list[ast.AST]:
        """Return all parts of the definition at ``address``; none where none is there."""
        module = self.module(address.module)
        return module.parts.get(address.name, []) if module else []

    def classes(self, address: Address) -> list[ast.ClassDef]:
        """Return the class at ``address``, once for each branch that defines it."""
        parts = self.definition(address)
        return [part for part in parts if isinstance(part, ast.ClassDef) and part.name == address.name]

    def kind(self, address: Address) -> str | None:
        """Return NAME where ``address`` is a class with `kind: Literal[NAME] = NAME`."""
        if address not in self._kinds:
            self._kinds[address] = next((kind for node in self.classes(address) for kind in _kinds(node)), None)
        return self._kinds[address]

    def _follow(self, target: Address, attributes: list[str]) -> Iterator[Address]:
        for address in self.resolve(target):
            is_unknown = bool(target.name) and address == Address(target.module)
            if attributes and not address.name and not is_unknown and self.owns(address.module):
                yield from self._follow(Address(address.module, attributes[0]), attributes[1:])
            else:
                yield address

    def _resolve(self, address: Address) -> Iterator[Address]:
        module = self.module(address.module)
        if not self.owns(address.module) or (module and not address.name):
            yield address
        elif module and module.binds(address.name):
            if address.name in module.parts:
                yield address
            imported = module.imports.get(address.name, ())
            yield from self.follow(imported, [])
            if address in imported:  # `from . import submodule`
                yield from self.resolve(Address(f"{address.module}.{address.name}"))
        elif module and self.module(f"{address.module}.{address.name}"):
            yield Address(f"{address.module}.{address.name}")
        elif module and not address.name.startswith("__"):
            yield Address(address.module)

    def _read(self, name: str) -> Block | None:
        path = self._folder.joinpath(*name.split(".")[1:])
        for file, package in ((path / "__init__.py", name), (path.with_suffix(".py"), name.rpartition(".")[0])):
            if file.is_file():
                return _read_file(file, package)
        return Block(name) if path.is_dir() else None


def _read_file(path: Path, package: str) -> Block:
    try:
        block = read_block(ast.parse(path.read_bytes(), path).body, package)
    except SyntaxError as error:
        raise SourceError(f"{path}:{error.lineno}: not valid Python ({error.msg}).") from error
    if "*" in block.imports:
        raise SourceError(f"{path}: 'import *' hides what its names are. Fix: import them by name.")
    return block


def _kinds(node: ast.ClassDef) -> Iterator[str]:
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            named = statement.target.id == "kind" and last_name(statement.annotation) == "Literal"
            if named and isinstance(statement.value, ast.Constant):
                yield str(statement.value.value)


def last_name(node: ast.expr) -> str:
    """Return NAME of `NAME`, `module.NAME` and `NAME[...]`; nothing of any other expression."""
    if isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
