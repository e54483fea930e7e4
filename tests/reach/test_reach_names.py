"""Which names are followed, by Python's scoping."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Shop

TOOLS = """
def one(): ...
def two(): ...
def three(): return one()
LIMIT = 3
class Box: ...
"""


@pytest.mark.parametrize(
    ("code", "reached"),
    [
        ("from shop.tools import one\ndef f(): return one()", {"one"}),
        ("from shop import tools\ndef f(): return tools.unknown.one", {"one", "two", "three", "LIMIT", "Box"}),
        ("from shop import tools\ndef f(): return tools.__file__", set()),
        ("from shop.tools import one as first\ndef f(): return [first]", {"one"}),
        ("from shop.tools import three\ndef f(): three()", {"three", "one"}),
        ("from .tools import one\ndef f(): one()", {"one"}),
        ("from . import tools\ndef f(): tools.two()", {"two"}),
        ("from shop import tools as t\ndef f(): return t.LIMIT + t.one().x", {"LIMIT", "one"}),
        ("import shop.tools\ndef f(): shop.tools.one()", {"one"}),
        ("import shop.tools as t\ndef f(): t.Box.size", {"Box"}),
        ("def f():\n    from shop.tools import one\n    return one()", {"one"}),
        ("def f():\n    import shop.tools as t\n    return t.one()", {"one"}),
        ("def f():\n    from . import tools\n    return lambda: tools.one()", {"one"}),
        ("def f():\n    global one\n    from shop.tools import one\n    one()", {"one"}),
        ("def f(x):\n    from .tools import one as a\n    if x: from .tools import two as a\n    a", {"one", "two"}),
        ("from shop.tools import Box\ndef f(x: Box): ...", {"Box"}),
        ("from shop.tools import Box\ndef f(*x: Box | None): ...", {"Box"}),
        ("from shop.tools import Box\ndef f() -> 'list[Box]': ...", {"Box"}),
        ("from shop.tools import Box\ndef f():\n    x: 'Box | None' = None", {"Box"}),
        ("from shop.tools import LIMIT\ndef f(x=LIMIT): ...", {"LIMIT"}),
        ("from shop.tools import LIMIT\ndef f(*, x=LIMIT): ...", {"LIMIT"}),
        ("from shop.tools import one\n@one\ndef f(): ...", {"one"}),
        ("from shop.tools import Box\nclass f(Box): ...", {"Box"}),
        ("from shop.tools import Box\nclass f(list[Box]): ...", {"Box"}),
        ("from shop.tools import Box\nclass f(metaclass=Box): ...", {"Box"}),
        ("from shop.tools import one\nclass f:\n    def g(self): one()", {"one"}),
        ("from shop.tools import LIMIT\nclass f:\n    LIMIT = LIMIT", {"LIMIT"}),
        ("from shop.tools import one\nclass f:\n    one = 1\n    def g(self): one()", {"one"}),
        ("from shop.tools import one\nclass f:\n    from .tools import two as one\n    def g(self): one()", {"one"}),
        ("from shop.tools import one\ndef f(): return [one for x in y]", {"one"}),
        ("from shop.tools import one\ndef f(): return [one for one in one()]", {"one"}),
        ("from shop.tools import one\ndef f():\n    [one for one in ()]\n    one()", {"one"}),
        ("from shop.tools import one\ndef f(): return f'{one():.3f}'", {"one"}),
        ("from shop.tools import one\nasync def f():\n    async with one() as x: ...", {"one"}),
        ("from shop.tools import Box\ndef f(x):\n    match x:\n        case Box(): ...", {"Box"}),
        ("from shop.tools import Box\ndef f():\n    try: ...\n    except Box as one: ...", {"Box"}),
        ("from shop.tools import LIMIT\nf = LIMIT", {"LIMIT"}),
        ("from shop.tools import LIMIT\ndef f():\n    global LIMIT\n    LIMIT = 1", {"LIMIT"}),
        ("from shop import tools\ndef f(): return getattr(tools, 'one')", {"one", "two", "three", "LIMIT", "Box"}),
        ("def f(): return 'shop.tools:one'", {"one"}),
        ("f = {'x': ['shop.tools:one']}", {"one"}),
    ],
)  # fmt: skip
def test_names_are_followed(shop: Shop, code: str, reached: set[str]) -> None:
    shop.write({"tools.py": TOOLS, "a.py": code + "\n"})
    assert shop.names("a.f") == {"a.f", *(f"tools.{name}" for name in reached)}


@pytest.mark.parametrize(
    "code",
    [
        "def f(one): one()",
        "def f(*one, **two): one(two)",
        "def f():\n    one = 1\n    return one",
        "def f():\n    def one(): ...\n    one()",
        "def f():\n    def g(): return one\n    one = 2",
        "def f():\n    class one: ...\n    one()",
        "def f(x):\n    for one, *two in x: one(two)",
        "def f():\n    with open('x') as one: one.two()",
        "def f():\n    try: ...\n    except ValueError as one: one()",
        "def f(x): return [one + two for one, two in x if one]",
        "def f(x): return {one: two for one in x for two in one}",
        "def f(x): return lambda one: one()",
        "def f(x):\n    if one := x: return one()\n    [two := y for y in x]\n    return two",
        "def f(x):\n    match x:\n        case [1, *two]: two()",
        "def f(x):\n    match x:\n        case {'x': 1, **two}: two()",
        "def f(x):\n    match x:\n        case int() as one: one()",
        "def f():\n    from json import loads as one\n    import re as two\n    one(two)",
        "def f():\n    one = 1\n    def g():\n        nonlocal one\n        one += 1",
        "class f:\n    one: int = 1\n    two = 2",
        "def f(x): return x.one()",
        "def f(x): return x(one=1)",
        "def f(): return 'one'",
        "def f(): return 'shop.tools.one'",
        "def f(): return 'see shop.tools:one'",
        "def f(): return 'shop.tools:nobody' + 'shop.nowhere:one' + f'shop.tools:one'",
        "def f():\n    'shop.tools:one'",
    ],
)  # fmt: skip
def test_names_of_an_inner_scope_and_text_are_not_followed(shop: Shop, code: str) -> None:
    shop.write({"tools.py": TOOLS, "a.py": f"from shop.tools import one, two\n{code}\n"})
    assert shop.names("a.f") == {"a.f"}
