"""A hook of mkdocs: pages from outside of docs/, the reference of the source, and pages that nobody put in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PROJECT = Path(__file__).parents[1]
SOURCE = PROJECT / "src"
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are no files in docs/, and put what the navigation does not name at its end."""
    for name, page in OUTSIDE.items():
        text = (PROJECT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        for other, target in OUTSIDE.items():
            text = text.replace(f"]({other}", f"]({target}")
        files.append(File.generated(config, page, content=text))
    reference = {f"reference/{name}.md": _reference(name) for name in _packages()}
    for page, text in reference.items():
        files.append(File.generated(config, page, content=text))
    named = set(_pages(config.nav))
    left = [file.src_uri for file in files.documentation_pages() if file.src_uri not in named | reference.keys()]
    assert config.nav is not None
    config.nav += [{"More": sorted(left)}] if left else []
    config.nav.append({"Reference": sorted(reference)})
    return files


def _packages() -> list[str]:
    """Return the names of the package and of all that is directly in it."""
    inner = (path for path in (SOURCE / "thresher").iterdir() if (path / "__init__.py").exists())
    return ["thresher", *sorted(f"thresher.{path.name}" for path in inner)]


def _reference(name: str) -> str:
    folder = SOURCE / name.replace(".", "/")
    modules = sorted(path.relative_to(SOURCE) for path in folder.glob("*.py" if name == "thresher" else "**/*.py"))
    names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in modules]
    return f"# {name}\n\n" + "\n\n".join(f"::: {one}" for one in names if not one.endswith("__main__")) + "\n"


def _pages(entries: Any) -> Iterator[str]:
    for entry in entries.values() if isinstance(entries, dict) else entries:
        if isinstance(entry, str):
            yield entry
        else:
            yield from _pages(entry)
