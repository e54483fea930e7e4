"""Source code without what does not count: comments, formatting, docstrings, what is left out of it."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from hashlib import sha256

from thresher.reach.block import is_silent

# Where a name stands tells whether it is read or written; u"" is "".
_REPEATED = {"ctx", "kind", "type_comment"}


def digest(nodes: Iterable[ast.AST], left_out: set[int], names: Iterable[str]) -> str:
    """Return 16 hex digits that change with the code of ``nodes``.

    Args:
        nodes: the definition; `ast.dump` in other words, faster and with the following left out.
        left_out: ids of the nodes that do not count: members of tables, unions, tuples.
        names: what else counts.
    """
    words: list[str] = []
    for node in nodes:
        _write(node, left_out, words)
    words.extend(sorted(names))
    return sha256("\n".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _write(node: ast.AST, left_out: set[int], words: list[str]) -> None:
    remaining = _remaining_side(node, left_out) if isinstance(node, ast.BinOp) else None
    if remaining is not None:
        return _write(remaining, left_out, words)
    words.append(f"{type(node).__name__}(")
    for field in node._fields:
        if field in _REPEATED:
            continue
        value = getattr(node, field, None)
        if isinstance(value, list):
            words.append("[")
            for item in value:
                if id(item) not in left_out and not is_silent(item):
                    _write_value(item, left_out, words)
            words.append("]")
        elif id(value) not in left_out:
            _write_value(value, left_out, words)
    words.append(")")
    return None


def _write_value(value: object, left_out: set[int], words: list[str]) -> None:
    if isinstance(value, ast.AST):
        _write(value, left_out, words)
    else:
        words.append(repr(value))


def _remaining_side(union: ast.BinOp, left_out: set[int]) -> ast.AST | None:
    """Return the other side of `A | B` where one is left out: with its last member gone, a union is the rest."""
    if id(union.left) in left_out:
        return union.right
    return union.left if id(union.right) in left_out else None
