"""What of a definition's source counts, and how a module's definitions are found."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from thresher.errors import ThresherError
from thresher.reach.index import CodeIndex

if TYPE_CHECKING:
    from conftest import Shop

PRICES = '''
"""Prices."""

from math import ceil as up


def price(count: int, rate: float = 1.5) -> float:
    """Return the price."""
    # in cents
    total = count * rate
    return up(total)


class Offer:
    """An offer."""

    limit: int = 3
    """Of items."""

    def holds(self, count):
        """Return whether it does."""
        return count < self.limit


class Empty(Exception):
    pass
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('    """Return the price."""\n', ""),
        ('"""Return the price."""', '"""Return it.\n\n    Twice.\n    """'),
        ("# in cents", "# in euros"),
        ("    total = count * rate\n", "\n    total = (\n        count\n        * rate\n    )\n\n"),
        ('    """Of items."""\n', ""),
        ('"""An offer."""', '"""Offers."""'),
        ('        """Return whether it does."""\n', ""),
        ("    pass\n", '    """Nothing left."""\n'),
        ('"""Prices."""', '"""All prices."""\n\nimport os\n\nOTHER = 1\n'),
        ("int = 3", '"int" = 3'),
    ],
)
def test_comments_docstrings_and_formatting_do_not_count(shop: Shop, old: str, new: str) -> None:
    shop.write({"prices.py": PRICES})
    before = shop.reach("prices.price", "prices.Offer", "prices.Empty")
    shop.edit("prices.py", old, new)
    assert shop.reach("prices.price", "prices.Offer", "prices.Empty") == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("count * rate", "count + rate"),
        ("count * rate", "rate * count"),
        ("1.5", "1"),
        ("rate: float = 1.5", "rate: float = '1.5'"),
        ("count: int,", "count: float,"),
        ("-> float", "-> int"),
        ("return up(total)", "return up(total), 1"),
        ("    # in cents\n", "    count += 1\n"),
        ("def price", "@print\ndef price"),
        ("def price", "async def price"),
        ("from math import ceil as up", "from math import floor as up"),
    ],
)
def test_all_other_code_counts(shop: Shop, old: str, new: str) -> None:
    shop.write({"prices.py": PRICES})
    before = shop.reach("prices.price", "prices.Offer", "prices.Empty").definitions
    shop.edit("prices.py", old, new)
    after = shop.reach("prices.price", "prices.Offer", "prices.Empty").definitions
    assert {name for name in before if before[name] != after[name]} == {"shop.prices.price"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("limit: int = 3", "limit: int = 4"),
        ("limit: int = 3", "limit = 3"),
        ("count < self.limit", "count <= self.limit"),
        ("class Offer:", "class Offer(dict):"),
        ("class Offer:", "@print\nclass Offer:"),
    ],
)
def test_a_class_is_one_definition_with_all_its_members(shop: Shop, old: str, new: str) -> None:
    shop.write({"prices.py": PRICES})
    before = shop.reach("prices.Offer").definitions
    shop.edit("prices.py", old, new)
    after = shop.reach("prices.Offer").definitions
    assert set(before) == set(after) == {"shop.prices.Offer"}
    assert before != after


def test_text_in_an_annotation_is_not_an_annotation(shop: Shop) -> None:
    for annotation in ('Annotated[int, "1"]', 'Annotated[int, Field(default="1")]', 'made("1")', 'Literal["1"]'):
        shop.write({"a.py": f"def f(x: {annotation}) -> {annotation.replace('1', 'g')}: ...\ndef g(): ...\n"})
        before = shop.reach("a.f")
        assert set(before.definitions) == {"shop.a.f"}
        shop.edit("a.py", '"1"', "1")
        assert shop.reach("a.f") != before


def test_a_hash_is_16_hex_digits_and_names_are_sorted(shop: Shop) -> None:
    shop.write({"prices.py": "def b(): a(c)\ndef a(): ...\nc = 1\n"})
    definitions = shop.reach("prices.b").definitions
    assert list(definitions) == ["shop.prices.a", "shop.prices.b", "shop.prices.c"]
    assert all(len(digest) == 16 and int(digest, 16) >= 0 for digest in definitions.values())


def test_all_targets_of_assignments_are_definitions_of_their_own(shop: Shop) -> None:
    shop.write({"a.py": "A, B = 1, 2\nC = D = one()\nE: int = 3\n(F, G), *H = two()\nI = 1\nI += A\ndef one(): ...\n"})
    roots = "ABCDEFGI"
    before = {name: shop.reach(f"a.{name}").definitions for name in roots}
    assert set(before["A"]) == {"shop.a.A"}
    assert set(before["I"]) == {"shop.a.I", "shop.a.A"}
    shop.edit("a.py", "1, 2", "1, 3")
    assert {name for name in roots if shop.reach(f"a.{name}").definitions != before[name]} == {"B"}
    shop.edit("a.py", "C = D = ", "C = ")
    shop.edit("a.py", "two()", "three()")
    shop.edit("a.py", "I += A", "I += 2")
    after = {name: shop.reach(f"a.{name}").definitions for name in "ABCEFGI"}
    assert {name for name in after if after[name] != before[name]} == {"B", "F", "G", "I"}


def test_a_target_that_stands_for_several_values_depends_on_all(shop: Shop) -> None:
    shop.write({"a.py": "A, *B = *many, 1\nmany = 2\n"})
    assert shop.names("a.A") == {"a.A", "a.many"}
    assert shop.names("a.B") == {"a.B", "a.many"}


def test_definitions_in_branches_count_together_with_their_conditions(shop: Shop) -> None:
    branches = """
    import sys
    if sys.platform == "linux":
        A = 1
    elif sys.maxsize:
        A = 2
    try:
        from fast import b as B
    except ImportError:
        B = 3
    with open("x"):
        C = 4
    if sys.argv:
        D = 5
    """
    for old, new, changed in [
        ("linux", "darwin", {"A"}),
        ("A = 2", "A = 3", {"A"}),
        ("sys.maxsize", "sys.flags", {"A"}),
        ("B = 3", "B = 4", {"B"}),
        ("ImportError", "Exception", {"B"}),
        ('open("x")', 'open("y")', {"C"}),
        ("argv:\n    D = 5", "argv:\n    ...\nelse:\n    D = 5", {"D"}),
    ]:
        shop.write({"a.py": branches})
        before = {name: shop.reach(f"a.{name}") for name in "ABCD"}
        shop.edit("a.py", old, new)
        assert {name for name in "ABCD" if shop.reach(f"a.{name}") != before[name]} == changed, new
    assert before["B"].externals == {"fast"}


def test_what_changes_a_name_after_its_definition_is_part_of_it(shop: Shop) -> None:
    shop.write(
        {
            "a.py": """
            TABLE = {}
            TABLE["one"] = one
            TABLE.update(two=two)
            def one(): ...
            def two(): ...
            @TABLE.register("three")
            def three(): ...
            @unknown
            def four(): ...
            for number in five():
                TABLE[number] = 5
            def five(): ...
            TABLE["six"] += six()
            def six(): ...
            def use(): return TABLE
            """
        }
    )
    reached = {"use", "TABLE", "one", "two", "five", "number", "six"}
    assert shop.names("a.use") == {"a", *(f"a.{name}" for name in reached)}
    for old, new in [("three(): ...", "three(): return 3"), ("[number] = 5", "[number] = 6"), ("+= six", "-= six")]:
        before = shop.reach("a.use").definitions["shop.a.TABLE"]
        shop.edit("a.py", old, new)
        assert shop.reach("a.use").definitions["shop.a.TABLE"] != before


def test_what_runs_at_import_counts_under_the_name_of_its_module(shop: Shop) -> None:
    shop.write(
        {
            "a.py": 'import torch\ntorch.use(level=1)\ndef f(): ...\nif __name__ == "__main__":\n    f(2)\n',
            "b.py": "from shop.a import f\nimport unused\nunused.start()\ndef g(): f()\n",
            "c.py": "from shop.b import f\n",
        }
    )
    before = shop.reach("c.f")
    assert set(before.definitions) == {"shop.a", "shop.a.f"}
    assert before.externals == {"torch"}
    shop.edit("a.py", "f(2)", "f(3)")
    assert shop.reach("c.f") == before
    shop.edit("a.py", "level=1", "level=2")
    assert shop.reach("c.f") != before


def test_star_imports_are_refused_with_the_place(shop: Shop) -> None:
    shop.write({"a.py": "from shop.b import *\ndef f(): ...\n", "b.py": "def g(): ...\n"})
    with pytest.raises(ThresherError, match=r"a\.py: 'import \*' hides"):
        shop.reach("a.f")
    assert shop.names("b.g") == {"b.g"}


def test_a_file_that_is_not_python_is_named_with_the_line(shop: Shop) -> None:
    shop.write({"a.py": "def f():\n    from shop.b import g\n    g()\n", "b.py": "\ndef g(:\n"})
    with pytest.raises(ThresherError, match=r"b\.py:2: not valid Python"):
        shop.reach("a.f")


def test_the_folder_is_found_without_importing_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lonely").mkdir()
    (tmp_path / "lonely" / "__init__.py").write_text("raise SystemExit\n")
    (tmp_path / "lonely" / "a.py").write_text("def f(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert list(CodeIndex("lonely").reach(["lonely.a.f"], ()).definitions) == ["lonely.a.f"]
    assert "lonely" not in sys.modules
    with pytest.raises(LookupError, match="lovely"):
        CodeIndex("lovely")
