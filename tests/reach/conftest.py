"""A small package in files, to be edited."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from thresher.reach.index import CodeIndex, Reach


@dataclass(frozen=True)
class Shop:
    """The package `shop`."""

    folder: Path

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text), encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text(encoding="utf-8")
        assert old in text
        (self.folder / name).write_text(text.replace(old, new), encoding="utf-8")

    def reach(self, *roots: str, kinds: tuple[str, ...] = ()) -> Reach:
        return CodeIndex("shop", self.folder).reach([f"shop.{root}" for root in roots], kinds)

    def names(self, *roots: str, kinds: tuple[str, ...] = ()) -> set[str]:
        """Return what ``roots`` reach, by its name within the package."""
        return {name.removeprefix("shop.") for name in self.reach(*roots, kinds=kinds).definitions}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "shop")
    shop.write({"__init__.py": ""})
    return shop
