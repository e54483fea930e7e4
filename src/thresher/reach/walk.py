"""From definition to definition, as far as the code leads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from thresher.reach.binding import Address, Member
from thresher.reach.uses import Uses, UsesMemo

CONSTRUCTION = ("__new__", "__init__", "__post_init__")
"""Methods that run before any other does."""


class MemberUse(NamedTuple):
    """A member that the code of the class ``holder`` uses of an object of the class ``receiver``."""

    receiver: Address
    holder: Address
    member: Member


class Walk:
    """One walk from some roots, for one selection of kinds."""

    def __init__(self, memo: UsesMemo, kinds: frozenset[str]) -> None:
        self._memo, self._sources, self._classes, self._kinds = memo, memo.sources, memo.classes, kinds
        self._seen: set[Address | MemberUse] = set()
        self._waiting: list[Address | MemberUse] = []
        self._heads: dict[str, str] = {}
        """What stands outside of definitions: of classes around their members, of modules around all."""
        self.definitions: dict[str, str] = {}
        self.externals: set[str] = set()

    def start(self, root: str) -> None:
        """Go from the definition of that qualified name; raises LookupError where the package has none."""
        if not self._sources.owns(root):
            self.externals.add(root.partition(".")[0])
            return
        module, names = self._locate(root)
        block = self._sources.module(module)
        if not names:
            self._go([Address(module)])
        elif block is None or not block.binds(names[0]):
            raise LookupError(f"{root}: {module} has no {names[0]}")
        else:
            self._start_at(self._sources.resolve(Address(module, names[0])), names[1:], root)

    def finish(self) -> None:
        """Go on until nothing new is reached."""
        while self._waiting:
            place = self._waiting.pop()
            if isinstance(place, MemberUse):
                self._visit_member(place)
            elif not self._sources.owns(place.module):
                self.externals.add(place.module.partition(".")[0])
            elif place.name:
                self._visit_definition(place)
            else:
                self._visit_module(place.module)
        self.definitions = {**self._heads, **self.definitions}

    def _locate(self, root: str) -> tuple[str, list[str]]:
        names = root.split(".")
        for count in range(len(names), 0, -1):
            if self._sources.module(".".join(names[:count])):
                return ".".join(names[:count]), names[count:]
        raise LookupError(f"{root}: no such package")

    def _start_at(self, addresses: tuple[Address, ...], names: list[str], root: str) -> None:
        classes = [address for address in addresses if names and self._sources.classes(address)]
        for cls in classes:
            self._start_in_class(cls, names[0])
        if not classes:
            # What is defined inside of a function is part of it.
            if names and names[0] != "<locals>" and any(self._sources.owns(address.module) for address in addresses):
                raise LookupError(f"{root}: no class has {names[0]}")
            self._go(addresses)

    def _start_in_class(self, address: Address, name: str) -> None:
        lineage = self._classes.lineage(address)
        method = Member("self", name)
        inside = self._classes.holders(address, address, method)
        if not inside and not any(self._classes.of(cls).has_foreign_base for cls in lineage):
            raise LookupError(f"{address} has no {name}")
        for cls in lineage:
            uses = self._memo.of_head(cls, self._kinds)
            self._heads[str(cls)] = uses.digest
            self._note(uses, cls.module, self._classes.of(cls).bases)
            self._go(MemberUse(address, cls, member) for member in uses.members)
        members = [method, *(Member("self", each) for each in CONSTRUCTION)]
        self._go(MemberUse(address, address, member) for member in members)

    def _go(self, places: Iterable[Address | MemberUse]) -> None:
        for place in places:
            if place not in self._seen:
                self._seen.add(place)
                self._waiting.append(place)

    def _visit_definition(self, address: Address) -> None:
        uses = self._memo.of_definition(address, self._kinds)
        self.definitions[str(address)] = uses.digest
        self._note(uses, address.module)

    def _visit_member(self, use: MemberUse) -> None:
        if not use.member.name:
            self._go([use.receiver])
        for holder in self._classes.holders(*use):
            uses = self._memo.of_member(holder, use.member.name, self._kinds)
            self.definitions[f"{holder}.{use.member.name}"] = uses.digest
            self._note(uses, holder.module)
            self._go(MemberUse(use.receiver, holder, member) for member in uses.members)

    def _visit_module(self, name: str) -> None:
        module = self._sources.module(name)
        if module is None:
            return
        self._enter(name)
        self._go(Address(name, part) for part in module.parts)
        imported = self._sources.follow((target for targets in module.imports.values() for target in targets), [])
        # A module that it imports is reached by what it uses of it.
        self._go(address for address in imported if address.name or not self._sources.owns(address.module))

    def _note(self, uses: Uses, module: str, but: Iterable[Address] = ()) -> None:
        self._go(uses.addresses.difference(but))
        self._enter(module)

    def _enter(self, name: str) -> None:
        """Count what the module ``name`` does when it is imported."""
        module = self._sources.module(name)
        if module and module.effects and name not in self._heads:
            uses = self._memo.of_import(name, self._kinds)
            self._heads[name] = uses.digest
            self._go(uses.addresses)
