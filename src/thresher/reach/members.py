"""Classes member by member, with their bases inside the package."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from thresher.reach.binding import Address, Bindings, Member
from thresher.reach.block import Block, read_block
from thresher.reach.references import split_chain
from thresher.reach.source import Sources


@dataclass(frozen=True)
class ClassSource:
    """A class of the package."""

    body: Block
    names: Bindings
    """What its body binds, as its own code sees it."""
    head: list[ast.AST]
    """Decorators, bases, keywords, and what runs in its body."""
    bases: list[Address]
    """Those inside the package."""
    has_foreign_base: bool


class Classes:
    """Reads the classes of a package, each once."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._read: dict[Address, ClassSource] = {}

    def of(self, address: Address) -> ClassSource:
        """Return the class at ``address``, all of its branches as one."""
        if address not in self._read:
            self._read[address] = self._read_class(address)
        return self._read[address]

    def lineage(self, address: Address) -> list[Address]:
        """Return the class at ``address`` and its bases inside the package, in the order in which they are asked."""
        later = [ancestor for base in self.of(address).bases for ancestor in self.lineage(base)]
        # A base that two classes share comes after both.
        return [address, *reversed(dict.fromkeys(reversed(later)))]

    def holders(self, receiver: Address, holder: Address, member: Member) -> list[Address]:
        """Return the class that has ``member``, or nothing where none inside the package has.

        Args:
            receiver: the class of the object at hand.
            holder: the class whose code names the member.
        """
        lineage = self.lineage(receiver)
        if member.start == "super":
            lineage = lineage[lineage.index(holder) + 1 :]
        elif member.start == "own":
            lineage = [holder]
        return [cls for cls in lineage if member.name in self.of(cls).body.parts][:1]

    def _read_class(self, address: Address) -> ClassSource:
        nodes = self._sources.classes(address)
        module = self._sources.module(address.module)
        assert module is not None
        body = read_block([statement for node in nodes for statement in node.body], module.package)
        head = [part for node in nodes for part in (*node.decorator_list, *node.bases, *node.keywords)]
        named = {name: (Member("own", name),) for name in body.parts}
        found = [self._base(base, address) for node in nodes for base in node.bases]
        bases = list(dict.fromkeys(base for base in found if base))
        return ClassSource(body, {**body.imports, **named}, head + body.effects, bases, None in found)

    def _base(self, base: ast.expr, of: Address) -> Address | None:
        node, attributes = split_chain(base.value if isinstance(base, ast.Subscript) else base)
        if not isinstance(node, ast.Name):
            return None
        followed = self._sources.follow([Address(of.module, node.id)], attributes)
        # `class Name(Name)` extends what it has imported under its own name.
        return next((address for address in followed if self._sources.classes(address) and address != of), None)
