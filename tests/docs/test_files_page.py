"""docs/files.md names every file that a run writes."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[2]


def test_every_file_of_the_catalog_is_on_the_page() -> None:
    entries = yaml.safe_load((REPOSITORY / "src" / "thresher" / "pipelines" / "catalog.yml").read_text())
    page = (REPOSITORY / "docs" / "files.md").read_text()
    paths = [entry["filepath"] for entry in entries.values() if "filepath" in entry]
    names = {name: name.upper() for name in ("recipe", "candidate", "test_set")}
    written = {path.format(**names) for path in paths if path.startswith("data/")}
    named: set[str] = set()
    for line in page.splitlines():
        codes = re.findall(r"`([^`]+)`", line.partition(" | ")[0])
        named |= {code if code.startswith("data/") else str(Path(codes[0]).parent / code) for code in codes}
    assert len(written) > 30
    assert written - named == set()
