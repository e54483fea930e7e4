"""A contract's report as one HTML file that needs no network and no second file.

Great Expectations' own renderers are not used: they put names of columns and values into the page as they are, so that
a column called `<script>` would be run, and one called `$v__0` be replaced.
"""

from __future__ import annotations

from pathlib import Path

from thresher.contracts.report import ContractReport

TEMPLATE, STYLE = "contract_page.j2", "contract_page.css"


def write_data_docs(report: ContractReport, folder: Path) -> Path:
    """Write ``folder``/index.html and return its path."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style = (here / STYLE).read_text(encoding="utf-8").strip()
    page = environment.get_template(TEMPLATE).render(report=report, style=style)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "index.html"
    # A lone surrogate, which JSON can smuggle into a text, has no UTF-8.
    path.write_text(page, encoding="utf-8", errors="backslashreplace")
    return path
