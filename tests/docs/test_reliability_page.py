"""The page on reliability has a row for each test that is marked as an oddity, and none without its test."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

from reliability import PAGE, PASSED, Oddity, cell, oddities_of, write_rows


def rows() -> list[str]:
    return [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.endswith("` |")]


def test_each_oddity_of_this_run_has_its_row(request: pytest.FixtureRequest) -> None:
    wanted = {oddity.row(PASSED) for item in request.session.items for oddity in oddities_of(item)}
    assert not wanted - set(rows()), "run 'make reliability'"


def test_each_row_names_a_test_that_is_there(project: Path) -> None:
    for row in rows():
        file, name = re.findall(r"`(tests/[^`]*\.py)::(\w+)` \|$", row)[0]
        text = (project / file).read_text(encoding="utf-8")
        assert f"def {name}(" in text and "oddity(" in text, row


def test_a_failed_row_says_so_and_a_bar_is_escaped() -> None:
    oddity = Oddity("Tables", "a | in a name", "it is read", "tests/test_x.py::test_y")
    page = write_rows({oddity: "FAILS"})
    assert "| a \\| in a name | **FAILS** in place of: it is read | `tests/test_x.py::test_y` |" in page
    assert cell("two\nlines") == "two lines"
