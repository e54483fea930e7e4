"""What definitions refer to, read once."""

from __future__ import annotations

import ast
from collections.abc import Callable

from thresher.reuse.binding import Address, Bindings
from thresher.reuse.members import Classes
from thresher.reuse.source import Sources
from thresher.reuse.uses import Uses, read_uses


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
