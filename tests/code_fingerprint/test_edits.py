"""Edits of a small package: those that change what it answers change its fingerprint; comments and format do not.

Each edit is run as well: `shop.main.run()` must answer something else after it, or the same.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from thresher.code_fingerprint.graph import CodeGraph

Files = dict[str, str]
Edit = tuple[str, str, str]
"""File, text in it, what replaces it; the whole file where the text is empty."""


class Shop:
    """The package `shop` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, files: Files) -> None:
        for name, text in {"__init__.py": "", **files}.items():
            path = self.folder / "shop" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))

    def edit(self, file: str, before: str, after: str) -> None:
        path = self.folder / "shop" / file
        old = path.read_text() if path.is_file() else ""
        assert old.count(before) == 1 or not before
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(old.replace(before, after) if before else dedent(after))

    def answer(self) -> Any:
        forget()
        return importlib.import_module("shop.main").run()

    def fingerprints(self) -> list[dict[str, str]]:
        """Return the fingerprint of the module, and that of its function."""
        return [CodeGraph().reach([root]).files for root in ("shop.main", "shop.main:run")]


def forget() -> None:
    """Let Python read the package anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("shop", "beside")]:
        del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Shop(tmp_path)
    forget()


SCALE = ("consts.py", "SCALE = 1", "SCALE = 2")
CONSTS = {"consts.py": "SCALE = 1\n"}
EDITS: dict[str, tuple[Files, Edit]] = {
    "alias": ({"main.py": "from shop.consts import SCALE as S\ndef run(): return S\n", **CONSTS}, SCALE),
    "alias of an alias": (
        {"main.py": "import shop.consts as c\nA = c.SCALE\nB = A\ndef run(): return B\n", **CONSTS}, SCALE,
    ),
    "default": ({"main.py": "from shop.consts import SCALE\ndef run(x=SCALE): return x\n", **CONSTS}, SCALE),
    "default of a method": (
        {
            "main.py": "from shop import a\ndef run(): return a.A().f()\n",
            "a.py": "class A:\n    def f(self, x=1): return x\n",
        },
        ("a.py", "x=1", "x=2"),
    ),
    "keyword default": (
        {"main.py": "from shop import a\ndef run(): return a.f()\n", "a.py": "def f(*, x=1): return x\n"},
        ("a.py", "x=1", "x=2"),
    ),
    "class attribute": (
        {"main.py": "class A:\n    LIMIT = 3\n    def f(self): return self.LIMIT\ndef run(): return A().f()\n"},
        ("main.py", "LIMIT = 3", "LIMIT = 4"),
    ),
    "attribute of a base": (
        {
            "main.py": "from shop.a import Base\nclass A(Base): ...\ndef run(): return A().f()\n",
            "a.py": "from shop.b import Root\nclass Base(Root): ...\n",
            "b.py": "class Root:\n    LIMIT = 1\n    def f(self): return self.LIMIT\n",
        },
        ("b.py", "LIMIT = 1", "LIMIT = 2"),
    ),
    "override": (
        {
            "main.py": "from shop.a import A\ndef run(): return A().f()\n",
            "a.py": "from shop.b import B\nclass A(B):\n    pass\n",
            "b.py": "class B:\n    def f(self): return self.g()\n    def g(self): return 1\n",
        },
        ("a.py", "    pass\n", "    def g(self): return 2\n"),
    ),
    "table of functions": (
        {
            "main.py": "from shop.a import TABLE\ndef run(): return TABLE['x']()\n",
            "a.py": "from shop.b import f\nTABLE = {'x': f}\n",
            "b.py": "def f(): return 1\n",
        },
        ("b.py", "return 1", "return 2"),
    ),
    "table by comprehension": (
        {
            "main.py": """
                from shop import a, b
                TABLE = {m.NAME: m.VALUE for m in (a, b)}
                def run(): return TABLE['b']
                """,
            "a.py": "NAME, VALUE = 'a', 1\n",
            "b.py": "NAME, VALUE = 'b', 1\n",
        },
        ("b.py", "'b', 1", "'b', 2"),
    ),
    "getattr": ({"main.py": "from shop import consts\ndef run(): return getattr(consts, 'SCALE')\n", **CONSTS}, SCALE),
    "getattr of a computed name": (
        {"main.py": "from shop import consts\ndef run(): return getattr(consts, 'SC' + 'ALE')\n", **CONSTS}, SCALE,
    ),
    "function by its name in globals": (
        {"main.py": "def f(): return 1\ndef run(): return globals()['f']()\n"}, ("main.py", "return 1", "return 2"),
    ),
    "decorator": (
        {
            "main.py": "from shop.a import twice\n@twice\ndef run(): return 1\n",
            "a.py": "def twice(f): return lambda: 2 * f()\n",
        },
        ("a.py", "2 * f", "3 * f"),
    ),
    "decorator with an argument": (
        {
            "main.py": "from shop.a import times\nfrom shop.consts import SCALE\n@times(SCALE)\ndef run(): return 1\n",
            "a.py": "def times(n): return lambda f: lambda: n * f()\n",
            **CONSTS,
        },
        SCALE,
    ),
    "decorator of a class": (
        {
            "main.py": "from shop.a import mark\n@mark\nclass A: ...\ndef run(): return A.x\n",
            "a.py": "def mark(cls):\n    cls.x = 1\n    return cls\n",
        },
        ("a.py", "x = 1", "x = 2"),
    ),
    "registry that a module fills": (
        {
            "main.py": "from shop import a, b\ndef run(): return a.TABLE['b']\n",
            "a.py": "TABLE = {}\n",
            "b.py": "from shop.a import TABLE\nTABLE['b'] = 1\n",
        },
        ("b.py", "= 1", "= 2"),
    ),
    "registry that decorators fill": (
        {
            "main.py": "from shop import b\nfrom shop.a import TABLE\ndef run(): return TABLE['f']()\n",
            "a.py": "TABLE = {}\ndef register(f):\n    TABLE[f.__name__] = f\n    return f\n",
            "b.py": "from shop.a import register\n@register\ndef f(): return 1\n",
        },
        ("b.py", "return 1", "return 2"),
    ),
    "registry that the package fills": (
        {
            "__init__.py": "from shop import b\n",
            "main.py": "from shop.a import TABLE\ndef run(): return TABLE['b']\n",
            "a.py": "TABLE = {}\n",
            "b.py": "from .a import TABLE\nTABLE['b'] = 1\n",
        },
        ("b.py", "= 1", "= 2"),
    ),
    "registry of subclasses": (
        {
            "main.py": "import shop.b\nfrom shop.a import A\ndef run(): return A.__subclasses__()[0].x\n",
            "a.py": "class A: ...\n",
            "b.py": "from shop.a import A\nclass B(A):\n    x = 1\n",
        },
        ("b.py", "x = 1", "x = 2"),
    ),
    "package's __init__": (
        {"__init__.py": "LIMIT = 1\n", "main.py": "import shop\ndef run(): return shop.LIMIT\n"},
        ("__init__.py", "= 1", "= 2"),
    ),
    "side effect of an inner package": (
        {
            "main.py": "from shop.sub.a import X\nfrom shop import consts\ndef run(): return consts.SCALE + X\n",
            "sub/__init__.py": "import shop.consts\nshop.consts.SCALE = 5\n",
            "sub/a.py": "X = 1\n",
            **CONSTS,
        },
        ("sub/__init__.py", "= 5", "= 6"),
    ),
    "file beside": (
        {
            "main.py": "from pathlib import Path\ndef run(): return (Path(__file__).parent / 'a.j2').read_text()\n",
            "a.j2": "1",
        },
        ("a.j2", "1", "2"),
    ),
    "file in a folder beside": (
        {
            "main.py": """
            from pathlib import Path
            def run(): return [path.read_text() for path in sorted(Path(__file__).with_name('pages').iterdir())]
            """,
            "pages/a.css": "1",
        },
        ("pages/a.css", "1", "2"),
    ),
    "new file in a folder beside": (
        {
            "main.py": """
            from pathlib import Path
            def run(): return len(list(Path(__file__).with_name('pages').iterdir()))
            """,
            "pages/a.css": "1",
        },
        ("pages/b.css", "", "1"),
    ),
    "resource": (
        {
            "main.py": "from shop.a import read\ndef run(): return read()\n",
            "a.py": """
                from importlib import resources
                def read(): return resources.files('shop').joinpath('b.json').read_text()
                """,
            "b.json": "1",
        },
        ("b.json", "1", "2"),
    ),
    "file of the folder above": (
        {
            "main.py": "from shop.sub.a import read\ndef run(): return read()\n",
            "sub/__init__.py": "",
            "sub/a.py": """
                from pathlib import Path
                def read(): return (Path(__file__).parents[1] / 't.txt').read_text()
                """,
            "t.txt": "1",
        },
        ("t.txt", "1", "2"),
    ),
    "executed file": (
        {
            "main.py": """
            from pathlib import Path
            def run():
                names = {}
                exec((Path(__file__).parent / 'a.py').read_text(), names)
                return names['X']
            """,
            "a.py": "X = 1\n",
        },
        ("a.py", "= 1", "= 2"),
    ),
    "star import": ({"main.py": "from shop.consts import *\ndef run(): return SCALE\n", **CONSTS}, SCALE),
    "star import of a star import": (
        {"main.py": "from shop.a import *\ndef run(): return SCALE\n", "a.py": "from .consts import *\n", **CONSTS},
        SCALE,
    ),
    "star import of modules": (
        {
            "main.py": "from shop.sub import *\ndef run(): return a.X\n",
            "sub/__init__.py": "__all__ = ['a']\n",
            "sub/a.py": "X = 1\n",
        },
        ("sub/a.py", "= 1", "= 2"),
    ),
    "__all__": (
        {
            "main.py": "from shop.a import *\ndef run(): return sorted(name for name in globals() if name in 'xy')\n",
            "a.py": "__all__ = ['x']\nx = y = 1\n",
        },
        ("a.py", "['x']", "['x', 'y']"),
    ),
    "relative import": ({"main.py": "from .consts import SCALE\ndef run(): return SCALE\n", **CONSTS}, SCALE),
    "relative import from above": (
        {
            "main.py": "from .sub.a import X\ndef run(): return X\n",
            "sub/__init__.py": "",
            "sub/a.py": "from ..consts import SCALE as X\n",
            **CONSTS,
        },
        SCALE,
    ),
    "conditional import": (
        {
            "main.py": """
                import sys
                if sys.version_info > (3,):
                    from shop.consts import SCALE
                def run(): return SCALE
                """,
            **CONSTS,
        },
        SCALE,
    ),
    "import that may fail": (
        {
            "main.py": """
            try:
                from shop.fast import X
            except ImportError:
                from shop.slow import X
            def run(): return X
            """,
            "slow.py": "X = 1\n",
        },
        ("slow.py", "= 1", "= 2"),
    ),
    "import that no longer fails": (
        {
            "main.py": """
            try:
                from shop.fast import X
            except ImportError:
                X = 1
            def run(): return X
            """,
        },
        ("fast.py", "", "X = 2\n"),
    ),
    "import in a function": (
        {"main.py": "def run():\n    from shop.consts import SCALE\n    return SCALE\n", **CONSTS}, SCALE,
    ),
    "import behind `not TYPE_CHECKING`": (
        {
            "main.py": """
            from typing import TYPE_CHECKING
            if TYPE_CHECKING:
                from shop.other import SCALE
            else:
                from shop.consts import SCALE
            def run(): return SCALE
            """,
            **CONSTS,
        },
        SCALE,
    ),
    "import_module": (
        {
            "main.py": "import importlib\ndef run(): return importlib.import_module('shop.consts').SCALE\n",
            **CONSTS,
        },
        SCALE,
    ),
    "import_module of a relative name": (
        {
            "main.py": """
                from importlib import import_module
                def run(): return import_module('.consts', __package__).SCALE
                """,
            **CONSTS,
        },
        SCALE,
    ),
    "import_module of a computed name": (
        {
            "main.py": """
                import importlib
                def run(name='con'): return importlib.import_module(f'shop.{name}sts').SCALE
                """,
            **CONSTS,
        },
        SCALE,
    ),
    "import_module by another name": (
        {
            "main.py": """
                from importlib import import_module as load
                def run(name='con'): return load('shop.' + name + 'sts').SCALE
                """,
            **CONSTS,
        },
        SCALE,
    ),
    "__import__": (
        {"main.py": "def run(): return __import__('shop.consts').consts.SCALE\n", **CONSTS}, SCALE,
    ),
    "table of text": (
        {
            "main.py": """
            from importlib import import_module
            from shop.table import TABLE
            def run():
                module, _, name = TABLE['x'].partition(':')
                return getattr(import_module(module), name)
            """,
            "table.py": "TABLE = {'x': 'shop.consts:SCALE'}\n",
            **CONSTS,
        },
        SCALE,
    ),
    "re-export": (
        {
            "main.py": "from shop.sub import X\ndef run(): return X\n",
            "sub/__init__.py": "from .a import X\n",
            "sub/a.py": "X = 1\n",
        },
        ("sub/a.py", "= 1", "= 2"),
    ),
    "re-export under another name": (
        {
            "main.py": "from shop.sub import Y\ndef run(): return Y\n",
            "sub/__init__.py": "from .a import X as Y\n",
            "sub/a.py": "X = 1\nZ = 2\n",
        },
        ("sub/__init__.py", "X as Y", "Z as Y"),
    ),
    "attribute of a package": (
        {
            "main.py": "import shop.sub.a\ndef run(): return shop.sub.a.X\n",
            "sub/__init__.py": "",
            "sub/a.py": "X = 1\n",
        },
        ("sub/a.py", "= 1", "= 2"),
    ),
    "module of a folder without __init__": (
        {"main.py": "from shop.sub.a import X\ndef run(): return X\n", "sub/a.py": "X = 1\n"},
        ("sub/a.py", "= 1", "= 2"),
    ),
    "package that comes before a module": (
        {"main.py": "from shop.consts import SCALE\ndef run(): return SCALE\n", **CONSTS},
        ("consts/__init__.py", "", "SCALE = 2\n"),
    ),
    "module beside the package": (
        {"main.py": "from beside import X\ndef run(): return X\n", "../beside.py": "X = 1\n"},
        ("../beside.py", "= 1", "= 2"),
    ),
    "dataclass field": (
        {
            "main.py": "from shop.a import A\ndef run(): return A().x\n",
            "a.py": "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int = 1\n",
        },
        ("a.py", "= 1", "= 2"),
    ),
    "dataclass factory": (
        {
            "main.py": """
            from dataclasses import dataclass, field
            from shop.consts import make
            @dataclass
            class A:
                x: list = field(default_factory=make)
            def run(): return A().x
            """,
            "consts.py": "def make(): return [1]\n",
        },
        ("consts.py", "[1]", "[2]"),
    ),
    "named tuple": (
        {
            "main.py": "from shop.a import A\ndef run(): return A().x\n",
            "a.py": "from typing import NamedTuple\nclass A(NamedTuple):\n    x: int = 1\n",
        },
        ("a.py", "= 1", "= 2"),
    ),
    "property": (
        {
            "main.py": "from shop.a import A\ndef run(): return A().x\n",
            "a.py": "class A:\n    @property\n    def x(self): return 1\n",
        },
        ("a.py", "return 1", "return 2"),
    ),
    "metaclass": (
        {
            "main.py": "from shop.a import Meta\nclass A(metaclass=Meta): ...\ndef run(): return A.x\n",
            "a.py": "class Meta(type):\n    @property\n    def x(cls): return 1\n",
        },
        ("a.py", "return 1", "return 2"),
    ),
    "__init_subclass__": (
        {
            "main.py": "from shop.a import A\nclass B(A, x=1): ...\ndef run(): return B.x\n",
            "a.py": "class A:\n    def __init_subclass__(cls, x): cls.x = x\n",
        },
        ("a.py", "cls.x = x", "cls.x = x + 1"),
    ),
    "descriptor": (
        {
            "main.py": "from shop.a import D\nclass A:\n    x = D()\ndef run(): return A().x\n",
            "a.py": "class D:\n    def __get__(self, *of): return 1\n",
        },
        ("a.py", "return 1", "return 2"),
    ),
    "monkeypatch by another module": (
        {
            "main.py": "import shop.patch\nfrom shop import a\ndef run(): return a.f()\n",
            "a.py": "def f(): return 0\n",
            "patch.py": "import shop.a\nshop.a.f = lambda: 1\n",
        },
        ("patch.py", "lambda: 1", "lambda: 2"),
    ),
    "monkeypatch that an import of an import does": (
        {
            "main.py": "from shop import a, b\ndef run(): return a.f()\n",
            "a.py": "def f(): return 0\n",
            "b.py": "from shop import patch\n",
            "patch.py": "import shop.a\nshop.a.f = lambda: 1\n",
        },
        ("patch.py", "lambda: 1", "lambda: 2"),
    ),
    "lambda": (
        {"main.py": "from shop.a import f\ndef run(): return f(1)\n", "a.py": "f = lambda x: x + 1\n"},
        ("a.py", "x + 1", "x - 1"),
    ),
    "nested function": (
        {
            "main.py": "from shop.a import make\ndef run(): return make()()\n",
            "a.py": "def make():\n    def inner(): return 1\n    return inner\n",
        },
        ("a.py", "return 1", "return 2"),
    ),
    "partial": (
        {
            "main.py": "from shop.a import g\ndef run(): return g()\n",
            "a.py": "from functools import partial\ng = partial(int, '1')\n",
        },
        ("a.py", "'1'", "'2'"),
    ),
    "type alias": (
        {
            "main.py": "from typing import get_args\nfrom shop.a import Kind\ndef run(): return get_args(Kind)\n",
            "a.py": "from typing import Literal\nKind = Literal['x']\n",
        },
        ("a.py", "['x']", "['x', 'y']"),
    ),
    "annotation": (
        {
            "main.py": """
                from typing import get_type_hints
                from shop.a import A
                def run(): return str(get_type_hints(A))
                """,
            "a.py": "class A:\n    x: int\n",
        },
        ("a.py", "int", "str"),
    ),
    "enum member": (
        {
            "main.py": "from shop.a import Size\ndef run(): return Size.SMALL.value\n",
            "a.py": "from enum import Enum\nclass Size(Enum):\n    SMALL = 1\n",
        },
        ("a.py", "= 1", "= 2"),
    ),
    "order of an enum": (
        {
            "main.py": "from shop.a import Size\ndef run(): return next(iter(Size)).name\n",
            "a.py": "from enum import Enum\nclass Size(Enum):\n    A = 1\n    B = 2\n",
        },
        ("a.py", "A = 1\n    B = 2", "B = 2\n    A = 1"),
    ),
    "module's __getattr__": (
        {
            "main.py": "from shop import a\ndef run(): return a.anything\n",
            "a.py": "def __getattr__(name): return 1\n",
        },
        ("a.py", "return 1", "return 2"),
    ),
    "lazy __getattr__ of a package": (
        {
            "main.py": "from shop.sub import A\ndef run(): return A\n",
            "sub/__init__.py": """
            from importlib import import_module
            def __getattr__(name):
                return getattr(import_module(f"{__name__}.{name.lower()}_file"), name)
            """,
            "sub/a_file.py": "A = 1\n",
        },
        ("sub/a_file.py", "= 1", "= 2"),
    ),
    "loop at import": (
        {"main.py": "from shop.a import X\ndef run(): return X\n", "a.py": "X = 0\nfor i in range(3):\n    X += i\n"},
        ("a.py", "range(3)", "range(4)"),
    ),
    "global that a function sets": (
        {
            "main.py": "from shop import a\ndef run():\n    a.set_it()\n    return a.X\n",
            "a.py": "X = 0\ndef set_it():\n    global X\n    X = 1\n",
        },
        ("a.py", "    X = 1", "    X = 2"),
    ),
    "modules that import each other": (
        {
            "main.py": "from shop import a\ndef run(): return a.f()\n",
            "a.py": "from shop import b\nX = 1\ndef f(): return b.g()\n",
            "b.py": "from shop import a\ndef g(): return a.X\n",
        },
        ("a.py", "X = 1", "X = 2"),
    ),
    "text": (
        {"main.py": "from shop.a import X\ndef run(): return X\n", "a.py": "X = 'a' 'b'\n"}, ("a.py", "'b'", "'c'"),
    ),
    "format": (
        {"main.py": "from shop.a import f\ndef run(): return f(1.25)\n", "a.py": "def f(x): return f'{x:.1f}'\n"},
        ("a.py", ".1f", ".2f"),
    ),
    "true for 1": (
        {"main.py": "from shop.a import X\ndef run(): return repr(X)\n", "a.py": "X = 1\n"}, ("a.py", "1", "True"),
    ),
    "case of a match": (
        {
            "main.py": "from shop.a import f\ndef run(): return f(1)\n",
            "a.py": "def f(x):\n    match x:\n        case 1: return 'one'\n        case _: return 'other'\n",
        },
        ("a.py", "case 1", "case 2"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_that_counts_is_never_passed_over(shop: Shop, name: str) -> None:
    files, edit = EDITS[name]
    shop.write(files)
    answer, module, function = shop.answer(), *shop.fingerprints()
    shop.edit(*edit)
    assert shop.answer() != answer, "the edit changes nothing"
    after = shop.fingerprints()
    assert after[0] != module and after[1] != function


NEUTRAL = """
from __future__ import annotations
from typing import TYPE_CHECKING
from shop.a import X
if TYPE_CHECKING:
    from shop.other import Thing

