"""Run every test that is marked as an oddity, and write what came of each into docs/reliability.md.

`make reliability` calls it. A row whose test fails says so; one whose test was skipped says why.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- rows: made by scripts/reliability.py -->\n", "<!-- end of rows -->\n"
PASSED = "passed"


@dataclass(frozen=True, order=True)
class Oddity:
    """One odd thing that people bring, and what comes of it as its test asserts."""

    kind: str
    what: str
    outcome: str
    test: str
    """The path of the test's file and the name of its function."""

    def row(self, result: str) -> str:
        """Return the row of the table; ``result`` is PASSED, or what happened in place of the outcome."""
        outcome = self.outcome if result == PASSED else f"**{result}** in place of: {self.outcome}"
        return f"| {cell(self.what)} | {cell(outcome)} | `{self.test}` |"


def cell(text: str) -> str:
    """Return ``text`` as it may stand in a cell of a Markdown table."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def oddities_of(item: pytest.Item) -> list[Oddity]:
    """Return what the markers ``oddity(kind, what, outcome)`` of a test say."""
    file, name = item.path.relative_to(ROOT).as_posix(), getattr(item, "originalname", None) or item.name
    return [Oddity(*mark.args, test=f"{file}::{name}") for mark in item.iter_markers("oddity")]


@dataclass
class Results:
    """A plugin of pytest that keeps the worst result of each oddity's tests."""

    of: dict[Oddity, str] = field(default_factory=dict)
    _items: dict[str, list[Oddity]] = field(default_factory=dict)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note which oddities a test is about."""
        self._items = {item.nodeid: oddities_of(item) for item in items}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what came of a test; set-up and tear-down count too."""
        for oddity in self._items.get(report.nodeid, []):
            if report.failed:
                self.of[oddity] = "FAILS"
            elif report.skipped:
                reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else "no reason"
                self.of.setdefault(oddity, f"not tried ({reason.removeprefix('Skipped: ')})")
            elif self.of.get(oddity, PASSED) == PASSED:
                self.of[oddity] = PASSED


def write_rows(results: dict[Oddity, str]) -> str:
    """Return the tables, one a kind, in the order of their names."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for oddity, result in sorted(results.items()):
        kinds[oddity.kind].append(oddity.row(result))
    head = "| what is odd | what comes of it | shown by |\n| --- | --- | --- |\n"
    return "\n".join(f"## {kind}\n\n{head}" + "\n".join(rows) + "\n" for kind, rows in kinds.items())


def main() -> int:
    """Run the tests, write the page and return pytest's exit code."""
    results = Results()
    code = pytest.main(["-m", "oddity", "-q", *sys.argv[1:]], plugins=[results])
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{write_rows(results.of)}\n{END}{after}", encoding="utf-8")
    print(f"{len(results.of)} oddities, {sum(result == PASSED for result in results.of.values())} as they should be")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
