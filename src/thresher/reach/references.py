"""What the names in one definition refer to, and which of the choices there a recipe does not make."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Collection

from thresher.reach.binding import Address, Member, Scope, Target, read_import
from thresher.reach.source import Sources

FILE = re.compile(r"\w+\.(?:j2|css)")
ENTRY_POINT = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")


class References:
    """Collects them while a definition is read."""

    def __init__(self, module: str, sources: Sources, kinds: Collection[str]) -> None:
        block = sources.module(module)
        assert block is not None
        self.package = block.package
        self._module, self._block, self._sources, self._kinds = module, block, sources, kinds
        self.addresses: set[Address] = set()
        self.members: set[Member] = set()
        self.aliases: set[str] = set()
        """`NAME = DEFINITION` for what is imported, `FILE = HASH` for what is read: not in the code that uses it, and
        yet decides what that does."""
        self.answers: dict[str, bool] = {}
        """Kind -> whether it was selected, for each that was asked for."""

    def note(self, expression: ast.expr, scope: Scope) -> bool:
        """Note what `NAME.attribute.attribute` refers to; return whether ``expression`` is of that form."""
        base, attributes = split_chain(expression)
        if isinstance(base, ast.Call) and isinstance(base.func, ast.Name) and attributes:
            if base.func.id == "super" and not base.args:
                self.members.add(Member("super", attributes[0]))
                return True
            if base.func.id == "type" and len(base.args) == 1:  # what a class has, its objects have
                base = base.args[0]
        if not isinstance(base, ast.Name):
            return False
        for target in self._find(base.id, scope):
            self._note_target(target, attributes)
        return True

    def note_entry_point(self, text: str) -> None:
        """Note the definition that ``text`` names, if it does."""
        match = ENTRY_POINT.fullmatch(text)
        module = self._sources.module(match[1]) if match else None
        if match and module and module.binds(match[2]):
            self.addresses.update(self._sources.resolve(Address(match[1], match[2])))

    def note_file(self, text: str) -> None:
        """Note the content of the file that ``text`` names beside the module, if it does: a template, say."""
        if FILE.fullmatch(text) and (content := self._sources.read_beside(self._module, text)) is not None:
            self.aliases.add(f"{text} = {hashlib.sha256(content).hexdigest()}")

    def note_import(self, node: ast.Import | ast.ImportFrom) -> None:
        """Note what a function imports from other packages; of this one it depends on what it uses alone."""
        for _, address in read_import(node, self.package):
            if not self._sources.owns(address.module):
                self.addresses.add(address)

    def leaves_out(self, choice: ast.expr, scope: Scope) -> bool:
        """Return whether ``choice`` is the class of a kind that the recipe does not name."""
        base, attributes = split_chain(choice)
        if not isinstance(base, ast.Name):
            return False
        for address in self._sources.follow(self._find(base.id, scope), attributes):
            if (kind := self._sources.kind(address)) is not None:
                self.answers[kind] = kind in self._kinds
                return not self.answers[kind]
        return False

    def _find(self, name: str, scope: Scope) -> tuple[Target, ...]:
        found, may_be_global = scope.find(name)
        if may_be_global and self._block.binds(name):
            return (*found, Address(self._module, name))
        return found

    def _note_target(self, target: Target, attributes: list[str]) -> None:
        if isinstance(target, Address):
            resolved = self._sources.resolve(target)
            if resolved != (target,):
                self.aliases.add(f"{target.name} = {', '.join(map(str, resolved))}")
            self.addresses.update(self._sources.follow(resolved, attributes))
        elif target.name:
            self.members.add(target)
        else:
            inside = attributes[1:] if attributes[:1] == ["__class__"] else attributes
            self.members.add(Member("self", inside[0] if inside else ""))


def split_chain(node: ast.expr) -> tuple[ast.expr, list[str]]:
    """Return BASE and the attributes of `BASE.attribute.attribute`."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.insert(0, node.attr)
        node = node.value
    return node, attributes
