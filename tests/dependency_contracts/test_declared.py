"""Whatever the package imports is declared in pyproject.toml, and whatever is declared there is imported."""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SOURCE = PROJECT / "src" / "thresher"
TESTS = PROJECT / "tests"
METADATA = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

NOT_IMPORTED = {
    "onnxscript": "torch.onnx.export writes ONNX with it",
    "python-multipart": "Starlette reads forms with it",
    "uvloop": "uvicorn takes it where it is installed",
}
"""Declared all the same, and why."""

UNDOCUMENTED = (
    "bentoml", "great-expectations", "kedro", "mlflow", "onnxruntime", "prometheus-client", "scikit-learn",
    "torch-pruning", "transformers", "uvicorn",
)  # fmt: skip
"""Libraries that the package uses by more than their documentation promises."""


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return _normal(found[0])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


ON_DEMAND = METADATA["optional-dependencies"]["pretrained"]
"""What a recipe that needs it is told to install."""
DECLARED = {_name(requirement): requirement for requirement in (*METADATA["dependencies"], *ON_DEMAND)}
FOR_DEVELOPERS = {_name(one) for extra in ("dev", "docs") for one in METADATA["optional-dependencies"][extra]}


def _imports(tree: ast.AST) -> Iterator[str]:
    """Yield each module that ``tree`` imports, but for those whose absence it handles."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
        elif not (isinstance(node, ast.Try) and any("ImportError" in ast.unparse(one) for one in node.handlers)):
            yield from _imports(node)


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())


def _distribution(module: str) -> str:
    """Return the distribution that brings ``module``; where several share its first name, the one with its file."""
    if module.partition(".")[0] == "mlflow":  # mlflow-skinny and mlflow-tracing hold some of its files
        return "mlflow"
    candidates = sorted(set(_distributions().get(module.partition(".")[0], ())))
    assert candidates, f"{module} is imported and not installed"
    if len(candidates) == 1:
        return _normal(candidates[0])
    spec = find_spec(module)
    assert spec and spec.origin, module
    owners = [name for name in candidates if Path(spec.origin) in _files(name)]
    return _normal(owners[0])


@cache
def _files(name: str) -> frozenset[Path]:
    return frozenset(Path(str(path.locate())) for path in distribution(name).files or ())


@cache
def _imported(folder: Path) -> dict[str, set[str]]:
    """Return distribution -> the modules in ``folder`` that import it."""
    found: dict[str, set[str]] = defaultdict(set)
    own = {path.stem for root in (TESTS, PROJECT / "benchmarks", PROJECT / "scripts") for path in root.rglob("*.py")}
    passed_over = {*sys.stdlib_module_names, "thresher", "helpers", "peers"} | (own if folder == TESTS else set())
    for path in folder.rglob("*.py"):
        for module in _imports(ast.parse(path.read_text(encoding="utf-8"))):
            if module.partition(".")[0] not in passed_over:
                found[_distribution(module)].add(str(path.relative_to(folder)))
    return found


def test_every_import_is_declared() -> None:
    undeclared = {name: sorted(files) for name, files in _imported(SOURCE).items() if name not in DECLARED}
    assert not undeclared, f"imported, but not among the dependencies of pyproject.toml: {undeclared}"


def test_every_import_of_the_tests_is_declared() -> None:
    undeclared = _imported(TESTS).keys() - DECLARED.keys() - FOR_DEVELOPERS
    assert not undeclared, f"imported by the tests, but in no extra of pyproject.toml: {sorted(undeclared)}"


def test_every_dependency_is_imported() -> None:
    needless = DECLARED.keys() - _imported(SOURCE).keys() - NOT_IMPORTED.keys()
    assert not needless, f"declared, but imported nowhere in src: {sorted(needless)}. Remove them from pyproject.toml."


@pytest.mark.parametrize("name", UNDOCUMENTED)
def test_a_library_that_is_used_beyond_its_documentation_has_an_upper_bound(name: str) -> None:
    assert "<" in DECLARED[name], f"{name} can break with any new version: give it an upper bound in pyproject.toml"


ADAPTERS = ("adapters/", "serving/bentoml_adapter.py", "serving/monitoring/metrics.py")
"""Where private names of libraries may be used; each of these has a test in this folder."""
PUBLIC = {"_replace": "of named tuples", "_exit": "of os"}
"""Names that are documented all the same."""


def _private_names(tree: ast.AST) -> Iterator[str]:
    """Yield the names of others, by their underscore private, that ``tree`` uses or imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) not in ("self", "cls", "super()"):
            yield from [ast.unparse(node)] if _is_private(node.attr) else []
        elif isinstance(node, ast.ImportFrom) and node.module:
            parts = [*node.module.split("."), *(alias.name for alias in node.names)]
            yield from [ast.unparse(node)] if any(map(_is_private, parts)) else []


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC


def test_private_names_are_used_in_adapters_alone() -> None:
    found = {
        str(path.relative_to(SOURCE)): names
        for path in SOURCE.rglob("*.py")
        if not str(path.relative_to(SOURCE)).startswith(ADAPTERS)
        and (names := sorted(_private_names(ast.parse(path.read_text(encoding="utf-8")))))
    }
    assert not found, f"private names outside of the adapters; use what is documented, or add to an adapter: {found}"
    assert set(_private_names(ast.parse("from a._b import c; d._e; self._f; g._replace(); h.__name__"))) == {
        "from a._b import c", "d._e"
    }  # fmt: skip


def test_torch_is_pinned_by_the_constraints_and_free_in_the_metadata() -> None:
    assert DECLARED["torch"] == "torch>=2.13,<3"
    assert re.search(r"^torch==2\.\d+\.\d+$", (PROJECT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
