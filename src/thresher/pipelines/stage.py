"""Nodes of one recipe: named after their function, in the recipe's (or candidate's) namespace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Node, node


def stage_node(
    function: Callable[..., Any], inputs: list[str], outputs: str | list[str], namespace: str, tags: list[str]
) -> Node:
    """Return the node `NAMESPACE.FUNCTION` over full dataset names."""
    return node(function, inputs, outputs, name=function.__name__, namespace=namespace, tags=tags)
