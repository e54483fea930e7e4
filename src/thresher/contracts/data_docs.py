"""Great Expectations' Data Docs as one HTML file that needs no network and no second file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thresher.contracts.outcome import plain
from thresher.contracts.report import ContractReport


def write_data_docs(validation: Any, report: ContractReport, folder: Path) -> Path:
    """Write ``folder``/index.html and return its path.

    GX's own site loads styles, scripts and its logo from six hosts and spreads over folders named by time, so that
    offline, or inside MLflow's artifact viewer, it shows bare text and dead links. GX's renderers are kept; the page
    around them is ours.

    Args:
        validation: GX's ExpectationSuiteValidationResult.
    """
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    for result in validation.results:
        # GX's renderers stumble over pd.NA and, since numpy 2, over numpy's numbers.
        result.result = plain(result.result)
    document = ValidationResultsPageRenderer(run_info_at_end=True).render(validation)
    # GX's overview counts failures of severity "warning" as failures of the whole and links to a page of its site; its
    # run info is internal names. Ours stand at the top of the page instead.
    document.sections = document.sections[1:-1]
    view = DefaultJinjaPageView(custom_views_directory=str(Path(__file__).parent))
    page = view.render(document, template="contract_page.j2", report=report)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "index.html"
    path.write_text(page, encoding="utf-8")
    return path
