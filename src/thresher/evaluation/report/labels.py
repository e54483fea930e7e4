"""Names beside points, none over another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from thresher.evaluation.report.style import MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

Point = tuple[float, float]
DIRECTIONS = ((1, 1), (1, -1), (-1, 1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
DISTANCES = (7, 14, 24, 36, 50)
"""The distances of a label from its point that are tried, in points."""
LEAD = 20
"""The distance from which on a line connects a label with its point, in points."""
SIDES = {1: "left", -1: "right", 0: "center"}
RADIUS, ROOM = 4, 10
"""The radius of a point, and the space around it that names of other points leave free, in typographic points."""


def label_points(axis: Axes, names: Sequence[str], points: Sequence[Point], colours: Sequence[str]) -> None:
    """Name each of ``points``, which are all that the axis shows, where there is room for it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure: Any = axis.figure
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()  # only now is it known where the points lie
    places, scale = axis.transData.transform(points), figure.dpi / 72
    inside = axis.get_window_extent(canvas.get_renderer())
    written: list[Bbox] = []
    for own, (name, point, colour) in enumerate(zip(names, points, colours, strict=True)):
        around = [_box_around(place, scale * (RADIUS if at == own else ROOM)) for at, place in enumerate(places)]
        written.append(_label(axis, name, point, colour, (inside, [*around, *written])))


def _label(axis: Axes, name: str, point: Point, colour: str, room: tuple[Bbox, list[Bbox]]) -> Bbox:
    """Write ``name`` at the first place that is free, else nearest to the point; return the box that it fills."""
    inside, taken = room
    for distance in DISTANCES:
        for direction in DIRECTIONS:
            label, box = _write(axis, name, point, (direction, distance), colour)
            if _fits(box, inside) and not any(box.overlaps(other) for other in taken):
                return box
            label.remove()
    return _write(axis, name, point, (DIRECTIONS[0], DISTANCES[0]), colour)[1]


def _write(
    axis: Axes, name: str, point: Point, offset: tuple[tuple[int, int], int], colour: str
) -> tuple[Annotation, Bbox]:
    from matplotlib.text import Text

    (across, up), distance = offset
    line = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4}
    place = (across * distance, up * distance * 0.9)
    label = axis.annotate(
        name, point, xytext=place, textcoords="offset points", color=colour, fontsize=9, va="center",
        ha=SIDES[across], arrowprops=line if distance >= LEAD else None,
    )  # fmt: skip
    label.set_in_layout(False)  # else it would move all that was placed before
    figure: Any = axis.figure
    label.update_positions(figure.canvas.get_renderer())
    return label, Text.get_window_extent(label)


def _fits(box: Bbox, inside: Bbox) -> bool:
    return bool(inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1)


def _box_around(place: Iterable[float], radius: float) -> Bbox:
    from matplotlib.transforms import Bbox

    x, y = place
    return Bbox.from_extents(x - radius, y - radius, x + radius, y + radius)
