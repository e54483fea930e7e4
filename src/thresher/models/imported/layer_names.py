"""The names of a file's tensors and those of an architecture: made to agree by shape, by order, or by the recipe."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from thresher.errors import DataError, nearest
from thresher.models.imported.layer_differences import (
    COUNTER,
    PREPARATION,
    Shape,
    describe_shape,
    fits,
    match_names,
)

LISTED = 12
"""Rows of the two lists beside each other."""
Layers = dict[str, dict[str, Shape]]
"""Layer -> the last part of a tensor's name -> its shape, in the order of the file."""


def name_as_ours(
    got: Mapping[str, Shape],
    expected: Mapping[str, Shape],
    renamed: Mapping[str, str | None],
    in_order: bool,
    file: str,
) -> tuple[dict[str, str], str]:
    """Return their name -> ours, of all tensors but those of a preparation, and how that was found, or "".

    Raises:
        DataError: see `rename`.
    """
    body = {name: shape for name, shape in got.items() if not name.startswith(PREPARATION)}
    called = rename(body, renamed, file) if renamed else {name: name for name in body}
    kept, stripped = match_names({ours: body[theirs] for theirs, ours in called.items()}, expected)
    called = {theirs: ours.removeprefix(stripped) for theirs, ours in called.items()}
    how = f"each name without {stripped}" if stripped else "names as the recipe says" if renamed else ""
    if _without_counters(kept) == _without_counters(expected):
        return called, how
    by_shape = match_by_shape(kept, expected, in_order)
    if by_shape is None:
        return called, how
    called = {theirs: by_shape[ours] for theirs, ours in called.items() if ours in by_shape}
    other = [f"{theirs} is {ours}" for theirs, ours in called.items() if theirs != ours]
    return called, f"{len(other)} names matched by shape and order, such as {other[0]}"


def _without_counters(names: Collection[str]) -> set[str]:
    return {name for name in names if not name.endswith(COUNTER)}


def rename(names: Collection[str], renamed: Mapping[str, str | None], file: str) -> dict[str, str]:
    """Return what each of ``names`` is called by ``renamed``: a `*` on the right is what that on the left stands for.

    Names of which it makes nothing are left out.

    Raises:
        DataError: a pattern that means no name, has not as many `*`, or makes two names one.
    """
    found: dict[str, str | None] = {}
    for theirs, ours in renamed.items():
        if ours is not None and theirs.count("*") != ours.count("*"):
            raise DataError(f"{file}: model.names: '{theirs}' and '{ours}' need as many * each.")
        pattern = re.compile(re.escape(theirs).replace(r"\*", "(.*?)"))
        matches = {name: match for name in names if (match := pattern.fullmatch(name))}
        if not matches:
            raise DataError(f"{file}: model.names: the file has no '{theirs}'. {nearest(theirs, names)}")
        for name, match in matches.items():
            parts = iter(match.groups())
            called = None if ours is None else re.sub(r"\*", lambda _, parts=parts: str(next(parts)), ours)  # type: ignore[misc]
            found.setdefault(name, called)
    whole = {name: called for name in names if (called := found.get(name, name)) is not None}
    twice = [name for name, count in Counter(whole.values()).items() if count > 1]
    if twice:
        both = " and ".join(name for name, ours in whole.items() if ours == twice[0])
        raise DataError(f"{file}: model.names: {both} would both be {twice[0]}. Fix: name one tensor each.")
    return whole


def match_by_shape(got: Mapping[str, Shape], expected: Mapping[str, Shape], in_order: bool) -> dict[str, str] | None:
    """Return their name -> ours, for layers of the same tensors and shapes; None where that leaves a choice.

    Layers that are alike are matched in order: that of the file, or where it has none, that of the numbers in their
    names if these differ in nothing else.

    Args:
        in_order: whether the file has its tensors in the order in which the network makes them.
    """
    theirs, ours = _layers(got), _layers(expected)
    groups: defaultdict[tuple[tuple[str, Shape], ...], list[str]] = defaultdict(list)
    for name, layer in theirs.items():
        groups[tuple(sorted(layer.items()))].append(name)
    matched: dict[str, str] = {}
    # What is left open fits many: it comes last.
    known = [name for name, wanted in ours.items() if all(None not in shape for shape in wanted.values())]
    exact = {tensors: [name for name in known if _fit(dict(tensors), ours[name])] for tensors in groups}
    for tensors, their_names in sorted(groups.items(), key=lambda item: len(exact[item[0]]) != len(item[1])):
        our_names = exact[tensors]
        if len(our_names) != len(their_names):
            our_names = [name for name in ours if name not in matched and _fit(dict(tensors), ours[name])]
        if len(our_names) != len(their_names):
            return None
        if len(our_names) > 1 and not in_order:
            if len({_without_numbers(name) for name in their_names}) > 1:
                return None
            their_names = sorted(their_names, key=_numbers)
        if len(our_names) > 1 and _contradicts(our_names, their_names):
            return None
        matched.update(zip(our_names, their_names, strict=True))
    if matched.keys() != ours.keys():
        return None
    return {f"{their}.{last}": f"{our}.{last}" for our, their in matched.items() for last in theirs[their]}


def describe_side_by_side(got: Mapping[str, Shape], expected: Mapping[str, Shape]) -> str:
    """Return the tensors that only one side has, in two columns, and how the first of them would be named."""
    theirs = [name for name in got if name not in expected and not name.endswith(COUNTER)]
    ours = [name for name in expected if name not in got and not name.endswith(COUNTER)]
    if not theirs or not ours:
        return ""
    left = [f"{name} {describe_shape(got[name])}" for name in theirs]
    right = [f"{name} {describe_shape(expected[name])}" for name in ours]
    width = max(map(len, [*left[:LISTED], "the file"]))
    count = max(len(left), len(right))
    rows = [
        f"  {(left[row] if row < len(left) else ''):{width}}  {right[row] if row < len(right) else ''}".rstrip()
        for row in range(min(count, LISTED))
    ]
    more = [f"  ... and {count - LISTED} more rows"] if count > LISTED else []
    pairs = [(their, our) for their in theirs for our in ours if fits(got[their], expected[our])]
    example = _example(*(pairs[0] if pairs else (theirs[0], ours[0])))
    return "\n".join([f"  {'the file':{width}}  the architecture", *rows, *more, f"  as in: names: {{{example}}}"])


def _example(theirs: str, ours: str) -> str:
    their, our = theirs.rpartition("."), ours.rpartition(".")
    if their[2] == our[2] and their[0] and our[0]:
        return f'"{their[0]}.*": "{our[0]}.*"'
    return f'"{"".join(their)}": "{"".join(our)}"'


def _layers(shapes: Mapping[str, Shape]) -> Layers:
    layers: Layers = {}
    for name, shape in shapes.items():
        owner, _, last = name.rpartition(".")
        if last != COUNTER:
            layers.setdefault(owner, {})[last] = shape
    return layers


def _fit(tensors: Mapping[str, Shape], wanted: Mapping[str, Shape]) -> bool:
    return tensors.keys() == wanted.keys() and all(fits(shape, wanted[name]) for name, shape in tensors.items())


def _contradicts(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Return whether a layer would be matched with one of another name, though one has its own: key with query."""
    our_last, their_last = ([name.rpartition(".")[2] for name in names] for names in (ours, theirs))
    return any(our != their and their in our_last for our, their in zip(our_last, their_last, strict=True))


def _without_numbers(name: str) -> str:
    return re.sub(r"\d+", "", name)


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]
