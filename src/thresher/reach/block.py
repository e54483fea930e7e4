"""The definitions of one module or class body by name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from thresher.reach.binding import Bindings, bind_names

COMPOUND = (ast.For, ast.While, ast.With, ast.Match)
"""Statements whose parts define nothing by themselves."""
Blocks = list[tuple[list[ast.stmt], list[ast.AST]]]


@dataclass
class Block:
    """What the statements of a module or class bind, and what they do besides."""

    package: str
    """Where relative imports start."""
    parts: dict[str, list[ast.AST]] = field(default_factory=dict)
    """Name -> all that defines it: in several branches, by adding to it later, under which conditions."""
    imports: Bindings = field(default_factory=dict)
    effects: list[ast.AST] = field(default_factory=list)
    """What runs when the block does, and is no definition."""

    def binds(self, name: str) -> bool:
        return name in self.parts or name in self.imports


def read_block(statements: list[ast.stmt], package: str) -> Block:
    """Return the block of ``statements``, in which relative imports start from ``package``."""
    block = Block(package)
    _add_all(statements, [], block)
    return block


def _add_all(statements: list[ast.stmt], conditions: list[ast.AST], block: Block) -> None:
    for statement in statements:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            _add_imports(bind_names([statement], block.package), block)
        elif (branches := _branches(statement)) is not None:
            for branch, under in branches:
                _add_all(branch, [*conditions, *under], block)
        elif not is_silent(statement):
            for single in _split(statement):
                _add(single, conditions, block)


def _add(statement: ast.stmt, conditions: list[ast.AST], block: Block) -> None:
    bound = bind_names([statement], block.package)
    names = {*bound, *(name for name in _changed_names(statement) if name in block.parts)}
    for name in sorted(names):
        block.parts.setdefault(name, []).extend([*conditions, statement])
    _add_imports(bound, block)
    if isinstance(statement, COMPOUND) or not names:
        block.effects.extend([*conditions, statement])


def _add_imports(bound: Bindings, block: Block) -> None:
    for name, targets in bound.items():
        if targets:
            block.imports[name] = (*block.imports.get(name, ()), *targets)


def is_silent(node: object) -> bool:
    """Return whether a statement does nothing: docstrings, `pass`, `...`."""
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _branches(statement: ast.stmt) -> Blocks | None:
    """Return the blocks of a compound statement whose names are its surroundings', with the conditions of each."""
    if isinstance(statement, ast.If):
        if _asks_whether_script(statement.test):
            return []
        negated = ast.UnaryOp(op=ast.Not(), operand=statement.test)
        return [(statement.body, [statement.test]), (statement.orelse, [negated])]
    if isinstance(statement, ast.Try | ast.TryStar):
        handlers: Blocks = [(handler.body, [handler.type] if handler.type else []) for handler in statement.handlers]
        return [(statement.body, []), *handlers, (statement.orelse, []), (statement.finalbody, [])]
    if isinstance(statement, ast.With) and not any(item.optional_vars for item in statement.items):
        return [(statement.body, [item.context_expr for item in statement.items])]
    return None


def _asks_whether_script(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def _split(statement: ast.stmt) -> Iterator[ast.stmt]:
    """Yield one assignment a target, so that `A = B = object` and `A, B = 1, 2` define A and B apart."""
    if not isinstance(statement, ast.Assign):
        yield statement
        return
    for target in statement.targets:
        for single, value in _pair(target, statement.value):
            yield ast.Assign(targets=[single], value=value)


def _pair(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    targets, values = _elements(target), _elements(value)
    if targets and len(targets) == len(values):
        yield from zip(targets, values, strict=True)
    else:
        yield target, value


def _elements(node: ast.expr) -> list[ast.expr]:
    """Return the elements of a display; none where one stands for several."""
    elements = node.elts if isinstance(node, ast.Tuple | ast.List) else []
    return [] if any(isinstance(element, ast.Starred) for element in elements) else elements


def _changed_names(statement: ast.stmt) -> set[str]:
    """Return the names whose value a statement may change without binding them: `TABLE[key] = ...`, `app.add(...)`."""
    nodes = ast.walk(statement) if isinstance(statement, COMPOUND) else [statement]
    return {name for node in nodes for place in _changed_places(node) if (name := _root_name(place))}


def _changed_places(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    if isinstance(node, ast.AugAssign | ast.AnnAssign):
        return [node.target]
    if isinstance(node, ast.Expr):
        return [node.value]
    return node.decorator_list if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else []


def _root_name(node: ast.expr) -> str | None:
    """Return NAME of `NAME.attribute`, `NAME[index]` and `NAME.method(...)`; nothing of a bare `NAME(...)`."""
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Name):
        return None
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None
