"""Walks the syntax tree of a definition with the scopes that its names are in."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from thresher.reach.annotations import unquote
from thresher.reach.binding import COMPREHENSIONS, FUNCTIONS, Member, Scope, bind_names, children
from thresher.reach.references import References, split_chain
from thresher.reach.source import last_name


class Reader:
    """Notes what is referred to in ``references``, and what is left out."""

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
            self._references.note_file(node.value)

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


_READ: dict[type[ast.AST], Callable[..., None]] = {
    ast.Name: Reader.read_name,
    ast.Attribute: Reader.read_name,
    ast.Constant: Reader.read_constant,
    ast.Expr: Reader.read_statement,
    ast.JoinedStr: Reader.read_text,
    ast.Import: Reader.read_import,
    ast.ImportFrom: Reader.read_import,
    ast.Lambda: Reader.read_lambda,
    ast.ClassDef: Reader.read_class,
    ast.AnnAssign: Reader.read_annotated,
    ast.arg: Reader.read_annotated,
    ast.Dict: Reader.read_table,
    ast.BinOp: Reader.read_operation,
    ast.Subscript: Reader.read_subscript,
    **dict.fromkeys(FUNCTIONS, Reader.read_function),
    **dict.fromkeys(COMPREHENSIONS, Reader.read_comprehension),
    **dict.fromkeys((ast.Tuple, ast.List, ast.Set), Reader.read_display),
}
