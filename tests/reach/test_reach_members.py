"""Roots that are methods: of a class, only the members that they use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from thresher.reach.index import CodeIndex

if TYPE_CHECKING:
    from conftest import Shop

DATASETS = """
from kedro.io import AbstractDataset
from shop.storage import SUFFIX, open_file, read, write

class Base(AbstractDataset):
    folder = "data"
    unused = write

    def __init__(self, path):
        self._path = path + SUFFIX

    def _open(self):
        return open_file(self._path, self._mode())

    def _mode(self):
        return "base"

    def describe(self):
        return self._path

class Dataset(Base):
    _mode_name: str = "r"

    def load(self):
        with self._open() as file:
            return read(file)

    def save(self, value):
        write(self._path, value)

    def _mode(self):
        return type(self)._mode_name
"""
STORAGE = """
import numpy as np
SUFFIX = ".npy"
def open_file(path, mode): ...
def read(file): return np.load(file)
def write(path, value): ...
"""
HEADS = {"datasets.Dataset", "datasets.Base"}
INIT = {"datasets.Base.__init__", "storage.SUFFIX"}


@pytest.fixture
def datasets(shop: Shop) -> Shop:
    shop.write({"datasets.py": DATASETS, "storage.py": STORAGE})
    return shop


def test_a_method_reaches_the_members_that_it_uses(datasets: Shop) -> None:
    used = {"Dataset.load", "Base._open", "Dataset._mode", "Dataset._mode_name"}
    expected = {f"datasets.{name}" for name in used} | {"storage.read", "storage.open_file"}
    assert datasets.names("datasets.Dataset.load") == expected | HEADS | INIT
    assert datasets.names("datasets.Dataset.save") == {"datasets.Dataset.save", "storage.write"} | HEADS | INIT
    assert datasets.reach("datasets.Dataset.load").externals == {"kedro", "numpy"}
    assert datasets.reach("datasets.Dataset.save").externals == {"kedro"}


def test_a_change_of_one_method_is_none_of_another(datasets: Shop) -> None:
    roots = ("datasets.Dataset.load", "datasets.Dataset.save", "datasets.Dataset")
    for file, old, new, changed in [
        ("storage.py", "np.load(file)", "np.load(file, 1)", {"load", "Dataset"}),
        ("storage.py", "def write(path, value): ...", "def write(path, value): return 1", {"save", "Dataset"}),
        ("datasets.py", "write(self._path, value)", "write(self._path, value, 1)", {"save", "Dataset"}),
        ("datasets.py", '"r"', '"b"', {"load", "Dataset"}),
        ("datasets.py", 'return "base"', 'return "more"', {"Dataset"}),
        ("datasets.py", "path + SUFFIX", "path - SUFFIX", {"load", "save", "Dataset"}),
        ("datasets.py", "class Dataset(Base)", "class Dataset(Base, final=True)", {"load", "save", "Dataset"}),
        ("datasets.py", "return self._path", 'return "text"', {"Dataset"}),
    ]:
        datasets.write({"datasets.py": DATASETS, "storage.py": STORAGE})
        before = {root: datasets.reach(root) for root in roots}
        datasets.edit(file, old, new)
        after = {root.rpartition(".")[2] for root in roots if datasets.reach(root) != before[root]}
        assert after == changed, new


def test_an_inherited_method_is_found_in_its_base(datasets: Shop) -> None:
    assert datasets.names("datasets.Dataset.describe") == {"datasets.Base.describe"} | HEADS | INIT
    # Kedro's, by the base outside of the package.
    assert datasets.names("datasets.Dataset.release") == HEADS | INIT
    assert datasets.reach("datasets.Dataset.release").externals == {"kedro"}


def test_an_unknown_member_is_refused(shop: Shop) -> None:
    shop.write({"a.py": "class A:\n    def f(self): ...\nclass B(A): ...\n"})
    assert shop.names("a.B.f") == {"a.A", "a.B", "a.A.f"}
    with pytest.raises(LookupError, match=r"shop\.a\.B has no g"):
        shop.reach("a.B.g")


@pytest.mark.parametrize(
    ("body", "reached"),
    [
        ("return self.one()", {"A.one"}),
        ("return super().one()", {"Base.one"}),
        ("return self.__class__.one", {"A.one"}),
        ("return [self.one() for x in self.two]", {"A.one", "Base.two"}),
        ("return lambda: self.one()", {"A.one"}),
        ("self.two = 1", {"Base.two"}),
        ("return self.nowhere", set()),
        ("return x.one()", set()),
        ("def g(self): self.one()", set()),
        ("return other(self)", {"whole"}),
        ("return A.two", {"whole"}),
    ],
)
def test_members_are_used_through_self_and_super(shop: Shop, body: str, reached: set[str]) -> None:
    shop.write(
        {
            "a.py": f"""
            class Base:
                two = 2
                def one(self): ...
            class A(Base):
                def one(self): ...
                def f(self, x):
                    {body}
                def other(self): whole()
            def whole(): ...
            """
        }
    )
    assert shop.names("a.A.f") == {"a.A", "a.Base", "a.A.f", *(f"a.{name}" for name in reached)}
    # Reached by its name as well, a class is all of it.
    assert shop.reach("a.A.f", "a.A").definitions.items() >= shop.reach("a.A").definitions.items()


def test_all_kinds_of_methods(shop: Shop) -> None:
    shop.write(
        {
            "a.py": """
            import functools
            DEFAULT = 1
            class A:
                size = DEFAULT
                @staticmethod
                def static(self): return self.size
                @classmethod
                def made(cls, x=size): return cls.helper()
                @functools.cache
                def helper(this): return this.prop
                @property
                def prop(self): ...
                @prop.setter
                def prop(self, value): self.static(1)
            class B(A):
                size = 2
            """
        }
    )
    assert shop.names("a.A.static") == {"a.A", "a.A.static"}
    expected = {"a.A", "a.A.made", "a.A.helper", "a.A.prop", "a.A.size", "a.A.static", "a.DEFAULT"}
    assert shop.names("a.A.made") == expected
    assert shop.names("a.B.made") == expected | {"a.B"}
    assert shop.names("a.A.size") == {"a.A", "a.A.size", "a.DEFAULT"}


def test_a_diamond_is_asked_in_the_order_of_python(shop: Shop) -> None:
    shop.write(
        {
            "a.py": """
            class Top:
                def f(self): ...
            class Left(Top):
                def f(self): super().f()
            class Right(Top):
                def f(self): super().f()
            class Bottom(Left, Right):
                def g(self): self.f()
            """
        }
    )
    heads = {"a.Top", "a.Left", "a.Right", "a.Bottom"}
    assert shop.names("a.Bottom.g") == heads | {"a.Bottom.g", "a.Left.f", "a.Right.f", "a.Top.f"}
    assert shop.names("a.Left.f") == {"a.Left", "a.Top", "a.Left.f", "a.Top.f"}


def test_bases_are_followed_through_imports_and_aliases_of_the_same_name(shop: Shop) -> None:
    shop.write(
        {
            "base.py": "class Dataset:\n    def load(self): self.read()\n    def read(self): ...\n",
            "a.py": "from shop import base\nclass A(base.Dataset):\n    def read(self): ...\n",
            "b.py": "from shop.base import Dataset\nclass Dataset(Dataset[int]): ...\n",
        }
    )
    assert shop.names("a.A.load") == {"a.A", "base.Dataset", "base.Dataset.load", "a.A.read"}
    assert shop.names("b.Dataset.load") == {"b.Dataset", "base.Dataset", "base.Dataset.load", "base.Dataset.read"}


def test_loading_a_network_is_not_saving_it() -> None:
    index = CodeIndex()
    load, save = (
        set(index.reach([f"thresher.datasets.local.NetworkDataset.{method}"], {"lenet"}).definitions)
        for method in ("load", "save")
    )
    assert {"thresher.models.storage.load_network", "thresher.datasets.local.LocalDataset._reading"} <= load
    assert "thresher.models.storage.save_network" in save
    assert load.isdisjoint({"thresher.models.storage.save_network", "thresher.datasets.local.NetworkDataset.save"})
    assert save.isdisjoint({"thresher.models.storage.load_network", "thresher.datasets.local.NetworkDataset.load"})
