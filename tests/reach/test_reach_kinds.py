"""Families of choices: what a recipe does not name is as good as absent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Shop

MODELS = """
from typing import Annotated, Literal, Optional, Union

class Config: ...

class Small(Config):
    kind: Literal["small"] = "small"

class Large(Config):
    kind: Literal["large"] = "large"

def build_small(config: Small): ...
def build_large(config: Large): ...

BUILD = {
    Small: build_small,
    Large: build_large,
}
Model = Annotated[Small | Large, "kind"]
OldModel = Annotated[Union[Small, Large], "kind"]
Maybe = Small | Large | None
Perhaps = Optional[Large]
OLDEST = (Small, Large)
LISTED = [Small, Large]
NAMED = {Small, Large}
"""
NEW = """
class Huge(Config):
    kind: Literal["huge"] = "huge"

def build_huge(config: Huge): ...
"""


@pytest.fixture
def models(shop: Shop) -> Shop:
    shop.write({"models.py": MODELS})
    return shop


@pytest.mark.parametrize("family", ["Model", "OldModel", "Maybe", "OLDEST", "LISTED", "NAMED"])
def test_members_of_other_kinds_are_left_out(models: Shop, family: str) -> None:
    small, large = {"models.Config", "models.Small"}, {"models.Config", "models.Large"}
    assert models.names(f"models.{family}", kinds=("small",)) == {f"models.{family}"} | small
    assert models.names(f"models.{family}", kinds=("large", "x")) == {f"models.{family}"} | large
    assert models.names(f"models.{family}", kinds=("large", "small")) == {f"models.{family}"} | small | large
    assert models.names(f"models.{family}") == {f"models.{family}"}


def test_entries_of_other_kinds_are_left_out(models: Shop) -> None:
    assert models.names("models.BUILD", kinds=("small",)) == {
        "models.BUILD",
        "models.Config",
        "models.Small",
        "models.build_small",
    }
    assert models.names("models.BUILD") == {"models.BUILD"}
    assert models.names("models.Perhaps", kinds=("small",)) == {"models.Perhaps"}
    assert "models.Large" in models.names("models.Perhaps", kinds=("large",))


def test_a_change_concerns_only_its_kind(models: Shop) -> None:
    before = {kind: models.reach("models.BUILD", kinds=(kind,)) for kind in ("small", "large")}
    models.edit("models.py", "def build_large(config: Large): ...", "def build_large(config: Large): return 1")
    assert models.reach("models.BUILD", kinds=("small",)) == before["small"]
    assert models.reach("models.BUILD", kinds=("large",)) != before["large"]


FAMILIES = ["BUILD", "Model", "OldModel", "Maybe", "OLDEST", "LISTED", "NAMED"]


@pytest.mark.parametrize("kinds", [(), ("small",), ("small", "large")])
@pytest.mark.parametrize("old", ["Large", "Small"])
def test_a_new_member_changes_nothing_for_those_who_do_not_name_it(
    models: Shop, kinds: tuple[str, ...], old: str
) -> None:
    roots = [f"models.{family}" for family in FAMILIES]
    before = {root: models.reach(root, kinds=kinds) for root in roots}
    _add_huge(models, beside=old)
    assert {root: models.reach(root, kinds=kinds) for root in roots} == before
    named = {root: models.reach(root, kinds=(*kinds, "huge")) for root in roots}
    assert all("shop.models.Huge" in reach.definitions for reach in named.values())
    assert all(named[root].definitions[f"shop.{root}"] != before[root].definitions[f"shop.{root}"] for root in roots)


def _add_huge(models: Shop, beside: str) -> None:
    """Add the kind "huge" to every family, before or after another."""
    models.edit("models.py", f"class {beside}", f"{NEW}class {beside}")
    models.edit("models.py", f"    {beside}: build", f"    Huge: build_huge,\n    {beside}: build")
    both = "Small | Large", "Small, Large"
    for old in both:
        models.edit("models.py", old, old.replace(beside, f"Huge{old[5:-5]}{beside}"))
    assert (models.folder / "models.py").read_text().count("Huge") == 9


def test_what_is_left_out_leaves_no_trace(models: Shop) -> None:
    roots = [f"models.{family}" for family in (*FAMILIES, "Perhaps")]
    before = [models.reach(root, kinds=("small",)) for root in roots]
    models.edit("models.py", "Large", "Larger")
    assert [models.reach(root, kinds=("small",)) for root in roots] == before


def test_kinds_are_found_through_imports_and_modules(models: Shop) -> None:
    models.write(
        {
            "a.py": """
            from shop import models
            from shop.models import Large as Big
            TABLE = {models.Small: 1, Big: 2, **{}, "text": 3}
            def f(x):
                from shop.models import Large, Small as Little
                return isinstance(x, Little | Large) or x in (models.Large,)
            def g(Large): return (Large, Large.x)
            """
        }
    )
    assert models.names("a.TABLE", kinds=("small",)) == {"a.TABLE", "models.Small", "models.Config"}
    assert models.names("a.TABLE", kinds=("large",)) == {"a.TABLE", "models.Large", "models.Config"}
    assert models.names("a.f", kinds=("small",)) == {"a.f", "models.Small", "models.Config"}
    assert models.names("a.g") == {"a.g"}
    before = models.reach("a.g")
    models.edit("a.py", "(Large, Large.x)", "(Large.x,)")
    assert models.reach("a.g") != before


def test_a_kind_that_is_named_elsewhere_is_followed(models: Shop) -> None:
    models.write(
        {
            "a.py": """
            from collections.abc import Callable
            from shop.models import Large
            def annotated(x: Large): ...
            def generic(x: dict[str, Large]): ...
            def called(x: Callable[[Large, int], None]): ...
            def made(): return (Large(), 1)
            def asked(x): return isinstance(x, Large)
            VALUE = {1: Large}
            SUM = Large + 1
            """
        }
    )
    for name in ("annotated", "generic", "called", "made", "asked", "VALUE", "SUM"):
        assert models.names(f"a.{name}", kinds=("small",)) == {f"a.{name}", "models.Large", "models.Config"}


def test_unions_and_tuples_of_other_things_are_as_they_are(shop: Shop) -> None:
    shop.write(
        {
            "a.py": """
            class A:
                kind: str = "a"
            class B:
                kind = "b"
            class C:
                x: Literal["c"] = "c"
            UNION = A | B | C
            FLAGS = 1 | 2
            TUPLE = (A, B)
            """
        }
    )
    assert shop.names("a.UNION") == {"a.UNION", "a.A", "a.B", "a.C"}
    before = shop.reach("a.FLAGS"), shop.reach("a.TUPLE")
    shop.edit("a.py", "1 | 2", "1 & 2")
    shop.edit("a.py", "(A, B)", "(B, A)")
    assert shop.reach("a.FLAGS") != before[0]
    assert shop.reach("a.TUPLE") != before[1]


def test_one_index_answers_for_every_selection(models: Shop) -> None:
    from thresher.reach.index import CodeIndex

    index = CodeIndex("shop", models.folder)
    selections = [("small",), (), ("large",), ("small", "large"), ("other",), ("small",)]
    for kinds in selections:
        assert index.reach(["shop.models"], kinds) == models.reach("models", kinds=kinds)