class Box:
    size = 1

def run(x: int = 1, y=("a", 'b')):
    return [x, X, *y]
"""
NEUTRAL_EDITS: dict[str, Edit] = {
    "comment": ("main.py", "size = 1", "size = 1  # as ever"),
    "comment in another module": ("a.py", "X = 1", "# one\nX = 1"),
    "docstring of a module": ("a.py", "X = 1", '"""What is here."""\nX = 1'),
    "docstring of a class": ("main.py", "class Box:\n", 'class Box:\n    """A box."""\n'),
    "docstring of a function": ("main.py", "    return [x", '    """Return it."""\n    return [x'),
    "docstring of an attribute": ("main.py", "size = 1", 'size = 1\n    """In metres."""'),
    "blank lines": ("main.py", "class Box", "\n\n\nclass Box"),
    "line breaks and a last comma": ("main.py", "[x, X, *y]", "[\n        x,\n        X,\n        *y,\n    ]"),
    "quotes": ("main.py", "\"a\", 'b'", "'a', \"b\""),
    "parentheses": ("main.py", "return [x, X, *y]", "return ([(x), X, *y])"),
    "number as written": ("a.py", "X = 1", "X = 0x1"),
    "encoding": ("a.py", "", "# -*- coding: utf-8 -*-\nX = 1\n"),
    "import for the type checker": ("main.py", "import Thing", "import Thing, Other"),
    "module that the type checker alone reads": ("other.py", "Thing = 1", "Thing = 2"),
    "module that nobody imports": ("alone.py", "", "Y = 1\n"),
}


@pytest.mark.parametrize("name", NEUTRAL_EDITS)
def test_comments_docstrings_and_format_do_not_count(shop: Shop, name: str) -> None:
    shop.write({"main.py": NEUTRAL, "a.py": "X = 1\n", "other.py": "Thing = 1\n"})
    answer, before = shop.answer(), shop.fingerprints()
    shop.edit(*NEUTRAL_EDITS[name])
    assert shop.answer() == answer
    assert shop.fingerprints() == before


def test_a_function_counts_with_what_it_uses_of_its_module(shop: Shop) -> None:
    """As the nodes of a stage do, which stand in one module."""
    shop.write(
        {
            "main.py": """
            def run():
                from shop.a import X
                return X + help()
            def help(): return 1
            def other():
                from shop.b import Y
                return Y
            """,
            "a.py": "X = 1\n",
            "b.py": "Y = 1\n",
        }
    )
    before = CodeGraph().reach(["shop.main:run"]).files
    assert set(before) == {"shop/main.py:run", "shop/__init__.py", "shop/a.py"}
    shop.edit("main.py", "    return Y\n", "    return Y + 1\n")
    assert CodeGraph().reach(["shop.main:run"]).files == before
    shop.edit("main.py", "def help(): return 1", "def help(): return 2")
    assert CodeGraph().reach(["shop.main:run"]).files != before


def test_installed_packages_count_by_their_version_and_plug_ins_by_their_code(shop: Shop) -> None:
    shop.write({"main.py": "import numpy.linalg, os, plug.tools\nfrom absent import x\ndef run(): ...\n"})
    plug = shop.folder / "site-packages" / "plug"
    plug.mkdir(parents=True)
    (plug / "__init__.py").write_text("")
    (plug / "kinds.py").write_text("from plug.tools import X\n")
    (plug / "tools.py").write_text("X = 1\n")
    sys.path.insert(0, str(plug.parent))
    try:
        found = CodeGraph().reach(["shop.main"])
        assert found.packages == {"numpy", "plug", "absent"}
        assert set(found.files) == {"shop/__init__.py", "shop/main.py"}
        followed = CodeGraph().reach(["shop.main", "plug.kinds"])
        assert {"plug/__init__.py", "plug/kinds.py", "plug/tools.py"} <= set(followed.files)
        (plug / "tools.py").write_text("X = 2\n")
        assert CodeGraph().reach(["shop.main", "plug.kinds"]).files != followed.files
    finally:
        sys.path.remove(str(plug.parent))


def test_a_root_must_be_there(shop: Shop) -> None:
    shop.write({})
    for root in ("shop.absent", "absent_package.module"):
        with pytest.raises(LookupError, match=root):
            CodeGraph().reach([root])


def test_what_was_read_is_kept_between_runs(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.write({"main.py": "from shop.consts import SCALE\ndef run(): return SCALE\n", **CONSTS})
    kept = tmp_path / "kept" / "sources.json"
    first = CodeGraph(kept=kept)
    before = first.reach(["shop.main"]).files
    first.save()
    read: list[str] = []
    from thresher.code_fingerprint import cache
    from thresher.code_fingerprint.source import Source

    def count(
        content: bytes, package: str, definition: str, really: Callable[..., Source] = cache.read_source
    ) -> Source:
        read.append(package)
        return really(content, package, definition)

    monkeypatch.setattr(cache, "read_source", count)
    assert CodeGraph(kept=kept).reach(["shop.main"]).files == before and read == []
    shop.edit(*SCALE)
    assert CodeGraph(kept=kept).reach(["shop.main"]).files != before and read == ["shop"]
    kept.write_text("{")  # a broken file costs the reading alone
    assert CodeGraph(kept=kept).reach(["shop.main"]).files
