"""Annotations in quotes are the same annotations."""

from __future__ import annotations

import ast

from thresher.reach.source import last_name


def unquote(annotation: ast.expr) -> ast.expr:
    """Return ``annotation`` with every type in it that is quoted, and is an expression, as that expression."""
    if isinstance(annotation, ast.Name | ast.Attribute):
        return annotation
    unquoted: ast.expr = _Unquote().visit(annotation)
    return unquoted


class _Unquote(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, str):
            return node
        try:
            return ast.parse(node.value, mode="eval").body
        except SyntaxError:
            return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        # Quotes in a Literal, and in what is annotated to a type, make text.
        if last_name(node) == "Annotated" and isinstance(node.slice, ast.Tuple):
            node.slice.elts[0] = self.visit(node.slice.elts[0])
        elif last_name(node) != "Literal":
            self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        return node
