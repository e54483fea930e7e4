"""The documentation site is whole, has a search and a reference, and fetches nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Run what `make docs` runs."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config), "-d", str(site)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=config.parent, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    ended = build(project / "mkdocs.yml", folder)
    assert ended.returncode == 0, ended.stderr
    return folder


class _Fetched(HTMLParser):
    """Collects what a browser fetches of a page without being asked."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.classes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.classes.update(values.get("class", "").split())
        if tag in ("script", "img", "iframe", "source", "video"):
            self.found.append(values.get("src", ""))
        if tag == "link" and values.get("rel") not in ("canonical", "next", "prev"):
            self.found.append(values.get("href", ""))


def fetched(site: Path) -> Iterator[tuple[Path, str]]:
    """Yield each address that a page or a stylesheet has a browser fetch."""
    for page in site.rglob("*.html"):
        parser = _Fetched()
        parser.feed(page.read_text(encoding="utf-8"))
        assert "mermaid" not in parser.classes, f"{page}: the theme fetches a script from elsewhere to draw a diagram"
        yield from ((page, address) for address in parser.found)
    for sheet in site.rglob("*.css"):
        yield from ((sheet, address) for address in re.findall(r"url\((.*?)\)", sheet.read_text(encoding="utf-8")))


@pytest.mark.slow
def test_the_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    addresses = list(fetched(site))
    assert len(addresses) > 100
    outside = [(str(page), one) for page, one in addresses if re.match(r"['\"]?(https?:)?//", one)]
    assert not outside


@pytest.mark.slow
def test_search_and_reference_are_part_of_it(site: Path) -> None:
    entries = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))["docs"]
    places = {entry["location"].partition("#")[0] for entry in entries}
    assert {"index.html", "verdict.html", "contributing.html", "reference/thresher.training.html"} <= places
    assert any(entry["location"].endswith("#thresher.errors.ThresherError") for entry in entries)


@pytest.mark.parametrize("link", ["no_such_page.md", "page.md#no-such-heading", "/absolute.md"])
def test_a_broken_link_is_an_error(project: Path, tmp_path: Path, link: str) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text(f"# A page\n\n[Read on]({link})\n", encoding="utf-8")
    # Of the project's settings all that is about links, without what only the project has.
    settings = f"INHERIT: {project / 'mkdocs.yml'}\nhooks: []\nplugins: []\nnav: [page.md]\n"
    (tmp_path / "mkdocs.yml").write_text(settings, encoding="utf-8")

    ended = build(tmp_path / "mkdocs.yml", tmp_path / "site")

    assert ended.returncode != 0 and link.partition("#")[0] in ended.stdout + ended.stderr


def test_the_page_for_contributors_names_files_and_commands_that_are_there(project: Path) -> None:
    text = (project / "CONTRIBUTING.md").read_text(encoding="utf-8")
    files = re.findall(r"`((?:src|pipelines|tests)/[^`]+)`", text)
    assert len(files) >= 7 and not [name for name in files if not (project / name).exists()]
    folders = set(re.findall(r"`([a-z_]+)/`", text)) - {"tests"}
    assert len(folders) >= 9
    assert not [name for name in folders if not (project / "src" / "thresher" / name).is_dir()]
    targets = re.findall(r"^([a-z-]+):", (project / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= set(targets)


@pytest.mark.parametrize("name", ["lint", "tests", "container"])
def test_workflows_call_make_and_nothing_else(project: Path, name: str) -> None:
    text = (project / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (project / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    runs, uses = re.findall(r"run: (.*)", text), re.findall(r"uses: (.*)@", text)
    assert runs and {run.removeprefix("make ") for run in runs} <= targets
    assert set(uses) <= {"actions/checkout", "actions/setup-python"}
