"""Names of columns: each once, none without, and none that is pandas' index."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thresher.errors import DataError

INDEX = re.compile(r"__index_level_\d+__|Unnamed: \d+(_level_\d+)?")
"""What pandas calls an index or a column without a name, in files that it wrote or has read before."""


def check_names(
    path: Path,
    names: Sequence[str],
    columns: Sequence[Any],
    fix: str = "name the columns in the catalog, 'columns: [...]'",
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return name -> column, and name -> why it cannot be used as it is, and what to do.

    A column without a name that is empty is left out: it is what a delimiter at the end of each line makes. Another
    one is called by its number, such as `column 1`, so that it can be dropped.

    Raises:
        DataError: two columns of one name, up to blanks around it.
    """
    named, unusable = {}, {}
    taken: set[str] = set()
    for number, (name, column) in enumerate(zip(names, columns, strict=True), start=1):
        place = f"column {number}"
        if not name.strip():
            if is_empty(column):
                continue
            name = place
            what = f"{place} has no name: it looks like {'the index of pandas' if number == 1 else 'a lost name'}"
            unusable[name] = f"{path}: {what}. Fix: {fix}, or leave it out, 'drop: [{place}]'."
        elif INDEX.fullmatch(name):
            what = f"{place} is called '{name}', as pandas calls an index or a column without a name"
            fixes = f"'drop: [\"{name}\"]' in the catalog, or name it under 'numeric' or 'categorical' to keep it"
            unusable[name] = f"{path}: {what}. Fix: {fixes}."
        if name.strip() in taken:
            told = f"column '{name}' appears twice (the second is {place})"
            raise DataError(f"{path}: {told}. Fix: {fix}, each by a name of its own.")
        taken.add(name.strip())
        named[name] = column
    return named, unusable


def is_empty(column: Any) -> bool:
    """Return whether an Arrow array holds nulls and empty texts alone."""
    import pyarrow as pa
    from pyarrow import compute

    if column.null_count == len(column):
        return True
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return False
    return not compute.any(compute.not_equal(compute.utf8_trim_whitespace(column), "")).as_py()
