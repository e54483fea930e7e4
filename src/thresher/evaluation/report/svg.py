"""Figures as SVG inside of a page: text stays text, colours are the page's, nothing is fetched."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from thresher.evaluation.report.style import ON_PAGES, plot_settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def inline_svg(figure: Figure, name: str, title: str) -> str:
    """Return ``figure`` as an element for a page.

    Args:
        name: a word of letters and digits that no other figure of the page has.
        title: what is to be seen, for those who cannot.
    """
    file = io.BytesIO()
    with plot_settings(name), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)  # the reader's own font is used
        figure.savefig(file, format="svg", transparent=True, metadata=NO_METADATA)
    root = ElementTree.fromstring(file.getvalue())
    _name_apart(root, name)
    for element in root.iter():
        element.tag = element.tag.removeprefix(SVG)
        if "style" in element.attrib:
            element.set("style", _page_colours(element.attrib["style"]))
    width, height = root.attrib["viewBox"].split()[2:]
    box = {"viewBox": f"0 0 {width} {height}", "role": "img", "aria-labelledby": f"{name}-title"}
    root.attrib.clear()
    root.attrib.update({**box, "style": f"max-width: {float(width) * 1.6:.0f}px"})
    label = ElementTree.Element("title", {"id": f"{name}-title"})
    label.text = title
    root.insert(0, label)
    return ElementTree.tostring(root, encoding="unicode")


def _name_apart(root: ElementTree.Element, name: str) -> None:
    """Keep the ids that something refers to, each with ``name`` before it: ids are those of the whole page."""
    text = ElementTree.tostring(root, encoding="unicode")
    for element in root.iter():
        given = element.attrib.pop("id", "")
        if given and (f"#{given})" in text or f'#{given}"' in text):
            element.set("id", f"{name}-{given}")
        if LINK in element.attrib:
            element.set("href", f"#{name}-{element.attrib.pop(LINK)[1:]}")
        if "clip-path" in element.attrib:
            element.set("clip-path", element.attrib["clip-path"].replace("url(#", f"url(#{name}-"))


def _page_colours(style: str) -> str:
    for colour, variable in ON_PAGES.items():
        style = style.replace(colour, f"var({variable})")
    return style
