"""Python's scoping as far as the syntax tree tells it: which names statements bind, and what the imports mean."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple


class Address(NamedTuple):
    """A definition by its module and name; with an empty name the whole module."""

    module: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.module}.{self.name}" if self.name else self.module


class Member(NamedTuple):
    """A member of the class at hand: looked up from "self", from "super", or "own", in the very body that names it.

    An empty name is the object itself.
    """

    start: str
    name: str = ""


Target = Address | Member
Bindings = dict[str, tuple[Target, ...]]
"""Name -> what it certainly stands for, by the imports; nothing where its value is not known."""

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_NAME_FIELD: dict[type[ast.AST], str] = {
    ast.FunctionDef: "name",
    ast.AsyncFunctionDef: "name",
    ast.ClassDef: "name",
    ast.arg: "arg",
    ast.ExceptHandler: "name",
    ast.MatchAs: "name",
    ast.MatchStar: "name",
    ast.MatchMapping: "rest",
}


@dataclass(frozen=True)
class Scope:
    """The names of one function, class or comprehension, inside those of another."""

    names: Bindings
    parent: Scope | None = None
    of_class: bool = False

    def binds(self, name: str) -> bool:
        """Return whether an assignment to ``name`` stays in this scope; in the outermost it is the definition."""
        return name in self.names or self.parent is None

    def find(self, name: str) -> tuple[tuple[Target, ...], bool]:
        """Return what ``name`` stands for here, and whether it may be the module's name as well."""
        found: tuple[Target, ...] = ()
        scope: Scope | None = self
        while scope is not None:
            # The functions of a class do not see its names; its other code sees them once they are bound, until then
            # those of the module.
            if scope.of_class and scope is self:
                found = scope.names.get(name, ())
            elif not scope.of_class and name in scope.names:
                return (*found, *scope.names[name]), False
            scope = scope.parent
        return found, True


def bind_names(nodes: Iterable[ast.AST], package: str) -> Bindings:
    """Return the names that ``nodes`` bind in their own scope; relative imports start from ``package``."""
    bound: Bindings = {}
    elsewhere: set[str] = set()
    for node in _walk_scope(nodes):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name, address in read_import(node, package):
                bound[name] = (*bound.get(name, ()), address)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            elsewhere.update(node.names)
        elif own := _bound_name(node):
            bound.setdefault(own, ())
    # What is imported to a global name is known here all the same.
    return {name: targets for name, targets in bound.items() if targets or name not in elsewhere}


def read_import(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, Address]]:
    """Yield each name that an import binds, with what it imports; relative imports start from ``package``."""
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, Address(_full_name(node, package), alias.name)
        elif alias.asname:
            yield alias.asname, Address(alias.name)
        else:
            top = alias.name.partition(".")[0]
            yield top, Address(top)


def children(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what stands directly below ``node``, but for the marks that only repeat what the place tells."""
    for field in node._fields:
        value = getattr(node, field, None)
        if isinstance(value, list):
            yield from (item for item in value if isinstance(item, ast.AST))
        elif isinstance(value, ast.AST) and field not in ("ctx", "op"):
            yield value


def _walk_scope(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield ``nodes`` and all below them, but not what is inside of functions, classes and comprehensions."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, COMPREHENSIONS):
            waiting.extend(part.target for part in ast.walk(node) if isinstance(part, ast.NamedExpr))
        elif not isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Lambda, ast.Constant)):
            waiting.extend(children(node))


def _bound_name(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return None if isinstance(node.ctx, ast.Load) else node.id
    field = _NAME_FIELD.get(type(node))
    return getattr(node, field) if field else None


def _full_name(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    base = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])
