"""What definitions refer to."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from thresher.reach.binding import FUNCTIONS, Address, Bindings, Member, Scope
from thresher.reach.members import Classes
from thresher.reach.normal import digest
from thresher.reach.reader import Reader
from thresher.reach.references import References
from thresher.reach.source import Sources, last_name


@dataclass(frozen=True)
class Uses:
    """What a definition refers to, for one selection of kinds."""

    digest: str
    addresses: frozenset[Address]
    members: frozenset[Member]
    """What it uses of the class that it is a member of."""
    answers: dict[str, bool]
    """Kind -> whether it was selected, for each that was asked for: another selection may give other uses."""


def read_uses(
    nodes: Iterable[ast.AST], module: str, sources: Sources, kinds: Collection[str], body: Bindings | None = None
) -> Uses:
    """Return what ``nodes`` refer to.

    Args:
        nodes: all parts of one definition.
        module: where they stand.
        sources: resolves names.
        kinds: those of the recipe; classes of other kinds are left out of tables, unions and tuples.
        body: the names of the class that ``nodes`` are a member of; None where they stand in no class.
    """
    references = References(module, sources, kinds)
    reader = Reader(references)
    scope = Scope(body or {}, of_class=body is not None)
    parts = list(nodes)
    for node in parts:
        if body is not None and isinstance(node, FUNCTIONS):
            reader.read_function(node, scope, _receiver(node))
        else:
            reader.read(node, scope)
    code = digest(parts, reader.left_out, references.aliases)
    return Uses(code, frozenset(references.addresses), frozenset(references.members), references.answers)


def _receiver(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return the name by which a method knows its object or class; "" for a static method."""
    parameters = [*node.args.posonlyargs, *node.args.args]
    static = any(last_name(decorator) == "staticmethod" for decorator in node.decorator_list)
    return parameters[0].arg if parameters and not static else ""


class UsesMemo:
    """Reads each definition once for all selections of kinds that give it the same uses."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.classes = Classes(sources)
        self._known: dict[object, list[Uses]] = {}

    def of_definition(self, address: Address, kinds: frozenset[str]) -> Uses:
        nodes = self.sources.definition(address)
        return self._once(address, kinds, lambda: read_uses(nodes, address.module, self.sources, kinds))

    def of_import(self, module: str, kinds: frozenset[str]) -> Uses:
        """Return what a module's statements refer to that are no definitions."""
        block = self.sources.module(module)
        nodes = block.effects if block else []
        return self._once(module, kinds, lambda: read_uses(nodes, module, self.sources, kinds))

    def of_head(self, cls: Address, kinds: frozenset[str]) -> Uses:
        """Return what a class refers to outside of its members."""
        source = self.classes.of(cls)
        return self._once((cls, None), kinds, lambda: self._read_in(cls, source.head, source.names, kinds))

    def of_member(self, cls: Address, name: str, kinds: frozenset[str]) -> Uses:
        source = self.classes.of(cls)
        return self._once((cls, name), kinds, lambda: self._read_in(cls, source.body.parts[name], source.names, kinds))

    def _read_in(self, cls: Address, nodes: list[ast.AST], names: Bindings, kinds: frozenset[str]) -> Uses:
        return read_uses(nodes, cls.module, self.sources, kinds, names)

    def _once(self, key: object, kinds: frozenset[str], read: Callable[[], Uses]) -> Uses:
        known = self._known.setdefault(key, [])
        for uses in known:
            if all((kind in kinds) == answer for kind, answer in uses.answers.items()):
                return uses
        known.append(read())
        return known[-1]
