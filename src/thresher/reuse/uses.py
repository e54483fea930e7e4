"""What one definition refers to: walks its syntax tree with the scopes that its names are in."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from thresher.reuse.annotations import unquote
from thresher.reuse.binding import COMPREHENSIONS, FUNCTIONS, Address, Bindings, Member, Scope, bind_names, children
from thresher.reuse.normal import digest
from thresher.reuse.references import References, split_chain
from thresher.reuse.source import Sources, last_name


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
    reader = _Reader(references)
    scope = Scope(body or {}, of_class=body is not None)
    parts = list(nodes)
    for node in parts:
        if body is not None and isinstance(node, FUNCTIONS):
            reader.read_function(node, scope, _receiver(node))
        else:
            reader.read(node, scope)
    code = digest(parts, reader.left_out, references.aliases)
    return Uses(code, frozenset(references.addresses), frozenset(references.members), references.answers)


class _Reader:
    def __init__(self, references: References) -> None:
        self._references = references
        self.left_out: set[int] = set()
        """Ids of the nodes that are choices of other kinds."""

    def read(self, node: ast.AST, scope: Scope) -> None:
        """Note what ``node`` and all below it refer to."""
        read = _READ.get(type(node))
        if read:
            read(self, node, scope)
        else:
            self.read_all(children(node), scope)

    def read_all(self, nodes: Iterable[ast.AST | None], scope: Scope) -> None:
        for node in nodes:
            if node is not None:
                self.read(node, scope)

    def read_name(self, node: ast.Name | ast.Attribute, scope: Scope) -> None:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) and scope.binds(node.id):
            return
        if not self._references.note(node, scope):
            self.read(split_chain(node)[0], scope)

    def read_constant(self, node: ast.Constant, scope: Scope) -> None:
        if isinstance(node.value, str):
            self._references.note_entry_point(node.value)

    def read_statement(self, node: ast.Expr, scope: Scope) -> None:
        if not isinstance(node.value, ast.Constant):
            self.read(node.value, scope)

    def read_text(self, node: ast.JoinedStr, scope: Scope) -> None:
        self.read_all((part for part in node.values if not isinstance(part, ast.Constant)), scope)

    def read_import(self, node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
        self._references.note_import(node)

    def read_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope, receiver: str = "") -> None:
        if node.returns is not None:
            node.returns = unquote(node.returns)
        self.read_all((*node.decorator_list, node.args, node.returns), scope)
        names = bind_names([node.args, *node.body], self._references.package)
        if receiver:
            names[receiver] = (Member("self"),)
        self.read_all(node.body, Scope(names, scope))

    def read_lambda(self, node: ast.Lambda, scope: Scope) -> None:
        self.read(node.args, scope)
        self.read(node.body, Scope(bind_names([node.args], self._references.package), scope))

    def read_class(self, node: ast.ClassDef, scope: Scope) -> None:
        self.read_all((*node.decorator_list, *node.bases, *node.keywords), scope)
        self.read_all(node.body, Scope(bind_names(node.body, self._references.package), scope, of_class=True))

    def read_comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, scope: Scope
    ) -> None:
        inner = Scope(bind_names([each.target for each in node.generators], self._references.package), scope)
        first, *others = node.generators
        self.read(first.iter, scope)
        self.read_all((first.target, *first.ifs, *others), inner)
        self.read_all((child for child in children(node) if not isinstance(child, ast.comprehension)), inner)

    def read_annotated(self, node: ast.AnnAssign | ast.arg, scope: Scope) -> None:
        if node.annotation is not None:
            node.annotation = unquote(node.annotation)
        self.read_all(children(node), scope)

    def read_table(self, node: ast.Dict, scope: Scope) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None and self._references.leaves_out(key, scope):
                self.left_out |= {id(key), id(value)}
            else:
                self.read_all((key, value), scope)

    def read_display(self, node: ast.Tuple | ast.List | ast.Set, scope: Scope) -> None:
        self._read_choices(node.elts, scope)

    def read_operation(self, node: ast.BinOp, scope: Scope) -> None:
        if not isinstance(node.op, ast.BitOr):
            return self.read_all((node.left, node.right), scope)
        self._read_choices((node.left, node.right), scope)
        if {id(node.left), id(node.right)} <= self.left_out:
            self.left_out.add(id(node))
        return None

    def read_subscript(self, node: ast.Subscript, scope: Scope) -> None:
        self.read(node.value, scope)
        if last_name(node) in ("Union", "Optional"):
            return self._read_choices([node.slice], scope)
        # `dict[str, Sgd]` and `Callable[[Sgd], None]` have the syntax of displays, but offer no choice.
        for part in node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]:
            self.read_all(part.elts if isinstance(part, ast.List) else [part], scope)
        return None

    def _read_choices(self, choices: Iterable[ast.expr], scope: Scope) -> None:
        for choice in choices:
            if self._references.leaves_out(choice, scope):
                self.left_out.add(id(choice))
            else:
                self.read(choice, scope)


def _receiver(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return the name by which a method knows its object or class; "" for a static method."""
    parameters = [*node.args.posonlyargs, *node.args.args]
    static = any(last_name(decorator) == "staticmethod" for decorator in node.decorator_list)
    return parameters[0].arg if parameters and not static else ""


_READ: dict[type[ast.AST], Callable[..., None]] = {
    ast.Name: _Reader.read_name,
    ast.Attribute: _Reader.read_name,
    ast.Constant: _Reader.read_constant,
    ast.Expr: _Reader.read_statement,
    ast.JoinedStr: _Reader.read_text,
    ast.Import: _Reader.read_import,
    ast.ImportFrom: _Reader.read_import,
    ast.Lambda: _Reader.read_lambda,
    ast.ClassDef: _Reader.read_class,
    ast.AnnAssign: _Reader.read_annotated,
    ast.arg: _Reader.read_annotated,
    ast.Dict: _Reader.read_table,
    ast.BinOp: _Reader.read_operation,
    ast.Subscript: _Reader.read_subscript,
    **dict.fromkeys(FUNCTIONS, _Reader.read_function),
    **dict.fromkeys(COMPREHENSIONS, _Reader.read_comprehension),
    **dict.fromkeys((ast.Tuple, ast.List, ast.Set), _Reader.read_display),
}
