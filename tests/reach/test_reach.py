"""Which definitions code reaches, in small packages and on this one."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from thresher.reach.index import CodeIndex

if TYPE_CHECKING:
    from conftest import Shop

TOOLS = """
def one(): ...
def two(): ...
def three(): return one()
LIMIT = 3
class Box: ...
"""


def test_only_those_who_reach_a_changed_function_see_it_change(shop: Shop) -> None:
    shop.write(
        {
            "tools.py": TOOLS,
            "a.py": """
            from shop.tools import one, three, two
            def f(): one()
            def g(): two()
            def h(): three()
            """,
        }
    )
    roots = ("a.f", "a.g", "a.h")
    before = {root: shop.reach(root) for root in roots}
    shop.edit("tools.py", "def one(): ...", "def one(): return 1")
    assert {root for root in roots if shop.reach(root) != before[root]} == {"a.f", "a.h"}


def test_reexported_names_lead_to_their_definition(shop: Shop) -> None:
    shop.write(
        {
            "tools/__init__.py": "from .hammers import claw\nfrom .saws import band as saw\nfrom . import nails\n",
            "tools/hammers.py": "def claw(): ...\ndef sledge(): ...\n",
            "tools/saws/__init__.py": "from ..hammers import sledge\nfrom .bands import band\n",
            "tools/saws/bands.py": "def band(): ...\n",
            "tools/nails.py": "LENGTH = 1\nWIDTH = 2\n",
            "a.py": """
            from shop.tools import claw, saw
            from shop.tools.saws import sledge
            import shop.tools
            def f(): claw(), saw(), sledge()
            def g(): return shop.tools.nails.LENGTH, shop.tools.claw
            """,
        }
    )  # fmt: skip
    assert shop.names("a.f") == {"a.f", "tools.hammers.claw", "tools.hammers.sledge", "tools.saws.bands.band"}
    assert shop.names("a.g") == {"a.g", "tools.nails.LENGTH", "tools.hammers.claw"}


def test_a_function_hides_the_submodule_of_its_name(shop: Shop) -> None:
    shop.write(
        {
            "tools/__init__.py": "from shop.tools.sort import sort\n",
            "tools/sort.py": "def sort(): ...\ndef other(): ...\n",
            "a.py": "from shop.tools import sort\ndef f(): return sort\n",
        }
    )
    assert shop.names("a.f") == {"a.f", "tools.sort.sort"}
    assert shop.names("tools.sort.sort") == {"tools.sort.sort"}
    assert shop.names("tools.sort") == {"tools.sort.sort", "tools.sort.other"}


def test_a_name_that_is_imported_from_elsewhere_changes_who_uses_it(shop: Shop) -> None:
    shop.write({"tools.py": TOOLS, "a.py": "from shop.tools import one as x, two as y\ndef f(): return x(y())\n"})
    before = shop.reach("a.f").definitions
    shop.edit("a.py", "one as x, two as y", "one as y, two as x")
    after = shop.reach("a.f").definitions
    assert {name for name in after if before.get(name) != after[name]} == {"shop.a.f"}


def test_a_name_has_its_definitions_in_all_branches(shop: Shop) -> None:
    shop.write(
        {
            "types.py": """
            from typing import TYPE_CHECKING
            if TYPE_CHECKING:
                from torch import Tensor
                from shop.heavy import Report
            else:
                Tensor = Report = object
            """,
            "heavy.py": "class Report: ...\nclass Other: ...\n",
            "a.py": "from shop.types import Report, Tensor\ndef f(x: Report): ...\ndef g(x: Tensor): ...\n",
        }
    )
    assert shop.names("a.f") == {"a.f", "types.Report", "heavy.Report"}
    assert shop.reach("a.g").externals == {"torch"}
    before = shop.reach("a.f")
    shop.edit("types.py", "Report = object", "Report = Other = object")
    assert shop.reach("a.f") == before


def test_circles_end(shop: Shop) -> None:
    shop.write(
        {
            "a.py": "from shop.b import g\ndef f(): g()\nfrom shop.b import lost\nclass A(B): ...\nclass B(A): ...\n",
            "b.py": "from shop.a import f\ndef g(): f() or g()\nfrom shop.a import lost\ndef h(): lost()\n",
        }
    )
    assert shop.names("a.f") == shop.names("b.g") == {"a.f", "b.g"}
    assert shop.names("b.h") == {"b.h"}
    assert shop.names("a.A") == {"a.A", "a.B"}


def test_externals_are_the_top_level_modules_that_reached_code_uses(shop: Shop) -> None:
    shop.write(
        {
            "a.py": """
            from __future__ import annotations
            import os, json as j
            import numpy as np
            import unused
            from typing import TYPE_CHECKING
            from torch.nn import functional as F
            if TYPE_CHECKING:
                import pandas.core
            def f(x: pandas.DataFrame):
                import scipy.sparse
                return np.float32, j.loads, os.path
            def g(): F.relu(f)
            def h():
                return other
            """
        }
    )
    assert shop.reach("a.f").externals == {"numpy", "pandas", "scipy"}
    assert shop.reach("a.g").externals == {"numpy", "pandas", "scipy", "torch"}
    assert shop.reach("a.h").externals == frozenset()
    assert shop.reach("a").externals == {"numpy", "pandas", "scipy", "torch", "unused"}


def test_a_module_is_all_that_it_defines_and_passes_on(shop: Shop) -> None:
    shop.write({"tools.py": TOOLS, "a.py": "from shop import tools\nfrom shop.tools import one\nX = 1\ndef f(): ...\n"})
    assert shop.names("a") == {"a.X", "a.f", "tools.one"}


def test_roots_outside_of_the_package_are_externals(shop: Shop) -> None:
    reach = CodeIndex("shop", shop.folder).reach(["torch.nn.Linear", "json.loads", "shopping.f"], ())
    assert (reach.definitions, reach.externals) == ({}, {"torch", "shopping"})


def test_a_function_inside_of_another_is_part_of_that(shop: Shop) -> None:
    shop.write({"a.py": "def f():\n    def g(): ...\n    return g\n"})
    assert shop.names("a.f.<locals>.g") == {"a.f"}


@pytest.mark.parametrize("root", ["a.nothing", "nowhere.f", "nothing", "a.f.g.h.i", "tools.a"])
def test_unknown_roots_are_refused(shop: Shop, root: str) -> None:
    shop.write({"a.py": "def f(): ...\n", "tools/__init__.py": ""})
    with pytest.raises(LookupError, match=root.partition(".")[0]):
        shop.reach(root)


TRAIN_FLOAT = "thresher.pipelines.train.nodes.train_float"


def test_training_reaches_the_loop_and_the_models_but_no_compression() -> None:
    reach = CodeIndex().reach([TRAIN_FLOAT], {"lenet", "adam"})
    assert {"thresher.training.loop.train", "thresher.models.lenet.build_lenet"} <= set(reach.definitions)
    assert not [name for name in reach.definitions if name.startswith(("thresher.compression", "thresher.models.cnn"))]
    assert {"torch", "numpy"} <= reach.externals
    assert reach.externals.isdisjoint({"onnx", "mlflow", "great_expectations", *sys.stdlib_module_names})


def test_every_function_of_the_nodes_reaches_something(project: Path) -> None:
    index = CodeIndex()
    for path in (project / "src/thresher/pipelines").glob("*/nodes.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                root = f"thresher.pipelines.{path.parent.name}.nodes.{node.name}"
                assert root in index.reach([root], ()).definitions


def test_nothing_is_imported_but_the_standard_library() -> None:
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "from thresher.reach.index import CodeIndex\n"
        f"assert CodeIndex().reach(['{TRAIN_FLOAT}', 'thresher.serving.service'], ['lenet']).definitions\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)\n"
        "print(*(name for name in sys.modules if name.startswith('thresher.') and '.reach' not in name))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["thresher", "thresher.errors"]


def test_a_template_beside_the_module_counts_by_its_content(shop: Shop) -> None:
    shop.write(
        {
            "pages/__init__.py": "",
            "pages/page.py": """
            TEMPLATE = "page.j2"
            def f(): return TEMPLATE
            def g(): return "page.css", "missing.css", "../a.j2"
            def h(): return "other"
            """,
            "pages/page.j2": "<h1>",
            "pages/page.css": "h1 {}",
            "a.j2": "",
        }
    )
    roots = ("pages.page.f", "pages.page.g", "pages.page.h")
    changes = {"pages/page.j2": ("<h1>", "<h2>"), "pages/page.css": ("h1", "h2")}
    noticed = []
    for name, (old, new) in changes.items():
        before = {root: shop.reach(root) for root in roots}
        shop.edit(name, old, new)
        noticed.append({root for root in roots if shop.reach(root) != before[root]})
    assert noticed == [{"pages.page.f"}, {"pages.page.g"}]
