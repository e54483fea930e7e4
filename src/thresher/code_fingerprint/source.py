"""What the source of one module says, read without importing it."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LOADERS = {
    "import_module", "__import__", "find_spec", "spec_from_file_location", "run_module", "run_path", "iter_modules",
    "walk_packages", "extend_path", "entry_points",
}  # fmt: skip
"""Functions that import what text names."""
READERS = {"__file__", "__path__", "__spec__", "__loader__", "resources", "pkgutil", "PackageLoader"}
"""Names by which a module finds the files beside it."""
NAME_OR_PATH = re.compile(r"[\w.:/-]{1,200}")
PACKAGE = "thresher"
"""Our own package, in which every import only binds a name: none is there for a side effect."""
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class Source:
    """One module, or one definition of it with what it uses there."""

    digest: str
    """16 hex digits that change with the code."""
    imports: tuple[str, ...]
    """Qualified names that it imports, and attributes of these; what follows the name of a module is a name in it."""
    loads: tuple[str, ...]
    """Modules that it imports by text, as in `import_module("NAME")`."""
    texts: tuple[str, ...]
    """Text that may name a module, as "package.module:name", a file beside the module, or a group of kinds."""
    loads_by_name: bool
    """Whether it imports modules by names that it computes."""
    lists_modules: bool
    """Whether it says in `__all__` what `import *` takes of it."""
    reads_files: bool
    """Whether it asks where it lies itself, as code does that reads the files beside it."""


def read_source(content: bytes, package: str, definition: str = "") -> Source:
    """Return what ``content`` says.

    Args:
        package: that relative imports start from.
        definition: the one function or class that counts, with what it may use of the module; "" for the whole module.
    """
    try:
        tree = _strip(ast.parse(content))
    except (SyntaxError, ValueError):  # an extension module; what imports one that is broken says so
        return Source(hashlib.sha256(content).hexdigest()[:16], (), (), (), False, False, False)
    if definition:
        _keep_used(tree, definition)
        if package.partition(".")[0] == PACKAGE:
            _drop_unused_imports(tree)
    nodes = list(ast.walk(tree))
    words = [word for node in nodes for word in _words(node)]
    texts = _texts(nodes)
    loaded = [text for node in nodes for text in _loaded(node, package)]
    return Source(
        digest=hashlib.sha256(ast.dump(tree).encode("utf-8", "surrogatepass")).hexdigest()[:16],
        imports=tuple(sorted({*_imports(nodes, package)})),
        loads=tuple(sorted({*loaded})),
        texts=tuple(sorted(text for text in texts if NAME_OR_PATH.fullmatch(text))),
        loads_by_name=sum(word in LOADERS for word in [*words, *texts]) > len(loaded),
        lists_modules="__all__" in words,
        reads_files=not READERS.isdisjoint(words),
    )


def resolve(name: str, package: str) -> str:
    """Return the qualified name that the relative ``name``, which begins with dots, is from ``package``."""
    dots = len(name) - len(name.lstrip("."))
    base = package.split(".")[: package.count(".") + 2 - dots] if dots else []
    return ".".join([*base, *filter(None, [name[dots:]])])


class _Strip(ast.NodeTransformer):
    """Leaves out docstrings, and what is there for the type checker alone."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if _last_name(node.test) == "TYPE_CHECKING" else node


def _strip(tree: ast.Module) -> ast.Module:
    stripped: ast.Module = _Strip().visit(tree)
    return stripped


def _keep_used(tree: ast.Module, definition: str) -> None:
    """Leave out of ``tree`` the functions and classes that ``definition`` and the rest of the module do not mention."""
    unused = {node.name: node for node in tree.body if isinstance(node, DEFINITIONS) and not node.decorator_list}
    waiting: list[ast.AST] = [node for node in tree.body if unused.get(getattr(node, "name", "")) is not node]
    used = {definition}
    while waiting or used & unused.keys():
        waiting += [unused.pop(name) for name in used & unused.keys()]
        nodes = list(ast.walk(waiting.pop()))
        used |= {word for node in nodes for word in _words(node)} | _texts(nodes)
    tree.body = [node for node in tree.body if unused.get(getattr(node, "name", "")) is not node]


def _drop_unused_imports(tree: ast.Module) -> None:
    """Leave out of ``tree`` the names that it imports and does not mention."""
    nodes = list(ast.walk(tree))
    used = {"*", *_texts(nodes), *(word for node in nodes for word in _words(node))}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            node.names = [alias for alias in node.names if (alias.asname or alias.name.partition(".")[0]) in used]


def _imports(nodes: Iterable[ast.AST], package: str) -> Iterator[str]:
    bound: dict[str, list[str]] = {}
    chains: list[tuple[str, str]] = []
    for node in nodes:
        for name, qualified in _imported(node, package):
            bound.setdefault(name, []).append(qualified)
            yield qualified
        chains += _chain(node)
    for name, attributes in chains:
        yield from (f"{base}.{attributes}" for base in bound.get(name, ()))


def _imported(node: ast.AST, package: str) -> Iterator[tuple[str, str]]:
    """Yield each name that an import binds, with what it imports."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.asname or "", alias.name
            yield alias.name.partition(".")[0], alias.name.partition(".")[0]
    elif isinstance(node, ast.ImportFrom):
        base = resolve("." * node.level + (node.module or ""), package)
        for alias in node.names:
            yield alias.asname or alias.name, base if alias.name == "*" else f"{base}.{alias.name}"


def _chain(node: ast.AST) -> list[tuple[str, str]]:
    """Return (NAME, "attribute.attribute") of `NAME.attribute.attribute`."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.insert(0, node.attr)
        node = node.value
    return [(node.id, ".".join(attributes))] if isinstance(node, ast.Name) and attributes else []


def _words(node: ast.AST) -> list[str]:
    """Return the names that ``node`` mentions itself."""
    if isinstance(node, ast.alias):
        return [node.name.rpartition(".")[2]] if node.asname else []
    return [name for name in (getattr(node, "id", None), getattr(node, "attr", None)) if name]


def _texts(nodes: Iterable[ast.AST]) -> set[str]:
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _loaded(node: ast.AST, package: str) -> list[str]:
    """Return the module that a call like `import_module("NAME")` names."""
    if not (isinstance(node, ast.Call) and _last_name(node.func) in LOADERS and node.args):
        return []
    name, *more = [*node.args, *(keyword.value for keyword in node.keywords)]
    if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
        return []
    given = more[0].value if more and isinstance(more[0], ast.Constant) else None
    return [resolve(name.value, given if isinstance(given, str) else package)]


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
