"""How all plots look: on paper by these colours, on a page by the page's own, light or dark."""

from __future__ import annotations

from typing import Any

INK, MUTED, LINE = "#1f2328", "#656d76", "#c9d1d9"
WINNER, QUALIFIES, FAILS, BOUND = "#1a7f37", "#0b62c4", "#a3473f", "#8a5a00"
ON_PAGES = {
    INK: "--ink",
    "#000000": "--ink",
    MUTED: "--muted",
    LINE: "--line",
    WINNER: "--good",
    QUALIFIES: "--accent",
    FAILS: "--bad",
    BOUND: "--bound",
}
"""Colour -> the variable of the page's style that stands for it."""
PANEL = (5.2, 3.9)
"""Inches: at this size text can still be read on a telephone."""


def plot_settings(salt: str = "thresher") -> Any:
    """Return the context in which figures are made and drawn: text is text, and never taken for a formula.

    Args:
        salt: of the names inside of an SVG file, so that two in one page do not share any.
    """
    import matplotlib as mpl

    settings: Any = {
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": LINE,
        "axes.titlesize": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": LINE,
        "grid.linewidth": 0.5,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "legend.frameon": False,
        "legend.fontsize": 9,
    }
    return mpl.rc_context(settings)


def plain_ticks(axis: Any, logarithmic: bool) -> None:
    """Let an x or y axis be labelled by numbers as they are written; of a logarithmic one, at 1, 2 and 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    if logarithmic:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
